/*
 * The model, as slow and plain as it can be. When a part of a record is revoked,
 * all records that have its frames are cut there, whoever holds them: so a
 * record is derived from one as a whole. The kernel's mappings are at least as
 * large as the model's records.
 */
#include "hv_model.h"

struct record model[MODEL_MAX];
int model_end;
struct pd *model_pds[MODEL_PDS];

static uint64_t last_of(const struct record *r)
{
	return r->base + (1ul << r->order) - 1;
}

static bool overlaps(const struct record *r, const struct pd *pd, uint8_t type, uint64_t first,
		     uint64_t last)
{
	return r->live && r->pd == pd && r->type == type && r->base <= last && last_of(r) >= first;
}

void model_reset(void)
{
	__builtin_memset(model, 0, sizeof(model));
	model_end = 0;
	__builtin_memset(model_pds, 0, sizeof(model_pds));
}

int model_add(const struct record *r)
{
	for (int i = 0; i < MODEL_MAX; i++) {
		if (!model[i].live) {
			model[i] = *r;
			model[i].live = true;
			model_end = i < model_end ? model_end : i + 1;
			return i;
		}
	}
	fail_msg("the model is too small");
	return -1;
}

/* The lowest that overlaps. */
static int next(const struct pd *pd, uint8_t type, uint64_t first, uint64_t last)
{
	int best = -1;

	for (int i = 0; i < model_end; i++)
		if (overlaps(&model[i], pd, type, first, last) &&
		    (best < 0 || model[i].base < model[best].base))
			best = i;
	return best;
}

int model_find(const struct pd *pd, uint8_t type, uint64_t base)
{
	return next(pd, type, base, base);
}

