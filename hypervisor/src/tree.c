/*
 * One walk for all formats; tables that are made, and tables that are empty.
 */
#include "tree.h"

#include "log.h"
#include "pd.h"
#include "tlb.h"

const struct ptab_format space_format = {
	.table = SPACE_HIGH | SPACE_TABLE,
	.present = ~0ul,
	.levels_large = MEM_LEVELS - 1,
};

enum { SEARCH = 2 }; /* tables to the end of which it is looked for the next mapping, at once */

static uint64_t detached; /* `above` of tables that hang nowhere */

static inline unsigned index_at(uint64_t key, unsigned level)
{
	return key >> level * TABLE_BITS & (TABLE_ENTRIES - 1);
}

/* At a level above 0. */
static inline bool is_table(const struct tree *t, uint64_t entry)
{
	return (entry & (t->format->table | t->format->large)) == t->format->table;
}

static inline uint64_t *table_of(const struct tree *t, uint64_t entry)
{
	return (uint64_t *)((entry & ENTRY_ADDRESS) + t->to_pool);
}

static void set(uint64_t *e, uint64_t value)
{
	__atomic_store_n(e, value, __ATOMIC_RELEASE);
}

static void hang(const struct tree *t, uint64_t *e, unsigned level, uint64_t *table)
{
	struct frame *f = page_frame(table);

	f->above = e;
	f->kinds = t->kinds;
	set(e, ((uint64_t)table - t->to_pool) | t->format->table | level * t->format->table_level);
}

/* Below an entry (NULL: at all) there is no table: one is made, and on from there. */
[[gnu::noinline]] static uint64_t *grow(struct tree *t, struct pd *payer, unsigned level,
					uint64_t key, uint64_t *e, unsigned at)
{
	uint64_t *table = page_alloc(payer, 0, true);

	if (!e)
		t->root = table;
	else
		table_count(e, !!table, 0); /* without: `e` may be in an empty one */
	if (e && table)
		hang(t, e, at, table);
	return table ? tree_entry(t, payer, level, key) : NULL;
}

/* A root above the root, which had room for fewer selectors. */
[[gnu::noinline]] static uint64_t *raise(struct tree *t, struct pd *payer, unsigned level,
					 uint64_t key)
{
	uint64_t *root = page_alloc(payer, 0, true);

	if (!root)
		return NULL;
	root[0] = (uint64_t)t->root + SPACE_TABLE;
	table_count(root, 1, 0);
	__atomic_store_n(&t->root, root, __ATOMIC_RELEASE);
	__atomic_store_n(&t->levels, t->levels + 1, __ATOMIC_RELEASE);
	return tree_entry(t, payer, level, key);
}

uint64_t *tree_entry(struct tree *t, struct pd *payer, unsigned level, uint64_t key)
{
	uint64_t bits = t->format->table, mask = bits | t->format->large, to_pool = t->to_pool, *e;
	unsigned shift = t->shift, end = level * TABLE_BITS;
	uint64_t table = (uint64_t)t->root;

	if (end <= shift && key >> shift >> TABLE_BITS == t->near[LARGE].key) {
		e = (uint64_t *)(t->near[LARGE].first + (key >> shift) * sizeof(*e));
		if (shift == end || (*e && (*e & mask) != bits))
			return e;
	}
	e = NULL;
	shift = t->levels * TABLE_BITS;
	if (unlikely(key >> shift))
		return payer ? raise(t, payer, level, key) : NULL;
	while (likely(table)) {
		shift -= TABLE_BITS;
		e = (uint64_t *)table + (key >> shift & (TABLE_ENTRIES - 1));
		if (shift == end || (*e && (*e & mask) != bits)) {
			unsigned i = shift ? LARGE : 0;

			if (shift)
				t->shift = (uint8_t)shift;
			else
				t->near[1] = t->near[0];
			t->near[i].key = key >> shift >> TABLE_BITS;
			t->near[i].first = table - (t->near[i].key << PAGE_BITS);
			return e;
		}
		if (unlikely(!*e))
			break;
		table = (*e & ENTRY_ADDRESS) + to_pool;
	}
	return payer ? grow(t, payer, level, key, e, shift / TABLE_BITS) : NULL;
}

static void forget_near(struct pd *pd)
{
	for (unsigned i = 0; i < TREES; i++)
		for (unsigned n = 0; n < ARRAY_SIZE(pd->trees[i].near); n++)
			pd->trees[i].near[n].key = TREE_NOWHERE;
}

/* Its grace period is over; the other PDs' things go on. */
static void free_table(struct deferred *d)
{
	struct frame *f = container_of(d, struct frame, deferred);
	struct pd *payer = f->payer;

	page_free(payer, frame_page(f), 0);
	object_put(&payer->object);
}

/* If it is still empty it goes, when nobody reads it any more. */
static void trim(struct deferred *d)
{
	struct frame *f = container_of(d, struct frame, deferred);
	struct pd *payer = f->payer;

	guard(&mdb_lock);
	f->waits = 0;
	if (f->used || !f->above) {
		object_put(&payer->object);
		return;
	}
	forget_near(payer);
	if (f->above != &detached) {
		set(f->above, 0);
		table_count(f->above, 0, 1);
	}
	if (f->kinds)
		tlb_stale(payer, f->kinds);
	rcu_defer(d, free_table);
}

