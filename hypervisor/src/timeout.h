/*
 * Timeouts of one CPU: a leftist heap by deadline. Every operation takes
 * logarithmic time at worst, whoever else has timeouts here.
 */
#pragma once

#include "types.h"

struct cpu;

struct timeout {
	uint64_t deadline; /* TSC */
	struct timeout *parent, *left, *right;
	uint32_t rank; /* 0: not in a heap */
	void (*fire)(struct timeout *);
};

void timeout_add(struct cpu *cpu, struct timeout *t);
void timeout_cancel(struct cpu *cpu, struct timeout *t);
/* Fire all that are due, and set the timer for the next. */
void timeout_run(struct cpu *cpu);
/* The timer interrupts at `deadline` at the latest. */
void timeout_arm(struct cpu *cpu, uint64_t deadline);
