/*
 * The 82093AA and its successors. Registers are behind an index: hence the
 * lock.
 */
#include "ioapic.h"

#include "../log.h"
#include "iommu.h"
#include "kmem.h"
#include "madt.h"

enum {
	INDEX = 0x00 / 4,
	DATA = 0x10 / 4,
	EOI = 0x40 / 4, /* since version 0x20 */

	REG_VERSION = 1, /* bits 23..16: last pin */
	REG_PIN = 0x10,	 /* two a pin */
	PINS_MAX = 240,

	PIN_LOW = 1 << 13,
	PIN_WAITS = 1 << 14, /* for the EOI of a level interrupt */
	PIN_LEVEL = 1 << 15,
	PIN_MASKED = 1 << 16,
};

struct ioapic {
	struct lock lock; /* for the registers */
	volatile uint32_t *registers;
	const struct madt_ioapic *madt;
	uint32_t pins;
	uint32_t saved[2 * PINS_MAX];
};

static struct ioapic ioapic[MAX_IOAPICS];
static uint32_t ioapics;

static uint32_t read(struct ioapic *a, uint32_t reg)
{
	a->registers[INDEX] = reg;
	return a->registers[DATA];
}

static void write(struct ioapic *a, uint32_t reg, uint32_t value)
{
	a->registers[INDEX] = reg;
	a->registers[DATA] = value;
}

static struct ioapic *find(unsigned gsi)
{
	for (uint32_t i = 0; i < ioapics; i++)
		if (gsi - ioapic[i].madt->gsi < ioapic[i].pins)
			return &ioapic[i];
	return NULL;
}

void ioapic_init(void)
{
	for (uint32_t i = 0; i < machine.ioapics; i++) {
		struct ioapic *a = &ioapic[ioapics];
		uint32_t version;

		a->registers = kmem_device(machine.ioapic[i].phys);
		a->madt = &machine.ioapic[i];
		version = read(a, REG_VERSION);
		if (version == ~0u) {
			log("ioapic: none at 0x%lx\n", machine.ioapic[i].phys);
			continue;
		}
		a->pins = (version >> 16 & 0xff) + 1;
		a->pins = a->pins < PINS_MAX ? a->pins : PINS_MAX;
		for (uint32_t pin = 0; pin < a->pins; pin++)
			write(a, REG_PIN + 2 * pin, PIN_MASKED);
		ioapics++;
	}
}

bool ioapic_has(unsigned gsi, uint32_t *source)
{
	const struct ioapic *a = find(gsi);

	*source = a ? a->madt->source : SOURCE_UNKNOWN;
	return a;
}

/* Bits 19..4 of the address are the upper half's, whatever their meaning. */
void ioapic_route(unsigned gsi, uint32_t vector, uint64_t address, unsigned flags)
{
	struct ioapic *a = find(gsi);
	uint32_t reg = REG_PIN + 2 * (gsi - a->madt->gsi);

	lock(&a->lock);
	write(a, reg, PIN_MASKED);
	write(a, reg + 1, (uint32_t)(address << 12));
	write(a, reg,
	      PIN_MASKED | vector | (flags & FLAG_GSI_LEVEL ? PIN_LEVEL : 0) |
		      (flags & FLAG_GSI_LOW ? PIN_LOW : 0));
	unlock(&a->lock);
}

void ioapic_mask(unsigned gsi, bool masked)
{
	struct ioapic *a = find(gsi);
	uint32_t reg = REG_PIN + 2 * (gsi - a->madt->gsi), value;

	lock(&a->lock);
	value = read(a, reg);
	if (value & PIN_WAITS && !masked) {
		/* Behind an IOMMU the APIC's EOI may not come to it. */
		a->registers[EOI] = value & 0xff;
	}
	value &= ~(uint32_t)PIN_MASKED;
	write(a, reg, value | (masked ? PIN_MASKED : 0));
	unlock(&a->lock);
}

void ioapic_save(void)
{
	for (struct ioapic *a = ioapic; a < ioapic + ioapics; a++)
		for (uint32_t i = 0; i < 2 * a->pins; i++)
			a->saved[i] = read(a, REG_PIN + i);
}

/* The halves with the mask last. */
void ioapic_restore(void)
{
	for (struct ioapic *a = ioapic; a < ioapic + ioapics; a++)
		for (uint32_t i = 2 * a->pins; i-- > 0;)
			write(a, REG_PIN + i, a->saved[i]);
}
