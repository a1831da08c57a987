/*
 * One case for every call and every status, right, flag and operation that
 * docs/abi.md names for it. matrix.inc is the list, made from the document by
 * matrix.py; each line of it is a function here, CASE(call, name). What a call
 * does in detail is told by the tests of its topic.
 *
 * A status is a way to get it. A right is: without it the call is refused, with
 * nothing else it succeeds. A flag or operation is what it makes different.
 */
#include <lib/string.h>

#include "test.h"

enum {
	NOW = 1, /* a deadline in the past */
	MANY = 4000,
	SMALL = 12, /* a quota that is soon used up */
	RTC_GSI = 8,
	WINDOW_ORDER = 20,
};

#define CASE(call, name) static void call##__##name(void)

/* Without the right `refused`, with it alone SUCCESS. */
#define RIGHT(object, right, expression)                                      \
	do {                                                                  \
		unsigned long o = with_rights(object, RIGHTS_ALL & ~(right)); \
		EQUAL(expression, BAD_CAPABILITY);                            \
		o = with_rights(object, right);                               \
		EQUAL(expression, SUCCESS);                                   \
	} while (0)

/* No capability, one of another type, none that could be. */
#define NO_CAPABILITY(other, expression)                                                \
	do {                                                                            \
		const unsigned long none[] = {sel(), other, hip->selectors, ~0ul >> 8}; \
		for (unsigned n = 0; n < 4; n++) {                                      \
			unsigned long o = none[n];                                      \
			EQUAL(expression, BAD_CAPABILITY);                              \
		}                                                                       \
	} while (0)

static unsigned long other_cpu(void)
{
	return boot_cpu ? 0 : 1;
}

static unsigned long a_portal(function *run)
{
	my_utcb->items = 0;
	return make_portal(make_handler(SEL_ROOT_PD, boot_cpu, run), 0, 0);
}

static void nothing(struct frame *f)
{
	(void)f;
}

static unsigned long local_ec(void)
{
	return make_handler(SEL_ROOT_PD, boot_cpu, nothing)->ec;
}

static unsigned long global_ec(void)
{
	return make_idle_thread(SEL_ROOT_PD, boot_cpu, nothing, 0,
				common_events(SEL_ROOT_PD, boot_cpu))
		->ec;
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

/* A PD whose memory is used up by page tables. */
static void use_up(unsigned long pd)
{
	uint64_t from = CRD(CRD_MEM, MEM_R, 0, page_number(page));
	enum status s = SUCCESS;

	for (unsigned long i = 0; i < MANY && s == SUCCESS; i++)
		s = give_at(pd, from, ITEM_DELEGATE, CRD(CRD_MEM, MEM_R, 0, 0x100000 + i * 512));
	NEED(s == OUT_OF_MEMORY);
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
	pt = make_portal(make_handler(SEL_ROOT_PD, (unsigned)other_cpu(), echo), 0, 0);
	EQUAL(call(with_rights(pt, PT_CALL)), BAD_CPU);
}

CASE(call, PT_CALL_REMOTE)
{
	unsigned long pt;

	if (cpus < 2)
		test_skip("one CPU");
	pt = make_portal(make_handler(SEL_ROOT_PD, (unsigned)other_cpu(), echo), 0, 0);
	EQUAL(call(with_rights(pt, PT_CALL | PT_CALL_REMOTE)), SUCCESS);
	EQUAL(call(with_rights(pt, PT_CALL_REMOTE)), BAD_CAPABILITY);
}

/* What is delegated with the message finds no memory for its page table. */
CASE(call, OUT_OF_MEMORY)
{
	struct frame *s = make_servant(make_pd_quota(SEL_ROOT_PD, 40));

	open_windows(s, 0, CRD(CRD_MEM, MEM_R, WINDOW_ORDER, 0x8000000));
	use_up(s->pd);
	s->value[0] = 77;
	my_utcb->word[0] = OP_NOTHING;
	set_item(CRD(CRD_MEM, MEM_R, 0, page_number(page)), ITEM(ITEM_DELEGATE, 0, 0x8000000));
	EQUAL(call(s->pt), OUT_OF_MEMORY);
	EQUAL(s->value[0], 77);
}

/* reply */

CASE(reply, SUCCESS)
{
	EQUAL(call(a_portal(nothing)), SUCCESS);
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

/* The five create calls: what they have in common. */

typedef enum status create(unsigned long at, unsigned long owner);

static unsigned long bound_ec; /* for SCs and portals */

static enum status a_pd(unsigned long at, unsigned long owner)
{
	return create_pd(at, owner, 0, 4);
}

static enum status an_ec(unsigned long at, unsigned long owner)
{
	return create_ec(at, owner, EC_LOCAL, free_pages(0), boot_cpu, 0, 0);
}

static enum status an_sc(unsigned long at, unsigned long owner)
{
	return create_sc(at, owner, bound_ec, QPD(1, 1000));
}

static enum status a_pt(unsigned long at, unsigned long owner)
{
	return create_pt(at, owner, bound_ec, 0, 0x1000);
}

static enum status an_sm(unsigned long at, unsigned long owner)
{
	return create_sm(at, owner, 0);
}

static void creates(create *make)
{
	unsigned long at = sel();

	EQUAL(make(at, SEL_ROOT_PD), SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, at)), CRD(CRD_OBJ, RIGHTS_ALL, 0, at));
}

