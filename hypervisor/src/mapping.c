/*
 * What PDs hold: made, delegated, looked up.
 */
#include "mapping.h"

#include "log.h"
#include "pd.h"
#include "tlb.h"
#include "x86/iommu.h"

enum {
	ANCESTORS = 1024, /* looked at by a translation */
	STEPS_GONE = 16,  /* that one which is gone counts for: its piece is looked up */
};

struct lock mdb_lock;
struct mapping mapping_kernel;

enum status mapping_apply(const struct mapping *m, unsigned rights)
{
	struct tree *t = m->pd->tables;
	enum status s;

	if (unlikely(m->type == CRD_PIO))
		return pd_ports(m->pd, m->base, m->order, rights, m->flags & MAPPING_GUEST);
	s = ptab_map(t, m, rights);
	if (likely(!(m->flags & MAPPING_OTHERS)))
		return s;
	for (unsigned i = 1; s == SUCCESS && i < PTABS; i++)
		if (m->flags >> i & 1 && t[i].format)
			s = ptab_map(&t[i], m, rights);
	if (m->flags & MAPPING_DMA && iommu.flush_new)
		tlb_stale(m->pd, MAPPING_DMA);
	return s;
}

void mapping_leave(struct mapping *m)
{
	if (m->type != CRD_OBJ) {
		/* Without rights nothing is allocated, so nothing fails. */
		if (mapping_apply(m, 0) != SUCCESS)
			panic("unmap failed");
		if (m->type == CRD_MEM)
			tlb_stale(m->pd, m->flags & MAPPING_TABLES);
	}
	m->pd->lost++;
	(void)!tree_set(pd_space(m->pd, m->type), m->pd, m->base, m->order, 0, 0);
	/* Whoever ends it now begins a grace period in which nobody finds it. */
	if (m->type == CRD_OBJ && --m->object->caps == 0)
		object_unlinked(m->object);
	m->rights = 0;
	m->flags |= MAPPING_GONE;
	if (m->child || m->type == CRD_OBJ) {
		/* It pays for the mapping. */
		m->flags |= MAPPING_HELD;
		object_get(&m->pd->object);
	}
}

void mapping_unlink(struct mapping *m)
{
	if (m->prev)
		m->prev->next = m->next;
	else
		m->parent->child = m->next;
	if (m->next)
		m->next->prev = m->prev;
}

static void mapping_free(struct deferred *d)
{
	struct mapping *m = container_of(d, struct mapping, deferred);
	struct pd *held = m->flags & MAPPING_HELD ? m->pd : NULL;

	slab_free(m);
	if (held)
		object_put(&held->object);
}

void mapping_release(struct mapping *m)
{
	mapping_unlink(m);
	if (m->type == CRD_OBJ)
		rcu_defer(&m->deferred, mapping_free);
	else
		mapping_free(&m->deferred);
}

/* The first of its kind, for a number of a PD where there is nothing; or NULL. */
static inline struct mapping *make(struct pd *pd, enum crd_type type, uint64_t base, enum status *s)
{
	struct mapping *m;

	if (unlikely(pd->object.dying || space_find(pd_space(pd, type), base))) {
		*s = BAD_CAPABILITY;
		return NULL;
	}
	*s = OUT_OF_MEMORY;
	m = slab_alloc(pd, SLAB_MAPPING);
	if (likely(m)) {
		m->parent = type == CRD_OBJ ? &pd->made : &mapping_kernel;
		m->base = base;
		m->pd = pd;
		m->type = (uint8_t)type;
		m->order = 0;
	}
	return m;
}

enum status mapping_create(struct pd *pd, uint64_t selector, struct object *object)
{
	enum status s;

	if (unlikely(selector >= SELECTORS))
		return BAD_CAPABILITY;
	guard(&mdb_lock);
	struct mapping *m = make(pd, CRD_OBJ, selector, &s);

	if (unlikely(!m))
		return s;
	m->object = object;
	m->object_type = object->type;
	m->rights = RIGHTS_ALL;
	m->flags = 0;
	return mapping_settle(&pd->obj, NULL, m, CRD_OBJ, 0);
}

enum status mapping_fix(struct pd *pd, uint64_t page, uint64_t frame, uint8_t rights,
			struct mapping **out)
{
	enum status s;

	guard(&mdb_lock);
	struct mapping *m = make(pd, CRD_MEM, page, &s);

