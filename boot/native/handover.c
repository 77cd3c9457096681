/*
 * kexec_load(2) by the 64-bit boot protocol of x86 (kernel document arch/x86/boot). Against kexec_file_load(2), the kernel's
 * place for unpacking itself is not put by in advance, some 60 MB, nor digested before the jump and again behind it, which
 * is for a kernel that is to look at a crashed one's memory; kexec-tools calls that --no-checks.
 */
#define _GNU_SOURCE
#include "handover.h"

#include <asm/bootparam.h>
#include <asm/e820.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ul
/* Pages that stand together below the initramfs; of the second level of page tables one for each GB that is mapped. */
enum { PARAMETERS, STUB, COMMAND, SEED, LEVEL5, LEVEL4, LEVEL3, LEVEL2, MAPPED = 4, PAGES = LEVEL2 + MAPPED };
static unsigned char pages[PAGES][PAGE] __attribute__((aligned(4096)));

/*
 * The running kernel enters with identity-mapped pages and zeroed registers; the protocol wants the two segments and the
 * parameters' address in %rsi. Its stack is the rest of its page. The page tables are its own: the running kernel's stand
 * wherever it had memory, also where the next one unpacks itself, which it keeps free only if it is told to fill all of
 * that with zeros. With CR4.LA57 there is a fifth level.
 */
__asm__(
    ".pushsection .rodata\n"
    "stub_begin:\n"
    "  mov stub_level4(%rip), %rax\n"
    "  mov %cr4, %rcx\n"
    "  test $0x1000, %ecx\n"
    "  jz 1f\n"
    "  mov stub_level5(%rip), %rax\n"
    "1:\n"
    "  mov %rax, %cr3\n"
    "  lgdt stub_table_pointer(%rip)\n"
    "  mov $0x18, %eax\n"
    "  mov %eax, %ds\n  mov %eax, %es\n  mov %eax, %ss\n  mov %eax, %fs\n  mov %eax, %gs\n"
    "  lea stub_begin+4096(%rip), %rsp\n"
    "  push $0x10\n"
    "  lea 1f(%rip), %rax\n"
    "  push %rax\n"
    "  lretq\n"
    "1:\n"
    "  mov stub_parameters(%rip), %rsi\n"
    "  jmp *stub_entry(%rip)\n"
    ".balign 8\n"
    "stub_level4: .quad 0\n"
    "stub_level5: .quad 0\n"
    "stub_parameters: .quad 0\n"
    "stub_entry: .quad 0\n"
    "stub_table: .quad 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n"
    "stub_table_pointer: .word 31\n"
    "stub_table_address: .quad 0\n"
    "stub_end:\n"
    ".popsection\n");
extern const unsigned char stub_begin[], stub_level4[], stub_level5[], stub_parameters[], stub_entry[], stub_table[], stub_table_address[], stub_end[];

static void put(const unsigned char *label, uint64_t value) {
  memcpy(pages[STUB] + (label - stub_begin), &value, sizeof value);
}

static uint64_t up(uint64_t bytes) { return (bytes + PAGE - 1) & ~(PAGE - 1); }

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

/* The highest place below `limit` with so many bytes of RAM, all above `floor`; 0 when there is none. */
static uint64_t place_below(const struct boot_params *running, uint64_t limit, uint64_t floor, uint64_t bytes) {
  uint64_t best = 0;
  for (int i = 0; i < running->e820_entries; i++) {
    const struct boot_e820_entry *entry = &running->e820_table[i];
    uint64_t from = up(entry->addr < floor ? floor : entry->addr), to = entry->addr + entry->size;
    if (to > limit) to = limit;
    to &= ~(PAGE - 1);
    if (entry->type == E820_RAM && to > from && to - from >= bytes && to - bytes > best) best = to - bytes;
  }
  return best;
}

static int is_ram(const struct boot_params *running, uint64_t from, uint64_t bytes) {
  for (int i = 0; i < running->e820_entries; i++) {
    const struct boot_e820_entry *entry = &running->e820_table[i];
    if (entry->type == E820_RAM && entry->addr <= from && from + bytes <= entry->addr + entry->size) return 1;
  }
  return 0;
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

static void fill_pages(const struct handover *next, const struct boot_params *running, uint64_t low, uint64_t kernel) {
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
  parameters->hdr.code32_start = (uint32_t)kernel;
  parameters->hdr.cmd_line_ptr = (uint32_t)(low + COMMAND * PAGE);
  parameters->hdr.ramdisk_image = (uint32_t)(low + PAGES * PAGE);
  parameters->hdr.ramdisk_size = (uint32_t)next->initramfs_size;
  strcpy((char *)pages[COMMAND], next->command);
  seed->type = SETUP_RNG_SEED;
  seed->len = 32;
  if (getrandom(seed->data, 32, GRND_NONBLOCK) == 32) parameters->hdr.setup_data = low + SEED * PAGE;
  memcpy(pages[STUB], stub_begin, (size_t)(stub_end - stub_begin));
  fill_tables(low);
  put(stub_level4, low + LEVEL4 * PAGE);
  put(stub_level5, low + LEVEL5 * PAGE);
  put(stub_parameters, low + PARAMETERS * PAGE);
  /* Its 64-bit entry. */
  put(stub_entry, kernel + 0x200);
  put(stub_table_address, low + STUB * PAGE + (uint64_t)(stub_table - stub_begin));
}

const char *hand_over(const struct handover *next) {
  static struct boot_params running;
  const struct setup_header *header = header_of(next->kernel, next->kernel_size);
  if (access("/sys/firmware/efi", F_OK) == 0) return "the machine was started by EFI";
  if (!header || header->version < 0x20c || !(header->xloadflags & XLF_KERNEL_64)) return "the kernel is none for this";
  if (read_running(&running) < 0 || running.e820_entries >= E820_MAX_ENTRIES_ZEROPAGE) return "the memory is not known";
  if (strlen(next->command) >= PAGE || strlen(next->command) > header->cmdline_size) return "the command line is too long";
  size_t skipped = (header->setup_sects ? header->setup_sects + 1u : 5u) * 512u;
  if (skipped >= next->kernel_size) return "the kernel is none for this";
  uint64_t kernel = header->pref_address, limit = header->initrd_addr_max;
  uint64_t size = up(next->kernel_size - skipped), room = up(header->init_size);
  if (room < size) room = size;
  if (!is_ram(&running, kernel, room)) return "the kernel does not fit where it wants to be";
  if (limit > 0x7fffffff) limit = 0x7fffffff;
  uint64_t low = place_below(&running, limit, kernel + room, PAGES * PAGE + up(next->initramfs_size));
  if (low == 0) return "the bundle does not fit behind the kernel";
  fill_pages(next, &running, low, kernel);
  struct kexec_segment segments[] = {
      {next->kernel + skipped, next->kernel_size - skipped, (void *)kernel, size},
      {pages, sizeof pages, (void *)low, sizeof pages},
      {next->initramfs, next->initramfs_size, (void *)(low + PAGES * PAGE), up(next->initramfs_size)},
  };
  if (syscall(SYS_kexec_load, low + STUB * PAGE, 3l, segments, KEXEC_ARCH_DEFAULT) == 0) return NULL;
  return strerror(errno);
}
