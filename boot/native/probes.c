/*
 * The tracefs side of watch.c: two probes, filtered in the kernel (kernel documents trace/kprobetrace and trace/events).
 * Argument n0 is the name that was looked up, n1 and on are the directories above it, innermost first.
 */
#include "probes.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "btf.h"

#define TRACING "/sys/kernel/tracing"

static int write_to(const char *path, int flags, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC | flags);
  if (file < 0) return -1;
  size_t length = strlen(text);
  int done = write(file, text, length) == (ssize_t)length ? 0 : -1;
  close(file);
  return done;
}

/*
 * tmpfs's own look-up runs only for names that are not there. That of an overlay runs for whatever its cache does not
 * know: for each name that is there, once, and for one that is not, once until it is forgotten.
 */
int probes_in_overlay(void) {
  struct statfs about;
  return statfs("/", &about) == 0 && about.f_type == OVERLAYFS_SUPER_MAGIC;
}

static int arm(void) {
  struct member at[] = {{"dentry", "d_parent", -1}, {"dentry", "d_name", -1}, {"dentry", "d_sb", -1}, {"qstr", "name", -1}};
  if (btf_offsets(at, 4) < 0) return -1;
  long parent = at[0].offset, name = at[1].offset + at[3].offset, sb = at[2].offset;
  char text[2048], chain[64];
  mount("tracefs", TRACING, "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  /* Before a probe is enabled: the buffer would be 1.4 MB for each processor. */
  write_to(TRACING "/buffer_size_kb", 0, "128");
  const char *lookup = probes_in_overlay() ? "ovl_lookup" : "simple_lookup";
  int size = sprintf(text, "p:bootloom/miss %s sb=+%ld(%%si):x64 n0=+0(+%ld(%%si)):string", lookup, sb, name);
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

/* What holds for both probes. */
static char filter[128];

int probes_leave_out(const char *more) {
  char all[4096];
  snprintf(all, sizeof all, "%s%s", filter, more);
  return write_to(TRACING "/events/bootloom/miss/filter", 0, all);
}

/*
 * Finds out the super block of `/` by looking for something that is not there, when only this process is seen; and then lets
 * only its events through, and none of this process: it looks for each miss itself, which would be a miss again, without end.
 */
static int only_root(int pipe) {
  char unlikely[64], line[4096], *at, walk[sizeof filter + 32];
  snprintf(unlikely, sizeof unlikely, "/.bootloom-%d", getpid());
  snprintf(filter, sizeof filter, "common_pid == %d", getpid());
  if (probes_leave_out("") < 0 || write_to(TRACING "/events/bootloom/miss/enable", 0, "1") < 0) return -1;
  access(unlikely, F_OK);
  access("/", F_OK);
  unsigned long long sb = 0;
  for (ssize_t got; (got = read(pipe, line, sizeof line - 1)) > 0;) {
    line[got] = 0;
    if ((at = strstr(line, unlikely + 1)))
      while (at > line && sb == 0)
        if (strncmp(--at, " sb=", 4) == 0) sb = strtoull(at + 4, NULL, 16);
  }
  if (sb == 0) return -1;
  snprintf(filter, sizeof filter, "common_pid != %d && sb == 0x%llx", getpid(), sb);
  if (probes_leave_out("") < 0) return -1;
  snprintf(walk, sizeof walk, "%s && n0 ~ \"*/*\"", filter);
  if (write_to(TRACING "/events/bootloom/walk/filter", 0, walk) == 0)
    write_to(TRACING "/events/bootloom/walk/enable", 0, "1");
  return 0;
}

int probes_open(void) {
  if (arm() < 0) return -1;
  int pipe = open(TRACING "/trace_pipe", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  return pipe >= 0 && only_root(pipe) == 0 ? pipe : -1;
}
