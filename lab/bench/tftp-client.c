/*
 * Fetches a file by TFTP, so many times at once, and prints the seconds that took. Used against every server alike, and in
 * C so that it is not what is measured: it does as little as a client can.
 *
 *   tftp-client ADDRESS PORT FILE BLKSIZE WINDOWSIZE CLIENTS BYTES
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CLIENTS = 1024, BATCH = 64 };

static struct client {
  int socket;
  /* Blocks that came, blocks since the last acknowledgement, what was agreed. */
  unsigned came, since, size, window;
  int connected, gap;
} clients[MOST_CLIENTS];
static int left;
static long bytes;

static double seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void fail(const char *what) {
  fprintf(stderr, "tftp-client: %s\n", what);
  exit(1);
}

static void acknowledge(struct client *one, unsigned number) {
  const unsigned char packet[4] = {0, 4, number >> 8, number};
  if (send(one->socket, packet, sizeof packet, 0) < 0) fail("an acknowledgement was refused");
}

static void receive(struct client *one) {
  static unsigned char packet[65536];
  struct sockaddr_in from;
  socklen_t length = sizeof from;
  const ssize_t size = recvfrom(one->socket, packet, sizeof packet - 1, 0, (struct sockaddr *)&from, &length);
  if (size < 4) fail("a short packet");
  if (!one->connected++) connect(one->socket, (struct sockaddr *)&from, length);
  if (packet[1] == 3) {
    const unsigned number = packet[2] << 8 | packet[3];
    if (number != ((one->came + 1) & 0xffff)) {
      /* One is missing: say what there is, once. */
      if (!one->gap++) acknowledge(one, one->came);
      one->since = 0;
      return;
    }
    one->gap = 0;
    one->came++;
    bytes += size - 4;
    const int last = size - 4 < one->size;
    if (++one->since < one->window && !last) return;
    acknowledge(one, number);
    one->since = 0;
    if (!last) return;
    left--;
    close(one->socket);
  } else if (packet[1] == 6) {
    packet[size] = '\0';
    for (char *name = (char *)packet + 2, *end = (char *)packet + size; name < end;) {
      char *value = name + strlen(name) + 1;
      if (value >= end) break;
      if (strcmp(name, "blksize") == 0) one->size = atoi(value);
      if (strcmp(name, "windowsize") == 0) one->window = atoi(value);
      name = value + strlen(value) + 1;
    }
    acknowledge(one, 0);
  } else {
    packet[size] = '\0';
    fail((char *)packet + 4);
  }
}

int main(int words, char **word) {
  if (words != 8) return 2;
  struct sockaddr_in own = {.sin_family = AF_INET}, server;
  if (inet_pton(AF_INET, word[1], &own.sin_addr) != 1) return 2;
  server = own;
  server.sin_port = htons(atoi(word[2]));
  left = atoi(word[6]);
  if (left < 1 || left > MOST_CLIENTS) return 2;
  const long expected = left * atol(word[7]);
  char request[512] = {0, 1};
  /* The format's NULs, and the one after the last word. */
  int length = 2 + snprintf(request + 2, 500, "%s%coctet%cblksize%c%s", word[3], 0, 0, 0, word[4]) + 1;
  if (atoi(word[5]) > 1) length += snprintf(request + length, 100, "windowsize%c%s", 0, word[5]) + 1;
  alarm(60);
  const double began = seconds();
  const int epoll = epoll_create1(0);
  for (int i = 0; i < left; i++) {
    const int receive_buffer = 1 << 20;
    clients[i] = (struct client){.socket = socket(AF_INET, SOCK_DGRAM, 0), .size = 512, .window = 1};
    setsockopt(clients[i].socket, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
    if (bind(clients[i].socket, (struct sockaddr *)&own, sizeof own) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].socket, &event) < 0 ||
        sendto(clients[i].socket, request, length, 0, (struct sockaddr *)&server, sizeof server) < 0)
      fail("no socket");
  }
  /* One client needs no waiting for which it is. */
  if (left == 1)
    while (left > 0) receive(&clients[0]);
  while (left > 0) {
    struct epoll_event events[BATCH];
    const int n = epoll_wait(epoll, events, BATCH, -1);
    for (int i = 0; i < n; i++) receive(events[i].data.ptr);
  }
  if (bytes != expected) fail("not all bytes came");
  printf("%.4f\n", seconds() - began);
}
