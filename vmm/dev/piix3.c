/* Intel 82371SB (PIIX3) data sheet. */

#include "piix3.h"

enum {
	PIRQRC = 0x60, /* four registers */
	PIRQRC_DISABLED = 0x80,
	PIRQRC_ISA = 0x0f,

	/* 0, 1, 2, 8 and 13 are not for PCI. */
	ISA_ROUTABLE = 0xdef8,
};

static const struct pci_register registers[] = {
	{PCI_VENDOR_ID, 2, 0x8086, 0, 0},
	{PCI_DEVICE_ID, 2, 0x7000, 0, 0},
	{PCI_COMMAND, 2, 0x0007, 0x0108, 0},
	{PCI_STATUS, 2, 0x0200, 0, 0x7800},
	{PCI_CLASS, 2, 0x0601, 0, 0},
	{PCI_HEADER_TYPE, 1, PCI_HEADER_MULTI, 0, 0},
	{PCI_SUBSYSTEM_VENDOR, 2, 0x1af4, 0, 0},
	{PCI_SUBSYSTEM, 2, 0x1100, 0, 0},
	{0x4c, 1, 0x4d, 0x7f, 0},     /* ISA I/O recovery timer */
	{0x4e, 2, 0x0003, 0x07f7, 0}, /* X-bus chip select */
	/* As a firmware leaves it: A and B are 10, C and D 11. */
	{PIRQRC, 4, 0x0b0b0a0a, 0x8f8f8f8f, 0},
	{0x69, 1, 0x02, 0xfe, 0}, /* top of memory */
	{0x82, 1, 0, 0x07, 0},	  /* deterministic latency control */
};

/* The ISA interrupt of a PIRQ, or -1. */
static int route(const struct piix3 *bridge, unsigned pirq)
{
	uint8_t value = bridge->pci.config[PIRQRC + pirq];
	unsigned isa = value & PIRQRC_ISA;

	if ((value & PIRQRC_DISABLED) != 0 || (ISA_ROUTABLE & 1u << isa) == 0)
		return -1;
	return (int)isa;
}

/* Drive the ISA lines anew; only those that a PIRQ has or had. */
static void update(struct piix3 *bridge)
{
	uint16_t driven = 0;

	for (unsigned pirq = 0; pirq < PIIX3_PIRQS; pirq++) {
		int isa = route(bridge, pirq);

		if (isa >= 0 && bridge->asserted[pirq] != 0)
			driven |= (uint16_t)(1u << isa);
	}

	uint16_t changed = driven ^ bridge->driven;

	bridge->driven = driven;
	for (unsigned isa = 0; isa < 16; isa++)
		if ((changed & 1u << isa) != 0)
			irq_set(&bridge->isa[isa], (driven & 1u << isa) != 0);
}

void piix3_intx_set(void *opaque, unsigned pin, bool level)
{
	struct piix3 *bridge = opaque;
	unsigned device = pin / 4 % 32;
	unsigned pirq = (device + pin % 4 + 3) % PIIX3_PIRQS;
	uint32_t bit = 1u << device;

	/* A device has one pin: the usual one, whichever function it is. */
	if (level)
		bridge->asserted[pirq] |= bit;
	else
		bridge->asserted[pirq] &= ~bit;
	update(bridge);
}

static void written(void *device, unsigned offset, unsigned bytes)
{
	(void)offset;
	(void)bytes;
	update(device);
}

void piix3_init(struct piix3 *bridge, struct irq_line *isa)
{
	*bridge = (struct piix3){
		.isa = isa,
		.pci = {.written = written, .device = bridge},
	};
	piix3_reset(bridge);
}

void piix3_reset(struct piix3 *bridge)
{
	pci_function_reset(&bridge->pci, registers, sizeof(registers) / sizeof(registers[0]));
	update(bridge);
}
