/*
 * One walk for all formats. A mapping stands in leaves of one size: the largest
 * that its order and the processor allow; so what was mapped by one call is
 * found again by the call that unmaps it, and all its leaves are in one table.
 */
#include "ptab.h"

#include "panic.h"
#include "pd.h"
#include "tlb.h"

enum { LEVELS = 4 };

#define PTE_ADDRESS 0x000ffffffffff000ul

static uint64_t *table_of(uint64_t entry)
{
	return phys_to_pool(entry & PTE_ADDRESS);
}

static bool present(const struct ptab_format *f, uint64_t entry)
{
	return entry & f->present;
}

/* At a level above 0. */
static bool is_table(const struct ptab_format *f, uint64_t entry)
{
	return present(f, entry) && !(entry & f->large);
}

static unsigned kind(const struct ptab *t, const struct pd *pd)
{
	return 1u << (t - pd->tables);
}

static uint64_t table_entry(const struct ptab_format *f, const void *table, unsigned level)
{
	return pool_to_phys(table) | f->table | level * f->table_level;
}

/* NULL: no memory. */
static uint64_t *make_root(struct ptab *t, struct pd *payer)
{
	t->root = page_alloc(payer, 0, true);
	return t->root;
}

/*
 * The entry at a level, with tables made on the way if `make`. NULL: no memory,
 * or not to be made.
 */
static inline uint64_t *walk(struct ptab *t, struct pd *payer, bool make, unsigned level,
			     uint64_t page)
{
	uint64_t in_use = t->format->present, to_pool = POOL_BASE - pool_phys;
	uint64_t *table = t->root;

	if (unlikely(!table)) {
		table = make ? make_root(t, payer) : NULL;
		if (!table)
			return NULL;
	}
	for (unsigned l = LEVELS - 1; l > level; l--) {
		uint64_t *e = &table[table_index(page, l)];

		if (unlikely(!(*e & in_use))) {
			uint64_t *below = make ? table_alloc(payer, e, kind(t, payer)) : NULL;

			if (!below)
				return NULL;
			*e = table_entry(t->format, below, l);
		}
		table = (uint64_t *)((*e & PTE_ADDRESS) + to_pool);
	}
	return &table[table_index(page, level)];
}

static unsigned leaf_level(const struct ptab *t, unsigned order)
{
	unsigned level = order / TABLE_BITS;

	return level < t->format->levels_large ? level : t->format->levels_large;
}

static inline uint64_t leaf(const struct ptab_format *f, unsigned level, const struct mapping *m,
			    unsigned rights)
{
	unsigned type = (m->flags & MAPPING_TYPE) >> MAPPING_TYPE_SHIFT;

	return f->page | f->r | (level ? f->large : 0) | f->type[type] |
	       (rights & MEM_W ? f->w : 0) | (rights & MEM_X ? f->x : f->no_x);
}

static void set(uint64_t *e, uint64_t value)
{
	*(volatile uint64_t *)e = value;
}

/* Large leaves: where they go, or were to go, may be tables left empty. */
static bool in_the_way(struct ptab *t, struct pd *payer, uint64_t *e, bool to_map)
{
	if (!is_table(t->format, *e))
		return false;
	if (to_map) {
		table_detach(table_of(*e));
		set(e, 0);
		tlb_stale(payer, kind(t, payer));
	}
	return true;
}

[[gnu::noinline]] static enum status map_block(struct ptab *t, const struct mapping *m,
					       unsigned rights)
{
	unsigned level = leaf_level(t, m->order), n = 0, gone = 0;
	uint64_t bits = rights ? leaf(t->format, level, m, rights) : 0;
	uint64_t step = bits ? PAGE_SIZE << level * TABLE_BITS : 0;
	uint64_t value = bits ? m->frame << PAGE_BITS | bits : 0;
	uint64_t *e = walk(t, m->pd, rights, level, m->base);

	if (unlikely(!e))
		return rights ? OUT_OF_MEMORY : SUCCESS;
	uint64_t *end = e + (1ul << (m->order - level * TABLE_BITS));

	if (!level)
		table_set_near(&t->near, m->base, e - table_index(m->base, 0));
	for (uint64_t *i = e; i < end; i++, value += step) {
		bool used = *i != 0;

		if (level && in_the_way(t, m->pd, i, rights) && !rights)
			continue;
		set(i, value);
		n += !used;
		gone += used;
	}
	if (!rights)
		table_empty(e, gone);
	else if (n)
		table_fill(e, n);
	return SUCCESS;
}

enum status ptab_map(struct ptab *t, const struct mapping *m, unsigned rights)
{
	uint64_t *e = table_near(&t->near, m->base), old;

	if (unlikely(!e || m->order))
		return map_block(t, m, rights);
	old = *e;
	if (rights) {
		set(e, m->frame << PAGE_BITS | leaf(t->format, 0, m, rights));
		if (!old)
			table_fill(e, 1);
	} else if (old) {
		set(e, 0);
		table_empty(e, 1);
	}
	return SUCCESS;
}

uint64_t *ptab_table(struct ptab *t, struct pd *payer, unsigned level)
{
	uint64_t *table = walk(t, payer, true, level - 1, 0);

	if (table)
		page_frame(table)->above = NULL;
	return table;
}

void ptab_free(struct ptab *t, struct pd *payer)
{
	uint64_t *table = t->root;

	while (table) {
		uint64_t e = table[0];

		page_free(payer, table, 0);
		table = present(t->format, e) ? table_of(e) : NULL;
	}
}

unsigned ptab_split_levels(const struct ptab *t, unsigned from, unsigned to)
{
	return leaf_level(t, from) - leaf_level(t, to);
}

void ptab_split(struct ptab *t, struct pd *payer, uint64_t page, unsigned from, unsigned to,
		void **pages)
{
	for (unsigned l = leaf_level(t, from); l > leaf_level(t, to); l--) {
		uint64_t *e = walk(t, payer, false, l, page), *table = *pages++;
		uint64_t step = PAGE_SIZE << (l - 1) * TABLE_BITS, leaf = *e;

		assert(present(t->format, leaf));
		page_frame(table)->above = e;
		page_frame(table)->kinds = (uint8_t)kind(t, payer);
		if (l == 1)
			leaf &= ~t->format->large;
		for (unsigned i = 0; i < TABLE_ENTRIES; i++, leaf += step)
			table[i] = leaf;
		table_fill(table, TABLE_ENTRIES);
		set(e, table_entry(t->format, table, l));
	}
}

unsigned ptab_order_max(const struct pd *pd, unsigned kinds)
{
	unsigned levels = LEVELS - 1;

	for (unsigned i = 0; i < PTABS; i++) {
		const struct ptab_format *f = pd->tables[i].format;

		if (kinds >> i & 1 && f && f->levels_large < levels)
			levels = f->levels_large;
	}
	return (levels + 1) * TABLE_BITS;
}
