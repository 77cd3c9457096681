/*
 * Where the memory of this node is: what the kernel tells in /proc, one section after the other, each begun by a line
 * `== NAME`. Of processes a line each, with what is theirs alone, what they share, and what of mapped files is theirs; of
 * mapped files a line for each place that somebody mapped, with what was touched of it.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent.h"

/* Below the bodyLimit of the server's route. */
static const size_t most = 2 << 20;

static char *told;
static size_t held;

static void tell(const char *text, size_t length) {
  if (held + length > most) return;
  memcpy(told + held, text, length);
  held += length;
}

static void tell_text(const char *text) { tell(text, strlen(text)); }

static void tell_file(const char *name, const char *path) {
  static char buffer[8192];
  ssize_t got;
  tell_text("== ");
  tell_text(name);
  tell_text("\n");
  int file = open(path, O_RDONLY | O_CLOEXEC);
  while (file >= 0 && (got = read(file, buffer, sizeof buffer)) > 0) tell(buffer, (size_t)got);
  if (file >= 0) close(file);
}

/* The kernel's own line, `Memory: 203436K/261624K available (14343K kernel code, …)`. */
static void tell_kernel(void) {
  static char log[1 << 18];
  int size = klogctl(3, log, sizeof log - 1);
  tell_text("== kernel\n");
  if (size <= 0) return;
  log[size] = 0;
  char *line = strstr(log, "Memory: ");
  if (!line) return;
  tell(line, strcspn(line, "\n"));
  tell_text("\n");
}

static void tell_root(void) {
  struct statfs about;
  char line[96];
  if (statfs("/.bootloom", &about) < 0) return;
  tell(line, (size_t)snprintf(line, sizeof line, "== root\n%llu\n",
                              (unsigned long long)(about.f_blocks - about.f_bfree) * (unsigned long long)about.f_bsize));
}

/* `Pss_Anon:     123 kB` and the like of one process; 0 where it has ended. */
static long figure(const char *rollup, const char *name) {
  const char *at = strstr(rollup, name);
  return at ? atol(at + strlen(name)) : 0;
}

static void tell_process(const char *pid) {
  char path[300], rollup[2048], name[32] = "", program[256], line[600];
  snprintf(path, sizeof path, "/proc/%s/smaps_rollup", pid);
  FILE *file = fopen(path, "re");
  size_t size = file ? fread(rollup, 1, sizeof rollup - 1, file) : 0;
  if (file) fclose(file);
  rollup[size] = 0;
  /* Threads of the kernel have none. */
  if (!strstr(rollup, "Pss_Anon:")) return;
  snprintf(path, sizeof path, "/proc/%s/comm", pid);
  if ((file = fopen(path, "re"))) {
    if (fgets(name, sizeof name, file)) name[strcspn(name, "\n")] = 0;
    fclose(file);
  }
  snprintf(path, sizeof path, "/proc/%s/exe", pid);
  ssize_t length = readlink(path, program, sizeof program - 1);
  program[length < 0 ? 0 : length] = 0;
  tell(line, (size_t)snprintf(line, sizeof line, "%s\t%ld\t%ld\t%ld\t%s\t%s\n", pid, figure(rollup, "Pss_Anon:"),
                              figure(rollup, "Pss_File:"), figure(rollup, "Pss_Shmem:"), name, program));
}

/* Begins as `7f00-7f01 r--p 00012000 00:01 123    /usr/lib/x`, and has `Rss:   8 kB` further down. */
static void tell_mapped(const char *pid) {
  char path[300], line[4400], place[4096] = "", out[4200];
  unsigned long offset = 0;
  snprintf(path, sizeof path, "/proc/%s/smaps", pid);
  FILE *file = fopen(path, "re");
  while (file && fgets(line, sizeof line, file)) {
    if (isdigit((unsigned char)line[0]) || (line[0] >= 'a' && line[0] <= 'f')) {
      char *name = strchr(line, '/'), *rights = strchr(line, ' '), *from = rights ? strchr(rights + 1, ' ') : NULL;
      *place = 0;
      if (!name || !from) continue;
      offset = strtoul(from, NULL, 16);
      snprintf(place, sizeof place, "%.*s", (int)strcspn(name, "\n"), name);
    } else if (*place && strncmp(line, "Rss:", 4) == 0) {
      tell(out, (size_t)snprintf(out, sizeof out, "%lu\t%ld\t%s\n", offset, atol(line + 4), place));
      *place = 0;
    }
  }
  if (file) fclose(file);
}

static void each_process(const char *section, void (*tell_one)(const char *)) {
  DIR *all = opendir("/proc");
  tell_text(section);
  for (struct dirent *entry; all && (entry = readdir(all));)
    if (isdigit((unsigned char)entry->d_name[0])) tell_one(entry->d_name);
  if (all) closedir(all);
}

void weigh_tell(const struct server *server, const char *order) {
  char more[64];
  /* Before this needs memory itself. */
  if (!(told = malloc(most))) return;
  held = 0;
  tell_file("meminfo", "/proc/meminfo");
  tell_kernel();
  tell_root();
  tell_file("modules", "/proc/modules");
  tell_file("slab", "/proc/slabinfo");
  each_process("== processes\n", tell_process);
  each_process("== mapped\n", tell_mapped);
  snprintf(more, sizeof more, "&order=%s", order);
  ask_more(server, "/weight", more, told, held, now_ms() + 60000, NULL, NULL);
  free(told);
}
