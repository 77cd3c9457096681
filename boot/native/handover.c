/*
 * kexec_load(2) by the 64-bit boot protocol of x86 (kernel document arch/x86/boot). Against kexec_file_load(2), the kernel's
 * place for unpacking itself is not put by in advance, some 60 MB, nor digested before the jump and again behind it, which
 * is for a kernel that is to look at a crashed one's memory; kexec-tools calls that --no-checks.
 */
#define _GNU_SOURCE
#include "handover.h"

#include <asm/bootparam.h>
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "place.h"
#include "unpack.h"

/* Pages that stand together below the initramfs; of the second level of page tables one for each GB that is mapped. */
enum { PARAMETERS, PURGATORY, COMMAND, SEED, LEVEL5, LEVEL4, LEVEL3, LEVEL2, MAPPED = 4, PAGES = LEVEL2 + MAPPED };
/* No kernel stands below this, and its text is mapped to so much (kernel documents arch/x86/boot, arch/x86/x86_64/mm). */
static const uint64_t lowest = 16 << 20, text_room = 1 << 30;
static unsigned char pages[PAGES][PAGE] __attribute__((aligned(4096)));

/*
 * The running kernel enters with identity-mapped pages and zeroed registers; the protocol wants the two segments and the
 * parameters' address in %rsi. Its stack is the rest of its page. The page tables are its own: the running kernel's stand
 * wherever it had memory, also where the next one unpacks itself, which it keeps free only if it is told to fill all of
 * that with zeros. With CR4.LA57 there is a fifth level.
 */
__asm__(
    ".pushsection .rodata\n"
    "purgatory_begin:\n"
    "  mov purgatory_level4(%rip), %rax\n"
    "  mov %cr4, %rcx\n"
    "  test $0x1000, %ecx\n"
    "  jz 1f\n"
    "  mov purgatory_level5(%rip), %rax\n"
    "1:\n"
    "  mov %rax, %cr3\n"
    "  lgdt purgatory_table_pointer(%rip)\n"
    "  mov $0x18, %eax\n"
    "  mov %eax, %ds\n  mov %eax, %es\n  mov %eax, %ss\n  mov %eax, %fs\n  mov %eax, %gs\n"
    "  lea purgatory_begin+4096(%rip), %rsp\n"
    "  push $0x10\n"
    "  lea 1f(%rip), %rax\n"
    "  push %rax\n"
    "  lretq\n"
    "1:\n"
    "  mov purgatory_parameters(%rip), %rsi\n"
    "  jmp *purgatory_entry(%rip)\n"
    ".balign 8\n"
    "purgatory_level4: .quad 0\n"
    "purgatory_level5: .quad 0\n"
    "purgatory_parameters: .quad 0\n"
    "purgatory_entry: .quad 0\n"
    "purgatory_table: .quad 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n"
    "purgatory_table_pointer: .word 31\n"
    "purgatory_table_address: .quad 0\n"
    "purgatory_end:\n"
    ".popsection\n");
extern const unsigned char purgatory_begin[], purgatory_level4[], purgatory_level5[], purgatory_parameters[], purgatory_entry[], purgatory_table[], purgatory_table_address[], purgatory_end[];

static void put(const unsigned char *label, uint64_t value) {
  memcpy(pages[PURGATORY] + (label - purgatory_begin), &value, sizeof value);
}

static const struct setup_header *header_of(const unsigned char *kernel, size_t size) {
  const struct setup_header *header = (const void *)(kernel + offsetof(struct boot_params, hdr));
  if (size < 2 * PAGE || header->boot_flag != 0xaa55 || header->header != 0x53726448) return NULL;
  return header;
}

uint32_t unpacking_size(const unsigned char *kernel, size_t size) {
  const struct setup_header *header = header_of(kernel, size);
  return header ? header->init_size : 0;
}

/* What the running kernel was told of its machine. */
static int read_running(struct boot_params *running) {
  int file = open("/sys/kernel/boot_params/data", O_RDONLY | O_CLOEXEC);
  ssize_t got = file < 0 ? -1 : read(file, running, sizeof *running);
  if (file >= 0) close(file);
  return got == (ssize_t)sizeof *running ? 0 : -1;
}

