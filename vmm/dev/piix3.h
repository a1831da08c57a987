/*
 * The PCI-to-ISA bridge, function 0 of Intel's 82371SB (PIIX3), at 00:01.0. It
 * routes the PCI interrupts, PIRQA..PIRQD, to ISA interrupts as the guest says.
 */

#pragma once

#include <stdint.h>

#include "../src/irq.h"
#include "pci.h"

enum {
	PIIX3_PIRQS = 4,
	PIIX3_DEVICE = 1,
};

struct piix3 {
	struct pci_function pci;
	struct irq_line *isa;		/* 16 lines */
	uint32_t asserted[PIIX3_PIRQS]; /* which of the 32 PCI devices do */
	uint16_t driven;		/* ISA lines that a PIRQ holds high */
};

/* isa: the machine's 16 ISA interrupt lines. */
void piix3_init(struct piix3 *bridge, struct irq_line *isa);
void piix3_reset(struct piix3 *bridge);

/*
 * A PCI interrupt: an irq_input's set(). pin is PCI device * 4 + 0..3 for
 * INTA..INTD; which PIRQ that is, DSDT's _PRT says too.
 */
void piix3_intx_set(void *bridge, unsigned pin, bool level);
