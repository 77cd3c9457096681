/* What init has done in C, and what the server can tell a running node to do. */
#ifndef AGENT_H
#define AGENT_H
#include <stddef.h>

#include "server.h"

/* All that is ours on a node. */
#define OWN "/.bootloom"

/* Where init keeps what it makes at run time. */
#define RUN OWN "/run"

/* Where a kernel image stands that the boot before handed on, by its SHA-256. */
#define KEPT OWN "/kept"

/* Prints how many paths were unpacked, mounts what every process expects, and brings the loopback interface up. */
void begin(void);

/*
 * Loads the drivers that stand in drivers/, in the order of their names, and takes them away. From the first one on that is
 * packed as the kernel does not unpack it, they are left, and their paths printed.
 */
void load_drivers(void);

/*
 * Brings the interface with a MAC address up, the first one where that is "", and goes on with the lease that was handed on.
 * Prints its name, and behind it the address and the seconds that are left of it if it has one. -1 without an interface.
 */
int connect_network(const char *mac);

/* Sends the reports named on standard input until it ends. */
void tell_reports(const struct server *server);

/*
 * Whether what listens on a TCP port of this node answers as it should: by the status of HTTP unless that is NULL, and with
 * what stands in app/NAME.expect, when app/NAME.send was sent. It is waited for a second for somebody to listen.
 */
int probe(const char *name, int port, const char *status);

/* The lease of this node's address, as lease.c notes it, and where the next boot finds it. */
#define LEASE RUN "/lease"
#define KEPT_LEASE KEPT "/lease"

/* An answer in lines of a name, `=` and a value. */
struct text {
  char bytes[4096];
  size_t held;
};

/* Takes an answer that fits (server.h); `state` is a struct text with nothing held. */
int text_take(void *state, const char *bytes, size_t length);

/* Copies the value of a name; NULL, and nothing in `out`, where there is none or it does not fit. */
const char *text_value(const struct text *text, const char *name, char *out, size_t size);

/* As server_ask, with more behind the identity, such as "&stage=jump"; `length` of an answer is not known. */
int ask_more(const struct server *server, const char *path, const char *more, const char *body, size_t body_length,
             long deadline, take_body take, void *state);

/*
 * Makes the kernel and the bundle that this node is to boot next ready in memory, so that `agent jump` enters them.
 * NULL, or why that cannot be: the node then goes through its firmware.
 */
const char *kexec_prepare(const struct server *server, const char *url, const char *mac);

/* Enters what kexec_prepare made ready; returns only when there is nothing. */
void kexec_jump(void);

/* Tells the server what stands in this node's root, with digests; `order` names who asked for it. */
void drift_tell(const struct server *server, const char *order);

/* Tells the server where this node's memory is. */
void weigh_tell(const struct server *server, const char *order);
#endif
