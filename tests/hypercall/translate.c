/*
 * Translation: a capability that was derived from one of the receiver's is
 * found again there.
 */
#include "test.h"

static uint64_t obj(unsigned rights, unsigned order, unsigned long at)
{
	return CRD(CRD_OBJ, rights, order, at);
}

#define ALL_OBJECTS obj(RIGHTS_ALL, 18, 0)

/* What the servant sends by translation comes out as root's own. */
static void object(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long sm = make_sm(0), there = sel();

	SETUP(give_at(s->pd, obj(SM_RIGHT_UP, 0, sm), ITEM_DELEGATE, obj(RIGHTS_ALL, 0, there)));
	my_utcb->translate = ALL_OBJECTS;
	ask(s, OP_SEND, obj(RIGHTS_ALL, 0, there), ITEM_TRANSLATE);
	EQUAL(my_utcb->items, UTCB_ITEMS(5, 1));
	EQUAL(item_crd(my_utcb, 0), obj(RIGHTS_ALL, 0, sm));
	EQUAL(item_how(my_utcb, 0), ITEM_TRANSLATE);

	/* With no more rights than item and window say. */
	my_utcb->translate = obj(6, 18, 0);
	ask(s, OP_SEND, obj(3, 0, there), ITEM_TRANSLATE);
	EQUAL(item_crd(my_utcb, 0), obj(2, 0, sm));
}

/* Not through a window that is elsewhere, of another type, or closed. */
static void window(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long sm = make_sm(0);

	SETUP(give(s->pd, obj(RIGHTS_ALL, 0, sm)));
	const uint64_t windows[] = {
		0,
		obj(RIGHTS_ALL, 0, sm + 1),
		obj(RIGHTS_ALL, 4, sm + 16),
		CRD(CRD_MEM, RIGHTS_ALL, 31, 0),
		CRD(CRD_PIO, RIGHTS_ALL, 16, 0),
	};

	for (unsigned i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
		my_utcb->translate = windows[i];
		ask(s, OP_SEND, obj(RIGHTS_ALL, 0, sm), ITEM_TRANSLATE);
		EQUAL(item_crd(my_utcb, 0), 0);
	}
	my_utcb->translate = obj(RIGHTS_ALL, 0, sm);
	ask(s, OP_SEND, obj(RIGHTS_ALL, 0, sm), ITEM_TRANSLATE);
	EQUAL(item_crd(my_utcb, 0), obj(RIGHTS_ALL, 0, sm));
}

/* What did not come from the receiver is not found there. */
static void not_derived(void)
{
	struct frame *s = make_servant(make_pd());
	struct frame *t = make_servant(make_pd());
	unsigned long sm = make_sm(0);

	SETUP(give(s->pd, obj(RIGHTS_ALL, 0, sm)));
	SETUP(give(t->pd, obj(RIGHTS_ALL, 0, sm)));

	/* Both have it from root: brothers, not parent and child. */
	open_windows(t, ALL_OBJECTS, 0);
	SETUP(give(s->pd, obj(RIGHTS_ALL, 0, t->pt)));
	ask(s, OP_ITEM, obj(RIGHTS_ALL, 0, sm), ITEM_TRANSLATE);
	EQUAL(ask_call(s, CALL_ID(CALL_CALL, 0, t->pt), 0, 0, 0, 0), SUCCESS);
	EQUAL(t->value[0], UTCB_ITEMS(0, 1));
	EQUAL(t->value[1], 0);

	/* Nothing at all. */
	my_utcb->translate = ALL_OBJECTS;
	ask(s, OP_SEND, obj(RIGHTS_ALL, 0, sel()), ITEM_TRANSLATE);
	EQUAL(item_crd(my_utcb, 0), 0);
	ask(s, OP_SEND, 0, ITEM_TRANSLATE);
	EQUAL(item_crd(my_utcb, 0), 0);
}

/* Through several PDs. */
static void deep(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long middle = make_pd(), sm = make_sm(0), there = sel();

	SETUP(give(middle, obj(RIGHTS_ALL, 0, sm)));
	set_item(obj(SM_RIGHT_UP, 0, sm), ITEM_DELEGATE);
	SETUP(delegate(middle, obj(RIGHTS_ALL, 0, there), s->pd));
	my_utcb->translate = ALL_OBJECTS;
	ask(s, OP_SEND, obj(RIGHTS_ALL, 0, there), ITEM_TRANSLATE);
	EQUAL(item_crd(my_utcb, 0), obj(RIGHTS_ALL, 0, sm));
}

/*
 * Within a PD: what a capability was derived from comes before the capability,
 * which is told if there is no such. What is gone is left out.
 */
static void same_pd(void)
{
	struct frame *s = make_servant(SEL_ROOT_PD);
	unsigned long sm = make_sm(0), copy = sel(), last = sel();

	SETUP(give_at(SEL_ROOT_PD, obj(RIGHTS_ALL, 0, sm), ITEM_DELEGATE,
		      obj(RIGHTS_ALL, 0, copy)));
	SETUP(give_at(SEL_ROOT_PD, obj(RIGHTS_ALL, 0, copy), ITEM_DELEGATE,
		      obj(RIGHTS_ALL, 0, last)));
	open_windows(s, ALL_OBJECTS, 0);
	for (unsigned i = 0; i < 4; i++) {
		const unsigned long sent[] = {sm, copy, last, last};
		const unsigned long found[] = {sm, sm, copy, sm};

		if (i == 3)
			SETUP(syscall_3(
				CALL_ID(CALL_REVOKE, FLAG_REVOKE_SELF | FLAG_REVOKE_KEEP, 0),
				obj(RIGHTS_ALL, 0, copy), 0));
		send_item(s, obj(RIGHTS_ALL, 0, sent[i]), ITEM_TRANSLATE);
		EQUAL(s->value[1], obj(RIGHTS_ALL, 0, found[i]));
	}
}

