/*
 * Calls: messages, statuses, busy and dying handlers.
 */
#include <lib/string.h>

#include "test.h"

enum { LOW = 5, MIDDLE = 6, HIGH = 7 };

/* Words arrive, as many as were sent, both ways. */
static void words(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, echo);
	unsigned long pt = make_portal(h, 0, 0);
	static const unsigned counts[] = {0, 1, 2, 8, 64, 507, 508};

	for (unsigned i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		unsigned n = counts[i];

		memset(h->utcb->word, 0, sizeof(h->utcb->word));
		for (unsigned w = 0; w < n; w++)
			my_utcb->word[w] = 0x1234567800000000u + n * 1000 + w;
		my_utcb->items = n;
		EQUAL(call(pt), SUCCESS);
		EQUAL(h->items, n);
		EQUAL(my_utcb->items, n);
		for (unsigned w = 0; w < n; w++) {
			uint64_t sent = 0x1234567800000000u + n * 1000 + w;

			EQUAL(h->utcb->word[w], sent);
			EQUAL(my_utcb->word[w], sent);
		}
		if (n < UTCB_WORDS)
			EQUAL(h->utcb->word[n], 0);
	}
}

static void set_own(struct frame *f)
{
	f->value[0] = f->utcb->tls;
	f->utcb->tls = 0x7157;
	f->utcb->items = 0;
}

/* The windows and a thread's own word do not go with a message. */
static void not_words(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, set_own);
	unsigned long pt = make_portal(h, 0, 0);

	h->translate = 0x1111;
	h->delegate = 0x2222;
	my_utcb->tls = 0x715;
	my_utcb->translate = 0x3333;
	my_utcb->delegate = 0x4444;
	my_utcb->items = UTCB_WORDS;
	for (unsigned i = 0; i < 2; i++) {
		EQUAL(call(pt), SUCCESS);
		EQUAL(h->value[0], i ? 0x7157 : 0);
		EQUAL(h->utcb->translate, 0x1111);
		EQUAL(h->utcb->delegate, 0x2222);
		EQUAL(my_utcb->tls, 0x715);
		EQUAL(my_utcb->translate, 0x3333);
		EQUAL(my_utcb->delegate, 0x4444);
	}
}

/* More words than there are: 508 are taken. */
static void too_many_words(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, echo);
	unsigned long pt = make_portal(h, 0, 0);

	for (unsigned n = 509; n < 0x10000; n = n * 2 + 1) {
		my_utcb->items = n;
		EQUAL(call(pt), SUCCESS);
		EQUAL(h->items, UTCB_WORDS);
		EQUAL(my_utcb->items, UTCB_WORDS);
	}
}

/* What a call does not name as its output stays, but RCX, R11, RFLAGS. */
static void registers(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, echo);
	unsigned long sm = make_sm(1), pt = make_portal(h, 0, 0);
	const unsigned long ids[] = {
		CALL_ID(CALL_CALL, 0, pt),	    CALL_ID(CALL_SM_CTRL, SM_UP, sm),
		CALL_ID(CALL_SM_CTRL, SM_DOWN, sm), CALL_ID(CALL_EC_CTRL, EC_YIELD, 0),
		CALL_ID(CALL_REVOKE, 0, 0),
	};

	my_utcb->items = 0;
	for (unsigned i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		struct registers in = {1, 2,  0,  4,  5,  0,  ids[i], 8,
				       9, 10, 11, 12, 13, 14, 15,     0x202},
				 out = in;

		in.rflags = out.rflags = 0x202 | 0xcd5; /* all but TF */
		syscall_registers(&out);
		EQUAL(out.rdi & 0xff, SUCCESS);
		EQUAL(out.rflags, 0x202);
		in.rdi = out.rdi;
		in.rcx = out.rcx;
		in.r11 = out.r11;
		in.rflags = out.rflags;
		CHECK(memcmp(&in, &out, sizeof(in)) == 0);
	}
}

static void note_id(struct frame *f)
{
	f->value[0] = f->id;
}

/* The handler is given the portal's id: 0, or what pt_ctrl set. */
static void id(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, note_id);
	unsigned long pt = sel();

	SETUP(create_pt(pt, SEL_ROOT_PD, h->ec, 0, (unsigned long)entry_portal));
	h->value[0] = 1;
	EQUAL(call(pt), SUCCESS);
	EQUAL(h->value[0], 0);
	EQUAL(pt_ctrl(pt, 0x123456789abcdef0), SUCCESS);
	EQUAL(call(pt), SUCCESS);
	EQUAL(h->value[0], 0x123456789abcdef0);
}

