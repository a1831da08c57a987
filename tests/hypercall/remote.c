/*
 * Calls across CPUs. A handler runs on its own CPU whoever calls it; but for
 * that nothing is different from a call on one CPU.
 */
#include "test.h"

static unsigned other_cpu(void)
{
	return boot_cpu ? 0 : 1;
}

/* The words come back, each with one more, and where it was. */
static void increment(struct frame *f)
{
	unsigned n = f->items & 0xffff;

	for (unsigned i = 0; i < n; i++)
		f->utcb->word[i]++;
	f->value[0] = f->cpu;
	f->value[1]++;
	f->utcb->items = n;
}

/* From this CPU to all: messages of any length, both ways, in both PDs. */
static void message(void)
{
	unsigned long pds[] = {SEL_ROOT_PD, make_pd()};

	for (unsigned i = 0; i < 2 * cpus; i++) {
		struct frame *h = make_handler(pds[i % 2], i / 2, increment);
		unsigned long pt = make_portal(h, 0, 5);

		for (unsigned n = 0; n <= UTCB_WORDS; n += 127) {
			for (unsigned k = 0; k < n; k++)
				my_utcb->word[k] = 1000 * n + k;
			my_utcb->items = n;
			EQUAL(call(pt), SUCCESS);
			EQUAL(my_utcb->items, n);
			for (unsigned k = 0; k < n; k++)
				EQUAL(my_utcb->word[k], 1000 * n + k + 1);
			EQUAL(h->id, 5);
			EQUAL(h->value[0], i / 2);
		}
	}
}

static void items_back(struct frame *f)
{
	f->value[0] = f->items;
	f->value[1] = item_crd(f->utcb, 0);
	put_item(f->utcb, 0, CRD(CRD_OBJ, RIGHTS_ALL, 0, f->argument), ITEM_DELEGATE);
	f->utcb->items = UTCB_ITEMS(0, 1);
}

/* Capabilities go with a call, and come with the reply. */
static void items(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, other_cpu(), items_back);
	unsigned long pt = make_portal(h, 0, 0), there = sel(), here = sel();

	h->argument = make_sm(3);
	h->delegate = CRD(CRD_OBJ, RIGHTS_ALL, 0, there);
	SETUP(call(pt)); /* sets the windows */
	set_item(CRD(CRD_OBJ, RIGHTS_ALL, 0, make_sm(7)), ITEM_DELEGATE);
	my_utcb->delegate = CRD(CRD_OBJ, RIGHTS_ALL, 0, here);
	EQUAL(call(pt), SUCCESS);
	my_utcb->delegate = 0;
	EQUAL(h->value[0], UTCB_ITEMS(0, 1));
	EQUAL(CRD_BASE(h->value[1]), there);
	for (unsigned i = 0; i < 7; i++)
		EQUAL(sm_down(there, 1), SUCCESS);
	EQUAL(sm_down(there, 1), TIMEOUT);
	for (unsigned i = 0; i < 3; i++)
		EQUAL(sm_down(here, 1), SUCCESS);
	EQUAL(sm_down(here, 1), TIMEOUT);
}

static void sleep_in(struct frame *f)
{
	f->value[0]++;
	(void)!sm_down(f->argument, 0);
	f->value[1]++;
}

static void call_once(struct frame *f)
{
	f->utcb->items = 0;
	f->value[0] = 1 + call(f->argument);
}

/* The flag does not wait, an ordinary call does; one after the other. */
static void busy(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, other_cpu(), sleep_in);
	struct frame *a, *b;
	unsigned long pt = make_portal(h, 0, 0);

	h->argument = make_sm(0);
	a = make_thread(SEL_ROOT_PD, boot_cpu, 5, call_once, pt);
	WAIT(h->value[0] == 1);
	EQUAL(call_nonblock(pt), TIMEOUT);
	b = make_thread(SEL_ROOT_PD, boot_cpu, 5, call_once, pt);
	quiesce();
	EQUAL(h->value[0], 1);
	SETUP(sm_up(h->argument));
	WAIT(a->value[0] && h->value[0] == 2);
	EQUAL(b->value[0], 0);
	SETUP(sm_up(h->argument));
	WAIT(b->value[0]);
	EQUAL(a->value[0] + b->value[0], 2);
	my_utcb->items = 0;
	SETUP(sm_up(h->argument));
	EQUAL(call_nonblock(pt), SUCCESS);
}

