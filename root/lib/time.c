/*
 * TSC and nanoseconds: multiplication by a fixed-point factor with 32 bits
 * behind the point.
 */
#include <lib/time.h>

#include <lib/layout.h>
#include <lib/syscall.h>

enum { SHIFT = 32, NS_PER_MS_ = 1000000 };

/* Set once by time_init, before there are threads. */
static uint64_t ns_per_tick, ticks_per_ns;

void time_init(uint32_t tsc_khz)
{
	uint64_t khz = tsc_khz ? tsc_khz : 1;

	ns_per_tick = ((uint64_t)NS_PER_MS_ << SHIFT) / khz;
	ticks_per_ns = (khz << SHIFT) / NS_PER_MS_;
}

static uint64_t scale(uint64_t value, uint64_t factor)
{
	return (uint64_t)((unsigned __int128)value * factor >> SHIFT);
}

uint64_t time_tsc_to_ns(uint64_t tsc)
{
	return scale(tsc, ns_per_tick);
}

uint64_t time_ns_to_tsc(uint64_t ns)
{
	return scale(ns, ticks_per_ns);
}

void time_sleep(uint64_t ns)
{
	/* Nobody ups it: what comes back is the timeout. */
	(void)sm_down(SEL_NEVER, time_deadline(ns));
}
