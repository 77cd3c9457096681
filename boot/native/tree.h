/* What the stack has and the bundle lacks, as src/compose/absent.ts writes it: a tree of names and attributes. */
#ifndef TREE_H
#define TREE_H
#include <stdint.h>

struct paged;

struct entry {
  char *path, *name;
  /* Of a symbolic link; NULL otherwise. */
  char *target;
  /* 64 digits, of a file; NULL otherwise. */
  char *hex;
  uint64_t size, mtime;
  /* With the bits of its type. */
  uint32_t mode, uid, gid;
  uint32_t parent, first, next;
  /* The bundle lacks it; a directory that only leads to such is not told of. */
  char lacking;
  /* Told to the server already. */
  volatile char told;
  /* Of a file of which only some pages are here (paged.h); NULL otherwise. */
  struct paged *paged;
};

/* entries[1] is the root; the index is the node id of FUSE. */
extern struct entry *entries;
extern uint32_t entries_count;

/* 0 when the file was read and understood. */
int tree_load(const char *file);

/* The entry of this name in a directory; 0 when there is none. */
uint32_t tree_find(uint32_t parent, const char *name);
#endif
