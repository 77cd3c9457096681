#include "transfer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "out.h"
#include "told.h"

enum { HASHES = 4096 };
/* Waits for an acknowledgement. A node that is emulated, or that writes what it got, pauses longer than its network takes. */
enum { FIRST = 1000000, LEAST = 200000 };
/* Repeats to a client that never answered: its request may be forged. An OACK is no longer than the request, so three of
   them are within three times what was sent; a block is not. And repeats of the last window: a client that has all of it,
   and whose acknowledgement was lost, is gone by then. */
enum { OPTIONS_REPEATS = 2, BLOCK_REPEATS = 1, LAST_REPEATS = 3 };

static struct transfer *all, *by_peer[HASHES];
static bool any_over;

static unsigned hash(int socket, const struct sockaddr_in *peer) {
  const uint64_t key = (uint64_t)peer->sin_addr.s_addr << 16 | peer->sin_port;
  return ((key ^ socket) * 0x9e3779b97f4a7c15u) >> 52;
}

struct transfer *transfer_of(int socket, const struct sockaddr_in *peer) {
  struct transfer *one = by_peer[hash(socket, peer)];
  while (one && (one->socket != socket || one->peer.sin_port != peer->sin_port ||
                 one->peer.sin_addr.s_addr != peer->sin_addr.s_addr))
    one = one->next_same_hash;
  return one;
}

struct transfer *transfer_named(uint32_t id) {
  struct transfer *one = all;
  while (one && (one->id != id || one->over)) one = one->next;
  return one;
}

static void finish(struct transfer *one, enum result result, const char *reason) {
  struct transfer **link = &by_peer[hash(one->socket, &one->peer)];
  while (*link != one) link = &(*link)->next_same_hash;
  *link = one->next_same_hash;
  one->over = any_over = true;
  const int64_t has = result == SENT ? one->blocks : one->acknowledged > 0 ? one->acknowledged : 0;
  const uint64_t bytes = (uint64_t)has * one->terms.block_size;
  tell_end(one, result, bytes < one->content->size ? bytes : one->content->size, reason);
}

/* All that may be sent before the next acknowledgement: the OACK, or a window of blocks. */
static void send_window(struct transfer *one, int64_t now) {
  one->sent_at = now;
  one->unsent = false;
  if (one->acknowledged == -1) {
    out_bytes(one->socket, &one->peer, one, one->terms.options, one->terms.options_size);
    return;
  }
  /* Whoever sent but a request is answered with one datagram: its address may be another's. */
  const int64_t most = one->verified ? one->terms.window : 1, left = one->blocks - one->acknowledged;
  const int64_t count = left < most ? left : most;
  one->sent = one->acknowledged + count;
  out_blocks(one, one->acknowledged + 1, count);
}

struct transfer *transfer_begin(uint32_t id, int socket, const struct sockaddr_in *peer, struct content *content,
                                const struct terms *terms, int64_t now) {
  struct transfer *one = calloc(1, sizeof *one + terms->options_size);
  if (one == NULL) abort();
  *one = (struct transfer){.id = id, .socket = socket, .peer = *peer, .content = content, .terms = *terms};
  memcpy(one + 1, terms->options, terms->options_size);
  one->terms.options = (unsigned char *)(one + 1);
  /* A last block shorter than the others, if need be empty, says that it is the last. */
  one->blocks = content->size / terms->block_size + 1;
  one->acknowledged = terms->options_size > 0 ? -1 : 0;
  one->rewound_at = one->smoothed = -1;
  one->wait = FIRST < terms->longest ? FIRST : terms->longest;
  one->progress_at = now;
  one->deadline = now + terms->lifetime;
  one->next = all;
  all = one;
  struct transfer **same = &by_peer[hash(socket, peer)];
  one->next_same_hash = *same;
  *same = one;
  content_use(content);
  send_window(one, now);
  return one;
}

/* A datagram sent once took so long until it was acknowledged (Jacobson; RFC 6298 §2). */
static void measured(struct transfer *one, int64_t trip) {
  if (one->smoothed < 0) {
    one->smoothed = trip;
    one->deviation = trip / 2;
  } else {
    one->deviation += (llabs(one->smoothed - trip) - one->deviation) / 4;
    one->smoothed += (trip - one->smoothed) / 8;
  }
  one->wait = one->smoothed + 4 * one->deviation;
  if (one->wait < LEAST) one->wait = LEAST;
  if (one->wait > one->terms.longest) one->wait = one->terms.longest;
}

