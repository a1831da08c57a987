/*
 * What the machine has of processors and interrupt controllers: the ACPI MADT,
 * or without one a single processor and a PC's interrupts.
 */
#pragma once

#include "../types.h"
#include "cpu.h"

enum { MAX_IOAPICS = 8, ISA_IRQS = 16 };

struct madt_cpu {
	uint32_t apic_id;
	uint8_t acpi_id;
};

struct madt_ioapic {
	uint64_t phys;
	uint32_t gsi;	 /* its first */
	uint32_t source; /* as whom it sends interrupts (iommu.h) */
	uint8_t id;
};

/* An interrupt of the ISA bus: where it arrives, and how. */
struct madt_isa {
	uint32_t gsi;
	uint8_t flags; /* FLAG_GSI_LEVEL, FLAG_GSI_LOW (call.h) */
};

struct machine {
	struct madt_cpu cpu[MAX_CPUS];
	uint32_t cpus;
	struct madt_ioapic ioapic[MAX_IOAPICS];
	uint32_t ioapics;
	uint32_t sources; /* that are known */
	struct madt_isa isa[ISA_IRQS];
};

extern struct machine machine;

void madt_init(void);
/* Another table tells as whom an IOAPIC sends interrupts. */
void madt_source(uint8_t ioapic_id, uint32_t source);