/* The owner, and the place. */
static void create_refused(create *make)
{
	unsigned long at = sel();

	NO_CAPABILITY(SEL_ROOT_EC, make(at, o));
	EQUAL(look(CRD(CRD_OBJ, 0, 0, at)), 0);
	EQUAL(make(SEL_ROOT_PD, SEL_ROOT_PD), BAD_CAPABILITY);
	EQUAL(make(hip->selectors, SEL_ROOT_PD), BAD_CAPABILITY);
}

static void create_right(create *make, unsigned right)
{
	RIGHT(SEL_ROOT_PD, right, make(sel(), o));
}

/* The owner has no memory for it. */
static void create_no_memory(create *make)
{
	unsigned long pd = make_empty_pd(SMALL);
	enum status s = SUCCESS;

	for (unsigned long i = 0; i < MANY && s == SUCCESS; i++)
		s = make(SEL_MANY + i, pd);
	EQUAL(s, OUT_OF_MEMORY);
}

/* create_pd */

CASE(create_pd, SUCCESS)
{
	creates(a_pd);
}

CASE(create_pd, BAD_CAPABILITY)
{
	create_refused(a_pd);
}

static enum status empty_pd(unsigned long at, unsigned long owner)
{
	return create_pd(at, owner, 0, 0);
}

CASE(create_pd, OUT_OF_MEMORY)
{
	create_no_memory(empty_pd);
}

CASE(create_pd, PD_CREATE_PD)
{
	create_right(a_pd, PD_CREATE_PD);
}

/* More quota than the owner has. */
CASE(create_pd, BAD_PARAMETER)
{
	EQUAL(create_pd(sel(), SEL_ROOT_PD, 0, ~0u), BAD_PARAMETER);
}

/* create_ec */

CASE(create_ec, SUCCESS)
{
	creates(an_ec);
}

CASE(create_ec, BAD_CAPABILITY)
{
	create_refused(an_ec);
}

CASE(create_ec, OUT_OF_MEMORY)
{
	create_no_memory(an_ec);
}

CASE(create_ec, PD_CREATE_EC)
{
	create_right(an_ec, PD_CREATE_EC);
}

/* It, and no other, can have an SC. */
CASE(create_ec, FLAG_EC_GLOBAL)
{
	EQUAL(create_sc(sel(), SEL_ROOT_PD, local_ec(), QPD(1, 1000)), BAD_CAPABILITY);
	EQUAL(create_sc(sel(), SEL_ROOT_PD, global_ec(), QPD(1, 1000)), SUCCESS);
}

/* The UTCB's address. */
CASE(create_ec, BAD_PARAMETER)
{
	const unsigned long bad[] = {USER_END, ~0ul & ~(PAGE_SIZE - 1), ROOT_UTCB, 0};

	for (unsigned i = 0; i < 4; i++) {
		EQUAL(create_ec(sel(), SEL_ROOT_PD, EC_LOCAL, bad[i], boot_cpu, 0, 0),
		      BAD_PARAMETER);
	}
}

/* Beside the EC, with the right and without; oom.c has the rest. */
CASE(create_ec, PT_CALL)
{
	unsigned long pt = make_portal(make_handler(SEL_ROOT_PD, boot_cpu, echo), 0, 0);

	for (unsigned rights = PT_CONTROL; rights <= PT_CALL; rights++) {
		unsigned long at = sel_range(1);

		SETUP(give_at(SEL_ROOT_PD, CRD(CRD_OBJ, rights, 0, pt), ITEM_DELEGATE,
			      CRD(CRD_OBJ, rights, 0, at + 1)));
		EQUAL(create_ec(at, SEL_ROOT_PD, EC_LOCAL, free_pages(0), boot_cpu, 0, 0), SUCCESS);
	}
}