void tree_trim_later(struct frame *f)
{
	f->waits = 1;
	object_get(&f->payer->object);
	rcu_defer(&f->deferred, trim);
}

/* An empty table had its place where something large stands now. */
[[gnu::noinline]] static void detach(const struct tree *t, struct pd *payer, uint64_t *table)
{
	page_frame(table)->above = &detached;
	forget_near(payer);
	if (t->kinds)
		tlb_stale(payer, t->kinds);
}

enum status tree_set_far(struct tree *t, struct pd *payer, uint64_t key, unsigned order,
			 uint64_t value, uint64_t step)
{
	unsigned level = tree_level(t, order), n = 1u << (order - level * TABLE_BITS), used = 0;
	uint64_t *e = tree_entry(t, value ? payer : NULL, level, key), bits, mask;
	bool fill = value;

	if (unlikely(!e))
		return fill ? OUT_OF_MEMORY : SUCCESS;
	if (likely(n == 1 && !(level && is_table(t, *e)))) {
		used = *e != 0;
		set(e, value);
		table_count(e, fill && !used, !fill && used);
		return SUCCESS;
	}
	step = fill ? step << level * TABLE_BITS : 0;
	bits = level ? t->format->table : 0;
	mask = bits | t->format->large;
	for (unsigned i = 0; i < n; i++, value += step) {
		uint64_t old = e[i];
		bool table = bits && (old & mask) == bits;

		/* Where a leaf was to go and did not, a table may still be. */
		if (unlikely(table && !fill))
			continue;
		used += old != 0;
		set(&e[i], value);
		if (unlikely(table))
			detach(t, payer, table_of(t, old));
	}
	table_count(e, fill ? n - used : 0, fill ? 0 : used);
	return SUCCESS;
}

void tree_split(struct tree *t, uint64_t key, unsigned level, uint64_t *made, uint64_t step)
{
	uint64_t *e = tree_entry(t, NULL, level, key), leaf = *e;

	assert(leaf && !is_table(t, leaf));
	if (level == 1)
		leaf &= ~t->format->large;
	for (unsigned i = 0; i < TABLE_ENTRIES; i++, leaf += step << (level - 1) * TABLE_BITS)
		made[i] = leaf;
	table_count(made, TABLE_ENTRIES, 0);
	hang(t, e, level, made);
}

uint64_t *tree_table(struct tree *t, struct pd *payer, unsigned level)
{
	uint64_t *e = tree_entry(t, payer, level - 1, 0);

	if (e)
		page_frame(e)->above = NULL;
	return e;
}

void tree_free(struct tree *t)
{
	uint64_t *table = t->root;

	while (table) {
		uint64_t e = table[0];

		page_free(page_frame(table)->payer, table, 0);
		table = e ? table_of(t, e) : NULL;
	}
}

struct mapping *space_next(const struct tree *s, uint64_t *at, uint64_t last)
{
	const uint64_t *path[MEM_LEVELS];
	unsigned level = s->levels - 1u, tables = 0;
	uint64_t key = *at;

	*at = last + 1;
	if (!s->root || !page_frame(s->root)->used || key > last || key >> s->levels * TABLE_BITS)
		return NULL;
	path[level] = s->root;
	while (tables < SEARCH) {
		uint64_t e = path[level][index_at(key, level)];
		const uint64_t *table = (const uint64_t *)(e - SPACE_TABLE);

		if (e & SPACE_TABLE && page_frame(table)->used) {
			path[--level] = table;
			continue;
		}
		if (e && !(e & SPACE_TABLE)) {
			*at = key;
			return (struct mapping *)e;
		}
		/* On to the next entry, up where a table ends. */
		key = ((key >> level * TABLE_BITS) + 1) << level * TABLE_BITS;
		if (key > last)
			return NULL;
		for (; !index_at(key, level); tables++)
			if (++level == s->levels)
				return NULL;
	}
	*at = key;
	return NULL;
}

enum status ptab_map(struct tree *t, const struct mapping *m, unsigned rights)
{
	const struct ptab_format *f = t->format;
	unsigned type = (m->flags & MAPPING_TYPE) >> MAPPING_TYPE_SHIFT;
	uint64_t leaf = 0;

	if (rights)
		leaf = (m->frame << PAGE_BITS) | f->page | f->r |
		       (m->order && tree_level(t, m->order) ? f->large : 0) | f->type[type] |
		       (rights & MEM_W ? f->w : 0) | (rights & MEM_X ? f->x : f->no_x);
	return tree_set(t, m->pd, m->base, m->order, leaf, PAGE_SIZE);
}

unsigned ptab_order_max(const struct pd *pd, unsigned kinds)
{
	unsigned levels = PTAB_LEVELS - 1;

	for (unsigned i = 0; i < PTABS; i++) {
		const struct ptab_format *f = pd->tables[i].format;

		if (kinds >> i & 1 && f && f->levels_large < levels)
			levels = f->levels_large;
	}
	return (levels + 1) * TABLE_BITS;
}
