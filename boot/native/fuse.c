/*
 * The FUSE protocol as linux/fuse.h has it (kernel document filesystems/fuse), version 7.31: look-ups and attributes
 * come from the tree, contents are brought at OPEN by threads of their own, so that errors come from open() and never as
 * SIGBUS, and nothing else ever waits for a server. Nothing is ever written.
 */
#include "fuse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fetch.h"
#include "paged.h"
#include "reports.h"
#include "say.h"
#include "tree.h"

/* What is known of a name does not change while the node runs. Seconds. */
static const uint64_t forever = 1 << 30;
#define LARGEST_READ 131072

static int connection, proc;
static struct slot *slots;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
/* Node ids that are being brought by one of the threads. */
static uint64_t bringing[4];

static struct fuse_in_header *head(struct slot *slot) { return (void *)slot->request; }

/* An answer that nobody waits for any more is refused by the kernel (ENOENT), which is as well. */
static void answer(struct slot *slot, int error, const void *body, size_t length) {
  struct fuse_out_header out = {.len = (uint32_t)(sizeof out + length), .error = error, .unique = head(slot)->unique};
  struct iovec parts[] = {{&out, sizeof out}, {(void *)body, length}};
  if (writev(connection, parts, 2) < 0 && errno != ENOENT) perror("bootloom: reach: answer");
}

static void process_of(int pid, char *name, size_t size) {
  char path[32];
  snprintf(path, sizeof path, "%d/comm", pid);
  int file = openat(proc, path, O_RDONLY | O_CLOEXEC);
  ssize_t got = file < 0 ? 0 : read(file, name, size - 1);
  if (file >= 0) close(file);
  name[got > 0 ? got : 0] = 0;
  name[strcspn(name, "\n")] = 0;
  if (!name[0]) snprintf(name, size, "?");
}

/* Names looked up whose content nobody asked for, until they are told. */
static struct looked {
  uint32_t node;
  int pid;
  char process[16];
} looked[256];
static unsigned looked_count;

static void note(struct slot *slot, uint32_t node) {
  struct entry *entry = &entries[node];
  if (entry->told || !entry->lacking) return;
  pthread_mutex_lock(&lock);
  if (looked_count < sizeof looked / sizeof *looked) {
    struct looked *one = &looked[looked_count++];
    entry->told = 1;
    one->node = node;
    one->pid = (int)head(slot)->pid;
    process_of(one->pid, one->process, sizeof one->process);
  }
  pthread_mutex_unlock(&lock);
}

static void *tell_looked(void *unused) {
  (void)unused;
  for (;;) {
    sleep(3);
    pthread_mutex_lock(&lock);
    unsigned left = 0;
    for (unsigned i = 0; i < looked_count; i++) {
      const struct entry *entry = &entries[looked[i].node];
      /* Of what was brought since, that is told. */
      if (entry->told < 2 && reports_add(looked[i].pid, looked[i].process, 1, "answered", 0, entry->path) < 0)
        looked[left++] = looked[i];
    }
    looked_count = left;
    pthread_mutex_unlock(&lock);
  }
  return NULL;
}

static void attributes(uint32_t node, struct fuse_attr *attr) {
  const struct entry *entry = &entries[node];
  memset(attr, 0, sizeof *attr);
  attr->ino = node;
  attr->size = entry->size;
  attr->blocks = (entry->size + 511) / 512;
  attr->mtime = attr->ctime = entry->mtime;
  /* Where reads are recorded, a moved access time would tell of one that never was. */
  attr->atime = paged_policy == RECORDED ? 0 : entry->mtime;
  attr->mode = entry->mode;
  attr->nlink = S_ISDIR(entry->mode) ? 2 : 1;
  attr->uid = entry->uid;
  attr->gid = entry->gid;
  attr->blksize = 4096;
}