enum { MANY = 150 };

static void call_many(struct frame *f)
{
	for (unsigned i = 0; i < MANY; i++) {
		f->utcb->word[0] = i;
		f->utcb->items = 1;
		f->value[1] += call(f->argument) != SUCCESS || f->utcb->word[0] != i + 1;
	}
	f->value[0] = 1;
}

/* Callers on all CPUs want the same handler. */
static void contended(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, other_cpu(), increment);
	struct frame *t[2 * MAX_CPUS];
	unsigned long pt = make_portal(h, 0, 0);
	unsigned n = 0;

	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		t[n++] = make_thread(SEL_ROOT_PD, cpu, 4, call_many, pt);
		t[n++] = make_thread(SEL_ROOT_PD, cpu, 3, call_many, pt);
	}
	for (unsigned i = 0; i < n; i++) {
		WAIT(t[i]->value[0]);
		EQUAL(t[i]->value[1], 0);
	}
	EQUAL(h->value[1], n * MANY);
}

static void call_on(struct frame *f)
{
	f->utcb->word[0]++;
	f->utcb->items = 1;
	if (f->argument)
		f->value[0] = call(f->argument);
}

/* Handlers that call handlers, from CPU to CPU and back. */
static void chain(void)
{
	enum { LENGTH = 9 };
	struct frame *h[LENGTH];
	unsigned long pt = 0;

	for (unsigned i = 0; i < LENGTH; i++) {
		h[i] = make_handler(SEL_ROOT_PD, i % cpus, call_on);
		h[i]->argument = pt;
		pt = make_portal(h[i], 0, 0);
	}
	for (unsigned i = 0; i < 50; i++) {
		my_utcb->word[0] = 0;
		my_utcb->items = 1;
		EQUAL(call(pt), SUCCESS);
		EQUAL(my_utcb->word[0], LENGTH);
		for (unsigned k = 0; k < LENGTH; k++)
			EQUAL(h[k]->value[0], SUCCESS);
	}
}

static void destroy(unsigned long selector)
{
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, selector)));
}

/* The handler dies: in the call, while others wait for it, and before. */
static void handler_dies(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct frame *h = make_handler(SEL_ROOT_PD, other_cpu(), sleep_in);
		unsigned long pt = make_portal(h, 0, 0);
		struct frame *a, *b;

		h->argument = make_sm(0);
		a = make_thread(SEL_ROOT_PD, i % 2 ? boot_cpu : other_cpu(), 5, call_once, pt);
		WAIT(h->value[0]);
		b = make_thread(SEL_ROOT_PD, boot_cpu, 5, call_once, pt);
		quiesce();
		destroy(h->ec);
		WAIT(a->value[0] && b->value[0]);
		EQUAL(a->value[0], 1 + ABORTED);
		EQUAL(b->value[0], 1 + TIMEOUT);
		EQUAL(call(pt), TIMEOUT);
		destroy(pt);
		EQUAL(call(pt), BAD_CAPABILITY);
	}
}

/* The caller dies while its call is elsewhere: the handler does not care. */
static void caller_dies(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, other_cpu(), sleep_in);
	unsigned long pt = make_portal(h, 0, 0), before = 0;

	h->argument = make_sm(0);
	for (unsigned i = 0; i < 5; i++) {
		struct frame *a, *b;

		if (i == 1)
			before = usage_settled(SEL_ROOT_PD);
		a = make_thread(SEL_ROOT_PD, boot_cpu, 5, call_once, pt);
		WAIT(h->value[0] == i + 1);
		/* It waits for the handler, and need not any more. */
		b = make_thread(SEL_ROOT_PD, boot_cpu, 5, call_once, pt);
		quiesce();
		destroy(b->ec);
		destroy(b->sc);
		destroy(a->ec);
		destroy(a->sc);
		SETUP(sm_up(h->argument));
		WAIT(h->value[1] == i + 1);
		EQUAL(a->value[0] + b->value[0], 0);
	}
	WAIT(usage(SEL_ROOT_PD) <= before);
	my_utcb->items = 0;
	SETUP(sm_up(h->argument));
	EQUAL(call(pt), SUCCESS);
}

