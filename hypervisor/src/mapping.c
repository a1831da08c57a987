/*
 * Delegate, translate and revoke.
 */
#include "mapping.h"

#include <abi/hip.h>

#include "page.h"
#include "panic.h"
#include "pd.h"
#include "tlb.h"
#include "x86/hip.h"
#include "x86/iommu.h"
#include "x86/irq.h"

enum { POLL = 32 };	/* mappings removed between two looks for interrupts */

struct lock mdb_lock;

static uint64_t last_of(const struct mapping *m)
{
	return m->base + (1ul << m->order) - 1;
}

/* The rights that a type has at all. */
static inline uint8_t type_rights(enum crd_type type)
{
	static const uint8_t rights[] = {
		[CRD_NULL] = 0,
		[CRD_MEM] = MEM_R | MEM_W | MEM_X,
		[CRD_PIO] = PIO_ACCESS,
		[CRD_OBJ] = RIGHTS_ALL,
	};

	return rights[type];
}

/* Make hardware agree with the mapping's rights, or with none at all. */
static enum status apply(const struct mapping *m, unsigned rights)
{
	enum memory_type type = m->flags >> MAPPING_TYPE_SHIFT;
	enum status s = SUCCESS;

	if (m->type == CRD_PIO) {
		return pd_ports(m->pd, m->base, m->order, rights,
				m->flags & MAPPING_GUEST);
	}
	for (unsigned i = 0; s == SUCCESS && i < PTABS; i++) {
		struct ptab *t = &m->pd->tables[i];

		if (m->flags & 1u << i && t->format) {
			s = ptab_map(t, m->pd, m->base, m->frame, m->order,
				     rights, type);
		}
	}
	if (unlikely(m->flags & MAPPING_DMA && iommu && iommu->flush_new)) {
		tlb_stale(m->pd, MAPPING_DMA);
	}
	return s;
}

static void link_child(struct mapping *parent, struct mapping *m)
{
	m->parent = parent;
	m->child = NULL;
	m->prev = NULL;
	m->next = NULL;
	if (parent) {
		m->next = parent->child;
		if (m->next) {
			m->next->prev = m;
		}
		parent->child = m;
	}
}

/* Its children become its parent's. */
static void unlink(struct mapping *m)
{
	struct mapping *first = m->child, *last = NULL;

	for (struct mapping *c = first; c; c = c->next) {
		c->parent = m->parent;
		last = c;
	}
	if (m->prev) {
		m->prev->next = m->next;
	} else if (m->parent) {
		m->parent->child = m->next;
	}
	if (m->next) {
		m->next->prev = m->prev;
	}
	if (!last) {
		return;
	}
	if (!m->parent) {
		for (struct mapping *c = first, *n; c; c = n) {
			n = c->next;
			c->prev = c->next = NULL;
		}
		return;
	}
	last->next = m->parent->child;
	if (last->next) {
		last->next->prev = last;
	}
	m->parent->child = first;
}

static void mapping_free(struct deferred *d)
{
	struct mapping *m = container_of(d, struct mapping, deferred);
	struct pd *pd = m->pd;

	slab_free(m);
	object_put(&pd->object);
}

/* mdb_lock is held. */
static void destroy(struct mapping *m)
{
	struct object *o = m->type == CRD_OBJ ? m->object : NULL;

	if (m->type != CRD_OBJ) {
		/* Without rights nothing is allocated, so nothing fails. */
		if (apply(m, 0) != SUCCESS) {
			panic("unmap failed");
		}
		if (m->type == CRD_MEM) {
			tlb_stale(m->pd, m->flags & MAPPING_TABLES);
		}
	}
	space_remove(pd_space(m->pd, m->type), m->pd, m);
	unlink(m);
	m->type = CRD_NULL;
	object_get(&m->pd->object);	/* it pays for the mapping */
	rcu_defer(&m->deferred, mapping_free);
	if (o && --o->caps == 0) {
		object_unlinked(o);
	}
}

/*
 * A PD that was emptied stays empty, though threads may still run in it.
 * mdb_lock is held.
 */
