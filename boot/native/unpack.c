#define _GNU_SOURCE
#include "unpack.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <string.h>
#include <sys/mman.h>

/* Where the kernel's text is mapped (kernel document arch/x86/x86_64/mm). */
static const uint64_t text_map = 0xffffffff80000000;
static const uint32_t lz4_magic = 0x184c2102;
static const size_t lz4_block = 8 << 20;
/* Bytes of an unpacked kernel; its text may not take more. */
static const uint32_t largest = 512 << 20;

static uint32_t word(const unsigned char *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

/* The rest of a length that did not fit its four bits. */
static int more_length(const unsigned char **in, const unsigned char *end, size_t *length) {
  unsigned char byte = 255;
  while (byte == 255) {
    if (*in == end) return -1;
    byte = *(*in)++;
    *length += byte;
  }
  return 0;
}

/* In words, where so much room is behind it that some bytes too many do no harm. */
static void copy(unsigned char *out, const unsigned char *from, size_t length, size_t room) {
  if (room < length + 8) {
    while (length-- > 0) *out++ = *from++;
    return;
  }
  for (const unsigned char *end = out + length; out < end; out += 8, from += 8) memcpy(out, from, 8);
}

/* One block of LZ4: literals and matches by turns, the last are literals. The end of what it wrote, or NULL. */
static unsigned char *lz4_unpack_block(const unsigned char *in, const unsigned char *end, unsigned char *out, unsigned char *limit) {
  const unsigned char *begin = out;
  while (in < end) {
    unsigned char token = *in++;
    size_t literals = token >> 4, length = token & 15;
    if (literals == 15 && more_length(&in, end, &literals) < 0) return NULL;
    size_t left = (size_t)(end - in), room = (size_t)(limit - out);
    if (literals > left || literals > room) return NULL;
    copy(out, in, literals, left < room ? left : room);
    in += literals;
    out += literals;
    if (in == end) return out;
    if (end - in < 2) return NULL;
    size_t distance = in[0] | (size_t)in[1] << 8;
    in += 2;
    if (length == 15 && more_length(&in, end, &length) < 0) return NULL;
    length += 4;
    room = (size_t)(limit - out);
    if (distance == 0 || distance > (size_t)(out - begin) || length > room) return NULL;
    /* Nearer than a word, it reads what it has just written. */
    copy(out, out - distance, length, distance < 8 ? 0 : room);
    out += length;
  }
  return NULL;
}

/* The frame that the kernel's build makes (lz4 -l): the magic, then each block behind its size. Nonzero when all is there. */
static int lz4_unpack(const unsigned char *in, size_t size, unsigned char *out, size_t room) {
  const unsigned char *end = in + size;
  unsigned char *at = out, *limit = out + room;
  if (size < 4 || word(in) != lz4_magic) return 0;
  for (in += 4; end - in >= 4;) {
    uint32_t block = word(in);
    in += 4;
    if (block > (size_t)(end - in)) return 0;
    size_t rest = (size_t)(limit - at);
    at = lz4_unpack_block(in, in + block, at, at + (rest < lz4_block ? rest : lz4_block));
    if (!at) return 0;
    in += block;
  }
  return in == end && at == limit;
}

/* Adds to the words of `bytes` wide that a list of addresses names. Nonzero when all are within the image. */
static int add_at(const unsigned char *from, const unsigned char *to, struct mapped image, uint64_t linked, size_t bytes, uint64_t shift) {
  for (; from < to; from += 4) {
    /* As the kernel keeps them: the lower half of an address, whose upper is all ones. */
    uint64_t offset = (uint64_t)(int64_t)(int32_t)word(from) - text_map - linked, value = 0;
    if (offset > image.size - bytes) return 0;
    unsigned char *place = (unsigned char *)image.bytes + offset;
    memcpy(&value, place, bytes);
    value += shift;
    memcpy(place, &value, bytes);
  }
  return 1;
}

/*
 * What follows the ELF file (arch/x86/tools/relocs): lists of addresses, each behind a zero: of words of 64 bits, of those
 * of 32 from which the shift is taken away, as older kernels have them, and of those of 32.
 */
static int relocate(const unsigned char *lists, const unsigned char *end, struct mapped image, uint64_t linked, uint64_t shift) {
  const unsigned char *begins[4];
  int count = 0;
  for (const unsigned char *at = lists; at < end; at += 4) {
    if (word(at) != 0) continue;
    if (count == 3) return 0;
    begins[count++] = at + 4;
  }
  if (count < 2 || begins[0] != lists + 4) return 0;
  begins[count] = end + 4;
  return add_at(begins[0], begins[1] - 4, image, linked, 8, shift) &&
         (count == 2 || add_at(begins[1], begins[2] - 4, image, linked, 4, -shift)) &&
         add_at(begins[count - 1], end, image, linked, 4, shift);
}

/* Where the ELF file ends: its table of sections stands last, and the relocations follow. 0 when it is none. */
static size_t elf_end(const Elf64_Ehdr *elf, size_t size) {
  if (size < sizeof *elf || memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 || elf->e_machine != EM_X86_64) return 0;
  if (elf->e_phentsize != sizeof(Elf64_Phdr) || elf->e_phoff != sizeof *elf || elf->e_phnum > 16) return 0;
  if (elf->e_shoff > size || (size_t)elf->e_shnum * elf->e_shentsize > size - elf->e_shoff) return 0;
  size_t end = elf->e_shoff + (size_t)elf->e_shnum * elf->e_shentsize;
  return end % 4 == size % 4 ? end : 0;
}

/* Moves each part down to its place, in the file itself. How long the image is then, 0 when it is none. */
static size_t place_parts(unsigned char *file, size_t end, uint64_t linked) {
  const Elf64_Ehdr *elf = (const void *)file;
  Elf64_Phdr parts[16];
  int count = elf->e_phnum;
  size_t length = 0;
  if (sizeof *elf + (size_t)count * sizeof *parts > end || elf->e_entry != linked) return 0;
  memcpy(parts, file + sizeof *elf, (size_t)count * sizeof *parts);
  for (const Elf64_Phdr *part = parts; part < parts + count; part++) {
    uint64_t at = part->p_paddr - linked;
    if (part->p_type != PT_LOAD) continue;
    if (part->p_filesz > end || part->p_offset > end - part->p_filesz || at < length || at > part->p_offset) return 0;
    memset(file + length, 0, at - length);
    memmove(file + at, file + part->p_offset, part->p_filesz);
    length = at + part->p_filesz;
  }
  return length;
}

/*
 * How much of the image has to be there. Its .bss the kernel clears itself when it starts, and with nothing but zeros to the
 * end that is a quarter of Debian's 48 MB.
 */
static size_t needed(const unsigned char *file, size_t end, const Elf64_Ehdr *elf, struct mapped image, uint64_t linked) {
  size_t length = image.size;
  Elf64_Shdr section, names;
  if (elf->e_shentsize != sizeof section || elf->e_shstrndx >= elf->e_shnum) return length;
  memcpy(&names, file + elf->e_shoff + elf->e_shstrndx * sizeof names, sizeof names);
  for (size_t i = 0; i < elf->e_shnum; i++) {
    memcpy(&section, file + elf->e_shoff + i * sizeof section, sizeof section);
    uint64_t name = names.sh_offset + section.sh_name, offset = section.sh_addr - text_map - linked;
    if (names.sh_offset > end || name > end - sizeof ".bss" || memcmp(file + name, ".bss", sizeof ".bss") != 0) continue;
    if (section.sh_type == SHT_NOBITS && offset < length) length = offset;
  }
  for (const unsigned char *at = image.bytes + length; at < image.bytes + image.size; at++)
    if (*at) return image.size;
  return length;
}

struct mapped unpack(const unsigned char *kernel, size_t size, uint64_t shift) {
  const struct setup_header *header = (const void *)(kernel + offsetof(struct boot_params, hdr));
  const struct mapped none = {NULL, 0};
  size_t skipped = (header->setup_sects + 1u) * 512u, packed = header->payload_length;
  if (size < sizeof(struct boot_params) || skipped > size || header->payload_offset > size - skipped || packed < 8 || packed > size - skipped - header->payload_offset) return none;
  const unsigned char *payload = kernel + skipped + header->payload_offset;
  /* Its last word tells the length that it unpacks to. */
  size_t whole = word(payload + packed - 4);
  if (whole < sizeof(Elf64_Ehdr) || whole > largest) return none;
  Elf64_Ehdr elf;
  unsigned char *file = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (file == MAP_FAILED) return none;
  size_t end = lz4_unpack(payload, packed - 4, file, whole) ? elf_end((const void *)file, whole) : 0;
  memcpy(&elf, file, sizeof elf);
  struct mapped image = {file, end ? place_parts(file, end, header->pref_address) : 0};
  int done = image.size >= 8 && relocate(file + end, file + whole, image, header->pref_address, shift);
  if (done) image.size = needed(file, end, &elf, image, header->pref_address);
  size_t kept = done ? (image.size + 4095) & ~4095ul : 0;
  if (kept < whole) munmap(file + kept, whole - kept);
  return done ? image : none;
}
