/*
 * The heap of timeouts against a list: adding, cancelling any, firing what is
 * due in order, with deadlines that are equal; and its shape.
 */
#include "hv_fixture.h"

#include "timeout.h"

enum { TIMEOUTS = 500, STEPS = 20000, RANGE = 300 };

static struct {
	struct timeout t;
	bool armed, fired;
} timers[TIMEOUTS];

static uint64_t last_fired;
static unsigned in_heap;

static unsigned number_of(const struct timeout *t)
{
	return (unsigned)(((uint64_t)t - (uint64_t)timers) / sizeof(timers[0]));
}

static void fire(struct timeout *t)
{
	unsigned i = number_of(t);

	assert_true(timers[i].armed);
	assert_false(timers[i].fired);
	assert_true(t->deadline <= tsc_now);
	assert_true(t->deadline >= last_fired);
	last_fired = t->deadline;
	timers[i].fired = true;
}

/* The invariants of a leftist heap; its rank. */
static unsigned check(const struct timeout *t, const struct timeout *parent)
{
	if (!t)
		return 0;
	in_heap++;
	assert_ptr_equal(t->parent, parent);
	if (parent)
		assert_true(parent->deadline <= t->deadline);
	unsigned left = check(t->left, t), right = check(t->right, t);

	assert_true(left >= right);
	assert_int_equal(t->rank, right + 1);
	assert_true(timers[number_of(t)].armed);
	return right + 1;
}

static void check_all(void)
{
	struct cpu *cpu = this_cpu();
	unsigned armed = 0;

	in_heap = 0;
	check(cpu->timeouts, NULL);
	for (unsigned i = 0; i < TIMEOUTS; i++) {
		armed += timers[i].armed;
		if (!timers[i].armed)
			assert_int_equal(timers[i].t.rank, 0);
	}
	assert_int_equal(in_heap, armed);
	if (cpu->timeouts)
		assert_true(cpu->timer_armed <= cpu->timeouts->deadline);
}

static void run(void)
{
	last_fired = 0;
	/* The timer comes at once where more is due than can be done at a time. */
	do {
		timeout_run(this_cpu());
	} while (this_cpu()->timer_armed <= tsc_now);
	for (unsigned i = 0; i < TIMEOUTS; i++) {
		bool due = timers[i].armed && timers[i].t.deadline <= tsc_now;

		assert_int_equal(timers[i].fired, due);
		timers[i].armed &= !due;
		timers[i].fired = false;
	}
}

static void step(unsigned adds)
{
	unsigned i = (unsigned)rnd(TIMEOUTS);
	uint64_t what = rnd(100);

	if (what < adds && !timers[i].armed) {
		timers[i].t.deadline = tsc_now + rnd(RANGE);
		timers[i].t.fire = fire;
		timers[i].armed = true;
		timeout_add(this_cpu(), &timers[i].t);
	} else if (what < 97) {
		timeout_cancel(this_cpu(), &timers[i].t);
		timers[i].armed = false;
	} else {
		tsc_now += rnd(RANGE / 4);
		run();
	}
}

static void test_random(void **state)
{
	(void)state;
	fixture_init(1024, 1);
	for (unsigned n = 0; n < STEPS; n++) {
		step(n / 1000 % 2 ? 40 : 90);
		if (n % 8 == 0)
			check_all();
	}
	tsc_now += RANGE;
	run();
	assert_null(this_cpu()->timeouts);
	check_all();
}

/* In rising or falling order the heap degenerates to a list on the left. */
static void test_order(void **state)
{
	(void)state;
	fixture_init(1024, 1);
	for (unsigned falling = 0; falling < 2; falling++) {
		__builtin_memset(timers, 0, sizeof(timers));
		for (unsigned i = 0; i < TIMEOUTS; i++) {
			timers[i].t.deadline = tsc_now + (falling ? TIMEOUTS - i : i) / 3;
			timers[i].t.fire = fire;
			timers[i].armed = true;
			timeout_add(this_cpu(), &timers[i].t);
		}
		check_all();
		for (unsigned i = 1; i < TIMEOUTS; i += 2) {
			timeout_cancel(this_cpu(), &timers[i].t);
			timers[i].armed = false;
			check_all();
		}
		tsc_now += TIMEOUTS;
		run();
		check_all();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_order),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
