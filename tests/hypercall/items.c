/*
 * Typed items that delegate: by misc/delegate, with calls, with replies.
 */
#include <lib/string.h>

#include "pages.h"

/* misc/delegate: two PDs, and no UTCB changed. */
static void by_misc(void)
{
	unsigned long a = make_pd(), b = make_pd(), at = free_pages(0);
	struct frame *s = make_servant(b);
	unsigned long sm = make_sm(0), b2 = with_rights(b, PD_CREATE_SM);

	set_item(page_crd(RW, 0, at), ITEM_DELEGATE);
	EQUAL(delegate(sel(), page_crd(RW, 0, at), b), BAD_CAPABILITY);
	EQUAL(delegate(a, page_crd(RW, 0, at), sel()), BAD_CAPABILITY);
	EQUAL(delegate(sm, page_crd(RW, 0, at), b), BAD_CAPABILITY);
	EQUAL(delegate(a, page_crd(RW, 0, at), sm), BAD_CAPABILITY);
	EQUAL(delegate(hip->selectors, 0, b), BAD_CAPABILITY);

	fill_pages();
	SETUP(give_at(a, page_crd(RW, 0, (unsigned long)page[5]), ITEM_DELEGATE,
		      page_crd(RW, 0, at)));
	set_item(page_crd(RW, 0, at), ITEM_DELEGATE);
	EQUAL(delegate(a, page_crd(MEM_R, 0, at), b2), SUCCESS);
	EQUAL(my_utcb->items, UTCB_ITEMS(0, 1));
	EQUAL(item_crd(my_utcb, 0), page_crd(RW, 0, at));
	EQUAL(item_how(my_utcb, 0), ITEM_DELEGATE);
	sees(s, at, 5);
	EQUAL(syscall_3(CALL_ID(CALL_MISC, 3, 0), 0, 0), BAD_PARAMETER);
	EQUAL(syscall_3(CALL_ID(CALL_MISC, 15, 0), 0, 0), BAD_PARAMETER);
}

/* There is nobody to be told of a translation: whatever its kind, an item is delegated. */
static void misc_kinds(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long sm = make_sm(0), at = sel_range(2);

	for (unsigned kind = 0; kind <= ITEM_KIND_MASK; kind++) {
		SETUP(give_at(s->pd, CRD(CRD_OBJ, RIGHTS_ALL, 0, sm), kind,
			      CRD(CRD_OBJ, SM_RIGHT_UP, 0, at + kind)));
		EQUAL(ask(s, OP_LOOKUP, CRD(CRD_OBJ, 0, 0, at + kind), 0),
		      CRD(CRD_OBJ, SM_RIGHT_UP, 0, at + kind));
	}
}

/* An item as the reference has it: at the end of the page, from the last one down. */
static uint64_t *item_at(struct utcb *u, unsigned i)
{
	return (uint64_t *)((char *)u + PAGE_SIZE - 16 * (i + 1));
}

enum { KINDS = 8 };

static uint64_t sent[KINDS][2], told[KINDS][2];

/* Calls the portal of its argument with all, and keeps what is there then. */
static void send_all(struct frame *f)
{
	for (unsigned i = 0; i < KINDS; i++)
		memcpy(item_at(f->utcb, i), sent[i], sizeof(sent[i]));
	f->utcb->items = UTCB_ITEMS(0, KINDS);
	f->value[0] = call(f->argument);
	for (unsigned i = 0; i < KINDS; i++)
		memcpy(sent[i], item_at(f->utcb, i), sizeof(sent[i]));
	f->utcb->items = 0;
}

static void note_items(struct frame *f)
{
	for (unsigned i = 0; i < KINDS; i++)
		memcpy(told[i], item_at(f->utcb, i), sizeof(told[i]));
	f->value[0] = f->items;
}

/*
 * Several at once, of which some arrive: each is told in its place, with the low bits that were
 * sent, those that mean nothing as well.
 */