/* Anything but a portal is a bad capability; so is one that may not. */
static void capability(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, echo);
	unsigned long pt = make_portal(h, 0, 0), sm = make_sm(0);

	my_utcb->items = 0;
	EQUAL(call(sel()), BAD_CAPABILITY);
	EQUAL(call(sm), BAD_CAPABILITY);
	EQUAL(call(h->ec), BAD_CAPABILITY);
	EQUAL(call(SEL_ROOT_PD), BAD_CAPABILITY);
	EQUAL(call(SEL_ROOT_SC), BAD_CAPABILITY);
	EQUAL(call(hip->selectors), BAD_CAPABILITY);
	EQUAL(call(hip->selectors + pt), BAD_CAPABILITY);
	EQUAL(call(~0ul >> 8), BAD_CAPABILITY);
	EQUAL(call(with_rights(pt, RIGHTS_ALL & ~PT_CALL)), BAD_CAPABILITY);
	EQUAL(call(with_rights(pt, PT_CALL)), SUCCESS);
}

/* pt_ctrl: a portal, and the right to. */
static void control(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, echo);
	unsigned long pt = make_portal(h, 0, 0);

	EQUAL(pt_ctrl(sel(), 0), BAD_CAPABILITY);
	EQUAL(pt_ctrl(h->ec, 0), BAD_CAPABILITY);
	EQUAL(pt_ctrl(with_rights(pt, RIGHTS_ALL & ~PT_CONTROL), 0), BAD_CAPABILITY);
	EQUAL(pt_ctrl(with_rights(pt, PT_CONTROL), 0), SUCCESS);
}

/* The handler's EC is gone, the portal is still there. */
static void dead_handler(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, echo);
	unsigned long pt = make_portal(h, 0, 0);

	EQUAL(call(pt), SUCCESS);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, h->ec)));
	EQUAL(call(pt), TIMEOUT);
}

/* A handler that waits for the semaphore of its argument. */
static void sleeper(struct frame *f)
{
	f->value[0]++;
	f->value[1] = sm_down(f->argument, 0);
	f->value[2]++;
}

/* A thread that calls the portal of its argument. */
static void caller(struct frame *f)
{
	f->utcb->items = 0;
	f->value[0] = 1 + call(f->argument);
}

/* Who does not want to wait is told; who waits, waits until it is free. */
static void busy(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, sleeper);
	unsigned long pt = make_portal(h, 0, 0);
	struct frame *t;

	h->argument = make_sm(0);
	t = make_thread(SEL_ROOT_PD, boot_cpu, LOW, caller, pt);
	EQUAL(h->value[0], 1);
	EQUAL(call_nonblock(pt), TIMEOUT);

	struct frame *t2 = make_thread(SEL_ROOT_PD, boot_cpu, LOW, caller, pt);

	EQUAL(h->value[0], 1);
	SETUP(sm_up(h->argument));
	WAIT(t->value[0]);
	EQUAL(t->value[0], 1 + SUCCESS);
	WAIT(h->value[0] == 2);
	EQUAL(t2->value[0], 0);
	SETUP(sm_up(h->argument));
	WAIT(t2->value[0]);
	EQUAL(t2->value[0], 1 + SUCCESS);
	SETUP(sm_up(h->argument));
	EQUAL(call_nonblock(pt), SUCCESS);
}

static void recurse(struct frame *f)
{
	f->value[0] = call(f->argument);
}

/* A handler that calls itself, straight or over others, does not hang. */
static void recursion(void)
{
	struct frame *a = make_handler(SEL_ROOT_PD, boot_cpu, recurse);
	struct frame *b = make_handler(SEL_ROOT_PD, boot_cpu, recurse);
	unsigned long pt_a = make_portal(a, 0, 0), pt_b = make_portal(b, 0, 0);

	a->argument = pt_a;
	EQUAL(call(pt_a), SUCCESS);
	EQUAL(a->value[0], TIMEOUT);
	a->argument = pt_b;
	b->argument = pt_a;
	EQUAL(call(pt_a), SUCCESS);
	EQUAL(a->value[0], SUCCESS);
	EQUAL(b->value[0], TIMEOUT);
}

static void pass_on(struct frame *f)
{
	f->utcb->items = 1;
	f->utcb->word[0]++;
	if (f->argument)
		f->value[0] = call(f->argument);
}

/* A long chain of calls. */
static void chain(void)
{
	enum { DEPTH = 24 };
	unsigned long pt = 0;

	for (unsigned i = 0; i < DEPTH; i++) {
		struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, pass_on);

		h->argument = pt;
		pt = make_portal(h, 0, 0);
	}
	for (unsigned i = 0; i < 100; i++) {
		my_utcb->word[0] = i;
		my_utcb->items = 1;
		EQUAL(call(pt), SUCCESS);
		EQUAL(my_utcb->word[0], i + DEPTH);
	}
}

