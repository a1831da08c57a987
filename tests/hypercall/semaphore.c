/*
 * Semaphores: counting, sleeping, deadlines, destruction.
 */
#include "test.h"

enum { PRIORITY = 5 };

/* The deadline of something that must not sleep: in the past. */
enum { NOW = 1 };

/* The count is that of creation, plus ups, minus downs. */
static void counts(void)
{
	unsigned long sm = make_sm(3);

	for (unsigned i = 0; i < 3; i++)
		EQUAL(sm_down(sm, NOW), SUCCESS);
	EQUAL(sm_down(sm, NOW), TIMEOUT);
	EQUAL(sm_up(sm), SUCCESS);
	EQUAL(sm_up(sm), SUCCESS);
	EQUAL(sm_down(sm, 0), SUCCESS);
	EQUAL(sm_down(sm, 0), SUCCESS);
	EQUAL(sm_down(sm, NOW), TIMEOUT);
}

/* Down to zero takes all there is, and at least one. */
static void zero(void)
{
	unsigned long sm = make_sm(1000);

	EQUAL(sm_down_all(sm, NOW), SUCCESS);
	EQUAL(sm_down_all(sm, NOW), TIMEOUT);
	SETUP(sm_up(sm));
	EQUAL(sm_down_all(sm, NOW), SUCCESS);
	EQUAL(sm_down(sm, NOW), TIMEOUT);
}

static void capability(void)
{
	unsigned long sm = make_sm(1),
		      pt = make_portal(make_handler(SEL_ROOT_PD, boot_cpu, echo), 0, 0);
	const unsigned long bad[] = {sel(), SEL_ROOT_PD,    SEL_ROOT_EC,	 SEL_ROOT_SC,
				     pt,    hip->selectors, hip->selectors + sm, ~0ul >> 8};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EQUAL(sm_up(bad[i]), BAD_CAPABILITY);
		EQUAL(sm_down(bad[i], NOW), BAD_CAPABILITY);
		EQUAL(sm_down_all(bad[i], NOW), BAD_CAPABILITY);
	}
	EQUAL(sm_up(with_rights(sm, RIGHTS_ALL & ~SM_RIGHT_UP)), BAD_CAPABILITY);
	EQUAL(sm_down(with_rights(sm, RIGHTS_ALL & ~SM_RIGHT_DOWN), NOW), BAD_CAPABILITY);
	EQUAL(sm_up(with_rights(sm, SM_RIGHT_UP)), SUCCESS);
	EQUAL(sm_down(with_rights(sm, SM_RIGHT_DOWN), NOW), SUCCESS);
	EQUAL(sm_down(sm, NOW), SUCCESS);
	EQUAL(sm_down(sm, NOW), TIMEOUT);
}

/* Not before the deadline; nor long after it, if the machine was not away. */
static void deadline(void)
{
	unsigned long sm = make_sm(0);
	static const unsigned us[] = {0, 1, 10, 100, 1000, 20000};

	for (unsigned i = 0; i < sizeof(us) / sizeof(*us); i++) {
		bool soon = false;

		for (unsigned n = 0; n < 500 && !soon; n++) {
			uint64_t end = in_us(us[i]);

			EQUAL(sm_down(sm, end), TIMEOUT);
			CHECK(rdtsc() >= end);
			soon = rdtsc() < end + tsc_of_us(2000);
		}
		CHECK(soon);
	}
	EQUAL(sm_down(sm, NOW), TIMEOUT);
	SETUP(sm_up(sm));
	EQUAL(sm_down(sm, NOW), SUCCESS);
}

/* Of an up the flag for all of the count says nothing. */
static void flags(void)
{
	unsigned long sm = make_sm(0);
	unsigned long up = CALL_ID(CALL_SM_CTRL, FLAG_SM_ZERO, 0);

	EQUAL(syscall_3(up | with_rights(sm, SM_RIGHT_UP) << 8, 0, 0), SUCCESS);
	EQUAL(syscall_3(up | with_rights(sm, SM_RIGHT_DOWN) << 8, 0, 0), BAD_CAPABILITY);
	EQUAL(sm_down(sm, NOW), SUCCESS);
	EQUAL(sm_down(sm, NOW), TIMEOUT);
}

static unsigned order[64];
static volatile unsigned arrived;

static void in_order(struct frame *f)
{
	EQUAL(sm_down(f->argument, 0), SUCCESS);
	order[arrived++] = (unsigned)f->value[0];
}

