/*
 * Typed items: cut to size at the hotspot, then given to the mapping database.
 * A UTCB is memory that its program may change meanwhile: each word is read
 * once.
 */
#include "item.h"

#include <abi/hip.h>

#include "ec.h"
#include "pd.h"
#include "tlb.h"
#include "x86/hip.h"

enum {
	STEPS_PIECE = 16, /* that one mapping more counts for */
};

enum { ITEM_WHAT = 0xfff }; /* of an item's second word: all but hotspot */

struct item {
	uint64_t crd;
	uint64_t how;
};

/* Where a sender was interrupted: a page that its PD pays for. */
struct progress {
	struct pd *to;			      /* a reference */
	const struct utcb *receiver;	      /* or NULL */
	uint64_t done, lost;		      /* of the transfer */
	uint32_t item;			      /* the next */
	uint8_t got;			      /* of it */
	bool made;			      /* `to` is new, and has no capability */
	struct item told[UTCB_WORDS / 2 - 1]; /* to the receiver, before it */
};

static_assert(sizeof(struct progress) <= PAGE_SIZE);

/* The largest block at `at` that does not go beyond `end`. */
static unsigned order_at(struct transfer *t, uint64_t at, uint64_t end)
{
	unsigned order = 63 - (unsigned)__builtin_clzl(end - at);
	unsigned max = (unsigned)__builtin_ctzl(at | 1ul << 63);

	order = order < max ? order : max;
	if (unlikely(order > TABLE_BITS && t->type == CRD_MEM)) {
		max = ptab_order_max(t->to, MAPPING_HOST | t->flags);
		order = order < max ? order : max;
		t->left -= TABLE_ENTRIES; /* so many, if there are no larger ones */
	}
	return order;
}

/* Memory and ports that the kernel gives to root: the rights, and the type. */
[[gnu::noinline]] static uint8_t take_from_kernel(const struct transfer *t, uint32_t *flags)
{
	uint64_t phys = t->source << PAGE_BITS;
	uint8_t rights = t->rights & (MEM_R | MEM_W | MEM_X);

	if (t->type == CRD_PIO)
		return t->rights & PIO_ACCESS;
	if (t->flags & MAPPING_COMBINE)
		*flags |= MEMORY_COMBINING << MAPPING_TYPE_SHIFT;
	else if (!hip_has(HIP_MEM_AVAILABLE, phys, 1))
		*flags |= MEMORY_UNCACHED << MAPPING_TYPE_SHIFT;
	return hip_has(HIP_MEM_KERNEL, phys, PAGE_SIZE << t->order) ? 0 : rights;
}

/* A mapping more, of 2^order from `done` on, where there is room: at `e`, if that is known. */
[[gnu::always_inline]] static inline enum status derive(struct transfer *t, struct mapping *parent,
							uint8_t rights, uint32_t attributes,
							unsigned order, uint64_t *e)
{
	enum crd_type type = t->type;
	struct mapping *m = slab_alloc(t->to, SLAB_MAPPING);
	enum status s;

	if (unlikely(!m))
		return OUT_OF_MEMORY;
	m->parent = parent;
	m->frame = parent->frame + (type == CRD_OBJ ? 0 : t->source + t->done - parent->base);
	m->object_type = parent->object_type;
	m->base = t->target + t->done;
	m->pd = t->to;
	m->type = (uint8_t)type;
	m->rights = rights;
	m->order = (uint8_t)order;
	m->flags = (t->flags & MAPPING_OTHERS) | MAPPING_HOST | attributes |
		   (parent->flags & MAPPING_TYPE);
	s = mapping_settle(pd_space(t->to, type), e, m, type, rights);
	if (likely(s == SUCCESS)) {
		t->got = rights;
		t->done += 1ul << order;
	}
	return s;
}

/* What the source has next of the range, or NULL; where that is and, if before `end`, ends. */
static struct mapping *next_source(struct transfer *t, uint64_t *end)
{
	struct tree *from = pd_space(t->kernel ? &pd_kernel : t->from, t->type);
	uint64_t key = t->source + t->done;
	struct mapping *m = space_find(from, key);

	if (!m)
		m = space_next(from, &key, t->source + *end - 1);
	t->done = key - t->source;
	if (m && mapping_last(m) - t->source < *end)
		*end = mapping_last(m) - t->source + 1;
	return m;
}

/*
 * The largest block that the source has, and the target has room for, of what comes
 * next; or past what the one has not, or the other has already.
 */
static enum status transfer(struct transfer *t)
{
	struct mapping *parent = &mapping_kernel, *m;
	uint64_t end = 1ul << t->order, base, free;
	uint32_t attributes = 0;
	uint8_t rights = 0;
	unsigned order;