static void advance(struct transfer *one, int64_t acknowledged, int64_t now) {
  const int64_t trip = now - one->sent_at;
  /* Of a datagram that was repeated, nobody knows which copy was acknowledged (Karn; RFC 6298 §5). */
  if (one->repeats == 0 && one->rewound_at != one->acknowledged) measured(one, trip);
  const bool news = !one->verified || one->repeats > 0;
  one->verified = true;
  one->acknowledged = acknowledged;
  one->repeats = 0;
  one->progress_at = now;
  if (news) tell_state(one);
  if (acknowledged == one->blocks) finish(one, SENT, "");
  else if (now > one->deadline) transfer_stop(one, "the transfer takes too long");
  else send_window(one, now);
}

/* Of what was acknowledged already, an acknowledgement never causes a block to be sent again in lock-step: else every
   delayed datagram would double the traffic from there on (RFC 1123 §4.2.3.1). */
static void acknowledge(struct transfer *one, uint16_t number, int64_t now) {
  if (one->acknowledged == -1) {
    if (number == 0) advance(one, 0, now);
    return;
  }
  /* How far past the last acknowledged block; more than was sent: an old one, come late. */
  const uint16_t step = number - one->acknowledged;
  if (step > one->sent - one->acknowledged) return;
  if (step > 0) {
    advance(one, one->acknowledged + step, now);
    return;
  }
  if (!one->verified) {
    one->verified = true;
    tell_state(one);
  }
  /* RFC 7440 §4: with a window, the same again means that the first block of it was lost. */
  if (one->terms.window > 1 && one->sent > one->acknowledged + 1 && one->rewound_at != one->acknowledged) {
    one->rewound_at = one->acknowledged;
    send_window(one, now);
  }
}

void transfer_receive(struct transfer *one, const unsigned char *bytes, size_t size, int64_t now) {
  if (size < 4 || bytes[0] != 0) return;
  if (bytes[1] == 4) acknowledge(one, bytes[2] << 8 | bytes[3], now);
  if (bytes[1] != 5) return;
  char reason[110];
  int length = snprintf(reason, sizeof reason, "%d ", bytes[2] << 8 | bytes[3]);
  for (size_t i = 4; i < size && i < 100 && bytes[i] >= 0x20 && bytes[i] < 0x7f; i++) reason[length++] = bytes[i];
  while (length > 0 && reason[length - 1] == ' ') length--;
  reason[length] = '\0';
  finish(one, ABORTED, reason);
}

void transfer_stop(struct transfer *one, const char *reason) {
  if (one->verified) out_error(one->socket, &one->peer, 0, reason, strlen(reason));
  finish(one, LOST, reason);
}

/* Sends again when it is time, or gives up. */
static void tick(struct transfer *one, int64_t now) {
  if (one->unsent) {
    /* It still counts from when it should have left: what the kernel never takes ends like what is never answered. */
    const int64_t since = one->sent_at;
    send_window(one, now);
    one->sent_at = since;
  }
  if (now - one->sent_at < one->wait) return;
  const bool all_sent = one->acknowledged > 0 || (one->verified && one->terms.window == 1);
  const bool last_window = all_sent && one->sent == one->blocks;
  const unsigned most = one->acknowledged == -1 ? OPTIONS_REPEATS : BLOCK_REPEATS;
  if (last_window && one->repeats >= LAST_REPEATS) finish(one, SENT, "the last acknowledgement was lost");
  else if (now - one->progress_at > one->terms.silence || (!one->verified && one->repeats >= most))
    finish(one, LOST, "no acknowledgement");
  else {
    one->repeats++;
    tell_state(one);
    one->wait = 2 * one->wait < one->terms.longest ? 2 * one->wait : one->terms.longest;
    send_window(one, now);
  }
}

bool transfers_tick(int64_t now) {
  for (struct transfer *one = all; one; one = one->next)
    if (!one->over) tick(one, now);
  return all != NULL;
}

void transfers_reap(void) {
  if (!any_over) return;
  any_over = false;
  for (struct transfer **link = &all; *link;) {
    struct transfer *one = *link;
    if (one->over) {
      *link = one->next;
      content_free(one->content);
      free(one);
    } else link = &one->next;
  }
}
