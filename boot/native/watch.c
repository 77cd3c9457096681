/*
 * Tells the server which files of the stack an application asks for that its bundle lacks.
 *
 *   watch NAMES SERVER MAC BOOT
 *
 * A kprobe on simple_lookup, which tmpfs calls only for names that are not there, costs files that are there nothing
 * (kernel documents trace/kprobetrace and trace/events). It sees the first name that is missing; a second probe on
 * __lookup_slow sees the rest of the path behind it. What is not in NAMES is not told: sorted 32-bit FNV-1a hashes of
 * the paths, little-endian. The server knows the paths themselves and drops the few that only share a hash.
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
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btf.h"
#include "reports.h"
#include "server.h"

#define TRACING "/sys/kernel/tracing"
/* Directories of a path that are fetched, `/` among them: an argument of a probe has 63 letters at most. */
#define DEPTH 8
#define PATH 4096

static const uint32_t *names;
static size_t names_count;

/* Microseconds that misses gather before they are read: one wake-up for many. */
static const unsigned pause_between = 50000;

static int write_to(const char *path, int flags, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC | flags);
  if (file < 0) return -1;
  size_t length = strlen(text);
  int done = write(file, text, length) == (ssize_t)length ? 0 : -1;
  close(file);
  return done;
}

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

/* Removes ".", ".." and doubled slashes as far as it goes without asking for links. */
static void tidy(char *path) {
  char out[PATH];
  size_t at = 0;
  for (char *name = strtok(path, "/"); name; name = strtok(NULL, "/")) {
    size_t length = strlen(name);
    if (strcmp(name, ".") == 0) continue;
    if (strcmp(name, "..") == 0) {
      while (at > 0 && out[--at] != '/') {}
      continue;
    }
    if (at + length + 2 > sizeof out) break;
    out[at++] = '/';
    memcpy(out + at, name, length);
    at += length;
  }
  out[at] = 0;
  strcpy(path, out);
}

/* The value of ` KEY="…"` from `from` on, ended in place; NULL when there is none. */
static char *value(char *from, const char *key, char **after) {
  char *begin = strstr(from, key);
  if (!begin) return NULL;
  begin += strlen(key);
  char *end = strchr(begin, '"');
  if (!end) return NULL;
  *end = 0;
  *after = end + 1;
  return begin;
}

/* Writes the directories n1, n2… of an event, outermost first; -1 when they are more or longer than was fetched. */
static int parents(char *from, char *path) {
  char *found[DEPTH + 1], key[8];
  int count = 0;
  for (int i = 1; i <= DEPTH; i++) {
    snprintf(key, sizeof key, " n%d=\"", i);
    char *name = value(from, key, &from);
    if (!name) return -1;
    if (strcmp(name, "/") == 0) break;
    if (i == DEPTH) return -1;
    found[count++] = name;
  }
  size_t at = 0;
  path[0] = 0;
  while (count > 0 && at < PATH) at += (size_t)snprintf(path + at, PATH - at, "/%s", found[--count]);
  if (at >= PATH) return -1;
  return (int)at;
}

/* Misses told already, with how often they came since. */
static struct miss {
  char *path, process[16];
  int pid;
  unsigned since;
} known[512];
static unsigned known_count;

static void missed(const char *path, int pid, const char *process) {
  struct stat about;
  /* A file that was being made is there now. */
  if (!in_stack(path) || lstat(path, &about) == 0) return;
  unsigned i = 0;
  while (i < known_count && strcmp(known[i].path, path) != 0) i++;
  if (i == known_count) {
    if (known_count == sizeof known / sizeof *known) return;
    known[known_count++].path = strdup(path);
    fprintf(stderr, "bootloom: %s [%d] asked for %s, which the bundle lacks\n", process, pid, path);
    reports_add(pid, process, 1, "missed", 0, path);
  } else known[i].since++;
  known[i].pid = pid;
  snprintf(known[i].process, sizeof known[i].process, "%s", process);
}

static void tell_repeats(void) {
  for (unsigned i = 0; i < known_count; i++) {
    if (known[i].since == 0) continue;
    reports_add(known[i].pid, known[i].process, known[i].since, "missed", 0, known[i].path);
    known[i].since = 0;
  }
}

/* What the walk probe said last of each process: the look-up that follows is of the first name in it. */
static struct walk {
  int pid;
  char rest[PATH];
} walks[16];
static unsigned next_walk;

/* What is wanted behind a name that is missing itself; "" when it is the last one. */
static const char *rest_behind(int pid, const char *name) {
  size_t length = strlen(name);
  for (int i = 0; i < 16; i++)
    if (walks[i].pid == pid && strncmp(walks[i].rest, name, length) == 0 && walks[i].rest[length] == '/') {
      walks[i].pid = 0;
      return walks[i].rest + length;
    }
  return "";
}

/* "         COMMAND-PID     [000] d..1.    12.345678: miss: (simple_lookup+0x0/0x50) n0=…" */
static void take_line(char *line) {
  char path[2 * PATH], process[17], *at;
  if (strlen(line) < 20 || line[16] != '-') return;
  memcpy(process, line, 16);
  process[16] = 0;
  int pid = atoi(line + 17), walking = 0;
  if (!(at = strstr(line + 17, ": miss: (")) && (at = strstr(line + 17, ": walk: ("))) walking = 1;
  char *name = at ? value(at, " n0=\"", &at) : NULL;
  if (!name) return;
  if (walking) {
    struct walk *walk = &walks[next_walk++ % 16];
    walk->pid = pid;
    snprintf(walk->rest, sizeof walk->rest, "%s", name);
    return;
  }
  int length = parents(at, path);
  if (length < 0) return;
  snprintf(path + length, sizeof path - (size_t)length, "/%s%s", name, rest_behind(pid, name));
  tidy(path);
  if (strlen(path) < PATH) missed(path, pid, process + strspn(process, " "));
}

