/*
 * From the running node into its next bundle without its firmware: kexec_file_load(2), reboot(2).
 *
 * GET /kexec answers lines of a word and its value: `boot`, the id of the boot that begins; `kernel`, `initramfs` and
 * `overlay`, where each is; `kernel-size` and `initramfs-size` in bytes; `cmdline`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

/* Milliseconds in which all must have come. */
static const long patience = 180000;
/* Where a kernel image says how many bytes it needs to unpack itself (kernel document arch/x86/boot, init_size). */
#define INIT_SIZE 0x260
/* Bytes left to the application while all of this is in memory. */
static const uint64_t margin = 16 << 20;

struct coming {
  int file;
  off_t at;
};

static int take_file(void *state, const char *bytes, size_t length) {
  struct coming *coming = state;
  if (pwrite(coming->file, bytes, length, coming->at) != (ssize_t)length) return -1;
  coming->at += (off_t)length;
  return 0;
}

static uint64_t memory_available(void) {
  unsigned long long kilobytes = 0;
  char line[128];
  FILE *file = fopen("/proc/meminfo", "re");
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "MemAvailable: %llu", &kilobytes) == 1) break;
  if (file) fclose(file);
  return kilobytes * 1024;
}

/* Appends what is at a place to a file at `from`; how long it is then, or -1. A server that is busy is asked again. */
static off_t bring(const struct server *server, const char *place, long size, int file, off_t from, long deadline) {
  while (now_ms() < deadline) {
    struct coming coming = {.file = file, .at = from};
    int status = server_ask(server, place, NULL, 0, size, deadline, take_file, &coming);
    if (status == 200 && (size < 0 || coming.at - from == size)) return coming.at;
    if (status > 0 && status != 200 && status != 429 && status != 503) return -1;
    usleep(500000);
  }
  return -1;
}

/* The kernel reads only files that nobody has open for writing. */
static int read_only(int file) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  int again = open(path, O_RDONLY | O_CLOEXEC);
  close(file);
  return again;
}

static const char *load(const struct server *next, const struct text *text, long deadline) {
  char kernel[160], initramfs[160], overlay[160], size[24], command[2048];
  long kernel_size = text_value(text, "kernel-size", size, sizeof size) ? atol(size) : 0;
  long initramfs_size = text_value(text, "initramfs-size", size, sizeof size) ? atol(size) : 0;
  if (kernel_size <= INIT_SIZE + 4 || initramfs_size <= 0 || !text_value(text, "kernel", kernel, sizeof kernel) ||
      !text_value(text, "initramfs", initramfs, sizeof initramfs) || !text_value(text, "overlay", overlay, sizeof overlay) ||
      !text_value(text, "cmdline", command, sizeof command))
    return "the server's answer is incomplete";
  uint64_t both = (uint64_t)kernel_size + (uint64_t)initramfs_size;
  /* Here, and once more where the kernel reads it. */
  if (memory_available() < 2 * both + margin) return "too little memory is free";
  int kernel_file = memfd_create("kernel", MFD_CLOEXEC), bundle = memfd_create("bundle", MFD_CLOEXEC);
  if (kernel_file < 0 || bundle < 0) return strerror(errno);
  if (bring(next, kernel, kernel_size, kernel_file, 0, deadline) < 0) return "the kernel did not come";
  uint32_t init_size = 0;
  if (pread(kernel_file, &init_size, sizeof init_size, INIT_SIZE) != sizeof init_size) return strerror(errno);
  off_t length = bring(next, initramfs, initramfs_size, bundle, 0, deadline);
  if (length < 0) return "the bundle did not come";
  if (memory_available() < both + init_size + (uint64_t)initramfs_size + margin) return "too little memory is free";
  if (bring(next, overlay, -1, bundle, length, deadline) < 0) return "the overlay did not come";
  kernel_file = read_only(kernel_file);
  bundle = read_only(bundle);
  long done = syscall(SYS_kexec_file_load, kernel_file, bundle, strlen(command) + 1, command, 0L);
  const char *why = done == 0 ? NULL : strerror(errno);
  close(kernel_file);
  close(bundle);
  return why;
}

const char *kexec_prepare(const struct server *server, const char *url, const char *mac) {
  long deadline = now_ms() + patience;
  static struct text text;
  static struct server next;
  char boot[64];
  text.held = 0;
  int status = server_ask(server, "/kexec", NULL, 0, -1, now_ms() + 10000, text_take, &text);
  if (status != 200) return "the server does not offer kexec";
  if (!text_value(&text, "boot", boot, sizeof boot) || server_parse(&next, url, mac, boot) < 0)
    return "the server's answer is incomplete";
  const char *why = load(&next, &text, deadline);
  int mark = why ? -1 : open(RUN "/jump", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (mark >= 0) close(mark);
  else if (!why) why = strerror(errno);
  ask_more(&next, "/report", why ? "&stage=no-jump" : "&stage=jump", why ? why : "", why ? strlen(why) : 0,
           now_ms() + 5000, NULL, NULL);
  return why;
}

void kexec_jump(void) {
  sync();
  syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
  perror("bootloom: kexec");
}
