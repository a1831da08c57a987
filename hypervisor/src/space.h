/*
 * A radix tree of mappings by page, port or selector number: nine bits a
 * level. A mapping of order n stands in 2^(n mod 9) entries of a table at level
 * n / 9. Changed under mdb_lock; object lookups read it without. A space for
 * objects has two levels, and one above them as soon as it needs that.
 */
#pragma once

#include "mapping.h"

enum {
	MEM_LEVELS = 4,
	PIO_LEVELS = 2,
	OBJ_LEVELS = 2, /* at first */
	OBJ_LEVELS_MAX = 3,

	SELECTOR_BITS = OBJ_LEVELS_MAX * TABLE_BITS,
	PORT_BITS = 16,
};

#define SELECTORS     (1ul << SELECTOR_BITS)
#define SELECTORS_LOW (1ul << OBJ_LEVELS * TABLE_BITS)
#define PORTS	      (1ul << PORT_BITS)

/* An entry: 0, a mapping, or a table's address + SPACE_TABLE. */
enum { SPACE_TABLE = 1 };

struct space {
	uint64_t *root;
	uint64_t *low; /* objects: the first root, with the first selectors; stays */
	unsigned levels;
	struct table_near near;
};

/* The mapping that has `key`, which must be in the space's range, or NULL. */
static inline struct mapping *space_find(const struct space *s, uint64_t key)
{
	uint64_t e = (uint64_t)s->root;
	unsigned shift = s->levels * TABLE_BITS;

	if (unlikely(!e))
		return NULL;
	e += SPACE_TABLE;
	do {
		shift -= TABLE_BITS;
		e = ((uint64_t *)(e - SPACE_TABLE))[key >> shift & (TABLE_ENTRIES - 1)];
	} while (e & SPACE_TABLE);
	return (struct mapping *)e;
}

/* The same; the next that is asked for is likely near. */
struct mapping *space_find_far(struct space *s, uint64_t key);
static inline struct mapping *space_find_near(struct space *s, uint64_t key)
{
	const uint64_t *e = table_near(&s->near, key);

	return likely(e) ? (struct mapping *)*e : space_find_far(s, key);
}

/* First mapping that overlaps [first, last], or NULL. */
struct mapping *space_next(const struct space *s, uint64_t first, uint64_t last);
/* BAD_CAPABILITY: the range is not free. If it fails nothing is changed. */
[[nodiscard]] enum status space_insert(struct space *s, struct mapping *m);
void space_remove(struct space *s, struct mapping *m);

/* No call: one would make each lookup cost more, also of the usual, low selectors. */
static inline struct mapping *space_object_high(const struct space *s, uint64_t selector)
{
	unsigned level = __atomic_load_n(&s->levels, __ATOMIC_ACQUIRE);
	uint64_t e = (uint64_t)s->root + SPACE_TABLE;

	if (selector >> level * TABLE_BITS)
		return NULL;
	while (level-- && e)
		e = __atomic_load_n((uint64_t *)(e - SPACE_TABLE) +
					    (selector >> level * TABLE_BITS) % TABLE_ENTRIES,
				    __ATOMIC_RELAXED);
	return (struct mapping *)e;
}

/* The object at a selector, without a lock. */
static inline struct mapping *space_object(const struct space *s, uint64_t selector)
{
	uint64_t table;

	if (unlikely(selector >= SELECTORS_LOW))
		return space_object_high(s, selector);
	table = __atomic_load_n(&s->low[selector >> TABLE_BITS], __ATOMIC_RELAXED);
	if (unlikely(!table))
		return NULL;
	return (struct mapping *)__atomic_load_n(
		(uint64_t *)(table - SPACE_TABLE) + selector % TABLE_ENTRIES, __ATOMIC_RELAXED);
}
