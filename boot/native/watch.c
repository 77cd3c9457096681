/*
 * Tells the server which files of the stack an application asks for that its bundle lacks.
 *
 *   watch NAMES SERVER MAC BOOT
 *
 * A kprobe on simple_lookup, which tmpfs calls only for names that are not there, costs files that are there nothing
 * (kernel documents trace/kprobetrace and trace/events); over an image of the packages it is one on ovl_lookup. It sees the first name that is missing; a second probe on
 * __lookup_slow sees the rest of the path behind it. What is not in NAMES is not told: sorted 32-bit FNV-1a hashes of
 * the paths, and of the directories that they stand in with a slash behind, little-endian. The server knows the paths
 * themselves and drops the few that only share a hash.
 * Returns once it watches; its child goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deep.h"
#include "lookups.h"
#include "probes.h"
#include "reports.h"
#include "say.h"
#include "server.h"
#include "storms.h"

#define KNOWN 2048

static const uint32_t *names;
static size_t names_count;
/* In an overlay each name on the way to a missing one is looked up, and tells of it: how often is not known. */
static int once;

/* Microseconds that misses gather before they are read: one wake-up for many. */
static const unsigned pause_between = 50000;

static int in_stack(const char *path) {
  uint32_t hash = 2166136261u;
  for (; *path; path++) hash = (hash ^ (unsigned char)*path) * 16777619u;
  size_t low = 0, high = names_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (names[middle] == hash) return 1;
    if (names[middle] < hash) low = middle + 1;
    else high = middle;
  }
  return 0;
}

/* Misses, with how often they came since they were told. */
static struct miss {
  char *path, process[16];
  int pid;
  unsigned since;
} known[KNOWN];
static unsigned known_count;

/* What finds no room in the report counts on, and is told with the next repeats. */
static void tell(struct miss *miss) {
  if (miss->since > 0 && reports_add(miss->pid, miss->process, miss->since, "missed", 0, miss->path) == 0) miss->since = 0;
}

static void tell_repeats(void) {
  for (unsigned i = 0; i < known_count; i++) tell(&known[i]);
}

/* What of the stack was wanted there; 0 when it is nothing of it. */
static int missed_in(const char *directory, const struct lookup *lookup) {
  char path[PATH];
  const char *process = lookup->process;
  struct stat about;
  lookup_path(directory, lookup, path);
  if (!in_stack(path)) return 0;
  /* A file that was being made is there now. */
  if (lstat(path, &about) == 0) return 1;
  unsigned i = 0;
  while (i < known_count && strcmp(known[i].path, path) != 0) i++;
  if (i == KNOWN) return 1;
  int fresh = i == known_count;
  if (!fresh && once) return 1;
  if (fresh) {
    if (!(known[i].path = strdup(path))) return 1;
    known_count++;
    say("%s [%d] asked for %s, which the bundle lacks", process, lookup->pid, path);
    if (known_count == KNOWN) say("%d names were missed; others are not told", KNOWN);
  }
  known[i].since++;
  known[i].pid = lookup->pid;
  snprintf(known[i].process, sizeof known[i].process, "%s", process);
  if (fresh) tell(&known[i]);
  return 1;
}

static void missed(const struct lookup *lookup) {
  if (!lookup->is_tail) {
    if (!missed_in(lookup->directory, lookup)) storms_count(lookup, in_stack);
    return;
  }
  /* Where several end alike, what the stack has in each of them is told. */
  for (const char *place = NULL; (place = deep_next(lookup->directory, place));) missed_in(place, lookup);
}

/*
 * Lines that may still be read at once, and a hundred a second from then on: what a storm consists of is left out in the
 * kernel soon; of one that is of ever new names in many directories, the older lines are overwritten unread.
 */
static long credit = 2000;

static void slow_down(long lines) {
  static long before;
  long now = now_ms();
  credit += (now - before) / 10 - lines;
  if (credit > 2000) credit = 2000;
  before = now;
  if (credit < 0) usleep((useconds_t)(credit < -400 ? 400 : -credit) * 10000);
}

static void watch(int pipe) {
  static char buffer[32768];
  static struct lookup lookup;
  size_t held = 0;
  long told = now_ms(), lines = 0;
  for (;;) {
    struct pollfd wait = {.fd = pipe, .events = POLLIN};
    /* Seen under load: no wake-up for what came while the buffer was being read. */
    if (poll(&wait, 1, 1000) > 0) usleep(pause_between);
    lines = 0;
    /* Not until nothing is left: of a storm, nothing ever is. */
    for (ssize_t got; lines < 400 && (got = read(pipe, buffer + held, sizeof buffer - 1 - held)) > 0;) {
      held += (size_t)got;
      buffer[held] = 0;
      char *line = buffer;
      for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        if (lookup_read(line, &lookup) == 0) missed(&lookup);
        lines++;
      }
      held -= (size_t)(line - buffer);
      memmove(buffer, line, held);
      /* A line that does not fit is none of ours; nor is one with a zero byte. */
      if (held >= sizeof buffer - 1 || memchr(buffer, 0, held)) held = 0;
    }
    slow_down(lines);
    if (now_ms() - told > 30000) {
      tell_repeats();
      told = now_ms();
    }
  }
}

int main(int count, char **words) {
  static struct server server;
  struct stat about;
  if (count != 5 || server_parse(&server, words[2], words[3], words[4]) < 0) {
    fprintf(stderr, "usage: watch NAMES http://ADDRESS:PORT MAC BOOT\n");
    return 2;
  }
  int file = open(words[1], O_RDONLY | O_CLOEXEC), watching[2];
  if (file < 0 || fstat(file, &about) < 0) return 1;
  names = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, file, 0);
  names_count = (size_t)about.st_size / sizeof *names;
  if (names == MAP_FAILED || pipe2(watching, O_CLOEXEC) < 0) return 1;
  pid_t child = fork();
  if (child != 0) {
    char any;
    close(watching[1]);
    return child > 0 && read(watching[0], &any, 1) == 1 ? 0 : 1;
  }
  setsid();
  signal(SIGPIPE, SIG_IGN);
  once = probes_in_overlay();
  int events = probes_open();
  if (events < 0) {
    say("misses are not seen: %s", strerror(errno));
    return 1;
  }
  reports_start(&server);
  if (write(watching[1], "", 1) != 1) return 1;
  close(watching[0]);
  close(watching[1]);
  watch(events);
}
