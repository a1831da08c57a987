/*
 * How a device interrupts: by a line, or by a message.
 *
 * A line has a level. It belongs to the machine, which says to which inputs of
 * which interrupt controllers it is soldered; a device is given a pointer to
 * it and knows no controller. Only changes are passed on.
 *
 * A message is what travels to the local APICs: from the IOAPIC, from a device
 * (MSI), from another local APIC (IPI).
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { IRQ_LINE_INPUTS = 2 };

/* One input of an interrupt controller. */
struct irq_input {
	void (*set)(void *chip, unsigned pin, bool level); /* or NULL */
	void *chip;
	unsigned pin;
};

struct irq_line {
	struct irq_input to[IRQ_LINE_INPUTS];
	bool level;
};

/* A line may be NULL: one that is not connected. */
void irq_set(struct irq_line *line, bool level);
void irq_raise(struct irq_line *line);
void irq_lower(struct irq_line *line);

/*
 * A rising edge, whatever the level is. The line stays high: the 8259A forgets
 * a request whose line falls before it is acknowledged.
 */
void irq_edge(struct irq_line *line);

/* Delivery modes, as in the ICR, the LVTs and a redirection entry. */
enum apic_mode {
	APIC_FIXED = 0,
	APIC_LOWEST = 1,
	APIC_SMI = 2,
	APIC_NMI = 4,
	APIC_INIT = 5,
	APIC_STARTUP = 6,
	APIC_EXTINT = 7,
};

struct apic_message {
	uint32_t destination; /* 8 bits; 32 from an x2APIC's ICR */
	uint8_t vector;
	uint8_t mode; /* enum apic_mode; 3 is reserved */
	bool logical; /* destination mode */
	bool level;   /* trigger mode: EOI goes to the IOAPIC */
	bool x2apic;  /* destination has 32 bits; all ones = all */
};

/* Where messages go: the local APICs of the machine. */
struct apic_fabric {
	/* false: nobody took it. */
	bool (*deliver)(void *opaque, const struct apic_message *message);
	void *opaque;
};

bool apic_send(const struct apic_fabric *fabric, const struct apic_message *message);

/* A device's memory write to 0xfeexxxxx. false: no such address or target. */
bool msi_send(const struct apic_fabric *fabric, uint64_t address, uint32_t data);
