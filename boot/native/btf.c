/* The BPF Type Format (kernel document bpf/btf): a header, a section of types, a section of strings. */
#include "btf.h"

#include <fcntl.h>
#include <linux/btf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *whole(const char *path, size_t *size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  struct stat about;
  if (file < 0 || fstat(file, &about) < 0) return NULL;
  char *bytes = malloc((size_t)about.st_size);
  size_t have = 0;
  for (ssize_t got; bytes && have < (size_t)about.st_size; have += (size_t)got)
    if ((got = read(file, bytes + have, (size_t)about.st_size - have)) <= 0) break;
  close(file);
  *size = have;
  return bytes;
}

/* Bytes that follow a type's own header. */
static size_t rest_of(const struct btf_type *type) {
  size_t count = BTF_INFO_VLEN(type->info);
  switch (BTF_INFO_KIND(type->info)) {
    case BTF_KIND_INT:
    case BTF_KIND_VAR:
    case BTF_KIND_DECL_TAG:
      return 4;
    case BTF_KIND_ARRAY:
      return sizeof(struct btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
    case BTF_KIND_DATASEC:
    case 19: /* BTF_KIND_ENUM64, younger than some headers */
      return count * 12;
    case BTF_KIND_ENUM:
    case BTF_KIND_FUNC_PROTO:
      return count * 8;
    default:
      return 0;
  }
}

/* The members wanted of one structure. */
static void look_in(const struct btf_type *type, const char *strings, struct member *members, int count) {
  const struct btf_member *member = (const void *)(type + 1);
  const char *named = strings + type->name_off;
  int wanted = 0;
  for (int j = 0; j < count; j++) wanted |= strcmp(members[j].structure, named) == 0;
  if (!wanted) return;
  for (unsigned i = 0; i < BTF_INFO_VLEN(type->info); i++, member++) {
    uint32_t bits = BTF_INFO_KFLAG(type->info) ? BTF_MEMBER_BIT_OFFSET(member->offset) : member->offset;
    for (int j = 0; j < count; j++)
      if (members[j].offset < 0 && strcmp(members[j].structure, named) == 0 &&
          strcmp(members[j].name, strings + member->name_off) == 0)
        members[j].offset = bits / 8;
  }
}

int btf_offsets(struct member *members, int count) {
  size_t size = 0;
  char *bytes = whole("/sys/kernel/btf/vmlinux", &size);
  const struct btf_header *header = (const void *)bytes;
  if (!bytes || size < sizeof *header || header->magic != BTF_MAGIC ||
      (size_t)header->hdr_len + header->str_off + header->str_len > size) {
    free(bytes);
    return -1;
  }
  const char *strings = bytes + header->hdr_len + header->str_off;
  const char *at = bytes + header->hdr_len + header->type_off, *end = at + header->type_len;
  int missing = count;
  while (at + sizeof(struct btf_type) <= end && missing > 0) {
    const struct btf_type *type = (const void *)at;
    if (BTF_INFO_KIND(type->info) == BTF_KIND_STRUCT) look_in(type, strings, members, count);
    at += sizeof *type + rest_of(type);
    missing = 0;
    for (int j = 0; j < count; j++) missing += members[j].offset < 0;
  }
  free(bytes);
  return missing == 0 ? 0 : -1;
}
