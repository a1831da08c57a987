/*
 * Buddy allocator of the pool. The frames' descriptors stand at its start. A
 * free block's list links are in the block itself.
 */
#include "page.h"

#include "list.h"
#include "lock.h"
#include "panic.h"
#include "pd.h"
#include "rcu.h"

enum { ORDERS = 16 };

enum { STATE_TAIL, STATE_FREE, STATE_USED };

uint64_t pool_phys, pool_size;

static struct {
	struct lock lock;
	struct list free[ORDERS];
} pool;

static void *page_of(uint64_t frame)
{
	return (void *)(POOL_BASE + (frame << PAGE_BITS));
}

static void put(uint64_t f, unsigned order)
{
	page_frames[f].state = STATE_FREE;
	page_frames[f].order = (uint8_t)order;
	list_prepend(&pool.free[order], page_of(f));
}

static void take(uint64_t f)
{
	page_frames[f].state = STATE_TAIL;
	list_remove(page_of(f));
}

/* Free a block, joined with its buddies as far as they are free. */
static void join(uint64_t f, unsigned order)
{
	uint64_t total = pool_size >> PAGE_BITS;

	for (; order < ORDERS - 1; order++) {
		uint64_t buddy = f ^ 1ul << order;

		if (buddy >= total || page_frames[buddy].state != STATE_FREE ||
		    page_frames[buddy].order != order) {
			break;
		}
		take(buddy);
		page_frames[f].state = STATE_TAIL;
		f &= ~(1ul << order);
	}
	put(f, order);
}

uint64_t page_overhead(void)
{
	uint64_t total = pool_size >> PAGE_BITS;

	return (total * sizeof(struct frame) + PAGE_MASK) >> PAGE_BITS;
}

void page_init(uint64_t phys, uint64_t size)
{
	uint64_t total = size >> PAGE_BITS;

	pool_phys = phys;
	pool_size = size;
	for (unsigned i = 0; i < ORDERS; i++) {
		list_init(&pool.free[i]);
	}
	for (uint64_t f = 0; f < total; f++) {
		page_frames[f] = (struct frame){.state = STATE_TAIL};
	}
	for (uint64_t f = page_overhead(); f < total; f++) {
		join(f, 0);
	}
}

static void *take_block(unsigned order)
{
	unsigned o = order;

	while (list_empty(&pool.free[o])) {
		if (++o == ORDERS) {
			return NULL;
		}
	}
	uint64_t f = frame_of(pool.free[o].next);

	take(f);
	while (o > order) {
		o--;
		put(f + (1ul << o), o);
	}
	return page_of(f);
}

void *page_alloc(struct pd *payer, unsigned order, bool zero)
{
	if (payer && !quota_take(&payer->quota, 1u << order)) {
		return NULL;
	}
	lock(&pool.lock);
	void *p = take_block(order);

	unlock(&pool.lock);
	if (unlikely(!p)) {
		if (payer) {
			quota_give(&payer->quota, 1u << order);
		}
		return NULL;
	}
	struct frame *f = &page_frames[frame_of(p)];

	f->state = STATE_USED;
	f->order = (uint8_t)order;
	f->payer = payer;
	f->count = 0;
	f->trim = NULL;
	if (zero) {
		__builtin_memset(p, 0, PAGE_SIZE << order);
	}
	return p;
}

void page_free(struct pd *payer, void *page, unsigned order)
{
	uint64_t f = frame_of(page);

	assert(page_frames[f].state == STATE_USED && page_frames[f].order == order);
	if (payer) {
		quota_give(&payer->quota, 1u << order);
	}
	lock(&pool.lock);
	join(f, order);
	unlock(&pool.lock);
}

static void free_later(struct deferred *d)
{
	struct frame *f = container_of(d, struct frame, deferred);
	struct pd *payer = f->payer;

	page_free(payer, page_of((uint64_t)(f - page_frames)), f->order);
	if (payer) {
		object_put(&payer->object);
	}
}

void page_free_deferred(struct pd *payer, void *page, unsigned order)
{
	struct frame *f = &page_frames[frame_of(page)];

	assert(f->state == STATE_USED && f->order == order);
	if (payer) {
		object_get(&payer->object);
	}
	rcu_defer(&f->deferred, free_later);
}

/* The page may be freed in it, and wait for that by the same link. */
static void trim_due(struct deferred *d)
{
	struct frame *f = container_of(d, struct frame, deferred);
	struct pd *payer = f->payer;

	f->trim(payer, page_of((uint64_t)(f - page_frames)), f->tag);
	object_put(&payer->object);
}

void page_trim_later(struct pd *payer, void *page, uint64_t tag,
		     page_trim *trim)
{
	struct frame *f = &page_frames[frame_of(page)];

	if (!f->trim) {
		f->trim = trim;
		f->tag = tag;
		object_get(&payer->object);
		rcu_defer(&f->deferred, trim_due);
	}
}

bool page_trim_waits(const void *page)
{
	return page_frames[frame_of(page)].trim;
}

void page_trim_begins(void *page)
{
	page_frames[frame_of(page)].trim = NULL;
}