/* Each address as itself: the first GBs, in pages of 2 MB (present, writable, large). */
static void fill_tables(uint64_t low) {
  uint64_t *level = (void *)pages[LEVEL5];
  level[0] = (low + LEVEL4 * PAGE) | 3;
  level = (void *)pages[LEVEL4];
  level[0] = (low + LEVEL3 * PAGE) | 3;
  level = (void *)pages[LEVEL3];
  for (uint64_t i = 0; i < MAPPED; i++) level[i] = (low + (LEVEL2 + i) * PAGE) | 3;
  level = (void *)pages[LEVEL2];
  for (uint64_t i = 0; i < MAPPED * 512; i++) level[i] = i << 21 | 0x83;
}

/* The kernel as it is to stand in memory when it is entered. */
struct standing {
  const unsigned char *bytes;
  size_t size;
  /* Bytes that it needs from there on. */
  uint64_t room;
  uint64_t at, entry;
  /* Whether it was unpacked to random places. */
  int unpacked;
};

static void fill_pages(const struct handover *next, const struct boot_params *running, uint64_t low, const struct standing *kernel) {
  struct boot_params *parameters = (void *)pages[PARAMETERS];
  struct setup_data *seed = (void *)pages[SEED];
  const struct setup_header *header = header_of(next->kernel, next->kernel_size);
  memset(pages, 0, sizeof pages);
  parameters->screen_info = running->screen_info;
  parameters->acpi_rsdp_addr = running->acpi_rsdp_addr;
  parameters->e820_entries = running->e820_entries;
  memcpy(parameters->e820_table, running->e820_table, sizeof running->e820_table);
  /* The header ends where its own jump leads to. */
  size_t length = 0x202 + (header->jump >> 8) - offsetof(struct boot_params, hdr);
  memcpy(&parameters->hdr, header, length < sizeof *header ? length : sizeof *header);
  /* As kexec-tools says of itself. */
  parameters->hdr.type_of_loader = 0xd0;
  if (kernel->unpacked) parameters->hdr.loadflags |= KASLR_FLAG;
  parameters->hdr.code32_start = (uint32_t)kernel->at;
  parameters->hdr.cmd_line_ptr = (uint32_t)(low + COMMAND * PAGE);
  parameters->hdr.ramdisk_image = (uint32_t)(low + PAGES * PAGE);
  parameters->hdr.ramdisk_size = (uint32_t)next->initramfs_size;
  strcpy((char *)pages[COMMAND], next->command);
  seed->type = SETUP_RNG_SEED;
  seed->len = 32;
  if (getrandom(seed->data, 32, GRND_NONBLOCK) == 32) parameters->hdr.setup_data = low + SEED * PAGE;
  memcpy(pages[PURGATORY], purgatory_begin, (size_t)(purgatory_end - purgatory_begin));
  fill_tables(low);
  put(purgatory_level4, low + LEVEL4 * PAGE);
  put(purgatory_level5, low + LEVEL5 * PAGE);
  put(purgatory_parameters, low + PARAMETERS * PAGE);
  put(purgatory_entry, kernel->entry);
  put(purgatory_table_address, low + PURGATORY * PAGE + (uint64_t)(purgatory_table - purgatory_begin));
}

/*
 * What the kernel's first stage is needed for: a guest whose memory may be encrypted (CPUID: SEV, TDX), and page tables of
 * five levels, which it leaves where its kernel knows none.
 */
static int needs_first_stage(const struct setup_header *header) {
  unsigned a, b, c, d;
  if (!(header->xloadflags & XLF_5LEVEL_ENABLED) && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & 1u << 16)) return 1;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 31)) return 0;
  if (__get_cpuid(0x8000001f, &a, &b, &c, &d) && (a & 2)) return 1;
  return __get_cpuid_count(0x21, 0, &a, &b, &c, &d) && b == 0x65746e49 && d == 0x5844546c;
}

/* What the kernel's first stage places it by, too. */
static int is_plain(const char *command) {
  static const char *const words[] = {"nokaslr", "no5lvl", "mem=", "memmap="};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strstr(command, words[i])) return 0;
  return 1;
}

