/*
 * A look-up tells of DEPTH directories above a name (probes.h). Those further up are found by looking: a name is missed in
 * a directory that is there, so it is one of those on the root file system that end in the same names.
 */
#include "deep.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lookups.h"
#include "probes.h"
#include "server.h"

/* More than any bundle has; what an application makes may be without end. */
#define MOST 65536

static char **found;
static size_t count, room;
static dev_t device;

static void add(const char *path) {
  if (count == MOST) return;
  if (count == room) {
    char **larger = realloc(found, (room + 512) * sizeof *found);
    if (!larger) return;
    found = larger;
    room += 512;
  }
  if ((found[count] = strdup(path))) count++;
}

static void walk(char path[PATH], size_t length, int depth) {
  int place = open(length ? path : "/", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC);
  DIR *directory = place < 0 ? NULL : fdopendir(place);
  if (!directory) {
    if (place >= 0) close(place);
    return;
  }
  for (struct dirent *entry; (entry = readdir(directory));) {
    struct stat about;
    size_t size = strlen(entry->d_name);
    if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (length + size + 2 > PATH || depth == PATH / 2) continue;
    if (fstatat(place, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) < 0 || about.st_dev != device) continue;
    path[length] = '/';
    memcpy(path + length + 1, entry->d_name, size + 1);
    if (depth >= DEPTH) add(path);
    walk(path, length + 1 + size, depth + 1);
    path[length] = 0;
  }
  closedir(directory);
}

/* At most once a second, and only where something deep was missed in a directory that is not known yet. */
static int list_again(void) {
  static long listed;
  struct stat about;
  if ((listed && now_ms() - listed < 1000) || stat("/", &about) < 0) return 0;
  while (count > 0) free(found[--count]);
  static char path[PATH];
  path[0] = 0;
  device = about.st_dev;
  walk(path, 0, 1);
  listed = now_ms();
  return 1;
}

static const char *search(const char *tail, size_t from) {
  size_t size = strlen(tail);
  for (size_t i = from; i < count; i++) {
    size_t length = strlen(found[i]);
    if (length >= size && strcmp(found[i] + length - size, tail) == 0) return found[i];
  }
  return NULL;
}

const char *deep_next(const char *tail, const char *before) {
  size_t from = 0;
  while (before && from < count && found[from++] != before) continue;
  const char *next = search(tail, from);
  return next || before || !list_again() ? next : search(tail, 0);
}
