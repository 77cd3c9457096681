#include "content.h"
#include <stdlib.h>

static struct content *all;

struct content *content_hold(uint32_t id, size_t size) {
  struct content *one = malloc(sizeof *one);
  if (one == NULL) abort();
  *one = (struct content){.id = id, .size = size, .bytes = malloc(size + 1), .uses = 1, .next = all};
  if (one->bytes == NULL) abort();
  return all = one;
}

struct content *content_named(uint32_t id) {
  struct content *one = all;
  while (one && one->id != id) one = one->next;
  return one;
}

void content_drop(uint32_t id) {
  struct content **link = &all;
  while (*link && (*link)->id != id) link = &(*link)->next;
  if (*link == NULL) return;
  struct content *one = *link;
  *link = one->next;
  content_free(one);
}

void content_use(struct content *content) { content->uses++; }

void content_free(struct content *content) {
  if (--content->uses > 0) return;
  free(content->bytes);
  free(content);
}
