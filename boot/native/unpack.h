/* A kernel image unpacked before it is entered, while the application still serves. */
#ifndef UNPACK_H
#define UNPACK_H
#include <stddef.h>
#include <stdint.h>

#include "gather.h"

/*
 * What the image's own first stage would do behind the jump (arch/x86/boot/compressed): decompresses its payload, puts the
 * parts of the ELF file where they belong, and relocates them to begin `shift` bytes behind where they were linked for.
 * It begins with the kernel's entry. Nothing where the memory is not there, or the image is not like that: its payload is
 * packed by something other than LZ4, or cannot be relocated.
 */
struct mapped unpack(const unsigned char *kernel, size_t size, uint64_t shift);
#endif
