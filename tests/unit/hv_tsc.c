/*
 * The TSC is measured by a clock that goes, whatever ACPI says of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "x86/insn.h"

#define in8		     pit_in
#define out8		     pit_out
#define cpuid(leaf, subleaf) fake_cpuid(leaf, subleaf)
static uint8_t pit_in(uint16_t port);
static void pit_out(uint16_t port, uint8_t value);
static struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf);
#include "../../hypervisor/src/x86/tsc.c"

enum { KHZ = 2000000, PM_PORT = 0x608, NO_PORT = 0x700 };

static uint64_t now;
static uint32_t port, told_khz;
static bool pm_goes, pit_goes;
static jmp_buf *panics;

struct cpu *this_cpu(void)
{
	return NULL;
}

/* Each look takes a while, so that what waits for ever ends. */
uint64_t fake_rdtsc(void)
{
	static unsigned looks;

	assert_true(looks++ < 1u << 30);
	return now += 20000;
}

uint32_t fake_in32(uint16_t at)
{
	assert_int_equal(at, port);
	return !pm_goes ? ~0u : (uint32_t)((unsigned __int128)now * PM_HZ / 1000 / KHZ) & PM_MASK;
}

static uint8_t pit_in(uint16_t at)
{
	static uint16_t latched;
	static bool high;

	if (at != PIT_CHANNEL2)
		return 0;
	if (!high)
		latched = pit_goes ? (uint16_t) - ((unsigned __int128)now * PIT_HZ / 1000 / KHZ)
				   : 0;
	high = !high;
	return (uint8_t)(latched >> (high ? 0 : 8));
}

static void pit_out(uint16_t at, uint8_t value)
{
	(void)at, (void)value;
}

/* A leaf that tells the frequency, in kHz. */
static struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	return leaf == 0	  ? (struct cpuid){.eax = LEAF_TSC}
	       : leaf == LEAF_TSC ? (struct cpuid){.eax = 1, .ebx = 1000, .ecx = told_khz}
				  : (struct cpuid){0};
}

uint32_t acpi_fadt(unsigned field)
{
	return field == FADT_PM_TIMER ? port : field == FADT_PM_TIMER_LENGTH && port ? 4 : 0;
}

void log(const char *format, ...)
{
	(void)format;
}

void panic_exception(const struct regs *regs, const char *format, ...)
{
	(void)regs, (void)format;
	assert_non_null(panics);
	longjmp(*panics, 1);
}

static void measured(uint32_t at, bool pm, bool pit, uint32_t told, uint32_t least, uint32_t most)
{
	port = at;
	pm_port = 0;
	pm_goes = pm;
	pit_goes = pit;
	told_khz = told;
	tsc_init();
	assert_in_range(tsc_khz, least, most);
}

static void test_clocks(void **state)
{
	const uint32_t least = KHZ - KHZ / 200, most = KHZ + KHZ / 200;

	(void)state;
	measured(PM_PORT, true, false, 0, least, most);
	measured(0, false, true, 0, least, most);
	/* What CPUID says, if that is about what is measured. */
	measured(PM_PORT, true, true, KHZ + 1, KHZ + 1, KHZ + 1);
	measured(PM_PORT, true, true, 2 * KHZ, least, most);
}

/* A port where nothing counts; then nothing at all that does. */
static void test_standing(void **state)
{
	const uint32_t least = KHZ - KHZ / 200, most = KHZ + KHZ / 200;
	jmp_buf here;

	(void)state;
	measured(NO_PORT, false, true, 0, least, most);
	measured(NO_PORT, false, false, KHZ + 7, KHZ + 7, KHZ + 7);
	panics = &here;
	if (!setjmp(here)) {
		measured(NO_PORT, false, false, 0, 0, 0);
		fail();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_standing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
