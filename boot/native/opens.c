/*
 * opens DIRECTORY: tells what is opened below a directory, by anyone, through the mount that it is on. Writes "ready", then
 * three words for each file, each ended by a zero byte: how it was opened first (open, exec, readdir), by which program,
 * and its path below the directory. Ends with its standard input, once all that happened before is told.
 *
 * Each inode is told once for each way: after that the kernel is asked to keep silent about it, so that a file which is
 * opened a thousand times a second costs nothing (fanotify_mark(2), FAN_MARK_IGNORED_MASK).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *directory;
static size_t length;

/* Where a link of /proc leads, below the directory if it is there; NULL if not. */
static const char *below(const char *link, char *place, size_t size) {
  ssize_t got = readlink(link, place, size - 1);
  if (got < 0) return NULL;
  place[got] = 0;
  if (strncmp(place, directory, length) != 0 || (place[length] != '/' && place[length] != 0)) return NULL;
  return place + length;
}

static void word(const char *text) { fwrite(text, 1, strlen(text) + 1, stdout); }

static void tell(int watch, const struct fanotify_event_metadata *event) {
  char link[PATH_MAX], place[PATH_MAX], program[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", event->fd);
  const char *path = below(link, place, sizeof place);
  unsigned long long mask = event->mask & (FAN_OPEN | FAN_OPEN_EXEC);
  fanotify_mark(watch, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY, mask, event->fd, NULL);
  if (!path || !*path) return;
  snprintf(link, sizeof link, "%s/proc/%d/exe", directory, event->pid);
  const char *by = below(link, program, sizeof program);
  struct stat facts;
  int listed = fstat(event->fd, &facts) == 0 && S_ISDIR(facts.st_mode);
  word(event->mask & FAN_OPEN_EXEC ? "exec" : listed ? "readdir" : "open");
  word(by && *by ? by : "");
  word(path);
}

/* Until nothing waits. */
static void drain(int watch) {
  static char buffer[65536] __attribute__((aligned(8)));
  for (;;) {
    ssize_t got = read(watch, buffer, sizeof buffer);
    if (got <= 0) break;
    const struct fanotify_event_metadata *event = (void *)buffer;
    for (; FAN_EVENT_OK(event, got); event = FAN_EVENT_NEXT(event, got)) {
      if (event->fd < 0) continue;
      tell(watch, event);
      close(event->fd);
    }
  }
  fflush(stdout);
}

int main(int count, char **words) {
  if (count != 2) return 2;
  directory = words[1];
  length = strlen(directory);
  int watch = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS,
                            O_RDONLY | O_CLOEXEC | O_LARGEFILE | O_NOATIME);
  if (watch < 0) return perror("fanotify_init"), 1;
  if (fanotify_mark(watch, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN | FAN_OPEN_EXEC | FAN_ONDIR, AT_FDCWD, directory) < 0)
    return perror("fanotify_mark"), 1;
  puts("ready");
  fflush(stdout);
  struct pollfd on[] = {{.fd = watch, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
  for (;;) {
    if (poll(on, 2, -1) < 0 && errno != EINTR) return perror("poll"), 1;
    drain(watch);
    if (on[1].revents) {
      char any[64];
      if (read(STDIN_FILENO, any, sizeof any) <= 0) break;
    }
  }
  drain(watch);
  return 0;
}
