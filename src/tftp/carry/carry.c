/*
 * Carries files to TFTP clients: all of the datagrams, while the server decides who is sent what.
 *
 *   carry ADDRESS PORT SOCKETS
 *
 * Opens the port for requests, and as many further sockets for transfers. Orders come by standard input, and what
 * happens is told on standard output. Ends with its input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "orders.h"
#include "out.h"
#include "told.h"

enum { MOST_SOCKETS = 65, BATCH = 64, ROOM = 2048, SOCKET_BUFFER = 4 << 20, TICK = 25000 };
enum { ORDERS = MOST_SOCKETS, TOLD };

static int sockets[MOST_SOCKETS], count;
static int64_t now;

static int64_t clock_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000) + time.tv_nsec / 1000;
}

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static int open_socket(struct sockaddr_in *address) {
  const int one = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (one < 0) fail("socket");
  const int size = SOCKET_BUFFER;
  /* Beyond net.core.rmem_max only for root; less will do. */
  if (setsockopt(one, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
    setsockopt(one, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (setsockopt(one, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
    setsockopt(one, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  if (bind(one, (struct sockaddr *)address, sizeof *address) < 0) fail("bind");
  return one;
}

/* All that is needed is open: what reads the datagrams of strangers need be nobody. */
static void become_nobody(void) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (geteuid() != 0) return;
  if (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0) fail("setuid");
}

/* RFC 1350 §4: whoever has no transfer here is told so. An ERROR is never answered, nor much longer than what came. */
static void refuse(int socket, const struct sockaddr_in *from, const unsigned char *bytes, size_t size) {
  static const char text[] = "unknown";
  if (size < 4 || bytes[1] == 5) return;
  const size_t most = 3 * size - 5;
  out_error(socket, from, 5, text, most < sizeof text - 1 ? most : sizeof text - 1);
}

static void receive(int which) {
  static struct mmsghdr messages[BATCH];
  static struct iovec pieces[BATCH];
  static struct sockaddr_in from[BATCH];
  static unsigned char bytes[BATCH][ROOM];
  /* What the kernel wrote over is set anew for as many as it did. */
  static int used = BATCH;
  for (int i = 0; i < used; i++) {
    pieces[i] = (struct iovec){bytes[i], ROOM};
    messages[i].msg_hdr =
        (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &pieces[i], .msg_iovlen = 1};
  }
  const int n = recvmmsg(sockets[which], messages, BATCH, MSG_DONTWAIT, NULL);
  used = n > 0 ? n : 0;
  for (int i = 0; i < n; i++) {
    const size_t size = messages[i].msg_len;
    /* A request is nothing that a transfer could take: it may come where one runs over the port for requests. */
    const bool request = size > 1 && (bytes[i][1] == 1 || bytes[i][1] == 2);
    struct transfer *transfer = request ? NULL : transfer_of(sockets[which], &from[i]);
    if (transfer) transfer_receive(transfer, bytes[i], size, now);
    else if (which == 0) tell_received(&from[i], bytes[i], size);
    else refuse(sockets[which], &from[i], bytes[i], size);
  }
}

static void watch(int epoll, int operation, int descriptor, uint32_t events, uint32_t which) {
  struct epoll_event event = {.events = events, .data.u32 = which};
  if (epoll_ctl(epoll, operation, descriptor, &event) < 0) fail("epoll");
}

/* Turns until the orders end. */
static void carry(int epoll) {
  bool busy = false, telling = false;
  int64_t tick_at = 0;
  for (;;) {
    const int64_t wait = !busy ? -1 : tick_at > now ? (tick_at - now + 999) / 1000 : 0;
    struct epoll_event events[MOST_SOCKETS + 2];
    const int n = epoll_wait(epoll, events, MOST_SOCKETS + 2, wait);
    now = clock_now();
    for (int i = 0; i < n; i++) {
      const uint32_t which = events[i].data.u32;
      if (which == ORDERS) {
        orders_read(STDIN_FILENO, sockets, count, now);
        busy = true;
      } else if (which != TOLD) receive(which);
    }
    if (busy && now >= tick_at) {
      busy = transfers_tick(now);
      tick_at = now + TICK;
    }
    out_flush();
    transfers_reap();
    const bool more = tell_flush();
    if (more != telling) {
      watch(epoll, more ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, STDOUT_FILENO, EPOLLOUT, TOLD);
      telling = more;
    }
  }
}

int main(int words, char **word) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (words != 4 || inet_pton(AF_INET, word[1], &address.sin_addr) != 1) return 2;
  count = 1 + atoi(word[3]);
  if (count < 1 || count > MOST_SOCKETS) return 2;
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (int i = count - 1; i >= 0; i--) {
    /* The port for requests comes last: whoever asks there can be answered. */
    address.sin_port = i == 0 ? htons(atoi(word[2])) : 0;
    sockets[i] = open_socket(&address);
    watch(epoll, EPOLL_CTL_ADD, sockets[i], EPOLLIN, i);
  }
  fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
  fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
  watch(epoll, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, ORDERS);
  socklen_t size = sizeof address;
  if (getsockname(sockets[0], (struct sockaddr *)&address, &size) < 0) fail("getsockname");
  become_nobody();
  tell_to(STDOUT_FILENO);
  tell_listening(ntohs(address.sin_port));
  tell_flush();
  now = clock_now();
  carry(epoll);
}
