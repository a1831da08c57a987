/*
 * Several CPUs: what must not be done across them, and what must work.
 */
#include "test.h"

static unsigned other_cpu(void)
{
	return boot_cpu ? 0 : 1;
}

static unsigned next_cpu(unsigned cpu)
{
	return (cpu + 1) % cpus;
}

static void mark(struct frame *f)
{
	f->value[0] = 1 + f->cpu;
}

/* Threads start on each CPU. */
static void threads(void)
{
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		struct frame *t = make_thread(SEL_ROOT_PD, cpu, 5, mark, 0);

		WAIT(t->value[0]);
		EQUAL(t->value[0], 1 + cpu);
	}
}

/* A portal whose handler is on another CPU. */
static void call_other(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, other_cpu(), echo);
	unsigned long pt = with_rights(make_portal(h, 0, 0), RIGHTS_ALL & ~PT_CALL_REMOTE);

	EQUAL(call(pt), BAD_CPU);
	EQUAL(call_nonblock(pt), BAD_CPU);
}

static void run_ud(struct frame *f)
{
	f->value[0] = 1;
	__asm__ volatile("ud2");
	f->value[0] = 2;
}

/* An exception whose handler is on another CPU is one without a handler. */
static void event_other(void)
{
	unsigned long base = sel_range(5);
	struct frame *t;

	SETUP(give_at(SEL_ROOT_PD,
		      CRD(CRD_OBJ, RIGHTS_ALL, 5, common_events(SEL_ROOT_PD, boot_cpu)),
		      ITEM_DELEGATE, CRD(CRD_OBJ, RIGHTS_ALL, 5, base)));
	t = make_idle_thread(SEL_ROOT_PD, other_cpu(), run_ud, 0, base);
	start_thread(t, 5, 1000);
	quiesce();
	EQUAL(t->value[0], 0);
}

static unsigned long sms[MAX_CPUS];

/* Each waits for its semaphore and ups that of the next. */
static void pass_on(struct frame *f)
{
	for (unsigned i = 0; i < 500; i++) {
		SETUP(sm_down(sms[f->cpu], 0));
		f->value[0]++;
		SETUP(sm_up(sms[next_cpu(f->cpu)]));
	}
	f->value[1] = 1;
}

/* A token goes round all CPUs. */
static void ring(void)
{
	struct frame *t[MAX_CPUS];

	for (unsigned cpu = 0; cpu < cpus; cpu++)
		sms[cpu] = make_sm(0);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		t[cpu] = make_thread(SEL_ROOT_PD, cpu, 5, pass_on, 0);
	SETUP(sm_up(sms[0]));
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		WAIT(t[cpu]->value[1]);
		EQUAL(t[cpu]->value[0], 500);
	}
	EQUAL(sm_down(sms[0], 1), SUCCESS);
}

static void down_many(struct frame *f)
{
	for (unsigned i = 0; i < 1000; i++)
		SETUP(sm_down(f->argument, 0));
	f->value[0] = 1;
}

static void up_many(struct frame *f)
{
	for (unsigned i = 0; i < 1000; i++)
		SETUP(sm_up(f->argument));
	f->value[0] = 1;
}

/* Ups and downs of one semaphore on all CPUs: none is lost, none is extra. */
static void contended(void)
{
	enum { EACH = 2 };
	unsigned long sm = make_sm(0);
	struct frame *t[2 * EACH * MAX_CPUS];
	unsigned n = 0;

	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		for (unsigned i = 0; i < EACH; i++) {
			t[n++] = make_thread(SEL_ROOT_PD, cpu, 4, down_many, sm);
			t[n++] = make_thread(SEL_ROOT_PD, cpu, 3, up_many, sm);
		}
	}
	for (unsigned i = 0; i < n; i++)
		WAIT(t[i]->value[0]);
	EQUAL(sm_down(sm, 1), TIMEOUT);
}

static void sleep_race(struct frame *f)
{
	for (unsigned i = 0; i < 300; i++) {
		enum status s = sm_down(f->argument, in_us(20 + i % 50));

		if (s == SUCCESS)
			f->value[0]++;
		else if (s != TIMEOUT)
			f->value[1]++;
	}
	f->value[2] = 1;
}

