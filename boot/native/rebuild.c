#define _GNU_SOURCE
#include "rebuild.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "escape.h"
#include "sha256.h"

struct member {
  unsigned mode, uid, gid, mtime, inode, links, major, minor;
  size_t size;
  const char *path;
};

static off_t put(int file, off_t at, const void *bytes, size_t length) {
  return pwrite(file, bytes, length, at) == (ssize_t)length ? at + (off_t)length : -1;
}

static off_t pad(int file, off_t at) {
  size_t missing = (size_t)(-at & 3);
  return missing ? put(file, at, "\0\0\0", missing) : at;
}

/* newc (kernel document driver-api/early-userspace/buffer-format). */
static off_t put_head(int file, off_t at, const struct member *of) {
  char head[111 + 4096];
  int length = snprintf(head, sizeof head, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X%s", of->inode,
                        of->mode, of->uid, of->gid, of->links, of->mtime, of->size, 0, 0, of->major, of->minor,
                        strlen(of->path) + 1, 0, of->path);
  if (length < 0 || (size_t)length >= sizeof head) return -1;
  at = put(file, at, head, (size_t)length + 1);
  return at < 0 ? -1 : pad(file, at);
}

static off_t put_end(int file, off_t at) {
  struct member end = {.links = 1, .path = "TRAILER!!!"};
  return put_head(file, at, &end);
}

/* What is digested is what was copied, whatever becomes of the file meanwhile. */
static off_t copy(const struct member *of, const char *hex, int file, off_t at) {
  static char buffer[65536];
  char found[65], place[4097];
  struct sha256 sha;
  struct stat about;
  size_t left = of->size;
  snprintf(place, sizeof place, "/%s", of->path);
  int from = open(place, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (from < 0) return -1;
  if (fstat(from, &about) < 0 || !S_ISREG(about.st_mode) || (size_t)about.st_size != of->size) at = -1;
  sha256_begin(&sha);
  while (at >= 0 && left > 0) {
    ssize_t got = read(from, buffer, left < sizeof buffer ? left : sizeof buffer);
    if (got <= 0) at = -1;
    else {
      sha256_add(&sha, buffer, (size_t)got);
      at = put(file, at, buffer, (size_t)got);
      left -= (size_t)got;
    }
  }
  close(from);
  sha256_end(&sha, found);
  return at >= 0 && strcmp(found, hex) == 0 ? pad(file, at) : -1;
}

static off_t rebuild_member(char *line, int file, off_t at) {
  struct member of = {0};
  int names = 0;
  if (sscanf(line, "%o\t%u\t%u\t%u\t%u\t%u\t%zu\t%n", &of.mode, &of.uid, &of.gid, &of.mtime, &of.inode, &of.links, &of.size,
             &names) != 7 || names == 0)
    return -1;
  char *holds = line + names, *path = strchr(holds, '\t');
  if (!path) return -1;
  *path++ = 0;
  unescape(path);
  of.path = path;
  if (*path == 0 || *path == '/' || strlen(path) > 4094) return -1;
  if (S_ISCHR(of.mode) || S_ISBLK(of.mode)) {
    if (sscanf(holds, "%u:%u", &of.major, &of.minor) != 2) return -1;
  }
  if (!S_ISLNK(of.mode)) {
    at = put_head(file, at, &of);
    return at >= 0 && S_ISREG(of.mode) && of.size > 0 ? copy(&of, holds, file, at) : at;
  }
  /* A link's target is all that it is: nothing of it need stand in the root. */
  unescape(holds);
  if (strlen(holds) != of.size || (at = put_head(file, at, &of)) < 0) return -1;
  at = put(file, at, holds, of.size);
  return at < 0 ? -1 : pad(file, at);
}

off_t rebuild(char *lines, int file, off_t at) {
  char *rest;
  for (char *line = strtok_r(lines, "\n", &rest); line && at >= 0; line = strtok_r(NULL, "\n", &rest))
    at = rebuild_member(line, file, at);
  return at < 0 ? -1 : put_end(file, at);
}

off_t rebuild_one(const char *directory, const char *path, const unsigned char *content, size_t size, int file, off_t at) {
  struct member above = {.mode = S_IFDIR | 0700, .inode = 1, .links = 2, .path = directory};
  struct member of = {.mode = S_IFREG | 0600, .inode = 2, .links = 1, .size = size, .path = path};
  if ((at = put_head(file, at, &above)) < 0 || (at = put_head(file, at, &of)) < 0) return -1;
  if ((at = put(file, at, content, size)) < 0 || (at = pad(file, at)) < 0) return -1;
  return put_end(file, at);
}