CASE(create_ec, BAD_CPU)
{
	EQUAL(create_ec(sel(), SEL_ROOT_PD, EC_LOCAL, free_pages(0), 0xfff, 0, 0), BAD_CPU);
}

CASE(create_ec, BAD_FEATURE)
{
	if (hip->features & (HIP_VMX | HIP_SVM))
		test_skip("there are vCPUs");
	EQUAL(create_vcpu(sel(), SEL_ROOT_PD, boot_cpu, 0), BAD_FEATURE);
}

/* create_sc */

CASE(create_sc, SUCCESS)
{
	bound_ec = global_ec();
	creates(an_sc);
}

/* Also: a local EC, one that has an SC, a dead one. */
CASE(create_sc, BAD_CAPABILITY)
{
	bound_ec = global_ec();
	create_refused(an_sc);
	NO_CAPABILITY(SEL_ROOT_PD, create_sc(sel(), SEL_ROOT_PD, o, QPD(1, 1000)));
	bound_ec = local_ec();
	EQUAL(an_sc(sel(), SEL_ROOT_PD), BAD_CAPABILITY);
	bound_ec = SEL_ROOT_EC;
	EQUAL(an_sc(sel(), SEL_ROOT_PD), BAD_CAPABILITY);
}

CASE(create_sc, OUT_OF_MEMORY)
{
	unsigned long pd = make_empty_pd(SMALL);
	enum status s;

	/* It takes few slots for all that there is, to be used up by these. */
	use_up(pd);
	for (unsigned i = 0; i < MANY && an_sm(SEL_MANY + i, pd) == SUCCESS; i++) {
	}
	bound_ec = global_ec();
	s = an_sc(sel(), pd);
	EQUAL(s, OUT_OF_MEMORY);
}

CASE(create_sc, PD_CREATE_SC)
{
	bound_ec = global_ec();
	create_right(an_sc, PD_CREATE_SC);
}

CASE(create_sc, EC_BIND_SC)
{
	unsigned long ec = global_ec();

	RIGHT(ec, EC_BIND_SC, create_sc(sel(), SEL_ROOT_PD, o, QPD(1, 1000)));
}

/* Priority and quantum. */
CASE(create_sc, BAD_PARAMETER)
{
	const unsigned long bad[] = {QPD(0, 1), QPD(PRIORITY_MAX + 1, 1), QPD(255, 1), QPD(1, 0)};

	bound_ec = global_ec();
	for (unsigned i = 0; i < 4; i++)
		EQUAL(create_sc(sel(), SEL_ROOT_PD, bound_ec, bad[i]), BAD_PARAMETER);
}

/* create_pt */

CASE(create_pt, SUCCESS)
{
	bound_ec = local_ec();
	creates(a_pt);
}

/* Also: a global EC. */
CASE(create_pt, BAD_CAPABILITY)
{
	bound_ec = local_ec();
	create_refused(a_pt);
	NO_CAPABILITY(SEL_ROOT_PD, create_pt(sel(), SEL_ROOT_PD, o, 0, 0));
	bound_ec = SEL_ROOT_EC;
	EQUAL(a_pt(sel(), SEL_ROOT_PD), BAD_CAPABILITY);
}

CASE(create_pt, OUT_OF_MEMORY)
{
	bound_ec = local_ec();
	create_no_memory(a_pt);
}

CASE(create_pt, PD_CREATE_PT)
{
	bound_ec = local_ec();
	create_right(a_pt, PD_CREATE_PT);
}

CASE(create_pt, EC_BIND_PT)
{
	unsigned long ec = local_ec();

	RIGHT(ec, EC_BIND_PT, create_pt(sel(), SEL_ROOT_PD, o, 0, 0));
}

/* The entry. */
CASE(create_pt, BAD_PARAMETER)
{
	unsigned long ec = local_ec();

	EQUAL(create_pt(sel(), SEL_ROOT_PD, ec, 0, USER_END), BAD_PARAMETER);
	EQUAL(create_pt(sel(), SEL_ROOT_PD, ec, 0, ~0ul), BAD_PARAMETER);
	EQUAL(create_pt(sel(), SEL_ROOT_PD, ec, 0, 1ul << 47), BAD_PARAMETER);
}

