/*
 * Microseconds and ticks of the TSC; timeouts of one CPU: a leftist heap by
 * deadline. Every operation takes logarithmic time at worst, whoever else has
 * timeouts here.
 */
#pragma once

#include "x86/tsc.h"

struct timeout {
	uint64_t deadline; /* TSC */
	struct timeout *parent, *left, *right;
	uint32_t rank; /* 0: not in a heap */
	void (*fire)(struct timeout *);
};

void timeout_add(struct cpu *cpu, struct timeout *t);
void timeout_cancel(struct cpu *cpu, struct timeout *t);
/* Fire some that are due, and set the timer for the next. */
void timeout_run(struct cpu *cpu);
/* The timer interrupts at `deadline` at the latest. */
void timeout_arm(struct cpu *cpu, uint64_t deadline);

/* Some seconds: who has a long quantum is interrupted now and then, for others' grace periods. */
#define TICKS_MAX (1ul << 34)

static inline uint64_t tsc_of_us(uint64_t us)
{
	uint64_t ticks;

	if (__builtin_mul_overflow(us, tsc_khz, &ticks) || ticks / 1000 > TICKS_MAX)
		return TICKS_MAX;
	return ticks / 1000;
}
