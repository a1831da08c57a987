/*
 * Signals: semaphores chained to another, which a down there tells apart.
 */
#include "test.h"

enum { NOTHING = 0x1234, DEADLINE_PASSED = 1 };

static unsigned long make_signal(unsigned long value, unsigned long sm)
{
	unsigned long signal = sel();

	SETUP(create_signal(signal, SEL_ROOT_PD, value, sm));
	return signal;
}

/* A down that does not wait; what it says in RSI and RDX. */
static enum status down(unsigned long sm, uint64_t *value, uint64_t *count)
{
	struct syscall s = {0, DEADLINE_PASSED, 0, 0};
	enum status status = syscall_5(CALL_ID(CALL_SM_CTRL, SM_DOWN, sm), &s);

	*value = s.rsi;
	*count = s.rdx;
	return status;
}

static void expect(unsigned long sm, uint64_t value, uint64_t count)
{
	uint64_t v, c;

	EQUAL(down(sm, &v, &c), SUCCESS);
	EQUAL(v, value);
	EQUAL(c, count);
}

static void expect_none(unsigned long sm)
{
	uint64_t v, c;

	EQUAL(down(sm, &v, &c), TIMEOUT);
	EQUAL(v, 0);
	EQUAL(c, DEADLINE_PASSED);
}

/* Counted until taken; in order of their first ups; plain ups beside. */
static void counts(void)
{
	unsigned long sm = make_sm(0);
	unsigned long a = make_signal(0xa0000000a, sm);
	unsigned long b = make_signal(0xb, sm);

	expect_none(sm);
	for (unsigned i = 0; i < 3; i++) {
		EQUAL(sm_up(b), SUCCESS);
		EQUAL(sm_up(a), SUCCESS);
		EQUAL(sm_up(a), SUCCESS);
	}
	expect(sm, 0xb, 3);
	EQUAL(sm_up(b), SUCCESS);
	expect(sm, 0xa0000000a, 6);
	expect(sm, 0xb, 1);
	expect_none(sm);
	EQUAL(sm_up(sm), SUCCESS);
	expect(sm, 0, DEADLINE_PASSED);
	EQUAL(sm_up(sm), SUCCESS);
	EQUAL(sm_up(a), SUCCESS);
	EQUAL(sm_down_all(sm, 1), SUCCESS);
	EQUAL(sm_down_all(sm, 1), SUCCESS);
	expect_none(sm);
}

static void refused(void)
{
	unsigned long sm = make_sm(0), a = make_signal(1, sm);

	EQUAL(sm_down(a, 1), BAD_CAPABILITY);
	EQUAL(sm_down_all(a, 0), BAD_CAPABILITY);
	EQUAL(sm_up(with_rights(a, SM_RIGHT_DOWN)), BAD_CAPABILITY);
	EQUAL(sm_up(a), SUCCESS);
	EQUAL(sm_down(a, 1), BAD_CAPABILITY);
	expect(sm, 1, 1);
}

static void wait_for_it(struct frame *f)
{
	for (;;) {
		struct syscall s = {0, 0, 0, 0};

		f->value[0] = 1 + syscall_5(CALL_ID(CALL_SM_CTRL, SM_DOWN, f->argument), &s);
		f->value[1] = s.rsi;
		f->value[2] = s.rdx;
		f->value[3]++;
	}
}

/* Who sleeps there is told, on any CPU. */
static void wakes(void)
{
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		unsigned long sm = make_sm(0), a, b;
		struct frame *t = make_thread(SEL_ROOT_PD, cpu, 5, wait_for_it, sm);

		quiesce();
		a = make_signal(0x77, sm);
		b = make_signal(0x88, sm);
		for (unsigned i = 0; i < 4; i++) {
			EQUAL(sm_up(i % 2 ? a : b), SUCCESS);
			WAIT(t->value[3] == i + 1);
			EQUAL(t->value[0], 1 + SUCCESS);
			EQUAL(t->value[1], i % 2 ? 0x77 : 0x88);
			EQUAL(t->value[2], 1);
		}
		EQUAL(sm_up(sm), SUCCESS);
		WAIT(t->value[3] == 5);
		EQUAL(t->value[1], 0);
		EQUAL(t->value[2], 0);
	}
}

static void destroy(unsigned long selector)
{
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, selector)));
}

/* A signal that is gone is not told of; without its SM it is only counted. */
static void destroyed(void)
{
	unsigned long sm = make_sm(0);
	unsigned long a = make_signal(1, sm), b = make_signal(2, sm);

	EQUAL(sm_up(a), SUCCESS);
	EQUAL(sm_up(b), SUCCESS);
	destroy(a);
	expect(sm, 2, 1);
	expect(sm, 0, DEADLINE_PASSED); /* the count that a left */
	expect_none(sm);
	EQUAL(sm_up(b), SUCCESS);
	destroy(sm);
	EQUAL(sm_up(b), SUCCESS);
	quiesce();
	EQUAL(sm_up(b), SUCCESS);
	destroy(b);
}

static void ups(struct frame *f)
{
	for (unsigned i = 0; i < 400; i++)
		f->value[0] += sm_up(f->argument) != SUCCESS;
	f->value[1] = 1;
}

/* From all CPUs at once: every up is counted once. */
static void race(void)
{
	unsigned long sm = make_sm(0);
	struct frame *t[MAX_CPUS];
	uint64_t sum[MAX_CPUS] = {0}, v, c;
	bool done = false;

	for (unsigned cpu = 0; cpu < cpus; cpu++)
		t[cpu] = make_thread(SEL_ROOT_PD, cpu, 1, ups, make_signal(cpu, sm));
	while (!done) {
		done = true;
		for (unsigned cpu = 0; cpu < cpus; cpu++)
			done = done && t[cpu]->value[1];
		while (down(sm, &v, &c) == SUCCESS) {
			NEED(v < cpus);
			sum[v] += c;
		}
	}
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		EQUAL(t[cpu]->value[0], 0);
		EQUAL(sum[cpu], 400);
	}
}

const struct test signal_tests[] = {
	{"signal.counts", counts, 0}, {"signal.refused", refused, 0},
	{"signal.wakes", wakes, 0},   {"signal.destroyed", destroyed, 0},
	{"signal.race", race, 0},     {0},
};
