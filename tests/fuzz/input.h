/*
 * What libFuzzer gives: bytes, from which a harness takes numbers until there
 * are none. A harness is a unit test's file with another source of numbers:
 *
 *	#define main unit_main
 *	#include "../unit/NAME.c"
 *	#undef main
 *
 * What the unit test asserts, it asserts here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static const uint8_t *input_at, *input_end;

static inline void input_set(const uint8_t *data, size_t size)
{
	input_at = data;
	input_end = data + size;
}

static inline bool input_empty(void)
{
	return input_at == input_end;
}

/* Little endian; zeros when there is no more. */
static inline uint64_t input_take(unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && !input_empty(); i++)
		value |= (uint64_t)*input_at++ << 8 * i;
	return value;
}

/* A number below n, of as few bytes as it needs. */
static inline uint64_t input_below(uint64_t n)
{
	unsigned bytes = 1;

	while (bytes < 8 && n > 1ul << 8 * bytes)
		bytes++;
	return n ? input_take(bytes) % n : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