static void look_up(struct slot *slot, uint32_t parent, const char *name) {
  struct fuse_entry_out out = {.nodeid = tree_find(parent, name), .entry_valid = forever, .attr_valid = forever};
  /* Without a node id, it is kept that there is no such name. */
  if (out.nodeid) attributes((uint32_t)out.nodeid, &out.attr);
  if (out.nodeid && !S_ISDIR(out.attr.mode)) note(slot, (uint32_t)out.nodeid);
  answer(slot, 0, &out, sizeof out);
}

static void read_directory(struct slot *slot, uint32_t node, const struct fuse_read_in *in) {
  static char out[65536];
  size_t size = 0, most = in->size < sizeof out ? in->size : sizeof out;
  uint64_t at = 0;
  for (uint32_t child = entries[node].first; child; child = entries[child].next) {
    if (++at <= in->offset) continue;
    size_t length = strlen(entries[child].name);
    struct fuse_dirent dirent = {.ino = child, .off = at, .namelen = (uint32_t)length, .type = entries[child].mode >> 12};
    size_t needs = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + length);
    if (size + needs > most) break;
    memset(out + size, 0, needs);
    memcpy(out + size, &dirent, FUSE_NAME_OFFSET);
    memcpy(out + size + FUSE_NAME_OFFSET, entries[child].name, length);
    size += needs;
  }
  answer(slot, 0, out, size);
}

static void answer_content(struct slot *slot, const struct entry *entry, char *bytes, const struct fuse_read_in *in) {
  long got = entry->size == 0 ? 0 : fetch_read(entry->hex, bytes, in->size < LARGEST_READ ? in->size : LARGEST_READ, in->offset);
  answer(slot, got < 0 ? -EIO : 0, bytes, got < 0 ? 0 : (size_t)got);
}

static void opened(struct slot *slot) {
  struct fuse_open_out out = {.fh = head(slot)->nodeid, .open_flags = FOPEN_KEEP_CACHE};
  answer(slot, 0, &out, sizeof out);
}

static int free_slots(void) {
  int count = 0;
  for (int i = 0; i < SLOTS; i++) count += slots[i].state == FREE;
  return count;
}

/* Whether the request has to wait for a content; the slot is then the threads'. */
static int await_content(struct slot *slot) {
  if (free_slots() == 0) {
    answer(slot, -EIO, NULL, 0);
    return 0;
  }
  pthread_mutex_lock(&lock);
  slot->began = now_ms();
  slot->deadline = slot->began + FETCH_DEADLINE;
  slot->state = WAITING;
  pthread_cond_signal(&more);
  pthread_mutex_unlock(&lock);
  return 1;
}

static void refuse_page(struct slot *slot, struct entry *entry, int64_t page, int error) {
  char process[16];
  process_of((int)head(slot)->pid, process, sizeof process);
  paged_missed(entry, page, (int)head(slot)->pid, process);
  answer(slot, error, NULL, 0);
}

static int open_file(struct slot *slot, struct entry *entry) {
  int writes = (*(uint32_t *)(head(slot) + 1) & O_ACCMODE) != O_RDONLY;
  if (writes && entry->paged) refuse_page(slot, entry, -1, -EROFS);
  else if (writes) answer(slot, -EROFS, NULL, 0);
  else if (!entry->hex) answer(slot, -EINVAL, NULL, 0);
  else if (entry->paged || entry->size == 0 || fetch_has(entry->hex)) opened(slot);
  else return await_content(slot);
  return 0;
}

static void substitute(struct slot *slot, struct entry *entry, char *bytes, const struct fuse_read_in *in) {
  char process[16];
  process_of((int)head(slot)->pid, process, sizeof process);
  long got = in->size > LARGEST_READ ? -1 : paged_read_whole(entry, bytes, in->size, in->offset);
  for (long at = 0; at < got; at += PAGE)
    paged_missed(entry, (int64_t)(in->offset + (uint64_t)at) / PAGE, (int)head(slot)->pid, process);
  answer(slot, got < 0 ? -EIO : 0, bytes, got < 0 ? 0 : (size_t)got);
}

