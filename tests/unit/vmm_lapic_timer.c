/*
 * The local APIC's timer in its three modes.
 */
#include "vmm_apics.h"

static void test_one_shot(void **state)
{
	static const uint8_t divides[] = {0, 1, 2, 3, 8, 9, 10, 11};
	struct rig *rig = apics_start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;

	(void)state;
	wrmsr(lapic, 0x832, 0x40);
	for (unsigned i = 0; i < 8; i++) {
		uint64_t divisor = i == 7 ? 1 : 2ull << i;

		wrmsr(lapic, 0x83e, divides[i]);
		wrmsr(lapic, 0x838, 1000);
		fixture_advance(&rig->f, 300 * divisor);
		assert_int_equal(rdmsr(lapic, 0x839), 700);
		fixture_advance(&rig->f, 700 * divisor - 1);
		assert_int_equal(lapic_pending(lapic), -1);
		assert_int_equal(rdmsr(lapic, 0x839), 1);
		fixture_advance(&rig->f, 1);
		assert_int_equal(lapic_pending(lapic), 0x40);
		assert_int_equal(rdmsr(lapic, 0x839), 0);
		lapic_accept(lapic, 0x40);
		wrmsr(lapic, 0x80b, 0);
		fixture_advance(&rig->f, 5000 * divisor);
		assert_int_equal(lapic_pending(lapic), -1);
	}
	/* Divided anew in the middle: what is left takes longer. */
	wrmsr(lapic, 0x838, 1000);
	fixture_advance(&rig->f, 400);
	wrmsr(lapic, 0x83e, 0);
	assert_int_equal(rdmsr(lapic, 0x839), 600);
	fixture_advance(&rig->f, 1199);
	assert_int_equal(lapic_pending(lapic), -1);
	fixture_advance(&rig->f, 1);
	assert_int_equal(lapic_pending(lapic), 0x40);
	/* 0 stops. */
	wrmsr(lapic, 0x838, 1000);
	wrmsr(lapic, 0x838, 0);
	assert_int_equal(timer_queue_next(&rig->f.timers), TIMER_NEVER);
}

static void test_periodic(void **state)
{
	struct rig *rig = apics_start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;
	unsigned count = 0;

	(void)state;
	wrmsr(lapic, 0x83e, 11);
	wrmsr(lapic, 0x832, 0x20040);
	wrmsr(lapic, 0x838, MS);
	for (unsigned i = 0; i < 100; i++) {
		fixture_advance(&rig->f, MS / 4);
		assert_int_equal(rdmsr(lapic, 0x839), MS - (i + 1) % 4 * (MS / 4));
		if (lapic_pending(lapic) == 0x40) {
			assert_int_equal(i % 4, 3);
			lapic_accept(lapic, 0x40);
			wrmsr(lapic, 0x80b, 0);
			count++;
		}
	}
	assert_int_equal(count, 25);
	/* Masked it goes on, without interrupts. */
	wrmsr(lapic, 0x832, 0x30040);
	fixture_advance(&rig->f, 10 * MS);
	assert_int_equal(lapic_pending(lapic), -1);
	/* Who was away for long gets one, and the phase is kept. */
	wrmsr(lapic, 0x832, 0x20040);
	rig->f.now += 10 * MS + MS / 2;
	timer_queue_run(&rig->f.timers);
	assert_int_equal(lapic_pending(lapic), 0x40);
	assert_int_equal(timer_queue_next(&rig->f.timers) - rig->f.now, MS / 2);
	/* No more than 20,000 a second. */
	wrmsr(lapic, 0x838, 1);
	assert_int_equal(timer_queue_next(&rig->f.timers) - rig->f.now, SECOND / 20000);
}

static void test_deadline(void **state)
{
	struct rig *rig = apics_start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;

	(void)state;
	wrmsr(lapic, 0x6e0, rig->f.now + 100); /* not in this mode */
	assert_int_equal(rdmsr(lapic, 0x6e0), 0);
	wrmsr(lapic, 0x838, 1000);
	wrmsr(lapic, 0x832, 0x40040);
	assert_int_equal(timer_queue_next(&rig->f.timers), TIMER_NEVER);
	wrmsr(lapic, 0x838, 1000); /* nor this in that */
	assert_int_equal(rdmsr(lapic, 0x838), 0);

	wrmsr(lapic, 0x6e0, rig->f.now + 100);
	assert_int_equal(rdmsr(lapic, 0x6e0), rig->f.now + 100);
	fixture_advance(&rig->f, 99);
	assert_int_equal(lapic_pending(lapic), -1);
	fixture_advance(&rig->f, 1);
	assert_int_equal(lapic_pending(lapic), 0x40);
	assert_int_equal(rdmsr(lapic, 0x6e0), 0);
	lapic_accept(lapic, 0x40);
	wrmsr(lapic, 0x80b, 0);
	/* In the past: at once. */
	wrmsr(lapic, 0x6e0, rig->f.now);
	assert_int_equal(lapic_pending(lapic), 0x40);
	assert_int_equal(rdmsr(lapic, 0x6e0), 0);
	lapic_accept(lapic, 0x40);
	wrmsr(lapic, 0x80b, 0);
	/* Never; disarmed; masked. */
	wrmsr(lapic, 0x6e0, UINT64_MAX);
	fixture_advance(&rig->f, 1000 * SECOND);
	assert_int_equal(lapic_pending(lapic), -1);
	wrmsr(lapic, 0x6e0, rig->f.now + 100);
	wrmsr(lapic, 0x6e0, 0);
	assert_int_equal(timer_queue_next(&rig->f.timers), TIMER_NEVER);
	wrmsr(lapic, 0x832, 0x50040);
	wrmsr(lapic, 0x6e0, rig->f.now + 100);
	fixture_advance(&rig->f, 200);
	assert_int_equal(lapic_pending(lapic), -1);
	assert_int_equal(rdmsr(lapic, 0x6e0), 0);
}

/* A guest that has set its TSC back: the deadline is in its own time. */
static void test_deadline_offset(void **state)
{
	struct rig *rig = apics_start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;

	(void)state;
	wrmsr(lapic, 0x832, 0x40040);
	lapic_set_tsc_offset(lapic, 0 - rig->f.now); /* TSC is 0 now */
	wrmsr(lapic, 0x6e0, 500);
	assert_int_equal(timer_queue_next(&rig->f.timers), rig->f.now + 500);
	lapic_set_tsc_offset(lapic, 300 - rig->f.now);
	assert_int_equal(timer_queue_next(&rig->f.timers), rig->f.now + 200);
	lapic_set_tsc_offset(lapic, 500 - rig->f.now);
	assert_int_equal(lapic_pending(lapic), 0x40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_shot),
		cmocka_unit_test(test_periodic),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_deadline_offset),
	};

	return cmocka_run_group_tests_name("vmm lapic_timer", tests, NULL, NULL);
}