static void sleep_first(struct frame *f)
{
	f->utcb->items = 0;
	f->reply = f->value[0] ? 0 : f->argument;
	f->value[0]++;
}

/* A reply that makes the caller sleep: it calls again. And dies asleep. */
static void reply_sm(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, other_cpu(), sleep_first);
	unsigned long pt = make_portal(h, 0, 0);
	struct frame *t;

	h->argument = make_sm(0);
	t = make_thread(SEL_ROOT_PD, boot_cpu, 5, call_once, pt);
	WAIT(h->value[0] == 1);
	quiesce();
	EQUAL(t->value[0], 0);
	SETUP(sm_up(h->argument));
	WAIT(t->value[0]);
	EQUAL(t->value[0], 1 + SUCCESS);
	EQUAL(h->value[0], 2);

	h->value[0] = 0;
	t = make_thread(SEL_ROOT_PD, boot_cpu, 5, call_once, pt);
	WAIT(h->value[0] == 1);
	quiesce();
	destroy(t->ec);
	quiesce();
	SETUP(sm_up(h->argument));
	EQUAL(sm_down(h->argument, 1), SUCCESS); /* nobody took it */
	EQUAL(t->value[0], 0);
}

static void call_forth(struct frame *f)
{
	f->value[0]++;
	f->utcb->items = 0;
	f->value[1] = 1 + call(f->argument);
}

/* Two handlers call each other across CPUs: the death of one ends that. */
static void cycle(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct frame *a = make_handler(SEL_ROOT_PD, boot_cpu, call_forth);
		struct frame *b = make_handler(SEL_ROOT_PD, other_cpu(), call_forth);
		unsigned long pt = make_portal(a, 0, 0);
		struct frame *t;

		a->argument = make_portal(b, 0, 0);
		b->argument = pt;
		t = make_thread(SEL_ROOT_PD, boot_cpu, 5, call_once, pt);
		WAIT(b->value[0]);
		quiesce();
		EQUAL(t->value[0], 0);
		destroy(i % 2 ? a->ec : b->ec);
		WAIT(t->value[0]);
		EQUAL(t->value[0], 1 + (i % 2 ? ABORTED : SUCCESS));
	}
}

static void count(struct frame *f)
{
	for (;;)
		f->value[0]++;
}

/* The handler runs with its caller's priority. */
static void priority(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, other_cpu(), increment);
	unsigned long pt = make_portal(h, 0, 0);
	struct frame *spin, *low, *high;

	spin = make_thread(SEL_ROOT_PD, other_cpu(), 10, count, 0);
	WAIT(spin->value[0]);
	low = make_thread(SEL_ROOT_PD, boot_cpu, 9, call_once, pt);
	sleep_us(5000); /* nobody else has a turn there */
	EQUAL(low->value[0], 0);
	high = make_thread(SEL_ROOT_PD, boot_cpu, 11, call_once, pt);
	WAIT(high->value[0]);
	EQUAL(low->value[0], 0);
	destroy(spin->ec);
	WAIT(low->value[0]);
	EQUAL(high->value[0] + low->value[0], 2);
}

static void spin_in(struct frame *f)
{
	spin_us(f->argument);
	f->utcb->items = 0;
}

static void call_rounds(struct frame *f)
{
	for (unsigned i = 0; i < 20; i++) {
		f->utcb->items = 0;
		f->value[1] += call(f->argument) != SUCCESS;
	}
	f->value[0] = 1;
}

/* What a handler does for other CPUs is its CPU's "cross" time. */
static uint64_t cross_time_of(unsigned cpu)
{
	unsigned long idle = sel();
	struct syscall s = {0};

	SETUP(take(CRD(CRD_OBJ, RIGHTS_ALL, 0, KERNEL_SEL_IDLE_SC + cpu),
		   ITEM_DELEGATE | ITEM_KERNEL, CRD(CRD_OBJ, RIGHTS_ALL, 0, idle)));
	EQUAL(syscall_5(CALL_ID(CALL_SC_CTRL, SC_TIME_CROSS, idle), &s), SUCCESS);
	return s.rsi << 32 | s.rdx;
}

