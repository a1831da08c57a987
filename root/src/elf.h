/*
 * Programs as ELF64 files, which may be anything: nothing is believed before
 * it was checked, and no read leaves the file.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { ELF_SEGMENTS = 8 };

struct elf_segment {
	uint64_t address;   /* where it wants to be */
	uint64_t size;	    /* bytes in memory */
	uint64_t offset;    /* in the file */
	uint64_t file_size; /* bytes in the file, at most size */
	unsigned rights;    /* MEM_R, MEM_W, MEM_X; never W and X */
};

struct elf {
	uint64_t entry;
	unsigned segment_count;
	struct elf_segment segments[ELF_SEGMENTS];
};

/*
 * Check and take apart. Segments lie within [low, high), in order and on
 * pages of their own; the entry lies in one that can be executed. Returns
 * null, or what is wrong.
 */
[[nodiscard]] const char *elf_parse(const void *file, size_t size, uint64_t low, uint64_t high,
				    struct elf *elf);
