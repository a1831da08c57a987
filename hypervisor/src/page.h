/*
 * The kernel's memory: a pool of physically contiguous pages, sized at boot
 * and mapped at POOL_BASE. Nothing else of RAM is mapped in the kernel.
 *
 * Pages are charged to a PD's quota (NULL: to the kernel, at boot).
 */
#pragma once

#include "rcu.h"
#include "types.h"

struct pd;

/* Where the pool is mapped (tests have it elsewhere); where the image is. */
#ifndef POOL_BASE
#define POOL_BASE   0xffffff0000000000ul	/* PML4 slot 510 */
#endif
#define KERNEL_BASE 0xffffffff80000000ul	/* PML4 slot 511 */

/* Boot: [phys, phys + size) is mapped at POOL_BASE and free. 2 MiB aligned. */
void page_init(uint64_t phys, uint64_t size);

/* Pages of the pool that describe the others. */
uint64_t page_overhead(void);

/* 2^order pages, aligned to their size, zeroed on request; NULL if none. */
void *page_alloc(struct pd *payer, unsigned order, bool zero);
void page_free(struct pd *payer, void *page, unsigned order);
/* The same, once no CPU can be using it any more. */
void page_free_deferred(struct pd *payer, void *page, unsigned order);

/* After a grace period, once: look whether the page is still needed. */
typedef void page_trim(struct pd *payer, void *page, uint64_t tag);
void page_trim_later(struct pd *payer, void *page, uint64_t tag,
		     page_trim *trim);
/* Under the lock of those who call the above: it was called and is not due. */
bool page_trim_waits(const void *page);
/* Under the same lock, by `trim`: it may be called again. */
void page_trim_begins(void *page);

extern uint64_t pool_phys, pool_size;

/* One a page of the pool, at its start; of a block, the first page's counts. */
struct frame {
	struct deferred deferred;	/* page_free_deferred, trim_later */
	struct pd *payer;		/* for it */
	page_trim *trim;		/* not NULL: waits for it */
	uint64_t tag;
	uint16_t count;			/* page_count: for the owner */
	uint8_t order;
	uint8_t state;
};

static_assert(sizeof(struct frame) == 48);

#define page_frames ((struct frame *)POOL_BASE)

static inline uint64_t frame_of(const void *page)
{
	return ((uint64_t)page - POOL_BASE) >> PAGE_BITS;
}

/* How many entries of a table in the pool are used: for who owns the page. */
static inline uint16_t *page_count(const void *page)
{
	return &page_frames[frame_of(page)].count;
}

/* Of memory in the pool only. */
static inline uint64_t pool_to_phys(const void *p)
{
	return (uint64_t)p - POOL_BASE + pool_phys;
}

static inline void *phys_to_pool(uint64_t phys)
{
	return (void *)(phys - pool_phys + POOL_BASE);
}
