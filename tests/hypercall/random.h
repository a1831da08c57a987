/*
 * Numbers for programs that mean no good.
 */
#pragma once

#include <stdint.h>

#include <lib/syscall.h>

/* Marsaglia's xorshift64*; the state is not 0. */
static inline uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x * 0x2545f4914f6cdd1d;
}

/* At the edges of something: for an array. */
#define EDGES                                                                        \
	0, 1, 2, 3, 0xfff, 0x1000, 0xffff, 0x10000, 1 << 18, 1ul << 31, 1ul << 32,   \
		USER_END - 4096, USER_END, ROOT_UTCB, 1ul << 47, 0xffff800000000000, \
		0xffffffff80000000, 0xffffff0000000000, ~0ul, ~0ul - 4095, 1ul << 63