/* create_sm */

CASE(create_sm, SUCCESS)
{
	creates(an_sm);
}

CASE(create_sm, BAD_CAPABILITY)
{
	create_refused(an_sm);
}

CASE(create_sm, OUT_OF_MEMORY)
{
	create_no_memory(an_sm);
}

CASE(create_sm, PD_CREATE_SM)
{
	create_right(an_sm, PD_CREATE_SM);
}

/* misc */

CASE(misc_lookup, SUCCESS)
{
	uint64_t crd = CRD(CRD_OBJ, 0, 0, make_sm(0)), none = ~0ul;

	EQUAL(lookup(&crd), SUCCESS);
	EQUAL(CRD_RIGHTS(crd), RIGHTS_ALL);
	EQUAL(lookup(&none), SUCCESS);
	EQUAL(none, 0);
}

CASE(misc_delegate, SUCCESS)
{
	EQUAL(give(make_empty_pd(SMALL), CRD(CRD_OBJ, RIGHTS_ALL, 0, make_sm(0))), SUCCESS);
}

CASE(misc_delegate, MISC_LOOKUP)
{
	misc_lookup__SUCCESS();
}

CASE(misc_delegate, MISC_DELEGATE)
{
	misc_delegate__SUCCESS();
}

CASE(misc_delegate, MISC_SUSPEND)
{
	EQUAL(suspend(sel(), 5, 5), BAD_CAPABILITY);
}

CASE(misc_delegate, BAD_PARAMETER)
{
	for (unsigned op = MISC_SUSPEND + 1; op < 16; op++) {
		EQUAL(syscall_3(CALL_ID(CALL_MISC, op, SEL_ROOT_PD), 0, SEL_ROOT_PD),
		      BAD_PARAMETER);
	}
}

CASE(misc_delegate, BAD_CAPABILITY)
{
	set_item(0, 0);
	NO_CAPABILITY(SEL_ROOT_EC, delegate(o, 0, SEL_ROOT_PD));
	NO_CAPABILITY(SEL_ROOT_EC, delegate(SEL_ROOT_PD, 0, o));
}

CASE(misc_delegate, OUT_OF_MEMORY)
{
	unsigned long pd = make_empty_pd(SMALL);

	use_up(pd);
	EQUAL(give(pd, CRD(CRD_MEM, MEM_R, 0, page_number(page))), OUT_OF_MEMORY);
}

/* misc suspend: suspend.c has the rest */

CASE(misc_suspend, SUCCESS)
{
	suspend_twice();
}

/* No such type, with which machines do nothing. */
static enum status stay_awake(void)
{
	return suspend(SEL_SUSPEND, 7, 7);
}

CASE(misc_suspend, BAD_DEVICE)
{
	if (stay_awake() == BAD_FEATURE)
		test_skip("no ACPI sleep");
	EQUAL(stay_awake(), BAD_DEVICE);
}

CASE(misc_suspend, BAD_FEATURE)
{
	if (stay_awake() != BAD_FEATURE)
		test_skip("there is ACPI sleep");
}

CASE(misc_suspend, TIMEOUT)
{
	test_skip("takes two CPUs at one moment");
}

CASE(misc_suspend, BAD_CAPABILITY)
{
	unsigned long few = with_rights(SEL_SUSPEND, SM_RIGHT_UP);

	EQUAL(suspend(SEL_MSR, 7, 7), BAD_CAPABILITY);
	EQUAL(suspend(make_sm(0), 7, 7), BAD_CAPABILITY);
	NO_CAPABILITY(SEL_ROOT_PD, suspend(o, 7, 7));
	CHECK(suspend(few, 7, 7) != BAD_CAPABILITY);
}

/* revoke */

CASE(revoke, SUCCESS)
{
	EQUAL(revoke(CRD(CRD_OBJ, RIGHTS_ALL, 0, make_sm(0))), SUCCESS);
	EQUAL(revoke(0), SUCCESS);
	EQUAL(revoke(~0ul), SUCCESS);
}

static enum status revoke_signal(unsigned long sm)
{
	return syscall_3(CALL_ID(CALL_REVOKE, 0, sm), CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_TEST), 0);
}

CASE(revoke, BAD_CAPABILITY)
{
	NO_CAPABILITY(SEL_ROOT_EC, revoke_remote(o, 0));
	NO_CAPABILITY(SEL_ROOT_EC, revoke_signal(o));
}

