/*
 * A slab is one page: a head, then objects. One that is empty again goes back
 * at once: usage is what is used.
 */
#include "slab.h"

#include "ec.h"
#include "pd.h"
#include "sc.h"
#include "sm.h"

struct slab {
	struct list link; /* in `with_room`, if not full */
	struct pd *pd;
	struct list *with_room; /* of its kind */
	void *free;		/* linked by their first word; NULL: full */
	uint64_t used;		/* objects in use */
};

enum { FIRST = 64 }; /* offset of the first object; keeps alignment */

static_assert(sizeof(struct slab) <= FIRST);
static_assert(FIRST + 2 * sizeof(struct pd) <= PAGE_SIZE); /* the largest */

#define SLAB_SIZE(type) ((sizeof(struct type) + 15) & ~15ul)

static const uint16_t sizes[SLABS] = {
	[SLAB_MAPPING] = SLAB_SIZE(mapping), [OBJECT_PD] = SLAB_SIZE(pd),
	[OBJECT_EC] = SLAB_SIZE(ec),	     [OBJECT_SC] = SLAB_SIZE(sc),
	[OBJECT_PT] = SLAB_SIZE(pt),	     [OBJECT_SM] = SLAB_SIZE(sm),
};

void slab_init(struct pd *pd)
{
	for (unsigned i = 0; i < SLABS; i++)
		list_init(&pd->slabs[i]);
}

/* The first of one slab more. The lock is held. */
[[gnu::noinline]] static void *grow(struct pd *pd, enum object_type kind)
{
	struct slab *s = page_alloc(pd, 0, false);
	void *first = NULL;

	if (s) {
		*s = (struct slab){.pd = pd, .with_room = &pd->slabs[kind], .used = 1};
		for (uint64_t at = FIRST; at + sizes[kind] <= PAGE_SIZE; at += sizes[kind]) {
			void **object = (void **)((char *)s + at);

			*object = s->free;
			s->free = object;
		}
		first = s->free;
		s->free = *(void **)first;
		list_prepend(s->with_room, &s->link);
	}
	unlock(&pd->slab_lock);
	return first;
}

void *slab_alloc(struct pd *pd, enum object_type kind)
{
	struct list *with_room = &pd->slabs[kind];
	struct slab *s;
	void *object;

	lock(&pd->slab_lock);
	if (unlikely(list_empty(with_room)))
		return grow(pd, kind);
	s = container_of(with_room->next, struct slab, link);
	object = s->free;
	s->free = *(void **)object;
	s->used++;
	if (unlikely(!s->free))
		list_unlink(&s->link);
	unlock(&pd->slab_lock);
	return object;
}

void slab_free(void *object)
{
	struct slab *s = (struct slab *)((uint64_t)object & ~PAGE_MASK);
	struct pd *pd = s->pd;

	guard(&pd->slab_lock);
	if (unlikely(!s->free))
		list_prepend(s->with_room, &s->link);
	*(void **)object = s->free;
	s->free = object;
	if (unlikely(--s->used == 0)) {
		list_unlink(&s->link);
		page_free(pd, s, 0);
	}
}
