/*
 * Microseconds and ticks of the TSC.
 */
#pragma once

#include "x86/tsc.h"

/* Longer than any machine runs; sums of two do not overflow. */
#define TICKS_MAX (1ul << 62)

static inline uint64_t tsc_of_us(uint64_t us)
{
	uint64_t ticks;

	if (__builtin_mul_overflow(us, tsc_khz, &ticks) || ticks > TICKS_MAX)
		return TICKS_MAX;
	return ticks / 1000;
}

static inline uint64_t us_of_tsc(uint64_t ticks)
{
	return ticks / tsc_khz * 1000 + ticks % tsc_khz * 1000 / tsc_khz;
}
