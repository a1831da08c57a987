/*
 * Revocation.
 *
 * What was derived is walked from the top down, and back up: on the way down
 * rights are taken, so that nothing more can be derived with them; on the way
 * up what is gone and has nothing below it is freed. After a bounded number of
 * steps interrupts are looked for; then a cursor stays in the tree, in the list
 * of children before the mapping that comes next. What is above it cannot be
 * freed, and what becomes its sibling before it was derived later.
 *
 * Where only a part of a mapping is meant, the mapping is split: it is gone,
 * and pieces of it, one of them that part, are derived from it, in the same PD.
 * All that was derived from it stays where it is, and who holds a piece can
 * revoke it there.
 */

#include "log.h"
#include "pd.h"
#include "tlb.h"
#include "x86/irq.h"

enum {
	STEPS = 512,	 /* between two looks for interrupts */
	STEPS_FREE = 4,	 /* that the end of one that is gone counts for */
	STEPS_TAKE = 16, /* that taking rights away counts for; see below */
	STEPS_ORDER = 12,
	STEPS_MUCH = 240, /* a search for what comes next */
};

/* More where there are large leaves, or many. */
static inline int steps_of(unsigned order)
{
	if (likely(!order))
		return STEPS_TAKE;
	return STEPS_TAKE + (int)order * STEPS_ORDER + (1 << order % TABLE_BITS) / 2;
}

/* Gone, with nothing derived any more, and nobody there to free them. */
static struct mapping *orphans;

static bool ends(const struct mapping *m)
{
	return (m->flags & (MAPPING_GONE | MAPPING_ORPHAN)) == MAPPING_GONE && !m->child;
}

static void orphan(struct mapping *m)
{
	if (ends(m)) {
		m->flags |= MAPPING_ORPHAN;
		m->base = (uint64_t)orphans;
		orphans = m;
	}
}

/* It ends, and what it was derived from if that was only there for it. */
static void end(struct mapping *m)
{
	struct mapping *parent = m->parent;

	if (ends(m)) {
		mapping_release(m);
		orphan(parent);
	}
}

static void free_orphans(int *left)
{
	struct mapping *m;

	for (; (m = orphans) && *left > 0; *left -= STEPS_FREE) {
		orphans = (struct mapping *)m->base;
		m->flags &= ~(uint32_t)MAPPING_ORPHAN;
		end(m);
	}
}

/* It is in a tree of its PD: its space; with rights the page tables that it was delegated for. */
static bool is_in(const struct mapping *m, unsigned tree)
{
	if (tree < CRD_OBJ)
		return &m->pd->trees[tree] == pd_space(m->pd, m->type);
	return m->type == CRD_MEM && m->rights && m->flags >> (tree - CRD_OBJ) & 1 &&
	       m->pd->trees[tree].format;
}

/*
 * A piece becomes its half that has the frame; the other is a piece as well. Where
 * halves stand at a lower level than the whole, tables are made of its leaves.
 * False: no memory for that, nothing was changed.
 */
static bool halve(struct mapping *m, uint64_t frame)
{
	uint64_t *made[TREES] = {NULL}, size = 1ul << (m->order - 1);
	struct mapping *other = slab_alloc(m->pd, SLAB_MAPPING);
	bool enough = other;

	for (unsigned i = 0; i < TREES; i++) {
		const struct tree *t = &m->pd->trees[i];

		if (is_in(m, i) && tree_level(t, m->order) > tree_level(t, m->order - 1u)) {
			made[i] = enough ? page_alloc(m->pd, 0, false) : NULL;
			enough = made[i];
		}
	}
	for (unsigned i = 0; i < TREES; i++) {
		struct tree *t = &m->pd->trees[i];

		if (made[i] && enough)
			tree_split(t, m->base, tree_level(t, m->order), made[i],
				   i < CRD_OBJ ? 0 : PAGE_SIZE);
		else if (made[i])
			page_free(m->pd, made[i], 0);
	}
	if (!enough) {
		if (other)
			slab_free(other);
		return false;
	}
	m->order--;
	*other = *m;
	if (frame - m->frame >= size) {
		m->base += size;
		m->frame += size;
	} else {
		other->base += size;
		other->frame += size;
	}
	mapping_link(m->parent, other);
	return tree_set(pd_space(m->pd, m->type), m->pd, other->base, other->order, (uint64_t)other,
			0) == SUCCESS;
}

/*
 * So that a piece has just the 2^order frames that `frame` is in; or more, for want of memory or
 * since that is enough at once: then the piece is to be split. False: nothing was changed.
 */
