/* What a running node needs to enter its next bundle: out of its own root where it has it, else from the server. */
#ifndef GATHER_H
#define GATHER_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "server.h"

/* What the server tells of the next boot: places on it, and the kernel's SHA-256. */
struct next {
  char kernel[160], digest[65], initramfs[160], overlay[160], recipe[160], command[2048];
  size_t kernel_size, initramfs_size;
};

/* In memory, as long as this process lives. */
struct mapped {
  const unsigned char *bytes;
  size_t size;
};

/* Bytes left to the application while all of this is in memory. */
#define MARGIN (16ull << 20)

/* For who looks at the boot's timeline. */
extern struct tally {
  size_t fetched, rebuilt;
  int kernel_kept, kernel_unpacked;
} tally;

/* Bytes, by a name of /proc/meminfo. */
uint64_t memory(const char *name);

/* Nothing, when it cannot be. */
struct mapped map(int file);

/* The file of the kernel image that the boot before handed on, when it is this one; any other is in the way. -1 without. */
int kept_kernel(const struct next *next);

/* Appends what is at a place to a file at `from`; how long it is then, or -1. A server that is busy is asked again. */
off_t bring(const struct server *server, const char *place, long size, int file, off_t from, long deadline);

/* The initramfs without the overlay, to an empty file; `spare` bytes of memory may be taken beyond its own. Its length, or -1. */
off_t bring_initramfs(const struct server *server, const struct next *next, uint64_t spare, int file, long deadline);

/* Puts this node's lease behind an initramfs of `at` bytes. How long it is then. */
off_t hand_on_lease(int file, off_t at);

/* Puts the kernel behind an initramfs of `at` bytes, where there is plenty of memory. How long it is then. */
off_t hand_on_kernel(const struct next *next, struct mapped kernel, int file, off_t at);
#endif
