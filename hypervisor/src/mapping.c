/*
 * What PDs hold: made, delegated, looked up.
 */
#include "mapping.h"

#include "panic.h"
#include "pd.h"
#include "tlb.h"
#include "x86/hip.h"
#include "x86/iommu.h"

enum {
	STEPS_PIECE = 16, /* that one mapping more counts for */
	ANCESTORS = 1024, /* looked at by a translation */
	OTHER_TABLES = MAPPING_GUEST | MAPPING_DMA,
};

struct lock mdb_lock;

enum status mapping_apply(const struct mapping *m, unsigned rights)
{
	struct ptab *t = m->pd->tables;
	enum status s;

	if (unlikely(m->type == CRD_PIO))
		return pd_ports(m->pd, m->base, m->order, rights, m->flags & MAPPING_GUEST);
	s = ptab_map(t, m, rights);
	if (likely(!(m->flags & OTHER_TABLES)))
		return s;
	for (unsigned i = 1; s == SUCCESS && i < PTABS; i++)
		if (m->flags >> i & 1 && t[i].format)
			s = ptab_map(&t[i], m, rights);
	if (m->flags & MAPPING_DMA && iommu.flush_new)
		tlb_stale(m->pd, MAPPING_DMA);
	return s;
}

void mapping_link(struct mapping *parent, struct mapping *m)
{
	m->parent = parent;
	m->child = NULL;
	m->prev = NULL;
	m->next = NULL;
	if (parent) {
		m->next = parent->child;
		if (m->next)
			m->next->prev = m;
		parent->child = m;
	}
}

