/*
 * ec_ctrl: recall of threads, yield.
 */
#include "test.h"

enum { PRIORITY = 5 };

extern char image_text[];

/* Event portals of the boot CPU with another one for recall. */
static unsigned long recall_events(function *run, struct frame **handler)
{
	unsigned long first = sel_range(5);

	*handler = make_handler(SEL_ROOT_PD, boot_cpu, run);
	for (unsigned i = 0; i < EVENT_THREAD_RECALL; i++) {
		SETUP(give_at(SEL_ROOT_PD,
			      CRD(CRD_OBJ, RIGHTS_ALL, 0, common_events(SEL_ROOT_PD, boot_cpu) + i),
			      ITEM_DELEGATE, CRD(CRD_OBJ, RIGHTS_ALL, 0, first + i)));
	}
	SETUP(create_pt(first + EVENT_THREAD_RECALL, SEL_ROOT_PD, (*handler)->ec,
			MTD_RIP_LEN | MTD_RSP, (unsigned long)entry_portal));
	SETUP(pt_ctrl(first + EVENT_THREAD_RECALL, EVENT_THREAD_RECALL));
	return first;
}

static void count(struct frame *f)
{
	f->value[0]++;
	f->value[1] = f->id;
	f->value[2] = f->utcb->rip;
	f->value[3] = f->utcb->rsp;
	f->utcb->mtd = 0;
}

static void spin(struct frame *f)
{
	while (!f->value[1])
		f->value[0]++;
	f->value[2] = 1;
}

/* A thread that runs reports its state, and runs on. */
static void running(void)
{
	struct frame *h, *t;
	unsigned long base = recall_events(count, &h);
	uint64_t before;

	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, spin, 0, base);
	start_thread(t, 1, 1000);
	WAIT(t->value[0]);
	EQUAL(ec_recall(t->ec), SUCCESS);
	WAIT(h->value[0] == 1);
	EQUAL(h->value[1], EVENT_THREAD_RECALL);
	CHECK(h->value[2] >= (uint64_t)image_text && h->value[2] < (uint64_t)image_text + 0x100000);
	CHECK(h->value[3] < (uint64_t)t && h->value[3] > (uint64_t)t - 4096);
	before = t->value[0];
	WAIT(t->value[0] != before);
	EQUAL(h->value[0], 1);
	t->value[1] = 1;
	WAIT(t->value[2]);
}

static void recall_many(struct frame *f)
{
	for (unsigned i = 0; i < 5; i++)
		EQUAL(ec_recall(f->argument), SUCCESS);
	f->value[0] = 1;
}

/* Several recalls before it runs are one. */
static void twice(void)
{
	struct frame *h, *t, *caller;
	unsigned long base = recall_events(count, &h);

	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, spin, 0, base);
	start_thread(t, 1, 1000);
	WAIT(t->value[0]);
	/* Whose turn it is, it does not run meanwhile. */
	caller = make_thread(SEL_ROOT_PD, boot_cpu, PRIORITY, recall_many, t->ec);
	EQUAL(caller->value[0], 1);
	WAIT(h->value[0]);
	quiesce();
	EQUAL(h->value[0], 1);
	t->value[1] = 1;
}

static void sleeper(struct frame *f)
{
	f->value[0] = 1;
	f->value[1] = 1 + sm_down(f->argument, 0);
}

/* One that sleeps stays asleep; woken, it reports, and has its result. */
static void sleeping(void)
{
	struct frame *h, *t;
	unsigned long base = recall_events(count, &h), sm = make_sm(0);

	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, sleeper, sm, base);
	start_thread(t, PRIORITY, 1000);
	EQUAL(t->value[0], 1);
	EQUAL(ec_recall(t->ec), SUCCESS);
	quiesce();
	EQUAL(t->value[1], 0);
	SETUP(sm_up(sm));
	WAIT(t->value[1]);
	EQUAL(t->value[1], 1 + SUCCESS);
	EQUAL(h->value[0], 1);
	EQUAL(sm_down(sm, 1), TIMEOUT);
}

