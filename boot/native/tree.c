#include "tree.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "escape.h"
#include "paged.h"

struct entry *entries;
uint32_t entries_count;
static uint32_t room, *table, table_size;

static uint32_t place_of(uint32_t parent, const char *name, size_t length) {
  uint32_t hash = 2166136261u ^ parent * 2654435761u;
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)name[i]) * 16777619u;
  return hash & (table_size - 1);
}

static uint32_t find(uint32_t parent, const char *name, size_t length) {
  for (uint32_t at = place_of(parent, name, length); table[at]; at = (at + 1) & (table_size - 1)) {
    const struct entry *entry = &entries[table[at]];
    if (entry->parent == parent && strncmp(entry->name, name, length) == 0 && entry->name[length] == 0) return table[at];
  }
  return 0;
}

uint32_t tree_find(uint32_t parent, const char *name) { return find(parent, name, strlen(name)); }

/* The entry at a path, made with the directories above it where there is none; 0 when there is no more memory. */
static uint32_t reach(char *path) {
  uint32_t parent = 1;
  for (char *name = path + 1;;) {
    size_t length = strcspn(name, "/");
    uint32_t found = find(parent, name, length);
    if (!found) {
      if (entries_count * 2 >= table_size || entries_count >= room) return 0;
      found = entries_count++;
      struct entry *entry = &entries[found];
      memset(entry, 0, sizeof *entry);
      entry->path = name[length] ? strndup(path, (size_t)(name - path) + length) : path;
      if (!entry->path) return 0;
      entry->name = entry->path + (name - path);
      entry->mode = S_IFDIR | 0755;
      entry->parent = parent;
      entry->next = entries[parent].first;
      entries[parent].first = found;
      uint32_t at = place_of(parent, name, length);
      while (table[at]) at = (at + 1) & (table_size - 1);
      table[at] = found;
    }
    if (!name[length]) return found;
    parent = found;
    name += length + 1;
  }
}

/* The words of a line behind its letter, in place. */
static int words_of(char *line, char **words, int most) {
  int count = 0;
  char *rest;
  for (char *word = strtok_r(line, " ", &rest); word && count < most; word = strtok_r(NULL, " ", &rest)) words[count++] = word;
  return count;
}

static int take(char *line, uint64_t *mtime) {
  char *word[8], kind = line[0];
  int count = words_of(line, word, 8);
  if (kind == 'c' && count >= 2) *mtime = strtoull(word[1], NULL, 10);
  if (kind == 'c') return 0;
  if (count != (kind == 'p' ? 8 : kind == 'f' ? 7 : 5) || !strchr("dflp", kind)) return -1;
  char *path = word[count - 1];
  unescape(path);
  if (path[0] != '/' || strlen(path) > 4095) return -1;
  uint32_t found = reach(path);
  if (!found) return -1;
  struct entry *entry = &entries[found];
  entry->mtime = *mtime;
  entry->lacking = 1;
  if (kind == 'l') {
    entry->mode = S_IFLNK | 0777;
    entry->uid = (uint32_t)strtoul(word[1], NULL, 10);
    entry->gid = (uint32_t)strtoul(word[2], NULL, 10);
    unescape(entry->target = word[3]);
    entry->size = strlen(entry->target);
    return 0;
  }
  entry->mode = (kind == 'd' ? S_IFDIR : S_IFREG) | (strtoul(word[1], NULL, 8) & 07777);
  entry->uid = (uint32_t)strtoul(word[2], NULL, 10);
  entry->gid = (uint32_t)strtoul(word[3], NULL, 10);
  if (kind == 'f' || kind == 'p') {
    entry->size = strtoull(word[4], NULL, 10);
    entry->hex = word[5];
    if (strlen(entry->hex) != 64 || strspn(entry->hex, "0123456789abcdef") != 64) return -1;
  }
  if (kind == 'p') {
    entry->lacking = 0;
    return paged_parse(entry, word[6]);
  }
  return 0;
}

int tree_load(const char *file) {
  struct stat about;
  int from = open(file, O_RDONLY | O_CLOEXEC);
  if (from < 0 || fstat(from, &about) < 0) return -1;
  char *text = malloc((size_t)about.st_size + 1);
  if (!text || read(from, text, (size_t)about.st_size) != about.st_size) return -1;
  close(from);
  text[about.st_size] = 0;
  uint32_t lines = 0;
  for (const char *at = text; (at = strchr(at, '\n')); at++) lines++;
  /* Directories that only lead to what is lacking have no line. */
  room = lines * 2 + 64;
  for (table_size = 1024; table_size < room * 2; table_size *= 2) {}
  table = calloc(table_size, sizeof *table);
  entries = malloc(room * sizeof *entries);
  if (!table || !entries) return -1;
  memset(entries, 0, 2 * sizeof *entries);
  entries[1].path = entries[1].name = "/";
  entries[1].mode = S_IFDIR | 0755;
  entries_count = 2;
  uint64_t mtime = 0;
  char *rest;
  for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
    if (take(line, &mtime) < 0) return -1;
  return 0;
}
