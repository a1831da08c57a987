/*
 * Replies: registers of a handler, replies that sleep, replies of nobody.
 */
#include <lib/string.h>

#include "test.h"

enum { REGISTERS = 16 }; /* as the processor numbers them */

/* code.S */
extern const char entry_registers[];
extern volatile uint64_t registers_seen[REGISTERS];

/* A reply by a thread. */
static void by_thread(void)
{
	my_utcb->items = 0;
	EQUAL(syscall_3(CALL_ID(CALL_REPLY, 0, 0), 0, 0), BAD_HYPERCALL);
	EQUAL(syscall_3(CALL_ID(CALL_REPLY, 0, make_sm(1)), 0, 0), BAD_HYPERCALL);
}

/*
 * A handler starts with zeros, and then with what it had when it replied;
 * but for RCX and R11, which SYSCALL uses.
 */
static void registers(void)
{
	enum { RCX = 1, RSP = 4, RDI = 7, R11 = 11, STACK = 0x12345678 };
	unsigned long ec = sel(), pt = sel();

	SETUP(create_ec(ec, SEL_ROOT_PD, EC_LOCAL, free_pages(0), boot_cpu, STACK, 0));
	SETUP(create_pt(pt, SEL_ROOT_PD, ec, 0, (unsigned long)entry_registers));
	SETUP(pt_ctrl(pt, 77));
	my_utcb->items = 0;
	EQUAL(call(pt), SUCCESS);
	for (unsigned i = 0; i < REGISTERS; i++)
		if (i != RCX && i != R11)
			EQUAL(registers_seen[i], i == RSP ? STACK : i == RDI ? 77 : 0);
	EQUAL(call(pt), SUCCESS);
	for (unsigned i = 0; i < REGISTERS; i++)
		if (i != RCX && i != R11)
			EQUAL(registers_seen[i], i == RDI ? 77 : 0x100 + i);
}

static void twice(struct frame *f)
{
	if (f->value[0]++ < f->value[1])
		f->reply = f->argument;
	f->utcb->items = 1;
	f->utcb->word[0] = f->value[0];
}

/* With an SM: the caller sleeps there, and then makes its call again. */
static void sleep_free(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, twice);
	unsigned long pt = make_portal(h, 0, 0);

	h->argument = make_sm(3);
	h->value[1] = 3;
	EQUAL(call(pt), SUCCESS);
	EQUAL(h->value[0], 4);
	EQUAL(my_utcb->word[0], 4);
	EQUAL(sm_down(h->argument, 1), TIMEOUT);
}

static void caller(struct frame *f)
{
	f->value[0] = 1 + call(f->argument);
}

/* The same, if it has to wait; the handler is free meanwhile. */
static void sleep_wait(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, twice), *t;
	unsigned long pt = make_portal(h, 0, 0);

	h->argument = make_sm(0);
	h->value[1] = 1;
	t = make_thread(SEL_ROOT_PD, boot_cpu, 5, caller, pt);
	EQUAL(h->value[0], 1);
	EQUAL(t->value[0], 0);
	EQUAL(call(pt), SUCCESS);
	EQUAL(h->value[0], 2);
	SETUP(sm_up(h->argument));
	WAIT(t->value[0]);
	EQUAL(t->value[0], 1 + SUCCESS);
	EQUAL(h->value[0], 3);
}

/* A signal that the caller is told of in its sleep is not told in its registers. */
static void sleep_signal(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, twice);
	unsigned long pt = make_portal(h, 0, 0), signal = sel();
	struct syscall s = {0x5151, 0xd1d1, 0, 0};

	h->argument = make_sm(0);
	h->value[1] = 1;
	SETUP(create_signal(signal, SEL_ROOT_PD, 77, h->argument));
	SETUP(sm_up(signal));
	EQUAL(syscall_5(CALL_ID(CALL_CALL, 0, pt), &s), SUCCESS);
	EQUAL(h->value[0], 2);
	EQUAL(s.rsi, 0x5151);
	EQUAL(s.rdx, 0xd1d1);
	EQUAL(sm_down(h->argument, 1), TIMEOUT);
	/* Its count has begun anew. */
	SETUP(sm_up(signal));
	s = (struct syscall){0, 1, 0, 0};
	EQUAL(syscall_5(CALL_ID(CALL_SM_CTRL, SM_DOWN, h->argument), &s), SUCCESS);
	EQUAL(s.rsi, 77);
	EQUAL(s.rdx, 1);
}

/* A capability that is no SM, a signal, or has not the right, counts as 0. */
static void sleep_ignored(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, twice);
	unsigned long pt = make_portal(h, 0, 0);

	h->value[1] = ~0ul;
	h->argument = SEL_ROOT_PD;
	EQUAL(call(pt), SUCCESS);
	h->argument = sel();
	EQUAL(call(pt), SUCCESS);
	h->argument = sel();
	SETUP(create_signal(h->argument, SEL_ROOT_PD, 1, make_sm(1)));
	EQUAL(call(pt), SUCCESS);
	h->argument = with_rights(make_sm(1), RIGHTS_ALL & ~SM_RIGHT_DOWN);
	EQUAL(call(pt), SUCCESS);
	EQUAL(h->value[0], 4);
}

static void skip_ud(struct frame *f)
{
	f->value[0]++;
	f->utcb->rip += 2;
	f->reply = f->argument;
}

static void illegal(struct frame *f)
{
	f->value[0] = 1;
	__asm__ volatile("ud2");
	f->value[0] = 2;
	spin_us(1000000000);
}

/* After an exception, who is woken runs on. */
static void sleep_event(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, skip_ud), *t;
	unsigned long events = sel_range(5);

	h->argument = make_sm(0);
	SETUP(create_pt(events + VECTOR_UD, SEL_ROOT_PD, h->ec, MTD_RIP_LEN,
			(unsigned long)entry_portal));
	give_startup(events, boot_cpu);
	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, illegal, 0, events);
	start_thread(t, 1, 1000);
	WAIT(h->value[0] == 1);
	quiesce();
	EQUAL(t->value[0], 1);
	SETUP(sm_up(h->argument));
	WAIT(t->value[0] == 2);
	EQUAL(h->value[0], 1);
}

/* The words and items of a reply may name more than there are. */
static void too_many_words(void)
{
	struct frame *s = make_servant(SEL_ROOT_PD);

	s->function = NULL;
	for (unsigned shift = 0; shift < 64; shift += 4) {
		my_utcb->items = ~0ul << shift;
		EQUAL(call(s->pt), SUCCESS);
	}
}

const struct test reply_tests[] = {
	{"reply.by_thread", by_thread, 0},
	{"reply.registers", registers, 0},
	{"reply.sleep_free", sleep_free, 0},
	{"reply.sleep_wait", sleep_wait, 0},
	{"reply.sleep_signal", sleep_signal, 0},
	{"reply.sleep_ignored", sleep_ignored, 0},
	{"reply.sleep_event", sleep_event, 0},
	{"reply.too_many_words", too_many_words, 0},
	{0},
};
