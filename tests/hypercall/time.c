/*
 * Time that SCs used. While the machine was away somebody else's thread may have been there, for
 * a moment otherwise: that an SC has all of its time must be seen once.
 */
#include "test.h"

enum { TRIES = 100 };

static uint64_t time_of(unsigned long sc)
{
	uint64_t us;

	EQUAL(sc_time(sc, &us), SUCCESS);
	return us;
}

static void spin(struct frame *f)
{
	for (unsigned i = 0; i < f->argument; i++) {
		SETUP(sm_down(f->value[0], 0));
		spin_us(5000);
	}
}

static uint64_t us_since(uint64_t tsc)
{
	return (rdtsc() - tsc) * 1000 / hip->tsc_khz;
}

/* An SC's time grows while its thread runs, and not while it sleeps. */
static void thread(void)
{
	struct frame *t = make_idle_thread(SEL_ROOT_PD, boot_cpu, spin, TRIES,
					   common_events(SEL_ROOT_PD, boot_cpu));
	uint64_t start = rdtsc(), before, after;
	bool all = false;

	t->value[0] = make_sm(0);
	start_thread(t, 5, 1000);
	before = time_of(t->sc);
	CHECK(before <= us_since(start));
	for (unsigned i = 0; i < 3 || (i < TRIES && !all); i++) {
		sleep_us(10000);
		EQUAL(time_of(t->sc), before);
		start = rdtsc();
		SETUP(sm_up(t->value[0]));
		after = time_of(t->sc);
		CHECK(after <= before + us_since(start) + 1);
		all = all || after >= before + 4900;
		before = after;
	}
	CHECK(all);
}

/* The caller's own SC, while it runs. */
static void own(void)
{
	bool all = false;

	for (unsigned i = 0; i < TRIES && !all; i++) {
		uint64_t before = time_of(SEL_ROOT_SC);

		spin_us(3000);
		all = time_of(SEL_ROOT_SC) >= before + 2900;
	}
	CHECK(all);
}

static void slow(struct frame *f)
{
	(void)f;
	spin_us(5000);
}

/* A handler's time is its caller's. */
static void handler(void)
{
	unsigned long pt = make_portal(make_handler(SEL_ROOT_PD, boot_cpu, slow), 0, 0);
	bool all = false;

	for (unsigned i = 0; i < TRIES && !all; i++) {
		uint64_t before = time_of(SEL_ROOT_SC);

		SETUP(call(pt));
		all = time_of(SEL_ROOT_SC) >= before + 4900;
	}
	CHECK(all);
}

/* The kernel's idle SCs count what is left. */
static void idle(void)
{
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		unsigned long sc = sel();
		uint64_t before;

		SETUP(take(CRD(CRD_OBJ, RIGHTS_ALL, 0, KERNEL_SEL_IDLE_SC + cpu), 0,
			   CRD(CRD_OBJ, RIGHTS_ALL, 0, sc)));
		before = time_of(sc);
		WAIT(time_of(sc) >= before + 5000);
		if (cpu == boot_cpu) {
			before = time_of(sc);
			spin_us(5000);
			EQUAL(time_of(sc), before);
		}
	}
}

static void capability(void)
{
	uint64_t us;

	EQUAL(sc_time(sel(), &us), BAD_CAPABILITY);
	EQUAL(sc_time(SEL_ROOT_EC, &us), BAD_CAPABILITY);
	EQUAL(sc_time(hip->selectors, &us), BAD_CAPABILITY);
	EQUAL(sc_time(with_rights(SEL_ROOT_SC, RIGHTS_ALL & ~SC_CONTROL), &us), BAD_CAPABILITY);
	EQUAL(sc_time(with_rights(SEL_ROOT_SC, SC_CONTROL), &us), SUCCESS);
	for (unsigned op = 4; op < 16; op++)
		EQUAL(syscall_3(CALL_ID(CALL_SC_CTRL, op, SEL_ROOT_SC), 0, 0), BAD_PARAMETER);
}

const struct test time_tests[] = {
	{"time.thread", thread, 0},	    {"time.own", own, 0},
	{"time.handler", handler, 0},	    {"time.idle", idle, 0},
	{"time.capability", capability, 0}, {0},
};
