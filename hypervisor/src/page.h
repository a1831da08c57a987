/*
 * The kernel's memory: a pool of physically contiguous pages, sized at boot
 * and mapped at POOL_BASE. Nothing else of RAM is mapped in the kernel.
 *
 * Pages are charged to a PD's quota (NULL: to the kernel, at boot).
 */
#pragma once

#include "rcu.h"

/* Where the pool is mapped (tests have it elsewhere); where the image is. */
#ifndef POOL_BASE
#define POOL_BASE 0xffffff0000000000ul /* PML4 slot 510 */
#endif
#define KERNEL_BASE 0xffffffff80000000ul /* PML4 slot 511 */

/* Boot: [phys, phys + size) is mapped at POOL_BASE and free. 2 MiB aligned. */
void page_init(uint64_t phys, uint64_t size);

/* Pages of the pool that describe the others. */
uint64_t page_overhead(void);

/* 2^order pages, aligned to their size, zeroed on request; NULL if none. */
void *page_alloc(struct pd *payer, unsigned order, bool zero);
void page_free(struct pd *payer, void *page, unsigned order);

extern uint64_t pool_phys, pool_size;

/* One a page of the pool, at its start; of a block, the first page's counts. */
struct frame {
	struct deferred deferred; /* a table's, tree.c */
	struct pd *payer;	  /* for it */
	uint64_t *above;	  /* the rest is tree.c's */
	uint16_t used;
	uint8_t kinds;
	uint8_t waits;
	uint8_t order;
	uint8_t state;
};

static_assert(sizeof(struct frame) == 40);

#define page_frames ((struct frame *)POOL_BASE)

/* Of memory in the pool only. */
static inline struct frame *page_frame(const void *page)
{
	return &page_frames[((uint64_t)page - POOL_BASE) >> PAGE_BITS];
}

static inline void *frame_page(const struct frame *f)
{
	return (void *)(POOL_BASE + ((uint64_t)(f - page_frames) << PAGE_BITS));
}

static inline uint64_t pool_to_phys(const void *p)
{
	return (uint64_t)p - POOL_BASE + pool_phys;
}

static inline void *phys_to_pool(uint64_t phys)
{
	return (void *)(phys - pool_phys + POOL_BASE);
}

/* What a PD may use, in pages. Both numbers are atomic. */
struct quota {
	uint64_t limit, used;
	uint32_t keep; /* so much stays, unused; constant */
};

[[nodiscard]] static inline bool quota_take(struct quota *q, uint64_t pages)
{
	uint64_t used = __atomic_add_fetch(&q->used, pages, __ATOMIC_RELAXED);

	if (likely(used <= __atomic_load_n(&q->limit, __ATOMIC_RELAXED)))
		return true;
	__atomic_sub_fetch(&q->used, pages, __ATOMIC_RELAXED);
	return false;
}

static inline void quota_give(struct quota *q, uint64_t pages)
{
	__atomic_sub_fetch(&q->used, pages, __ATOMIC_RELAXED);
}

/* Take pages off the limit, for another PD. */
[[nodiscard]] static inline bool quota_pass(struct quota *q, uint64_t pages)
{
	uint64_t limit = __atomic_load_n(&q->limit, __ATOMIC_RELAXED);

	if (!pages)
		return true;
	/* Any number may come from a program: nothing here may wrap. */
	if (pages > limit || !quota_take(q, pages + q->keep))
		return false;
	__atomic_sub_fetch(&q->limit, pages, __ATOMIC_RELAXED);
	quota_give(q, pages + q->keep);
	return true;
}

static inline void quota_return(struct quota *q, uint64_t pages)
{
	__atomic_add_fetch(&q->limit, pages, __ATOMIC_RELAXED);
}
