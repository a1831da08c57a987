/*
 * The local APIC, SDM 3A chapter 10. x2APIC mode when there is one: it has all
 * of the ID's 32 bits, and its registers are MSRs, which a hypervisor below us
 * handles faster than memory accesses that it must decode.
 */
#include "apic.h"

#include "insn.h"
#include "irq.h"
#include "kmem.h"
#include "tsc.h"

/* Offsets in the register page; MSR_X2APIC + offset / 16 in x2APIC mode. */
enum { APIC_ID = 0x20, APIC_VERSION = 0x30, APIC_TPR = 0x80, APIC_EOI = 0xb0 };
enum { APIC_SPURIOUS = 0xf0, SPURIOUS_ENABLE = 1 << 8 };
enum { APIC_ESR = 0x280, APIC_ICR = 0x300, APIC_ICR_HIGH = 0x310, ICR_PENDING = 1 << 12 };
enum { PENDING_MAX = 1 << 16 }; /* looks: some milliseconds */
enum { LVT_TIMER = 0x320, LVT_THERMAL = 0x330, LVT_COUNTER = 0x340, LVT_LINT0 = 0x350 };
enum { LVT_LINT1 = 0x360, LVT_ERROR = 0x370, LVT_MASKED = 1 << 16 };
enum { LVT_PERIODIC = 1 << 17, LVT_TSC_DEADLINE = 2 << 17 };
enum { TIMER_INITIAL = 0x380, TIMER_CURRENT = 0x390, TIMER_DIVIDE = 0x3e0, DIVIDE_BY_1 = 0xb };

enum { BASE_X2APIC = 1 << 10, BASE_ENABLE = 1 << 11 };
enum { CPUID_X2APIC = 1 << 21, CPUID_TSC_DEADLINE = 1 << 24 }; /* 1, ECX */
enum { MEASURE_US = 20000, LEAST_TICKS = 1 << 14 /* of the TSC */ };

/* What registers begin with, where there are so many entries of the LVT. */
static const struct {
	uint16_t at;
	uint8_t entries;
	uint32_t value;
} initial[] = {
	{APIC_SPURIOUS, 0, SPURIOUS_ENABLE | VECTOR_SPURIOUS},
	{APIC_TPR, 0, 0},
	{LVT_LINT0, 0, LVT_MASKED},
	{LVT_LINT1, 0, LVT_MASKED},
	{LVT_COUNTER, 5, LVT_MASKED},
	{LVT_THERMAL, 6, LVT_MASKED},
	{APIC_ESR, 0, 0},
	{LVT_ERROR, 0, LVT_MASKED}, /* which devices may cause */
	{LVT_TIMER, 0, LVT_MASKED},
	{TIMER_DIVIDE, 0, DIVIDE_BY_1},
	{TIMER_INITIAL, 0, 0},
};

uint32_t apic_id_max = 254; /* of 8 bits, 255 is all */

static bool x2apic, deadline_timer;
static volatile uint32_t *registers;
static uint64_t apic_per_tsc; /* timer ticks in a TSC tick, << 32 */

static uint32_t read(unsigned at)
{
	return x2apic ? (uint32_t)rdmsr(MSR_X2APIC + at / 16) : registers[at / 4];
}

static void write(unsigned at, uint32_t value)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + at / 16, value);
	else
		registers[at / 4] = value;
}

/* The timer, if it cannot be told a time of the TSC's. */
static void measure_timer(void)
{
	uint64_t start = rdtsc();

	write(TIMER_INITIAL, ~0u);
	tsc_delay(MEASURE_US);
	apic_per_tsc = ((uint64_t)(~0u - read(TIMER_CURRENT)) << 32) / (rdtsc() - start);
	write(TIMER_INITIAL, 0);
}

void apic_init(void)
{
	uint32_t features = cpuid(1, 0).ecx, entries;
	uint64_t base = rdmsr(MSR_APIC_BASE) | BASE_ENABLE;

	deadline_timer = features & CPUID_TSC_DEADLINE;
	wrmsr(MSR_APIC_BASE, base);
	if (features & CPUID_X2APIC) {
		x2apic = true;
		apic_id_max = ~1u;
		wrmsr(MSR_APIC_BASE, base | BASE_X2APIC);
	} else if (!registers) {
		registers = kmem_map(APIC_PHYS, MEMORY_UNCACHED);
	}
	entries = (read(APIC_VERSION) >> 16 & 0xff) + 1;
	for (unsigned i = 0; i < ARRAY_SIZE(initial); i++)
		if (initial[i].entries <= entries)
			write(initial[i].at, initial[i].value);
	if (!deadline_timer && !apic_per_tsc)
		measure_timer();
	write(LVT_TIMER, (deadline_timer ? LVT_TSC_DEADLINE : LVT_PERIODIC) | VECTOR_TIMER);
	/* The mode must be set before a deadline is (SDM 3A 10.5.4.1). */
	__asm__ volatile("mfence" : : : "memory");
}

uint32_t apic_id(void)
{
	return x2apic ? read(APIC_ID) : read(APIC_ID) >> 24;
}

void apic_eoi(void)
{
	write(APIC_EOI, 0);
}

void apic_send(uint32_t to, uint32_t message)
{
	if (x2apic) {
		/* The write waits for no store before it: SDM 3A 10.12.3. */
		__asm__ volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)to << 32 | message);
	} else if (registers) {
		/* One that never has sent the last is broken, but not waited for for ever. */
		for (unsigned n = 0; read(APIC_ICR) & ICR_PENDING && n < PENDING_MAX; n++)
			__builtin_ia32_pause();
		write(APIC_ICR_HIGH, to << 24);
		write(APIC_ICR, message);
	}
}

void ipi_send(uint32_t cpu)
{
	apic_send(cpus[cpu]->apic_id, APIC_FIXED | VECTOR_IPI);
}

void timer_set(uint64_t deadline)
{
	uint64_t now;
	unsigned __int128 count;

	if (deadline_timer) {
		wrmsr(MSR_TSC_DEADLINE, deadline);
		return;
	}
	/*
	 * It counts again and again, since QEMU loses some of the interrupts that come in
	 * the midst of VMRUN or #VMEXIT. So it must not be short. What is too far away is cut.
	 */
	now = rdtsc();
	deadline = deadline > now + LEAST_TICKS ? deadline - now : LEAST_TICKS;
	count = (unsigned __int128)deadline * apic_per_tsc >> 32;
	write(TIMER_INITIAL, count < ~0u ? (uint32_t)count + 1 : ~0u);
}
