/*
 * The guest's clock, and what is to happen when.
 *
 * All time in a VM is counted in ticks of one clock, the guest's TSC: it is
 * what the hot path (the TSC deadline) has anyway. Devices with a frequency of
 * their own convert with clock_scale().
 *
 * The queue is passive: whoever owns the host's timer thread sleeps until
 * timer_queue_next() and then calls timer_queue_run(), with the VM's lock
 * held as for all calls here.
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TIMER_NEVER UINT64_MAX

struct clock {
	uint64_t (*now)(void *source); /* in ticks; never goes back */
	void *source;
	uint64_t hz; /* ticks a second: 1 .. 2^33 */
};

uint64_t clock_now(const struct clock *clock);

/*
 * Convert a count at from_hz to one at to_hz, rounded down (up). Exact for
 * from_hz * to_hz < 2^64; a result that does not fit is UINT64_MAX.
 */
uint64_t clock_scale(uint64_t count, uint64_t from_hz, uint64_t to_hz);
uint64_t clock_scale_up(uint64_t count, uint64_t from_hz, uint64_t to_hz);

struct timer_queue;

struct timer {
	struct timer_queue *queue;
	struct timer *next, *prev;    /* in deadline order, while armed */
	uint64_t deadline;	      /* TIMER_NEVER: not armed */
	void (*expire)(void *opaque); /* not armed when it is called */
	void *opaque;
};

struct timer_queue {
	const struct clock *clock;
	struct timer *first;

	/*
	 * The next deadline is now earlier than it was: wake whoever sleeps
	 * until it. Not called from within timer_queue_run(), whose caller
	 * asks for the next deadline anyway. May be NULL.
	 */
	void (*earlier)(void *opaque, uint64_t deadline);
	void *opaque;
	bool running;
};

void timer_queue_init(struct timer_queue *queue, const struct clock *clock,
		      void (*earlier)(void *opaque, uint64_t deadline), void *opaque);

/* The first deadline, or TIMER_NEVER. It may have passed. */
uint64_t timer_queue_next(const struct timer_queue *queue);

/*
 * Expire what is due now, each timer at most once: one that arms itself for a
 * time in the past has its turn in the next run, so that this ends always.
 */
void timer_queue_run(struct timer_queue *queue);

void timer_init(struct timer *timer, struct timer_queue *queue, void (*expire)(void *opaque),
		void *opaque);

/* Arm, or arm anew. TIMER_NEVER cancels. */
void timer_arm(struct timer *timer, uint64_t deadline);
void timer_cancel(struct timer *timer);
bool timer_armed(const struct timer *timer);
