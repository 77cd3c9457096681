/*
 * From the running node into its next bundle without its firmware.
 *
 * GET /kexec answers lines of a word and its value: `boot`, the id of the boot that begins; `kernel`, `initramfs`,
 * `overlay` and `recipe`, where each is; `kernel-size` and `initramfs-size` in bytes; `kernel-digest`; `cmdline`.
 * GET of the recipe answers what the segments of the initramfs hold, in order: a line of `=` and its bytes for each, then
 * those of its members (rebuild.h), where this node may still have them.
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
#include "clock.h"
#include "gather.h"
#include "handover.h"

/* Milliseconds in which all must have come. */
static const long patience = 180000;
static const char *const too_little = "too little memory is free";

/* The kernel reads only files that nobody has open for writing. */
static int read_only(int file) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  int again = open(path, O_RDONLY | O_CLOEXEC);
  close(file);
  return again;
}

/* By kexec_file_load(2), which reads both whole, and puts by what the kernel needs to unpack itself. */
static const char *by_file(int kernel, int initramfs, const struct handover *next) {
  uint64_t unpacking = unpacking_size(next->kernel, next->kernel_size);
  uint64_t needed = next->kernel_size + 2 * (uint64_t)next->initramfs_size + unpacking + MARGIN;
  if (memory("MemAvailable") < needed) return too_little;
  munmap((void *)next->kernel, next->kernel_size);
  munmap((void *)next->initramfs, next->initramfs_size);
  kernel = read_only(kernel);
  initramfs = read_only(initramfs);
  long done = syscall(SYS_kexec_file_load, kernel, initramfs, strlen(next->command) + 1, next->command, 0L);
  const char *why = done == 0 ? NULL : strerror(errno);
  close(kernel);
  close(initramfs);
  return why;
}

static const char *load(const struct server *server, const struct next *next, long deadline) {
  int kept = kept_kernel(next), kernel_file = kept, file = memfd_create("initramfs", MFD_CLOEXEC);
  uint64_t available = memory("MemAvailable"), fetched = (kept < 0 ? next->kernel_size : 0) + next->initramfs_size;
  uint64_t needed = fetched + next->kernel_size + next->initramfs_size + MARGIN;
  tally.fetched = tally.rebuilt = 0;
  tally.kernel_kept = kept >= 0;
  tally.kernel_unpacked = 0;
  if (available < needed) return too_little;
  if (kept < 0) {
    kernel_file = memfd_create("kernel", MFD_CLOEXEC);
    if (kernel_file < 0 || file < 0) return strerror(errno);
    if (bring(server, next->kernel, (long)next->kernel_size, kernel_file, 0, deadline) < 0) return "the kernel did not come";
  }
  struct mapped kernel = map(kernel_file);
  if (!kernel.bytes) return strerror(errno);
  off_t length = bring_initramfs(server, next, available - needed, file, deadline);
  if (length < 0) return "the bundle did not come";
  length = hand_on_lease(file, hand_on_kernel(next, kernel, file, length));
  length = bring(server, next->overlay, -1, file, length, deadline);
  if (length < 0) return "the overlay did not come";
  if (ftruncate(file, length) < 0) return strerror(errno);
  struct mapped initramfs = map(file);
  if (!initramfs.bytes) return strerror(errno);
  struct handover all = {kernel.bytes, kernel.size, initramfs.bytes, initramfs.size, next->command};
  if (memory("MemAvailable") < kernel.size + initramfs.size + MARGIN) return too_little;
  const char *why = hand_over(&all);
  return why ? by_file(kernel_file, file, &all) : NULL;
}

/* The next kernel would measure it for up to 70 ms, in which nobody serves. */
static void tell_clock(char *command, size_t size) {
  unsigned long khz = strstr(command, "tsc") ? 0 : tsc_khz();
  size_t used = strlen(command);
  char word[40];
  int length = khz ? snprintf(word, sizeof word, " tsc_early_khz=%lu", khz) : 0;
  if (used + (size_t)length < size) memcpy(command + used, word, (size_t)length + (length > 0));
}

static int read_answer(const struct text *text, struct next *next) {
  char size[24];
  memset(next, 0, sizeof *next);
  next->kernel_size = text_value(text, "kernel-size", size, sizeof size) ? strtoul(size, NULL, 10) : 0;
  next->initramfs_size = text_value(text, "initramfs-size", size, sizeof size) ? strtoul(size, NULL, 10) : 0;
  text_value(text, "recipe", next->recipe, sizeof next->recipe);
  return next->kernel_size > 0 && next->initramfs_size > 0 &&
                 text_value(text, "kernel", next->kernel, sizeof next->kernel) &&
                 text_value(text, "kernel-digest", next->digest, sizeof next->digest) &&
                 strspn(next->digest, "0123456789abcdef") == 64 &&
                 text_value(text, "initramfs", next->initramfs, sizeof next->initramfs) &&
                 text_value(text, "overlay", next->overlay, sizeof next->overlay) &&
                 text_value(text, "cmdline", next->command, sizeof next->command)
             ? 0
             : -1;
}

const char *kexec_prepare(const struct server *server, const char *url, const char *mac) {
  long deadline = now_ms() + patience;
  static struct text text;
  static struct server from;
  static struct next next;
  char boot[64], told[160];
  text.held = 0;
  int status = server_ask(server, "/kexec", NULL, 0, -1, now_ms() + 10000, text_take, &text);
  if (status != 200) return "the server does not offer kexec";
  if (!text_value(&text, "boot", boot, sizeof boot) || server_parse(&from, url, mac, boot) < 0 || read_answer(&text, &next) < 0)
    return "the server's answer is incomplete";
  tell_clock(next.command, sizeof next.command);
  const char *why = load(&from, &next, deadline);
  int mark = why ? -1 : open(RUN "/jump", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (mark >= 0) close(mark);
  else if (!why) why = strerror(errno);
  snprintf(told, sizeof told, "%zu KB fetched, %zu KB out of its own root%s%s", tally.fetched / 1000, tally.rebuilt / 1000,
           tally.kernel_kept ? ", the kernel kept" : "", tally.kernel_unpacked ? ", the kernel unpacked" : "");
  ask_more(&from, "/report", why ? "&stage=no-jump" : "&stage=jump", why ? why : told, strlen(why ? why : told),
           now_ms() + 5000, NULL, NULL);
  return why;
}

void kexec_jump(void) {
  sync();
  syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
  perror("bootloom: kexec");
}