/* Ups that race with deadlines: each is either taken or stays in the count. */
static void deadline_race(void)
{
	unsigned long sm = make_sm(0);
	struct frame *t[MAX_CPUS];
	unsigned ups = 0, taken = 0, left = 0;
	bool done = false;

	for (unsigned cpu = 0; cpu < cpus; cpu++)
		t[cpu] = make_thread(SEL_ROOT_PD, cpu, 5, sleep_race, sm);
	while (!done) {
		SETUP(sm_up(sm));
		ups++;
		spin_us(15);
		done = true;
		for (unsigned cpu = 0; cpu < cpus; cpu++)
			done = done && t[cpu]->value[2];
	}
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		EQUAL(t[cpu]->value[1], 0);
		taken += (unsigned)t[cpu]->value[0];
	}
	while (sm_down(sm, 1) == SUCCESS)
		left++;
	EQUAL(taken + left, ups);
}

static void sleeper(struct frame *f)
{
	f->value[0] = 1 + sm_down(f->argument, 0);
}

/* Sleepers on all CPUs are woken by the semaphore's end. */
static void destroyed_sm(void)
{
	unsigned long sm = make_sm(0);
	struct frame *t[MAX_CPUS];

	for (unsigned cpu = 0; cpu < cpus; cpu++)
		t[cpu] = make_thread(SEL_ROOT_PD, cpu, 5, sleeper, sm);
	quiesce();
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)));
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		WAIT(t[cpu]->value[0]);
		EQUAL(t[cpu]->value[0], 1 + BAD_CAPABILITY);
	}
}

static void spin(struct frame *f)
{
	for (;;)
		f->value[0]++;
}

static bool stands(const struct frame *t)
{
	uint64_t before;

	quiesce();
	before = t->value[0];
	quiesce();
	return t->value[0] == before;
}

/* A thread that runs elsewhere is stopped by the end of its EC, SC or PD. */
static void destroyed_thread(void)
{
	may_fault = true; /* without its PD's memory */
	for (unsigned i = 0; i < 9; i++) {
		unsigned long pd = make_pd();
		struct frame *t = make_thread(pd, (boot_cpu + 1 + i % (cpus - 1)) % cpus, 5, spin,
					      0);
		const unsigned long ends[] = {t->ec, t->sc, pd};

		WAIT(t->value[0]);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, ends[i % 3])));
		CHECK(stands(t));
	}
}

static void note(struct frame *f)
{
	f->value[0]++;
	f->value[1] = f->cpu;
	f->utcb->mtd = 0;
}

/* A thread that runs elsewhere is recalled there. */
static void recall(void)
{
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		unsigned long base = sel_range(5);
		struct frame *h = make_handler(SEL_ROOT_PD, cpu, note), *t;
		uint64_t before;

		give_recall(base, h);
		t = make_idle_thread(SEL_ROOT_PD, cpu, spin, 0, base);
		start_thread(t, 1, 1000);
		WAIT(t->value[0]);
		for (unsigned i = 1; i <= 20; i++) {
			EQUAL(ec_recall(t->ec), SUCCESS);
			WAIT(h->value[0] == i);
		}
		before = t->value[0];
		WAIT(t->value[0] != before);
		EQUAL(h->value[1], cpu);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->ec)));
	}
}

/* Reads a page in a loop until that faults. */
static void reader(struct frame *f)
{
	uint64_t value;

	while (probe_read((void *)f->argument, &value) == 0) {
		f->value[1] = value;
		f->value[0]++;
	}
	f->value[2] = last_fault[f->cpu].address;
	f->value[3] = 1;
}

/*
 * Until each thread of the other CPUs has faulted, or has done its loop again;
 * without a call of ours, which might help the kernel to remember.
 */
static void wait_for_them(struct frame *const *t)
{
	uint64_t end = in_us(200000), before[MAX_CPUS];

	for (unsigned cpu = 0; cpu < cpus; cpu++)
		before[cpu] = t[cpu]->value[0];
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		while (cpu != boot_cpu && !t[cpu]->value[3] &&
		       t[cpu]->value[0] < before[cpu] + 10 && rdtsc() < end)
			__asm__ volatile("pause");
}

/* A page of all CPUs' threads, which use it, loses rights. Their PD comes back. */
static unsigned long take_back(struct frame *t[], function *use, unsigned given, unsigned taken)
{
	unsigned long pd = make_pd(), at = free_pages(0);

	SETUP(give_at(pd, CRD(CRD_MEM, given, 0, page_number(page)), ITEM_DELEGATE,
		      CRD(CRD_MEM, given, 0, at / PAGE_SIZE)));
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		t[cpu] = make_thread(pd, cpu, 1, use, at);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		WAIT(t[cpu]->value[0]);
	EQUAL(revoke(CRD(CRD_MEM, taken, 0, page_number(page))), SUCCESS);
	return pd;
}

