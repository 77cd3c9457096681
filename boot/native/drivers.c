/* The drivers of a bundle, in one process instead of one for each. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

#define DRIVERS OWN "/drivers"

/* finit_module(2): the kernel unpacks the file itself, where it was built to. */
enum { UNPACK = 4 };

/* `NAME.ko`, and packed `NAME.ko.xz` and the like. */
static int is_driver(const struct dirent *entry) {
  const char *kind = strstr(entry->d_name, ".ko");
  return kind && (kind[3] == 0 || kind[3] == '.');
}

static int load(int directory, const char *name, int packed) {
  int file = openat(directory, name, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  long done = syscall(SYS_finit_module, file, "", packed ? UNPACK : 0);
  int why = errno;
  close(file);
  errno = why;
  return done == 0 || why == EEXIST ? 0 : -1;
}

void load_drivers(void) {
  struct dirent **drivers;
  int directory = open(DRIVERS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int count = directory < 0 ? 0 : scandir(DRIVERS, &drivers, is_driver, alphasort);
  for (int i = 0, left = 0; i < count; i++) {
    const char *name = drivers[i]->d_name;
    int packed = name[strlen(name) - 1] != 'o', failed = left || load(directory, name, packed) < 0;
    /* What comes behind one that is left to others may need it. */
    left |= failed && packed;
    if (left) printf(DRIVERS "/%s\n", name);
    else if (failed) fprintf(stderr, "bootloom: %s: %s\n", name, strerror(errno));
    if (!left) unlinkat(directory, name, 0);
  }
  /* Empty, unless some are left to others. */
  rmdir(DRIVERS);
}
