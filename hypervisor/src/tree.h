/*
 * Radix trees by page, port or selector number, nine bits a level: the spaces
 * of a PD, whose leaves are mappings, and its page tables for threads (host),
 * guests (EPT or nested paging) and devices. One walk, whatever the format.
 *
 * A mapping of order n stands in leaves of one size, the largest that its order
 * and the format allow, all in one table: in a space, 2^(n mod 9) of level n / 9.
 *
 * A table that becomes empty is not freed at once, since the next delegation
 * often needs it again, but when a grace period later it is still empty. So what
 * is empty waits for that (but for roots, which stay). All is changed under
 * mdb_lock; lookups of objects read their space without.
 */
#pragma once

#include "page.h"

enum {
	TABLE_BITS = 9,
	TABLE_ENTRIES = 1 << TABLE_BITS,

	PTAB_LEVELS = 4,
	MEM_LEVELS = 4,
	PIO_LEVELS = 2,
	OBJ_LEVELS = 2, /* at first; one more as soon as that is needed */
	OBJ_LEVELS_MAX = 3,

	SELECTOR_BITS = OBJ_LEVELS_MAX * TABLE_BITS,
	PORT_BITS = 16,
};

#define SELECTORS     (1ul << SELECTOR_BITS)
#define SELECTORS_LOW (1ul << OBJ_LEVELS * TABLE_BITS)
#define PORTS	      (1ul << PORT_BITS)

struct mapping;

enum ptab_kind {
	PTAB_HOST,
	PTAB_DMA,
	PTAB_GUEST,
	PTABS,
};

enum memory_type {
	MEMORY_CACHED,
	MEMORY_UNCACHED,
	MEMORY_COMBINING,
	MEMORY_TYPES,
};

/* How a format's entry spells what we ask of it. */
struct ptab_format {
	uint64_t table;		/* bits of an entry that points to a table; no leaf has all */
	uint64_t table_level;	/* added so often as that one has levels */
	uint64_t page;		/* bits of every leaf */
	uint64_t large;		/* added in a leaf above the lowest level */
	uint64_t r, w, x, no_x; /* rights */
	uint64_t type[MEMORY_TYPES];
	uint64_t present;      /* any of these: the entry is in use */
	unsigned levels_large; /* large leaves up to this level: 1 2M, 2 1G */
};

extern struct ptab_format ptab_host, ptab_ept;
/* A space's entry: 0, a mapping, or a table's address + SPACE_TABLE. */
extern const struct ptab_format space_format;
enum { SPACE_TABLE = 1 };

enum { LARGE = 2 }; /* of near[] */

struct tree {
	uint64_t *root; /* NULL until first used */
	uint64_t *low;	/* objects: the first root, with the first selectors; stays */
	const struct ptab_format *format; /* NULL: the machine has none */
	uint64_t to_pool;		  /* from an address in an entry */
	/*
	 * The last two of the lowest tables that were asked for, and the last
	 * of another level, so that the next time there is often no walk. None
	 * when one of the PD's goes.
	 */
	struct {
		uint64_t key;	/* of its entries, above TABLE_BITS */
		uint64_t first; /* where entry 0 of all would be */
	} near[3];
	uint8_t shift; /* of the third, for the number of an entry */
	uint8_t levels;
	uint8_t kinds; /* of page tables it is (MAPPING_TABLES), 0: a space */
};

/* In an entry; above it, in a space, the table's address has SPACE_HIGH. */
#define ENTRY_ADDRESS 0x000ffffffffff000ul
#define SPACE_HIGH    (POOL_BASE & ~ENTRY_ADDRESS)
#define TREE_NOWHERE  (~0ul) /* as a key of near[] */

/* All else is 0. */
static inline void tree_init(struct tree *t, const struct ptab_format *f, unsigned levels,
			     unsigned kinds)
{
	t->format = f;
	t->to_pool = kinds ? POOL_BASE - pool_phys : SPACE_HIGH;
	t->near[0].key = t->near[1].key = t->near[2].key = TREE_NOWHERE;
	t->levels = (uint8_t)levels;
	t->kinds = (uint8_t)kinds;
}
/* When nothing is in it any more, and empty tables have gone: what stayed. */
void tree_free(struct tree *t);

