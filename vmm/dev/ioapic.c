/*
 * A level-triggered pin sends when it is asserted, unmasked and Remote IRR is
 * clear; a message that was taken sets Remote IRR, the EOI clears it and the
 * pin is looked at anew. An edge at a masked pin is lost, as in the chip.
 *
 * Levels are "asserted", whatever polarity the entry says: who wires the
 * machine and who writes its tables agree on that.
 */

#include "ioapic.h"

#include <stddef.h>

enum {
	IOREGSEL = 0x00,
	IOWIN = 0x10,
	EOIR = 0x40,
	SIZE = 0x1000,

	IOAPICID = 0x00,
	IOAPICVER = 0x01,
	IOAPICARB = 0x02,
	IOREDTBL = 0x10,

	VERSION = 0x20 | (IOAPIC_PINS - 1) << 16,

	/* Redirection entry. */
	RTE_LOGICAL = 1 << 11,
	RTE_REMOTE_IRR = 1 << 14,
	RTE_LEVEL = 1 << 15,
	RTE_MASKED = 1 << 16,
	RTE_WRITABLE = 0x1afff, /* of the low half */
};

#define RTE_DESTINATION 0xff00000000000000ull

/* Send the pin's message; false: nobody took it. */
static bool send(const struct ioapic *ioapic, uint64_t rte)
{
	struct apic_message message = {
		.destination = (uint32_t)(rte >> 56),
		.vector = (uint8_t)rte,
		.mode = rte >> 8 & 7,
		.logical = (rte & RTE_LOGICAL) != 0,
		.level = (rte & RTE_LEVEL) != 0,
	};

	return apic_send(ioapic->fabric, &message);
}

/* A level-triggered pin that is asserted and free sends. */
static void service_level(struct ioapic *ioapic, unsigned pin)
{
	uint64_t rte = ioapic->redirection[pin];

	if ((rte & RTE_LEVEL) == 0 || (rte & (RTE_MASKED | RTE_REMOTE_IRR)) != 0 ||
	    (ioapic->lines & 1u << pin) == 0)
		return;
	if (send(ioapic, rte))
		ioapic->redirection[pin] |= RTE_REMOTE_IRR;
}

void ioapic_set(void *opaque, unsigned pin, bool level)
{
	struct ioapic *ioapic = opaque;

	if (pin >= IOAPIC_PINS)
		return;

	uint32_t bit = 1u << pin;
	bool rises = level && (ioapic->lines & bit) == 0;
	uint64_t rte = ioapic->redirection[pin];

	ioapic->lines = level ? ioapic->lines | bit : ioapic->lines & ~bit;
	if (!rises)
		return;
	if ((rte & RTE_LEVEL) != 0)
		service_level(ioapic, pin);
	else if ((rte & RTE_MASKED) == 0)
		send(ioapic, rte);
}

void ioapic_eoi(void *opaque, uint8_t vector)
{
	struct ioapic *ioapic = opaque;

	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t rte = ioapic->redirection[pin];

		if ((rte & RTE_LEVEL) != 0 && (uint8_t)rte == vector &&
		    (rte & RTE_REMOTE_IRR) != 0) {
			ioapic->redirection[pin] = rte & ~(uint64_t)RTE_REMOTE_IRR;
			service_level(ioapic, pin);
		}
	}
}

static void write_redirection(struct ioapic *ioapic, unsigned index, uint32_t value)
{
	unsigned pin = index / 2;
	uint64_t rte = ioapic->redirection[pin];

	if (index % 2 != 0)
		rte = (uint32_t)rte | ((uint64_t)value << 32 & RTE_DESTINATION);
	else
		rte = (rte & (RTE_DESTINATION | RTE_REMOTE_IRR)) | (value & RTE_WRITABLE);
	/* Switching to edge forgets that an EOI is due. */
	if ((rte & RTE_LEVEL) == 0)
		rte &= ~(uint64_t)RTE_REMOTE_IRR;
	ioapic->redirection[pin] = rte;
	service_level(ioapic, pin);
}

static uint32_t register_read(const struct ioapic *ioapic)
{
	unsigned index = ioapic->index;
	uint64_t rte;

	switch (index) {
	case IOAPICID:
	case IOAPICARB:
		return (uint32_t)ioapic->id << 24;
	case IOAPICVER:
		return VERSION;
	default:
		break;
	}
	if (index < IOREDTBL || index - IOREDTBL >= 2 * IOAPIC_PINS)
		return 0;
	rte = ioapic->redirection[(index - IOREDTBL) / 2];
	return (uint32_t)(index % 2 != 0 ? rte >> 32 : rte);
}

static void register_write(struct ioapic *ioapic, uint32_t value)
{
	unsigned index = ioapic->index;

	if (index == IOAPICID)
		ioapic->id = value >> 24 & 0xf;
	else if (index >= IOREDTBL && index - IOREDTBL < 2 * IOAPIC_PINS)
		write_redirection(ioapic, index - IOREDTBL, value);
}

static uint64_t ioapic_read(void *device, uint64_t offset, unsigned bytes)
{
	const struct ioapic *ioapic = device;

	(void)bytes;
	switch (offset) {
	case IOREGSEL:
		return ioapic->index;
	case IOWIN:
		return register_read(ioapic);
	default:
		return 0;
	}
}

static void ioapic_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct ioapic *ioapic = device;

	(void)bytes;
	switch (offset) {
	case IOREGSEL:
		ioapic->index = (uint8_t)value;
		break;
	case IOWIN:
		register_write(ioapic, (uint32_t)value);
		break;
	case EOIR:
		ioapic_eoi(ioapic, (uint8_t)value);
		break;
	default:
		break;
	}
}

void ioapic_init(struct ioapic *ioapic, uint8_t id, const struct apic_fabric *fabric)
{
	*ioapic = (struct ioapic){.fabric = fabric, .boot_id = id};
	ioapic_reset(ioapic);
}

void ioapic_reset(struct ioapic *ioapic)
{
	ioapic->index = 0;
	ioapic->id = ioapic->boot_id;
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		ioapic->redirection[pin] = RTE_MASKED;
}

enum bus_status ioapic_attach(struct ioapic *ioapic, struct bus *memory)
{
	return bus_add(memory, &(struct bus_region){
				       .base = IOAPIC_BASE,
				       .size = SIZE,
				       .read = ioapic_read,
				       .write = ioapic_write,
				       .device = ioapic,
				       .name = "ioapic",
				       .widths = BUS_DWORD,
			       });
}
