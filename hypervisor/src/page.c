/*
 * Buddy allocator of the pool. The frames' descriptors stand at its start. A
 * free block's list links are in the block itself.
 */
#include "page.h"

#include "log.h"
#include "pd.h"
#include "x86/cpu.h"

enum { ORDERS = 16 };

enum { STATE_TAIL, STATE_FREE, STATE_USED };

uint64_t pool_phys, pool_size;

static struct {
	struct lock lock;
	struct list free[ORDERS];
} pool;

static void put(struct frame *f, unsigned order)
{
	f->state = STATE_FREE;
	f->order = (uint8_t)order;
	list_prepend(&pool.free[order], frame_page(f));
}

static void take(struct frame *f)
{
	f->state = STATE_TAIL;
	list_remove(frame_page(f));
}

/* Free a block, joined with its buddies as far as they are free. */
static void join(struct frame *f, unsigned order)
{
	uint64_t total = pool_size >> PAGE_BITS, at = (uint64_t)(f - page_frames);

	for (; order < ORDERS - 1; order++) {
		uint64_t other = at ^ 1ul << order;
		struct frame *buddy = &page_frames[other];

		if (other >= total || buddy->state != STATE_FREE || buddy->order != order)
			break;
		take(buddy);
		page_frames[at].state = STATE_TAIL;
		at &= ~(1ul << order);
	}
	put(&page_frames[at], order);
}

uint64_t page_overhead(void)
{
	return ((pool_size >> PAGE_BITS) * sizeof(struct frame) + PAGE_MASK) >> PAGE_BITS;
}

void page_init(uint64_t phys, uint64_t size)
{
	uint64_t total = size >> PAGE_BITS;

	pool_phys = phys;
	pool_size = size;
	for (unsigned i = 0; i < ORDERS; i++)
		list_init(&pool.free[i]);
	for (uint64_t f = 0; f < total; f++)
		page_frames[f] = (struct frame){.state = STATE_TAIL};
	for (uint64_t f = page_overhead(); f < total; f++)
		join(&page_frames[f], 0);
}

static struct frame *take_block(unsigned order)
{
	unsigned o = order;

	while (list_empty(&pool.free[o]))
		if (++o == ORDERS)
			return NULL;
	struct frame *f = page_frame(pool.free[o].next);

	take(f);
	while (o > order) {
		o--;
		put(f + (1ul << o), o);
	}
	return f;
}

void *page_alloc(struct pd *payer, unsigned order, bool zero)
{
	if (payer && !quota_take(&payer->quota, 1u << order)) {
		this_cpu()->starved = payer;
		return NULL;
	}
	lock(&pool.lock);
	struct frame *f = take_block(order);

	unlock(&pool.lock);
	if (unlikely(!f)) {
		if (payer)
			quota_give(&payer->quota, 1u << order);
		return NULL;
	}
	*f = (struct frame){.payer = payer, .state = STATE_USED, .order = (uint8_t)order};
	if (zero)
		__builtin_memset(frame_page(f), 0, PAGE_SIZE << order);
	return frame_page(f);
}

void page_free(struct pd *payer, void *page, unsigned order)
{
	struct frame *f = page_frame(page);

	assert(f->state == STATE_USED && f->order == order);
	if (payer)
		quota_give(&payer->quota, 1u << order);
	guard(&pool.lock);
	join(f, order);
}