/* The lowest entry, or NULL where that needs a walk. */
static inline uint64_t *tree_near(const struct tree *t, uint64_t key)
{
	uint64_t k = key >> TABLE_BITS, first = t->near[0].first, *e;

	if (unlikely(t->near[0].key != k)) {
		if (t->near[1].key != k)
			return NULL;
		first = t->near[1].first;
	}
	e = (uint64_t *)(first + key * sizeof(*e));
	if (!e)
		__builtin_unreachable();
	return e;
}

/*
 * The entry at a level, or the leaf above that has the key. Tables on the way are
 * made for a payer. NULL: no memory, or none to be made.
 */
uint64_t *tree_entry(struct tree *t, struct pd *payer, unsigned level, uint64_t key);

/* The level of the leaves of a mapping. */
static inline unsigned tree_level(const struct tree *t, unsigned order)
{
	unsigned level = order / TABLE_BITS;

	return level < t->format->levels_large ? level : t->format->levels_large;
}

/*
 * The leaves of a block are `value`, plus `step` for each page or number before;
 * or 0: none. That never fails, nor where there were leaves before.
 */
[[nodiscard]] enum status tree_set_far(struct tree *t, struct pd *payer, uint64_t key,
				       unsigned order, uint64_t value, uint64_t step);

/* What is above a leaf becomes a table, `made`, of leaves that say the same. */
void tree_split(struct tree *t, uint64_t key, unsigned level, uint64_t *made, uint64_t step);
/* The table at a level of number 0, which stays from now on; NULL: no memory. */
uint64_t *tree_table(struct tree *t, struct pd *payer, unsigned level);

/* It was empty, or became so. */
void tree_trim_later(struct frame *f);

/* So many entries of the table more are used, or fewer. */
static inline void table_count(const void *in_table, unsigned more, unsigned fewer)
{
	struct frame *f = page_frame(in_table);

	f->used = (uint16_t)(f->used + more - fewer);
	if (unlikely(!f->used) && f->above && !f->waits)
		tree_trim_later(f);
}

static inline enum status tree_set(struct tree *t, struct pd *payer, uint64_t key, unsigned order,
				   uint64_t value, uint64_t step)
{
	uint64_t *e = tree_near(t, key), old;

	if (unlikely(!e || order))
		return tree_set_far(t, payer, key, order, value, step);
	old = *e;
	__atomic_store_n(e, value, __ATOMIC_RELEASE);
	if (value) {
		if (!old)
			table_count(e, 1, 0);
	} else if (old) {
		table_count(e, 0, 1);
	}
	return SUCCESS;
}

/* The mapping that has `key`, which must be in the space's range, or NULL. */
static inline struct mapping *space_find(struct tree *s, uint64_t key)
{
	const uint64_t *e = tree_near(s, key);

	if (unlikely(!e))
		e = tree_entry(s, NULL, 0, key);
	return e ? (struct mapping *)*e : NULL;
}

/*
 * First mapping that overlaps [*at, last], and `at` is where they begin to; or NULL: there is
 * none below `at` then, which is last + 1 unless the search took too long.
 */
struct mapping *space_next(const struct tree *s, uint64_t *at, uint64_t last);

/* No call: one would make each lookup cost more, also of the usual, low selectors. */
static inline struct mapping *space_object_high(const struct tree *s, uint64_t selector)
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
static inline struct mapping *space_object(const struct tree *s, uint64_t selector)
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

/*
 * Map the pages of a mapping, or with rights 0 unmap them. Its order is at most
 * ptab_order_max(). It fails as tree_set_far does.
 */
[[nodiscard]] enum status ptab_map(struct tree *t, const struct mapping *m, unsigned rights);
/* So large that changing it does not take long, in tables of these kinds. */
unsigned ptab_order_max(const struct pd *pd, unsigned kinds);
