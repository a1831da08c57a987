/*
 * Samples, and the line that is printed of them: shared by the program that
 * measures the kernel and by the guest, which have nothing else in common.
 *
 *     bench: NAME ticks=T0,T1,...    quantiles, see report()
 *     bench: NAME skipped: why
 *     bench: FAIL NAME status N
 *     bench: done
 *
 * A tick is one of the TSC; on the emulators that docs/benchmark.md names it
 * is an instruction. What two readings of the clock cost by themselves is
 * taken off (`overhead`).
 *
 * Each program is linked twice. The second, NAME-trace, does each operation a
 * few times and puts marks around the last three: what lies between them is
 * traced from outside, and the one is taken that nothing came into. Of an
 * interrupt the next round may also tell: the VMM puts the TSC right.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	SAMPLES = 450,
	FEW = 18,	  /* for what takes long */
	WARMUP = 9,	  /* a round more for each so many samples */
	TRACE_ROUNDS = 8, /* all that a traced operation is done */
	TRACED = 3,	  /* of these, between marks: the last */
};

extern uint64_t overhead;
extern unsigned failures;

/* Whoever links this can print. */
void put_text(const char *text);

bool tracing(void);
/* Rounds to do for so many samples; the first warm up and are forgotten. */
unsigned rounds(unsigned samples);
/* Whether this round's operation is to lie between marks. */
bool traced(unsigned round, unsigned samples);
/* What this round took. */
void record(unsigned round, uint64_t ticks);
/* Print the line of the rounds recorded. */
void report(const char *name);
void report_skipped(const char *name, const char *why);
void report_failed(const char *name, uint64_t status);
/* The first two lines: the overhead, and the proof that a tick is what. */
void measure_clock(void);

/* Assembly of each program: where a trace begins and ends. */
void trace_mark(void);

static inline uint64_t clock(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/*
 * Time `operation` for so many samples; `before` and `after` are not timed. A
 * status other than `want` ends the measurement.
 */
#define MEASURE(name, samples, want, before, operation, after) \
	do {                                                   \
		uint64_t status_ = (want), from_, to_;         \
		unsigned round_ = 0;                           \
		for (; round_ < rounds(samples); round_++) {   \
			before;                                \
			if (traced(round_, samples))           \
				trace_mark();                  \
			from_ = clock();                       \
			status_ = (operation);                 \
			to_ = clock();                         \
			if (traced(round_, samples))           \
				trace_mark();                  \
			after;                                 \
			if (status_ != (want))                 \
				break;                         \
			record(round_, to_ - from_);           \
		}                                              \
		if (status_ == (want))                         \
			report(name);                          \
		else                                           \
			report_failed(name, status_);          \
	} while (0)
