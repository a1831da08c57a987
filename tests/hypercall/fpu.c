/*
 * Floating point registers: kept for each EC, and seen by no other.
 */
#include "test.h"

enum {
	MXCSR_RESET = 0x1f80,
	MXCSR_TOWARDS_0 = 0x7f80,
	CPUID_1_ECX_OSXSAVE = 1 << 27,
	CPUID_1_ECX_AVX = 1 << 28,

	FPU_XMM0 = 160, /* offset in the FXSAVE image */
};

static const uint64_t pattern = 0x0123456789ab0000;

/* code.S */
void fpu_fill_ymm(uint64_t with);
uint64_t fpu_compare_ymm(uint64_t with);
void fpu_set_mxcsr(uint64_t value);
uint64_t fpu_get_mxcsr(void);

static bool have_avx(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c & CPUID_1_ECX_OSXSAVE && c & CPUID_1_ECX_AVX;
}

/* Adds up how many registers hold what they should not. */
static void user(struct frame *f)
{
	uint64_t mine = pattern + (f->argument << 32);

	if (f->value[0]++ == 0) {
		/* Nothing of anybody's to be seen. */
		f->value[1] += !fpu_compare(pattern);
		f->value[1] += !fpu_compare(pattern + (1ul << 32));
		f->value[1] += (fpu_get_mxcsr() & 0xffff) != MXCSR_RESET;
		if (have_avx())
			f->value[1] += !fpu_compare_ymm(pattern);
		fpu_fill(mine);
	} else {
		f->value[1] += fpu_compare(mine);
		fpu_fill(mine);
	}
}

/* A handler in another PD does not see the caller's, nor change them. */
static void handler_elsewhere(void)
{
	struct frame *h = make_handler(make_pd(), boot_cpu, user);
	unsigned long pt = make_portal(h, 0, 0);

	h->argument = 7;
	fpu_fill(pattern);
	fpu_set_mxcsr(MXCSR_TOWARDS_0);
	for (unsigned i = 0; i < 50; i++) {
		EQUAL(call(pt), SUCCESS);
		EQUAL(h->value[1], 0);
		EQUAL(fpu_compare(pattern), 0);
		EQUAL(fpu_get_mxcsr() & 0xffff, MXCSR_TOWARDS_0);
	}
	fpu_set_mxcsr(MXCSR_RESET);
}

/* The same for the upper halves of the AVX registers. */
static void avx(void)
{
	struct frame *h = make_handler(make_pd(), boot_cpu, user);
	unsigned long pt = make_portal(h, 0, 0);

	if (!have_avx())
		test_skip("no AVX");
	fpu_fill(pattern);
	fpu_fill_ymm(pattern);
	for (unsigned i = 0; i < 5; i++) {
		EQUAL(call(pt), SUCCESS);
		EQUAL(h->value[1], 0);
		EQUAL(fpu_compare_ymm(pattern), 0);
	}
}

static volatile bool stop;

/* Its own registers stay, whatever others do meanwhile. */
static void spin(struct frame *f)
{
	uint64_t mine = pattern + (f->argument << 32);

	fpu_fill(mine);
	while (!stop) {
		f->value[1] += fpu_compare(mine);
		f->value[0]++;
	}
	f->value[2] = 1;
}

/* Threads that take turns, in one PD and in several. */
static void threads(void)
{
	enum { N = 6 };
	struct frame *t[N];
	unsigned long pd = make_pd();

	stop = false;
	for (unsigned i = 0; i < N; i++) {
		t[i] = make_idle_thread(i % 3 ? pd : SEL_ROOT_PD, boot_cpu, spin, i,
					common_events(i % 3 ? pd : SEL_ROOT_PD, boot_cpu));
		start_thread(t[i], 1, 300);
	}
	for (unsigned i = 0; i < N; i++)
		WAIT(t[i]->value[0] > 1000);
	stop = true;
	for (unsigned i = 0; i < N; i++) {
		WAIT(t[i]->value[2]);
		EQUAL(t[i]->value[1], 0);
	}
}

static void see_state(struct frame *f)
{
	uint8_t *fpu = f->utcb->fpu;
	uint64_t *xmm = (uint64_t *)(fpu + FPU_XMM0);

	for (unsigned i = 0; i < 16; i++) {
		f->value[0] += xmm[2 * i] != pattern + i;
		f->value[0] += xmm[2 * i + 1] != pattern + i;
		xmm[2 * i] = ~pattern + i;
	}
	f->value[1] = f->utcb->mtd;
	f->utcb->rip += 2;
	f->utcb->mtd = f->argument;
}

static void fill_and_ud(struct frame *f)
{
	fpu_fill(pattern);
	__asm__ volatile("ud2");
	f->value[0] = 1;
	f->value[1] = fpu_compare(~pattern);
	f->value[2] = fpu_compare(pattern);
}

static void only_ud(struct frame *f)
{
	fpu_fill(pattern);
	__asm__ volatile("ud2");
	f->value[0] = 1;
}

static struct frame *ud_thread(function *run, function *handler, struct frame **h)
{
	unsigned long base;

	*h = make_handler(SEL_ROOT_PD, boot_cpu, handler);
	base = events_replaced(1 << VECTOR_UD, make_portal(*h, MTD_RIP_LEN | MTD_FPU, 0));
	return make_idle_thread(SEL_ROOT_PD, boot_cpu, run, 0, base);
}

/* An exception's handler sees and sets them, if the MTD says so. */
static void event(void)
{
	struct frame *h, *t = ud_thread(fill_and_ud, see_state, &h);

	h->argument = MTD_RIP_LEN | MTD_FPU;
	start_thread(t, 5, 1000);
	EQUAL(t->value[0], 1);
	EQUAL(h->value[0], 0);
	EQUAL(h->value[1], MTD_RIP_LEN | MTD_FPU);
	/* The low halves are new; the x87 stack is the old one. */
	CHECK(t->value[1] <= 1);

	t = ud_thread(fill_and_ud, see_state, &h);
	h->argument = MTD_RIP_LEN;
	start_thread(t, 5, 1000);
	EQUAL(t->value[0], 1);
	/* The first comparison has taken the old one from the x87 stack. */
	CHECK(t->value[2] <= 1);
}

static void all_ones(struct frame *f)
{
	for (unsigned i = 0; i < UTCB_FPU_SIZE; i++)
		f->utcb->fpu[i] = (uint8_t)f->value[0];
	f->utcb->rip += 2;
	f->utcb->mtd = MTD_RIP_LEN | MTD_FPU;
}

/* State that the processor would refuse is not loaded as it is. */
static void bad_state(void)
{
	for (unsigned value = 0; value < 256; value += 15) {
		struct frame *h, *t = ud_thread(only_ud, all_ones, &h);

		h->value[0] = value;
		start_thread(t, 5, 1000);
		EQUAL(t->value[0], 1);
	}
}

const struct test fpu_tests[] = {
	{"fpu.handler_elsewhere", handler_elsewhere, 0},
	{"fpu.avx", avx, 0},
	{"fpu.threads", threads, 0},
	{"fpu.event", event, 0},
	{"fpu.bad_state", bad_state, 0},
	{0},
};
