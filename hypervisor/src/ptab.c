/*
 * One walk for all formats. A mapping stands in leaves of one size: the largest
 * that its order, the alignment of its frames and the processor allow; so what
 * was mapped by one call is found again by the call that unmaps it.
 */
#include "ptab.h"

#include <abi/crd.h>

#include "page.h"
#include "panic.h"
#include "pd.h"
#include "tlb.h"
#include "x86/ptab_format.h"

enum { LEVELS = 4, BITS = 9, ENTRIES = 1 << BITS };

#define PTE_ADDRESS 0x000ffffffffff000ul

static uint64_t *slot(uint64_t *table, unsigned level, uint64_t page)
{
	return &table[page >> BITS * level & (ENTRIES - 1)];
}

static uint64_t *table_of(uint64_t entry)
{
	return phys_to_pool(entry & PTE_ADDRESS);
}

static bool present(const struct ptab *t, uint64_t entry)
{
	return entry & t->format->present;
}

/*
 * The entry at a level, with tables made on the way if `payer`. NULL: no
 * memory, or without a payer no table.
 */
[[gnu::noinline]] static uint64_t *walk(struct ptab *t, struct pd *payer,
					unsigned level, uint64_t page)
{
	uint64_t *table = t->root;

	if (unlikely(!table)) {
		table = payer ? page_alloc(payer, 0, true) : NULL;
		if (!table) {
			return NULL;
		}
		t->root = table;
	}
	for (unsigned l = LEVELS - 1; l > level; l--) {
		uint64_t *e = slot(table, l, page);

		if (unlikely(!present(t, *e))) {
			void *below = payer ? page_alloc(payer, 0, true) : NULL;

			if (!below) {
				return NULL;
			}
			*e = pool_to_phys(below) | t->format->table |
			     l * t->format->table_level;
		}
		table = table_of(*e);
	}
	return slot(table, level, page);
}

/* The same at the lowest level, where all tables are there already. */
static inline uint64_t *find(const struct ptab *t, uint64_t page)
{
	uint64_t in_use = t->format->present, to_pool = POOL_BASE - pool_phys;
	uint64_t *table = t->root;

	if (unlikely(!table)) {
		return NULL;
	}
	for (unsigned l = LEVELS - 1; l > 0; l--) {
		uint64_t e = *slot(table, l, page);

		if (unlikely(!(e & in_use))) {
			return NULL;
		}
		table = (uint64_t *)((e & PTE_ADDRESS) + to_pool);
	}
	return slot(table, 0, page);
}

/* Tables, not leaves, below an entry at a level above 0. */
static void free_tables(const struct ptab *t, struct pd *payer, uint64_t entry,
			unsigned level, void (*free)(struct pd *, void *,
						     unsigned))
{
	uint64_t *table = table_of(entry);

	for (unsigned i = 0; level > 1 && i < ENTRIES; i++) {
		if (present(t, table[i]) &&
		    !(table[i] & t->format->large)) {
			free_tables(t, payer, table[i], level - 1, free);
		}
	}
	free(payer, table, 0);
}

static unsigned leaf_level(const struct ptab *t, uint64_t frame, unsigned order)
{
	unsigned level = t->format->levels_large;

	while (level && (order < BITS * level ||
			 frame & ((1ul << BITS * level) - 1))) {
		level--;
	}
	return level;
}

static uint64_t leaf(const struct ptab_format *f, unsigned level,
		     unsigned rights, enum memory_type type)
{
	return f->page | f->r | (level ? f->large : 0) | f->type[type] |
	       (rights & MEM_W ? f->w : 0) |
	       (rights & MEM_X ? f->x : f->no_x);
}

/* A large leaf goes where empty tables were left. */
static void replace_tables(struct ptab *t, struct pd *payer, uint64_t *e,
			   unsigned level)
{
	uint64_t old = *e;

	*e = 0;
	tlb_stale(payer, 1u << (t - payer->tables));
	free_tables(t, payer, old, level, page_free_deferred);
}

static void set(uint64_t *e, uint64_t value)
{
	*(volatile uint64_t *)e = value;
}

/* Leaves of one size, in one table or several. */
static enum status map_large(struct ptab *t, struct pd *payer, uint64_t page,
			     uint64_t frame, unsigned order, unsigned level,
			     uint64_t bits)
{
	uint64_t step = 1ul << BITS * level, end = page + (1ul << order);

	for (; page < end; page += step, frame += step) {
		uint64_t *e = walk(t, bits ? payer : NULL, level, page);

		if (!e && bits) {
			return OUT_OF_MEMORY;
		}
		if (!e) {
			/* To unmap: on to where there may be a table. */
			page |= (step << BITS) - step;
			continue;
		}
		if (level && present(t, *e) && !(*e & t->format->large)) {
			if (!bits) {
				continue;
			}
			replace_tables(t, payer, e, level);
		}
		set(e, bits ? frame << PAGE_BITS | bits : 0);
	}
	return SUCCESS;
}

enum status ptab_map(struct ptab *t, struct pd *payer, uint64_t page,
		     uint64_t frame, unsigned order, unsigned rights,
		     enum memory_type type)
{
	unsigned level = order < BITS ? 0 : leaf_level(t, frame, order);
	uint64_t bits = rights ? leaf(t->format, level, rights, type) : 0;
	uint64_t *e;

	if (unlikely(level || order > BITS)) {
		return map_large(t, payer, page, frame, order, level, bits);
	}
	/* The usual: small pages in one table, which is often there. */
	e = find(t, page);
	if (unlikely(!e && bits)) {
		e = walk(t, payer, 0, page);
	}
	if (unlikely(!e)) {
		return bits ? OUT_OF_MEMORY : SUCCESS;
	}
	for (uint64_t n = 1ul << order; n; n--, e++, frame++) {
		set(e, bits ? frame << PAGE_BITS | bits : 0);
	}
	return SUCCESS;
}

void *ptab_table(struct ptab *t, struct pd *payer, unsigned level)
{
	return walk(t, payer, level - 1, 0);
}

/* User half only: the kernel's half is shared by all. */
void ptab_free(struct ptab *t, struct pd *payer)
{
	if (!t->root) {
		return;
	}
	for (unsigned i = 0; i < ENTRIES / 2; i++) {
		if (present(t, t->root[i])) {
			free_tables(t, payer, t->root[i], LEVELS - 1,
				    page_free);
		}
	}
	page_free(payer, t->root, 0);
	t->root = NULL;
}
