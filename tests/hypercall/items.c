/*
 * Typed items that delegate: by misc/delegate, with calls, with replies.
 */
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
	{"items.by_misc", by_misc, 0},	 {"items.many", many, 0},     {"items.in_call", in_call, 0},
	{"items.in_reply", in_reply, 0}, {"items.limits", limits, 0}, {0},
};
