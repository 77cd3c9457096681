/* One file on its way to one client (RFC 1350, 2347, 2349, 7440). Times are microseconds of a clock that no one sets. */
#ifndef TRANSFER_H
#define TRANSFER_H
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "content.h"

/* How it goes; agreed with the client, or decided, before it begins. */
struct terms {
  uint32_t block_size;
  /* Blocks sent before an acknowledgement is awaited. */
  uint32_t window;
  /* Until a retransmission, at most. */
  int64_t longest;
  /* Without any progress, until the client is given up; and of the whole transfer. */
  int64_t silence, lifetime;
  /* The OACK; empty: none is sent. */
  const unsigned char *options;
  size_t options_size;
};

enum result { SENT, ABORTED, LOST };

struct transfer {
  uint32_t id;
  /* Ours. */
  int socket;
  struct sockaddr_in peer;
  struct content *content;
  struct terms terms;
  /* Blocks in all; acknowledged (-1 while the OACK is not); sent, from the first without a gap. */
  int64_t blocks, acknowledged, sent;
  /* The acknowledgement after which a window was sent again: once is enough, more would double the traffic. */
  int64_t rewound_at;
  /* Smoothed round trip (-1: none was measured), its deviation, and how long to wait for an acknowledgement. */
  int64_t smoothed, deviation, wait;
  int64_t progress_at, sent_at, deadline;
  /* Times in a row that nothing came in time. */
  unsigned repeats;
  /* The client has answered: its address is its own. */
  bool verified;
  /* The kernel had no room: it never left. */
  bool unsent;
  bool over;
  struct transfer *next, *next_same_hash;
};

struct transfer *transfer_begin(uint32_t id, int socket, const struct sockaddr_in *peer, struct content *content,
                                const struct terms *terms, int64_t now);
struct transfer *transfer_of(int socket, const struct sockaddr_in *peer);
struct transfer *transfer_named(uint32_t id);
/* A datagram of the client, whatever it holds. */
void transfer_receive(struct transfer *transfer, const unsigned char *bytes, size_t size, int64_t now);
/* Ends it from our side; a client that has answered is told. */
void transfer_stop(struct transfer *transfer, const char *reason);
/* Sends again what is due; true while there are any. */
bool transfers_tick(int64_t now);
/* Frees those that are over. Nothing of theirs may wait to be sent. */
void transfers_reap(void);

#endif
