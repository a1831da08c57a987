/*
 * The radix tree. page_count() of a table is its number of used entries; a
 * table below the root that stays empty goes back.
 */
#include "space.h"

#include "page.h"
#include "panic.h"
#include "pd.h"

static unsigned shift_of(unsigned level)
{
	return level * SPACE_BITS;
}

static bool is_table(uint64_t entry)
{
	return entry & SPACE_TABLE;
}

static struct space_table *table_of(uint64_t entry)
{
	return (struct space_table *)(entry - SPACE_TABLE);
}

struct mapping *space_next(const struct space *s, uint64_t first,
			   uint64_t last)
{
	const struct space_table *path[MEM_LEVELS];
	unsigned level = s->levels - 1;
	uint64_t key = first;

	if (!s->root || first > last || first >> shift_of(s->levels)) {
		return NULL;
	}
	path[level] = s->root;
	for (;;) {
		uint64_t e = path[level]->entry[key >> shift_of(level) &
						(SPACE_ENTRIES - 1)];

		if (is_table(e)) {
			path[--level] = table_of(e);
			continue;
		}
		if (e) {
			return (struct mapping *)e;
		}
		/* On to the next entry, up where a table ends. */
		key = ((key >> shift_of(level)) + 1) << shift_of(level);
		if (key > last) {
			return NULL;
		}
		while (!(key >> shift_of(level) & (SPACE_ENTRIES - 1))) {
			if (++level == s->levels) {
				return NULL;
			}
		}
	}
}

/* Entries of a mapping in a table at its level. */
static unsigned first_entry(const struct mapping *m, unsigned level)
{
	return m->base >> shift_of(level) & (SPACE_ENTRIES - 1);
}

static unsigned entries(const struct mapping *m, unsigned level)
{
	return 1u << (m->order - shift_of(level));
}

/* The entry that points to the table of `level` with `key`, or NULL. */
static uint64_t *entry_above(const struct space *s, unsigned level,
			     uint64_t key, struct space_table **above)
{
	struct space_table *t = s->root;
	unsigned l = s->levels - 1;

	for (;; l--) {
		uint64_t *e = &t->entry[key >> shift_of(l) &
					(SPACE_ENTRIES - 1)];

		if (l == level + 1) {
			*above = t;
			return e;
		}
		if (!is_table(*e)) {
			return NULL;
		}
		t = table_of(*e);
	}
}

/*
 * What a table's page is tagged with: its place. Tables are not freed as soon
 * as they are empty, since the next delegation often needs them again.
 */
enum { TAG_LEVEL = 2, TAG_KEY = 8 };

static void trim(struct pd *pd, void *table, uint64_t tag);

static void trim_later(struct pd *pd, struct space_table *t, unsigned level,
		       uint64_t key, enum crd_type type)
{
	page_trim_later(pd, t, key << TAG_KEY | level << TAG_LEVEL | type,
			trim);
}

static void trim(struct pd *pd, void *table, uint64_t tag)
{
	struct space *s = pd_space(pd, tag & 3);
	unsigned level = tag >> TAG_LEVEL & 3;
	uint64_t key = tag >> TAG_KEY;
	struct space_table *above;
	uint64_t *e;

	lock(&mdb_lock);
	page_trim_begins(table);
	e = entry_above(s, level, key, &above);
	if (!e || *e != (uint64_t)table + SPACE_TABLE) {
		/* A mapping took its place. */
		page_free_deferred(pd, table, 0);
	} else if (!*page_count(table)) {
		__atomic_store_n(e, 0, __ATOMIC_RELAXED);
		page_free_deferred(pd, table, 0);
		if (--*page_count(above) == 0 && level + 2 < s->levels) {
			trim_later(pd, above, level + 1, key, tag & 3);
		}
	}
	unlock(&mdb_lock);
}

/*
 * A mapping takes the place of tables without mappings. Those that wait to be
 * trimmed go then.
 */
static void detach(struct pd *payer, struct space_table *t)
{
	for (unsigned i = 0; *page_count(t) && i < SPACE_ENTRIES; i++) {
		if (t->entry[i]) {
			assert(is_table(t->entry[i]));
			detach(payer, table_of(t->entry[i]));
			--*page_count(t);
		}
	}
	if (!page_trim_waits(t)) {
		page_free_deferred(payer, t, 0);
	}
}

enum status space_insert(struct space *s, struct pd *payer, struct mapping *m)
{
	unsigned level = s->levels - 1, at = m->order / SPACE_BITS;
	struct space_table *t = s->root;

	assert(at <= level);
	if (!t) {
		t = page_alloc(payer, 0, true);
		if (!t) {
			return OUT_OF_MEMORY;
		}
		s->root = t;
	}
	for (; level > at; level--) {
		uint64_t *e = &t->entry[m->base >> shift_of(level) &
					(SPACE_ENTRIES - 1)];

		if (!*e) {
			struct space_table *below =
				page_alloc(payer, 0, true);

			if (!below) {
				if (!*page_count(t) && t != s->root) {
					trim_later(payer, t, level, m->base,
						   m->type);
				}
				return OUT_OF_MEMORY;
			}
			__atomic_store_n(e, (uint64_t)below + SPACE_TABLE,
					 __ATOMIC_RELEASE);
			++*page_count(t);
		}
		t = table_of(*e);
	}
	unsigned first = first_entry(m, at), n = entries(m, at);

	uint16_t *count = page_count(t);

	for (unsigned i = first; i < first + n; i++) {
		if (unlikely(t->entry[i])) {
			detach(payer, table_of(t->entry[i]));
			--*count;
		}
		__atomic_store_n(&t->entry[i], (uint64_t)m, __ATOMIC_RELEASE);
	}
	*count = (uint16_t)(*count + n);
	return SUCCESS;
}

void space_remove(struct space *s, struct pd *payer, struct mapping *m)
{
	unsigned level = s->levels - 1, at = m->order / SPACE_BITS;
	struct space_table *t = s->root;

	for (; level > at; level--) {
		t = table_of(t->entry[m->base >> shift_of(level) &
				      (SPACE_ENTRIES - 1)]);
	}
	unsigned first = first_entry(m, at), n = entries(m, at);

	for (unsigned i = first; i < first + n; i++) {
		__atomic_store_n(&t->entry[i], 0, __ATOMIC_RELAXED);
	}
	uint16_t *count = page_count(t);

	*count = (uint16_t)(*count - n);
	if (!*count && at < s->levels - 1) {
		trim_later(payer, t, at, m->base, m->type);
	}
}
