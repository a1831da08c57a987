/*
 * The time stamp counter: what it counts a second.
 */
#pragma once

#include "../types.h"

extern uint32_t tsc_khz;

/* Boot CPU: measure it. */
void tsc_init(void);

/* After sleep, on the boot CPU: if the TSC has begun anew, all are to go on from `then`. */
void tsc_resume(uint64_t then);
/* On each CPU as it starts, and starts again. */
void tsc_adjust(const struct cpu *cpu);

void tsc_delay(uint64_t microseconds);