	if (m) {
		m->frame = frame;
		m->object_type = 0;
		m->rights = 0;
		m->flags = MAPPING_HOST | MAPPING_FIXED;
		s = mapping_settle(&pd->mem, NULL, m, CRD_MEM, rights);
	}
	if (s == SUCCESS)
		*out = m;
	return s == BAD_CAPABILITY ? BAD_PARAMETER : s;
}

void mapping_unfix(struct mapping *m)
{
	lock(&mdb_lock);
	mapping_leave(m);
	mapping_release(m);
	unlock(&mdb_lock);
	tlb_shootdown();
}

uint64_t mapping_frame(struct pd *pd, uint64_t address)
{
	uint64_t page = address >> PAGE_BITS;

	guard(&mdb_lock);
	const struct mapping *m = space_find(&pd->mem, page);

	return m ? m->frame + (page - m->base) : 0;
}

uint64_t mapping_lookup(struct pd *pd, uint64_t crd)
{
	if (CRD_TYPE(crd) == CRD_NULL)
		return 0;
	guard(&mdb_lock);
	const struct mapping *m = space_find(pd_space(pd, CRD_TYPE(crd)), CRD_BASE(crd));

	return m && m->rights ? CRD(m->type, m->rights, m->order, m->base) : 0;
}

static uint64_t aligned(uint64_t n, unsigned order)
{
	return n & ~((1ul << order) - 1);
}

uint64_t mapping_common(uint64_t a, uint64_t b)
{
	uint64_t small = CRD_ORDER(a) > CRD_ORDER(b) ? b : a, large = a ^ b ^ small;

	if ((CRD_BASE(a) ^ CRD_BASE(b)) >> CRD_ORDER(large))
		return 0;
	return CRD(CRD_TYPE(a), CRD_RIGHTS(a & b), CRD_ORDER(small),
		   aligned(CRD_BASE(small), CRD_ORDER(small)));
}

/* The part of a mapping that has 2^order frames from `frame` on. */
static uint64_t part_of(const struct mapping *m, uint64_t frame, unsigned order, unsigned rights)
{
	uint64_t base = m->base;

	if (order > m->order)
		order = m->order;
	if (m->type != CRD_OBJ)
		base += aligned(frame, order) - m->frame;
	return CRD(m->type, m->rights & rights, order, base);
}

const struct mapping *mapping_piece(const struct mapping *gone, uint64_t frame)
{
	const struct mapping *m = space_find(pd_space(gone->pd, gone->type),
					     gone->base + frame - gone->frame);

	for (const struct mapping *p = m; p && p->flags & MAPPING_PIECE;) {
		p = p->parent;
		if (p == gone)
			return m;
	}
	return NULL;
}

uint64_t mapping_translate(struct transfer *t, uint64_t crd, uint64_t window)
{
	uint64_t found = 0, frame = 0;
	unsigned order = 0;
	int left = ANCESTORS;

	if (CRD_TYPE(crd) == CRD_NULL || CRD_TYPE(crd) != CRD_TYPE(window))
		return 0;
	guard(&mdb_lock);
	const struct mapping *m = space_find(pd_space(t->from, CRD_TYPE(crd)), CRD_BASE(crd));

	t->lost = t->lost ?: 1 + t->from->lost + t->to->lost;
	if (m) {
		order = CRD_ORDER(crd) < m->order ? CRD_ORDER(crd) : m->order;
		frame = m->frame;
		if (m->type != CRD_OBJ)
			frame += aligned(CRD_BASE(crd), order) - m->base;
	}
	for (const struct mapping *p = m; p && !found && left > 0; p = p->parent) {
		bool gone = p->flags & MAPPING_GONE;
		const struct mapping *held = gone ? mapping_piece(p, frame) : p;
		int steps = gone ? STEPS_GONE : 1;

		left -= steps;
		t->left -= steps;
		/* Of the kernel's own nobody has rights. */
		if (p->pd == t->to && held && held != m && held->rights)
			found = mapping_common(part_of(held, frame, order, CRD_RIGHTS(crd)),
					       window);
	}
	/* Within a PD: itself, if it was derived from no other there. */
	if (m && !found && m->pd == t->to && m->rights)
		found = mapping_common(part_of(m, frame, order, CRD_RIGHTS(crd)), window);
	return found;
}
