/*
 * Scheduling on one CPU: priorities, quanta, yield.
 */
#include "test.h"

static unsigned long events(void)
{
	return common_events(SEL_ROOT_PD, boot_cpu);
}

static void mark(struct frame *f)
{
	f->value[0] = 1;
}

/* A thread of higher priority runs before create_sc returns. */
static void preempts_at_start(void)
{
	for (unsigned p = 2; p <= 127; p += 25) {
		struct frame *t = make_thread(SEL_ROOT_PD, boot_cpu, p, mark, 0);

		EQUAL(t->value[0], 1);
	}
}

static void mark_woken(struct frame *f)
{
	SETUP(sm_down(f->argument, 0));
	f->value[0] = 1;
}

/* One that is woken runs before sm_up returns. */
static void preempts_at_up(void)
{
	unsigned long sm = make_sm(0);
	struct frame *t = make_thread(SEL_ROOT_PD, boot_cpu, 5, mark_woken, sm);

	EQUAL(t->value[0], 0);
	SETUP(sm_up(sm));
	EQUAL(t->value[0], 1);
}

static unsigned order[32], arrived;

static void arrive(struct frame *f)
{
	(void)!sm_down(f->value[0], 0);
	order[arrived++] = (unsigned)f->argument;
}

/* Those that become ready at once all run before whoever made them so, the highest first. */
static void preempt_together(void)
{
	static const unsigned priorities[] = {7, 9, 8};
	unsigned long sm = make_sm(0);

	arrived = 0;
	for (unsigned i = 0; i < 3; i++) {
		struct frame *t = make_idle_thread(SEL_ROOT_PD, boot_cpu, arrive, priorities[i],
						   events());

		t->value[0] = sm;
		start_thread(t, priorities[i], 1000);
	}
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)));
	EQUAL(arrived, 3);
	for (unsigned i = 0; i < 3; i++)
		EQUAL(order[i], 9 - i);
}

static struct frame *other;

static void wakes_lower(struct frame *f)
{
	SETUP(sm_up(f->argument));
	spin_us(5000);
	f->value[0] = 1 + other->value[0];
}

/* One of lower priority waits, for however long. */
static void lower_waits(void)
{
	unsigned long sm = make_sm(0);
	struct frame *t;

	other = make_thread(SEL_ROOT_PD, boot_cpu, 4, mark_woken, sm);
	t = make_thread(SEL_ROOT_PD, boot_cpu, 5, wakes_lower, sm);
	EQUAL(t->value[0], 1);
	WAIT(other->value[0]);
}

enum { STARTED = 20 };

static void start_many(struct frame *f)
{
	(void)f;
	for (unsigned i = 0; i < STARTED; i++) {
		unsigned priority = 2 + i * 7 % STARTED * 6;

		make_thread(SEL_ROOT_PD, boot_cpu, priority, arrive, priority);
	}
}

/* The highest of those that are ready comes first. */
static void by_priority(void)
{
	arrived = 0;
	make_thread(SEL_ROOT_PD, boot_cpu, 126, start_many, 0);
	WAIT(arrived == STARTED);
	for (unsigned i = 1; i < STARTED; i++)
		CHECK(order[i] < order[i - 1]);
}

static volatile bool stop;

/* Counts in value[0] for a test that wants to see it run. */
static void spin(struct frame *f)
{
	while (!stop)
		f->value[0]++;
}

/*
 * Threads that take turns. A turn's length is not compared with that of others:
 * the machine may be away in any of them, for any time.
 */
enum { TURNS, SHORTEST };

static struct frame *volatile at_turn;

static void take_turns(struct frame *f)
{
	uint64_t start = 0, now = ~0ul;

	f->value[SHORTEST] = ~0ul;
	while (!stop) {
		if (at_turn != f) {
			at_turn = f;
			if (f->value[TURNS]++ && now - start < f->value[SHORTEST])
				f->value[SHORTEST] = now - start;
			start = rdtsc();
		}
		now = rdtsc();
	}
}

static void has_quantum(const struct frame *f, unsigned us)
{
	uint64_t time;

	WAIT(f->value[TURNS] >= 20);
	SETUP(sc_time(f->sc, &time));
	/* That of the kernel: it may be away as well, but no turn can be shorter. */
	CHECK(time >= f->value[TURNS] * us / 2);
	/* Now and then nothing comes in between. */
	WAIT(f->value[SHORTEST] < tsc_of_us(2 * us));
}

/* Two that never wait, with their quanta. */
static void compete(unsigned quantum_a, unsigned quantum_b)
{
	struct frame *a = make_idle_thread(SEL_ROOT_PD, boot_cpu, take_turns, 0, events());
	struct frame *b = make_idle_thread(SEL_ROOT_PD, boot_cpu, take_turns, 0, events());

	stop = false;
	at_turn = NULL;
	start_thread(a, 1, quantum_a);
	start_thread(b, 1, quantum_b);
	has_quantum(a, quantum_a);
	has_quantum(b, quantum_b);
	/* After one comes the other. */
	CHECK(a->value[TURNS] <= b->value[TURNS] + 4);
	CHECK(b->value[TURNS] <= a->value[TURNS] + 4);
	stop = true;
}

/* Equals take turns. */
static void round_robin(void)
{
	compete(1000, 1000);
}

/* A quantum is what was asked for. */
static void quantum(void)
{
	compete(1000, 6000);
}

static volatile uint64_t main_count;

/*
 * Beside one that never waits: how short its shortest turn is, but for the first. The times are
 * from before and behind the look, wherever in between its turn is.
 */
