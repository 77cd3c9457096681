#define _GNU_SOURCE
#include "gather.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "rebuild.h"
#include "sha256.h"

/* A kernel image is handed on to the next boot, for the one after it, where it is so small a part of the memory. */
static const uint64_t kept_share = 64;
/* What is rebuilt is not compressed, and stands beside itself while the next kernel unpacks it. */
static const uint64_t rebuilt_share = 8;
/* Bytes of a recipe. */
static const size_t longest_recipe = 16 << 20;

struct tally tally;

struct coming {
  int file;
  off_t at;
};

static int take_file(void *state, const char *bytes, size_t length) {
  struct coming *coming = state;
  if (pwrite(coming->file, bytes, length, coming->at) != (ssize_t)length) return -1;
  coming->at += (off_t)length;
  return 0;
}

uint64_t memory(const char *name) {
  unsigned long long kilobytes = 0;
  char line[128];
  size_t length = strlen(name);
  FILE *file = fopen("/proc/meminfo", "re");
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, name, length) == 0 && sscanf(line + length, ": %llu", &kilobytes) == 1) break;
  if (file) fclose(file);
  return kilobytes * 1024;
}

off_t bring(const struct server *server, const char *place, long size, int file, off_t from, long deadline) {
  while (now_ms() < deadline) {
    struct coming coming = {.file = file, .at = from};
    int status = server_ask(server, place, NULL, 0, size, deadline, take_file, &coming);
    if (status == (*server->more ? 206 : 200) && (size < 0 || coming.at - from == size)) {
      tally.fetched += (size_t)(coming.at - from);
      return coming.at;
    }
    if (status > 0 && status != 200 && status != 429 && status != 503) return -1;
    usleep(500000);
  }
  return -1;
}

struct mapped map(int file) {
  struct stat about;
  struct mapped mapped = {NULL, 0};
  if (file < 0 || fstat(file, &about) < 0 || about.st_size == 0) return mapped;
  void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, file, 0);
  if (bytes != MAP_FAILED) mapped = (struct mapped){bytes, (size_t)about.st_size};
  return mapped;
}

int kept_kernel(const struct next *next) {
  char path[160], found[65];
  struct sha256 sha;
  DIR *directory = opendir(KEPT);
  for (struct dirent *entry; directory && (entry = readdir(directory));) {
    if (strcmp(entry->d_name, next->digest) == 0 || *entry->d_name == '.') continue;
    snprintf(path, sizeof path, KEPT "/%.64s", entry->d_name);
    unlink(path);
  }
  if (!directory) return -1;
  closedir(directory);
  snprintf(path, sizeof path, KEPT "/%s", next->digest);
  int file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  struct mapped kernel = map(file);
  sha256_begin(&sha);
  if (kernel.bytes) sha256_add(&sha, kernel.bytes, kernel.size);
  sha256_end(&sha, found);
  if (kernel.bytes) munmap((void *)kernel.bytes, kernel.size);
  if (kernel.size == next->kernel_size && strcmp(found, next->digest) == 0) return file;
  if (file >= 0) close(file);
  unlink(path);
  return -1;
}

static int take_recipe(void *state, const char *bytes, size_t length) {
  struct mapped *recipe = state;
  char *more = recipe->size + length < longest_recipe ? realloc((void *)recipe->bytes, recipe->size + length + 1) : NULL;
  if (!more) return -1;
  memcpy(more + recipe->size, bytes, length);
  more[recipe->size + length] = 0;
  *recipe = (struct mapped){(unsigned char *)more, recipe->size + length};
  return 0;
}

/* What lies between two offsets of the initramfs. */
static off_t bring_part(const struct server *server, const struct next *next, size_t from, size_t to, int file, off_t at,
                        long deadline) {
  struct server with = *server;
  if (to == from) return at;
  snprintf(with.more, sizeof with.more, "Range: bytes=%zu-%zu\r\n", from, to - 1);
  return bring(&with, next->initramfs, (long)(to - from), file, at, deadline);
}

/* The initramfs by its recipe: what this node still has out of its own root, the rest fetched. */
static off_t assemble(const struct server *server, const struct next *next, char *recipe, int file, long deadline) {
  size_t fetched = 0, offset = 0;
  off_t at = 0;
  for (char *segment = recipe; segment && *segment == '=';) {
    char *lines = strchr(segment, '\n'), *following = strstr(segment, "\n=");
    size_t size = strtoul(segment + 1, NULL, 10);
    if (following) *following++ = 0;
    if (lines && lines + 1 != following && *++lines != 0) {
      if ((at = bring_part(server, next, fetched, offset, file, at, deadline)) < 0) return -1;
      fetched = offset;
      off_t end = rebuild(lines, file, at);
      if (end >= 0) {
        tally.rebuilt += (size_t)(end - at);
        at = end;
        fetched = offset + size;
      }
    }
    offset += size;
    segment = following;
  }
  if (offset != next->initramfs_size) return -1;
  return bring_part(server, next, fetched, offset, file, at, deadline);
}

/* Bytes of all files that a recipe names. */
static uint64_t recipe_bytes(const char *recipe) {
  uint64_t sum = 0;
  for (const char *line = recipe; line; line = strchr(line, '\n')) {
    size_t size = 0;
    if (*line == '\n') line++;
    if (sscanf(line, "%*o\t%*u\t%*u\t%*u\t%*u\t%*u\t%zu", &size) == 1) sum += size;
  }
  return sum;
}

off_t bring_initramfs(const struct server *server, const struct next *next, uint64_t spare, int file, long deadline) {
  struct mapped recipe = {NULL, 0};
  uint64_t bytes = 0;
  off_t at = -1;
  if (*next->recipe && server_ask(server, next->recipe, NULL, 0, -1, now_ms() + 10000, take_recipe, &recipe) == 200 &&
      recipe.bytes)
    bytes = recipe_bytes((char *)recipe.bytes);
  if (bytes > 0 && 2 * bytes < spare && bytes < memory("MemTotal") / rebuilt_share)
    at = assemble(server, next, (char *)recipe.bytes, file, deadline);
  free((void *)recipe.bytes);
  if (at >= 0) return at;
  tally.rebuilt = 0;
  return ftruncate(file, 0) < 0 ? -1 : bring(server, next->initramfs, (long)next->initramfs_size, file, 0, deadline);
}

off_t hand_on_lease(int file, off_t at) {
  int lease = open(LEASE, O_RDONLY | O_CLOEXEC);
  struct mapped content = map(lease);
  off_t end = content.bytes ? rebuild_one(&KEPT[1], &KEPT_LEASE[1], content.bytes, content.size, file, at) : -1;
  if (content.bytes) munmap((void *)content.bytes, content.size);
  if (lease >= 0) close(lease);
  return end < 0 ? at : end;
}

off_t hand_on_kernel(const struct next *next, struct mapped kernel, int file, off_t at) {
  if (memory("MemTotal") < kept_share * kernel.size || memory("MemAvailable") < 3 * kernel.size + 2 * (uint64_t)at + MARGIN)
    return at;
  char path[160];
  snprintf(path, sizeof path, "%s/%s", &KEPT[1], next->digest);
  off_t end = rebuild_one(&KEPT[1], path, kernel.bytes, kernel.size, file, at);
  return end < 0 ? at : end;
}
