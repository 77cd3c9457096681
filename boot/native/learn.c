/*
 * learn ROOT SERVER MAC BOOT: tells the server which of the files below ROOT (on a node, `/`) are touched, and how. Returns
 * once it sees them, and goes on in a process of its own until the server says that nobody learns from this boot any more.
 *
 * What is opened is told by the kernel (fanotify, on the whole file system), once for each inode. What fanotify does not
 * see is told by times that moved: all that was unpacked has its access time equal to its modification time
 * (init/initramfs.c), so where they differ, it was read, walked as a symbolic link, or written.
 *
 * SIGTERM ends it, once what was touched until then is told; the process id to send it to is what it prints.
 *
 * What is there at the start is all that is ever told: that is the stack, and the list needs no more memory than it.
 */
#include "say.h"
#include "server.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OPENED = 1, EXECUTED = 2, LISTED = 4, READ = 8, CREATED = 16 };
static const char *const ways[] = {"open", "exec", "readdir", "read", "create"};

struct file {
  char *path;
  const char *process;
  unsigned char seen, told;
};

static const char *root;
static size_t root_length;
static time_t began;
static dev_t device;

static struct file *files;
static size_t count, room;
/* Numbers of files by the hash of their path; 0 is none, so they are one more. */
static unsigned *table;
static size_t mask;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Our own, below the root: no part of any stack. */
static const char own[] = "/.bootloom";

static int is_own(const char *path) {
  return strncmp(path, own, sizeof own - 1) == 0 && (path[sizeof own - 1] == '/' || path[sizeof own - 1] == 0);
}

static unsigned hash_of(const char *path) {
  unsigned hash = 2166136261u;
  for (; *path; path++) hash = (hash ^ (unsigned char)*path) * 16777619u;
  return hash;
}

static unsigned *slot_of(const char *path) {
  size_t at = hash_of(path) & mask;
  while (table[at] && strcmp(files[table[at] - 1].path, path) != 0) at = (at + 1) & mask;
  return &table[at];
}

static void make_table(void) {
  for (mask = 1024; mask < count * 2; mask *= 2) continue;
  table = calloc(mask--, sizeof *table);
  if (!table) _exit(1);
  for (size_t i = 0; i < count; i++) *slot_of(files[i].path) = (unsigned)i + 1;
}

/* Programs are few: each name is kept once. */
static const char *process_of(const char *path) {
  static char *names[256];
  static size_t known;
  if (!path || !*path) return "";
  for (size_t i = 0; i < known; i++)
    if (strcmp(names[i], path) == 0) return names[i];
  if (known == sizeof names / sizeof *names) return "";
  return (names[known] = strdup(path)) ? names[known++] : "";
}

static void saw(const char *path, unsigned char how, const char *process) {
  unsigned found = *slot_of(path);
  if (!found) return;
  struct file *file = &files[found - 1];
  pthread_mutex_lock(&lock);
  if (!file->seen) file->process = process_of(process);
  file->seen |= how;
  pthread_mutex_unlock(&lock);
}

/* Walks what stands on the root's own device. At the first time it lists, later it looks at the times. */
static void walk(char *path, size_t length, int listing) {
  int place = open(length ? path : "/", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC);
  if (place < 0) return;
  DIR *directory = fdopendir(place);
  if (!directory) return (void)close(place);
  for (struct dirent *entry; (entry = readdir(directory));) {
    size_t size = strlen(entry->d_name);
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || length + size + 2 > PATH_MAX) continue;
    struct stat facts;
    if (fstatat(place, entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) < 0 || facts.st_dev != device) continue;
    path[length] = '/';
    memcpy(path + length + 1, entry->d_name, size + 1);
    const char *name = path + root_length;
    if (is_own(name)) continue;
    int is_directory = S_ISDIR(facts.st_mode);
    if (listing) {
      if (count == room) files = realloc(files, (room = room ? room * 2 : 4096) * sizeof *files);
      if (!files || !(files[count].path = strdup(name))) _exit(1);
      files[count++].process = "";
    } else if (is_directory) {
      if (facts.st_mtim.tv_sec >= began) saw(name, CREATED, NULL);
    } else if (facts.st_atim.tv_sec != facts.st_mtim.tv_sec || facts.st_atim.tv_nsec != facts.st_mtim.tv_nsec) {
      saw(name, READ, NULL);
    }
    if (is_directory) walk(path, length + 1 + size, listing);
  }
  path[length] = 0;
  closedir(directory);
}

static void walk_root(int listing) {
  static char path[PATH_MAX];
  memcpy(path, root, root_length + 1);
  walk(path, root_length, listing);
}

/* Where a link of /proc leads, below the root if it is there; NULL if not. */
static const char *below(const char *link, char *place) {
  ssize_t got = readlink(link, place, PATH_MAX - 1);
  if (got <= 0) return NULL;
  place[got] = 0;
  if (strncmp(place, root, root_length) != 0 || place[root_length] != '/') return NULL;
  return place + root_length;
}