/* The semaphore counts one. */
CASE(revoke, SM_RIGHT_UP)
{
	unsigned long sm = make_sm(0);
	unsigned long up = with_rights(sm, SM_RIGHT_UP);

	EQUAL(revoke_signal(with_rights(sm, RIGHTS_ALL & ~SM_RIGHT_UP)), BAD_CAPABILITY);
	EQUAL(sm_down(sm, NOW), TIMEOUT);
	EQUAL(syscall_3(CALL_ID(CALL_REVOKE, 0, up), CRD(CRD_OBJ, RIGHTS_ALL, 0, up), 0), SUCCESS);
	EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
}

CASE(revoke, FLAG_REVOKE_SELF)
{
	unsigned long sm = make_sm(0), other = with_rights(sm, RIGHTS_ALL);

	EQUAL(revoke(CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)), SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, other)), 0);
	CHECK(look(CRD(CRD_OBJ, 0, 0, sm)));
	EQUAL(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)), SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, sm)), 0);
}

CASE(revoke, FLAG_REVOKE_REMOTE)
{
	unsigned long pd = make_pd();
	struct frame *s = make_servant(pd);
	uint64_t crd = CRD(CRD_OBJ, RIGHTS_ALL, 0, make_sm(0));

	SETUP(give(pd, crd));
	CHECK(ask(s, OP_LOOKUP, crd, 0));
	EQUAL(revoke_remote(pd, crd), SUCCESS);
	EQUAL(ask(s, OP_LOOKUP, crd, 0), 0);
	CHECK(look(crd));
}

/* What was derived stays, though its source goes. */
CASE(revoke, FLAG_REVOKE_KEEP)
{
	unsigned long sm = make_sm(0), second = with_rights(sm, RIGHTS_ALL),
		      third = with_rights(second, RIGHTS_ALL);

	EQUAL(syscall_3(CALL_ID(CALL_REVOKE, FLAG_REVOKE_KEEP | FLAG_REVOKE_SELF, 0),
			CRD(CRD_OBJ, RIGHTS_ALL, 0, second), 0),
	      SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, second)), 0);
	CHECK(look(CRD(CRD_OBJ, 0, 0, third)));
	EQUAL(revoke(CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)), SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, third)), 0);
}

/* ec_ctrl */

static enum status ec_ctrl(unsigned op, unsigned long ec)
{
	return syscall_3(CALL_ID(CALL_EC_CTRL, op, ec), 0, 0);
}

CASE(ec_ctrl, SUCCESS)
{
	EQUAL(ec_recall(SEL_ROOT_EC), SUCCESS);
}

static void spin(struct frame *f)
{
	while (!f->value[0])
		f->value[1]++;
}

static void recalled(struct frame *f)
{
	f->value[0]++;
	f->utcb->mtd = 0;
}

/* The EC reports the event. */
CASE(ec_ctrl, EC_RECALL)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, recalled), *t;
	unsigned long events = sel_range(5);

	give_recall(events, h);
	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, spin, 0, events);
	start_thread(t, 1, 1000);
	WAIT(t->value[1]);
	EQUAL(ec_recall(t->ec), SUCCESS);
	WAIT(h->value[0] == 1);
	t->value[0] = 1;
}

CASE(ec_ctrl, EC_CONTROL)
{
	unsigned long ec = local_ec();

	RIGHT(ec, EC_CONTROL, ec_recall(o));
}

CASE(ec_ctrl, BAD_CAPABILITY)
{
	NO_CAPABILITY(SEL_ROOT_PD, ec_recall(o));
}

/* Another thread of the same priority runs, whose turn it would not be. */
static void yields(unsigned op)
{
	struct frame *t = make_idle_thread(SEL_ROOT_PD, boot_cpu, spin, 0,
					   common_events(SEL_ROOT_PD, boot_cpu));
	uint64_t ran = 0;

	start_thread(t, 1, 1000);
	for (unsigned i = 0; i < 100 && !ran; i++) {
		EQUAL(ec_ctrl(op, 0), SUCCESS);
		ran = t->value[1];
	}
	t->value[0] = 1;
	CHECK(ran);
}

CASE(ec_ctrl, EC_YIELD)
{
	yields(EC_YIELD);
}

CASE(ec_ctrl, EC_RESCHEDULE)
{
	yields(EC_RESCHEDULE);
}