static bool split(struct mapping *m, uint64_t frame, unsigned order)
{
	struct mapping *piece = slab_alloc(m->pd, SLAB_MAPPING);

	if (!piece)
		return false;
	*piece = *m;
	piece->parent = m;
	piece->flags = (m->flags & (MAPPING_TABLES | MAPPING_TYPE)) | MAPPING_PIECE;
	if (!halve(piece, frame)) {
		slab_free(piece);
		return false;
	}
	/* Where tables are made, no more than that. */
	while (piece->order > order && piece->order % TABLE_BITS &&
	       (piece->order + 1) % TABLE_BITS && halve(piece, frame)) {
	}
	mapping_link(m, piece);
	(void)!tree_set(pd_space(m->pd, m->type), m->pd, piece->base, piece->order, (uint64_t)piece,
			0);
	m->rights = 0;
	m->flags |= MAPPING_GONE | MAPPING_HELD;
	object_get(&m->pd->object);
	return true;
}

/*
 * Rights are taken from what a range itself has before what was derived from it
 * is looked at; but it stays in its place to the end, so that whoever was
 * interrupted and begins anew finds it. Without rights it is of no use there.
 */
static void strip(struct mapping *m, unsigned rights)
{
	m->pd->lost++;
	m->rights &= (uint8_t)~rights;
	if (!m->rights)
		m->object_type = OBJECT_NONE;
	/* Fewer rights in place: nothing is allocated. */
	if (m->type != CRD_OBJ)
		(void)!mapping_apply(m, m->rights);
	if (m->type == CRD_MEM)
		tlb_stale(m->pd, m->flags & MAPPING_TABLES);
}

static bool has_none(const struct mapping *m)
{
	return !m->rights && !(m->flags & (MAPPING_FIXED | MAPPING_GONE));
}

static void take_away(struct mapping *m, unsigned rights)
{
	if (!(m->rights & ~rights) && !(m->flags & MAPPING_FIXED))
		mapping_leave(m);
	else if (m->rights & rights)
		strip(m, rights);
}

static bool overlap(const struct mapping *m, const struct mapping *c)
{
	unsigned order = m->order > c->order ? m->order : c->order;

	return m->type != CRD_NULL && !((m->frame ^ c->frame) >> order);
}

static void take(struct revocation *r, struct mapping *m, int *left)
{
	const struct mapping *c = &r->cursor;

	if (m == r->spared || (!(m->rights & c->rights) && !has_none(m)))
		return;
	*left -= steps_of(m->order);
	/* The part comes next, as a child. Of a range that cannot be split all goes. */
	if (unlikely(m->order > c->order) && split(m, c->frame, c->order))
		*left = 0;
	else
		take_away(m, c->rights);
}

/* The cursor into the tree: `m` comes next, or is left upwards. */
static void stop(struct revocation *r, struct mapping *m, bool up)
{
	struct mapping *c = &r->cursor;

	r->up = up;
	c->parent = up ? m : m->parent;
	c->child = NULL;
	c->next = up ? m->child : m;
	c->prev = c->next ? c->next->prev : NULL;
	if (c->next)
		c->next->prev = c;
	if (c->prev)
		c->prev->next = c;
	else
		c->parent->child = c;
}

/* From a mapping on. False: that were enough steps. */
static bool walk(struct revocation *r, struct mapping *m, bool up, int *left)
{
	for (;;) {
		up = up || !overlap(m, &r->cursor);
		if (!up) {
			take(r, m, left);
			up = !m->child;
			m = up ? m : m->child;
		}
		if (up) {
			struct mapping *next = m->next, *parent = m->parent;

			if (m == r->top) {
				end(m);
				return true;
			}
			if (ends(m))
				mapping_release(m);
			up = !next;
			m = next ? next : parent;
		}
		if (--*left <= 0) {
			stop(r, m, up);
			return false;
		}
	}
}

/* From where it stopped. */
static bool walk_on(struct revocation *r, int *left)
{
	struct mapping *next = r->cursor.next, *parent = r->cursor.parent;
	bool up = r->up || !next;

	mapping_unlink(&r->cursor);
	r->cursor.parent = NULL;
	/* A piece may have gone meanwhile, and another mapping be where it was. */
	if (r->spared && r->spared != r->top)
		r->spared = mapping_piece(r->top, r->cursor.frame);
	return walk(r, up ? parent : next, up, left);
}

/* Done with what was derived from a part of the range. */
static bool finish(const struct revocation *r, struct tree *space)
{
	struct mapping *m = space_find(space, r->own);

	if (m && has_none(m)) {
		mapping_leave(m);
		end(m);
	}
	return true;
}

/* At what is derived from `top` and has any of 2^order frames, but for one mapping. */
static void aim(struct revocation *r, struct mapping *top, const struct mapping *spared,
		uint64_t frame, unsigned order, unsigned rights)
{
	struct mapping *c = &r->cursor;

	c->frame = frame;
	c->order = (uint8_t)order;
	c->rights = (uint8_t)rights;
	r->top = top;
	r->spared = spared;
}