static bool closed(const struct pd *pd)
{
	return unlikely(pd->object.dying);
}

static struct mapping *mapping_new(struct pd *pd, enum crd_type type,
				   uint64_t base, unsigned order,
				   uint8_t rights, uint32_t flags)
{
	struct mapping *m = slab_alloc(pd, SLAB_MAPPING);

	if (m) {
		m->pd = pd;
		m->type = (uint8_t)type;
		m->object_type = 0;
		m->base = base;
		m->order = (uint8_t)order;
		m->rights = rights;
		m->flags = flags | MAPPING_HOST;
	}
	return m;
}

enum status mapping_create(struct pd *pd, uint64_t selector,
			   struct object *object)
{
	enum status s = BAD_CAPABILITY;

	if (selector >= SELECTORS) {
		return s;
	}
	lock(&mdb_lock);
	if (!closed(pd) && !space_object(&pd->obj, selector)) {
		struct mapping *m = mapping_new(pd, CRD_OBJ, selector, 0,
						RIGHTS_ALL, 0);

		s = OUT_OF_MEMORY;
		if (m) {
			m->object = object;
			m->object_type = object->type;
			link_child(NULL, m);
			s = space_insert(&pd->obj, pd, m);
			if (s == SUCCESS) {
				object->caps++;
			} else {
				slab_free(m);
			}
		}
	}
	unlock(&mdb_lock);
	return s;
}

/* Without memory for it, it is gone. */
static enum status insert_fixed(struct mapping *m, uint8_t rights)
{
	enum status s = space_insert(&m->pd->mem, m->pd, m);

	if (s != SUCCESS) {
		slab_free(m);
		return s;
	}
	s = apply(m, rights);
	if (s != SUCCESS) {
		destroy(m);
	}
	return s;
}

enum status mapping_fix(struct pd *pd, uint64_t page, uint64_t frame,
			uint8_t rights, struct mapping **out)
{
	enum status s = BAD_PARAMETER;

	lock(&mdb_lock);
	if (!closed(pd) && !space_next(&pd->mem, page, page)) {
		struct mapping *m =
			mapping_new(pd, CRD_MEM, page, 0, 0, MAPPING_FIXED);

		s = OUT_OF_MEMORY;
		if (m) {
			m->frame = frame;
			link_child(NULL, m);
			s = insert_fixed(m, rights);
			if (s == SUCCESS) {
				*out = m;
			}
		}
	}
	unlock(&mdb_lock);
	tlb_shootdown();
	return s;
}

void mapping_unfix(struct mapping *m)
{
	lock(&mdb_lock);
	destroy(m);
	unlock(&mdb_lock);
	tlb_shootdown();
}

struct piece {
	struct mapping *parent;		/* NULL: the kernel's memory or ports */
	uint64_t frame;			/* or the object's address */
	uint64_t base;
	unsigned order;
	uint32_t flags;
	uint8_t rights;
};

static enum status insert(const struct transfer *t, const struct piece *p,
			  uint8_t *rights)
{
	struct mapping *m = mapping_new(t->to, t->type, p->base, p->order,
					p->rights, p->flags);
	enum status s = OUT_OF_MEMORY;

	if (!m) {
		return s;
	}
	m->frame = p->frame;
	if (t->type == CRD_OBJ) {
		m->object_type = m->object->type;
	}
	s = space_insert(pd_space(t->to, t->type), t->to, m);
	if (s != SUCCESS) {
		slab_free(m);
		return s;
	}
	link_child(p->parent, m);
	*rights = p->rights;
	if (t->type == CRD_OBJ) {
		m->object->caps++;
		return s;
	}
	s = apply(m, m->rights);
	if (unlikely(s != SUCCESS)) {
		destroy(m);
	}
	return s;
}