/* Memory, from another address. */
static void memory(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long at = free_pages(0);

	SETUP(give_at(s->pd, CRD(CRD_MEM, MEM_R, 0, page_number(page[3])), ITEM_DELEGATE,
		      CRD(CRD_MEM, RIGHTS_ALL, 0, at / PAGE_SIZE)));
	my_utcb->translate = CRD(CRD_MEM, RIGHTS_ALL, 31, 0);
	ask(s, OP_SEND, CRD(CRD_MEM, RIGHTS_ALL, 0, at / PAGE_SIZE), ITEM_TRANSLATE);
	EQUAL(item_crd(my_utcb, 0), CRD(CRD_MEM, MEM_R | MEM_W, 0, page_number(page[3])));
}

/* In a call: the other way round, root's to the servant's. */
static void in_call(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long made = sel(), mine = sel();

	/* The servant makes an SM and delegates it to root. */
	SETUP(give_at(s->pd, obj(PD_CREATE_SM, 0, s->pd), ITEM_DELEGATE,
		      obj(RIGHTS_ALL, 0, s->pd)));
	EQUAL(ask_call(s, CALL_ID(CALL_CREATE_SM, 0, made), s->pd, 7, 0, 0), SUCCESS);
	my_utcb->delegate = obj(SM_RIGHT_DOWN, 0, mine);
	ask(s, OP_SEND, obj(RIGHTS_ALL, 0, made), ITEM_DELEGATE);
	EQUAL(item_crd(my_utcb, 0), obj(SM_RIGHT_DOWN, 0, mine));
	EQUAL(sm_down(mine, 1), SUCCESS);

	open_windows(s, ALL_OBJECTS, 0);
	send_item(s, obj(RIGHTS_ALL, 0, mine), ITEM_TRANSLATE);
	EQUAL(s->value[0], UTCB_ITEMS(1, 1));
	EQUAL(s->value[1], obj(RIGHTS_ALL, 0, made));
	EQUAL(s->value[2], ITEM_TRANSLATE);
}

/* Translate or delegate: which of them it was is told. */
static void or_delegate(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long sm = make_sm(0), made = sel(), mine = sel();

	SETUP(give(s->pd, obj(RIGHTS_ALL, 0, sm)));
	my_utcb->translate = ALL_OBJECTS;
	my_utcb->delegate = obj(RIGHTS_ALL, 0, mine);
	ask(s, OP_SEND, obj(RIGHTS_ALL, 0, sm), ITEM_TRANSLATE_OR_DELEGATE);
	EQUAL(item_crd(my_utcb, 0), obj(RIGHTS_ALL, 0, sm));
	EQUAL(item_how(my_utcb, 0), ITEM_TRANSLATE_OR_DELEGATE);
	EQUAL(look(obj(0, 0, mine)), 0);

	SETUP(give_at(s->pd, obj(PD_CREATE_SM, 0, s->pd), ITEM_DELEGATE,
		      obj(RIGHTS_ALL, 0, s->pd)));
	EQUAL(ask_call(s, CALL_ID(CALL_CREATE_SM, 0, made), s->pd, 7, 0, 0), SUCCESS);
	ask(s, OP_SEND, obj(RIGHTS_ALL, 0, made), ITEM_TRANSLATE_OR_DELEGATE);
	EQUAL(item_crd(my_utcb, 0), obj(RIGHTS_ALL, 0, mine));
	EQUAL(item_how(my_utcb, 0), ITEM_TRANSLATE_OR_DELEGATE | ITEM_DELEGATE);
	EQUAL(sm_down(mine, 1), SUCCESS);
}

/* The receiver's own capability is gone: nothing to be found. */
static void revoked(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long sm = make_sm(0);

	SETUP(give(s->pd, obj(RIGHTS_ALL, 0, sm)));
	SETUP(syscall_3(CALL_ID(CALL_REVOKE, FLAG_REVOKE_SELF | FLAG_REVOKE_KEEP, 0),
			obj(RIGHTS_ALL, 0, sm), 0));
	my_utcb->translate = ALL_OBJECTS;
	ask(s, OP_SEND, obj(RIGHTS_ALL, 0, sm), ITEM_TRANSLATE);
	EQUAL(item_crd(my_utcb, 0), 0);
}

const struct test translate_tests[] = {
	{"translate.object", object, 0},	   {"translate.window", window, 0},
	{"translate.not_derived", not_derived, 0}, {"translate.deep", deep, 0},
	{"translate.same_pd", same_pd, 0},	   {"translate.memory", memory, 0},
	{"translate.in_call", in_call, 0},	   {"translate.or_delegate", or_delegate, 0},
	{"translate.revoked", revoked, 0},	   {0},
};
