/*
 * What the boot loader told us, in one form whatever its protocol; and how the
 * kernel starts.
 *
 * All of it is copied out of the loader's memory at once, so that only the
 * modules themselves must be spared. Nothing here is used after boot.
 */
#pragma once

#include "../types.h"

struct cpu;

enum {
	BOOT_RANGES = 88,
	BOOT_MODULES = 32,
	RSDP_SIZE = 36,
};

/* A range of memory, as in Multiboot; type 1 is RAM to use (hip.h). */
struct boot_range {
	uint64_t address, size;
	uint32_t type, reserved;
};

struct boot_module {
	uint64_t phys, size;
	uint64_t string; /* physical address of its command line or 0 */
};

/* As in Multiboot. */
struct boot_framebuffer {
	uint64_t address; /* 0: none */
	uint32_t pitch, width, height;
	uint8_t bits, type;
};

struct boot_info {
	char command_line[256]; /* words, each ended by 0 */
	struct boot_range range[BOOT_RANGES];
	uint32_t ranges;
	struct boot_module module[BOOT_MODULES];
	uint32_t modules;
	uint8_t rsdp[RSDP_SIZE]; /* valid if rsdp_size is not 0 */
	uint32_t rsdp_size;
	uint64_t efi; /* system table or 0 */
	struct boot_framebuffer framebuffer;
};

extern struct boot_info boot_info;

/*
 * A word of the kernel's command line: of "name=value" the value, of "name"
 * "", NULL if it is not there. What nobody asks for is ignored.
 */
const char *boot_option(const char *name);

/* Module 0, the root task. Panics without one. */
const struct boot_module *boot_root(void);

/*
 * Physical memory during boot, before the identity map goes; NULL for what is
 * not all in it.
 */
void *boot_memory(uint64_t phys, uint64_t size);

/* The modules' command lines; log_ring and the image's end are behind them. */
extern char boot_strings[], image_end[];

/* The processor that boots; the other cpus[] are in the pool. */
extern struct cpu boot_cpu;

/* start.S calls it; tells what the rest of the boot does, step by step. */
_Noreturn void boot_main(uint32_t magic, uint32_t info);