/* A short answer would be taken for the file's end, and the rest of the page for zeroes: all of it, or an error. */
static int read_file(struct slot *slot, struct entry *entry, const struct fuse_read_in *in) {
  static char bytes[LARGEST_READ];
  uint64_t page = in->offset / PAGE;
  if (!entry->paged) {
    answer_content(slot, entry, bytes, in);
    return 0;
  }
  long got = in->size > LARGEST_READ ? -1 : paged_read(entry, bytes, in->size, in->offset, &page);
  if (got >= 0) answer(slot, 0, bytes, (size_t)got);
  else if (paged_policy == FETCHED && fetch_has(entry->hex)) answer_content(slot, entry, bytes, in);
  else if (paged_policy == FETCHED) return await_content(slot);
  else if (paged_policy == REPLAYED) substitute(slot, entry, bytes, in);
  else refuse_page(slot, entry, (int64_t)page, -EIO);
  return 0;
}

/* A content that was waited for is here. */
static void answer_brought(struct slot *slot, const struct entry *entry) {
  static char bytes[LARGEST_READ];
  if (head(slot)->opcode == FUSE_READ) answer_content(slot, entry, bytes, (void *)(head(slot) + 1));
  else opened(slot);
}

/* The caller was sent a signal: it shall not wait any longer. */
static void interrupt(uint64_t unique) {
  pthread_mutex_lock(&lock);
  for (int i = 0; i < SLOTS; i++)
    if (slots[i].state == WAITING && head(&slots[i])->unique == unique) {
      answer(&slots[i], -EINTR, NULL, 0);
      slots[i].state = FREE;
    }
  pthread_mutex_unlock(&lock);
}

static void begin(struct slot *slot, const struct fuse_init_in *in) {
  struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_readahead = in->max_readahead};
  out.flags = in->flags & (FUSE_ASYNC_READ | FUSE_PARALLEL_DIROPS | FUSE_CACHE_SYMLINKS | FUSE_AUTO_INVAL_DATA);
  out.flags &= ~(uint32_t)FUSE_AUTO_INVAL_DATA;
  /* What is read ahead is not what was asked for. */
  if (paged_policy != NO_PAGES) out.max_readahead = 0;
  out.max_background = 16;
  out.congestion_threshold = 12;
  out.max_write = 4096;
  out.time_gran = 1;
  answer(slot, 0, &out, sizeof out);
}

/* Whether the slot is still needed. */
static int handle(struct slot *slot) {
  const struct fuse_in_header *in = head(slot);
  void *body = slot->request + sizeof *in;
  uint32_t node = (uint32_t)in->nodeid;
  if (in->opcode != FUSE_INIT && in->opcode != FUSE_INTERRUPT && (node == 0 || node >= entries_count) &&
      in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET && in->opcode != FUSE_DESTROY) {
    answer(slot, -ESTALE, NULL, 0);
    return 0;
  }
  struct entry *entry = &entries[node < entries_count ? node : 1];
  struct fuse_attr_out attr = {.attr_valid = forever};
  struct fuse_statfs_out statfs = {.st = {.bsize = 4096, .frsize = 4096, .namelen = 255, .files = entries_count}};
  switch (in->opcode) {
    case FUSE_INIT:
      begin(slot, body);
      return 0;
    case FUSE_LOOKUP:
      look_up(slot, node, body);
      return 0;
    case FUSE_GETATTR:
      attributes(node, &attr.attr);
      answer(slot, 0, &attr, sizeof attr);
      return 0;
    case FUSE_READLINK:
      if (entry->target) answer(slot, 0, entry->target, strlen(entry->target));
      else answer(slot, -EINVAL, NULL, 0);
      return 0;
    case FUSE_OPEN:
      return open_file(slot, entry);
    case FUSE_READ:
      return read_file(slot, entry, body);
    case FUSE_SETATTR:
      if (entry->paged && paged_policy != RECORDED) refuse_page(slot, entry, -1, -EROFS);
      else answer(slot, -EROFS, NULL, 0);
      return 0;
    case FUSE_OPENDIR:
      note(slot, node);
      opened(slot);
      return 0;
    case FUSE_READDIR:
      read_directory(slot, node, body);
      return 0;
    case FUSE_STATFS:
      answer(slot, 0, &statfs, sizeof statfs);
      return 0;
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
      answer(slot, 0, NULL, 0);
      return 0;
    case FUSE_INTERRUPT:
      interrupt(((struct fuse_interrupt_in *)body)->unique);
      return 0;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_DESTROY:
      return 0;
    default:
      answer(slot, -ENOSYS, NULL, 0);
      return 0;
  }
}