/* What none of them can do, whatever there is of them. */
static void ec_ctrl_nothing(unsigned op)
{
	CHECK(ec_ctrl(op, sel()) != SUCCESS);
	CHECK(ec_ctrl(op, SEL_ROOT_SC) != SUCCESS);
}

static enum status ec_ctrl_rsi(unsigned op, unsigned long ec, unsigned long rsi, unsigned long rdx)
{
	return syscall_3(CALL_ID(CALL_EC_CTRL, op, ec), rsi, rdx);
}

CASE(ec_ctrl, TIMEOUT)
{
	struct frame *t;

	if (cpus < 2)
		test_skip("one CPU");
	t = make_thread(SEL_ROOT_PD, (unsigned)other_cpu(), 1, spin, 0);
	WAIT(t->value[1]);
	may_fault = true; /* there is no recall portal */
	EQUAL(ec_ctrl_rsi(EC_RECALL, t->ec, 1, 0), TIMEOUT);
}

CASE(ec_ctrl, BAD_CPU)
{
	struct frame *t;

	EQUAL(ec_ctrl_rsi(EC_MIGRATE, SEL_ROOT_EC, cpus, 0), BAD_CPU);
	if (cpus > 1) {
		t = make_thread(SEL_ROOT_PD, (unsigned)other_cpu(), 1, spin, 0);
		EQUAL(ec_ctrl(EC_HELP, t->ec), BAD_CPU);
		EQUAL(ec_ctrl_rsi(EC_MIGRATE, t->ec, boot_cpu, 0), BAD_CPU);
	}
}

/* The place for a capability has no table, and there are no pages for one. */
CASE(ec_ctrl, OUT_OF_MEMORY)
{
	unsigned long pd = make_pd_quota(SEL_ROOT_PD, 40);
	struct frame *t = make_thread(pd, boot_cpu, 1, spin, 0);
	enum status s = SUCCESS;

	use_up(pd);
	for (unsigned long i = 0; i < MANY && s == SUCCESS; i++) {
		s = ec_ctrl_rsi(EC_MIGRATE, t->ec, boot_cpu,
				CRD(CRD_OBJ, EC_CONTROL, 0, 0x20000 + 512 * i));
	}
	EQUAL(s, OUT_OF_MEMORY);
}

CASE(ec_ctrl, EC_HELP)
{
	EQUAL(ec_ctrl(EC_HELP, with_rights(SEL_ROOT_EC, EC_BIND_SC)), SUCCESS);
	ec_ctrl_nothing(EC_HELP);
}

CASE(ec_ctrl, EC_MIGRATE)
{
	ec_ctrl_nothing(EC_MIGRATE);
}

CASE(ec_ctrl, EC_TIME)
{
	ec_ctrl_nothing(EC_TIME);
}

CASE(ec_ctrl, EC_GET_STATE)
{
	ec_ctrl_nothing(EC_GET_STATE);
}

CASE(ec_ctrl, EC_SET_STATE)
{
	ec_ctrl_nothing(EC_SET_STATE);
}

CASE(ec_ctrl, EC_MSR)
{
	ec_ctrl_nothing(EC_MSR);
}

CASE(ec_ctrl, BAD_PARAMETER)
{
	for (unsigned op = EC_MSR + 1; op < 16; op++)
		EQUAL(ec_ctrl(op, SEL_ROOT_EC), BAD_PARAMETER);
}

/* sc_ctrl */

static enum status sc_ctrl(unsigned op, unsigned long sc)
{
	return syscall_3(CALL_ID(CALL_SC_CTRL, op, sc), SEL_ROOT_EC, 0);
}

CASE(sc_ctrl, SUCCESS)
{
	EQUAL(sc_ctrl(SC_TIME, SEL_ROOT_SC), SUCCESS);
}

CASE(sc_ctrl, SC_CONTROL)
{
	RIGHT(SEL_ROOT_SC, SC_CONTROL, sc_ctrl(SC_TIME, o));
}

CASE(sc_ctrl, BAD_CAPABILITY)
{
	NO_CAPABILITY(SEL_ROOT_EC, sc_ctrl(SC_TIME, o));
}

/* It grows. */
CASE(sc_ctrl, SC_TIME)
{
	uint64_t before, after;

	EQUAL(sc_time(SEL_ROOT_SC, &before), SUCCESS);
	spin_us(2000);
	EQUAL(sc_time(SEL_ROOT_SC, &after), SUCCESS);
	CHECK(after >= before + 1900);
}

