/*
 * The kernel's page.c and slab.c, with what is free poisoned. Their own links
 * are in the first bytes of what is free, which stay accessible.
 */
#define page_init  plain_page_init
#define page_alloc plain_page_alloc
#define page_free  plain_page_free
#include "../../hypervisor/src/page.c"
#undef page_init
#undef page_alloc
#undef page_free

#define page_alloc poisoned_page_alloc
#define page_free  poisoned_page_free
#define slab_alloc plain_slab_alloc
#define slab_free  plain_slab_free
void *poisoned_page_alloc(struct pd *payer, unsigned order, bool zero);
void poisoned_page_free(struct pd *payer, void *page, unsigned order);
void *plain_slab_alloc(struct pd *pd, enum object_type kind);
void plain_slab_free(void *object);
#define unlock unlock_and_let_in
static void unlock_and_let_in(struct lock *l);
#include "../../hypervisor/src/slab.c"
#undef unlock
#undef page_alloc
#undef page_free
#undef slab_alloc
#undef slab_free

#include <sanitizer/asan_interface.h>

#include "hv_fixture.h"

enum { LINKS = sizeof(struct list) };

unsigned slab_live[SLABS];
bool (*slab_hook)(enum object_type kind);
void (*unlock_hook)(void);

void page_init(uint64_t phys, uint64_t size);
void *page_alloc(struct pd *payer, unsigned order, bool zero);
void page_free(struct pd *payer, void *page, unsigned order);
void *slab_alloc(struct pd *pd, enum object_type kind);
void slab_free(void *object);

static void unlock_and_let_in(struct lock *l)
{
	unlock(l);
	if (unlock_hook)
		unlock_hook();
}

void page_init(uint64_t phys, uint64_t size)
{
	__asan_unpoison_memory_region((void *)POOL_BASE, size);
	plain_page_init(phys, size);
}

void *page_alloc(struct pd *payer, unsigned order, bool zero)
{
	void *p = plain_page_alloc(payer, order, false);

	if (p) {
		__asan_unpoison_memory_region(p, PAGE_SIZE << order);
		__builtin_memset(p, zero ? 0 : 0xa5, PAGE_SIZE << order);
	}
	return p;
}

/* The halves of a block that is taken apart get links in their middle. */
void page_free(struct pd *payer, void *page, unsigned order)
{
	for (unsigned i = 0; i < 1u << order; i++) {
		__asan_poison_memory_region((char *)page + i * PAGE_SIZE + LINKS,
					    PAGE_SIZE - LINKS);
	}
	plain_page_free(payer, page, order);
}

void *poisoned_page_alloc(struct pd *payer, unsigned order, bool zero)
{
	return page_alloc(payer, order, zero);
}

void poisoned_page_free(struct pd *payer, void *page, unsigned order)
{
	page_free(payer, page, order);
}

void *slab_alloc(struct pd *pd, enum object_type kind)
{
	void *object = slab_hook && slab_hook(kind) ? NULL : plain_slab_alloc(pd, kind);

	if (object) {
		__atomic_add_fetch(&slab_live[kind], 1, __ATOMIC_RELAXED);
		__asan_unpoison_memory_region(object, sizes[kind]);
		__builtin_memset(object, 0xa5, sizes[kind]);
	}
	return object;
}

void slab_free(void *object)
{
	struct slab *s = (struct slab *)((uint64_t)object & ~PAGE_MASK);
	enum object_type kind = (enum object_type)(s->with_room - s->pd->slabs);

	__atomic_sub_fetch(&slab_live[kind], 1, __ATOMIC_RELAXED);
	__asan_poison_memory_region((char *)object + sizeof(void *), sizes[kind] - sizeof(void *));
	plain_slab_free(object);
}

unsigned slab_size(enum object_type kind)
{
	return sizes[kind];
}

uint64_t pages_free(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < ORDERS; i++)
		for (struct list *l = pool.free[i].next; l != &pool.free[i]; l = l->next)
			sum += 1ul << i;
	return sum;
}
