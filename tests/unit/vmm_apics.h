/*
 * Four local APICs on one fabric, for the tests of their parts: they count what
 * they do to their vCPUs.
 */
#pragma once

#include "vmm_fixture.h"

#include "../../vmm/dev/lapic.h"

enum { CPUS = 4 };

struct cpu {
	struct lapic lapic;
	unsigned kicks, inits, startups;
	uint8_t startup_vector;
};

struct rig {
	struct fixture f;
	struct lapics all;
	struct apic_fabric fabric;
	struct cpu cpu[CPUS];
	unsigned eois;
	uint8_t eoi_vector;
};

/* Fresh ones; all in x2APIC mode, or with logical destinations, and enabled. */
struct rig *apics_start(void);
struct rig *apics_start_x2apic(void);
struct rig *apics_start_xapic(void);

/* Accesses that must succeed. */
void wrmsr(struct lapic *lapic, uint32_t msr, uint64_t value);
uint64_t rdmsr(struct lapic *lapic, uint32_t msr);
uint32_t mmio(struct lapic *lapic, uint64_t offset);
void self_ipi(struct lapic *lapic, uint8_t vector);
