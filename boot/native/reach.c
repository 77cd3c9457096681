/*
 * Mounts what the bundle lacks, and brings contents from the boot server while the application waits.
 *
 *   reach TREE MOUNTPOINT KEPT SERVER MAC BOOT [deny|fetch PAGES]
 *
 * With more words, what is mounted are files of which only some pages are here (paged.h), in PAGES: with `deny` each file
 * also on its own path.
 *
 * Returns once it is mounted. A keeper goes on that does nothing but hold the connection and start the process that
 * answers, again when it dies: requests in flight stand in memory that they share. When the keeper dies too, the kernel
 * ends the connection, and callers get an error instead of waiting.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fetch.h"
#include "fuse.h"
#include "paged.h"
#include "reports.h"
#include "say.h"
#include "tree.h"

/* Of the whole keeper: an answer that cannot be given is worse than an application that is killed for memory. */
static void never_kill(void) {
  int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  if (write(file, "-1000", 5) < 0) perror("bootloom: reach: oom_score_adj");
  close(file);
}

static void keep(int connection, struct slot *slots, int proc, const struct server *server, const char *kept) {
  for (int deaths = 0; deaths < 20; deaths++) {
    pid_t keeper = getpid(), worker = fork();
    if (worker == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      prctl(PR_SET_NAME, "reach");
      if (getppid() != keeper) _exit(1);
      reports_start(server);
      fetch_from(server, kept);
      _exit(fuse_serve(connection, slots, proc));
    }
    int status = 0;
    if (worker > 0 && waitpid(worker, &status, 0) == worker && WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    say("reach ended (%d), starting it again", status);
    usleep(50000);
  }
}

int main(int count, char **words) {
  static struct server server;
  if ((count != 7 && count != 9) || server_parse(&server, words[4], words[5], words[6]) < 0) {
    fprintf(stderr, "usage: reach TREE MOUNTPOINT KEPT http://ADDRESS:PORT MAC BOOT [deny|fetch PAGES]\n");
    return 2;
  }
  if (count == 9) paged_policy = strcmp(words[7], "fetch") == 0 ? FETCHED : DENIED;
  if (count == 9) paged_from(words[8], NULL);
  int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int connection = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  struct slot *slots =
      mmap(NULL, SLOTS * sizeof *slots, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char options[96];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", connection);
  /* Who wants to write to a file of pages shall be told of, and the kernel would not even ask. */
  unsigned long flags = MS_NODEV | MS_NOATIME | (paged_policy == DENIED ? 0 : MS_RDONLY);
  if (connection < 0 || slots == MAP_FAILED || tree_load(words[1]) < 0 || paged_open() < 0 || (mkdir(words[3], 0700) < 0 && errno != EEXIST) ||
      mount("bootloom", words[2], "fuse", flags, options) < 0) {
    say("reach: %s", strerror(errno));
    return 1;
  }
  /* It is in memory now, and would stand there twice. */
  unlink(words[1]);
  if (fork() != 0) return paged_policy == DENIED && paged_bind(words[2], "") < 0 ? (perror("bootloom: reach: bind"), 1) : 0;
  setsid();
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_NAME, "reach-keeper");
  never_kill();
  keep(connection, slots, proc, &server, words[3]);
  return 0;
}
