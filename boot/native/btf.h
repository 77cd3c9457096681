/* Offsets of members of the kernel's structures, as the running kernel describes them. */
#ifndef BTF_H
#define BTF_H

struct member {
  const char *structure;
  const char *name;
  /* Bytes from the beginning of the structure; -1 until it is found. */
  long offset;
};

/* Fills in the offsets from /sys/kernel/btf/vmlinux; 0 when all were found. */
int btf_offsets(struct member *members, int count);
#endif
