/*
 * Wakes up ten times a second on each of its CPUs, and says every five seconds
 * how late it was at worst. It stands beside the fuzzer: while it speaks, the
 * kernel keeps its promises to others.
 */
#include <lib/log.h>
#include <lib/program.h>
#include <lib/thread.h>
#include <lib/time.h>

enum { PERIOD_MS = 100, CPUS = 2, TICKS = 50 };

static volatile uint64_t ticks[CPUS], worst[CPUS];

static void tick(void *argument)
{
	unsigned i = (unsigned)(uintptr_t)argument;

	for (;;) {
		uint64_t deadline = time_deadline(PERIOD_MS * NS_PER_MS);
		uint64_t late;

		(void)!sm_down(SEL_NEVER, deadline);
		late = time_tsc_to_ns(time_tsc() - deadline) / NS_PER_US;
		worst[i] = late > worst[i] ? late : worst[i];
		ticks[i]++;
	}
}

int program_main(const struct program_info *info)
{
	unsigned count = info->cpu_count < CPUS ? info->cpu_count : CPUS;

	for (unsigned i = 0; i < count; i++) {
		(void)thread_create("tick", info->cpus[i], info->priority, 0, tick,
				    (void *)(uintptr_t)i, NULL);
	}
	for (;;) {
		time_sleep(TICKS * PERIOD_MS * NS_PER_MS);
		log_info("watchdog: %lu and %lu ticks, at worst %lu and %lu us late", ticks[0],
			 ticks[1], worst[0], worst[1]);
	}
}
