#include "paged.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "reports.h"
#include "say.h"

enum policy paged_policy = NO_PAGES;

/* A bit for each page of the file. */
struct paged {
  uint64_t pages;
  unsigned char *here, *told;
  int file, whole;
};

static const char *kept_in, *whole_in;
static int told_to = -1;

static int has(const unsigned char *bits, uint64_t page) { return bits[page / 8] >> (page % 8) & 1; }
static void put(unsigned char *bits, uint64_t page) { bits[page / 8] |= (unsigned char)(1 << (page % 8)); }

int paged_parse(struct entry *entry, const char *ranges) {
  struct paged *paged = calloc(1, sizeof *paged);
  if (!paged) return -1;
  paged->file = paged->whole = -1;
  paged->pages = (entry->size + PAGE - 1) / PAGE;
  paged->here = calloc(paged->pages / 8 + 1, 1);
  paged->told = calloc(paged->pages / 8 + 1, 1);
  if (!paged->here || !paged->told) return -1;
  uint64_t next = 0;
  for (const char *at = ranges; strcmp(ranges, "-") != 0;) {
    char *end;
    uint64_t from = strtoull(at, &end, 10), to = from;
    if (end == at) return -1;
    if (*end == '-') to = strtoull(at = end + 1, &end, 10);
    if (end == at || from < next || to < from || to >= paged->pages) return -1;
    for (next = from; next <= to; next++) put(paged->here, next);
    if (!*end) break;
    if (*end != ',') return -1;
    at = end + 1;
  }
  entry->paged = paged;
  return 0;
}

void paged_from(const char *pages, const char *whole) {
  kept_in = pages;
  whole_in = whole;
}

void paged_tell(int file) { told_to = file; }

static int opened(const char *directory, const char *between, const char *name) {
  char path[8192];
  snprintf(path, sizeof path, "%s%s%s", directory, between, name);
  return open(path, O_RDONLY | O_NOATIME | O_CLOEXEC);
}

int paged_open(void) {
  for (uint32_t i = 2; i < entries_count; i++) {
    struct entry *entry = &entries[i];
    if (!entry->paged) continue;
    if (kept_in && (entry->paged->file = opened(kept_in, "/", entry->hex)) < 0) return -1;
    if (whole_in && (entry->paged->whole = opened(whole_in, "", entry->path)) < 0) return -1;
  }
  return 0;
}

long paged_read(struct entry *entry, void *bytes, uint64_t length, uint64_t offset, uint64_t *page) {
  struct paged *paged = entry->paged;
  if (offset >= entry->size) return 0;
  if (length > entry->size - offset) length = entry->size - offset;
  uint64_t first = offset / PAGE, last = (offset + length - 1) / PAGE;
  if (paged_policy == RECORDED) {
    for (uint64_t one = first; one <= last; one++) put(paged->here, one);
    return paged_read_whole(entry, bytes, length, offset);
  }
  for (*page = first; *page <= last; ++*page)
    if (!has(paged->here, *page)) return -1;
  /* Those before it that are here stand before it in the file; all that is asked for is here, one behind another. */
  uint64_t before = 0;
  for (uint64_t one = 0; one < first; one++) before += (uint64_t)has(paged->here, one);
  *page = first;
  return pread(paged->file, bytes, length, (off_t)(before * PAGE + offset % PAGE)) == (long)length ? (long)length : -1;
}

long paged_read_whole(struct entry *entry, void *bytes, uint64_t length, uint64_t offset) {
  if (offset >= entry->size) return 0;
  if (length > entry->size - offset) length = entry->size - offset;
  return pread(entry->paged->whole, bytes, length, (off_t)offset) == (long)length ? (long)length : -1;
}

void paged_missed(struct entry *entry, int64_t page, int pid, const char *process) {
  if (page >= 0 ? has(entry->paged->told, (uint64_t)page) : entry->told) return;
  if (page >= 0 && has(entry->paged->here, (uint64_t)page)) return;
  if (page >= 0) put(entry->paged->told, (uint64_t)page);
  else entry->told = 1;
  if (told_to < 0 && page < 0)
    say("%s [%d] was to write to %s, which the bundle has pages of", process, pid, entry->path);
  else if (told_to < 0)
    say("%s [%d] read page %lld of %s, which the bundle lacks", process, pid, (long long)page, entry->path);
  if (told_to >= 0) dprintf(told_to, "%lld\t%d\t%s\t%s\n", (long long)page, pid, process, entry->path);
  else reports_page(pid, process, (long)page, entry->path);
}

int paged_record(int file) {
  for (uint32_t i = 2; i < entries_count; i++) {
    struct paged *paged = entries[i].paged;
    if (!paged) continue;
    uint64_t count = 0;
    for (uint64_t page = 0; page < paged->pages; page++) count += (uint64_t)has(paged->here, page);
    dprintf(file, "%llu\t", (unsigned long long)count);
    const char *between = "";
    for (uint64_t page = 0; page < paged->pages; page++) {
      if (!has(paged->here, page)) continue;
      uint64_t from = page;
      while (page + 1 < paged->pages && has(paged->here, page + 1)) page++;
      dprintf(file, from == page ? "%s%llu" : "%s%llu-%llu", between, (unsigned long long)from, (unsigned long long)page);
      between = ",";
    }
    dprintf(file, "%s\t%s%c", count ? "" : "-", entries[i].path, 0);
  }
  return 0;
}

int paged_bind(const char *mounted, const char *root) {
  char from[8192], to[8192];
  for (uint32_t i = 2; i < entries_count; i++) {
    if (!entries[i].paged) continue;
    snprintf(from, sizeof from, "%s%s", mounted, entries[i].path);
    snprintf(to, sizeof to, "%s%s", root, entries[i].path);
    int made = open(to, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
    if (made >= 0) close(made);
    if (mount(from, to, NULL, MS_BIND, NULL) < 0) return -1;
  }
  return 0;
}
