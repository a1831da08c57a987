/*
 * Boot Linux directly, by the 64-bit boot protocol: put kernel, initrd and
 * command line into the guest's memory, and what the firmware would have left
 * there: boot_params with the memory map, page tables, a GDT.
 *
 * The guest's first MiB is laid out so:
 *	0x1000	GDT			0x2000	page tables, 6 pages
 *	0x8000	boot_params		0x9000	stack's end is here
 *	0x10000	command line		0xe0000..0xfffff reserved: firmware
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gmem.h"

enum {
	LINUX_GDT = 0x1000,
	LINUX_PAGE_TABLES = 0x2000,
	LINUX_BOOT_PARAMS = 0x8000,
	LINUX_STACK = 0x9000,
	LINUX_COMMAND_LINE = 0x10000,
	LINUX_COMMAND_LINE_MAX = 0x10000,

	LINUX_CS = 0x10,
	LINUX_DS = 0x18,
	LINUX_GDT_BYTES = 32,
};

struct linux_image {
	const void *kernel; /* a bzImage */
	size_t kernel_bytes;
	const void *initrd; /* or NULL */
	size_t initrd_bytes;
	const char *command_line;
	uint64_t rsdp; /* guest-physical, 0: none */
};

/* How the vCPU starts. */
struct linux_entry {
	uint64_t rip;
	uint64_t boot_params; /* RSI */
	uint64_t cr3;
};

/* false: *wrong says what, for a person. */
[[nodiscard]] bool linux_load(const struct gmem *mem, const struct linux_image *image,
			      struct linux_entry *entry, char *wrong, size_t wrong_bytes);