/* The handler is destroyed while it sleeps: its caller is told. */
static void abort_sleeping(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, sleeper), *t;

	h->argument = make_sm(0);
	t = make_thread(SEL_ROOT_PD, boot_cpu, LOW, caller, make_portal(h, 0, 0));
	EQUAL(h->value[0], 1);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, h->ec)));
	WAIT(t->value[0]);
	EQUAL(t->value[0], 1 + ABORTED);
	EQUAL(h->value[2], 0);
}

static void crash(struct frame *f)
{
	f->value[0]++;
	__asm__ volatile("ud2");
}

/* The handler has an exception that nobody takes. */
static void abort_exception(void)
{
	struct frame *h = make_handler_events(SEL_ROOT_PD, boot_cpu, crash, sel_range(5));
	unsigned long pt = make_portal(h, 0, 0);

	EQUAL(call(pt), ABORTED);
	EQUAL(h->value[0], 1);
	EQUAL(call(pt), TIMEOUT);
	EQUAL(h->value[0], 1);
}

/* The one in the middle dies: told when the one behind it has replied. */
static void abort_middle(void)
{
	struct frame *h1 = make_handler(SEL_ROOT_PD, boot_cpu, recurse);
	struct frame *h2 = make_handler(SEL_ROOT_PD, boot_cpu, sleeper), *t;

	h1->argument = make_portal(h2, 0, 0);
	h2->argument = make_sm(0);
	t = make_thread(SEL_ROOT_PD, boot_cpu, LOW, caller, make_portal(h1, 0, 0));
	EQUAL(h2->value[0], 1);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, h1->ec)));
	quiesce();
	SETUP(sm_up(h2->argument));
	WAIT(t->value[0]);
	EQUAL(t->value[0], 1 + ABORTED);
	SETUP(sm_up(h2->argument));
	EQUAL(call(h1->argument), SUCCESS);
}

/* The caller dies; the handler replies to nobody and is free again. */
static void dead_caller(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, sleeper), *t;
	unsigned long pt = make_portal(h, 0, 0);

	h->argument = make_sm(0);
	t = make_thread(SEL_ROOT_PD, boot_cpu, LOW, caller, pt);
	EQUAL(h->value[0], 1);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->ec)));
	quiesce();
	SETUP(sm_up(h->argument));
	SETUP(sm_up(h->argument));
	EQUAL(call(pt), SUCCESS);
	EQUAL(h->value[2], 2);
	EQUAL(t->value[0], 0);
}

static void call_and_count(struct frame *f)
{
	caller(f);
	for (;;)
		f->value[1]++;
}

/*
 * The same, if it is the caller's SC that goes: the caller stops, after its
 * quantum at the latest.
 */
static void dead_sc(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, sleeper), *t;
	unsigned long pt = make_portal(h, 0, 0);
	uint64_t count;

	h->argument = make_sm(0);
	t = make_thread(SEL_ROOT_PD, boot_cpu, LOW, call_and_count, pt);
	EQUAL(h->value[0], 1);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->sc)));
	quiesce();
	SETUP(sm_up(h->argument));
	SETUP(sm_up(h->argument));
	EQUAL(call(pt), SUCCESS);
	EQUAL(h->value[2], 2);
	quiesce();
	count = t->value[1];
	quiesce();
	EQUAL(t->value[1], count);
}

/* The portal is destroyed while its handler is in a call through it. */
static void dead_portal(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, sleeper), *t;
	unsigned long pt = make_portal(h, 0, 0);

	h->argument = make_sm(0);
	t = make_thread(SEL_ROOT_PD, boot_cpu, LOW, caller, pt);
	EQUAL(h->value[0], 1);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, pt)));
	EQUAL(call(pt), BAD_CAPABILITY);
	SETUP(sm_up(h->argument));
	WAIT(t->value[0]);
	EQUAL(t->value[0], 1 + SUCCESS);
}

/*
 * Priority inheritance: low calls the handler; there high wakes up and calls
 * it as well, and so lends it its priority; middle has to wait for both.
 */
static struct frame *middle;
static unsigned long wake_middle, wake_high;
static volatile bool middle_ran;

static void spinner(struct frame *f)
{
	SETUP(sm_down(f->argument, 0));
	middle_ran = true;
	spin_us(20000);
	f->value[0] = 1;
}

static void helped(struct frame *f)
{
	if (f->value[0]++ == 0) {
		SETUP(sm_up(wake_high));
		SETUP(sm_up(wake_middle));
		spin_us(3000);
		f->value[1] = middle_ran;
	} else {
		f->value[2] = middle_ran;
	}
}

