/*
 * The local APIC's timer, SDM 3A 11.5.4. It counts in the bus clock that CPUID
 * says (config.timer_hz) and is kept as the time at which the count began; the
 * TSC deadline needs nothing but the deadline.
 */

#include "lapic.h"

#include "lapic_private.h"

/* Periodic interrupts are at most this many a second. */
enum { PERIODIC_HZ_MAX = 20000 };

static const struct clock *lapic_clock(const struct lapic *lapic)
{
	return lapic->config.timers->clock;
}

static bool is_deadline_mode(const struct lapic *lapic)
{
	return (lapic->lvt[LAPIC_LVT_TIMER] & LVT_TIMER_MODE) == LVT_TIMER_DEADLINE;
}

static bool is_periodic(const struct lapic *lapic)
{
	return (lapic->lvt[LAPIC_LVT_TIMER] & LVT_TIMER_MODE) == LVT_TIMER_PERIODIC;
}

static uint64_t divisor(const struct lapic *lapic)
{
	uint32_t divide = lapic->timer_divide;

	/* Bits 3, 1, 0: 0 is 2, 1 is 4, ... 6 is 128, 7 is 1. */
	return 1ull << (((divide >> 1 & 4) + (divide & 3) + 1) & 7);
}

uint32_t lapic_timer_current(const struct lapic *lapic)
{
	uint64_t elapsed;

	if (lapic->timer_initial == 0 || !timer_armed(&lapic->timer))
		return 0;
	elapsed = clock_now(lapic_clock(lapic)) - lapic->timer_start;
	elapsed = clock_scale(elapsed, lapic_clock(lapic)->hz, lapic->config.timer_hz) /
		  divisor(lapic);
	if (is_periodic(lapic))
		elapsed %= lapic->timer_initial;
	return elapsed < lapic->timer_initial ? lapic->timer_initial - (uint32_t)elapsed : 0;
}

/* Count in clock ticks, rounded up. */
static uint64_t count_ticks(const struct lapic *lapic, uint64_t count)
{
	return clock_scale_up(count * divisor(lapic), lapic->config.timer_hz,
			      lapic_clock(lapic)->hz);
}

/* Deadline of the count that began at timer_start; saturates. */
static uint64_t count_deadline(const struct lapic *lapic)
{
	uint64_t deadline;

	if (__builtin_add_overflow(lapic->timer_start, lapic->timer_period, &deadline))
		return TIMER_NEVER;
	return deadline;
}

/* Run with `current` still to count; 0 stops. */
static void timer_start(struct lapic *lapic, uint32_t current)
{
	uint64_t least = lapic_clock(lapic)->hz / PERIODIC_HZ_MAX;

	if (current == 0) {
		timer_cancel(&lapic->timer);
		return;
	}
	lapic->timer_start = clock_now(lapic_clock(lapic)) -
			     count_ticks(lapic, lapic->timer_initial - current);
	lapic->timer_period = count_ticks(lapic, lapic->timer_initial);
	if (is_periodic(lapic) && lapic->timer_period < least)
		lapic->timer_period = least;
	timer_arm(&lapic->timer, count_deadline(lapic));
}

static void timer_again(struct lapic *lapic)
{
	uint64_t late = clock_now(lapic_clock(lapic)) - lapic->timer_start;

	/* Periods that nobody had time for are skipped. */
	if (lapic->timer_period != 0)
		lapic->timer_start += late - late % lapic->timer_period;
	timer_arm(&lapic->timer, count_deadline(lapic));
}

void lapic_timer_expire(void *opaque)
{
	struct lapic *lapic = opaque;

	if (is_deadline_mode(lapic))
		lapic->tsc_deadline = 0;
	else if (is_periodic(lapic))
		timer_again(lapic);
	lapic_fire(lapic, LAPIC_LVT_TIMER);
}

static void deadline_arm(struct lapic *lapic)
{
	uint64_t now = clock_now(lapic_clock(lapic));
	uint64_t guest_now = now + lapic->tsc_offset;
	uint64_t deadline;

	if (lapic->tsc_deadline == 0) {
		timer_cancel(&lapic->timer);
	} else if (lapic->tsc_deadline <= guest_now) {
		timer_cancel(&lapic->timer);
		lapic_timer_expire(lapic);
	} else if (__builtin_add_overflow(now, lapic->tsc_deadline - guest_now, &deadline)) {
		timer_cancel(&lapic->timer); /* in centuries */
	} else {
		timer_arm(&lapic->timer, deadline);
	}
}

void lapic_set_tsc_offset(struct lapic *lapic, uint64_t offset)
{
	lapic->tsc_offset = offset;
	if (is_deadline_mode(lapic))
		deadline_arm(lapic);
}

void lapic_timer_write_lvt(struct lapic *lapic, uint32_t value)
{
	uint32_t changed = lapic->lvt[LAPIC_LVT_TIMER] ^ value;
	uint32_t current = lapic_timer_current(lapic);

	lapic->lvt[LAPIC_LVT_TIMER] = value;
	if ((changed & LVT_TIMER_DEADLINE) != 0) {
		/* To or from deadline mode: disarmed. */
		lapic->tsc_deadline = 0;
		lapic->timer_initial = 0;
		timer_cancel(&lapic->timer);
	} else if ((changed & LVT_TIMER_MODE) != 0) {
		timer_start(lapic, current);
	}
}

void lapic_timer_write_divide(struct lapic *lapic, uint32_t value)
{
	uint32_t current = lapic_timer_current(lapic);

	lapic->timer_divide = value;
	if (!is_deadline_mode(lapic))
		timer_start(lapic, current);
}

void lapic_timer_write_initial(struct lapic *lapic, uint32_t value)
{
	if (!is_deadline_mode(lapic)) {
		lapic->timer_initial = value;
		timer_start(lapic, value);
	}
}

void lapic_timer_write_deadline(struct lapic *lapic, uint64_t value)
{
	if (is_deadline_mode(lapic)) {
		lapic->tsc_deadline = value;
		deadline_arm(lapic);
	}
}
