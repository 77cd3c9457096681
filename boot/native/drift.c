/*
 * What stands in the root of this node, a line for each path: its type's letter, mode (octal), owner, group, bytes, what
 * it holds (SHA-256 of a file, target of a link, `-` for anything else), and the path; tabs between, and %XX for what may
 * not stand in a line. A line of the type `w` says that what the layers below the upper one have there is gone. Only the root's own file system: not /proc, /sys, /dev, nor what the application mounted.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent.h"
#include "sha256.h"

/* Where the bundle stands when it is the upper layer of an overlay (boot/layers.sh). */
static const char *const upper = "/.bootloom/layers/up";
/* Made at run time, by us and by whoever runs here. */
static const char *const passed_over[] = {"/run", RUN, KEPT, "/.bootloom/layers"};
/* Below the bodyLimit of the server's route. */
static const size_t most = 8 << 20;

static struct {
  char *text;
  size_t held, room;
} told;

static void tell(const char *text, size_t length) {
  if (told.held + length + 1 > told.room) {
    size_t room = told.room * 2 + length + 65536;
    char *more = room > 2 * most ? NULL : realloc(told.text, room);
    if (!more) return;
    told.text = more;
    told.room = room;
  }
  memcpy(told.text + told.held, text, length);
  told.held += length;
}

static void tell_escaped(const char *text) {
  char code[4];
  for (; *text; text++) {
    unsigned char letter = (unsigned char)*text;
    if (letter > 0x20 && letter < 0x7f && letter != '%') tell(text, 1);
    else tell(code, (size_t)snprintf(code, sizeof code, "%%%02X", letter));
  }
}

static void digest_of(const char *place, char *hex) {
  static char buffer[65536];
  struct sha256 sha;
  ssize_t got = -1;
  int file = open(place, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  sha256_begin(&sha);
  while (file >= 0 && (got = read(file, buffer, sizeof buffer)) > 0) sha256_add(&sha, buffer, (size_t)got);
  if (file >= 0) close(file);
  sha256_end(&sha, hex);
  /* Gone meanwhile, or unreadable. */
  if (got < 0) strcpy(hex, "-");
}

static char letter_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return 'f';
    case S_IFDIR: return 'd';
    case S_IFLNK: return 'l';
    case S_IFCHR: return 'c';
    case S_IFBLK: return 'b';
    case S_IFIFO: return 'p';
    default: return 's';
  }
}

/* A directory made anew over one that was taken away: nothing of that is seen (kernel document filesystems/overlayfs). */
static int is_opaque(const char *place, const struct stat *about) {
  char value;
  return S_ISDIR(about->st_mode) && getxattr(place, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

/* What an overlay took away of the layers below. */
static void tell_gone(const char *path) {
  tell("w\t0\t0\t0\t0\t-\t", strlen("w\t0\t0\t0\t0\t-\t"));
  tell_escaped(path);
  tell("\n", 1);
}

static void tell_one(const char *place, const char *path, const struct stat *about) {
  char line[96], held[4097];
  strcpy(held, "-");
  if (S_ISREG(about->st_mode)) digest_of(place, held);
  if (S_ISLNK(about->st_mode)) {
    ssize_t length = readlink(place, held, sizeof held - 1);
    held[length < 0 ? 0 : length] = 0;
  }
  tell(line, (size_t)snprintf(line, sizeof line, "%c\t%o\t%u\t%u\t%llu\t", letter_of(about->st_mode),
                              about->st_mode & 07777, about->st_uid, about->st_gid,
                              S_ISREG(about->st_mode) ? (unsigned long long)about->st_size : 0));
  tell_escaped(held);
  tell("\t", 1);
  tell_escaped(path);
  tell("\n", 1);
}

/* `place` is where it stands, `from` of its letters are what the bundle's root is called here. */
static void walk(char *place, size_t from, dev_t device) {
  size_t length = strlen(place);
  DIR *directory = opendir(length ? place : "/");
  if (!directory) return;
  for (struct dirent *entry; (entry = readdir(directory)) && told.held < most;) {
    struct stat about;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (length + strlen(entry->d_name) + 2 > 4096) continue;
    sprintf(place + length, "/%s", entry->d_name);
    const char *path = place + from;
    int passed = 0;
    for (size_t i = 0; i < sizeof passed_over / sizeof *passed_over; i++) passed |= strcmp(path, passed_over[i]) == 0;
    if (passed || lstat(place, &about) < 0 || about.st_dev != device) continue;
    int gone = S_ISCHR(about.st_mode) && about.st_rdev == makedev(0, 0);
    if (gone || is_opaque(place, &about)) tell_gone(path);
    if (gone) continue;
    tell_one(place, path, &about);
    if (S_ISDIR(about.st_mode)) walk(place, from, device);
  }
  place[length] = 0;
  closedir(directory);
}

void drift_tell(const struct server *server, const char *order) {
  struct stat root;
  char place[4097] = "", more[64];
  setpriority(PRIO_PROCESS, 0, 10);
  if (access(upper, F_OK) == 0) strcpy(place, upper);
  told.held = 0;
  if (lstat(*place ? place : "/", &root) == 0) walk(place, strlen(place), root.st_dev);
  /* What is ours is no part of that layer. */
  if (*place && lstat("/.bootloom", &root) == 0) walk(strcpy(place, "/.bootloom"), 0, root.st_dev);
  snprintf(more, sizeof more, "&order=%s", order);
  ask_more(server, "/drift", more, told.text ? told.text : "", told.held, now_ms() + 120000, NULL, NULL);
  free(told.text);
  memset(&told, 0, sizeof told);
  setpriority(PRIO_PROCESS, 0, 0);
}