static void late_caller(struct frame *f)
{
	SETUP(sm_down(wake_high, 0));
	f->value[0] = 1 + call(f->argument);
	f->value[1] = middle_ran;
}

static void helping(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, helped);
	struct frame *low, *high;
	unsigned long pt = make_portal(h, 0, 0);

	middle_ran = false;
	wake_middle = make_sm(0);
	wake_high = make_sm(0);
	middle = make_thread(SEL_ROOT_PD, boot_cpu, MIDDLE, spinner, wake_middle);
	high = make_thread(SEL_ROOT_PD, boot_cpu, HIGH, late_caller, pt);
	low = make_thread(SEL_ROOT_PD, boot_cpu, LOW, caller, pt);
	WAIT(high->value[0] && low->value[0] && middle->value[0]);
	EQUAL(high->value[0], 1 + SUCCESS);
	EQUAL(low->value[0], 1 + SUCCESS);
	EQUAL(h->value[0], 2);
	EQUAL(h->value[1], 0);
	EQUAL(h->value[2], 0);
	EQUAL(high->value[1], 0);
}

/* As many callers as there are stacks want one handler that sleeps. */
static void many_callers(void)
{
	enum { CALLERS = 40 };
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, sleeper);
	struct frame *t[CALLERS];
	unsigned long pt = make_portal(h, 0, 0);

	h->argument = make_sm(0);
	for (unsigned i = 0; i < CALLERS; i++)
		t[i] = make_thread(SEL_ROOT_PD, boot_cpu, 2 + i % 20, caller, pt);
	for (unsigned i = 0; i < CALLERS; i++)
		SETUP(sm_up(h->argument));
	for (unsigned i = 0; i < CALLERS; i++) {
		WAIT(t[i]->value[0]);
		EQUAL(t[i]->value[0], 1 + SUCCESS);
	}
	EQUAL(h->value[2], CALLERS);
}

/* The handler dies while many wait for it. */
static void many_callers_abort(void)
{
	enum { CALLERS = 10 };
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, sleeper);
	struct frame *t[CALLERS];
	unsigned long pt = make_portal(h, 0, 0);
	unsigned aborted = 0, timeout = 0;

	h->argument = make_sm(0);
	for (unsigned i = 0; i < CALLERS; i++)
		t[i] = make_thread(SEL_ROOT_PD, boot_cpu, 2 + i % 5, caller, pt);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, h->ec)));
	for (unsigned i = 0; i < CALLERS; i++) {
		WAIT(t[i]->value[0]);
		aborted += t[i]->value[0] == 1 + ABORTED;
		timeout += t[i]->value[0] == 1 + TIMEOUT;
	}
	EQUAL(aborted, 1);
	EQUAL(timeout, CALLERS - 1);
}

/* The handler runs in another PD, with that PD's memory and capabilities. */
static void other_pd(void)
{
	unsigned long sm = make_sm(0);
	struct frame *s = make_servant(make_pd());
	uint64_t value;

	SETUP(give(s->pd, CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)));
	EQUAL(ask_call(s, CALL_ID(CALL_SM_CTRL, SM_UP, sm), 0, 0, 0, 0), SUCCESS);
	EQUAL(sm_down(sm, 1), SUCCESS);
	EQUAL(ask_call(s, CALL_ID(CALL_SM_CTRL, SM_UP, s->ec), 0, 0, 0, 0), BAD_CAPABILITY);
	EQUAL(ask(s, OP_READ, ROOT_UTCB, 0), FAULT(VECTOR_PF));
	EQUAL(ask(s, OP_READ, (uint64_t)s->utcb, 0), 0);
	EQUAL(probe_read(s->utcb, &value), FAULT(VECTOR_PF));
}

const struct test call_tests[] = {
	{"call.words", words, 0},
	{"call.not_words", not_words, 0},
	{"call.too_many_words", too_many_words, 0},
	{"call.registers", registers, 0},
	{"call.id", id, 0},
	{"call.capability", capability, 0},
	{"call.control", control, 0},
	{"call.other_pd", other_pd, 0},
	{"call.dead_handler", dead_handler, 0},
	{"call.busy", busy, 0},
	{"call.recursion", recursion, 0},
	{"call.chain", chain, 0},
	{"call.abort_sleeping", abort_sleeping, 0},
	{"call.abort_exception", abort_exception, 0},
	{"call.abort_middle", abort_middle, 0},
	{"call.dead_caller", dead_caller, 0},
	{"call.dead_sc", dead_sc, 0},
	{"call.dead_portal", dead_portal, 0},
	{"call.helping", helping, 0},
	{"call.many_callers", many_callers, 0},
	{"call.many_callers_abort", many_callers_abort, 0},
	{0},
};
