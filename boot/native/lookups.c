/* Lines of trace_pipe, as the two probes write them, read into whole paths. */
#include "lookups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probes.h"

#define WALKS 64

/* Without ".", ".." and doubled slashes, as far as it goes without asking for links. */
static void tidy(char *path, char out[PATH]) {
  size_t at = 0;
  for (char *name = strtok(path, "/"); name; name = strtok(NULL, "/")) {
    size_t length = strlen(name);
    if (strcmp(name, ".") == 0) continue;
    if (strcmp(name, "..") == 0) {
      while (at > 0 && out[--at] != '/') {}
      continue;
    }
    if (at + length + 2 > PATH) break;
    out[at++] = '/';
    memcpy(out + at, name, length);
    at += length;
  }
  out[at] = 0;
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

/* Writes the directories n1, n2… of an event, outermost first; 1 when there are more than were fetched, -1 if broken. */
static int parents(char *from, char path[PATH]) {
  char *found[DEPTH], key[8];
  int count = 0, is_tail = 1;
  while (count < DEPTH && is_tail) {
    snprintf(key, sizeof key, " n%d=\"", count + 1);
    char *name = value(from, key, &from);
    if (!name) return -1;
    if (strcmp(name, "/") == 0) is_tail = 0;
    else found[count++] = name;
  }
  size_t at = 0;
  path[0] = 0;
  while (count > 0 && at < PATH) at += (size_t)snprintf(path + at, PATH - at, "/%s", found[--count]);
  return at < PATH ? is_tail : -1;
}

/*
 * What the walk probe said last of each process: its next miss is of the first name in it. Any number of other processes
 * may come between the two, for the processor may be taken away there.
 */
static struct walk {
  int pid;
  char rest[PATH];
} walks[WALKS];

static struct walk *walk_of(int pid) {
  for (int i = 0; i < WALKS; i++)
    if (walks[i].pid == pid) return &walks[i];
  return NULL;
}

static void walks_on(int pid, const char *rest) {
  static unsigned oldest;
  struct walk *walk = walk_of(pid);
  if (!walk) walk = walk_of(0);
  if (!walk) walk = &walks[oldest++ % WALKS];
  walk->pid = pid;
  snprintf(walk->rest, sizeof walk->rest, "%s", rest);
}

/* What is wanted behind a name that is missing itself; "" when it is the last one. */
static const char *rest_behind(int pid, const char *name) {
  size_t length = strlen(name);
  struct walk *walk = walk_of(pid);
  if (!walk) return "";
  walk->pid = 0;
  /* Another name: two had looked for the same at once, and only the first one's look-up reached the file system. */
  return strncmp(walk->rest, name, length) == 0 && walk->rest[length] == '/' ? walk->rest + length : "";
}

/* "         COMMAND-PID     [000] d..1.    12.345678: miss: (simple_lookup+0x0/0x50) n0=…" */
int lookup_read(char *line, struct lookup *lookup) {
  char *at;
  if (strlen(line) < 20 || line[16] != '-') return -1;
  size_t padding = strspn(line, " ");
  snprintf(lookup->process, sizeof lookup->process, "%.*s", padding < 16 ? (int)(16 - padding) : 0, line + padding);
  int pid = lookup->pid = atoi(line + 17), walking = 0;
  if (!(at = strstr(line + 17, ": miss: (")) && (at = strstr(line + 17, ": walk: ("))) walking = 1;
  char *name = at ? value(at, " n0=\"", &at) : NULL;
  if (!name) return -1;
  if (walking) {
    walks_on(pid, name);
    return -1;
  }
  if ((lookup->is_tail = parents(at, lookup->directory)) < 0) return -1;
  snprintf(lookup->wanted, sizeof lookup->wanted, "%s%s", name, rest_behind(pid, name));
  return 0;
}

void lookup_path(const char *directory, const struct lookup *lookup, char path[PATH]) {
  char all[2 * PATH + 1];
  snprintf(all, sizeof all, "%s/%s", directory, lookup->wanted);
  tidy(all, path);
}