/*
 * Unpacked here, while the application serves, instead of behind the jump; at random places, physical and virtual, as
 * the kernel's own first stage does. Zero when that is left to it.
 */
static int unpack_ahead(const struct handover *next, const struct boot_params *running, uint64_t low, struct standing *kernel) {
  const struct setup_header *header = header_of(next->kernel, next->kernel_size);
  uint64_t random[2], align = header->kernel_alignment, linked = header->pref_address, room = whole_pages(header->init_size);
  if (memory("MemAvailable") < 2 * room + next->initramfs_size + MARGIN) return 0;
  if (!header->relocatable_kernel || align < 2 << 20 || align > text_room || linked + room > text_room) return 0;
  if (needs_first_stage(header) || !is_plain(next->command) || getrandom(random, sizeof random, GRND_NONBLOCK) != sizeof random) return 0;
  struct range within = {lowest, (uint64_t)MAPPED << 30}, bundle = {low, low + PAGES * PAGE + whole_pages(next->initramfs_size)};
  uint64_t at = place_anywhere(running, within, align, room, bundle, random[0]);
  uint64_t places = (text_room - linked - room) / align + 1;
  struct mapped image = at ? unpack(next->kernel, next->kernel_size, random[1] % places * align) : (struct mapped){NULL, 0};
  if (image.size > room) munmap((void *)image.bytes, image.size);
  if (!image.bytes || image.size > room) return 0;
  *kernel = (struct standing){image.bytes, image.size, room, at, at, 1};
  return 1;
}

/* The image as it is, which unpacks itself. */
static const char *as_it_is(const struct handover *next, const struct boot_params *running, struct standing *kernel) {
  const struct setup_header *header = header_of(next->kernel, next->kernel_size);
  size_t skipped = (header->setup_sects ? header->setup_sects + 1u : 5u) * 512u;
  if (skipped >= next->kernel_size) return "the kernel is none for this";
  *kernel = (struct standing){.bytes = next->kernel + skipped, .size = next->kernel_size - skipped, .at = header->pref_address};
  kernel->room = whole_pages(header->init_size < kernel->size ? kernel->size : header->init_size);
  /* Its 64-bit entry. */
  kernel->entry = kernel->at + 0x200;
  return is_ram(running, kernel->at, kernel->room) ? NULL : "the kernel does not fit where it wants to be";
}

const char *hand_over(const struct handover *next) {
  static struct boot_params running;
  struct standing kernel;
  const struct setup_header *header = header_of(next->kernel, next->kernel_size);
  if (access("/sys/firmware/efi", F_OK) == 0) return "the machine was started by EFI";
  if (!header || header->version < 0x20c || !(header->xloadflags & XLF_KERNEL_64)) return "the kernel is none for this";
  if (read_running(&running) < 0 || running.e820_entries >= E820_MAX_ENTRIES_ZEROPAGE) return "the memory is not known";
  if (strlen(next->command) >= PAGE || strlen(next->command) > header->cmdline_size) return "the command line is too long";
  const char *why = as_it_is(next, &running, &kernel);
  if (why) return why;
  uint64_t limit = header->initrd_addr_max < 0x7fffffff ? header->initrd_addr_max : 0x7fffffff;
  uint64_t low = place_below(&running, limit, kernel.at + kernel.room, PAGES * PAGE + whole_pages(next->initramfs_size));
  if (low == 0) return "the bundle does not fit behind the kernel";
  tally.kernel_unpacked = unpack_ahead(next, &running, low, &kernel);
  fill_pages(next, &running, low, &kernel);
  struct kexec_segment segments[] = {
      {kernel.bytes, kernel.size, (void *)kernel.at, whole_pages(kernel.size)},
      {pages, sizeof pages, (void *)low, sizeof pages},
      {next->initramfs, next->initramfs_size, (void *)(low + PAGES * PAGE), whole_pages(next->initramfs_size)},
  };
  long done = syscall(SYS_kexec_load, low + PURGATORY * PAGE, 3l, segments, KEXEC_ARCH_DEFAULT);
  why = done == 0 ? NULL : strerror(errno);
  if (tally.kernel_unpacked) munmap((void *)kernel.bytes, kernel.size);
  return why;
}
