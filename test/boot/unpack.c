/*
 * Unpacks a kernel image as a node does before it jumps (boot/native/unpack.h).
 *   unpack IMAGE SHIFT FILE       writes the unpacked kernel to a file
 *   unpack IMAGE damage COUNT     unpacks so many images, each with some bytes changed; says how many it took
 */
#include "../../boot/native/unpack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int main(int count, char **words) {
  if (count != 4) return 2;
  size_t size = 0, room = 64 << 20;
  unsigned char *image = malloc(room), *damaged;
  FILE *file = fopen(words[1], "rb");
  if (!file || !image || !(size = fread(image, 1, room, file))) return 2;
  if (strcmp(words[2], "damage") != 0) {
    struct mapped kernel = unpack(image, size, strtoull(words[2], NULL, 0));
    FILE *out = kernel.bytes ? fopen(words[3], "wb") : NULL;
    return !out || fwrite(kernel.bytes, 1, kernel.size, out) != kernel.size || fclose(out) != 0;
  }
  unsigned taken = 0;
  srand(1);
  for (int i = 0; i < atoi(words[3]); i++) {
    /* The whole image, or its beginning; in a block of its own, so that a read beyond it is seen. */
    size_t length = i % 4 == 3 ? 0x1000 + (size_t)rand() % (size - 0x1000) : size;
    if (!(damaged = malloc(length))) return 2;
    memcpy(damaged, image, length);
    for (int changes = 1 + rand() % 4; changes > 0; changes--) {
      /* Half of them where header and beginning of the payload are. */
      size_t at = rand() % 2 ? (size_t)rand() % length : 0x1f1 + (size_t)rand() % 0x8000;
      if (at < length) damaged[at] = (unsigned char)rand();
    }
    struct mapped kernel = unpack(damaged, length, 0x200000);
    if (kernel.bytes) {
      taken++;
      munmap((void *)kernel.bytes, kernel.size);
    }
    free(damaged);
  }
  printf("%u\n", taken);
  return 0;
}
