/*
 * Tables that are made, and tables that are empty.
 */
#include "table.h"

#include "pd.h"
#include "tlb.h"

static uint64_t detached; /* `above` of tables that hang nowhere */

uint64_t *table_alloc(struct pd *payer, uint64_t *above, unsigned kinds)
{
	uint64_t *table = page_alloc(payer, 0, true);

	if (table) {
		page_frame(table)->above = above;
		page_frame(table)->kinds = (uint8_t)kinds;
		table_fill(above, 1);
	} else {
		/* The one that it was for may be empty. */
		table_empty(above, 0);
	}
	return table;
}

static void forget(struct table_near *n)
{
	for (unsigned i = 0; i < ARRAY_SIZE(n->at); i++)
		n->at[i].key = TABLE_NOWHERE;
}

void table_forget_near(struct pd *pd)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pd->spaces); i++)
		forget(&pd->spaces[i].near);
	for (unsigned i = 0; i < PTABS; i++)
		forget(&pd->tables[i].near);
}

void table_detach(uint64_t *table)
{
	page_frame(table)->above = &detached;
	table_forget_near(page_frame(table)->payer);
}

/* The page may be freed, and wait for that by the same link. */
static void trim(struct deferred *d)
{
	struct frame *f = container_of(d, struct frame, deferred);
	struct pd *payer = f->payer;

	lock(&mdb_lock);
	f->waits = 0;
	if (!f->used && f->above) {
		table_forget_near(payer);
		if (f->above != &detached) {
			__atomic_store_n(f->above, 0, __ATOMIC_RELAXED);
			table_empty(f->above, 1);
		}
		if (f->kinds)
			tlb_stale(payer, f->kinds);
		page_free_deferred(payer, frame_page(f), 0);
	}
	unlock(&mdb_lock);
	object_put(&payer->object);
}

void table_trim_later(struct frame *f)
{
	f->waits = 1;
	object_get(&f->payer->object);
	rcu_defer(&f->deferred, trim);
}
