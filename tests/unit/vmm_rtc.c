/*
 * The MC146818: time in both formats against the C library, setting it, the
 * divider, alarms, periodic and update interrupts, register C; nonsense in all
 * registers.
 */

#include "vmm_fixture.h"

#include <time.h>

#include "../../vmm/dev/rtc.h"

enum { START = 1704067199 }; /* 2023-12-31 23:59:59 */

struct rig {
	struct fixture f;
	struct rtc rtc;
};

static void start(struct rig *rig, int64_t seconds)
{
	fixture_init(&rig->f);
	rtc_init(&rig->rtc, &rig->f.timers, &rig->f.irq.line, seconds);
	assert_int_equal(rtc_attach(&rig->rtc, &rig->f.ports), BUS_OK);
}

static uint8_t get(struct rig *rig, uint8_t index)
{
	out8(&rig->f, 0x70, index);
	return in8(&rig->f, 0x71);
}

static void put(struct rig *rig, uint8_t index, uint8_t value)
{
	out8(&rig->f, 0x70, index | 0x80); /* the NMI bit is no part */
	out8(&rig->f, 0x71, value);
}

static unsigned number(struct rig *rig, uint8_t value)
{
	return get(rig, 0x0b) & 4 ? value : (value >> 4) * 10u + (value & 15);
}

static unsigned hour(struct rig *rig)
{
	uint8_t value = get(rig, 4);
	bool pm = (value & 0x80) != 0;

	if (get(rig, 0x0b) & 2)
		return number(rig, value);
	assert_in_range(number(rig, value & 0x7f), 1, 12);
	return number(rig, value & 0x7f) % 12 + (pm ? 12 : 0);
}

static void expect_time(struct rig *rig, time_t seconds)
{
	struct tm tm;

	gmtime_r(&seconds, &tm);
	assert_int_equal(number(rig, get(rig, 0)), tm.tm_sec);
	assert_int_equal(number(rig, get(rig, 2)), tm.tm_min);
	assert_int_equal(hour(rig), tm.tm_hour);
	assert_int_equal(number(rig, get(rig, 6)), tm.tm_wday + 1);
	assert_int_equal(number(rig, get(rig, 7)), tm.tm_mday);
	assert_int_equal(number(rig, get(rig, 8)), tm.tm_mon + 1);
	assert_int_equal(number(rig, get(rig, 9)), tm.tm_year % 100);
	assert_int_equal(number(rig, get(rig, 0x32)), (tm.tm_year + 1900) / 100);
}

/* Random times, in all four formats; and one second later. */
static void test_time(void **state)
{
	uint32_t seed = 2;
	struct rig rig;

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		time_t at = random32(&seed) * 2ll;

		start(&rig, at);
		put(&rig, 0x0b, (uint8_t)(i % 4 * 2));
		expect_time(&rig, at);
		fixture_advance(&rig.f, SECOND);
		expect_time(&rig, at + 1);
	}
	start(&rig, START);
	expect_time(&rig, START);
	fixture_advance(&rig.f, SECOND - 1);
	expect_time(&rig, START);
	fixture_advance(&rig.f, 1);
	expect_time(&rig, START + 1);
	put(&rig, 0x0d, 0x55);
	assert_int_equal(get(&rig, 0x0d), 0x80);
	get(&rig, 0x0c);
	put(&rig, 0x0c, 0xff);
	assert_int_equal(get(&rig, 0x0c), 0);
	assert_int_equal(in8(&rig.f, 0x70), 0xff);
}

static uint8_t format(uint8_t b, unsigned value)
{
	return (uint8_t)(b & 4 ? value : value / 10 << 4 | value % 10);
}

/* As Linux sets it: SET, divider in reset, registers, and back. */
static void set_time(struct rig *rig, uint8_t b, time_t to)
{
	struct tm tm;
	unsigned hours;
	bool pm;

	gmtime_r(&to, &tm);
	hours = (unsigned)tm.tm_hour;
	pm = !(b & 2) && hours >= 12;
	if (!(b & 2))
		hours = hours % 12 ? hours % 12 : 12;
	put(rig, 0x0b, b | 0x80);
	put(rig, 0x0a, 0x76);
	put(rig, 9, format(b, (unsigned)tm.tm_year % 100));
	put(rig, 0x32, format(b, (unsigned)(tm.tm_year + 1900) / 100));
	put(rig, 8, format(b, (unsigned)tm.tm_mon + 1));
	put(rig, 7, format(b, (unsigned)tm.tm_mday));
	put(rig, 4, format(b, hours) | (pm ? 0x80 : 0));
	put(rig, 2, format(b, (unsigned)tm.tm_min));
	put(rig, 0, format(b, (unsigned)tm.tm_sec));
	fixture_advance(&rig->f, 3 * SECOND); /* it stands still */
	put(rig, 0x0b, b);
	put(rig, 0x0a, 0x26);
}