/* The oldest that waits and that no thread works on. */
static struct slot *next_waiting(void) {
  struct slot *oldest = NULL;
  for (int i = 0; i < SLOTS; i++) {
    if (slots[i].state != WAITING || (oldest && oldest->began <= slots[i].began)) continue;
    int taken = 0;
    for (unsigned j = 0; j < sizeof bringing / sizeof *bringing; j++) taken |= bringing[j] == head(&slots[i])->nodeid;
    if (!taken) oldest = &slots[i];
  }
  return oldest;
}

static void *bring(void *mine) {
  uint64_t *working = mine;
  pthread_mutex_lock(&lock);
  for (;;) {
    struct slot *slot = next_waiting();
    if (!slot) {
      pthread_cond_wait(&more, &lock);
      continue;
    }
    uint64_t node = *working = head(slot)->nodeid;
    long deadline = slot->deadline, began = slot->began;
    int pid = (int)head(slot)->pid;
    char process[16];
    process_of(pid, process, sizeof process);
    pthread_mutex_unlock(&lock);
    struct entry *entry = &entries[node];
    const char *outcome = fetch_has(entry->hex) ? "fetched" : fetch_bring(entry->hex, entry->size, deadline);
    long took = now_ms() - began;
    pthread_mutex_lock(&lock);
    entry->told = 2;
    int got = strcmp(outcome, "fetched") == 0;
    for (int i = 0; i < SLOTS; i++) {
      if (slots[i].state != WAITING || head(&slots[i])->nodeid != node) continue;
      if (got) answer_brought(&slots[i], entry);
      else answer(&slots[i], -EIO, NULL, 0);
      slots[i].state = FREE;
    }
    *working = 0;
    say("%s [%d] asked for %s: %s, %llu bytes in %ld ms", process, pid, entry->path, outcome,
            (unsigned long long)entry->size, took);
    reports_add(pid, process, 1, outcome, took, entry->path);
  }
  return NULL;
}

static void start(void *(*run)(void *), void *argument) {
  pthread_t thread;
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  if (pthread_create(&thread, &small, run, argument) != 0) abort();
}

int fuse_serve(int connection_, struct slot *slots_, int proc_) {
  connection = connection_;
  slots = slots_;
  proc = proc_;
  for (unsigned i = 0; i < sizeof bringing / sizeof *bringing; i++) start(bring, &bringing[i]);
  start(tell_looked, NULL);
  /* What a process before this one had taken and not answered; twice answered is no harm. */
  for (int i = 0; i < SLOTS; i++)
    if (slots[i].state != FREE && (head(&slots[i])->len == 0 || !handle(&slots[i]))) slots[i].state = FREE;
  for (;;) {
    struct slot *slot = NULL;
    while (!slot) {
      for (int i = 0; i < SLOTS && !slot; i++)
        if (slots[i].state == FREE) slot = &slots[i];
      if (!slot) usleep(1000);
    }
    head(slot)->len = 0;
    slot->state = TAKEN;
    ssize_t got = read(connection, slot->request, REQUEST);
    if (got < 0 && errno == ENODEV) return 0;
    if (got < (ssize_t)sizeof(struct fuse_in_header) || !handle(slot)) slot->state = FREE;
  }
}
