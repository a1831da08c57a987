/*
 * From one SC to another; interrupts; other CPUs.
 */
#include "bench.h"

enum {
	COM1_GSI = 4,
	COM1 = 0x3f8,
	COM_ENABLE = 1,
	COM_IDENTIFY = 2,
	COM_MODEM = 4,
	COM_OUT2 = 0xb, /* lets interrupts out; and DTR, RTS */
	COM_EMPTY = 2,	/* interrupt when there is nothing to send */
};

static enum status yield(void)
{
	return syscall_3(CALL_ID(CALL_EC_CTRL, EC_YIELD, 0), 0, 0);
}

static void yielding(struct frame *f)
{
	(void)f;
	while (yield() == SUCCESS) {
	}
}

static inline void out(unsigned port, uint8_t value)
{
	__asm__ volatile("outb %0, %w1" : : "a"(value), "d"(port) : "memory");
}

static inline uint8_t in(unsigned port)
{
	uint8_t value;

	__asm__ volatile("inb %w1, %0" : "=a"(value) : "d"(port) : "memory");
	return value;
}

/* Waits for the interrupt, says when it came, and acknowledges it. */
static void handler(struct frame *f)
{
	while (sm_down(f->argument, 0) == SUCCESS) {
		f->value[0] = clock();
		out(COM1 + COM_ENABLE, 0);
		in(COM1 + COM_IDENTIFY);
	}
}

/*
 * The serial port's, which comes as soon as it is enabled: the time runs from
 * the OUT to the first instruction of a thread of higher priority.
 */
static void measure_interrupt(void)
{
	unsigned long sm = sel();
	struct frame *t;

	SETUP(take(CRD(CRD_OBJ, RIGHTS_ALL, 0, KERNEL_SEL_GSI + COM1_GSI), 0,
		   CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)));
	SETUP(assign_gsi(sm, boot_cpu, 0));
	t = make_thread(SEL_ROOT_PD, boot_cpu, PRIORITY_PEER, handler, sm);
	out(COM1 + COM_MODEM, COM_OUT2);
	/* Until all that was said is out, it would come late. */
	sleep_us(100000);
	for (unsigned i = 0; i < rounds(SAMPLES); i++) {
		uint64_t from;

		t->value[0] = 0;
		if (traced(i, SAMPLES))
			trace_mark();
		from = clock();
		out(COM1 + COM_ENABLE, COM_EMPTY);
		while (t->value[0] == 0 && clock() - from < tsc_of_us(1000)) {
		}
		if (traced(i, SAMPLES))
			trace_mark();
		if (t->value[0] == 0) {
			report_failed("interrupt_to_handler", TIMEOUT);
			return;
		}
		record(i, t->value[0] - from);
	}
	report("interrupt_to_handler");
}

void bench_schedule(void)
{
	struct frame *t = make_thread(SEL_ROOT_PD, boot_cpu, PRIORITY_MIN, yielding, 0);

	MEASURE("sc_switch_and_back", SAMPLES, SUCCESS, , yield(), );
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->sc)));
	make_thread(make_pd(), boot_cpu, PRIORITY_MIN, yielding, 0);
	MEASURE("sc_switch_pd_and_back", SAMPLES, SUCCESS, , yield(), );
	clean();
	measure_interrupt();
}

/* Other CPUs */

static void answer(struct frame *f)
{
	while (sm_down(f->argument, 0) == SUCCESS) {
		f->value[1] = clock();
		(void)!sm_up(f->value[0]);
	}
}

/* Up here, and the time when the thread there runs. */
static void measure_wake(struct frame *t, unsigned long there, unsigned long back)
{
	for (unsigned i = 0; i < rounds(SAMPLES); i++) {
		uint64_t from = clock();

		SETUP(sm_up(there));
		SETUP(sm_down(back, 0));
		record(i, t->value[1] - from);
	}
	report("sm_wake_other_cpu");
}

static enum status there_and_back(unsigned long there, unsigned long back)
{
	enum status s = sm_up(there);

	return s == SUCCESS ? sm_down(back, 0) : s;
}

void bench_smp(void)
{
	unsigned other = boot_cpu ? 0 : 1;
	unsigned long there = make_sm(0), back = make_sm(0), portal;
	struct frame *t;

	t = make_idle_thread(SEL_ROOT_PD, other, answer, there, common_events(SEL_ROOT_PD, other));
	t->value[0] = back;
	start_thread(t, PRIORITY_PEER, 10000);
	sleep_us(10000);
	measure_wake(t, there, back);
	MEASURE("sm_wake_other_cpu_and_back", SAMPLES, SUCCESS, , there_and_back(there, back), );
	portal = make_stub(make_handler(SEL_ROOT_PD, other, NULL), 0, stub_echo);
	my_utcb->items = 0;
	MEASURE("call_other_cpu_0", SAMPLES, SUCCESS, , call(portal), );
}