static void test_set(void **state)
{
	uint32_t seed = 9;
	struct rig rig;

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		time_t to = random32(&seed);

		start(&rig, START);
		fixture_advance(&rig.f, random32(&seed));
		set_time(&rig, (uint8_t)(i % 4 * 2), to);
		expect_time(&rig, to);
		/* The first update is half a second after the divider's. */
		fixture_advance(&rig.f, SECOND / 2 - 1);
		expect_time(&rig, to);
		fixture_advance(&rig.f, 1);
		expect_time(&rig, to + 1);
		fixture_advance(&rig.f, 1000 * SECOND);
		expect_time(&rig, to + 1001);
	}
}

/* Without SET: a register at a time, and the fraction of the second stays. */
static void test_set_running(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, START);
	fixture_advance(&rig.f, SECOND / 4);
	put(&rig, 0, 0x30);
	expect_time(&rig, START - 29);
	fixture_advance(&rig.f, SECOND * 3 / 4);
	expect_time(&rig, START - 28);
	put(&rig, 9, 0x24);
	put(&rig, 8, 0x02); /* February 31st: March 2nd */
	expect_time(&rig, 1709423971);
}

static void test_uip(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, START);
	assert_int_equal(get(&rig, 0x0a), 0x26);
	fixture_advance(&rig.f, SECOND - 200000);
	assert_int_equal(get(&rig, 0x0a), 0xa6);
	put(&rig, 0x0b, 0x82);
	assert_int_equal(get(&rig, 0x0a), 0x26);
	put(&rig, 0x0b, 0x02);
	fixture_advance(&rig.f, 200000);
	assert_int_equal(get(&rig, 0x0a), 0x26);
}

static void test_update_interrupt(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, START);
	put(&rig, 0x0a, 0x20); /* no periodic flag */
	put(&rig, 1, 0x60);    /* and no alarm */
	fixture_advance(&rig.f, 10 * SECOND);
	assert_int_equal(rig.f.irq.edges, 0);
	assert_int_equal(get(&rig, 0x0c), 0x10); /* flag without */
	put(&rig, 0x0b, 0x12);
	for (unsigned i = 1; i < 5; i++) {
		fixture_advance(&rig.f, SECOND);
		assert_int_equal(rig.f.irq.edges, i);
		assert_true(rig.f.irq.level);
		assert_int_equal(get(&rig, 0x0c), 0x90);
		assert_false(rig.f.irq.level);
		assert_int_equal(get(&rig, 0x0c), 0);
	}
	/* Who does not read C gets one, and costs nothing. */
	fixture_advance(&rig.f, 100 * SECOND);
	assert_int_equal(rig.f.irq.edges, 5);
	assert_int_equal(timer_queue_next(&rig.f.timers), TIMER_NEVER);
	/* SET clears the enable. */
	put(&rig, 0x0b, 0x92);
	assert_int_equal(get(&rig, 0x0b), 0x82);
	assert_false(rig.f.irq.level);
}

/* Enabling an interrupt whose flag is set already raises it. */
static void test_enable_late(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, START);
	fixture_advance(&rig.f, 2 * SECOND);
	put(&rig, 0x0b, 0x12);
	assert_true(rig.f.irq.level);
}

static void test_periodic(void **state)
{
	struct rig rig;

	(void)state;
	for (unsigned rate = 1; rate < 16; rate++) {
		unsigned hz = rate < 3 ? 512u >> rate : 65536u >> rate;

		start(&rig, START);
		put(&rig, 0x0a, (uint8_t)(0x20 | rate));
		put(&rig, 0x0b, 0x42);
		for (unsigned i = 0; i < 3 * hz; i++) {
			uint64_t next = timer_queue_next(&rig.f.timers);

			fixture_advance(&rig.f, next - rig.f.now);
			assert_int_equal(rig.f.irq.edges, i + 1);
			assert_int_equal(get(&rig, 0x0c) & 0xc0, 0xc0);
		}
		assert_int_equal((rig.f.now - 12345) / MS, 3000);
	}
	put(&rig, 0x0a, 0x20);
	assert_int_equal(timer_queue_next(&rig.f.timers), TIMER_NEVER);
}