static void places(void)
{
	const uint64_t odd = ITEM(0xfc | ITEM_GUEST | ITEM_DMA | ITEM_WC | ITEM_KERNEL, 0, 0);
	struct frame *s = make_servant(make_pd()), *n = make_handler(s->pd, boot_cpu, note_items);
	unsigned long pt = make_portal(n, 0, 0), at = sel_range(3), made = sel(), mine = sel();
	unsigned long sm = make_sm(0), sender;
	struct frame *from = make_servant(make_pd());
	uint64_t window = CRD(CRD_OBJ, SM_RIGHT_UP, 3, at);
	const struct {
		uint64_t crd, how, found, told;
	} all[KINDS] = {
		{CRD(CRD_OBJ, 3, 0, sm), ITEM(1, odd, 0), CRD(CRD_OBJ, 1, 0, at), 1 | odd},
		{0, ITEM(1, odd, 1), 0, 1 | odd},
		{CRD(CRD_OBJ, 3, 0, mine), ITEM(0, 0, 2), CRD(CRD_OBJ, 2, 0, made), 0},
		{CRD(CRD_OBJ, 3, 0, sm), ITEM(0, 4, 3), 0, 4},
		{CRD(CRD_OBJ, 3, 0, sm), ITEM(2, 8, 4), CRD(CRD_OBJ, 1, 0, at + 4), 3 | 8},
		{CRD(CRD_OBJ, 3, 0, sm), ITEM(2, 0, 4), 0, 2},
		{CRD(CRD_OBJ, 3, 0, mine), ITEM(3, 16, 6), CRD(CRD_OBJ, 2, 0, made), 3 | 16},
		{CRD(CRD_OBJ, 3, 0, sm), ITEM(3, 0, 7), CRD(CRD_OBJ, 1, 0, at + 7), 3},
	};

	/* What the receiver has made goes to the sender: that can be translated. */
	SETUP(give(s->pd, CRD(CRD_OBJ, RIGHTS_ALL, 0, s->pd)));
	EQUAL(ask_call(s, CALL_ID(CALL_CREATE_SM, 0, made), s->pd, 7, 0, 0), SUCCESS);
	set_item(CRD(CRD_OBJ, RIGHTS_ALL, 0, made), ITEM_DELEGATE);
	SETUP(delegate(s->pd, CRD(CRD_OBJ, RIGHTS_ALL, 0, mine), from->pd));
	SETUP(give(from->pd, CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)));
	SETUP(give(from->pd, CRD(CRD_OBJ, RIGHTS_ALL, 0, pt)));
	n->translate = CRD(CRD_OBJ, SM_RIGHT_DOWN, 18, 0);
	n->delegate = window;
	my_utcb->items = 0;
	SETUP(call(pt));

	from->function = send_all;
	sender = make_portal(from, 0, 0);
	from->argument = pt;
	for (unsigned i = 0; i < KINDS; i++) {
		sent[i][0] = all[i].crd;
		sent[i][1] = all[i].how;
	}
	SETUP(call(sender));
	EQUAL(from->value[0], SUCCESS);
	EQUAL(n->value[0], UTCB_ITEMS(0, KINDS));
	for (unsigned i = 0; i < KINDS; i++) {
		EQUAL(told[i][0], all[i].found);
		EQUAL(told[i][1], all[i].told);
	}
	/* Of the sender's own nothing has changed. */
	for (unsigned i = 0; i < KINDS; i++) {
		EQUAL(sent[i][0], all[i].crd);
		EQUAL(sent[i][1], all[i].how);
	}
}

/* Several items at once; a null one, or one of another type, is nothing. */
static void many(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long at = free_pages(3);

	fill_pages();
	my_utcb->items = UTCB_ITEMS(0, 8);
	for (unsigned i = 0; i < 8; i++) {
		put_item(my_utcb, i, page_crd(RW, 0, (unsigned long)page[i]),
			 ITEM(ITEM_DELEGATE, 0, i));
	}
	put_item(my_utcb, 3, 0, ITEM_DELEGATE);
	put_item(my_utcb, 4, CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_ROOT_PD), ITEM_DELEGATE);
	put_item(my_utcb, 5, CRD(CRD_PIO, RIGHTS_ALL, 3, 0x3f8), ITEM_DELEGATE);
	EQUAL(delegate(SEL_ROOT_PD, page_crd(RW, 3, at), s->pd), SUCCESS);
	for (unsigned i = 0; i < 8; i++)
		if (i >= 3 && i <= 5)
			faults(s, at + i * PAGE_SIZE);
		else
			sees(s, at + i * PAGE_SIZE, i);
}

