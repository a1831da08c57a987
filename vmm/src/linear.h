/*
 * Access to guest memory by guest-virtual (linear) address: through the guest's
 * page tables, to RAM or to a device.
 *
 * An access has two steps. linear_locate() does all that can fail, and finds
 * the one or two (across a page boundary) places it goes to; reading and
 * writing these cannot fail. So an instruction that reads, modifies and writes
 * its operand faults before it has had an effect on a device, or not at all.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gmem.h"
#include "walk.h"

/* How an attempt to do something for the guest ended. */
enum outcome {
	OUTCOME_DONE,
	OUTCOME_AGAIN,	 /* partly: enter the guest at the same place */
	OUTCOME_FAULT,	 /* the exception is to be injected */
	OUTCOME_UNKNOWN, /* we cannot */
};

enum {
	VECTOR_DE = 0,
	VECTOR_DB = 1,
	VECTOR_BP = 3,
	VECTOR_OF = 4,
	VECTOR_UD = 6,
	VECTOR_SS = 12,
	VECTOR_GP = 13,
	VECTOR_PF = 14,
};

struct exception {
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint64_t address; /* CR2 of a page fault */
};

/* Devices that are mapped into guest-physical memory. */
struct mmio {
	uint64_t (*read)(void *opaque, uint64_t gpa, unsigned bytes);
	void (*write)(void *opaque, uint64_t gpa, unsigned bytes, uint64_t value);
	void *opaque;
};

/* The last translation: a string instruction shall not walk each time. */
struct linear_cache {
	bool valid;
	uint64_t page; /* guest-virtual */
	uint64_t gpa;  /* of that page */
};

struct linear {
	const struct gmem *mem;
	const struct mmio *mmio;
	struct paging paging;
	unsigned access;	      /* ACCESS_USER at CPL 3 */
	struct linear_cache cache[2]; /* for reads, for writes */
	struct exception fault;	      /* after OUTCOME_FAULT */
};

enum { LINEAR_MAX = 8 }; /* bytes of one access */

struct piece {
	uint8_t *ram; /* or NULL: a device */
	uint64_t gpa;
	unsigned bytes;
};

struct place {
	struct piece piece[2];
	unsigned pieces;
};

/* access: ACCESS_WRITE or ACCESS_FETCH, or 0. bytes: 1..LINEAR_MAX. */
[[nodiscard]] enum outcome linear_locate(struct linear *linear, uint64_t gva, unsigned bytes,
					 unsigned access, struct place *place);
uint64_t place_read(const struct linear *linear, const struct place *place);
void place_write(const struct linear *linear, const struct place *place, uint64_t value);

/*
 * Fetch code: as much as there is from gva to the end of its page, at most
 * `most` bytes; *got says how much.
 */
[[nodiscard]] enum outcome linear_fetch(struct linear *linear, uint64_t gva, uint8_t *to,
					unsigned most, unsigned *got);