/* A mapping in the range. */
static bool begin(struct revocation *r, struct tree *space, struct mapping *m, uint64_t crd,
		  bool self, bool keep, int *left)
{
	bool part = CRD_ORDER(crd) < m->order;
	uint64_t frame = m->frame + (part ? CRD_BASE(crd) - m->base : 0);
	unsigned rights = keep ? RIGHTS_ALL : CRD_RIGHTS(crd);
	unsigned order = part ? CRD_ORDER(crd) : m->order;
	struct mapping *top;

	r->key = mapping_last(m) + 1;
	*left -= steps_of(m->order);
	if (!rights)
		return true;
	if (unlikely(part) && (self || keep) && split(m, frame, order)) {
		/* On from there with the piece. */
		r->key = CRD_BASE(crd);
		*left = 0;
		return true;
	}
	for (top = m; top->flags & MAPPING_PIECE;)
		top = top->parent;
	if (keep || !top->child) {
		if (self || keep) {
			take_away(m, rights);
			end(m);
		}
		return true;
	}
	if (self)
		strip(m, rights);
	r->own = m->base;
	aim(r, top, m, frame, order, rights);
	return walk(r, top, false, left) && finish(r, space);
}

/* A bounded part of it. True: done. */
static bool revoke_some(struct revocation *r, struct pd *pd, uint64_t crd, uint64_t last, bool self,
			bool keep)
{
	struct tree *space = pd_space(pd, CRD_TYPE(crd));
	struct mapping *m;
	int left = STEPS;

	guard(&mdb_lock);
	bool done = !r->cursor.parent || (walk_on(r, &left) && finish(r, space));

	while (done && r->key <= last) {
		m = space_find(space, r->key);
		if (!m) {
			m = space_next(space, &r->key, last);
			left -= STEPS_MUCH;
		}
		done = m ? begin(r, space, m, crd, self, keep, &left) : r->key > last;
		done = done && left > 0;
	}
	/*
	 * Objects made in it that it keeps no more: two PDs may have nobody but each other. Nobody
	 * else's cursor is to be there, for which the PD would not stay.
	 */
	if (done && r == &pd->revocation && pd->clearing == CRD_OBJ && pd->made.child) {
		aim(r, &pd->made, NULL, pd->made.child->frame, 63, RIGHTS_ALL);
		done = walk(r, pd->made.child, false, &left);
	}
	if (unlikely(orphans))
		free_orphans(&left);
	return done && !orphans;
}

static bool revoke_range(struct revocation *r, struct pd *pd, uint64_t crd, uint64_t last,
			 bool self, bool keep)
{
	if (!r->active) {
		if (CRD_BASE(crd) >> pd_space(pd, CRD_TYPE(crd))->levels * TABLE_BITS)
			return true;
		r->active = true;
		r->key = CRD_BASE(crd);
	}
	while (!revoke_some(r, pd, crd, last, self, keep)) {
		/* Who is killed or recalled meanwhile drops it. */
		if (irq_poll() || !r->active)
			return false;
	}
	r->key = last + 1;
	return true;
}

bool mapping_revoke(struct revocation *r, struct pd *pd, uint64_t crd, bool self, bool keep)
{
	uint64_t size = 1ul << CRD_ORDER(crd);
	bool done = true;

	crd &= ~((size - 1) << 12);
	this_cpu()->dying = &r->dying;
	if (CRD_TYPE(crd) != CRD_NULL)
		done = revoke_range(r, pd, crd, CRD_BASE(crd) + size - 1, self, keep);
	tlb_shootdown();
	if (unlikely(r->dying.first))
		done = object_reap() && done;
	if (done)
		r->active = false;
	else if (!r->active)
		object_leave(&r->dying); /* dropped meanwhile */
	return done;
}

void mapping_revoke_drop(struct revocation *r)
{
	guard(&mdb_lock);
	struct mapping *parent = r->cursor.parent;

	if (parent) {
		mapping_unlink(&r->cursor);
		r->cursor.parent = NULL;
		orphan(parent);
	}
	object_leave(&r->dying);
	r->active = false;
}

bool mapping_clear(struct pd *pd)
{
	struct revocation *r = &pd->revocation;
	bool done = true;

	for (; done && pd->clearing <= CRD_OBJ; pd->clearing += done) {
		struct tree *s = pd_space(pd, pd->clearing);
		uint64_t size = 1ul << s->levels * TABLE_BITS;
		uint64_t crd = CRD(pd->clearing, RIGHTS_ALL, 31, 0);

		done = revoke_range(r, pd, crd, size - 1, true, false);
		r->active = r->active && !done;
	}
	tlb_shootdown();
	if (done)
		pd->clearing = CRD_MEM;
	return done;
}
