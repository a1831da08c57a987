/*
 * The time stamp counter: what it counts a second.
 */
#pragma once

#include "../types.h"

extern uint32_t tsc_khz;

/* Boot CPU: measure it. */
void tsc_init(void);

/*
 * After sleep, on the boot CPU: if the TSC has begun anew, it is to go on from
 * `then`, on all CPUs alike, each of which calls tsc_adjust().
 */
void tsc_resume(uint64_t then);
void tsc_adjust(void);

void tsc_delay(uint64_t microseconds);