	if (t->kernel && t->type != CRD_OBJ) {
		rights = take_from_kernel(t, &attributes);
	} else {
		parent = next_source(t, &end);
		if (!parent) {
			/* Not looked at all: it goes on after a while. */
			t->left -= t->done < end ? TRANSFER_STEPS : 0;
			return SUCCESS;
		}
		rights = parent->rights & t->rights;
	}
	if (!rights) {
		t->done = end;
		return SUCCESS;
	}
	free = base = t->target + t->done;
	order = order_at(t, t->done, end);
	m = space_next(pd_space(t->to, t->type), &free, base + (1ul << order) - 1);
	if (free == base) {
		t->done = mapping_last(m) + 1 - t->target;
		return SUCCESS;
	}
	order = 63 - (unsigned)__builtin_clzl(free - base);
	/* Its leaves, for which tables are made; but few if they are large themselves. */
	t->left -= 2 << order & (2 * TABLE_ENTRIES - 1);
	return derive(t, parent, rights, attributes, order, NULL);
}

/* The same for a range of one, which is not the kernel's. */
[[gnu::always_inline]] static inline enum status transfer_one(struct transfer *t)
{
	struct tree *to = pd_space(t->to, t->type);
	struct mapping *parent = space_find(pd_space(t->from, t->type), t->source);
	uint64_t *e = tree_near(to, t->target), at = t->target;
	uint8_t rights = likely(parent) ? parent->rights & t->rights : 0;

	t->done = 0;
	if (unlikely(!rights || (e ? *e : (uint64_t)space_next(to, &at, at)))) {
		t->done = 1;
		return SUCCESS;
	}
	return derive(t, parent, rights, 0, 0, e);
}

enum status mapping_delegate(struct transfer *t)
{
	enum status s = SUCCESS;

	guard(&mdb_lock);
	while (!t->to->object.dying && s == SUCCESS && !(t->done >> t->order)) {
		s = transfer(t);
		t->left -= STEPS_PIECE;
		if (t->left < 0 && !(t->done >> t->order) && s == SUCCESS)
			s = AGAIN;
	}
	return s;
}

[[gnu::always_inline]] static inline enum status delegate_one(struct transfer *t)
{
	t->left -= STEPS_PIECE;
	guard(&mdb_lock);
	return likely(!t->to->object.dying) ? transfer_one(t) : SUCCESS;
}

static struct item read(const struct utcb *u, unsigned i)
{
	const volatile uint64_t *w = &u->word[utcb_item_word(i)];

	return (struct item){w[0], w[1]};
}

static void write(struct utcb *u, unsigned i, const struct item *item)
{
	u->word[utcb_item_word(i)] = item->crd;
	u->word[utcb_item_word(i) + 1] = item->how;
}

static uint64_t untyped(uint64_t items)
{
	uint64_t n = items & 0xffff;

	return n < UTCB_WORDS ? n : UTCB_WORDS;
}

static unsigned typed(uint64_t items)
{
	uint64_t n = items >> 16 & 0xffff;
	uint64_t room = (UTCB_WORDS - untyped(items)) / 2;

	return (unsigned)(n < room ? n : room);
}

uint64_t items_header(uint64_t items)
{
	return UTCB_ITEMS(untyped(items), typed(items));
}

static inline uint64_t low(unsigned order)
{
	return (1ul << order) - 1;
}

/* False: what is sent and the window have nothing in common. */
static bool cut(struct transfer *t, uint64_t crd, uint64_t window, uint64_t hotspot)
{
	unsigned sent = CRD_ORDER(crd), room = CRD_ORDER(window);
	uint64_t sent_low = low(sent), room_low = low(room);
	uint64_t from = CRD_BASE(crd) & ~sent_low;
	uint64_t to = CRD_BASE(window) & ~room_low;

	if (sent <= room) {
		t->order = (uint8_t)sent;
		t->source = from;
		t->target = to | (hotspot & room_low & ~sent_low);
	} else {
		t->order = (uint8_t)room;
		t->source = from | (hotspot & sent_low & ~room_low);
		t->target = to;
	}
	if (unlikely(t->type == CRD_PIO))
		t->source = t->target = CRD_BASE(mapping_common(crd, window));
	return t->type != CRD_PIO || mapping_common(crd, window);
}

/* By type: none, user addresses, ports and selectors. */
static const uint64_t limits[] = {0, USER_END >> PAGE_BITS, PORTS, SELECTORS};

[[gnu::always_inline]] static inline enum status delegate(struct transfer *t, struct item item,
							  uint64_t window, const struct pd *sender)
{
	unsigned type = CRD_TYPE(item.crd);
	bool kernel = item.how & ITEM_KERNEL && sender == pd_root;
	uint64_t limit = limits[type], frames = kernel ? 1ul << (52 - PAGE_BITS) : limit;

	if (type == CRD_NULL || type != CRD_TYPE(window))
		return SUCCESS;
	t->type = (uint8_t)type;
	t->rights = (uint8_t)(CRD_RIGHTS(item.crd & window));
	t->flags = item.how >> ITEM_FLAGS & (MAPPING_DMA | MAPPING_GUEST | MAPPING_COMBINE);
	t->kernel = kernel;
	t->order = 0;
	t->source = CRD_BASE(item.crd);
	t->target = CRD_BASE(window);
	if (likely(!CRD_ORDER(item.crd | window))) {
		if (type == CRD_PIO && t->source != t->target)
			return SUCCESS;
	} else if (!cut(t, item.crd, window, item.how >> PAGE_BITS)) {
		return SUCCESS;
	}
	if (t->target + low(t->order) >= limit || t->source + low(t->order) >= frames)
		return SUCCESS;
	return likely(!t->order && !kernel) ? delegate_one(t) : mapping_delegate(t);
}

