/*
 * Tables of 512 entries, of which spaces and page tables are made. Each knows
 * how many of its entries are used, and which entry of another points to it.
 *
 * One that becomes empty is not freed at once, since the next delegation often
 * needs it again, but when a grace period later it is still empty. So what is
 * empty waits for that (but for roots, which stay). All under mdb_lock.
 */
#pragma once

#include "page.h"

enum {
	TABLE_BITS = 9,
	TABLE_ENTRIES = 1 << TABLE_BITS,
};

/*
 * A table for an entry that points to none: `kinds` of page tables it is part
 * of (MAPPING_TABLES), 0: of a space. It is for the caller to set the entry.
 */
uint64_t *table_alloc(struct pd *payer, uint64_t *above, unsigned kinds);
/* It is in the way at its entry, though it has nothing in it. */
void table_detach(uint64_t *table);
/* One of the PD's may go. */
void table_forget_near(struct pd *pd);
/* It was empty, or became so. */
void table_trim_later(struct frame *f);

/*
 * The last two of the lowest tables that a tree was asked for, so that the next
 * time there is often no walk. None when one of the PD's goes.
 */
struct table_near {
	struct {
		uint64_t *table;
		uint64_t key; /* of its entries, above TABLE_BITS */
	} at[2];
};

#define TABLE_NOWHERE (~0ul)

/* The entry, or NULL. */
static inline uint64_t *table_near(const struct table_near *n, uint64_t key)
{
	uint64_t k = key >> TABLE_BITS, i = key & (TABLE_ENTRIES - 1);

	if (likely(n->at[0].key == k))
		return &n->at[0].table[i];
	return n->at[1].key == k ? &n->at[1].table[i] : NULL;
}

static inline void table_set_near(struct table_near *n, uint64_t key, uint64_t *table)
{
	n->at[1] = n->at[0];
	n->at[0].table = table;
	n->at[0].key = key >> TABLE_BITS;
}

static inline unsigned table_index(uint64_t key, unsigned level)
{
	return key >> level * TABLE_BITS & (TABLE_ENTRIES - 1);
}

/* So many entries more are used. */
static inline void table_fill(const void *in_table, unsigned n)
{
	struct frame *f = page_frame(in_table);

	f->used = (uint16_t)(f->used + n);
}

static inline void table_empty(const void *in_table, unsigned n)
{
	struct frame *f = page_frame(in_table);

	f->used = (uint16_t)(f->used - n);
	if (!f->used && f->above && !f->waits)
		table_trim_later(f);
}
