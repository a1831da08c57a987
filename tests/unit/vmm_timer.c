/*
 * The VMM's timer queue and clock arithmetic, against naive models; interrupt
 * lines and MSI addresses.
 */

#include "vmm_fixture.h"

enum { TIMERS = 16 };

struct alarm {
	struct timer timer;
	struct fixture *f;
	unsigned fired;
	uint64_t at, again;
};

static void fire(void *opaque)
{
	struct alarm *alarm = opaque;

	assert_false(timer_armed(&alarm->timer));
	alarm->fired++;
	alarm->at = alarm->f->now;
	if (alarm->again != 0)
		timer_arm(&alarm->timer, alarm->f->now + alarm->again);
}

static void test_random(void **state)
{
	struct alarm alarm[TIMERS];
	uint64_t model[TIMERS];
	uint32_t seed = 7;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (unsigned i = 0; i < TIMERS; i++) {
		alarm[i] = (struct alarm){.f = &f};
		timer_init(&alarm[i].timer, &f.timers, fire, &alarm[i]);
		model[i] = TIMER_NEVER;
	}
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = random32(&seed) % TIMERS;
		uint64_t next = TIMER_NEVER;

		switch (random32(&seed) % 4) {
		case 0:
		case 1:
			model[i] = f.now + random32(&seed) % 1000;
			timer_arm(&alarm[i].timer, model[i]);
			break;
		case 2:
			model[i] = TIMER_NEVER;
			timer_cancel(&alarm[i].timer);
			break;
		default:
			fixture_advance(&f, random32(&seed) % 200);
			break;
		}
		for (unsigned j = 0; j < TIMERS; j++) {
			if (model[j] < f.now && model[j] != TIMER_NEVER) {
				assert_int_equal(alarm[j].fired, 1);
				assert_int_equal(alarm[j].at, model[j]);
				alarm[j].fired = 0;
				model[j] = TIMER_NEVER;
			} else if (alarm[j].fired) {
				assert_int_equal(model[j], f.now);
				alarm[j].fired = 0;
				model[j] = TIMER_NEVER;
			}
			assert_int_equal(timer_armed(&alarm[j].timer), model[j] != TIMER_NEVER);
			next = model[j] < next ? model[j] : next;
		}
		assert_true(timer_queue_next(&f.timers) == next);
	}
}

/* One that is always in the past has one turn in each run. */
static void test_bounded(void **state)
{
	struct fixture f;
	struct alarm alarm = {.f = &f}, other = {.f = &f};

	(void)state;
	fixture_init(&f);
	timer_init(&alarm.timer, &f.timers, fire, &alarm);
	timer_init(&other.timer, &f.timers, fire, &other);
	alarm.again = UINT64_MAX - 100; /* wraps: the past */
	timer_arm(&alarm.timer, 0);
	timer_arm(&other.timer, 1);
	timer_queue_run(&f.timers);
	assert_int_equal(alarm.fired + other.fired, 2);
	assert_int_equal(other.fired, 1);
	timer_queue_run(&f.timers);
	assert_int_equal(alarm.fired, 2);
}

static void wake(void *opaque, uint64_t deadline)
{
	*(uint64_t *)opaque = deadline;
}

static void test_earlier(void **state)
{
	struct fixture f;
	struct alarm a = {.f = &f}, b = {.f = &f};
	uint64_t woken = 0;

	(void)state;
	fixture_init(&f);
	timer_queue_init(&f.timers, &f.clock, wake, &woken);
	timer_init(&a.timer, &f.timers, fire, &a);
	timer_init(&b.timer, &f.timers, fire, &b);
	timer_arm(&a.timer, 50000);
	assert_int_equal(woken, 50000);
	timer_arm(&b.timer, 60000);
	assert_int_equal(woken, 50000);
	timer_arm(&b.timer, 40000);
	assert_int_equal(woken, 40000);
	woken = 0;
	timer_arm(&b.timer, TIMER_NEVER);
	assert_false(timer_armed(&b.timer));
	assert_int_equal(timer_queue_next(&f.timers), 50000);
	a.again = 5;
	f.now = 50000;
	timer_queue_run(&f.timers);
	assert_int_equal(woken, 0);
}

static void test_scale(void **state)
{
	static const uint64_t hz[] = {
		1, 32768, 1193182, 3579545, 1000000000, 3650000000, 1ull << 33,
	};
	uint32_t seed = 3;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t count = (uint64_t)random32(&seed) << 32 | random32(&seed);
		uint64_t from = hz[random32(&seed) % 7];
		uint64_t to = hz[random32(&seed) % 7];

		count >>= random32(&seed) % 64;

		unsigned __int128 down = (unsigned __int128)count * to / from;
		unsigned __int128 up = ((unsigned __int128)count * to + from - 1) / from;

		if ((unsigned __int128)from * to >> 64 != 0)
			continue;
		assert_true(clock_scale(count, from, to) ==
			    (down >> 64 ? UINT64_MAX : (uint64_t)down));
		assert_true(clock_scale_up(count, from, to) ==
			    (up >> 64 ? UINT64_MAX : (uint64_t)up));
	}
	assert_true(clock_scale(1, 0, 1) == UINT64_MAX);
}

static void test_line(void **state)
{
	struct probe probe;

	(void)state;
	probe_init(&probe);
	irq_raise(NULL);
	irq_lower(&probe.line);
	irq_raise(&probe.line);
	irq_raise(&probe.line);
	assert_int_equal(probe.edges, 1);
	irq_edge(&probe.line);
	assert_int_equal(probe.edges, 2);
	assert_true(probe.level);
	irq_lower(&probe.line);
	irq_edge(&probe.line);
	assert_int_equal(probe.edges, 3);
	assert_true(probe.level);
}

static bool catch (void *opaque, const struct apic_message *message)
{
	*(struct apic_message *)opaque = *message;
	return true;
}

static void test_msi(void **state)
{
	struct apic_message got = {0};
	struct apic_fabric fabric = {.deliver = catch, .opaque = &got};

	(void)state;
	assert_true(msi_send(&fabric, 0xfee05004, 0x0141));
	assert_int_equal(got.destination, 5);
	assert_int_equal(got.vector, 0x41);
	assert_int_equal(got.mode, APIC_LOWEST);
	assert_true(got.logical);
	assert_false(got.level);
	assert_true(msi_send(&fabric, 0xfeeff000, 0xc030));
	assert_int_equal(got.destination, 0xff);
	assert_true(got.level);
	got.vector = 0;
	assert_true(msi_send(&fabric, 0xfee00000, 0x8030));
	assert_int_equal(got.vector, 0);
	assert_false(msi_send(&fabric, 0xfed00000, 0x30));
	assert_false(msi_send(&fabric, 0x1fee00000, 0x30));
	assert_false(msi_send(NULL, 0xfee00000, 0x30));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),	cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_earlier), cmocka_unit_test(test_scale),
		cmocka_unit_test(test_line),	cmocka_unit_test(test_msi),
	};

	return cmocka_run_group_tests_name("vmm timer", tests, NULL, NULL);
}
