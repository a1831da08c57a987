/*
 * A local APIC without x2APIC mode, whose registers are in memory: messages to other CPUs,
 * and a timer that is told a count. And one that never says that a message is sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "x86/insn.h"

#define cpuid(leaf, subleaf)   fake_cpuid(leaf)
#define rdmsr(msr)	       fake_rdmsr(msr)
#define wrmsr(msr, value)      fake_wrmsr(msr, value)
#define __builtin_ia32_pause() fake_pause()
static struct cpuid fake_cpuid(uint32_t leaf);
static uint64_t fake_rdmsr(uint32_t msr);
static void fake_wrmsr(uint32_t msr, uint64_t value);
static void fake_pause(void);
#include "../../hypervisor/src/x86/apic.c"

static uint32_t page[PAGE_SIZE / 4];
static uint64_t now, base;
static unsigned pauses, busy; /* that it takes until a message is sent */
static struct cpu other = {.apic_id = 5};

struct cpu *cpus[MAX_CPUS] = {NULL, &other};

struct cpu *this_cpu(void)
{
	return &other;
}

static struct cpuid fake_cpuid(uint32_t leaf)
{
	assert_int_equal(leaf, 1);
	return (struct cpuid){0};
}

static uint64_t fake_rdmsr(uint32_t msr)
{
	assert_int_equal(msr, MSR_APIC_BASE);
	return base;
}

static void fake_wrmsr(uint32_t msr, uint64_t value)
{
	assert_int_equal(msr, MSR_APIC_BASE);
	base = value;
}

static void fake_pause(void)
{
	assert_true(pauses++ < 1u << 24);
	if (pauses == busy)
		page[APIC_ICR / 4] &= ~(uint32_t)ICR_PENDING;
}

uint64_t fake_rdtsc(void)
{
	return now;
}

/* The timer counts one for four ticks of the TSC. */
void tsc_delay(uint64_t microseconds)
{
	now += microseconds * 4;
	page[TIMER_CURRENT / 4] = page[TIMER_INITIAL / 4] - (uint32_t)microseconds;
}

void *kmem_map(uint64_t phys, enum memory_type type)
{
	assert_int_equal(phys, APIC_PHYS);
	assert_int_equal(type, MEMORY_UNCACHED);
	return page;
}

static void test_before(void **state)
{
	(void)state;
	apic_send(1, APIC_INIT); /* there is none yet */
}

static void test_init(void **state)
{
	(void)state;
	page[APIC_ID / 4] = 7u << 24;
	page[APIC_VERSION / 4] = 5 << 16; /* six entries of the LVT */
	apic_init();
	assert_true(base & BASE_ENABLE && !(base & BASE_X2APIC));
	assert_int_equal(apic_id(), 7);
	assert_int_equal(page[APIC_SPURIOUS / 4], SPURIOUS_ENABLE | VECTOR_SPURIOUS);
	assert_int_equal(page[LVT_THERMAL / 4], LVT_MASKED);
	assert_int_equal(page[LVT_TIMER / 4], LVT_PERIODIC | VECTOR_TIMER);
	timer_set(now + 400000);
	assert_in_range(page[TIMER_INITIAL / 4], 100000, 100001);
	timer_set(0);
	assert_in_range(page[TIMER_INITIAL / 4], LEAST_TICKS / 4, LEAST_TICKS / 4 + 1);
	timer_set(~0ul);
	assert_int_equal(page[TIMER_INITIAL / 4], ~0u);
}

static void test_send(void **state)
{
	(void)state;
	page[APIC_ICR / 4] = ICR_PENDING;
	pauses = 0;
	busy = 100;
	ipi_send(1);
	assert_int_equal(pauses, 100);
	assert_int_equal(page[APIC_ICR_HIGH / 4], 5u << 24);
	assert_int_equal(page[APIC_ICR / 4], APIC_FIXED | VECTOR_IPI);
}

static void test_never_sent(void **state)
{
	(void)state;
	page[APIC_ICR / 4] = ICR_PENDING;
	pauses = busy = 0;
	apic_send(9, APIC_NMI_OTHERS);
	assert_int_equal(page[APIC_ICR_HIGH / 4], 9u << 24);
	assert_int_equal(page[APIC_ICR / 4], APIC_NMI_OTHERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before),
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_never_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
