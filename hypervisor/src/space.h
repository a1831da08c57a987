/*
 * A radix tree of mappings by page, port or selector number: nine bits a
 * level. A mapping of order n stands in 2^(n mod 9) entries of a table at level
 * n / 9. Changed under mdb_lock; object lookups read it without.
 */
#pragma once

#include "mapping.h"

enum {
	SPACE_BITS = 9,
	SPACE_ENTRIES = 1 << SPACE_BITS,

	MEM_LEVELS = 4,
	PIO_LEVELS = 2,
	OBJ_LEVELS = 2,

	SELECTOR_BITS = OBJ_LEVELS * SPACE_BITS,
	PORT_BITS = 16,
};

#define SELECTORS (1ul << SELECTOR_BITS)
#define PORTS	  (1ul << PORT_BITS)

/* An entry: 0, a mapping, or a table's address + TABLE. */
struct space_table {
	uint64_t entry[SPACE_ENTRIES];
};

enum { SPACE_TABLE = 1 };

struct space {
	struct space_table *root;
	unsigned levels;
};

/* The mapping that has `key`, which must be in the space's range, or NULL. */
static inline struct mapping *space_find(const struct space *s, uint64_t key)
{
	uint64_t e = (uint64_t)s->root;
	unsigned shift = s->levels * SPACE_BITS;

	if (unlikely(!e)) {
		return NULL;
	}
	e += SPACE_TABLE;
	do {
		shift -= SPACE_BITS;
		e = ((struct space_table *)(e - SPACE_TABLE))
			    ->entry[key >> shift & (SPACE_ENTRIES - 1)];
	} while (e & SPACE_TABLE);
	return (struct mapping *)e;
}

/* First mapping that overlaps [first, last], or NULL. */
struct mapping *space_next(const struct space *s, uint64_t first,
			   uint64_t last);
/* The range must be free. OUT_OF_MEMORY changes nothing. */
[[nodiscard]] enum status space_insert(struct space *s, struct pd *payer,
				       struct mapping *m);
void space_remove(struct space *s, struct pd *payer, struct mapping *m);

/* The object at a selector, without a lock; levels are known. */
static inline struct mapping *space_object(const struct space *s,
					   uint64_t selector)
{
	uint64_t table;

	if (unlikely(selector >= SELECTORS)) {
		return NULL;
	}
	table = __atomic_load_n(&s->root->entry[selector >> SPACE_BITS],
				__ATOMIC_RELAXED);
	if (unlikely(!table)) {
		return NULL;
	}
	return (struct mapping *)__atomic_load_n(
		&((struct space_table *)(table - SPACE_TABLE))
			 ->entry[selector % SPACE_ENTRIES],
		__ATOMIC_RELAXED);
}
