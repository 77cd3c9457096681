/* HTTP/1.0 as far as two requests need it (RFC 1945): a status line, Content-Length, and the body until the end. */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int server_parse(struct server *server, const char *url, const char *mac, const char *boot) {
  if (strncmp(url, "http://", 7) != 0) return -1;
  snprintf(server->host, sizeof server->host, "%s", url + 7);
  char address[64];
  snprintf(address, sizeof address, "%s", server->host);
  char *colon = strchr(address, ':');
  if (colon) *colon = 0;
  memset(&server->address, 0, sizeof server->address);
  server->address.sin_family = AF_INET;
  server->address.sin_port = htons(colon ? (uint16_t)atoi(colon + 1) : 80);
  server->more[0] = 0;
  snprintf(server->identity, sizeof server->identity, "mac=%s&boot=%s", mac, boot);
  return inet_pton(AF_INET, address, &server->address.sin_addr) == 1 ? 0 : -1;
}

/* Milliseconds without a byte after which another try may do better: a server that lost power closes no connection. */
static const long silence = 3000;

static int ready(int socket, short events, long deadline) {
  long until = now_ms() + silence;
  if (until > deadline) until = deadline;
  for (;;) {
    long left = until - now_ms();
    if (left <= 0) return -1;
    struct pollfd wait = {.fd = socket, .events = events};
    int got = poll(&wait, 1, (int)left);
    if (got > 0) return 0;
    if (got == 0 || errno != EINTR) return -1;
  }
}

static int send_all(int socket, const char *bytes, size_t length, long deadline) {
  while (length > 0) {
    ssize_t sent = send(socket, bytes, length, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
      if (ready(socket, POLLOUT, deadline) < 0) return -1;
      continue;
    }
    if (sent < 0) return -1;
    bytes += sent;
    length -= (size_t)sent;
  }
  return 0;
}

static int connected(const struct server *server, long deadline) {
  int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket_ < 0) return -1;
  int error = 0;
  socklen_t size = sizeof error;
  if (connect(socket_, (const struct sockaddr *)&server->address, sizeof server->address) == 0) return socket_;
  if (errno == EINPROGRESS && ready(socket_, POLLOUT, deadline) == 0 &&
      getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
    return socket_;
  close(socket_);
  return -1;
}

/* The status and the length that the head tells; -1 when it is none. */
static int read_head(char *head, long *length) {
  int status;
  if (sscanf(head, "HTTP/1.%*1d %3d", &status) != 1) return -1;
  *length = -1;
  for (char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
    if (strncasecmp(line + 2, "content-length:", 15) == 0) *length = strtol(line + 17, NULL, 10);
  return status;
}

int server_ask(const struct server *server, const char *path, const char *body, size_t body_length, long length,
               long deadline, take_body take, void *state) {
  char buffer[16384];
  int socket_ = connected(server, deadline);
  if (socket_ < 0) return -1;
  int status = -1;
  int size = snprintf(buffer, sizeof buffer, "%s %s?%s HTTP/1.0\r\nHost: %s\r\n%sContent-Type: text/plain\r\n",
                      body ? "POST" : "GET", path, server->identity, server->host, server->more);
  size += snprintf(buffer + size, sizeof buffer - (size_t)size, body ? "Content-Length: %zu\r\n\r\n" : "\r\n",
                   body_length);
  if (send_all(socket_, buffer, (size_t)size, deadline) < 0) goto end;
  if (body && send_all(socket_, body, body_length, deadline) < 0) goto end;
  size_t held = 0;
  long left = -1;
  int told = -1;
  for (;;) {
    ssize_t got = recv(socket_, buffer + held, sizeof buffer - 1 - held, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      if (ready(socket_, POLLIN, deadline) < 0) goto end;
      continue;
    }
    if (got < 0 || now_ms() >= deadline) goto end;
    if (got == 0) break;
    held += (size_t)got;
    if (told < 0) {
      buffer[held] = 0;
      char *after = strstr(buffer, "\r\n\r\n");
      if (!after) {
        if (held == sizeof buffer - 1) goto end;
        continue;
      }
      *after = 0;
      told = read_head(buffer, &left);
      if (told < 0 || ((told == 200 || told == 206) && length >= 0 && left != length)) goto end;
      after += 4;
      held -= (size_t)(after - buffer);
      memmove(buffer, after, held);
    }
    if (left >= 0) left -= (long)held;
    if (take && (told == 200 || told == 206) && held > 0 && take(state, buffer, held) != 0) goto end;
    held = 0;
    if (left == 0) break;
  }
  /* Cut off before its end. */
  if (left <= 0) status = told;
end:
  close(socket_);
  return status;
}
