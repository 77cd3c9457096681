/* What is sent, held once for all transfers of it. */
#ifndef CONTENT_H
#define CONTENT_H
#include <stddef.h>
#include <stdint.h>

struct content {
  uint32_t id;
  size_t size;
  unsigned char *bytes;
  /* Transfers, and whoever may begin further ones. */
  unsigned uses;
  struct content *next;
};

/* Used once, until it is dropped. Its bytes are yet to be filled in. */
struct content *content_hold(uint32_t id, size_t size);
struct content *content_named(uint32_t id);
/* Begins no transfer any more. */
void content_drop(uint32_t id);
void content_use(struct content *content);
/* One use less; the last one frees it. */
void content_free(struct content *content);

#endif
