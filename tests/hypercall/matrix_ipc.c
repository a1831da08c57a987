/*
 * The cases of call, reply and pt_ctrl.
 */
#include "matrix.h"

enum { WINDOW_ORDER = 20 };

static unsigned long a_portal(function *run)
{
	my_utcb->items = 0;
	return make_portal(make_handler(SEL_ROOT_PD, boot_cpu, run), 0, 0);
}

static void crash(struct frame *f)
{
	(void)f;
	__asm__ volatile("ud2");
}

static void sleeper(struct frame *f)
{
	f->value[0] = 1;
	(void)!sm_down(f->argument, 0);
}

static void caller(struct frame *f)
{
	f->utcb->items = 0;
	f->value[1] = 1 + call(f->argument);
}

/* call */

CASE(call, SUCCESS)
{
	EQUAL(call(a_portal(echo)), SUCCESS);
}

CASE(call, PT_CALL)
{
	unsigned long pt = a_portal(echo);

	RIGHT(pt, PT_CALL, call(o));
}

/* Busy with another's call. */
CASE(call, FLAG_CALL_NONBLOCK)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, sleeper), *t;
	unsigned long pt = make_portal(h, 0, 0);

	h->argument = make_sm(0);
	t = make_thread(SEL_ROOT_PD, boot_cpu, 5, caller, pt);
	WAIT(h->value[0]);
	EQUAL(call_nonblock(pt), TIMEOUT);
	SETUP(sm_up(h->argument));
	WAIT(t->value[1]);
	SETUP(sm_up(h->argument));
	EQUAL(call_nonblock(pt), SUCCESS);
}

/* Dead. */
CASE(call, TIMEOUT)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, echo);
	unsigned long pt = make_portal(h, 0, 0);

	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, h->ec)));
	EQUAL(call(pt), TIMEOUT);
}

CASE(call, ABORTED)
{
	struct frame *h = make_handler_events(SEL_ROOT_PD, boot_cpu, crash, sel_range(5));

	EQUAL(call(make_portal(h, 0, 0)), ABORTED);
}

CASE(call, BAD_CAPABILITY)
{
	NO_CAPABILITY(SEL_ROOT_EC, call(o));
}

CASE(call, BAD_CPU)
{
	unsigned long pt;

	if (cpus < 2)
		test_skip("one CPU");
	pt = make_portal(make_handler(SEL_ROOT_PD, other_cpu(), echo), 0, 0);
	EQUAL(call(with_rights(pt, PT_CALL)), BAD_CPU);
}

CASE(call, PT_CALL_REMOTE)
{
	unsigned long pt;

	if (cpus < 2)
		test_skip("one CPU");
	pt = make_portal(make_handler(SEL_ROOT_PD, other_cpu(), echo), 0, 0);
	EQUAL(call(with_rights(pt, PT_CALL | PT_CALL_REMOTE)), SUCCESS);
	EQUAL(call(with_rights(pt, PT_CALL_REMOTE)), BAD_CAPABILITY);
}

/* What is delegated with the message finds no memory for its page table. */
CASE(call, OUT_OF_MEMORY)
{
	struct frame *s = make_servant(make_pd_quota(SEL_ROOT_PD, 40));

	open_windows(s, 0, CRD(CRD_MEM, MEM_R, WINDOW_ORDER, 0x8000000));
	use_up_tables(s->pd);
	s->value[0] = 77;
	my_utcb->word[0] = OP_NOTHING;
	set_item(CRD(CRD_MEM, MEM_R, 0, page_number(page)), ITEM(ITEM_DELEGATE, 0, 0x8000000));
	EQUAL(call(s->pt), OUT_OF_MEMORY);
	EQUAL(s->value[0], 77);
}

/* reply */

CASE(reply, SUCCESS)
{
	EQUAL(call(a_portal(NULL)), SUCCESS);
}

static void reply_once(struct frame *f)
{
	f->reply = f->value[0]++ ? 0 : f->argument;
}

/* Without the right it is a plain reply, and the semaphore keeps its count. */
CASE(reply, SM_RIGHT_DOWN)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, reply_once);
	unsigned long pt = make_portal(h, 0, 0), sm = make_sm(1);

	my_utcb->items = 0;
	h->argument = with_rights(sm, RIGHTS_ALL & ~SM_RIGHT_DOWN);
	EQUAL(call(pt), SUCCESS);
	EQUAL(h->value[0], 1);
	EQUAL(sm_down(sm, NOW), SUCCESS);
	SETUP(sm_up(sm));
	h->value[0] = 0;
	h->argument = with_rights(sm, SM_RIGHT_DOWN);
	EQUAL(call(pt), SUCCESS);
	EQUAL(h->value[0], 2);
	EQUAL(sm_down(sm, NOW), TIMEOUT);
}

CASE(reply, BAD_HYPERCALL)
{
	EQUAL(syscall_3(CALL_ID(CALL_REPLY, 0, 0), 0, 0), BAD_HYPERCALL);
}

/* pt_ctrl */

CASE(pt_ctrl, SUCCESS)
{
	EQUAL(pt_ctrl(a_portal(echo), 1), SUCCESS);
}

CASE(pt_ctrl, PT_CONTROL)
{
	unsigned long pt = a_portal(echo);

	RIGHT(pt, PT_CONTROL, pt_ctrl(o, 1));
}

CASE(pt_ctrl, BAD_CAPABILITY)
{
	NO_CAPABILITY(SEL_ROOT_SC, pt_ctrl(o, 1));
}