/* After a revoke no CPU has the page: nobody reads what is written then. */
static void shootdown(void)
{
	may_fault = true; /* once the PD is gone */
	for (unsigned i = 0; i < 8; i++) {
		struct frame *t[MAX_CPUS];
		unsigned long pd;

		*(uint64_t *)page[0] = 1;
		pd = take_back(t, reader, MEM_R, RIGHTS_ALL);
		*(volatile uint64_t *)page[0] = 2;
		wait_for_them(t);
		for (unsigned cpu = 0; cpu < cpus; cpu++) {
			WAIT(t[cpu]->value[3]);
			EQUAL(t[cpu]->value[1], 1);
			EQUAL(t[cpu]->value[2], t[cpu]->argument);
		}
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, pd)));
		for (unsigned cpu = 0; cpu < cpus; cpu++)
			SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t[cpu]->ec)));
	}
}

static void writer(struct frame *f)
{
	while (probe_write((void *)f->argument, f->value[0]) == 0)
		f->value[0]++;
	f->value[1] = last_fault[f->cpu].error;
	f->value[3] = 1;
}

/* The same for the right to write. */
static void shootdown_write(void)
{
	struct frame *t[MAX_CPUS];

	(void)take_back(t, writer, RIGHTS_ALL, MEM_W);
	*(volatile uint64_t *)page[0] = ~0ul;
	wait_for_them(t);
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		WAIT(t[cpu]->value[3]);
		EQUAL(t[cpu]->value[1], 7);
	}
	EQUAL(*(volatile uint64_t *)page[0], ~0ul);
}

enum { TIMES = 300 };

/* Makes and destroys objects; its selectors are its own. */
static void churn(struct frame *f)
{
	unsigned long s = SEL_MANY + f->cpu * 16;

	for (unsigned i = 0; i < TIMES; i++) {
		EQUAL(create_sm(s, SEL_ROOT_PD, 0), SUCCESS);
		/* A UTCB of another CPU's EC may go a little later. */
		EQUAL(create_ec(s + 1, SEL_ROOT_PD, i % 2, f->argument + i * PAGE_SIZE, i % cpus, 0,
				0),
		      SUCCESS);
		EQUAL(create_pd(s + 2, SEL_ROOT_PD, CRD(CRD_OBJ, RIGHTS_ALL, 2, s), 20), SUCCESS);
		EQUAL(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, i % 5 ? 2 : 1, s)), SUCCESS);
		EQUAL(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 2, s)), SUCCESS);
		f->value[0]++;
		if (i % 8 == 0)
			sleep_us(300);
	}
	f->value[1] = 1;
}

/* All CPUs make and destroy at once; all memory comes back. */
static void churn_all(void)
{
	struct frame *t[MAX_CPUS];
	unsigned long before;

	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		t[cpu] = make_idle_thread(SEL_ROOT_PD, cpu, churn, free_pages(9),
					  common_events(SEL_ROOT_PD, cpu));
	}
	before = usage_settled(SEL_ROOT_PD);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		start_thread(t[cpu], 1, 1000);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		WAIT(t[cpu]->value[1]);
	/* What is left: the SCs, page tables, what the capabilities need. */
	before += 3 + 2 * cpus;
	WAIT(usage(SEL_ROOT_PD) <= before);
}

static volatile bool stop;

static void delegate_loop(struct frame *f)
{
	uint64_t crd = CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page));
	uint64_t at = CRD(CRD_MEM, RIGHTS_ALL, 3, f->argument / PAGE_SIZE);

	while (!stop) {
		put_item(f->utcb, 0, crd, ITEM(ITEM_DELEGATE, 0, f->cpu));
		f->utcb->items = UTCB_ITEMS(0, 1);
		f->value[1] += delegate(SEL_ROOT_PD, at, f->value[2]) != SUCCESS;
		f->value[0]++;
	}
	f->value[3] = 1;
}

static void revoke_loop(struct frame *f)
{
	while (!stop) {
		f->value[1] += revoke(CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page))) != SUCCESS;
		f->value[0]++;
	}
	f->value[3] = 1;
}