/* Who slept first is woken first, whatever the priorities. */
static void first_come(void)
{
	enum { N = 12 };
	unsigned long sm = make_sm(0);

	arrived = 0;
	for (unsigned i = 0; i < N; i++) {
		struct frame *f = make_thread(SEL_ROOT_PD, boot_cpu, PRIORITY + i * 7 % N, in_order,
					      sm);

		f->value[0] = i;
	}
	for (unsigned i = 0; i < N; i++) {
		EQUAL(arrived, i);
		SETUP(sm_up(sm));
		EQUAL(arrived, i + 1);
		EQUAL(order[i], i);
	}
}

static void until(struct frame *f)
{
	f->value[1] = 1 + sm_down(SEL_FOREVER, f->value[0]);
	f->value[2] = rdtsc();
	order[arrived++ % 64] = (unsigned)f->argument;
}

/*
 * Many sleep, with deadlines in no order; whether all did before the first one.
 * Of those that are late together the first has the highest priority.
 */
enum { SLEEPERS = 40, APART_US = 500, FIRST_PRIORITY = 100 };

static bool sleep_until(uint64_t start)
{
	struct frame *t[SLEEPERS];
	bool in_time;

	arrived = 0;
	for (unsigned i = 0; i < SLEEPERS; i++) {
		unsigned place = i * 23 % SLEEPERS;

		t[i] = make_idle_thread(SEL_ROOT_PD, boot_cpu, until, place,
					common_events(SEL_ROOT_PD, boot_cpu));
		t[i]->value[0] = start + place * tsc_of_us(APART_US);
	}
	for (unsigned i = 0; i < SLEEPERS; i++)
		start_thread(t[i], FIRST_PRIORITY - (unsigned)t[i]->argument, 1000);
	in_time = rdtsc() < start;
	WAIT(arrived == SLEEPERS);
	for (unsigned i = 0; i < SLEEPERS; i++) {
		EQUAL(t[i]->value[1], 1 + TIMEOUT);
		CHECK(t[i]->value[2] >= t[i]->value[0]);
	}
	return in_time;
}

/* Nobody wakes too early, and they do it in the order of their deadlines. */
static void deadlines(void)
{
	for (unsigned us = 20000; !sleep_until(in_us(us)); us *= 2)
		clean();
	for (unsigned i = 0; i < SLEEPERS; i++)
		EQUAL(order[i], i);
}

static void sleep_twice(struct frame *f)
{
	f->value[1] = 1 + sm_down(f->argument, f->value[0]);
	f->value[2] = 1 + sm_down(f->value[3], 0);
}

/* Some sleep, with a deadline each, and others beside them; whether none is missed. */
static bool up_in_time(uint64_t deadline, unsigned long second)
{
	enum { THREADS = 8 };
	unsigned long first[THREADS];
	struct frame *t[2 * THREADS];
	bool in_time = true;

	for (unsigned i = 0; i < 2 * THREADS; i++) {
		if (i < THREADS)
			first[i] = make_sm(0);
		t[i] = make_idle_thread(SEL_ROOT_PD, boot_cpu, sleep_twice,
					i < THREADS ? first[i] : SEL_FOREVER,
					common_events(SEL_ROOT_PD, boot_cpu));
		t[i]->value[0] = deadline - i * 3 % THREADS;
		t[i]->value[3] = second;
		start_thread(t[i], PRIORITY, 1000);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		struct frame *woken = t[i * 5 % THREADS];

		SETUP(sm_up(woken->argument));
		in_time = in_time && woken->value[1] == 1 + SUCCESS;
	}
	for (unsigned i = THREADS; i < 2 * THREADS; i++) {
		WAIT(t[i]->value[1]);
		EQUAL(t[i]->value[1], 1 + TIMEOUT);
		CHECK(rdtsc() >= t[i]->value[0]);
	}
	/* By now all deadlines are over. */
	quiesce();
	for (unsigned i = 0; i < 2 * THREADS; i++)
		EQUAL(t[i]->value[2], 0);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, second)));
	for (unsigned i = 0; i < 2 * THREADS; i++) {
		WAIT(t[i]->value[2]);
		EQUAL(t[i]->value[2], 1 + BAD_CAPABILITY);
	}
	return in_time;
}

/* An up before the deadline cancels that: it ends no later sleep. */
static void cancelled(void)
{
	for (unsigned us = 3000; !up_in_time(in_us(us), make_sm(0)); us *= 2)
		clean();
}

static void sleeper(struct frame *f)
{
	f->value[0] = 1 + sm_down(f->argument, f->value[1] ? in_us(LONG_US) : 0);
}

