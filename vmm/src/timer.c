/*
 * A list in deadline order: a machine has about ten timers, and the one that
 * is armed all the time (the local APIC's) tends to be first.
 */

#include "timer.h"

#include <stddef.h>

uint64_t clock_now(const struct clock *clock)
{
	return clock->now(clock->source);
}

/*
 * count * to / from as whole seconds and a rest, so that nothing overflows
 * that does not have to.
 */
static uint64_t scale(uint64_t count, uint64_t from_hz, uint64_t to_hz, uint64_t round)
{
	uint64_t seconds, rest, whole, part;

	if (from_hz == 0)
		return UINT64_MAX;
	seconds = count / from_hz;
	rest = count % from_hz;
	if (__builtin_mul_overflow(seconds, to_hz, &whole) ||
	    __builtin_mul_overflow(rest, to_hz, &part) ||
	    __builtin_add_overflow(part, round, &part) ||
	    __builtin_add_overflow(whole, part / from_hz, &whole))
		return UINT64_MAX;
	return whole;
}

uint64_t clock_scale(uint64_t count, uint64_t from_hz, uint64_t to_hz)
{
	return scale(count, from_hz, to_hz, 0);
}

uint64_t clock_scale_up(uint64_t count, uint64_t from_hz, uint64_t to_hz)
{
	return scale(count, from_hz, to_hz, from_hz - 1);
}

void timer_queue_init(struct timer_queue *queue, const struct clock *clock,
		      void (*earlier)(void *opaque, uint64_t deadline), void *opaque)
{
	*queue = (struct timer_queue){
		.clock = clock,
		.earlier = earlier,
		.opaque = opaque,
	};
}

uint64_t timer_queue_next(const struct timer_queue *queue)
{
	return queue->first != NULL ? queue->first->deadline : TIMER_NEVER;
}

void timer_init(struct timer *timer, struct timer_queue *queue, void (*expire)(void *opaque),
		void *opaque)
{
	*timer = (struct timer){
		.queue = queue,
		.expire = expire,
		.opaque = opaque,
		.deadline = TIMER_NEVER,
	};
}

bool timer_armed(const struct timer *timer)
{
	return timer->deadline != TIMER_NEVER;
}

void timer_cancel(struct timer *timer)
{
	if (!timer_armed(timer))
		return;
	if (timer->prev != NULL)
		timer->prev->next = timer->next;
	else
		timer->queue->first = timer->next;
	if (timer->next != NULL)
		timer->next->prev = timer->prev;
	timer->next = timer->prev = NULL;
	timer->deadline = TIMER_NEVER;
}

/* Behind those with the same deadline: first come, first served. */
static void insert(struct timer_queue *queue, struct timer *timer)
{
	struct timer *before = NULL, *after = queue->first;

	while (after != NULL && after->deadline <= timer->deadline) {
		before = after;
		after = after->next;
	}
	timer->prev = before;
	timer->next = after;
	if (before != NULL)
		before->next = timer;
	else
		queue->first = timer;
	if (after != NULL)
		after->prev = timer;
}

void timer_arm(struct timer *timer, uint64_t deadline)
{
	struct timer_queue *queue = timer->queue;
	uint64_t next = timer_queue_next(queue);

	timer_cancel(timer);
	if (deadline == TIMER_NEVER)
		return;
	timer->deadline = deadline;
	insert(queue, timer);
	if (deadline < next && !queue->running && queue->earlier != NULL)
		queue->earlier(queue->opaque, deadline);
}

void timer_queue_run(struct timer_queue *queue)
{
	uint64_t now = clock_now(queue->clock);
	unsigned due = 0;

	for (const struct timer *timer = queue->first; timer != NULL && timer->deadline <= now;
	     timer = timer->next)
		due++;

	/*
	 * As many as were due at the start: a callback may cancel some of
	 * them and arm others, but the number of calls has a bound.
	 */
	queue->running = true;
	while (due-- > 0 && timer_queue_next(queue) <= now) {
		struct timer *timer = queue->first;

		timer_cancel(timer);
		timer->expire(timer->opaque);
	}
	queue->running = false;
}
