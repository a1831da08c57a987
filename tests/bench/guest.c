/*
 * What exits cost as a guest sees it: it boots as Linux does, under the VMM
 * that Linux has, and times instructions by its own TSC.
 */
#include "../guest/guest.h"
#include "stats.h"

enum {
	VECTOR = 0x60,
	UD = 6,
	COM_STATUS = COM1 + 5,
	COM_READY = 1,
	COM_SCRATCH = COM1 + 7,
	MODE_DEADLINE = 2 << 17,
	ICR_SELF = 1 << 18,
	STRING = 64,   /* bytes of a string instruction */
	SOON = 20000,  /* ticks, to a deadline */
	GAP = 100,     /* ticks: something came between */
	SHORTLY = 400, /* ticks before that */
	GAP_LOOPS = 10000000,
	GAP_ROUNDS = 18,
	GAPS = 10000, /* to find so many that are regular */
	REGULAR = 1,  /* so many in turn: what disturbs comes more often */
};

#define DEVICE	     ((volatile uint32_t *)0xfed80000) /* nobody's */
#define IOAPIC_INDEX ((volatile uint32_t *)0xfec00000)
#define IOAPIC_DATA  ((volatile uint32_t *)0xfec00010)

extern const char take_interrupt[], skip_ud[];
extern volatile uint64_t interrupted_at, interrupts;

static uint8_t buffer[STRING];

void put_text(const char *text)
{
	put_string(text);
}

static void set_gate(unsigned vector, const char *handler)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr;
	volatile uint16_t *gate;
	uint64_t at = (uint64_t)handler;

	__asm__ volatile("sidt %0" : "=m"(idtr));
	gate = (volatile uint16_t *)(idtr.base + 16ul * vector);
	gate[0] = (uint16_t)at;
	gate[3] = (uint16_t)(at >> 16);
}

static void start_apic(void)
{
	out8(0x21, 0xff);
	out8(0xa1, 0xff);
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 0xc00);
	wrmsr(MSR_SVR, 0x1ff);
	wrmsr(MSR_LVT_TIMER, VECTOR | MODE_DEADLINE);
}

/* The operations, each to be timed as a whole. */

static inline uint64_t cpuid_0(void)
{
	uint32_t r[4];

	cpuid(0, r);
	return 0;
}

static inline uint64_t hypercall(bool svm)
{
	if (svm)
		__asm__ volatile("vmmcall" : : "a"(0) : "memory");
	else
		__asm__ volatile("vmcall" : : "a"(0) : "memory");
	return 0;
}

static inline uint64_t port_in(uint16_t port)
{
	in8(port);
	return 0;
}

static inline uint64_t port_out(uint16_t port)
{
	out8(port, 0);
	return 0;
}

static inline uint64_t string_in(void)
{
	uint64_t count = STRING;
	void *to = buffer;

	__asm__ volatile("rep insb" : "+c"(count), "+D"(to) : "d"(NOWHERE_PORT) : "memory");
	return count;
}

static inline uint64_t string_out(void)
{
	uint64_t count = STRING;
	const void *from = buffer;

	__asm__ volatile("rep outsb" : "+c"(count), "+S"(from) : "d"(NOWHERE_PORT) : "memory");
	return count;
}

static inline uint64_t msr_read(uint32_t msr)
{
	rdmsr(msr);
	return 0;
}

static inline uint64_t msr_write(uint32_t msr, uint64_t value)
{
	wrmsr(msr, value);
	return 0;
}

static inline uint64_t memory_read(volatile uint32_t *at)
{
	(void)*at;
	return 0;
}

static inline uint64_t memory_write(volatile uint32_t *at)
{
	*at = 0x10000;
	return 0;
}

/* Send it while interrupts are off, sleep, take it, say that it is over. */
static inline uint64_t self_ipi_halt(void)
{
	wrmsr(MSR_ICR, ICR_SELF | VECTOR);
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	return 0;
}

static inline uint64_t deadline_halt(void)
{
	wrmsr(MSR_TSC_DEADLINE, rdtsc());
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	return 0;
}

/* One is pending; until its handler has returned. */
static inline uint64_t window(void)
{
	__asm__ volatile("sti; nop; cli" : : : "memory");
	return 0;
}

/* Times that need more than MEASURE has: from a deadline to the handler. */

static void measure_deadline(const char *name, bool halt)
{
	for (unsigned i = 0; i < rounds(SAMPLES); i++) {
		uint64_t before = interrupts, deadline = rdtsc() + SOON;

		wrmsr(MSR_TSC_DEADLINE, deadline);
		if (traced(i, SAMPLES))
			trace_mark();
		if (halt) {
			__asm__ volatile("sti; hlt; cli" : : : "memory");
		} else {
			interrupts_on();
			while (interrupts == before) {
			}
			interrupts_off();
		}
		if (traced(i, SAMPLES))
			trace_mark();
		record(i, interrupted_at - deadline);
	}
	report(name);
}

