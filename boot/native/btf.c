/* The BPF Type Format (kernel document bpf/btf): a header, a section of types, a section of strings. */
#include "btf.h"

#include <fcntl.h>
#include <linux/btf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What has been read of it is at its beginning: of the 4 MB a hundredth is needed, and the kernel gives it by the page. */
struct section {
  int file;
  off_t at;
  char *bytes;
  size_t size, have;
};

static int open_section(struct section *section, int file, off_t at, size_t size) {
  *section = (struct section){file, at, malloc(size + 1), size, 0};
  return section->bytes ? 0 : -1;
}

/* Reads on until so many bytes are there; -1 where the section has fewer. */
static int need(struct section *section, size_t bytes) {
  while (section->have < bytes) {
    size_t wanted = section->size - section->have < 16384 ? section->size - section->have : 16384;
    ssize_t got = wanted ? pread(section->file, section->bytes + section->have, wanted, section->at + (off_t)section->have) : 0;
    if (got <= 0) return -1;
    section->have += (size_t)got;
  }
  return 0;
}

/* "" where there is none. */
static const char *name_at(struct section *strings, size_t offset) {
  for (size_t end = offset; need(strings, end + 1) == 0; end++)
    if (strings->bytes[end] == 0) return strings->bytes + offset;
  return "";
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
static void look_in(const struct btf_type *type, struct section *strings, struct member *members, int count) {
  const struct btf_member *member = (const void *)(type + 1);
  const char *named = name_at(strings, type->name_off);
  int wanted = 0;
  for (int j = 0; j < count; j++) wanted |= strcmp(members[j].structure, named) == 0 ? 1 << j : 0;
  if (!wanted) return;
  for (unsigned i = 0; i < BTF_INFO_VLEN(type->info); i++, member++) {
    uint32_t bits = BTF_INFO_KFLAG(type->info) ? BTF_MEMBER_BIT_OFFSET(member->offset) : member->offset;
    const char *name = name_at(strings, member->name_off);
    for (int j = 0; j < count; j++)
      if (wanted & 1 << j && members[j].offset < 0 && strcmp(members[j].name, name) == 0) members[j].offset = bits / 8;
  }
}

static int find(struct section *types, struct section *strings, struct member *members, int count) {
  int missing = count;
  for (size_t at = 0; missing > 0;) {
    if (need(types, at + sizeof(struct btf_type)) < 0) return -1;
    size_t length = sizeof(struct btf_type) + rest_of((const void *)(types->bytes + at));
    if (need(types, at + length) < 0) return -1;
    const struct btf_type *type = (const void *)(types->bytes + at);
    if (BTF_INFO_KIND(type->info) == BTF_KIND_STRUCT) look_in(type, strings, members, count);
    at += length;
    missing = 0;
    for (int j = 0; j < count; j++) missing += members[j].offset < 0;
  }
  return 0;
}

int btf_offsets(struct member *members, int count) {
  struct btf_header header;
  struct section types, strings;
  int file = open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  int known = pread(file, &header, sizeof header, 0) == sizeof header && header.magic == BTF_MAGIC;
  if (!known || open_section(&types, file, (off_t)header.hdr_len + header.type_off, header.type_len) < 0) {
    close(file);
    return -1;
  }
  int done = open_section(&strings, file, (off_t)header.hdr_len + header.str_off, header.str_len);
  if (done == 0) done = find(&types, &strings, members, count);
  free(types.bytes);
  free(strings.bytes);
  close(file);
  return done;
}
