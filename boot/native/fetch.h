/* Contents by their digest: from what was fetched before, or from the server. */
#ifndef FETCH_H
#define FETCH_H
#include <stddef.h>
#include <stdint.h>

#include "server.h"

/* Milliseconds after which a caller is given an error, whatever the server does. */
#define FETCH_DEADLINE 10000

/* `directory` keeps what is fetched; `server` stays the caller's. */
void fetch_from(const struct server *server, const char *directory);

/* Whether the content is here. */
int fetch_has(const char *hex);

/* Reads a part of a content that is here; the bytes read, or -1. */
long fetch_read(const char *hex, void *bytes, size_t length, uint64_t offset);

/*
 * Brings a content here, checked, until the deadline (of now_ms). What became of it, in the words of reports.h:
 * `fetched`, `away`, `refused` or `corrupt`.
 */
const char *fetch_bring(const char *hex, uint64_t size, long deadline);
#endif