static void opened(int watch, const struct fanotify_event_metadata *event) {
  char link[64], place[PATH_MAX], program[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", event->fd);
  const char *path = below(link, place);
  snprintf(link, sizeof link, "/proc/%d/exe", event->pid);
  const char *by = below(link, program);
  int executes = (event->mask & FAN_OPEN_EXEC) != 0;
  /* Init's own tools look at files too; the application's opening them is still to be told. */
  if (!path || is_own(path) || (by && is_own(by) && !executes)) return;
  unsigned long long mask_ = event->mask & (FAN_OPEN | FAN_OPEN_EXEC);
  fanotify_mark(watch, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY, mask_, event->fd, NULL);
  struct stat facts;
  int listed = fstat(event->fd, &facts) == 0 && S_ISDIR(facts.st_mode);
  saw(path, executes ? EXECUTED : listed ? LISTED : OPENED, by && !is_own(by) ? by : NULL);
}

static void drain(int watch) {
  static char buffer[65536] __attribute__((aligned(8)));
  for (ssize_t got; (got = read(watch, buffer, sizeof buffer)) > 0;) {
    const struct fanotify_event_metadata *event = (void *)buffer;
    for (; FAN_EVENT_OK(event, got); event = FAN_EVENT_NEXT(event, got)) {
      if (event->fd < 0) continue;
      if (event->pid != getpid()) opened(watch, event);
      close(event->fd);
    }
  }
}

static size_t escaped(char *out, const char *text) {
  size_t at = 0;
  for (; *text; text++) {
    unsigned char letter = (unsigned char)*text;
    if (letter <= 0x20 || letter == '%' || letter == 0x7f) at += (size_t)sprintf(out + at, "%%%02X", letter);
    else out[at++] = (char)letter;
  }
  out[at] = 0;
  return at;
}

/* The ways, commas between, the program and the path, tabs between. */
static size_t line_of(char *out, unsigned char how, const char *process, const char *path) {
  size_t at = 0;
  for (unsigned bit = 0; bit < sizeof ways / sizeof *ways; bit++)
    if (how & (1 << bit)) at += (size_t)sprintf(out + at, "%s%s", at ? "," : "", ways[bit]);
  out[at++] = '\t';
  at += escaped(out + at, process);
  out[at++] = '\t';
  at += escaped(out + at, path);
  out[at++] = '\n';
  return at;
}

/* What the server has not taken stays untold, so nothing is lost while it is away. */
static void *tell(void *server) {
  /* Below the bodyLimit of the server's route; a line is at most two paths, each letter of them three. */
  static char body[32768 + 6 * PATH_MAX + 64];
  static struct { size_t file; unsigned char how; } sent[2048];
  for (unsigned pause = 1;;) {
    sleep(pause);
    size_t size = 0, lines = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count && size < 32768 && lines < sizeof sent / sizeof *sent; i++) {
      unsigned char how = files[i].seen & (unsigned char)~files[i].told;
      if (!how) continue;
      size += line_of(body + size, how, files[i].process, files[i].path);
      sent[lines].file = i;
      sent[lines++].how = how;
    }
    pthread_mutex_unlock(&lock);
    if (lines == 0) continue;
    int status = server_ask(server, "/learned", body, size, -1, now_ms() + 5000, NULL, NULL);
    if (status == 410) _exit(0);
    pause = status == 200 ? 1 : pause < 32 ? pause * 2 : 60;
    if (status != 200) say("what was learned could not be told (%d), again in %u s", status, pause);
    for (size_t i = 0; status == 200 && i < lines; i++) files[sent[i].file].told |= sent[i].how;
  }
}

static volatile sig_atomic_t ending;

static void end(int number) {
  (void)number;
  ending = 1;
}

static int is_all_told(void) {
  int all = 1;
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < count && all; i++) all = !(files[i].seen & (unsigned char)~files[i].told);
  pthread_mutex_unlock(&lock);
  return all;
}

int main(int words, char **word) {
  static struct server server;
  if (words != 5 || server_parse(&server, word[2], word[3], word[4]) != 0) return 2;
  root = strcmp(word[1], "/") == 0 ? "" : word[1];
  root_length = strlen(root);
  began = time(NULL);
  struct stat facts;
  if (stat(word[1], &facts) < 0) return perror(word[1]), 1;
  device = facts.st_dev;
  walk_root(1);
  make_table();
  int watch = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_MARKS,
                            O_RDONLY | O_CLOEXEC | O_LARGEFILE | O_NOATIME);
  if (watch < 0) return perror("fanotify_init"), 1;
  unsigned long long wanted = FAN_OPEN | FAN_OPEN_EXEC | FAN_ONDIR;
  if (fanotify_mark(watch, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, wanted, AT_FDCWD, word[1]) < 0)
    return perror("fanotify_mark"), 1;
  pid_t child = fork();
  if (child != 0) return child < 0 || printf("%d\n", child) < 0;
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0) return 1;
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, end);
  /* For this thread alone: it ends the wait for what is opened. */
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &term, NULL);
  pthread_t thread;
  if (pthread_create(&thread, NULL, tell, &server) != 0) return 1;
  pthread_sigmask(SIG_UNBLOCK, &term, NULL);
  struct pollfd on = {.fd = watch, .events = POLLIN};
  long first = now_ms();
  for (long next = first; !ending;) {
    long left = next - now_ms();
    if (left > 0) poll(&on, 1, (int)left);
    drain(watch);
    if (now_ms() < next) continue;
    long start = now_ms();
    walk_root(0);
    long now = now_ms(), took = now - start;
    /* While much is new, often; then a twentieth of the time at most, on a slow node too. */
    next = now + (took <= 100 || now - first < 60000 ? 2000 : took * 19);
  }
  drain(watch);
  walk_root(0);
  for (long until = now_ms() + 10000; !is_all_told() && now_ms() < until;) usleep(50000);
  return 0;
}