/*
 * Lines that may still be read at once, and a hundred a second from then on: of a storm of misses that the stack does
 * not have either, such as requests for pages that are nowhere, the older ones are overwritten unread.
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
  size_t held = 0;
  long told = now_ms(), lines = 0;
  for (;;) {
    struct pollfd wait = {.fd = pipe, .events = POLLIN};
    /* Seen under load: no wake-up for what came while the buffer was being read. */
    if (poll(&wait, 1, 1000) > 0) usleep(pause_between);
    lines = 0;
    for (ssize_t got; (got = read(pipe, buffer + held, sizeof buffer - 1 - held)) > 0;) {
      held += (size_t)got;
      buffer[held] = 0;
      char *line = buffer;
      for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        take_line(line);
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

/* Both probes, for the file system that `/` is only. */
static int arm(void) {
  struct member at[] = {{"dentry", "d_parent", -1}, {"dentry", "d_name", -1}, {"dentry", "d_sb", -1}, {"qstr", "name", -1}};
  if (btf_offsets(at, 4) < 0) return -1;
  long parent = at[0].offset, name = at[1].offset + at[3].offset, sb = at[2].offset;
  char text[2048], chain[64];
  mount("tracefs", TRACING, "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  /* Before a probe is enabled: the buffer would be 1.4 MB for each processor. */
  write_to(TRACING "/buffer_size_kb", 0, "64");
  int size = sprintf(text, "p:bootloom/miss simple_lookup sb=+%ld(%%si):x64 n0=+0(+%ld(%%si)):string", sb, name);
  snprintf(chain, sizeof chain, "+%ld(%%si)", parent);
  for (int i = 1; i <= DEPTH; i++) {
    size += sprintf(text + size, " n%d=+0(+%ld(%s)):string", i, name, chain);
    char deeper[sizeof chain + 16];
    snprintf(deeper, sizeof deeper, "+%ld(%s)", parent, chain);
    snprintf(chain, sizeof chain, "%.63s", deeper);
  }
  if (write_to(TRACING "/kprobe_events", O_APPEND, text) < 0) return -1;
  /* Without this one, directories that are missing are told instead of what was wanted in them. */
  sprintf(text, "p:bootloom/walk __lookup_slow sb=+%ld(%%si):x64 n0=+0(+%ld(%%di)):string", sb, at[3].offset);
  write_to(TRACING "/kprobe_events", O_APPEND, text);
  return 0;
}

/* Finds out the super block of `/` by looking for something that is not there, and lets only its events through. */
static int only_root(int pipe) {
  char unlikely[64], line[4096], *at, filter[96];
  snprintf(unlikely, sizeof unlikely, "/.bootloom-%d", getpid());
  if (write_to(TRACING "/events/bootloom/miss/enable", 0, "1") < 0) return -1;
  access(unlikely, F_OK);
  access("/", F_OK);
  write_to(TRACING "/events/bootloom/miss/enable", 0, "0");
  unsigned long long sb = 0;
  for (ssize_t got; (got = read(pipe, line, sizeof line - 1)) > 0;) {
    line[got] = 0;
    if ((at = strstr(line, unlikely + 1)))
      while (at > line && sb == 0)
        if (strncmp(--at, " sb=", 4) == 0) sb = strtoull(at + 4, NULL, 16);
  }
  if (sb == 0) return -1;
  snprintf(filter, sizeof filter, "sb==0x%llx", sb);
  if (write_to(TRACING "/events/bootloom/miss/filter", 0, filter) < 0) return -1;
  snprintf(filter, sizeof filter, "sb==0x%llx && n0 ~ \"*/*\"", sb);
  if (write_to(TRACING "/events/bootloom/walk/filter", 0, filter) == 0)
    write_to(TRACING "/events/bootloom/walk/enable", 0, "1");
  return write_to(TRACING "/events/bootloom/miss/enable", 0, "1");
}

int main(int count, char **words) {
  static struct server server;
  struct stat about;
  if (count != 5 || server_parse(&server, words[2], words[3], words[4]) < 0) {
    fprintf(stderr, "usage: watch NAMES http://ADDRESS:PORT MAC BOOT\n");
    return 2;
  }
  int file = open(words[1], O_RDONLY | O_CLOEXEC);
  if (file < 0 || fstat(file, &about) < 0) return 1;
  names = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, file, 0);
  names_count = (size_t)about.st_size / sizeof *names;
  int pipe;
  if (names == MAP_FAILED || arm() < 0 ||
      (pipe = open(TRACING "/trace_pipe", O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0 || only_root(pipe) < 0) {
    fprintf(stderr, "bootloom: misses are not seen: %s\n", strerror(errno));
    return 1;
  }
  if (fork() != 0) return 0;
  setsid();
  signal(SIGPIPE, SIG_IGN);
  reports_start(&server);
  watch(pipe);
}
