/*
 * IOAPICs: pins by global system interrupt number (GSI).
 */
#pragma once

#include "../types.h"

/* Boot CPU: map all of them, mask all pins. */
void ioapic_init(void);

bool ioapic_has(unsigned gsi);
/* Where the pin's interrupt goes, and FLAG_GSI_LEVEL, FLAG_GSI_LOW; masked. */
void ioapic_route(unsigned gsi, uint32_t vector, uint32_t apic_id,
		  unsigned flags);
void ioapic_mask(unsigned gsi, bool masked);