void mapping_leave(struct mapping *m)
{
	if (m->type == CRD_OBJ) {
		if (--m->object->caps == 0)
			object_unlinked(m->object);
	} else {
		/* Without rights nothing is allocated, so nothing fails. */
		if (mapping_apply(m, 0) != SUCCESS)
			panic("unmap failed");
		if (m->type == CRD_MEM)
			tlb_stale(m->pd, m->flags & MAPPING_TABLES);
	}
	space_remove(pd_space(m->pd, m->type), m);
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
	else if (m->parent)
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

/*
 * A PD that was emptied stays empty, though threads may still run in it.
 * mdb_lock is held.
 */
static bool closed(const struct pd *pd)
{
	return unlikely(pd->object.dying);
}

struct mapping *mapping_new(struct pd *pd)
{
	struct mapping *m = slab_alloc(pd, SLAB_MAPPING);

	if (likely(m))
		m->pd = pd;
	return m;
}

enum status mapping_create(struct pd *pd, uint64_t selector, struct object *object)
{
	enum status s = BAD_CAPABILITY;
	struct mapping *m = NULL;

	if (unlikely(selector >= SELECTORS))
		return s;
	lock(&mdb_lock);
	if (!closed(pd))
		m = mapping_new(pd);
	if (likely(m)) {
		m->object = object;
		m->base = selector;
		m->type = CRD_OBJ;
		m->object_type = object->type;
		m->rights = RIGHTS_ALL;
		m->order = 0;
		m->flags = 0;
		mapping_link(NULL, m);
		s = space_insert(&pd->obj, m);
		if (likely(s == SUCCESS))
			object->caps++;
		else
			slab_free(m);
	} else if (!closed(pd) && !space_object(&pd->obj, selector)) {
		s = OUT_OF_MEMORY;
	}
	unlock(&mdb_lock);
	return s;
}

/* In its place, and in the page tables; or gone. */
static inline enum status settle(struct mapping *m, uint8_t rights)
{
	enum status s = space_insert(pd_space(m->pd, m->type), m);

	if (unlikely(s != SUCCESS)) {
		slab_free(m);
		return s;
	}
	mapping_link(m->parent, m);
	if (m->type == CRD_OBJ) {
		m->object->caps++;
		return s;
	}
	s = mapping_apply(m, rights);
	if (unlikely(s != SUCCESS)) {
		mapping_leave(m);
		mapping_release(m);
	}
	return s;
}

enum status mapping_fix(struct pd *pd, uint64_t page, uint64_t frame, uint8_t rights,
			struct mapping **out)
{
	enum status s = BAD_PARAMETER;

	lock(&mdb_lock);
	if (!closed(pd) && !space_next(&pd->mem, page, page)) {
		struct mapping *m = mapping_new(pd);

		s = OUT_OF_MEMORY;
		if (m) {
			m->parent = NULL;
			m->frame = frame;
			m->base = page;
			m->type = CRD_MEM;
			m->rights = 0;
			m->order = 0;
			m->flags = MAPPING_HOST | MAPPING_FIXED;
			s = settle(m, rights);
			if (s == SUCCESS)
				*out = m;
		}
	}
	unlock(&mdb_lock);
	return s;
}

void mapping_unfix(struct mapping *m)
{
	lock(&mdb_lock);
	mapping_leave(m);
	mapping_release(m);
	unlock(&mdb_lock);
	tlb_shootdown();
}

/* A part of a transfer: of the range, so much before and up to the end. */
struct part {
	struct mapping *parent; /* NULL: the kernel's memory or ports */
	uint64_t frame;		/* at `at`; or the object's address */
	uint64_t at, end;
	uint32_t flags;
	uint8_t rights;
};

static inline enum status insert(const struct transfer *t, const struct part *p, unsigned order)
{
	struct mapping *m = mapping_new(t->to);

	if (unlikely(!m))
		return OUT_OF_MEMORY;
	m->parent = p->parent;
	m->frame = p->frame;
	m->base = t->target + p->at;
	m->type = t->type;
	m->object_type = t->type == CRD_OBJ ? p->parent->object_type : 0;
	m->rights = p->rights;
	m->order = (uint8_t)order;
	m->flags = p->flags;
	return settle(m, p->rights);
}

/* The largest block that begins at `at` and does not go beyond `end`. */
static unsigned order_of(const struct transfer *t, const struct part *p, uint64_t end)
{
	uint64_t at = p->at;
	unsigned order = 63 - (unsigned)__builtin_clzl(end - at);

	if (at && (unsigned)__builtin_ctzl(at) < order)
		order = (unsigned)__builtin_ctzl(at);
	if (unlikely(order > TABLE_BITS && t->type == CRD_MEM)) {
		unsigned max = ptab_order_max(t->to, p->flags);

		order = order < max ? order : max;
	}
	return order;
}

/* One mapping more, of the largest block that is free; or past what is not. */
static inline enum status fill(struct transfer *t, struct part *p)
{
	uint64_t base = t->target + p->at, end = p->end;
	const struct mapping *taken;
	unsigned order;
	enum status s;

	for (;;) {
		order = likely(end == 1) ? 0 : order_of(t, p, end);
		s = insert(t, p, order);
		if (likely(s != BAD_CAPABILITY))
			break;
		taken = space_next(pd_space(t->to, t->type), base, base + (1ul << order) - 1);
		if (taken->base <= base) {
			t->done = mapping_last(taken) + 1 - t->target;
			return SUCCESS;
		}
		end = taken->base - t->target;
	}
	if (likely(s == SUCCESS)) {
		t->got = p->rights;
		t->done = p->at + (1ul << order);
	}
	return s;
}

static uint32_t flags_of(const struct transfer *t, uint32_t type)
{
	return (t->flags & OTHER_TABLES) | MAPPING_HOST | type;
}

/* The rights that a type has at all. */
static uint8_t type_rights(enum crd_type type)
{
	static const uint8_t rights[] = {
		[CRD_NULL] = 0,
		[CRD_MEM] = MEM_R | MEM_W | MEM_X,
		[CRD_PIO] = PIO_ACCESS,
		[CRD_OBJ] = RIGHTS_ALL,
	};

	return rights[type];
}

/* Memory and ports that the kernel gives to root have no parent. */
[[gnu::noinline]] static enum status take_from_kernel(struct transfer *t)
{
	uint64_t size = 1ul << t->order, phys = t->source << PAGE_BITS;
	uint32_t type = MEMORY_CACHED;

	if (t->type == CRD_MEM) {
		if (hip_is_kernel(phys, size << PAGE_BITS)) {
			t->done = size;
			return SUCCESS;
		}
		if (t->flags & MAPPING_COMBINE)
			type = MEMORY_COMBINING;
		else if (!hip_is_ram(phys))
			type = MEMORY_UNCACHED;
	}
	struct part p = {
		.frame = t->source + t->done,
		.at = t->done,
		.end = size,
		.rights = t->rights & type_rights(t->type),
		.flags = flags_of(t, type << MAPPING_TYPE_SHIFT),
	};

	if (!p.rights) {
		t->done = size;
		return SUCCESS;
	}
	return fill(t, &p);
}

/* The next mapping that the source has. */
static inline enum status give(struct transfer *t, struct space *from)
{
	uint64_t size = 1ul << t->order, key = t->source + t->done;
	struct mapping *m = space_find_near(from, key);
	struct part p;

	if (unlikely(!m)) {
		m = space_next(from, key, t->source + size - 1);
		if (!m) {
			t->done = size;
			return SUCCESS;
		}
		key = m->base;
	}
	p.parent = m;
	p.at = key - t->source;
	p.end = mapping_last(m) + 1 - t->source;
	if (p.end > size)
		p.end = size;
	p.rights = m->rights & t->rights;
	if (unlikely(!p.rights)) {
		t->done = p.end;
		return SUCCESS;
	}
	p.frame = m->frame;
	if (t->type != CRD_OBJ)
		p.frame += key - m->base;
	p.flags = flags_of(t, m->flags & MAPPING_TYPE);
	return fill(t, &p);
}

enum status mapping_delegate(struct transfer *t)
{
	struct space *from = pd_space(t->kernel ? &pd_kernel : t->from, t->type);
	uint64_t size = 1ul << t->order;
	enum status s = SUCCESS;

	lock(&mdb_lock);
	if (closed(t->to))
		t->done = size;
	while (s == SUCCESS && t->done < size) {
		if (unlikely(t->kernel && t->type != CRD_OBJ))
			s = take_from_kernel(t);
		else
			s = give(t, from);
		t->left -= STEPS_PIECE;
		if (unlikely(t->left < 0 && t->done < size && s == SUCCESS))
			s = AGAIN;
	}
	unlock(&mdb_lock);
	return s;
}

/* What is not as usual is left to the above. */
enum status mapping_delegate_one(struct transfer *t)
{
	uint64_t source = t->source, target = t->target, *e;
	struct space *space = pd_space(t->to, t->type);
	struct mapping *m = NULL, *parent;
	struct pd *to = t->to;
	enum status s = SUCCESS;
	uint8_t rights = 0;

	lock(&mdb_lock);
	parent = space_find_near(pd_space(t->from, t->type), source);
	e = table_near(&space->near, target);
	if (unlikely(!e)) {
		(void)space_find_far(space, target);
		e = table_near(&space->near, target);
	}
	if (likely(parent))
		rights = parent->rights & t->rights;
	if (likely(rights && e && !*e && !closed(to)))
		m = mapping_new(to);
	if (unlikely(!m)) {
		unlock(&mdb_lock);
		return mapping_delegate(t);
	}
	m->frame = parent->frame;
	m->base = target;
	m->type = t->type;
	m->object_type = parent->object_type;
	m->rights = rights;
	m->order = 0;
	m->flags = flags_of(t, parent->flags & MAPPING_TYPE);
	t->got = rights;
	mapping_link(parent, m);
	__atomic_store_n(e, (uint64_t)m, __ATOMIC_RELEASE);
	table_fill(e, 1);
	if (m->type == CRD_OBJ) {
		m->object->caps++;
	} else {
		m->frame += source - parent->base;
		s = likely(m->type == CRD_MEM && !(m->flags & OTHER_TABLES))
			    ? ptab_map(to->tables, m, rights)
			    : mapping_apply(m, rights);
		if (unlikely(s != SUCCESS)) {
			t->got = 0;
			mapping_leave(m);
			mapping_release(m);
		}
	}
	unlock(&mdb_lock);
	return s;
}

struct mapping *mapping_find(struct pd *pd, enum crd_type type, uint64_t base)
{
	const struct space *s = pd_space(pd, type);

	return base >> s->levels * TABLE_BITS ? NULL : space_find(s, base);
}

uint64_t mapping_frame(struct pd *pd, uint64_t address)
{
	uint64_t page = address >> PAGE_BITS, frame = 0;

	lock(&mdb_lock);
	const struct mapping *m = mapping_find(pd, CRD_MEM, page);

	if (m)
		frame = m->frame + (page - m->base);
	unlock(&mdb_lock);
	return frame;
}

uint64_t mapping_lookup(struct pd *pd, uint64_t crd)
{
	uint64_t found = 0;

	if (CRD_TYPE(crd) != CRD_NULL) {
		lock(&mdb_lock);
		const struct mapping *m = mapping_find(pd, CRD_TYPE(crd), CRD_BASE(crd));

		if (m && m->rights)
			found = CRD(m->type, m->rights, m->order, m->base);
		unlock(&mdb_lock);
	}
	return found;
}

static uint64_t aligned(uint64_t n, unsigned order)
{
	return n & ~((1ul << order) - 1);
}

/*
 * The part of a mapping that has 2^order frames from `frame` on, cut to the
 * window: its CRD, or 0.
 */
static uint64_t part_of(const struct mapping *m, uint64_t frame, unsigned order, unsigned rights,
			uint64_t window)
{
	unsigned room = CRD_ORDER(window);
	uint64_t base = m->base, first = aligned(CRD_BASE(window), room);

	if (order > m->order)
		order = m->order;
	if (m->type != CRD_OBJ)
		base += aligned(frame, order) - m->frame;
	if ((base ^ first) >> (order > room ? order : room))
		return 0;
	rights &= m->rights & CRD_RIGHTS(window);
	return order > room ? CRD(m->type, rights, room, first) : CRD(m->type, rights, order, base);
}

/* Which has the frame now, where `gone` was split. */
static const struct mapping *piece_of(const struct mapping *gone, uint64_t frame)
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
	unsigned order = 0, left = ANCESTORS;

	if (CRD_TYPE(crd) == CRD_NULL || CRD_TYPE(crd) != CRD_TYPE(window))
		return 0;
	lock(&mdb_lock);
	const struct mapping *m = mapping_find(t->from, CRD_TYPE(crd), CRD_BASE(crd));

	if (m) {
		order = CRD_ORDER(crd) < m->order ? CRD_ORDER(crd) : m->order;
		frame = m->frame;
		if (m->type != CRD_OBJ)
			frame += aligned(CRD_BASE(crd), order) - m->base;
	}
	for (const struct mapping *p = m; p && !found && left--; p = p->parent) {
		const struct mapping *held = p->flags & MAPPING_GONE ? piece_of(p, frame) : p;

		t->left--;
		/* Of the kernel's own nobody has rights. */
		if (p->pd == t->to && held && held != m && held->rights)
			found = part_of(held, frame, order, CRD_RIGHTS(crd), window);
	}
	/* Within a PD: itself, if it was derived from no other there. */
	if (m && !found && m->pd == t->to && m->rights)
		found = part_of(m, frame, order, CRD_RIGHTS(crd), window);
	unlock(&mdb_lock);
	return found;
}
