#include "storms.h"

#include <stdio.h>
#include <string.h>

#include "probes.h"
#include "say.h"
#include "server.h"

/* How many of one kind within a second make a storm, and how many storms are left out at once. */
#define STORM 40
#define MOST 16

static char left_out[MOST][512];
static unsigned next_out;

static void leave_out(const char *condition) {
  char filter[MOST * (sizeof left_out[0] + 8)];
  size_t at = 0;
  snprintf(left_out[next_out++ % MOST], sizeof left_out[0], "%s", condition);
  filter[0] = 0;
  for (int i = 0; i < MOST; i++)
    if (*left_out[i]) at += (size_t)snprintf(filter + at, sizeof filter - at, " && !(%s)", left_out[i]);
  if (probes_leave_out(filter) == 0) return;
  /* The kernel has none at all then, and each look of this process would be told to it. */
  say("a storm of misses cannot be left out");
  memset(left_out, 0, sizeof left_out);
  probes_leave_out("");
}

/*
 * The condition that is true for just this directory, or for just this name in it; -1 where the words of a filter cannot
 * say it. A filter is no longer than a page, for all of them together.
 */
static int condition_of(const char *directory, const char *name, char *out, size_t size) {
  size_t at = 0;
  char rest[PATH];
  if (strpbrk(directory, "\"\\") || strpbrk(name, "\"\\") || strlen(directory) + strlen(name) > size / 2) return -1;
  if (*name) at += (size_t)snprintf(out + at, size - at, "n0 == \"%s\" && ", name);
  snprintf(rest, sizeof rest, "%s", directory);
  int depth = 1;
  for (char *slash; (slash = strrchr(rest, '/')); *slash = 0) {
    at += (size_t)snprintf(out + at, size - at, "n%d == \"%s\" && ", depth++, slash + 1);
    if (depth > DEPTH || at >= size) return -1;
  }
  at += (size_t)snprintf(out + at, size - at, "n%d == \"/\"", depth);
  return at < size ? 0 : -1;
}

void storms_count(const struct lookup *lookup, int (*in_stack)(const char *path)) {
  static struct { unsigned hash, count; } kinds[256];
  static long since;
  static char text[2 * PATH + 2];
  if (lookup->is_tail) return;
  snprintf(text, sizeof text, "%s/", lookup->directory);
  const char *name = in_stack(text) ? lookup->wanted : "";
  if (*name) {
    /* What is missing in a directory that is missing itself is not one name. */
    if (strchr(name, '/')) return;
    snprintf(text, sizeof text, "%s/%s/", lookup->directory, name);
    if (in_stack(text)) return;
  }
  if (now_ms() - since > 1000) {
    memset(kinds, 0, sizeof kinds);
    since = now_ms();
  }
  unsigned hash = 2166136261u;
  for (const char *at = text; *at; at++) hash = (hash ^ (unsigned char)*at) * 16777619u;
  unsigned place = hash % (sizeof kinds / sizeof *kinds);
  if (kinds[place].hash != hash) kinds[place].count = 0;
  kinds[place].hash = hash;
  char condition[sizeof left_out[0]];
  if (++kinds[place].count != STORM || condition_of(lookup->directory, name, condition, 240) < 0) return;
  for (int i = 0; i < MOST; i++)
    if (strcmp(left_out[i], condition) == 0) return;
  leave_out(condition);
}
