/*
 * What CPUID tells the guest: the host's features as far as a table allows
 * them, and what this virtual machine adds. It is computed once; an exit only
 * looks it up.
 *
 * Hypervisor leaves: 0x40000000 is ours (signature "MicronovaHv", 0x40000010
 * EAX the TSC's frequency in kHz). 0x40000100 is the signature by which Linux
 * finds the clock interface in pvclock.h: with it, it takes the frequency of
 * the TSC from there and uses the x2APIC, both of which it does for known
 * hypervisors only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { CPUID_ENTRIES = 64, CPUID_BASIC = 32, CPUID_EXTENDED = 16 };

struct cpuid_registers {
	uint32_t eax, ebx, ecx, edx;
};

struct cpuid_entry {
	uint32_t leaf, subleaf;
	struct cpuid_registers out;
};

struct cpuid {
	struct cpuid_entry entry[CPUID_ENTRIES];
	unsigned count;
	/* The first entry of a basic or extended leaf, 1 more; 0: none. */
	uint8_t basic[CPUID_BASIC], extended[CPUID_EXTENDED];
	uint32_t basic_max, extended_max; /* highest leaves */
};

struct cpuid_config {
	/* The processor's CPUID instruction. */
	struct cpuid_registers (*host)(uint32_t leaf, uint32_t subleaf);
	uint32_t apic_id;
	uint32_t vcpus;
	uint32_t tsc_khz;
	uint64_t xcr0; /* bits it can have; 0: without XSAVE, AVX */
};

/* What of the vCPU's state shows in CPUID. */
struct cpuid_state {
	uint64_t cr4;
	uint64_t xcr0;
};

void cpuid_init(struct cpuid *cpuid, const struct cpuid_config *config);
struct cpuid_registers cpuid_read(const struct cpuid *cpuid, uint32_t leaf, uint32_t subleaf,
				  const struct cpuid_state *state);

/* MAXPHYADDR and the width of linear addresses, as told to the guest. */
unsigned cpuid_address_bits(const struct cpuid *cpuid);

/* The clock of the local APIC's timer. */
uint64_t cpuid_timer_hz(const struct cpuid *cpuid);

/* The bits that the guest may set in XCR0, 0 without XSAVE. */
uint64_t cpuid_xcr0(const struct cpuid *cpuid);

/* Is the vendor Intel? Some MSRs depend on it. */
bool cpuid_is_intel(const struct cpuid *cpuid);