static void sc_ctrl_nothing(unsigned op)
{
	CHECK(sc_ctrl(op, sel()) != SUCCESS);
	CHECK(sc_ctrl(op, SEL_ROOT_PD) != SUCCESS);
}

CASE(sc_ctrl, SC_TIME_CROSS)
{
	sc_ctrl_nothing(SC_TIME_CROSS);
}

CASE(sc_ctrl, SC_TIME_KILLED)
{
	sc_ctrl_nothing(SC_TIME_KILLED);
}

CASE(sc_ctrl, SC_TIME_EC)
{
	sc_ctrl_nothing(SC_TIME_EC);
}

CASE(sc_ctrl, BAD_PARAMETER)
{
	for (unsigned op = SC_TIME_EC + 1; op < 16; op++)
		EQUAL(sc_ctrl(op, SEL_ROOT_SC), BAD_PARAMETER);
}

/* sm_ctrl */

CASE(sm_ctrl, SUCCESS)
{
	EQUAL(sm_up(make_sm(0)), SUCCESS);
}

CASE(sm_ctrl, SM_UP)
{
	unsigned long sm = make_sm(0);

	EQUAL(sm_up(sm), SUCCESS);
	EQUAL(sm_down(sm, NOW), SUCCESS);
}

CASE(sm_ctrl, SM_RIGHT_UP)
{
	unsigned long sm = make_sm(0);

	RIGHT(sm, SM_RIGHT_UP, sm_up(o));
}

CASE(sm_ctrl, SM_DOWN)
{
	unsigned long sm = make_sm(2);

	EQUAL(sm_down(sm, NOW), SUCCESS);
	EQUAL(sm_down(sm, NOW), SUCCESS);
	EQUAL(sm_down(sm, NOW), TIMEOUT);
}

CASE(sm_ctrl, SM_RIGHT_DOWN)
{
	unsigned long sm = make_sm(1);

	RIGHT(sm, SM_RIGHT_DOWN, sm_down(o, NOW));
}

CASE(sm_ctrl, FLAG_SM_ZERO)
{
	unsigned long sm = make_sm(3);

	EQUAL(sm_down_all(sm, NOW), SUCCESS);
	EQUAL(sm_down_all(sm, NOW), TIMEOUT);
}

/* At once, and after some time. */
CASE(sm_ctrl, TIMEOUT)
{
	unsigned long sm = make_sm(0);
	uint64_t end = in_us(500);

	EQUAL(sm_down(sm, NOW), TIMEOUT);
	EQUAL(sm_down(sm, end), TIMEOUT);
	CHECK(rdtsc() >= end);
}

static void down(struct frame *f)
{
	f->value[0] = 1 + sm_down(f->argument, 0);
}

/* Also: destroyed under who sleeps there. */
CASE(sm_ctrl, BAD_CAPABILITY)
{
	unsigned long sm = make_sm(0);
	struct frame *t = make_thread(SEL_ROOT_PD, boot_cpu, 5, down, sm);

	NO_CAPABILITY(SEL_ROOT_EC, sm_up(o));
	NO_CAPABILITY(SEL_ROOT_EC, sm_down(o, NOW));
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)));
	WAIT(t->value[0]);
	EQUAL(t->value[0], 1 + BAD_CAPABILITY);
}

/* pd_ctrl */

static enum status pd_ctrl(unsigned op, unsigned long pd, unsigned long to, unsigned long pages)
{
	return syscall_3(CALL_ID(CALL_PD_CTRL, op, pd), to, pages);
}

CASE(pd_ctrl, SUCCESS)
{
	EQUAL(pd_ctrl(PD_QUOTA, SEL_ROOT_PD, 0, 0), SUCCESS);
}

CASE(pd_ctrl, BAD_CAPABILITY)
{
	NO_CAPABILITY(SEL_ROOT_EC, pd_ctrl(PD_QUOTA, o, 0, 0));
	NO_CAPABILITY(SEL_ROOT_EC, pd_ctrl(PD_TRANSFER, o, SEL_ROOT_PD, 0));
	NO_CAPABILITY(SEL_ROOT_EC, pd_ctrl(PD_TRANSFER, SEL_ROOT_PD, o, 0));
}

