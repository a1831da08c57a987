/*
 * The radix tree.
 */
#include "space.h"

static bool is_table(uint64_t entry)
{
	return entry & SPACE_TABLE;
}

static uint64_t *table_of(uint64_t entry)
{
	return (uint64_t *)(entry - SPACE_TABLE);
}

struct mapping *space_find_far(struct space *s, uint64_t key)
{
	uint64_t *t = key >> s->levels * TABLE_BITS ? NULL : s->root;

	for (unsigned level = s->levels; t && level--;) {
		uint64_t e = t[table_index(key, level)];

		if (!is_table(e)) {
			if (level == 0)
				table_set_near(&s->near, key, t);
			return (struct mapping *)e;
		}
		t = table_of(e);
	}
	return NULL;
}

/* A root above the root, which had room for fewer selectors. */
static bool grow(struct space *s, struct pd *payer)
{
	uint64_t *t = page_alloc(payer, 0, true);

	if (!t)
		return false;
	t[0] = (uint64_t)s->root + SPACE_TABLE;
	table_fill(t, 1);
	__atomic_store_n(&s->root, t, __ATOMIC_RELEASE);
	__atomic_store_n(&s->levels, s->levels + 1, __ATOMIC_RELEASE);
	return true;
}

struct mapping *space_next(const struct space *s, uint64_t first, uint64_t last)
{
	const uint64_t *path[MEM_LEVELS];
	unsigned level = s->levels - 1;
	uint64_t key = first;

	if (!s->root || first > last || first >> s->levels * TABLE_BITS)
		return NULL;
	path[level] = s->root;
	for (;;) {
		uint64_t e = path[level][table_index(key, level)];

		if (is_table(e) && page_frame(table_of(e))->used) {
			path[--level] = table_of(e);
			continue;
		}
		if (e && !is_table(e))
			return (struct mapping *)e;
		/* On to the next entry, up where a table ends. */
		key = ((key >> level * TABLE_BITS) + 1) << level * TABLE_BITS;
		if (key > last)
			return NULL;
		while (!table_index(key, level))
			if (++level == s->levels)
				return NULL;
	}
}

/* Where a mapping is to stand, with tables made on the way. */
static enum status reach(struct space *s, const struct mapping *m, unsigned at, uint64_t **entry)
{
	unsigned level;
	uint64_t *t;

	if (unlikely(m->base >> s->levels * TABLE_BITS) && !grow(s, m->pd))
		return OUT_OF_MEMORY;
	level = s->levels - 1;
	t = s->root;
	if (unlikely(!t)) {
		t = page_alloc(m->pd, 0, true);
		if (!t)
			return OUT_OF_MEMORY;
		s->root = t;
	}
	for (; level > at; level--) {
		uint64_t *e = &t[table_index(m->base, level)], v = *e;

		if (unlikely(!is_table(v))) {
			if (v)
				return BAD_CAPABILITY;
			t = table_alloc(m->pd, e, 0);
			if (!t)
				return OUT_OF_MEMORY;
			v = (uint64_t)t + SPACE_TABLE;
			__atomic_store_n(e, v, __ATOMIC_RELEASE);
		}
		t = table_of(v);
	}
	*entry = &t[table_index(m->base, at)];
	return SUCCESS;
}

/* A mapping takes the place of tables that wait to be trimmed. */
static enum status insert_large(struct space *s, struct mapping *m, uint64_t *e, unsigned n)
{
	unsigned used = 0;

	if (space_next(s, m->base, m->base + (1ul << m->order) - 1))
		return BAD_CAPABILITY;
	for (unsigned i = 0; i < n; i++) {
		if (e[i]) {
			table_detach(table_of(e[i]));
			used++;
		}
		__atomic_store_n(&e[i], (uint64_t)m, __ATOMIC_RELEASE);
	}
	table_fill(e, n - used);
	return SUCCESS;
}

enum status space_insert(struct space *s, struct mapping *m)
{
	unsigned at = m->order / TABLE_BITS;
	uint64_t *e = table_near(&s->near, m->base);
	enum status status;

	if (unlikely(!e || at)) {
		status = reach(s, m, at, &e);
		if (status != SUCCESS)
			return status;
		if (!at)
			table_set_near(&s->near, m->base, e - table_index(m->base, 0));
	}
	if (unlikely(m->order || *e))
		return insert_large(s, m, e, 1u << m->order % TABLE_BITS);
	__atomic_store_n(e, (uint64_t)m, __ATOMIC_RELEASE);
	table_fill(e, 1);
	return SUCCESS;
}

void space_remove(struct space *s, struct mapping *m)
{
	unsigned level = s->levels - 1, at = m->order / TABLE_BITS;
	unsigned n = 1u << m->order % TABLE_BITS;
	uint64_t *t = s->root, *e = table_near(&s->near, m->base);

	if (likely(e && !m->order)) {
		__atomic_store_n(e, 0, __ATOMIC_RELAXED);
		table_empty(e, 1);
		return;
	}
	for (; level > at; level--)
		t = table_of(t[table_index(m->base, level)]);
	t += table_index(m->base, at);
	for (unsigned i = 0; i < n; i++)
		__atomic_store_n(&t[i], 0, __ATOMIC_RELAXED);
	table_empty(t, n);
}