static void cross_time(void)
{
	uint64_t before, time, own, handler;
	unsigned tries = 0;

	do {
		struct frame *h = make_handler(SEL_ROOT_PD, other_cpu(), spin_in), *t;

		h->argument = 1000;
		before = cross_time_of(other_cpu());
		t = make_thread(SEL_ROOT_PD, boot_cpu, 5, call_rounds, make_portal(h, 0, 0));
		WAIT(t->value[0]);
		EQUAL(t->value[1], 0);
		time = cross_time_of(other_cpu()) - before;
		CHECK(time > 15000);
		/* Which of the two ran is a sample, but not that they did. */
		SETUP(ec_time(h->ec, &handler));
		SETUP(ec_time(t->ec, &own));
		CHECK(handler + own > 15000);
		SETUP(sc_time(t->sc, &own));
	} while (own >= time && ++tries < 20); /* this CPU may have been away */
	CHECK(own < time);
}

static void note(struct frame *f)
{
	f->value[0]++;
	f->utcb->mtd = 0;
}

/* Recalled while its call is elsewhere, it reports when that is over. */
static void recall(void)
{
	unsigned long base = sel_range(5);
	struct frame *h = make_handler(SEL_ROOT_PD, other_cpu(), sleep_in);
	struct frame *r = make_handler(SEL_ROOT_PD, boot_cpu, note), *t;

	h->argument = make_sm(0);
	give_recall(base, r);
	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, call_once, make_portal(h, 0, 0), base);
	start_thread(t, 5, 1000);
	WAIT(h->value[0]);
	EQUAL(ec_recall(t->ec), SUCCESS);
	quiesce();
	EQUAL(r->value[0], 0);
	SETUP(sm_up(h->argument));
	WAIT(t->value[0]);
	EQUAL(t->value[0], 1 + SUCCESS);
	EQUAL(r->value[0], 1);
}

static volatile bool stop;

static void call_always(struct frame *f)
{
	while (!stop) {
		f->utcb->items = 0;
		(void)!call(f->argument);
		f->value[0]++;
	}
	f->value[1] = 1;
}

static void brief(struct frame *f)
{
	(void)!sm_down(SEL_FOREVER, in_us(10 + f->value[0]++ % 30));
	f->utcb->items = 0;
}

/* Everybody dies at any moment, and nothing is lost. */
static void deaths(void)
{
	unsigned long before = 0;

	for (unsigned i = 0; i < 30; i++) {
		struct frame *h = make_handler(SEL_ROOT_PD, i % cpus, brief);
		unsigned long pt = make_portal(h, 0, 0);
		struct frame *t[MAX_CPUS];

		stop = false;
		for (unsigned cpu = 0; cpu < cpus; cpu++)
			t[cpu] = make_thread(SEL_ROOT_PD, cpu, 1, call_always, pt);
		sleep_us(300 + 37 * i);
		destroy(i % 3 == 0 ? h->ec : t[i % cpus]->ec);
		sleep_us(500);
		stop = true;
		for (unsigned cpu = 0; cpu < cpus; cpu++)
			if (i % 3 == 0 || cpu != i % cpus)
				WAIT(t[cpu]->value[1]);
		clean();
		if (i == 3)
			before = usage_settled(SEL_ROOT_PD);
	}
	wait_usage(SEL_ROOT_PD, before);
}

const struct test remote_tests[] = {
	{"remote.message", message, 2},
	{"remote.items", items, 2},
	{"remote.busy", busy, 2},
	{"remote.contended", contended, 2},
	{"remote.chain", chain, 2},
	{"remote.handler_dies", handler_dies, 2},
	{"remote.caller_dies", caller_dies, 2},
	{"remote.reply_sm", reply_sm, 2},
	{"remote.cycle", cycle, 2},
	{"remote.priority", priority, 2},
	{"remote.cross_time", cross_time, 2},
	{"remote.recall", recall, 2},
	{"remote.deaths", deaths, 2},
	{0},
};