/* From a time of day to an alarm: the interrupt comes exactly then. */
static void alarm(uint8_t h, uint8_t m, uint8_t s, uint64_t after)
{
	struct rig rig;

	start(&rig, START); /* 23:59:59 */
	put(&rig, 0x0a, 0x20);
	put(&rig, 5, h);
	put(&rig, 3, m);
	put(&rig, 1, s);
	put(&rig, 0x0b, 0x22);
	if (after == 0) {
		assert_true(timer_queue_next(&rig.f.timers) == TIMER_NEVER);
		fixture_advance(&rig.f, 200000 * SECOND);
		assert_int_equal(rig.f.irq.edges, 0);
		return;
	}
	fixture_advance(&rig.f, after * SECOND - 1);
	assert_int_equal(rig.f.irq.edges, 0);
	fixture_advance(&rig.f, 1);
	assert_int_equal(rig.f.irq.edges, 1);
	assert_int_equal(get(&rig, 0x0c), 0xb0);
}

static void test_alarm(void **state)
{
	(void)state;
	alarm(0x00, 0x00, 0x00, 1);
	alarm(0x23, 0x59, 0x59, 86400);
	alarm(0x07, 0x30, 0x15, 7 * 3600 + 30 * 60 + 16);
	alarm(0xff, 0x00, 0x00, 1);
	alarm(0xc0, 0xff, 0x10, 11);
	alarm(0xff, 0xff, 0xff, 1);
	alarm(0x05, 0xff, 0xff, 5 * 3600 + 1);
	alarm(0x24, 0x00, 0x00, 0);
	alarm(0x00, 0x60, 0x00, 0);
	alarm(0xff, 0xff, 0x99, 0);
}

/* A flag is found late as well, when nobody waited for it. */
static void test_alarm_flag(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, START);
	put(&rig, 1, 0xff);
	put(&rig, 3, 0x05);
	put(&rig, 5, 0x00);
	get(&rig, 0x0c);
	fixture_advance(&rig.f, 300 * SECOND);
	assert_int_equal(get(&rig, 0x0c) & 0x20, 0);
	fixture_advance(&rig.f, SECOND);
	assert_int_equal(get(&rig, 0x0c) & 0x20, 0x20);
}

static void test_alarm_12_hours(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, START);
	put(&rig, 0x0b, 0x20);
	put(&rig, 5, 0x92); /* 12 PM is noon */
	put(&rig, 3, 0);
	put(&rig, 1, 0);
	fixture_advance(&rig.f, 43201 * SECOND - 1);
	assert_int_equal(rig.f.irq.edges, 0);
	fixture_advance(&rig.f, 1);
	assert_int_equal(rig.f.irq.edges, 1);
}

static void test_reset(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, START);
	put(&rig, 0x0b, 0x72);
	put(&rig, 0x40, 0xaa);
	rtc_set_ram(&rig.rtc, 0x34, 0x55);
	rtc_set_ram(&rig.rtc, 0x0b, 0xff);
	rtc_set_ram(&rig.rtc, 200, 0xff);
	fixture_advance(&rig.f, SECOND);
	assert_true(rig.f.irq.level);
	rtc_reset(&rig.rtc);
	assert_false(rig.f.irq.level);
	assert_int_equal(get(&rig, 0x0b), 0x02);
	assert_int_equal(get(&rig, 0x40), 0xaa);
	assert_int_equal(get(&rig, 0x34), 0x55);
	expect_time(&rig, START + 1);
}

static void test_random(void **state)
{
	uint32_t seed = 4;
	struct rig rig;

	(void)state;
	start(&rig, START);
	for (unsigned i = 0; i < 200000; i++) {
		uint32_t r = random32(&seed);
		uint8_t index = (uint8_t)((r >> 8) % (r & 2 ? 16 : 128));

		if (r & 1)
			put(&rig, index, (uint8_t)(r >> 16));
		else
			get(&rig, index);
		fixture_advance(&rig.f, r % (r & 4 ? 100 : 100 * MS));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_running),
		cmocka_unit_test(test_uip),
		cmocka_unit_test(test_update_interrupt),
		cmocka_unit_test(test_enable_late),
		cmocka_unit_test(test_periodic),
		cmocka_unit_test(test_alarm),
		cmocka_unit_test(test_alarm_flag),
		cmocka_unit_test(test_alarm_12_hours),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("vmm rtc", tests, NULL, NULL);
}
