#include "orders.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "out.h"
#include "told.h"

/* All but contents are short. */
enum { LONGEST = 4096 };

struct __attribute__((packed)) peer {
  uint32_t address;
  uint16_t port;
};

struct __attribute__((packed)) begin {
  uint32_t id, content;
  uint8_t socket;
  struct peer peer;
  uint16_t block_size, window;
  /* Milliseconds. */
  uint32_t longest, silence, lifetime;
};

static unsigned char bytes[1 << 16];
static size_t filled;
/* The content that comes in, and how much of it has. */
static struct content *coming;
static size_t came;

static void fail(const char *what) {
  fprintf(stderr, "carry: %s\n", what);
  exit(1);
}

static struct sockaddr_in address_of(const struct peer *peer) {
  return (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons(peer->port), .sin_addr.s_addr = peer->address};
}

static void begin(const unsigned char *frame, size_t size, const int *sockets, int count, int64_t now) {
  struct begin order;
  if (size < sizeof order) fail("a short order");
  memcpy(&order, frame, sizeof order);
  struct content *content = content_named(order.content);
  if (content == NULL || order.socket >= count || order.block_size == 0 || order.window == 0) fail("an order without sense");
  const struct sockaddr_in peer = address_of(&order.peer);
  const struct terms terms = {
      .block_size = order.block_size,
      .window = order.window,
      .longest = order.longest * INT64_C(1000),
      .silence = order.silence * INT64_C(1000),
      .lifetime = order.lifetime * INT64_C(1000),
      .options = frame + sizeof order,
      .options_size = size - sizeof order,
  };
  const int socket = sockets[order.socket];
  struct transfer *before = transfer_of(socket, &peer);
  if (before) transfer_stop(before, "another request came from the same port");
  transfer_begin(order.id, socket, &peer, content, &terms, now);
}

static void stop(const unsigned char *frame, size_t size) {
  uint32_t id;
  char reason[200] = "";
  if (size < sizeof id) fail("a short order");
  memcpy(&id, frame, sizeof id);
  size -= sizeof id;
  memcpy(reason, frame + sizeof id, size < sizeof reason ? size : sizeof reason - 1);
  struct transfer *transfer = transfer_named(id);
  if (transfer) transfer_stop(transfer, reason);
}

static void drop(const unsigned char *frame, size_t size) {
  uint32_t id;
  if (size < sizeof id) fail("a short order");
  memcpy(&id, frame, sizeof id);
  content_drop(id);
}

/* An ERROR from the port for requests: its code and its text. */
static void refuse(const unsigned char *frame, size_t size, int socket) {
  struct peer peer;
  if (size < sizeof peer + 1) fail("a short order");
  memcpy(&peer, frame, sizeof peer);
  const struct sockaddr_in to = address_of(&peer);
  out_error(socket, &to, frame[sizeof peer], (const char *)frame + sizeof peer + 1, size - sizeof peer - 1);
}

/* One whole order, or the beginning of a content; how many bytes of it, 0: not yet all. */
static size_t obey(const int *sockets, int count, int64_t now) {
  uint32_t length, id;
  if (filled < 5 + sizeof id) return 0;
  memcpy(&length, bytes, sizeof length);
  if (bytes[4] == 'H') {
    if (length < 1 + sizeof id) fail("a short order");
    memcpy(&id, bytes + 5, sizeof id);
    coming = content_hold(id, length - 1 - sizeof id);
    came = 0;
    return 5 + sizeof id;
  }
  if (length < 5 || length > LONGEST) fail("an order without sense");
  if (filled < 4 + length) return 0;
  const unsigned char *frame = bytes + 5;
  switch (bytes[4]) {
    case 'B': begin(frame, length - 1, sockets, count, now); break;
    case 'S': stop(frame, length - 1); break;
    case 'D': drop(frame, length - 1); break;
    case 'E': refuse(frame, length - 1, sockets[0]); break;
    default: fail("an unknown order");
  }
  return 4 + length;
}

void orders_read(int descriptor, const int *sockets, int count, int64_t now) {
  /* A content goes to its place at once. */
  const size_t left = coming ? coming->size - came : 0;
  const ssize_t n = left > 0 ? read(descriptor, coming->bytes + came, left)
                             : read(descriptor, bytes + filled, sizeof bytes - filled);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    out_flush();
    tell_flush();
    exit(0);
  }
  if (left > 0) came += n;
  else filled += n;
  for (size_t at;;) {
    if (coming) {
      const size_t some = filled < coming->size - came ? filled : coming->size - came;
      memcpy(coming->bytes + came, bytes, some);
      memmove(bytes, bytes + some, filled -= some);
      if ((came += some) < coming->size) return;
      coming = NULL;
    }
    if ((at = obey(sockets, count, now)) == 0) return;
    memmove(bytes, bytes + at, filled -= at);
  }
}