unsigned model_caps(const struct object *o)
{
	unsigned n = 0;

	for (int i = 0; i < model_end; i++)
		n += model[i].live && model[i].type == CRD_OBJ && model[i].frame == (uint64_t)o;
	return n;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * From left to right, the largest aligned block that is free each time. Where
 * something arrived, *rights tells with which.
 */
static void fill(struct record r, unsigned order, uint8_t *rights)
{
	uint64_t at = r.base, end = at + (1ul << order), frame = r.frame;

	while (at < end) {
		int taken = model_find(r.pd, r.type, at);

		if (taken >= 0) {
			at = last_of(&model[taken]) + 1;
			continue;
		}
		r.order = (uint8_t)order;
		if (r.type == CRD_MEM)
			r.order = (uint8_t)least(order, ptab_order_max(r.pd, MAPPING_TABLES));
		while (at & ((1ul << r.order) - 1) ||
		       next(r.pd, r.type, at, at + (1ul << r.order) - 1) >= 0)
			r.order--;
		struct record piece = r;

		piece.frame = r.type == CRD_OBJ ? frame : frame + (at - r.base);
		piece.base = at;
		model_add(&piece);
		*rights = r.rights;
		at += 1ul << r.order;
	}
}

static uint8_t rights_of_type(unsigned type)
{
	return type == CRD_MEM ? 7 : type == CRD_PIO ? 1 : 31;
}

static void from_kernel(const struct transfer *t, uint8_t *rights)
{
	uint64_t phys = t->source << PAGE_BITS, size = PAGE_SIZE << t->order;
	enum memory_type type = MEMORY_CACHED;

	if (t->type == CRD_MEM) {
		if (phys < POOL_PHYS + pool_size && POOL_PHYS < phys + size)
			return;
		type = phys > RAM_END ? MEMORY_UNCACHED : MEMORY_CACHED;
		if (t->flags & MAPPING_COMBINE)
			type = MEMORY_COMBINING;
	}
	if (t->rights & rights_of_type(t->type)) {
		fill(
			(struct record){
				.pd = t->to,
				.type = t->type,
				.rights = t->rights & rights_of_type(t->type),
				.flags = (t->flags & MAPPING_GUEST) | (uint32_t)type
									      << MAPPING_TYPE_SHIFT,
				.base = t->target,
				.frame = t->source,
				.parent = -1,
			},
			t->order, rights);
	}
}

/* The part of a record that has the frame. */
static int part_of(int origin, uint64_t frame)
{
	for (int i = 0; i < model_end; i++) {
		const struct record *r = &model[i];

		if (r->live && r->origin == origin + 1 && !((r->frame ^ frame) >> r->order))
			return i;
	}
	fail_msg("no part has the frame");
	return -1;
}

static void cut_record(int i, uint64_t frame, unsigned order)
{
	model[i].origin = i + 1;
	while (model[i].order > order) {
		struct record half = model[i];
		uint64_t size;

		half.order = --model[i].order;
		size = 1ul << half.order;
		if (frame & size) {
			model[i].base += size;
			model[i].frame += size;
		} else {
			half.base += size;
			half.frame += size;
		}
		model_add(&half);
	}
}

/* All that have these frames and more are cut. */
static void cut_all(uint8_t type, uint64_t frame, unsigned order)
{
	int end = model_end;

	for (int i = 0; i < end; i++) {
		struct record *r = &model[i];

		if (r->live && r->type == type && r->order > order &&
		    !((r->frame ^ frame) >> r->order))
			cut_record(i, frame, order);
	}
	for (int i = 0; i < model_end; i++) {
		struct record *r = &model[i];

		if (r->live && r->parent >= 0 && model[r->parent].origin)
			r->parent = part_of(r->parent, r->frame);
	}
	for (int i = 0; i < model_end; i++)
		model[i].origin = 0;
}

void model_delegate(const struct transfer *t, uint8_t *rights)
{
	uint64_t end = t->source + (1ul << t->order);
	const struct pd *from = t->kernel ? &pd_kernel : t->from;
	int i;

	*rights = 0;
	if (t->kernel && t->type != CRD_OBJ) {
		from_kernel(t, rights);
		return;
	}
	for (uint64_t at = t->source; at < end; at = last_of(&model[i]) + 1) {
		i = next(from, t->type, at, end - 1);
		if (i < 0)
			return;
		const struct record *m = &model[i];
		unsigned order = m->order < t->order ? m->order : t->order;
		uint64_t base = m->order < t->order ? m->base : t->source;
		uint8_t r = m->rights & t->rights;

		if (r) {
			fill(
				(struct record){
					.pd = t->to,
					.type = t->type,
					.rights = r,
					.flags = (t->flags & MAPPING_GUEST) |
						 (m->flags & MAPPING_TYPE),
					.base = t->target + (base - t->source),
					.frame = t->type == CRD_OBJ ? m->frame
								    : m->frame + (base - m->base),
					.parent = i,
				},
				order, rights);
		}
	}
}

static bool derived(int i, int from)
{
	while (i >= 0 && i != from)
		i = model[i].parent;
	return i == from;
}

void model_drop(int i)
{
	model[i].live = false;
	while (model_end > 0 && !model[model_end - 1].live)
		model_end--;
	for (int c = 0; c < model_end; c++) {
		if (model[c].live && model[c].parent == i) {
			model[c].parent = model[i].parent;
			model[c].end = model[i].end ? model[i].end : model[i].pd;
		}
	}
}

static void reduce(int i, uint8_t rights)
{
	if (!model[i].live || model[i].flags & MAPPING_FIXED || !(model[i].rights & rights))
		return;
	model[i].rights &= (uint8_t)~rights;
	if (!model[i].rights)
		model_drop(i);
}

static void revoke_one(int m, uint8_t rights, bool self, bool keep)
{
	static bool below[MODEL_MAX];

	for (int i = 0; i < model_end; i++)
		below[i] = model[i].live && i != m && derived(i, m);
	for (int i = 0; i < model_end && !keep; i++)
		if (below[i])
			reduce(i, rights);
	if (self || keep)
		reduce(m, rights);
}

static void revoke(struct pd *pd, uint8_t type, uint64_t first, uint64_t last, uint8_t rights,
		   bool self, bool keep)
{
	int whole = type == CRD_OBJ ? -1 : model_find(pd, type, first);
	unsigned order = last == ~0ul ? 64 : (unsigned)__builtin_ctzl(last - first + 1);

	if (whole >= 0 && model[whole].order > order)
		cut_all(type, model[whole].frame + (first - model[whole].base), order);
	for (int i = 0; i < model_end; i++)
		if (overlaps(&model[i], pd, type, first, last))
			revoke_one(i, rights, self, keep);
}

void model_revoke(struct pd *pd, uint64_t crd, bool self, bool keep)
{
	uint8_t type = (uint8_t)CRD_TYPE(crd), rights = rights_of_type(type);

	if (!keep)
		rights &= (uint8_t)CRD_RIGHTS(crd);
	revoke(pd, type, CRD_BASE(crd), CRD_BASE(crd) + (1ul << CRD_ORDER(crd)) - 1, rights, self,
	       keep);
}

static const struct record *top(int i)
{
	while (model[i].parent >= 0)
		i = model[i].parent;
	return &model[i];
}

void model_clear(struct pd *pd)
{
	static bool ends[MODEL_MAX];

	for (uint8_t type = CRD_MEM; type <= CRD_OBJ; type++)
		revoke(pd, type, 0, ~0ul, rights_of_type(type), true, false);
	/* What was made in it, and derived from what is no more. */
	for (int i = 0; i < model_end; i++)
		if (model[i].live && model[i].type == CRD_OBJ && top(i)->end == pd)
			ends[i] = true;
	for (int i = 0; i < model_end; i++) {
		if (ends[i])
			reduce(i, RIGHTS_ALL);
		ends[i] = false;
	}
}

/* How large the kernel's mapping is. */
static unsigned order_at(struct pd *pd, uint8_t type, uint64_t at)
{
	return space_find(pd_space(pd, type), at)->order;
}

/* What of `crd`, where it has this frame, is in a record and the window. */
static bool translated(const struct record *r, struct pd *to, uint64_t crd, unsigned order,
		       uint64_t frame, uint64_t window, uint64_t *found)
{
	unsigned room = CRD_ORDER(window), o;
	uint64_t first = CRD_BASE(window) >> room << room, base = r->base;
	uint8_t type = (uint8_t)CRD_TYPE(crd);

	if (r->pd != to || r->flags & MAPPING_FIXED)
		return false;
	if (type != CRD_OBJ)
		base += frame - r->frame;
	o = least(order, order_at(to, type, base));
	base = base >> o << o;
	if (base >> (o > room ? o : room) != first >> (o > room ? o : room))
		return false;
	*found = CRD(type, r->rights & CRD_RIGHTS(crd) & CRD_RIGHTS(window), least(o, room),
		     o > room ? first : base);
	return true;
}

/*
 * What of the mappings at `crd` has the window, where both are cut to what they
 * have in common: of the nearest that it was derived from, or at last of itself.
 */
uint64_t model_translate(struct pd *from, uint64_t crd, struct pd *to, uint64_t window)
{
	uint8_t type = (uint8_t)CRD_TYPE(crd);
	uint64_t at = CRD_BASE(crd), frame, found = 0;
	unsigned order;
	int own;

	if (CRD_TYPE(crd) != CRD_TYPE(window) || model_find(from, type, at) < 0)
		return 0;
	order = least(CRD_ORDER(crd), order_at(from, type, at));
	at = at >> order << order;
	own = model_find(from, type, at);
	frame = model[own].frame + (at - model[own].base);
	for (int i = model[own].parent; i >= 0; i = model[i].parent)
		if (translated(&model[i], to, crd, order, frame, window, &found))
			return found;
	(void)translated(&model[own], to, crd, order, frame, window, &found);
	return found;
}

/* Is it a piece of what was split there? */
static bool is_piece_of(const struct mapping *m, const struct mapping *gone)
{
	while (m && m->flags & MAPPING_PIECE) {
		m = m->parent;
		if (m == gone)
			return true;
	}
	return false;
}

/* Past what is gone: who holds what it was derived from. */
static const struct mapping *parent_of(const struct mapping *m, uint64_t frame)
{
	const struct mapping *held, *p = m->parent;

	while (m->flags & MAPPING_PIECE) {
		m = m->parent;
		p = m->parent;
	}
	for (; p && p->pd; p = p->parent) {
		if (!(p->flags & MAPPING_GONE))
			return p;
		held = space_find(pd_space(p->pd, p->type), p->base + (frame - p->frame));
		if (is_piece_of(held, p))
			return held;
	}
	return NULL;
}

static void check_record(const struct mapping *m, const struct record *r)
{
	uint64_t offset = r->base - m->base;

	assert_ptr_equal(m->pd, r->pd);
	assert_int_equal(m->type, r->type);
	assert_true(m->base <= r->base && last_of(r) <= mapping_last(m));
	assert_int_equal(m->frame + (r->type == CRD_OBJ ? 0 : offset), r->frame);
	assert_int_equal(m->flags & MAPPING_GONE, 0);
	if (!(r->flags & MAPPING_FIXED))
		assert_int_equal(m->rights, r->rights);
	assert_int_equal(m->flags & (MAPPING_GUEST | MAPPING_TYPE | MAPPING_FIXED), r->flags);
	const struct mapping *parent = parent_of(m, r->frame);

	if (r->parent < 0) {
		assert_null(parent);
		return;
	}
	const struct record *p = &model[r->parent];

	assert_non_null(parent);
	assert_ptr_equal(parent->pd, p->pd);
	assert_int_equal(parent->type, p->type);
	assert_true(parent->base <= p->base);
	assert_true(last_of(p) <= mapping_last(parent));
	assert_true(p->order >= r->order);
}

static void check_children(const struct mapping *m)
{
	for (const struct mapping *c = m->child, *before = NULL; c; before = c, c = c->next) {
		assert_ptr_equal(c->parent, m);
		assert_ptr_equal(c->prev, before);
		assert_true(c->frame >= m->frame && c->order <= m->order);
	}
}

static void check_space(struct pd *pd, uint8_t type)
{
	const struct mapping *m;
	uint64_t held = 0, expected = 0;

	for (uint64_t at = 0; (m = find_next(pd_space(pd, type), at, ~0ul));
	     at = mapping_last(m) + 1) {
		check_children(m);
		held += 1ul << m->order;
	}
	for (int i = 0; i < model_end; i++) {
		const struct record *r = &model[i];

		if (overlaps(r, pd, type, 0, ~0ul)) {
			m = space_find(pd_space(pd, type), r->base);
			assert_non_null(m);
			check_record(m, r);
			expected += 1ul << r->order;
		}
	}
	assert_int_equal(held, expected);
}

void check_spaces(struct pd *pd)
{
	for (uint8_t type = CRD_MEM; type <= CRD_OBJ; type++)
		check_space(pd, type);
}

/* A leaf says what the mapping says that has its page. */
static void check_leaf(struct pd *pd, const struct tree *t, uint64_t entry, uint64_t page,
		       unsigned level)
{
	const struct ptab_format *f = t->format;
	const struct mapping *m = space_find(&pd->mem, page);
	uint64_t frame = (entry & 0x000ffffffffff000ul) >> PAGE_BITS;
	uint64_t bits = entry & ~0x000ffffffffff000ul;
	unsigned rights;

	assert_non_null(m);
	assert_true(m->flags & 1u << (t - pd->tables));
	assert_int_equal(frame, m->frame + (page - m->base));
	assert_true(page + (1ul << 9 * level) <= m->base + (1ul << m->order));
	rights = m->flags & MAPPING_FIXED ? MEM_W : m->rights;
	assert_int_equal(bits, f->page | f->r | (level ? f->large : 0) |
				       f->type[(m->flags & MAPPING_TYPE) >> MAPPING_TYPE_SHIFT] |
				       (rights & MEM_W ? f->w : 0) |
				       (rights & MEM_X ? f->x : f->no_x));
}

/* How many pages the leaves below a table map; only the user's half. */
static uint64_t check_table(struct pd *pd, const struct tree *t, const uint64_t *table,
			    uint64_t page, unsigned level)
{
	uint64_t mapped = 0;

	for (unsigned i = 0; i < (level == 3 ? 256 : 512); i++) {
		uint64_t e = table[i], at = page + (i * 1ul << 9 * level);

		if (!(e & t->format->present)) {
			assert_int_equal(e, 0);
		} else if (level == 0 || e & t->format->large) {
			check_leaf(pd, t, e, at, level);
			mapped += 1ul << 9 * level;
		} else {
			mapped += check_table(pd, t, phys_to_pool(e & ~PAGE_MASK), at, level - 1);
		}
	}
	return mapped;
}

static void check_ptab(struct pd *pd, enum ptab_kind kind)
{
	const struct tree *t = &pd->tables[kind];
	const struct mapping *m;
	uint64_t expected = 0;

	for (uint64_t at = 0; (m = find_next(&pd->mem, at, ~0ul)); at = m->base + (1ul << m->order))
		if (m->flags & 1u << kind && (m->rights || m->flags & MAPPING_FIXED))
			expected += 1ul << m->order;
	assert_int_equal(t->root ? check_table(pd, t, t->root, 0, 3) : 0, expected);
}

static bool allowed(const uint8_t *bitmap, uint64_t port)
{
	return bitmap && !(bitmap[port / 8] & 1 << port % 8);
}

static void check_ports(struct pd *pd)
{
	for (uint64_t port = 0; port < PORTS; port++) {
		const struct mapping *m = space_find(&pd->pio, port);

		assert_int_equal(allowed(pd->io_bitmap, port), m != NULL);
		assert_int_equal(allowed(pd->guest_io, port), m && m->flags & MAPPING_GUEST);
	}
}

void check_tables(struct pd *pd)
{
	for (unsigned i = 0; i < PTABS; i++)
		if (pd->tables[i].format)
			check_ptab(pd, i);
	if (rnd(50) == 0)
		check_ports(pd);
}
