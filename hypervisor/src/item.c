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

enum { ORDER_FAULT = 31 }; /* pages of the window of an event's reply */

enum { ITEM_WHAT = 0xfff }; /* of an item's second word: all but hotspot */

struct item {
	uint64_t crd;
	uint64_t how;
};

/* Where a sender was interrupted: a page that its PD pays for. */
struct progress {
	struct pd *made; /* by create_pd; it has no capability */
	uint64_t done;	 /* of the item */
	uint32_t item;
	uint8_t got;
	struct item told[UTCB_WORDS / 2]; /* to the receiver, before it */
};

static_assert(sizeof(struct progress) <= PAGE_SIZE);

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

uint64_t items_fault_window(uint64_t address)
{
	return CRD(CRD_MEM, RIGHTS_ALL, ORDER_FAULT,
		   address >> PAGE_BITS >> ORDER_FAULT << ORDER_FAULT);
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
	if (unlikely(t->type == CRD_PIO)) {
		t->source = t->target = sent <= room ? from : to;
		return ((from ^ to) & ~(sent_low | room_low)) == 0;
	}
	return true;
}

/* User addresses, ports and selectors; but any frame from the kernel. */
static inline bool fits(const struct transfer *t)
{
	static const uint64_t limits[] = {
		[CRD_NULL] = 0,
		[CRD_MEM] = USER_END >> PAGE_BITS,
		[CRD_PIO] = PORTS,
		[CRD_OBJ] = SELECTORS,
	};
	uint64_t last = low(t->order), limit = limits[t->type];
	uint64_t frames = t->kernel ? 1ul << (52 - PAGE_BITS) : limit;

	return t->target + last < limit && t->source + last < frames;
}

static inline enum status delegate(struct transfer *t, struct item item, uint64_t window,
				   const struct pd *sender)
{
	t->type = (uint8_t)CRD_TYPE(item.crd);
	t->kernel = item.how & ITEM_KERNEL && sender == pd_root;
	if (t->type == CRD_NULL || t->type != CRD_TYPE(window))
		return SUCCESS;
	if (likely(!(CRD_ORDER(item.crd) | CRD_ORDER(window)))) {
		t->order = 0;
		t->source = CRD_BASE(item.crd);
		t->target = CRD_BASE(window);
		if (t->type == CRD_PIO && t->source != t->target)
			return SUCCESS;
	} else if (!cut(t, item.crd, window, item.how >> PAGE_BITS)) {
		return SUCCESS;
	}
	if (!fits(t))
		return SUCCESS;
	t->rights = (uint8_t)(CRD_RIGHTS(item.crd) & CRD_RIGHTS(window));
	t->flags = (item.how & ITEM_DMA ? MAPPING_DMA : 0u) |
		   (item.how & ITEM_GUEST ? MAPPING_GUEST : 0u) |
		   (item.how & ITEM_WC ? MAPPING_COMBINE : 0u);
	return likely(!t->order && !t->kernel) ? mapping_delegate_one(t) : mapping_delegate(t);
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

/* When the call is made again, what was told is told again. */
static enum status pause(struct ec *self, const struct transfer *t, const struct utcb *receiver,
			 unsigned n, enum status s)
{
	struct progress *p = self->progress;

	tlb_shootdown();
	if (!p) {
		p = page_alloc(self->pd, 0, false);
		if (!p)
			return OUT_OF_MEMORY;
		p->made = NULL;
		self->progress = p;
	}
	p->done = t->done;
	p->got = t->got;
	p->item = n;
	for (unsigned i = 0; receiver && i < n; i++)
		p->told[i] = read(receiver, i);
	return s;
}

static unsigned resume(struct ec *self, struct transfer *t, struct utcb *receiver)
{
	const struct progress *p = self->progress;

	for (unsigned i = 0; receiver && i < p->item; i++)
		write(receiver, i, &p->told[i]);
	t->done = p->done;
	t->got = p->got;
	return p->item;
}

void items_drop(struct ec *self)
{
	struct progress *p = self->progress;

	if (p->made)
		object_abandon(&p->made->object);
	page_free(self->pd, p, 0);
	self->progress = NULL;
}

enum status items_send(struct ec *self, struct pd *from, struct pd *to, struct utcb *receiver,
		       uint64_t window, uint64_t items)
{
	struct transfer t;
	unsigned n = typed(items), i = 0;
	enum status s = SUCCESS;

	t.from = from;
	t.to = to;
	t.left = TRANSFER_STEPS;
	t.done = 0;
	t.got = 0;
	if (unlikely(self->progress))
		i = resume(self, &t, receiver);
	for (; i < n; i++) {
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
			return pause(self, &t, receiver, i, s);
		t.done = 0;
		t.got = 0;
		if (unlikely(t.left <= 0 && i + 1 < n))
			return pause(self, &t, receiver, i + 1, AGAIN);
	}
	tlb_shootdown();
	if (unlikely(self->progress))
		items_drop(self);
	return SUCCESS;
}

struct pd *items_made(const struct ec *self)
{
	return self->progress ? self->progress->made : NULL;
}

enum status items_hand_over(struct ec *self, struct pd *to, uint64_t crd)
{
	struct transfer t = {
		.from = self->pd,
		.to = to,
		.left = TRANSFER_STEPS,
	};
	const uint64_t window = CRD(CRD_OBJ, RIGHTS_ALL, SELECTOR_BITS, 0);
	enum status s;

	if (self->progress)
		(void)resume(self, &t, NULL);
	s = delegate(&t, (struct item){.crd = crd}, window, self->pd);
	if (s == AGAIN)
		s = pause(self, &t, NULL, 0, s);
	if (self->progress)
		self->progress->made = s == AGAIN ? to : NULL;
	return s;
}
