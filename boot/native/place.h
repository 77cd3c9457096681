/* Where in memory the next kernel can stand. Of addresses the physical ones. */
#ifndef PLACE_H
#define PLACE_H
#include <asm/bootparam.h>
#include <stdint.h>

#define PAGE 4096ul

/* From the first address to the one behind the last. */
struct range {
  uint64_t from, to;
};

uint64_t whole_pages(uint64_t bytes);

/* The highest place below `limit` with so many bytes of RAM, all above `floor`; 0 when there is none. */
uint64_t place_below(const struct boot_params *running, uint64_t limit, uint64_t floor, uint64_t bytes);

/*
 * One of the places of so many bytes of RAM within `within`, at a multiple of `align`, each as likely, that has nothing of
 * `taken`; 0 without one. Not over the running kernel where there is another: an emulator is slow at writing over code that
 * it has translated.
 */
uint64_t place_anywhere(const struct boot_params *running, struct range within, uint64_t align, uint64_t bytes,
                        struct range taken, uint64_t random);

/* Whether all of this is RAM. */
int is_ram(const struct boot_params *running, uint64_t from, uint64_t bytes);
#endif
