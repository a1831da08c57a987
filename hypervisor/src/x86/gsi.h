/*
 * Interrupts that programs can have: GSIs, each with its semaphore (sm.h) and
 * its vector. Those below the number of IOAPIC pins are lines; any that is not
 * assigned as a line can be a message (MSI).
 */
#pragma once

#include "../types.h"

enum { GSIS = 192 };

/* Boot CPU, after ioapic_init(). */
void gsi_init(void);

/*
 * Send a line to a CPU (by number), masked until gsi_unmask(). Without
 * FLAG_GSI_MODE in flags trigger and polarity are the machine's: what ACPI says
 * for an ISA interrupt, else level, active low. BAD_DEVICE: there is no such
 * line. BAD_CPU: no such CPU, or an IOAPIC cannot name it.
 */
[[nodiscard]] enum status gsi_assign(unsigned gsi, unsigned cpu,
				     unsigned flags);
/* A message instead: what the device is to write, and where. */
[[nodiscard]] enum status gsi_assign_msi(unsigned gsi, unsigned cpu,
					 uint64_t *address, uint64_t *data);

/* Its program is ready for the next; a level-triggered line was masked. */
void gsi_unmask(unsigned gsi);

/* irq.c: the interrupt arrived. */
void gsi_interrupt(unsigned gsi);