static void caller(struct frame *f)
{
	f->value[0] = 1;
	f->utcb->items = 0;
	f->value[1] = 1 + call(f->argument);
}

static void slow(struct frame *f)
{
	SETUP(sm_down(f->argument, 0));
	f->value[0]++;
}

/* One in a call reports when that is over. */
static void in_call(void)
{
	struct frame *h, *t, *s = make_handler(SEL_ROOT_PD, boot_cpu, slow);
	unsigned long base = recall_events(count, &h);

	s->argument = make_sm(0);
	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, caller, make_portal(s, 0, 0), base);
	start_thread(t, PRIORITY, 1000);
	EQUAL(t->value[0], 1);
	EQUAL(ec_recall(t->ec), SUCCESS);
	quiesce();
	EQUAL(h->value[0], 0);
	SETUP(sm_up(s->argument));
	WAIT(t->value[1]);
	EQUAL(t->value[1], 1 + SUCCESS);
	EQUAL(h->value[0], 1);
}

static void recall_self(struct frame *f)
{
	f->value[1] = ec_recall(f->argument);
	f->value[0] = 1;
}

/* Itself: before the next instruction. */
static void self(void)
{
	struct frame *h, *t;
	unsigned long base = recall_events(count, &h);

	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, recall_self, 0, base);
	t->argument = t->ec;
	start_thread(t, PRIORITY, 1000);
	EQUAL(t->value[0], 1);
	EQUAL(t->value[1], SUCCESS);
	EQUAL(h->value[0], 1);
}

/* Without a portal for it, a recall ends the thread. */
static void no_portal(void)
{
	struct frame *h, *t;
	unsigned long base = recall_events(count, &h);
	uint64_t before;

	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, base + EVENT_THREAD_RECALL)));
	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, spin, 0, base);
	start_thread(t, 1, 1000);
	WAIT(t->value[0]);
	EQUAL(ec_recall(t->ec), SUCCESS);
	quiesce();
	before = t->value[0];
	quiesce();
	EQUAL(t->value[0], before);
}

static void capability(void)
{
	unsigned long sm = make_sm(0);
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, count);
	const unsigned long bad[] = {sel(), SEL_ROOT_PD,	  SEL_ROOT_SC,
				     sm,    make_portal(h, 0, 0), hip->selectors};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EQUAL(ec_recall(bad[i]), BAD_CAPABILITY);
	EQUAL(ec_recall(with_rights(h->ec, RIGHTS_ALL & ~EC_CONTROL)), BAD_CAPABILITY);
	EQUAL(ec_recall(with_rights(h->ec, EC_CONTROL)), SUCCESS);
	/* A handler at rest, and a thread without SC, are only marked. */
	EQUAL(ec_recall(make_idle_thread(SEL_ROOT_PD, boot_cpu, spin, 0, 0)->ec), SUCCESS);
	for (unsigned op = 9; op < 16; op++)
		EQUAL(syscall_3(CALL_ID(CALL_EC_CTRL, op, SEL_ROOT_EC), 0, 0), BAD_PARAMETER);
}

/* A handler recalled between two calls still takes the next one. */
static void idle_handler(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, echo);
	unsigned long pt = make_portal(h, 0, 0);

	my_utcb->items = 0;
	EQUAL(call(pt), SUCCESS);
	EQUAL(ec_recall(h->ec), SUCCESS);
	EQUAL(call(pt), SUCCESS);
	EQUAL(call(pt), SUCCESS);
}

const struct test recall_tests[] = {
	{"recall.running", running, 0},
	{"recall.twice", twice, 0},
	{"recall.sleeping", sleeping, 0},
	{"recall.in_call", in_call, 0},
	{"recall.self", self, 0},
	{"recall.no_portal", no_portal, 0},
	{"recall.capability", capability, 0},
	{"recall.idle_handler", idle_handler, 0},
	{0},
};
