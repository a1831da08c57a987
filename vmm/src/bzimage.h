/*
 * The header of a Linux bzImage, read and checked. Documentation/arch/x86/
 * boot.rst in Linux; protocol 2.12 and later with a 64-bit entry.
 *
 * Pure. The file is not trusted: what comes out lies within the file, and sums
 * of what comes out do not overflow.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	BZIMAGE_HEADER = 0x1f1,		    /* offset of the setup header */
	BZIMAGE_HEADER_MAX = 0x290 - 0x1f1, /* in boot_params */
	BZIMAGE_ENTRY_64 = 0x200,	    /* from where the kernel is loaded */
};

struct bzimage {
	const uint8_t *header; /* to be copied to boot_params */
	size_t header_bytes;
	const uint8_t *kernel; /* the protected-mode part */
	uint64_t kernel_bytes;
	uint64_t address;	   /* to load it to */
	uint64_t init_bytes;	   /* of RAM it needs from there on */
	uint64_t initrd_max;	   /* highest address of a byte of it */
	uint64_t command_line_max; /* characters without the 0 */
	unsigned version;	   /* of the protocol, 0x20c and up */
};

/* NULL, or what is wrong with the file. */
[[nodiscard]] const char *bzimage_parse(struct bzimage *image, const void *file, size_t bytes);