/* With its last capability it wakes whoever sleeps, and says why. */
static void destroyed(void)
{
	enum { N = 10 };
	unsigned long sm = make_sm(0), other = with_rights(sm, SM_RIGHT_UP);
	struct frame *t[N];

	for (unsigned i = 0; i < N; i++) {
		t[i] = make_idle_thread(SEL_ROOT_PD, boot_cpu, sleeper, sm,
					common_events(SEL_ROOT_PD, boot_cpu));
		t[i]->value[1] = i % 2;
		start_thread(t[i], PRIORITY, 1000);
	}
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, other)));
	quiesce();
	EQUAL(t[0]->value[0], 0);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)));
	for (unsigned i = 0; i < N; i++) {
		WAIT(t[i]->value[0]);
		EQUAL(t[i]->value[0], 1 + BAD_CAPABILITY);
	}
	EQUAL(sm_up(sm), BAD_CAPABILITY);
}

static void sleeper_until(struct frame *f)
{
	f->value[1] = 1 + sm_down(f->argument, f->value[0]);
}

/* Deadlines that no machine lives to see are none of these: others are still met. */
static void far(void)
{
	static const uint64_t far[] = {1ul << 62, (1ul << 63) - 1, 1ul << 63, ~0ul - 1, ~0ul};
	enum { N = sizeof(far) / sizeof(*far) };
	unsigned long sm = make_sm(0);
	struct frame *t[N];

	for (unsigned i = 0; i < N; i++) {
		t[i] = make_idle_thread(SEL_ROOT_PD, boot_cpu, sleeper_until, sm,
					common_events(SEL_ROOT_PD, boot_cpu));
		t[i]->value[0] = far[i];
		start_thread(t[i], PRIORITY, 1000);
	}
	EQUAL(sm_down(SEL_FOREVER, in_us(1000)), TIMEOUT);
	quiesce();
	for (unsigned i = 0; i < N; i++)
		EQUAL(t[i]->value[1], 0);
	for (unsigned i = 0; i < N; i++) {
		SETUP(sm_up(sm));
		EQUAL(t[i]->value[1], 1 + SUCCESS);
	}
}

/* Who sleeps on it dies: an up goes to the next one. */
static void sleeper_dies(void)
{
	unsigned long sm = make_sm(0);
	struct frame *a = make_thread(SEL_ROOT_PD, boot_cpu, PRIORITY, sleeper, sm);
	struct frame *b = make_thread(SEL_ROOT_PD, boot_cpu, PRIORITY, sleeper, sm);

	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, a->ec)));
	SETUP(sm_up(sm));
	WAIT(b->value[0]);
	EQUAL(b->value[0], 1 + SUCCESS);
	EQUAL(a->value[0], 0);
}

/* A thread with its SC taken away while it sleeps does not come back. */
static void sleeper_without_sc(void)
{
	unsigned long sm = make_sm(0);
	struct frame *a = make_thread(SEL_ROOT_PD, boot_cpu, PRIORITY, sleeper, sm);

	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, a->sc)));
	SETUP(sm_up(sm));
	quiesce();
	EQUAL(a->value[0], 0);
}

/* Two threads that wake each other in turn. */
static unsigned long ping, pong;

static void ponger(struct frame *f)
{
	for (unsigned i = 0; i < f->argument; i++) {
		SETUP(sm_down(ping, 0));
		f->value[0]++;
		SETUP(sm_up(pong));
	}
}

static void ping_pong(void)
{
	enum { TIMES = 2000 };
	struct frame *t;

	ping = make_sm(0);
	pong = make_sm(0);
	t = make_thread(SEL_ROOT_PD, boot_cpu, PRIORITY, ponger, TIMES);
	for (unsigned i = 0; i < TIMES; i++) {
		EQUAL(sm_up(ping), SUCCESS);
		EQUAL(sm_down(pong, 0), SUCCESS);
		EQUAL(t->value[0], i + 1);
	}
}

const struct test semaphore_tests[] = {
	{"semaphore.counts", counts, 0},
	{"semaphore.zero", zero, 0},
	{"semaphore.capability", capability, 0},
	{"semaphore.flags", flags, 0},
	{"semaphore.deadline", deadline, 0},
	{"semaphore.far", far, 0},
	{"semaphore.first_come", first_come, 0},
	{"semaphore.deadlines", deadlines, 0},
	{"semaphore.cancelled", cancelled, 0},
	{"semaphore.destroyed", destroyed, 0},
	{"semaphore.sleeper_dies", sleeper_dies, 0},
	{"semaphore.sleeper_without_sc", sleeper_without_sc, 0},
	{"semaphore.ping_pong", ping_pong, 0},
	{0},
};
