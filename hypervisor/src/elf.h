/*
 * Root's image: a static ELF64 file in memory that is not mapped.
 */
#pragma once

#include "types.h"

struct elf {
	uint64_t phys, size; /* of the file */
	uint64_t entry;
	uint64_t headers; /* offset of the program headers */
	unsigned count, left;
};

/* A segment to be loaded. */
struct elf_segment {
	uint64_t offset; /* in the file; page aligned, as address */
	uint64_t address;
	uint64_t size;	 /* bytes, in the file and in memory */
	unsigned rights; /* MEM_ */
};

/* False: not such a file. */
[[nodiscard]] bool elf_open(struct elf *elf, uint64_t phys, uint64_t size);
/* The i-th segment; false: there are fewer. Panics on one that cannot be. */
bool elf_segment(struct elf *elf, unsigned i, struct elf_segment *s);
