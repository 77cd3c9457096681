/* Whether an application of this node answers, asked until it does: no process for each try while the application starts. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"

/* Milliseconds that are waited for a connection, with a try every so many, and for the answer. */
static const long waiting = 1000, pace = 20, answering = 5000;
/* Bytes of an answer that are looked at. */
enum { LONGEST = 1 << 20 };

struct content {
  char *bytes;
  size_t size;
};

/* Nothing when there is no such file. */
static struct content read_content(const char *name, const char *kind) {
  char path[128];
  struct content content = {NULL, 0};
  snprintf(path, sizeof path, "/.bootloom/app/%s.%s", name, kind);
  FILE *file = fopen(path, "re");
  if (!file) return content;
  content.bytes = malloc(LONGEST);
  if (content.bytes) content.size = fread(content.bytes, 1, LONGEST, file);
  fclose(file);
  return content;
}

static int connected(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket_ >= 0 && connect(socket_, (const struct sockaddr *)&address, sizeof address) == 0) return socket_;
  if (socket_ >= 0) close(socket_);
  return -1;
}

/* `HTTP/1.1 200 …`, with an answer of which the first line is whole. */
static int has_status(const struct content *answer, const char *status) {
  const char *end = memchr(answer->bytes, '\n', answer->size), *word = answer->bytes;
  size_t length = strlen(status);
  if (!end || answer->size < 5 || memcmp(word, "HTTP/", 5) != 0) return 0;
  while (word < end && *word != ' ') word++;
  while (word < end && *word == ' ') word++;
  return (size_t)(end - word) >= length && memcmp(word, status, length) == 0 && !isalnum((unsigned char)word[length]);
}

static int holds(const struct content *answer, const char *status, const struct content *expected) {
  if (status ? !has_status(answer, status) : answer->size == 0) return 0;
  return !expected->bytes || memmem(answer->bytes, answer->size, expected->bytes, expected->size) != NULL;
}

/*
 * Sends and collects until the answer holds what is expected, the application closes, or its time is over. The
 * connection stays open for writing: some servers take one that is half closed as the client having left.
 */
static int converse(int socket_, const char *status, const struct content *sent, const struct content *expected) {
  static char bytes[LONGEST];
  struct content answer = {bytes, 0};
  size_t at = 0;
  for (long until = now_ms() + answering, left; (left = until - now_ms()) > 0 && answer.size < sizeof bytes;) {
    struct pollfd wait = {.fd = socket_, .events = (short)(POLLIN | (at < sent->size ? POLLOUT : 0))};
    if (poll(&wait, 1, (int)left) < 0 && errno != EINTR) break;
    if (wait.revents & POLLOUT) {
      ssize_t done = send(socket_, sent->bytes + at, sent->size - at, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (done > 0) at += (size_t)done;
    }
    if (!(wait.revents & (POLLIN | POLLHUP | POLLERR))) continue;
    ssize_t got = recv(socket_, bytes + answer.size, sizeof bytes - answer.size, MSG_DONTWAIT);
    if (got > 0) answer.size += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR)) break;
    if (holds(&answer, status, expected)) return 1;
  }
  return holds(&answer, status, expected);
}

int probe(const char *name, int port, const char *status) {
  struct content sent = read_content(name, "send"), expected = read_content(name, "expect");
  int socket_ = connected(port);
  for (long until = now_ms() + waiting; socket_ < 0 && now_ms() < until; socket_ = connected(port)) usleep((useconds_t)pace * 1000);
  if (socket_ < 0) return 0;
  /* Where nothing is said and no text expected, being connected is enough. */
  if (!status && !sent.bytes && !expected.bytes) return 1;
  return converse(socket_, status, &sent, &expected);
}