/* With a call: the receiver is told what came, and where. */
static void in_call(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long at = free_pages(2);

	fill_pages();
	send_item(s, page_crd(RW, 0, (unsigned long)page[2]), ITEM(ITEM_DELEGATE, 0, 3));
	EQUAL(s->value[0], UTCB_ITEMS(1, 1));
	EQUAL(s->value[1], 0);

	open_windows(s, 0, page_crd(MEM_R, 2, at));
	send_item(s, page_crd(RW, 0, (unsigned long)page[2]), ITEM(ITEM_DELEGATE, ITEM_GUEST, 3));
	EQUAL(s->value[0], UTCB_ITEMS(1, 1));
	EQUAL(s->value[1], page_crd(MEM_R, 0, at + 3 * PAGE_SIZE));
	EQUAL(s->value[2], ITEM_DELEGATE | ITEM_GUEST);
	sees(s, at + 3 * PAGE_SIZE, 2);

	/* Not a second time: that place is taken. */
	send_item(s, page_crd(RW, 0, (unsigned long)page[4]), ITEM(ITEM_DELEGATE, 0, 3));
	EQUAL(s->value[1], 0);
	sees(s, at + 3 * PAGE_SIZE, 2);

	/* Nothing to be sent. */
	send_item(s, page_crd(RW, 0, free_pages(0)), ITEM(ITEM_DELEGATE, 0, 2));
	EQUAL(s->value[1], 0);
	faults(s, at + 2 * PAGE_SIZE);
}

/* With a reply, into the caller's window. */
static void in_reply(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long at = free_pages(0), there = free_pages(1);
	uint64_t value;

	fill_pages();
	SETUP(give_at(s->pd, page_crd(RW, 0, (unsigned long)page[6]), ITEM_DELEGATE,
		      page_crd(RW, 0, at)));
	my_utcb->delegate = page_crd(MEM_R, 1, there);
	ask(s, OP_SEND, page_crd(RW, 0, at), ITEM(ITEM_DELEGATE, 0, 1));
	EQUAL(my_utcb->items, UTCB_ITEMS(5, 1));
	EQUAL(item_crd(my_utcb, 0), page_crd(MEM_R, 0, there + PAGE_SIZE));
	EQUAL(item_how(my_utcb, 0), ITEM_DELEGATE);
	EQUAL(probe_read((void *)(there + PAGE_SIZE), &value), 0);
	EQUAL(value, magic + 6);
	EQUAL(probe_write((void *)(there + PAGE_SIZE), 0), FAULT(VECTOR_PF));
	EQUAL(probe_read((void *)there, &value), FAULT(VECTOR_PF));
}

/* As many items as there can be, and words that leave no room for them. */
static void limits(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long at = free_pages(8);

	fill_pages();
	open_windows(s, 0, page_crd(RW, 8, at));
	for (unsigned i = 0; i < UTCB_WORDS / 2; i++) {
		put_item(my_utcb, i, page_crd(RW, 0, (unsigned long)page[0]),
			 ITEM(ITEM_DELEGATE, 0, i));
	}
	my_utcb->items = UTCB_ITEMS(0, UTCB_WORDS / 2);
	s->function = NULL;
	EQUAL(call(s->pt), SUCCESS);
	EQUAL(s->items, UTCB_ITEMS(0, UTCB_WORDS / 2));
	my_utcb->items = UTCB_ITEMS(UTCB_WORDS, 0xffff);
	EQUAL(call(s->pt), SUCCESS);
	EQUAL(s->items, UTCB_WORDS);
	my_utcb->items = ~0ul;
	EQUAL(call(s->pt), SUCCESS);
	EQUAL(s->items, UTCB_WORDS);
	my_utcb->items = UTCB_ITEMS(507, 0xffff);
	EQUAL(call(s->pt), SUCCESS);
	EQUAL(s->items, 507);
}

const struct test items_tests[] = {
	{"items.by_misc", by_misc, 0}, {"items.misc_kinds", misc_kinds, 0},
	{"items.places", places, 0},   {"items.many", many, 0},
	{"items.in_call", in_call, 0}, {"items.in_reply", in_reply, 0},
	{"items.limits", limits, 0},   {0},
};
