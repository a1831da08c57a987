/*
 * The local APIC, SDM 3A chapter 10. x2APIC mode when there is one: it has all
 * of the ID's 32 bits, and its registers are MSRs, which a hypervisor below us
 * handles faster than memory accesses that it must decode.
 */
#include "apic.h"

#include "cpu.h"
#include "insn.h"
#include "irq.h"
#include "kmem.h"
#include "msr.h"

/* Offsets in the register page; MSR_X2APIC + offset / 16 in x2APIC mode. */
enum {
	APIC_ID = 0x20,
	APIC_TPR = 0x80,
	APIC_EOI = 0xb0,
	APIC_SPURIOUS = 0xf0,
	APIC_ESR = 0x280,
	APIC_ICR = 0x300,
	APIC_ICR_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_THERMAL = 0x330,
	APIC_LVT_COUNTER = 0x340,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
	APIC_VERSION = 0x30,
};

enum {
	SPURIOUS_ENABLE = 1 << 8,
	LVT_MASKED = 1 << 16,
	LVT_TSC_DEADLINE = 2 << 17,
	DIVIDE_BY_1 = 0xb,

	ICR_NMI = 4 << 8,
	ICR_INIT = 5 << 8,
	ICR_STARTUP = 6 << 8,
	ICR_PENDING = 1 << 12,
	ICR_ASSERT = 1 << 14,
	ICR_OTHERS = 3 << 18,

	BASE_X2APIC = 1 << 10,
	BASE_ENABLE = 1 << 11,

	CPUID_X2APIC = 1 << 21,	      /* 1, ECX */
	CPUID_TSC_DEADLINE = 1 << 24, /* 1, ECX */
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

void apic_setup(void)
{
	uint32_t features = cpuid(1, 0).ecx;

	x2apic = features & CPUID_X2APIC;
	deadline_timer = features & CPUID_TSC_DEADLINE;
	if (x2apic)
		apic_id_max = ~1u;
	else
		registers = kmem_device(APIC_PHYS);
}

static void init_timer(void)
{
	write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	write(APIC_TIMER_INITIAL, 0);
	if (!deadline_timer) {
		write(APIC_LVT_TIMER, VECTOR_TIMER);
		return;
	}
	write(APIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_TIMER);
	/* The mode must be set before a deadline is (SDM 3A 10.5.4.1). */
	__asm__ volatile("mfence" : : : "memory");
}

void apic_init(void)
{
	/* The entries that every APIC has, and those behind the first four. */
	static const uint16_t masked[] = {APIC_LVT_LINT0, APIC_LVT_LINT1, APIC_LVT_COUNTER,
					  APIC_LVT_THERMAL};
	uint64_t base = rdmsr(MSR_APIC_BASE) | BASE_ENABLE;
	unsigned entries;

	wrmsr(MSR_APIC_BASE, base);
	if (x2apic)
		wrmsr(MSR_APIC_BASE, base | BASE_X2APIC);
	write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
	write(APIC_TPR, 0);
	entries = (read(APIC_VERSION) >> 16 & 0xff) + 1;
	for (unsigned i = 0; i < ARRAY_SIZE(masked) && i + 2 < entries; i++)
		write(masked[i], LVT_MASKED);
	write(APIC_ESR, 0);
	write(APIC_LVT_ERROR, VECTOR_ERROR);
	init_timer();
}

uint32_t apic_id(void)
{
	return x2apic ? read(APIC_ID) : read(APIC_ID) >> 24;
}

void apic_eoi(void)
{
	write(APIC_EOI, 0);
}

static void send(uint32_t to, uint32_t command)
{
	if (x2apic) {
		/* The write waits for no store before it: SDM 3A 10.12.3. */
		__asm__ volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)to << 32 | command);
		return;
	}
	while (read(APIC_ICR) & ICR_PENDING)
		__builtin_ia32_pause();
	write(APIC_ICR_HIGH, to << 24);
	write(APIC_ICR, command);
}

void ipi_send(uint32_t cpu)
{
	send(cpus[cpu]->apic_id, ICR_ASSERT | VECTOR_IPI);
}

void apic_send_init(uint32_t to)
{
	send(to, ICR_INIT | ICR_ASSERT);
}

void apic_send_startup(uint32_t to, uint64_t page_phys)
{
	send(to, ICR_STARTUP | ICR_ASSERT | (uint32_t)(page_phys >> 12));
}

void apic_stop_others(void)
{
	if (x2apic || registers)
		send(0, ICR_NMI | ICR_ASSERT | ICR_OTHERS);
}

void apic_timer_start(void)
{
	write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	write(APIC_TIMER_INITIAL, ~0u);
}

uint32_t apic_timer_left(void)
{
	return read(APIC_TIMER_CURRENT);
}

void apic_timer_setup(uint64_t apic_khz, uint64_t tsc_khz)
{
	apic_per_tsc = (apic_khz << 32) / tsc_khz;
	init_timer();
}

/* Count for a deadline; what is too far away is cut, never 0. */
static uint32_t count_until(uint64_t deadline)
{
	uint64_t now = rdtsc();
	unsigned __int128 count;

	if (deadline <= now)
		return 1;
	count = ((unsigned __int128)(deadline - now) * apic_per_tsc >> 32) + 1;
	return count > ~0u ? ~0u : (uint32_t)count;
}

void timer_set(uint64_t deadline)
{
	bool never = deadline == ~0ul;

	if (deadline_timer)
		wrmsr(MSR_TSC_DEADLINE, never ? 0 : deadline);
	else
		write(APIC_TIMER_INITIAL, never ? 0 : count_until(deadline));
}
