/*
 * Runs the topics and prints what they measured.
 */
#include "bench.h"

#include "../hypercall/ecs.h"

enum {
	COM1 = 0x3f8,
	COM_STATUS = COM1 + 5,
	COM_READY = 1,
	SETTLE_US = 20000,
	SETTLE_EVERY = 32,
};

/* With several CPUs only what needs them: the rest is as with one. */
static void (*const topics_one[])(void) = {
	measure_clock,	 bench_ipc,    bench_semaphore,
	bench_exception, bench_object, bench_memory,
	bench_schedule,	 bench_vm,     NULL,
};
static void (*const topics_several[])(void) = {
	measure_clock,
	bench_smp,
	NULL,
};

_Noreturn void test_main(unsigned long cpu, const struct hip *page_);

void put_text(const char *text)
{
	say("%s", text);
}

/* The benchmark cannot do what it needs: the topic ends. */
void test_failed(bool error, const char *file, int line, const char *text, uint64_t is,
		 uint64_t expected)
{
	(void)error;
	say("bench: FAIL %s:%d: %s is %#lx, expected %#lx\n", file, line, text, is, expected);
	failures++;
	if (is_main())
		test_abandon();
}

void settle(void)
{
	sleep_us(SETTLE_US);
}

void settle_sometimes(void)
{
	static unsigned n;

	if (n++ % SETTLE_EVERY == 0)
		settle();
}

unsigned long make_stub(const struct frame *handler, unsigned long mtd, const char *stub)
{
	unsigned long pt = sel();

	SETUP(create_pt(pt, SEL_ROOT_PD, handler->ec, mtd, (unsigned long)stub));
	return pt;
}

/* QEMU starts to trace when it is told so. */
static void wait_for_tracer(void)
{
	uint64_t status = 0;

	if (tracing()) {
		say("bench: press a key to trace\n");
		while (!(status & COM_READY))
			(void)!probe_in(COM_STATUS, &status);
		(void)!probe_in(COM1, &status);
	}
}

/* Nobody watches here but who waits for the last line. */
static void no_watchdog(struct frame *f)
{
	(void)f;
	(void)!sm_down(SEL_FOREVER, 0);
}

static void start(void)
{
	ecs_init();
	ecs_watchdog(no_watchdog, PRIORITY_MAX);
}

void test_main(unsigned long cpu, const struct hip *page_)
{
	hip = page_;
	boot_cpu = (unsigned)cpu;
	machine_init();
	say("bench: start %s %u CPUs, TSC %u kHz%s\n",
	    hip->features & HIP_VMX   ? "VMX"
	    : hip->features & HIP_SVM ? "SVM"
				      : "none",
	    cpus, hip->tsc_khz, tracing() ? ", tracing" : "");
	test_enter(start);
	wait_for_tracer();
	for (void (*const *topic)(void) = cpus > 1 ? topics_several : topics_one; *topic; topic++) {
		test_enter(*topic);
		clean();
		settle();
	}
	say("bench: done, %u failures\n", failures);
	machine_end(!failures);
}