static void use_loop(struct frame *f)
{
	uint64_t value;

	while (!stop) {
		for (unsigned i = 0; i < 8; i++) {
			f->value[1] += probe_read((void *)(f->argument + i * PAGE_SIZE), &value) ==
				       0;
		}
		f->value[0]++;
	}
	f->value[3] = 1;
}

/* Delegation, revocation and use of the same pages, all at once. */
static void delegate_race(void)
{
	struct frame *t[3 * MAX_CPUS];
	unsigned long pd = make_pd(), at = free_pages(3), n = 0;

	stop = false;
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		t[n] = make_idle_thread(SEL_ROOT_PD, cpu, delegate_loop, at,
					common_events(SEL_ROOT_PD, cpu));
		t[n]->value[2] = pd;
		start_thread(t[n++], 1, 500);
		t[n++] = make_thread(SEL_ROOT_PD, cpu, 1, revoke_loop, 0);
		t[n++] = make_thread(pd, cpu, 1, use_loop, at);
	}
	for (unsigned i = 0; i < n; i++)
		WAIT(t[i]->value[0] > 100);
	stop = true;
	for (unsigned i = 0; i < n; i++) {
		WAIT(t[i]->value[3]);
		EQUAL(t[i]->value[1] != 0 && t[i]->function != use_loop, 0);
	}
}

static void grab(struct frame *f)
{
	f->utcb->items = 0;
	for (unsigned i = 0; i < 200; i++) {
		enum status s = call(f->argument);

		f->value[1] += s != SUCCESS && s != ABORTED && s != TIMEOUT && s != BAD_CAPABILITY;
	}
	f->value[0] = 1;
}

static void brief(struct frame *f)
{
	(void)!sm_down(SEL_FOREVER, in_us(10));
	f->value[0]++;
}

/* Handlers are destroyed from another CPU while they are called. */
static void destroy_called(void)
{
	unsigned cpu = other_cpu();

	for (unsigned i = 0; i < 10; i++) {
		struct frame *h = make_handler(SEL_ROOT_PD, cpu, brief);
		unsigned long pt = make_portal(h, 0, 0);
		struct frame *a = make_thread(SEL_ROOT_PD, cpu, 3, grab, pt);
		struct frame *b = make_thread(SEL_ROOT_PD, cpu, 4, grab, pt);

		WAIT(h->value[0] > 2);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, i % 2 ? h->ec : pt)));
		WAIT(a->value[0] && b->value[0]);
		EQUAL(a->value[1] + b->value[1], 0);
	}
}

/* Registers of the FPU on several CPUs at once: fpu.c has the rest. */

static void fpu_spin(struct frame *f)
{
	fpu_fill(f->argument);
	while (!stop) {
		f->value[1] += fpu_compare(f->argument);
		f->value[0]++;
	}
	f->value[3] = 1;
}

static void fpu(void)
{
	struct frame *t[2 * MAX_CPUS];
	unsigned n = 0;

	stop = false;
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		for (unsigned i = 0; i < 2; i++) {
			t[n] = make_idle_thread(SEL_ROOT_PD, cpu, fpu_spin, n * 0x10001,
						common_events(SEL_ROOT_PD, cpu));
			start_thread(t[n++], 1, 500);
		}
	}
	for (unsigned i = 0; i < n; i++)
		WAIT(t[i]->value[0] > 1000);
	stop = true;
	for (unsigned i = 0; i < n; i++) {
		WAIT(t[i]->value[3]);
		EQUAL(t[i]->value[1], 0);
	}
}

const struct test smp_tests[] = {
	{"smp.threads", threads, 2},
	{"smp.call_other", call_other, 2},
	{"smp.event_other", event_other, 2},
	{"smp.ring", ring, 2},
	{"smp.contended", contended, 2},
	{"smp.deadline_race", deadline_race, 2},
	{"smp.destroyed_sm", destroyed_sm, 2},
	{"smp.destroyed_thread", destroyed_thread, 2},
	{"smp.recall", recall, 2},
	{"smp.shootdown", shootdown, 2},
	{"smp.shootdown_write", shootdown_write, 2},
	{"smp.churn_all", churn_all, 2},
	{"smp.delegate_race", delegate_race, 2},
	{"smp.destroy_called", destroy_called, 2},
	{"smp.fpu", fpu, 2},
	{0},
};