CASE(pd_ctrl, PD_TRANSFER)
{
	unsigned long pd = make_empty_pd(SMALL), limit, used;

	EQUAL(pd_ctrl(PD_TRANSFER, SEL_ROOT_PD, pd, 5), SUCCESS);
	EQUAL(pd_quota(pd, &limit, &used), SUCCESS);
	EQUAL(limit, SMALL + 5);
	EQUAL(pd_ctrl(PD_TRANSFER, pd, SEL_ROOT_PD, 5), SUCCESS);
}

/* Quota that is not there; no such operation. */
CASE(pd_ctrl, BAD_PARAMETER)
{
	unsigned long pd = make_empty_pd(SMALL);

	EQUAL(pd_ctrl(PD_TRANSFER, pd, SEL_ROOT_PD, SMALL + 1), BAD_PARAMETER);
	EQUAL(pd_ctrl(1, pd, SEL_ROOT_PD, 0), BAD_PARAMETER);
	for (unsigned op = PD_QUOTA + 1; op < 16; op++)
		EQUAL(pd_ctrl(op, pd, SEL_ROOT_PD, 0), BAD_PARAMETER);
}

CASE(pd_ctrl, PD_QUOTA)
{
	unsigned long limit, used;

	EQUAL(pd_quota(make_empty_pd(SMALL), &limit, &used), SUCCESS);
	EQUAL(limit, SMALL);
	CHECK(used && used < SMALL);
}

/* assign_gsi */

CASE(assign_gsi, SUCCESS)
{
	EQUAL(assign_gsi(gsi_sm(RTC_GSI), boot_cpu, 0), SUCCESS);
}

static void gsi_mode(unsigned flags)
{
	unsigned long sm = gsi_sm(RTC_GSI);

	EQUAL(assign_gsi(sm, boot_cpu, FLAG_GSI_MODE | flags), SUCCESS);
	SETUP(assign_gsi(sm, boot_cpu, 0));
}

CASE(assign_gsi, FLAG_GSI_MODE)
{
	gsi_mode(0);
}

CASE(assign_gsi, FLAG_GSI_LEVEL)
{
	gsi_mode(FLAG_GSI_LEVEL);
}

CASE(assign_gsi, FLAG_GSI_LOW)
{
	gsi_mode(FLAG_GSI_LOW | FLAG_GSI_LEVEL);
}

/* The interrupt comes after the first, and not before. */
CASE(assign_gsi, SM_DOWN)
{
	unsigned long sm = gsi_sm(RTC_GSI);

	EQUAL(assign_gsi(sm, boot_cpu, 0), SUCCESS);
	rtc_start();
	sleep_us(50000);
	EQUAL(sm_down(sm, NOW), TIMEOUT);
	/* The clock waits until what came meanwhile was seen. */
	rtc_start();
	EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
	rtc_stop();
	quiesce();
	(void)!sm_down_all(sm, NOW);
}

CASE(assign_gsi, BAD_CAPABILITY)
{
	unsigned long plain = make_sm(0);

	NO_CAPABILITY(plain, assign_gsi(o, boot_cpu, 0));
}

CASE(assign_gsi, BAD_CPU)
{
	EQUAL(assign_gsi(gsi_sm(RTC_GSI), cpus, 0), BAD_CPU);
	EQUAL(assign_gsi(gsi_sm(RTC_GSI), ~0u, 0), BAD_CPU);
}

/* device.c does it. */
CASE(assign_gsi, OUT_OF_MEMORY)
{
	test_skip("no device that sends messages");
}

CASE(assign_gsi, BAD_DEVICE)
{
	EQUAL(assign_gsi(gsi_sm(hip->gsis - 1), boot_cpu, 0), BAD_DEVICE);
}

/* assign_pci */

static enum status assign_pci(unsigned long pd)
{
	return syscall_3(CALL_ID(CALL_ASSIGN_PCI, 0, pd), 0, 0);
}

CASE(assign_pci, SUCCESS)
{
	/* device.c has devices. */
	test_skip("no device");
}

CASE(assign_pci, OUT_OF_MEMORY)
{
	test_skip("no device");
}

CASE(assign_pci, BAD_CAPABILITY)
{
	NO_CAPABILITY(SEL_ROOT_EC, assign_pci(o));
}

CASE(assign_pci, BAD_DEVICE)
{
	EQUAL(assign_pci(SEL_ROOT_PD), BAD_DEVICE);
}

const struct test matrix_tests[] = {
#define MATRIX(call, name) {"matrix." #call "." #name, call##__##name, 0},
#include "matrix.inc"
	{0},
};
