/*
 * Interrupts that programs can have: GSIs, each with its semaphore (sm.h) and
 * its vector. Those that an IOAPIC has are lines, the others messages (MSI).
 */
#pragma once

#include "../types.h"

enum { GSIS = 192 };

/* Boot CPU, after ioapic_init(). */
void gsi_init(void);

/*
 * Send an interrupt to a CPU (by number, which exists). Without FLAG_GSI_MODE
 * in flags a line's trigger and polarity are the machine's: what ACPI says for
 * an ISA interrupt, else level, active low. It is masked until gsi_unmask().
 *
 * Where there is no line it is a message: what the device (its RID; of a line
 * SOURCE_UNKNOWN) is to write, and where; both 0 for a line.
 *
 * BAD_CPU: interrupts cannot be sent there. BAD_DEVICE: a line and a device, or
 * neither. OUT_OF_MEMORY.
 */
[[nodiscard]] enum status gsi_assign(unsigned gsi, uint32_t device, uint32_t cpu, unsigned flags,
				     uint64_t *address, uint64_t *data);

/* Its program is ready for the next; a level-triggered line was masked. */
void gsi_unmask(unsigned gsi);

/* irq.c: the interrupt arrived. */
void gsi_interrupt(unsigned gsi);