/* Fill what is free of the target range, in as few pieces as possible. */
static enum status fill(const struct transfer *t, const struct piece *p,
			uint8_t *rights)
{
	const struct space *space = pd_space(t->to, t->type);
	uint64_t last = p->base + (1ul << p->order) - 1;
	struct mapping *taken = p->order ? space_next(space, p->base, last)
					 : space_find(space, p->base);

	if (likely(!taken)) {
		return insert(t, p, rights);
	}
	if (taken->base <= p->base && last_of(taken) >= last) {
		return SUCCESS;
	}
	struct piece half = *p;

	half.order--;
	enum status s = fill(t, &half, rights);

	half.base += 1ul << half.order;
	half.frame += 1ul << half.order;
	return s == SUCCESS ? fill(t, &half, rights) : s;
}

/* Memory and ports that the kernel gives to root have no parent. */
static enum status take_from_kernel(const struct transfer *t, uint8_t *rights)
{
	uint64_t size = 1ul << t->order;
	uint32_t type = MEMORY_CACHED;

	if (t->type == CRD_MEM) {
		uint64_t phys = t->source << PAGE_BITS;

		if (hip_is_kernel(phys, size << PAGE_BITS)) {
			return SUCCESS;
		}
		if (t->flags & MAPPING_COMBINE) {
			type = MEMORY_COMBINING;
		} else if (!hip_is_ram(phys)) {
			type = MEMORY_UNCACHED;
		}
	}
	const struct piece p = {
		.frame = t->source,
		.base = t->target,
		.order = t->order,
		.rights = t->rights & type_rights(t->type),
		.flags = (t->flags & ~(uint32_t)MAPPING_COMBINE) |
			 type << MAPPING_TYPE_SHIFT,
	};

	return p.rights ? fill(t, &p, rights) : SUCCESS;
}

static inline enum status give(const struct transfer *t, struct mapping *m,
			       uint8_t *rights)
{
	struct piece p;
	uint64_t base = t->source;

	p.rights = m->rights & t->rights & type_rights(t->type);
	if (!p.rights) {
		return SUCCESS;
	}
	p.parent = m;
	p.flags = (t->flags & ~(uint32_t)MAPPING_COMBINE) |
		  (m->flags & ~(uint32_t)MAPPING_OWN);
	p.order = t->order;
	if (m->order < t->order) {
		base = m->base;
		p.order = m->order;
	}
	p.base = t->target + (base - t->source);
	p.frame = m->frame;
	if (t->type != CRD_OBJ) {
		p.frame += base - m->base;
	}
	return fill(t, &p, rights);
}

enum status mapping_delegate(const struct transfer *t, uint8_t *rights)
{
	uint64_t key = t->source, last = key + (1ul << t->order) - 1;
	const struct space *from =
		pd_space(t->kernel ? &pd_kernel : t->from, t->type);
	enum status s = SUCCESS;
	struct mapping *m;

	*rights = 0;
	lock(&mdb_lock);
	if (closed(t->to)) {
		key = last + 1;
	} else if (unlikely(t->kernel && t->type != CRD_OBJ)) {
		s = take_from_kernel(t, rights);
		key = last + 1;
	}
	while (s == SUCCESS && key <= last) {
		m = space_find(from, key);
		if (unlikely(!m)) {
			m = space_next(from, key, last);
		}
		if (!m) {
			break;
		}
		key = last_of(m) + 1;
		s = give(t, m, rights);
	}
	unlock(&mdb_lock);
	return s;
}

struct mapping *mapping_find(struct pd *pd, enum crd_type type, uint64_t base)
{
	const struct space *s = pd_space(pd, type);

	return base >> s->levels * SPACE_BITS ? NULL : space_find(s, base);
}

uint64_t mapping_frame(struct pd *pd, uint64_t address)
{
	uint64_t page = address >> PAGE_BITS, frame = 0;

	lock(&mdb_lock);
	const struct mapping *m = mapping_find(pd, CRD_MEM, page);

	if (m) {
		frame = m->frame + (page - m->base);
	}
	unlock(&mdb_lock);
	return frame;
}

static uint64_t crd_of(const struct mapping *m, unsigned rights)
{
	return CRD(m->type, m->rights & rights, m->order, m->base);
}

