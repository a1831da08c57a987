/*
 * What the 64-bit boot protocol wants in memory: the kernel, boot_params with
 * the memory map, the command line, page tables that map the first GiBs one to
 * one, a GDT. Documentation/x86/boot.rst is the reference.
 */
#include "linux.h"

#include <string.h>

#include <lib/print.h>

#include "bzimage.h"

enum {
	PAGE = 4096,

	/* boot_params, Documentation/arch/x86/zero-page.rst */
	ACPI_RSDP_ADDR = 0x070,
	E820_ENTRIES = 0x1e8,
	TYPE_OF_LOADER = 0x210,
	RAMDISK_IMAGE = 0x218,
	RAMDISK_SIZE = 0x21c,
	CMD_LINE_PTR = 0x228,
	E820_TABLE = 0x2d0,

	LOADER_UNKNOWN = 0xff,

	E820_RAM = 1,
	E820_RESERVED = 2,
	EBDA = 0x9fc00,
	MIB = 1 << 20,

	/* Page table entries. */
	PRESENT_WRITABLE = 3,
	LARGE = 1 << 7,
};

struct e820_entry {
	uint64_t address, bytes;
	uint32_t type;
} __attribute__((packed));

_Static_assert(sizeof(struct e820_entry) == 20, "boot protocol");

/* What is being loaded where. */
struct loader {
	const struct gmem *mem;
	const struct linux_image *image;
	struct bzimage kernel;
	uint64_t initrd; /* address, 0: none */
	char *wrong;
	size_t wrong_bytes;
};

[[gnu::format(printf, 2, 3)]] static bool fail(struct loader *l, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(l->wrong, l->wrong_bytes, format, list);
	va_end(list);
	return false;
}

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) & ~(to - 1);
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool place_kernel(struct loader *l)
{
	const struct bzimage *k = &l->kernel;
	uint64_t end = k->address + k->init_bytes;

	if (end > l->mem->low) {
		return fail(l, "the kernel needs %llu MiB of memory",
			    (unsigned long long)(round_up(end, MIB) / MIB));
	}
	if (!gmem_write(l->mem, k->address, k->kernel, k->kernel_bytes))
		return fail(l, "the kernel does not fit into memory");
	return true;
}

/* As high as it can be, so that it is out of the kernel's way. */
static bool place_initrd(struct loader *l)
{
	const struct linux_image *image = l->image;
	uint64_t bytes = image->initrd_bytes;
	uint64_t lowest = l->kernel.address + l->kernel.init_bytes;
	uint64_t end = min(l->mem->low, l->kernel.initrd_max + 1);

	if (image->initrd == NULL || bytes == 0)
		return true;
	if (end < lowest || bytes > end - lowest ||
	    ((end - bytes) & ~(uint64_t)(PAGE - 1)) < lowest) {
		return fail(l, "kernel and initrd need %llu MiB of memory",
			    (unsigned long long)(round_up(lowest + bytes, MIB) / MIB));
	}
	l->initrd = (end - bytes) & ~(uint64_t)(PAGE - 1);
	if (!gmem_write(l->mem, l->initrd, image->initrd, bytes))
		return fail(l, "the initrd does not fit into memory");
	return true;
}

static bool place_command_line(struct loader *l)
{
	const char *line = l->image->command_line;
	size_t length = strlen(line);

	if (length > l->kernel.command_line_max || length >= LINUX_COMMAND_LINE_MAX)
		return fail(l, "the command line has %zu characters", length);
	return gmem_write(l->mem, LINUX_COMMAND_LINE, line, length + 1);
}

static unsigned e820(uint8_t *params, const struct loader *l)
{
	const struct gmem *mem = l->mem;
	const struct e820_entry map[] = {
		{0, EBDA, E820_RAM},
		{EBDA, GMEM_VGA - EBDA, E820_RESERVED},
		{PLATFORM_ACPI_BASE, PLATFORM_ACPI_SIZE, E820_RESERVED},
		{MIB, mem->low - MIB, E820_RAM},
		{GMEM_HIGH, mem->high, E820_RAM},
	};
	unsigned entries = 0;

	for (unsigned i = 0; i < sizeof(map) / sizeof(*map); i++) {
		if (map[i].bytes != 0) {
			memcpy(params + E820_TABLE + entries * sizeof(*map), &map[i], sizeof(*map));
			entries++;
		}
	}
	return entries;
}

static void put(uint8_t *params, unsigned offset, uint64_t value, unsigned bytes)
{
	memcpy(params + offset, &value, bytes);
}

static bool place_params(struct loader *l)
{
	uint8_t *params = gmem_at(l->mem, LINUX_BOOT_PARAMS, PAGE);

	if (params == NULL)
		return false;
	memset(params, 0, PAGE);
	memcpy(params + BZIMAGE_HEADER, l->kernel.header, l->kernel.header_bytes);
	put(params, ACPI_RSDP_ADDR, l->image->rsdp, 8);
	put(params, E820_ENTRIES, e820(params, l), 1);
	put(params, TYPE_OF_LOADER, LOADER_UNKNOWN, 1);
	put(params, RAMDISK_IMAGE, l->initrd, 4);
	put(params, RAMDISK_SIZE, l->initrd ? l->image->initrd_bytes : 0, 4);
	put(params, CMD_LINE_PTR, LINUX_COMMAND_LINE, 4);
	return true;
}

/* The first 4 GiB, identically, in 2-MiB pages. */
static bool place_tables(struct loader *l)
{
	static const uint64_t gdt[LINUX_GDT_BYTES / 8] = {
		0, 0, 0x00af9b000000ffff, /* LINUX_CS: 64-bit code */
		0x00cf93000000ffff,	  /* LINUX_DS: flat data */
	};
	uint64_t *table = gmem_at(l->mem, LINUX_PAGE_TABLES, 6 * PAGE);

	if (table == NULL)
		return false;
	memset(table, 0, 6 * PAGE);
	table[0] = (LINUX_PAGE_TABLES + PAGE) | PRESENT_WRITABLE;
	for (uint64_t i = 0; i < 4; i++)
		table[512 + i] = (LINUX_PAGE_TABLES + (2 + i) * PAGE) | PRESENT_WRITABLE;
	for (uint64_t i = 0; i < 4 * 512; i++)
		table[1024 + i] = i << 21 | LARGE | PRESENT_WRITABLE;
	return gmem_write(l->mem, LINUX_GDT, gdt, sizeof(gdt));
}

bool linux_load(const struct gmem *mem, const struct linux_image *image, struct linux_entry *entry,
		char *wrong, size_t wrong_bytes)
{
	struct loader l = {
		.mem = mem,
		.image = image,
		.wrong = wrong,
		.wrong_bytes = wrong_bytes,
	};
	const char *bad = bzimage_parse(&l.kernel, image->kernel, image->kernel_bytes);

	if (bad != NULL)
		return fail(&l, "the kernel cannot be booted: %s", bad);
	fail(&l, "the memory is too small");
	if (!place_kernel(&l) || !place_initrd(&l) || !place_command_line(&l) ||
	    !place_params(&l) || !place_tables(&l))
		return false;
	entry->rip = l.kernel.address + BZIMAGE_ENTRY_64;
	entry->boot_params = LINUX_BOOT_PARAMS;
	entry->cr3 = LINUX_PAGE_TABLES;
	return true;
}
