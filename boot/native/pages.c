/*
 * Shows which pages of files an application reads, while it is watched on the server.
 *
 *   pages TREE MOUNTPOINT ROOT OUT WHOLE [PAGES]
 *
 * Mounts the files of TREE (paged.h) on their own paths below ROOT, as they are below WHOLE, says `mounted`, and once its
 * standard input ends, writes to OUT which pages were read. With PAGES, where those of a bundle stand: writes to OUT, as
 * it goes, what else was read.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "fuse.h"
#include "paged.h"
#include "say.h"
#include "tree.h"

static int connection, proc;
static struct slot slots[SLOTS];

static void *serve(void *unused) {
  (void)unused;
  fuse_serve(connection, slots, proc);
  return NULL;
}

int main(int count, char **words) {
  if (count != 6 && count != 7) return 2;
  const char *tree = words[1], *mountpoint = words[2], *root = words[3];
  paged_policy = count == 7 ? REPLAYED : RECORDED;
  paged_from(count == 7 ? words[6] : NULL, words[5]);
  /* Of the namespace that the application's process ids are of. */
  char own[4096];
  snprintf(own, sizeof own, "%s/proc", root);
  proc = open(own, O_PATH | O_DIRECTORY | O_CLOEXEC);
  connection = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  int out = open(words[4], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  char options[96];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", connection);
  if (connection < 0 || out < 0 || tree_load(tree) < 0 || paged_open() < 0 ||
      mount("bootloom", mountpoint, "fuse", MS_NODEV | MS_NOATIME, options) < 0) {
    say("pages: %s", strerror(errno));
    return 1;
  }
  if (paged_policy == REPLAYED) paged_tell(out);
  pthread_t thread;
  if (pthread_create(&thread, NULL, serve, NULL) != 0 || paged_bind(mountpoint, root) < 0) {
    say("pages: %s", strerror(errno));
    return 1;
  }
  if (write(1, "mounted\n", 8) != 8) return 1;
  char byte;
  while (read(0, &byte, 1) > 0) {}
  return paged_policy == RECORDED ? paged_record(out) : 0;
}
