/*
 * The frequency of the TSC is measured against the ACPI power management timer
 * or, without that, the PIT's channel 2. What CPUID says is exact where it is
 * true, which it is not everywhere: it is taken if it agrees with the clock to
 * one percent. The TSC is not written but after sleep.
 */
#include "tsc.h"

#include "../log.h"
#include "acpi.h"
#include "cpu.h"
#include "insn.h"

enum { PM_HZ = 3579545, PM_MASK = 0xffffff }; /* some timers have no more bits */

enum { PIT_HZ = 1193182, PIT_MASK = 0xffff, PIT_CHANNEL2 = 0x42, PIT_COMMAND = 0x43 };
enum { PIT_LATCH2 = 0x80, PIT_START2 = 0xb4 }; /* channel 2, both bytes, mode 2 */
enum { PORT_B = 0x61, PORT_B_GATE2 = 1 << 0, PORT_B_SPEAKER = 1 << 1 };

enum { PART = 50, TRIES = 4 }; /* measure for 1/50 s: less than PIT_MASK */
#define STANDS (1ul << 33)     /* ticks of the TSC: some seconds */

enum { LEAF_FEATURES = 7, CPUID_TSC_ADJUST = 1 << 1 }; /* EBX */
enum { LEAF_TSC = 0x15, LEAF_HYPERVISOR_TSC = 0x40000010 };

uint32_t tsc_khz;

static uint64_t adjust[MAX_CPUS]; /* IA32_TSC_ADJUST, where there is one */
static uint64_t lost;		  /* by sleep, of all TSCs at one time */

/* Of the clock that the TSC is measured by, and that counts up; 0: the PIT. */
static uint16_t pm_port;

static uint32_t clock_read(void)
{
	uint32_t value;

	if (pm_port)
		return in32(pm_port);
	out8(PIT_COMMAND, PIT_LATCH2);
	value = in8(PIT_CHANNEL2);
	value |= (uint32_t)in8(PIT_CHANNEL2) << 8;
	return -value;
}

/* The clock, and the TSC at that time, as nearly as can be had. */
static uint32_t sample(uint64_t *tsc)
{
	uint64_t least = ~0ul;
	uint32_t best = 0;

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t before = rdtsc();
		uint32_t now = clock_read();
		uint64_t took = rdtsc() - before;

		if (took < least) {
			least = took;
			best = now;
			*tsc = before + took / 2;
		}
	}
	return best;
}

/* kHz by CPUID, or 0. SDM 2A CPUID leaf 15H; the other is a convention. */
static uint64_t cpuid_khz(void)
{
	struct cpuid r = cpuid(LEAF_TSC, 0);
	uint32_t khz = cpuid(LEAF_HYPERVISOR_TSC, 0).eax;

	if (cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR && khz)
		return khz;
	return r.eax ? (uint64_t)r.ecx * r.ebx / r.eax / 1000 : 0;
}

/* kHz, or 0: the clock stands still. */
static uint64_t measure(uint32_t hz, uint32_t mask)
{
	uint64_t start, end;
	uint32_t clock = sample(&start), ticks;

	do
		ticks = (sample(&end) - clock) & mask;
	while (ticks < hz / PART && end - start < STANDS);
	return ticks < hz / PART ? 0 : (end - start) * hz / ticks / 1000;
}

void tsc_init(void)
{
	uint64_t khz = 0, told = cpuid_khz();

	if ((acpi_fadt(FADT_PM_TIMER_LENGTH) & 0xff) == 4)
		pm_port = (uint16_t)acpi_fadt(FADT_PM_TIMER);
	if (pm_port)
		khz = measure(PM_HZ, PM_MASK);
	if (!khz) {
		pm_port = 0;
		out8(PORT_B, (uint8_t)((in8(PORT_B) & ~PORT_B_SPEAKER) | PORT_B_GATE2));
		out8(PIT_COMMAND, PIT_START2);
		out8(PIT_CHANNEL2, 0);
		out8(PIT_CHANNEL2, 0);
		khz = measure(PIT_HZ, PIT_MASK);
	}
	khz = !khz || (told > khz - khz / 100 && told < khz + khz / 100) ? told : khz;
	if (!khz)
		panic("tsc: no clock that goes");
	tsc_khz = (uint32_t)khz;
	log("tsc: %u kHz\n", tsc_khz);
}

void tsc_adjust(const struct cpu *cpu)
{
	uint64_t *a = &adjust[cpu->id];

	if (cpuid(LEAF_FEATURES, 0).ebx & CPUID_TSC_ADJUST) {
		*a = cpu->idle ? *a + lost : rdmsr(MSR_TSC_ADJUST);
		wrmsr(MSR_TSC_ADJUST, *a);
	} else if (lost) {
		wrmsr(MSR_TSC, rdtsc() + lost);
	}
}

/* Firmware and emulators that begin anew with the TSC may say so in that MSR. */
void tsc_resume(uint64_t then)
{
	uint64_t now;

	lost = 0;
	tsc_adjust(this_cpu());
	now = rdtsc();
	lost = now < then ? then - now : 0;
}

void tsc_delay(uint64_t microseconds)
{
	uint64_t end = rdtsc() + microseconds * tsc_khz / 1000;

	while (rdtsc() < end)
		__builtin_ia32_pause();
}
