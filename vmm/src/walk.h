/*
 * The guest's own page tables: from a guest-virtual (linear) address to a
 * guest-physical one, as the processor would do it. SDM 3A chapter 4.
 *
 * All modes are known: no paging, 32-bit, PAE, 4-level and 5-level. Accessed
 * and dirty bits are set. Protection keys are not: CPUID does not offer them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gmem.h"

/* What an access is, in the bits of a page fault's error code. */
enum {
	ACCESS_PRESENT = 1 << 0, /* in an error code only */
	ACCESS_WRITE = 1 << 1,
	ACCESS_USER = 1 << 2,
	ACCESS_RESERVED = 1 << 3, /* in an error code only */
	ACCESS_FETCH = 1 << 4,
	ACCESS_PROBE = 1 << 8, /* change nothing: see walk() */
};

enum {
	CR0_PE = 1u << 0,
	CR0_WP = 1u << 16,
	CR0_NW = 1u << 29,
	CR0_CD = 1u << 30,
	CR0_PG = 1u << 31,

	CR4_PSE = 1u << 4,
	CR4_PAE = 1u << 5,
	CR4_LA57 = 1u << 12,
	CR4_OSXSAVE = 1u << 18,
	CR4_SMEP = 1u << 20,
	CR4_SMAP = 1u << 21,

	EFER_SCE = 1u << 0,
	EFER_LME = 1u << 8,
	EFER_LMA = 1u << 10,
	EFER_NXE = 1u << 11,
	EFER_SVME = 1u << 12,
};

/* The state that decides how an address is translated. */
struct paging {
	uint64_t cr0, cr3, cr4, efer;
	uint64_t rflags;       /* AC lifts SMAP */
	unsigned address_bits; /* MAXPHYADDR, 36 to 52 */
};

struct translation {
	uint64_t gpa;
	uint64_t page;	/* size of the page, a power of two */
	uint32_t error; /* of the fault, if it is one */
};

/*
 * Translate for an access (ACCESS_WRITE, _USER, _FETCH or-ed). false: a page
 * fault with the error code in to->error. With ACCESS_PROBE an access that has
 * to set an accessed or dirty bit is refused, too, and the error means nothing.
 */
[[nodiscard]] bool walk(const struct gmem *mem, const struct paging *paging, uint64_t gva,
			unsigned access, struct translation *to);