/* When the next of these gaps ends, and how long it is; 0 if none comes. */
static uint64_t find_gap(uint64_t *length)
{
	uint64_t last = rdtsc();

	for (uint64_t i = 0; i < GAP_LOOPS; i++) {
		uint64_t now = rdtsc();

		if (now - last > GAP) {
			*length = now - last;
			return now;
		}
		last = now;
	}
	return 0;
}

/*
 * What an interrupt of the host's takes, that is none of the guest's: the end
 * of its time slice, which comes at regular times (guest.dts). While the
 * console still prints, its interrupts come between. Only shortly before one is
 * the mark put, or the trace would be long.
 */
static void measure_host_interrupt(void)
{
	uint64_t at = 0, slice = 0, length;
	/* A slice is long for a trace: only the rounds that matter. */
	unsigned round = tracing() ? TRACE_ROUNDS - TRACED : 0, regular = 0;

	interrupts_on();
	for (unsigned i = 0; i < GAPS && round < rounds(GAP_ROUNDS); i++) {
		uint64_t before = at, last = slice;
		bool mark = regular > REGULAR && traced(round, GAP_ROUNDS);

		if (mark) {
			while (rdtsc() < at + slice - SHORTLY) {
			}
			trace_mark();
		}
		at = find_gap(&length);
		if (mark)
			trace_mark();
		if (!at)
			break;
		if (regular > REGULAR)
			record(round++, length);
		slice = at - before;
		regular = slice - last + GAP < 2 * GAP ? regular + 1 : 0;
	}
	interrupts_off();
	if (round == rounds(GAP_ROUNDS))
		report("exit_host_interrupt");
	else
		report_skipped("exit_host_interrupt", "none came");
}

static bool is_amd(void)
{
	uint32_t r[4];

	cpuid(0, r);
	return r[1] == 0x68747541; /* "Auth" */
}

/*
 * In the page of the interrupt's handler: where the processor does not tell an
 * instruction's length the VMM remembers a page of code (vmm/src/length.c), and
 * what is measured should not depend on how long this program is.
 */
__attribute__((noinline, aligned(4096), section(".text.interrupt"))) static void
measure_interrupts(void)
{
	MEASURE("exit_x2apic_icr", SAMPLES, 0, , msr_write(MSR_ICR, ICR_SELF | VECTOR), window());
	MEASURE("exit_interrupt_window", SAMPLES, 0, wrmsr(MSR_ICR, ICR_SELF | VECTOR), window(), );
	MEASURE("self_ipi_halt", SAMPLES, 0, , self_ipi_halt(), );
	MEASURE("deadline_halt", SAMPLES, 0, , deadline_halt(), );
}

static void measure_exits(void)
{
	bool svm = is_amd();

	MEASURE("exit_cpuid", SAMPLES, 0, , cpuid_0(), );
	MEASURE("exit_hypercall_ud", SAMPLES, 0, , hypercall(svm), );
	MEASURE("exit_port_in", SAMPLES, 0, , port_in(COM_SCRATCH), );
	MEASURE("exit_port_out", SAMPLES, 0, , port_out(COM_SCRATCH), );
	MEASURE("exit_port_in_nobody", SAMPLES, 0, , port_in(NOWHERE_PORT), );
	MEASURE("exit_string_in_64", SAMPLES, 0, , string_in(), );
	MEASURE("exit_string_out_64", SAMPLES, 0, , string_out(), );
	MEASURE("exit_rdmsr", SAMPLES, 0, , msr_read(MSR_APIC_BASE), );
	MEASURE("exit_wrmsr", SAMPLES, 0, , msr_write(MSR_SVR, 0x1ff), );
	MEASURE("exit_x2apic_eoi", SAMPLES, 0, , msr_write(MSR_EOI, 0), );
	MEASURE("exit_tsc_deadline", SAMPLES, 0, ,
		msr_write(MSR_TSC_DEADLINE, rdtsc() + (1ul << 40)), wrmsr(MSR_TSC_DEADLINE, 0));
	MEASURE("exit_mmio_read", SAMPLES, 0, *IOAPIC_INDEX = 0x10, memory_read(IOAPIC_DATA), );
	MEASURE("exit_mmio_write", SAMPLES, 0, *IOAPIC_INDEX = 0x10, memory_write(IOAPIC_DATA), );
	MEASURE("exit_nested_page_fault", SAMPLES, 0, , memory_read(DEVICE), );
}

void guest_main(void)
{
	init_traps();
	set_gate(VECTOR, take_interrupt);
	set_gate(UD, skip_ud);
	start_apic();
	put_string("bench: start guest\n");
	if (tracing()) {
		put_string("bench: press a key to trace\n");
		while (!(in8(COM_STATUS) & COM_READY)) {
		}
		in8(COM1);
	}
	measure_clock();
	measure_exits();
	measure_interrupts();
	measure_deadline("timer_to_handler_halted", true);
	measure_deadline("exit_recall", false);
	measure_host_interrupt();
	put_string("bench: done\n");
	end();
}
