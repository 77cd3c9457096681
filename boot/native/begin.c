/* What init needs before it can do anything, in one process instead of fifteen. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

/* How deep a root may go. */
enum { DEEPEST = 512 };

/* All paths below an open directory but directories; what is mounted or named in `left_out` does not count. */
static unsigned long count_below(int directory, dev_t device, int depth, const char *const *left_out) {
  unsigned long count = 0;
  DIR *entries = depth < DEEPEST ? fdopendir(directory) : NULL;
  if (!entries) {
    close(directory);
    return 0;
  }
  for (struct dirent *entry; (entry = readdir(entries));) {
    const char *name = entry->d_name, *const *out = left_out;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    while (out && *out && strcmp(*out, name) != 0) out++;
    if (out && *out) continue;
    if (entry->d_type != DT_DIR) {
      count++;
      continue;
    }
    struct stat about;
    int below = openat(dirfd(entries), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0) continue;
    static const char *const own_left_out[] = {&KEPT[sizeof OWN], NULL};
    int own = depth == 0 && strcmp(name, &OWN[1]) == 0;
    if (fstat(below, &about) == 0 && about.st_dev == device) count += count_below(below, device, depth + 1, own ? own_left_out : NULL);
    else close(below);
  }
  closedir(entries);
  return count;
}

static unsigned long count_unpacked(void) {
  static const char *const left_out[] = {"dev", NULL};
  struct stat about;
  int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0 || fstat(root, &about) < 0) return 0;
  return count_below(root, about.st_dev, 0, left_out);
}

static void mounted(const char *kind, const char *at, unsigned long flags, const char *options) {
  if (mkdir(at, 0755) < 0 && errno != EEXIST) perror(at);
  if (mount(kind, at, kind, flags, options) < 0 && errno != EBUSY) perror(at);
}

/* What speaks to itself does so from the start. */
static void loopback_up(void) {
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  int socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0 || ioctl(socket_, SIOCSIFFLAGS, &request) < 0) perror("lo");
  if (socket_ >= 0) close(socket_);
}

static void linked(const char *to, const char *at) {
  if (symlink(to, at) < 0 && errno != EEXIST) perror(at);
}

static void piped(const char *at, mode_t mode) {
  if ((mkfifo(at, mode) < 0 && errno != EEXIST) || chmod(at, mode) < 0) perror(at);
}

void begin(void) {
  /* Before anything is mounted over what was unpacked. */
  printf("%lu\n", count_unpacked());
  mounted("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  mounted("devtmpfs", "/dev", MS_NOSUID, "mode=0755");
  mounted("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  mounted("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
  mounted("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666");
  linked("/proc/self/fd", "/dev/fd");
  linked("fd/0", "/dev/stdin");
  linked("fd/1", "/dev/stdout");
  linked("fd/2", "/dev/stderr");
  if (mkdir(RUN, 0755) < 0 && errno != EEXIST) perror(RUN);
  piped(RUN "/reports", 0600);
  /* An application's user may open /dev/stdout by name. */
  piped(RUN "/output", 0622);
  loopback_up();
  /* What is unpacked had to fit half of RAM; the application may use more of it. */
  mount(NULL, "/", NULL, MS_REMOUNT, "size=80%");
}
