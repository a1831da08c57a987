/*
 * Time: the TSC, which runs at a constant rate on all CPUs, and what it is in
 * nanoseconds. Deadlines of hypercalls are absolute TSC values.
 */
#pragma once

#include <stdint.h>

#define NS_PER_US 1000ul
#define NS_PER_MS 1000000ul
#define NS_PER_S  1000000000ul

static inline uint64_t time_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* The runtime does this at startup. */
void time_init(uint32_t tsc_khz);

/* Durations; exact to one in 2^31, no overflow within 64 bits of result. */
uint64_t time_tsc_to_ns(uint64_t tsc);
uint64_t time_ns_to_tsc(uint64_t ns);

/* Nanoseconds since the TSC was 0. */
static inline uint64_t time_ns(void)
{
	return time_tsc_to_ns(time_tsc());
}

/* The TSC value so many nanoseconds from now, never 0. */
static inline uint64_t time_deadline(uint64_t ns)
{
	uint64_t deadline = time_tsc() + time_ns_to_tsc(ns);

	return deadline ? deadline : 1;
}

void time_sleep(uint64_t ns);
