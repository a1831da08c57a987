/*
 * The I/O APIC: 24 pins at 0xfec00000, each with a redirection entry that says
 * which message to send. Intel 82093AA data sheet, and the EOI register of its
 * successors (version 0x20).
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../src/bus.h"
#include "../src/irq.h"

enum { IOAPIC_PINS = 24 };

#define IOAPIC_BASE 0xfec00000ull

struct ioapic {
	const struct apic_fabric *fabric;
	uint64_t redirection[IOAPIC_PINS];
	uint32_t lines; /* levels at the pins */
	uint8_t index;	/* IOREGSEL */
	uint8_t id;
	uint8_t boot_id; /* what the firmware has set */
};

void ioapic_init(struct ioapic *ioapic, uint8_t id, const struct apic_fabric *fabric);
void ioapic_reset(struct ioapic *ioapic);
[[nodiscard]] enum bus_status ioapic_attach(struct ioapic *ioapic, struct bus *memory);

/* An irq_input's set(): pin 0..23, level: asserted. */
void ioapic_set(void *ioapic, unsigned pin, bool level);

/* A local APIC's EOI of a level-triggered vector. */
void ioapic_eoi(void *ioapic, uint8_t vector);
