/*
 * IOAPICs: pins by global system interrupt number (GSI).
 */
#pragma once

#include "../types.h"

/* Boot CPU: map all of them, mask all pins. */
void ioapic_init(void);

/* Around sleep: all pins. */
void ioapic_save(void);
void ioapic_restore(void);

/* The one that has the pin: as whom it sends interrupts; 0 without one. */
bool ioapic_has(unsigned gsi, uint32_t *source);
/*
 * The pin sends the message with this address, and the vector as data; flags:
 * FLAG_GSI_LEVEL, FLAG_GSI_LOW. It is masked.
 */
void ioapic_route(unsigned gsi, uint32_t vector, uint64_t address, unsigned flags);
void ioapic_mask(unsigned gsi, bool masked);