uint64_t mapping_lookup(struct pd *pd, uint64_t crd)
{
	uint64_t found = 0;

	if (CRD_TYPE(crd) != CRD_NULL) {
		lock(&mdb_lock);
		struct mapping *m =
			mapping_find(pd, CRD_TYPE(crd), CRD_BASE(crd));

		if (m && !(m->flags & MAPPING_FIXED)) {
			found = crd_of(m, RIGHTS_ALL);
		}
		unlock(&mdb_lock);
	}
	return found;
}

uint64_t mapping_translate(struct pd *from, uint64_t crd, struct pd *to,
			   uint64_t window)
{
	uint64_t found = 0, first = CRD_BASE(window);
	uint64_t last = first + (1ul << CRD_ORDER(window)) - 1;

	if (CRD_TYPE(crd) == CRD_NULL || CRD_TYPE(crd) != CRD_TYPE(window)) {
		return 0;
	}
	lock(&mdb_lock);
	struct mapping *m = mapping_find(from, CRD_TYPE(crd), CRD_BASE(crd));

	for (; m && !(m->flags & MAPPING_FIXED); m = m->parent) {
		if (m->pd == to && m->base >= first && last_of(m) <= last) {
			found = crd_of(m, CRD_RIGHTS(crd) & CRD_RIGHTS(window));
			break;
		}
	}
	unlock(&mdb_lock);
	return found;
}

/* Take rights away. True: the mapping is gone. */
static bool take_away(struct mapping *m, uint8_t rights)
{
	if (m->flags & MAPPING_FIXED || !(m->rights & rights)) {
		return false;
	}
	m->rights &= (uint8_t)~rights;
	if (!m->rights) {
		destroy(m);
		return true;
	}
	if (m->type == CRD_MEM) {
		/* Fewer rights in place: nothing is allocated. */
		(void)!apply(m, m->rights);
		tlb_stale(m->pd, m->flags & MAPPING_TABLES);
	}
	return false;
}

static struct mapping *deepest(struct mapping *m)
{
	while (m->child) {
		m = m->child;
	}
	return m;
}

/*
 * Children first: what is derived never has more rights than its parent, so a
 * mapping that goes has no children left. False: `left` ran out.
 */
static bool take_from_derived(struct mapping *m, uint8_t rights, unsigned *left)
{
	struct mapping *n = deepest(m), *next;

	for (; n != m; n = next) {
		next = n->next ? deepest(n->next) : n->parent;
		if (take_away(n, rights) && --*left == 0) {
			return false;
		}
	}
	return true;
}

/* False: interrupted. */
static bool revoke_range(struct pd *pd, enum crd_type type, uint64_t key,
			 uint64_t last, uint8_t rights, bool self, bool keep)
{
	bool interrupted = false;
	struct mapping *m;

	lock(&mdb_lock);
	while (!interrupted &&
	       (m = space_next(pd_space(pd, type), key, last))) {
		unsigned left = POLL;

		if (keep || take_from_derived(m, rights, &left)) {
			key = last_of(m) + 1;
			if (self && take_away(m, rights)) {
				left--;
			}
		}
		if (left < POLL) {
			unlock(&mdb_lock);
			interrupted = irq_poll();
			lock(&mdb_lock);
		}
	}
	unlock(&mdb_lock);
	return !interrupted;
}

bool mapping_revoke(struct pd *pd, uint64_t crd, bool self, bool keep)
{
	enum crd_type type = CRD_TYPE(crd);
	uint64_t first = CRD_BASE(crd);
	bool done = true;

	if (type != CRD_NULL) {
		uint8_t rights = type_rights(type);

		if (!keep) {
			rights &= (uint8_t)CRD_RIGHTS(crd);
		}
		done = revoke_range(pd, type, first,
				    first + (1ul << CRD_ORDER(crd)) - 1,
				    rights, self || keep, keep);
	}
	tlb_shootdown();
	return object_reap() && done;
}

bool mapping_clear(struct pd *pd)
{
	bool done = true;

	for (enum crd_type type = CRD_MEM; done && type <= CRD_OBJ; type++) {
		done = revoke_range(pd, type, 0, ~0ul, type_rights(type), true,
				    false);
	}
	tlb_shootdown();
	return done;
}
