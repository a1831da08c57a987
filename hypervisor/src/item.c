/*
 * Typed items: cut to size at the hotspot, then given to the mapping database.
 * A UTCB is memory that its program may change meanwhile: each word is read
 * once.
 */
#include "item.h"

#include <abi/hip.h>

#include "mapping.h"
#include "pd.h"
#include "tlb.h"

enum { ORDER_FAULT = 31 };	/* pages of the window of an event's reply */

enum { ITEM_WHAT = 0xfff };	/* of an item's second word: all but hotspot */

struct item {
	uint64_t crd;
	uint64_t how;
};

static struct item read(const struct utcb *u, unsigned i)
{
	const volatile uint64_t *w = &u->word[utcb_item_word(i)];

	return (struct item){w[0], w[1]};
}

static void write(struct utcb *u, unsigned i, uint64_t crd, uint64_t how)
{
	u->word[utcb_item_word(i)] = crd;
	u->word[utcb_item_word(i) + 1] = how;
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
static inline bool cut(struct transfer *t, uint64_t crd, uint64_t window,
		       uint64_t hotspot)
{
	unsigned sent = CRD_ORDER(crd), room = CRD_ORDER(window);
	uint64_t from = CRD_BASE(crd) & ~low(sent);
	uint64_t to = CRD_BASE(window) & ~low(room);

	if (unlikely(t->type == CRD_PIO)) {
		t->order = sent < room ? sent : room;
		t->source = t->target = sent < room ? from : to;
		return ((from ^ to) & ~low(sent < room ? room : sent)) == 0;
	}
	if (sent <= room) {
		t->order = sent;
		t->source = from;
		t->target = to | (hotspot & low(room) & ~low(sent));
	} else {
		t->order = room;
		t->source = from | (hotspot & low(sent) & ~low(room));
		t->target = to;
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

static uint32_t mapping_flags(uint64_t how, bool kernel)
{
	return (how & ITEM_DMA ? MAPPING_DMA : 0u) |
	       (how & ITEM_GUEST ? MAPPING_GUEST : 0u) |
	       (kernel && how & ITEM_WC ? MAPPING_COMBINE : 0u);
}

static enum status delegate(struct pd *from, struct pd *to, struct item item,
			    uint64_t window, bool root, uint64_t *got)
{
	struct transfer t;
	enum status s;
	uint8_t rights;

	*got = 0;
	t.type = (uint8_t)CRD_TYPE(item.crd);
	t.kernel = root && item.how & ITEM_KERNEL;
	if (t.type == CRD_NULL || t.type != CRD_TYPE(window) ||
	    !cut(&t, item.crd, window, item.how >> PAGE_BITS) || !fits(&t)) {
		return SUCCESS;
	}
	t.from = from;
	t.to = to;
	t.rights = (uint8_t)(CRD_RIGHTS(item.crd) & CRD_RIGHTS(window));
	t.flags = mapping_flags(item.how, t.kernel);
	s = mapping_delegate(&t, &rights);
	if (rights) {
		*got = CRD(t.type, rights, t.order, t.target);
	}
	return s;
}

static enum status transfer(struct pd *from, struct pd *to, struct item item,
			    const struct utcb *windows, uint64_t *got,
			    uint64_t *how)
{
	unsigned kind = item.how & ITEM_KIND_MASK;

	*got = 0;
	*how = item.how & ITEM_WHAT;
	if (kind != ITEM_DELEGATE) {
		*got = mapping_translate(from, item.crd, to,
					 windows->translate);
		if (*got || kind == ITEM_TRANSLATE) {
			return SUCCESS;
		}
	}
	enum status s = delegate(from, to, item, windows->delegate,
				 from == pd_root, got);

	/* The receiver learns which of the two it was. */
	if (*got) {
		*how |= ITEM_DELEGATE;
	}
	return s;
}

enum status items_transfer(struct pd *from, const struct utcb *sender,
			   struct pd *to, struct utcb *receiver, uint64_t items)
{
	enum status s = SUCCESS;

	for (unsigned i = 0, n = typed(items); s == SUCCESS && i < n; i++) {
		uint64_t got, how;

		s = transfer(from, to, read(sender, i), receiver, &got, &how);
		write(receiver, i, got, how);
	}
	tlb_shootdown();
	return s;
}

void items_reply(struct pd *from, const struct utcb *sender, struct pd *to,
		 struct utcb *receiver, uint64_t items)
{
	for (unsigned i = 0, n = typed(items); i < n; i++) {
		uint64_t got, how;

		(void)!transfer(from, to, read(sender, i), receiver, &got,
				&how);
		write(receiver, i, got, how);
	}
	tlb_shootdown();
}

void items_map(struct pd *from, const struct utcb *sender, struct pd *to,
	       uint64_t fault_address, uint64_t items)
{
	uint64_t base = fault_address >> PAGE_BITS & ~low(ORDER_FAULT);
	uint64_t window = CRD(CRD_MEM, RIGHTS_ALL, ORDER_FAULT, base);

	for (unsigned i = 0, n = typed(items); i < n; i++) {
		uint64_t got;

		(void)!delegate(from, to, read(sender, i), window,
				from == pd_root, &got);
	}
	tlb_shootdown();
}

enum status items_delegate(struct pd *from, const struct utcb *u,
			   struct pd *to, uint64_t window, bool root)
{
	uint64_t items = u->items;
	enum status s = SUCCESS;

	for (unsigned i = 0, n = typed(items); s == SUCCESS && i < n; i++) {
		uint64_t got;

		s = delegate(from, to, read(u, i), window, root, &got);
	}
	tlb_shootdown();
	return s;
}
