/*
 * What the machine has of processors and interrupt controllers: the ACPI MADT,
 * or without one a single processor and a PC's interrupts.
 */
#pragma once

#include "../types.h"
#include "cpu.h"

struct madt_cpu {
	uint32_t apic_id;
	uint8_t acpi_id;
};

struct machine {
	struct madt_cpu cpu[MAX_CPUS];
	uint32_t cpus;
	uint32_t ioapics; /* that are listed */
};

extern struct machine machine;

void madt_init(void);
