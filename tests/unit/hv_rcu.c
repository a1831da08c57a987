/*
 * Grace periods: what is deferred is freed when every CPU has been outside the
 * kernel since, idle ones count as outside, and a CPU that goes idle with
 * something left looks again.
 */
#include "hv_fixture.h"

#include "rcu.h"

enum { PAGES = 1024, CPUS = 3, ITEMS = 100 };

static struct {
	struct deferred d;
	bool deferred;
	unsigned out; /* CPUs that were outside since */
} items[ITEMS];

static unsigned freed;

static void on_free(struct deferred *d)
{
	unsigned i = (unsigned)(((uint64_t)d - (uint64_t)items) / sizeof(items[0]));

	assert_true(items[i].deferred);
	assert_int_equal(items[i].out, (1 << CPUS) - 1);
	items[i].deferred = false;
	freed++;
}

static void defer(unsigned i)
{
	assert_false(items[i].deferred);
	items[i].deferred = true;
	items[i].out = 0;
	for (unsigned c = 0; c < CPUS; c++)
		items[i].out |= cpus[c]->quiescent == ~0ul ? 1u << c : 0;
	rcu_defer(&items[i].d, on_free);
}

/* The CPU is outside of the kernel, just now. */
static void outside(unsigned cpu)
{
	for (unsigned i = 0; i < ITEMS; i++)
		items[i].out |= 1u << cpu;
	cpu_now = cpu;
	rcu_run(this_cpu());
}

static void test_all_cpus(void **state)
{
	(void)state;
	fixture_init(PAGES, CPUS);
	freed = 0;
	cpu_now = 0;
	defer(0);
	for (unsigned n = 0; n < 5; n++) {
		outside(0);
		outside(1);
	}
	assert_int_equal(freed, 0);
	assert_true(ipi_sent >> 2 & 1); /* it was asked */
	outside(2);
	outside(0);
	assert_int_equal(freed, 1);
}

static void test_idle(void **state)
{
	(void)state;
	fixture_init(PAGES, CPUS);
	freed = 0;
	for (cpu_now = 1; cpu_now < CPUS; cpu_now++) {
		rcu_idle_enter(this_cpu());
		assert_int_equal(this_cpu()->timer_armed, ~0ul - 1); /* never */
	}
	cpu_now = 0;
	defer(0);
	outside(0);
	outside(0);
	assert_int_equal(freed, 1);
	/* One that comes back must pass again. */
	cpu_now = 2;
	rcu_idle_leave(this_cpu());
	cpu_now = 0;
	defer(1);
	outside(0);
	outside(0);
	assert_int_equal(freed, 1);
	rcu_idle_enter(this_cpu());
	assert_true(this_cpu()->timer_armed < ~0ul - 1);
	outside(2);
	cpu_now = 0;
	rcu_idle_leave(this_cpu());
	outside(0);
	assert_int_equal(freed, 2);
}

static void step(void)
{
	unsigned cpu = (unsigned)rnd(CPUS);
	unsigned i = (unsigned)rnd(ITEMS);

	cpu_now = cpu;
	if (cpus[cpu]->quiescent == ~0ul) {
		rcu_idle_leave(this_cpu());
		return;
	}
	if (rnd(2) && !items[i].deferred)
		defer(i);
	else
		outside(cpu);
	if (rnd(10) == 0) {
		outside(cpu);
		rcu_idle_enter(this_cpu());
	}
}

static void test_random(void **state)
{
	(void)state;
	fixture_init(PAGES, CPUS);
	__builtin_memset(items, 0, sizeof(items));
	freed = 0;
	for (unsigned n = 0; n < 20000; n++)
		step();
	assert_true(freed > 1000);
	for (unsigned n = 0; n < 3 * CPUS; n++)
		outside(n % CPUS);
	for (unsigned i = 0; i < ITEMS; i++)
		assert_false(items[i].deferred);
}

/* How often a CPU that wants memory looks, of `most`, until it has waited long enough. */
static unsigned looks(bool taken, unsigned most)
{
	struct ec ec = {.cpu = 1, .dead = 1};
	struct rcu_wait wait = {0};
	unsigned n = 0;

	fixture_init(PAGES, CPUS);
	object_init(&ec.object, OBJECT_EC, NULL);
	object_get(&ec.object);
	do {
		cpu_now = 0;
		ec_post(&ec, PENDING_RECALL);
		assert_true(rcu_hurry(&wait));
		cpu_now = 1;
		if (taken)
			ec_inbox(this_cpu());
		n++;
	} while (wait.left && n < most);
	cpu_now = 1;
	ec_inbox(this_cpu());
	assert_int_equal(ec.object.refs, 2);
	return n;
}

/*
 * What was posted to a CPU before a round may give up memory: that waits for it. But not for
 * what comes later, though the inbox is never seen empty.
 */
static void test_inbox_never_empty(void **state)
{
	(void)state;
	assert_int_equal(looks(false, 1000), 1000);
	assert_in_range(looks(true, 1000), GRACE_ROUNDS, 4 * GRACE_ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_cpus),
		cmocka_unit_test(test_inbox_never_empty),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_random),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
