/*
 * Guest memory: where the guest's RAM is in our address space.
 *
 * The RAM is one area of ours. Guest-physical 0 is its start; what does not
 * fit below GMEM_HOLE continues at 4 GiB, so that the devices' addresses
 * below 4 GiB are free. The hole is a multiple of 1 GiB, which keeps guest-
 * physical and our own addresses congruent for the largest pages. The window of
 * the VGA adapter at GMEM_VGA is no RAM either.
 *
 * Guest-physical addresses come from the guest: nothing but gmem_at() turns
 * one into a pointer, and it checks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../dev/platform.h"

#define GMEM_HOLE    PLATFORM_LOW_RAM_END /* to GMEM_HIGH: devices */
#define GMEM_HIGH    PLATFORM_HIGH_RAM
#define GMEM_VGA     0xa0000ull
#define GMEM_VGA_END 0xc0000ull
#define GMEM_MIN     (64ull << 20)

struct gmem {
	uint8_t *base; /* of guest-physical 0 */
	uint64_t low;  /* bytes below the hole */
	uint64_t high; /* bytes from 4 GiB on */
};

void gmem_init(struct gmem *mem, void *base, uint64_t size);

/* gmem_at() of what is not in the longest run, of nothing, of too much. */
void *gmem_at_any(const struct gmem *mem, uint64_t gpa, uint64_t bytes);

/* The pointer to all of [gpa, gpa + bytes), or NULL: it is not all RAM. */
static inline void *gmem_at(const struct gmem *mem, uint64_t gpa, uint64_t bytes)
{
	if (gpa >= GMEM_VGA_END && gpa < mem->low && bytes != 0 && bytes <= mem->low - gpa)
		return mem->base + gpa;
	return gmem_at_any(mem, gpa, bytes);
}

/* false: not all RAM; nothing was copied. */
[[nodiscard]] bool gmem_read(const struct gmem *mem, uint64_t gpa, void *to, size_t bytes);
[[nodiscard]] bool gmem_write(const struct gmem *mem, uint64_t gpa, const void *from, size_t bytes);

/*
 * The RAM as runs of guest-physical addresses, in order: the one with that
 * index, from 0; false: there are no more.
 */
struct gmem_run {
	uint64_t gpa, bytes;
	uint64_t offset; /* from mem->base */
};

bool gmem_run(const struct gmem *mem, unsigned index, struct gmem_run *run);