/* As the receiver is told. */
static struct item told(const struct transfer *t, struct item item, uint64_t found)
{
	item.how &= ITEM_WHAT;
	item.crd = found;
	if (t->got) {
		/* It learns which of the two it was. */
		item.how |= ITEM_DELEGATE;
		item.crd = CRD(t->type, t->got, t->order, t->target);
	}
	return item;
}

/* There is no memory to go on with item `n` later. Of a reply, which must end, that was all. */
static enum status give_up(const struct ec *self, struct transfer *t, struct utcb *receiver,
			   unsigned n, unsigned end)
{
	if (self->retry.left != RETRY_NO_MORE)
		return OUT_OF_MEMORY;
	for (; receiver && n < end; t->got = 0) {
		struct item item = told(t, read(self->utcb, n), 0);

		write(receiver, n++, &item);
	}
	return SUCCESS;
}

/* When the call is made again, what was told is told again. */
static enum status pause(struct ec *self, struct transfer *t, struct utcb *receiver, unsigned n,
			 unsigned end, enum status s)
{
	struct progress *p = self->progress;

	tlb_shootdown();
	if (!p) {
		p = page_alloc(self->pd, 0, true);
		if (!p)
			return give_up(self, t, receiver, n, end);
		object_get(&t->to->object);
		p->to = t->to;
		p->receiver = receiver;
		self->progress = p;
	}
	p->done = t->done;
	p->lost = t->lost;
	p->got = t->got;
	p->item = n;
	for (unsigned i = 0; receiver && i < n; i++)
		p->told[i] = read(receiver, i);
	return s;
}

/*
 * Another receiver is told nothing of all that: it begins anew. What was translated may mean
 * something else to the same, if one of the two has lost something since.
 */
static unsigned resume(struct ec *self, struct transfer *t, struct utcb *receiver)
{
	const struct progress *p = self->progress;
	bool same = p->lost == 1 + t->from->lost + t->to->lost;

	if (unlikely(p->to != t->to || p->receiver != receiver)) {
		items_drop(self);
		return 0;
	}
	t->lost = same ? p->lost : 0;
	for (unsigned i = 0; receiver && i < p->item; i++) {
		struct item item = p->told[i];

		if (unlikely(!same && !(item.how & ITEM_DELEGATE)))
			item.crd = mapping_translate(t, t->left > 0 ? read(self->utcb, i).crd : 0,
						     receiver->translate);
		write(receiver, i, &item);
	}
	t->done = p->done;
	t->got = p->got;
	return p->item;
}

void items_drop(struct ec *self)
{
	struct progress *p = self->progress;

	if (p->made)
		object_abandon(&p->to->object);
	object_put(&p->to->object);
	page_free(self->pd, p, 0);
	self->progress = NULL;
}

enum status items_send(struct ec *self, struct pd *from, struct pd *to, struct utcb *receiver,
		       uint64_t window, uint64_t items)
{
	struct transfer t = {.from = from, .to = to, .left = TRANSFER_STEPS};
	unsigned n = typed(items), i = 0;
	enum status s = SUCCESS;

	if (unlikely(self->progress))
		i = resume(self, &t, receiver);
	while (i < n) {
		struct item item = read(self->utcb, i);
		unsigned kind = receiver ? item.how & ITEM_KIND_MASK : ITEM_DELEGATE;
		uint64_t found = 0;

		if (receiver)
			window = receiver->delegate;
		if (unlikely(kind != ITEM_DELEGATE))
			found = mapping_translate(&t, item.crd, receiver->translate);
		s = found || kind == ITEM_TRANSLATE ? SUCCESS
						    : delegate(&t, item, window, self->pd);
		if (receiver) {
			item = told(&t, item, found);
			write(receiver, i, &item);
		}
		if (unlikely(s == AGAIN || (s != SUCCESS && !(items & ITEMS_ALL))))
			return pause(self, &t, receiver, i, n, s);
		if (likely(++i == n))
			break;
		t.done = 0;
		t.got = 0;
		if (unlikely(t.left <= 0))
			return pause(self, &t, receiver, i, n, AGAIN);
	}
	tlb_shootdown();
	if (unlikely(self->progress))
		items_drop(self);
	return SUCCESS;
}

struct pd *items_made(const struct ec *self)
{
	return self->progress && self->progress->made ? self->progress->to : NULL;
}

enum status items_hand_over(struct ec *self, struct pd *to, uint64_t crd, uint64_t window)
{
	struct transfer t = {.from = self->pd, .to = to, .left = TRANSFER_STEPS};
	enum status s;

	if (self->progress)
		(void)resume(self, &t, NULL);
	s = delegate(&t, (struct item){.crd = crd}, window, self->pd);
	if (s == AGAIN)
		s = pause(self, &t, NULL, 0, 0, s);
	if (self->progress) {
		self->progress->made = s == AGAIN;
		if (s != AGAIN)
			items_drop(self);
	}
	return s;
}