static void note_turns(struct frame *f)
{
	uint64_t seen = main_count, last = rdtsc(), before, count, now;

	f->value[SHORTEST] = ~0ul;
	while (!stop) {
		before = rdtsc();
		count = main_count;
		now = rdtsc();
		if (count != seen && f->value[TURNS]++ && now - last < f->value[SHORTEST])
			f->value[SHORTEST] = now - last;
		seen = count;
		last = before;
	}
}

/* Root has 10 ms. */
static void root_quantum(void)
{
	enum { QUANTUM_US = 10000, MANY = 1000 };
	struct frame *t = make_idle_thread(SEL_ROOT_PD, boot_cpu, note_turns, 0, events());

	stop = false;
	start_thread(t, 1, 1000);
	while (t->value[TURNS] < 4 ||
	       (t->value[TURNS] < MANY && t->value[SHORTEST] > tsc_of_us(2 * QUANTUM_US)))
		main_count++;
	stop = true;
	CHECK(t->value[SHORTEST] >= tsc_of_us(QUANTUM_US));
	CHECK(t->value[SHORTEST] <= tsc_of_us(2 * QUANTUM_US));
}

static void yielder(struct frame *f)
{
	for (unsigned i = 0; i < 100; i++) {
		f->value[0]++;
		EQUAL(syscall_3(CALL_ID(CALL_EC_CTRL, EC_YIELD, 0), 0, 0), SUCCESS);
		if (other && other != f) {
			uint64_t mine = f->value[0], its = other->value[0];

			CHECK(mine <= its + 1 && its <= mine + 1);
		}
	}
	f->value[1] = 1;
}

static void start_yielders(struct frame *f)
{
	struct frame *a = make_idle_thread(SEL_ROOT_PD, boot_cpu, yielder, 0, events());

	other = make_idle_thread(SEL_ROOT_PD, boot_cpu, yielder, 0, events());
	start_thread(a, 5, LONG_US);
	start_thread(other, 5, LONG_US);
	f->value[0] = 1;
	f->value[1] = (uint64_t)a;
}

/* Who yields lets its equals run, long before its quantum is over. */
static void yield(void)
{
	struct frame *t, *a;

	other = NULL;
	t = make_thread(SEL_ROOT_PD, boot_cpu, 126, start_yielders, 0);
	EQUAL(t->value[0], 1);
	a = (struct frame *)t->value[1];
	WAIT(a->value[1] && other->value[1]);
	EQUAL(a->value[0], 100);
	EQUAL(other->value[0], 100);
}

static void is_first(struct frame *f)
{
	/* A thread above runs, and this one goes on, not its equal. */
	SETUP(sm_up(f->argument));
	f->value[0] = 1 + other->value[0];
}

static void start_equals(struct frame *f)
{
	unsigned long sm = make_sm(0);
	struct frame *a, *high;

	high = make_thread(SEL_ROOT_PD, boot_cpu, 120, mark_woken, sm);
	a = make_idle_thread(SEL_ROOT_PD, boot_cpu, is_first, sm, events());
	other = make_idle_thread(SEL_ROOT_PD, boot_cpu, mark, 0, events());
	start_thread(a, 5, LONG_US);
	start_thread(other, 5, LONG_US);
	f->value[0] = (uint64_t)a;
	f->value[1] = (uint64_t)high;
}

/* Who was preempted goes on before its equals, with what it had left. */
static void preempted_goes_on(void)
{
	struct frame *t = make_thread(SEL_ROOT_PD, boot_cpu, 127, start_equals, 0);
	struct frame *a, *high;

	WAIT(t->value[1]);
	a = (struct frame *)t->value[0];
	high = (struct frame *)t->value[1];
	WAIT(a->value[0] && other->value[0]);
	EQUAL(high->value[0], 1);
	EQUAL(a->value[0], 1);
}

/* A spinning thread is stopped by the end of its SC, or of its EC. */
static void destroyed(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct frame *t = make_idle_thread(SEL_ROOT_PD, boot_cpu, spin, 0, events());
		uint64_t before;

		stop = false;
		start_thread(t, 1, 1000);
		WAIT(t->value[0]);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, i % 2 ? t->ec : t->sc)));
		quiesce();
		before = t->value[0];
		quiesce();
		EQUAL(t->value[0], before);
	}
}

static void destroy_self(struct frame *f)
{
	(void)!revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, f->argument ? f->ec : f->sc));
	for (;;)
		f->value[0]++;
}

/* The same, if it does that itself. */
static void destroys_itself(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct frame *t = make_idle_thread(SEL_ROOT_PD, boot_cpu, destroy_self, i % 2,
						   events());
		uint64_t before;

		start_thread(t, 1, 1000);
		quiesce();
		before = t->value[0];
		quiesce();
		EQUAL(t->value[0], before);
	}
}

const struct test schedule_tests[] = {
	{"schedule.preempts_at_start", preempts_at_start, 0},
	{"schedule.preempts_at_up", preempts_at_up, 0},
	{"schedule.preempt_together", preempt_together, 0},
	{"schedule.lower_waits", lower_waits, 0},
	{"schedule.by_priority", by_priority, 0},
	{"schedule.round_robin", round_robin, 0},
	{"schedule.quantum", quantum, 0},
	{"schedule.root_quantum", root_quantum, 0},
	{"schedule.yield", yield, 0},
	{"schedule.preempted_goes_on", preempted_goes_on, 0},
	{"schedule.destroyed", destroyed, 0},
	{"schedule.destroys_itself", destroys_itself, 0},
	{0},
};
