/*
 * A slab is one page: a head, then objects. Objects never used yet are not in
 * the free list, so that a new slab costs nothing to set up. A slab that is
 * empty again goes back at once: usage is what is used.
 */
#include "slab.h"

#include "ec.h"
#include "mapping.h"
#include "page.h"
#include "panic.h"
#include "pd.h"
#include "pt.h"
#include "sc.h"
#include "sm.h"

struct slab {
	struct list link;	/* in the cache's partial list, if not full */
	struct pd *pd;
	struct slab_cache *cache;
	void *free;		/* freed objects, linked by their first word */
	uint16_t used;		/* objects in use */
	uint16_t fresh;		/* offset of the first never used */
};

enum { FIRST = 64 };	/* offset of the first object; keeps alignment */

static_assert(sizeof(struct slab) <= FIRST);

#define SLAB_SIZE(type) ((sizeof(struct type) + 15) & ~15ul)

static const uint16_t sizes[SLABS] = {
	[SLAB_MAPPING] = SLAB_SIZE(mapping),
	[SLAB_PD] = SLAB_SIZE(pd),
	[SLAB_EC] = SLAB_SIZE(ec),
	[SLAB_SC] = SLAB_SIZE(sc),
	[SLAB_PT] = SLAB_SIZE(pt),
	[SLAB_SM] = SLAB_SIZE(sm),
};

void slab_init(struct pd *pd)
{
	for (unsigned i = 0; i < SLABS; i++) {
		list_init(&pd->slabs[i].partial);
		pd->slabs[i].size = sizes[i];
	}
}

static struct slab *slab_of(const void *object)
{
	return (struct slab *)((uint64_t)object & ~PAGE_MASK);
}

struct pd *slab_payer(const void *object)
{
	return slab_of(object)->pd;
}

static bool full(const struct slab *s)
{
	return !s->free && s->fresh + s->cache->size > PAGE_SIZE;
}

static struct slab *grow(struct pd *pd, struct slab_cache *cache)
{
	struct slab *s = page_alloc(pd, 0, false);

	if (s) {
		s->pd = pd;
		s->cache = cache;
		s->free = NULL;
		s->used = 0;
		s->fresh = FIRST;
		list_prepend(&cache->partial, &s->link);
	}
	return s;
}

void *slab_alloc(struct pd *pd, enum slab_kind kind)
{
	struct slab_cache *cache = &pd->slabs[kind];
	struct slab *s;
	void *object;

	lock(&pd->slab_lock);
	if (unlikely(list_empty(&cache->partial))) {
		s = grow(pd, cache);
		if (!s) {
			unlock(&pd->slab_lock);
			return NULL;
		}
	} else {
		s = container_of(cache->partial.next, struct slab, link);
	}
	object = s->free;
	if (object) {
		s->free = *(void **)object;
	} else {
		object = (char *)s + s->fresh;
		s->fresh = (uint16_t)(s->fresh + cache->size);
	}
	s->used++;
	if (unlikely(full(s))) {
		list_remove(&s->link);
	}
	unlock(&pd->slab_lock);
	return object;
}

void slab_free(void *object)
{
	struct slab *s = slab_of(object);
	struct pd *pd = s->pd;

	lock(&pd->slab_lock);
	if (unlikely(full(s))) {
		list_prepend(&s->cache->partial, &s->link);
	}
	*(void **)object = s->free;
	s->free = object;
	if (--s->used == 0) {
		list_remove(&s->link);
		page_free(pd, s, 0);
	}
	unlock(&pd->slab_lock);
}
