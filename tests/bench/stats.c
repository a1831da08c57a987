#include "stats.h"

enum {
	STEP = 5, /* per cent, between quantiles */
	NEARLY_ALL = 99,
	ROUNDS = SAMPLES + SAMPLES / WARMUP,
	TRACING = 2, /* what the linker says for NAME-trace */
	DIGITS = 20,
};

uint64_t overhead;
unsigned failures;

static uint64_t sample[ROUNDS];
static unsigned count;

extern const char bench_tracing[];

bool tracing(void)
{
	return (unsigned long)bench_tracing == TRACING;
}

unsigned rounds(unsigned samples)
{
	return tracing() ? TRACE_ROUNDS : samples + samples / WARMUP;
}

bool traced(unsigned round, unsigned samples)
{
	return tracing() && round >= rounds(samples) - TRACED;
}

void record(unsigned round, uint64_t ticks)
{
	sample[round] = ticks;
	count = round + 1;
}

static void print_number(uint64_t n)
{
	char digits[DIGITS + 1], *first = digits + DIGITS;

	*first = 0;
	do {
		*--first = (char)('0' + n % 10);
		n /= 10;
	} while (n != 0);
	put_text(first);
}

static void sort(uint64_t *v, unsigned n)
{
	for (unsigned gap = n / 2; gap; gap /= 2) {
		for (unsigned i = gap; i < n; i++) {
			uint64_t x = v[i];
			unsigned j = i;

			for (; j >= gap && v[j - gap] > x; j -= gap)
				v[j] = v[j - gap];
			v[j] = x;
		}
	}
}

static void print_quantile(const uint64_t *v, unsigned n, unsigned percent)
{
	uint64_t ticks = v[(n - 1) * percent / 100];

	print_number(ticks > overhead ? ticks - overhead : 0);
	put_text(percent < 100 ? "," : "\n");
}

/* Quantiles 0, 5 and so on to 95, then 99 and 100 per cent. */
void report(const char *name)
{
	unsigned warm_up = count / (WARMUP + 1), n = count - warm_up;
	uint64_t *v = sample + warm_up;

	sort(v, n);
	put_text("bench: ");
	put_text(name);
	put_text(" ticks=");
	for (unsigned percent = 0; percent < 100; percent += STEP)
		print_quantile(v, n, percent);
	print_quantile(v, n, NEARLY_ALL);
	print_quantile(v, n, 100);
}

void report_skipped(const char *name, const char *why)
{
	put_text("bench: ");
	put_text(name);
	put_text(" skipped: ");
	put_text(why);
	put_text("\n");
}

void report_failed(const char *name, uint64_t status)
{
	put_text("bench: FAIL ");
	put_text(name);
	put_text(" status ");
	print_number(status);
	put_text("\n");
	failures++;
}

static inline uint64_t loop_1000(void)
{
	unsigned n = 499;

	__asm__ volatile("nop");
	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
	return 0;
}

void measure_clock(void)
{
	MEASURE("clock", SAMPLES, 0, , 0, );
	overhead = sample[count / 2];
	MEASURE("instructions_1000", SAMPLES, 0, , loop_1000(), );
}
