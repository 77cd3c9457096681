/* A kernel and its initramfs handed to the running kernel, which enters it at reboot(2). */
#ifndef HANDOVER_H
#define HANDOVER_H
#include <stddef.h>
#include <stdint.h>

struct handover {
  /* A bzImage. */
  const unsigned char *kernel;
  size_t kernel_size;
  const unsigned char *initramfs;
  size_t initramfs_size;
  const char *command;
};

/*
 * By kexec_load(2): what the running kernel copies is all the memory that it takes. NULL, or why that cannot be on this
 * machine, as where it was started by EFI, or is locked down; kexec_file_load(2) may do it then.
 */
const char *hand_over(const struct handover *next);

/* Bytes from where the kernel starts that it needs to unpack itself, as the image says; 0 when it is none. */
uint32_t unpacking_size(const unsigned char *kernel, size_t size);
#endif
