#include "place.h"

#include <asm/e820.h>
#include <stdio.h>

uint64_t whole_pages(uint64_t bytes) { return (bytes + PAGE - 1) & ~(PAGE - 1); }

uint64_t place_below(const struct boot_params *running, uint64_t limit, uint64_t floor, uint64_t bytes) {
  uint64_t best = 0;
  for (int i = 0; i < running->e820_entries; i++) {
    const struct boot_e820_entry *entry = &running->e820_table[i];
    uint64_t from = whole_pages(entry->addr < floor ? floor : entry->addr), to = entry->addr + entry->size;
    if (to > limit) to = limit;
    to &= ~(PAGE - 1);
    if (entry->type == E820_RAM && to > from && to - from >= bytes && to - bytes > best) best = to - bytes;
  }
  return best;
}

int is_ram(const struct boot_params *running, uint64_t from, uint64_t bytes) {
  for (int i = 0; i < running->e820_entries; i++) {
    const struct boot_e820_entry *entry = &running->e820_table[i];
    if (entry->type == E820_RAM && entry->addr <= from && from + bytes <= entry->addr + entry->size) return 1;
  }
  return 0;
}

/* Where the running kernel's code and data stand; nowhere when it does not tell. */
static struct range running_kernel(void) {
  struct range found = {0, 0};
  unsigned long long from, to;
  char line[160], name[2];
  FILE *file = fopen("/proc/iomem", "re");
  while (file && fgets(line, sizeof line, file)) {
    if (sscanf(line, " %llx-%llx : Kernel %1s", &from, &to, name) != 3) continue;
    if (found.to == 0) found.from = from;
    found.to = to + 1;
  }
  if (file) fclose(file);
  return found;
}

static int is_apart(struct range one, struct range other) { return one.to <= other.from || other.to <= one.from; }

struct wanted {
  const struct boot_params *running;
  struct range within;
  uint64_t align, bytes;
  struct range taken, avoided;
};

/* Counts the places that are as wanted, up to number `last`, which is put to *at. */
static uint64_t count_places(const struct wanted *wanted, uint64_t last, uint64_t *at) {
  uint64_t count = 0, from = (wanted->within.from + wanted->align - 1) / wanted->align * wanted->align;
  for (; count <= last && from + wanted->bytes <= wanted->within.to; from += wanted->align) {
    struct range place = {from, from + wanted->bytes};
    if (!is_apart(place, wanted->taken) || !is_apart(place, wanted->avoided)) continue;
    if (!is_ram(wanted->running, from, wanted->bytes)) continue;
    *at = from;
    count++;
  }
  return count;
}

uint64_t place_anywhere(const struct boot_params *running, struct range within, uint64_t align, uint64_t bytes,
                        struct range taken, uint64_t random) {
  struct wanted wanted = {running, within, align, bytes, taken, running_kernel()};
  uint64_t at = 0, count = align > 0 ? count_places(&wanted, UINT64_MAX, &at) : 0;
  if (count == 0 && align > 0) {
    wanted.avoided = (struct range){0, 0};
    count = count_places(&wanted, UINT64_MAX, &at);
  }
  if (count > 0) count_places(&wanted, random % count, &at);
  return count > 0 ? at : 0;
}
