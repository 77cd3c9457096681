#include "told.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 1 << 20, ROOM_FOR_STRANGERS = 1 << 19 };

static int to;
static unsigned char waiting[ROOM];
static size_t filled;

void tell_to(int descriptor) { to = descriptor; }

bool tell_flush(void) {
  size_t gone = 0;
  while (gone < filled) {
    const ssize_t n = write(to, waiting + gone, filled - gone);
    if (n > 0) gone += n;
    else if (errno == EAGAIN) break;
    /* Nobody is left to serve. */
    else if (errno != EINTR) exit(0);
  }
  if (gone > 0) memmove(waiting, waiting + gone, filled -= gone);
  return filled > 0;
}

/* A frame: the length of what follows (4 bytes, the machine's order), its kind, and two pieces. */
static void tell(char kind, const void *a, size_t a_size, const void *b, size_t b_size) {
  const uint32_t size = 1 + a_size + b_size;
  while (filled + 4 + size > ROOM && tell_flush()) poll(&(struct pollfd){.fd = to, .events = POLLOUT}, 1, 1000);
  unsigned char *at = waiting + filled;
  memcpy(at, &size, 4);
  at[4] = kind;
  memcpy(at + 5, a, a_size);
  if (b_size > 0) memcpy(at + 5 + a_size, b, b_size);
  filled += 4 + size;
}

void tell_listening(uint16_t port) { tell('L', &port, sizeof port, NULL, 0); }

void tell_received(const struct sockaddr_in *from, const unsigned char *bytes, size_t size) {
  if (filled > ROOM_FOR_STRANGERS) return;
  struct __attribute__((packed)) {
    uint32_t address;
    uint16_t port;
  } who = {from->sin_addr.s_addr, ntohs(from->sin_port)};
  tell('R', &who, sizeof who, bytes, size);
}

void tell_state(const struct transfer *transfer) {
  struct __attribute__((packed)) {
    uint32_t id;
    uint8_t verified;
    uint32_t repeats;
  } state = {transfer->id, transfer->verified, transfer->repeats};
  tell('S', &state, sizeof state, NULL, 0);
}

void tell_end(const struct transfer *transfer, enum result result, uint64_t bytes, const char *reason) {
  struct __attribute__((packed)) {
    uint32_t id;
    uint8_t result;
    uint64_t bytes;
  } end = {transfer->id, result, bytes};
  tell('E', &end, sizeof end, reason, strlen(reason));
}

void tell_uncut(size_t size) {
  const uint16_t bytes = size;
  tell('U', &bytes, sizeof bytes, NULL, 0);
}
