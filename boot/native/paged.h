/* Files of which only some pages are here. A page that is not here is never given as zeroes. */
#ifndef PAGED_H
#define PAGED_H
#include <stdint.h>

#include "tree.h"

#define PAGE 4096

/* What a page that is not here is. */
enum policy {
  /* Nothing of that sort is mounted: contents are brought whole before they are opened. */
  NO_PAGES,
  /* An error of read(), SIGBUS where it is mapped; told to the server, or to a file. */
  DENIED,
  /* The whole content is brought while the reader waits. */
  FETCHED,
  /* All are here, and it is noted which were read. */
  RECORDED,
  /* Told, and given from the whole file all the same: so that one run shows all of them. */
  REPLAYED,
};

extern enum policy paged_policy;

/* Pages that are here, as ascending ranges (`0-3,7`), or `-` for none; 0 when it was understood. */
int paged_parse(struct entry *entry, const char *ranges);

/*
 * Where the pages that are here stand, one behind another in a file of the content's name; and the root that has the files
 * whole, where there is one.
 */
void paged_from(const char *pages, const char *whole);

/* Opens what stands behind each file, before anything covers it. */
int paged_open(void);

/* Reads a part of a file; -1 when one of its pages is not here, and `page` is then the first of those. */
long paged_read(struct entry *entry, void *bytes, uint64_t length, uint64_t offset, uint64_t *page);

/* The same from the file as it is in full. */
long paged_read_whole(struct entry *entry, void *bytes, uint64_t length, uint64_t offset);

/* A page that was asked for in vain, or -1 for the file as such, that was to be written; told once each. */
void paged_missed(struct entry *entry, int64_t page, int pid, const char *process);

/* Where misses are told from now on, instead of to the server. */
void paged_tell(int file);

/* Writes a line for each file: how many pages were read, which, and its path. */
int paged_record(int file);

/* Mounts each file on its own path below `root`, made as an empty file where nothing stands there. */
int paged_bind(const char *mounted, const char *root);
#endif
