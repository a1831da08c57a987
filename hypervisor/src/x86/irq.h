/*
 * Interrupt vectors and what happens on them. Vectors above 0x20 go to
 * irq_handle(), on entry from user mode, from a guest, or from the idle loop.
 */
#pragma once

#include "../types.h"

enum {
	VECTOR_GSI = 0x20,   /* first of the GSI and MSI vectors */
	VECTOR_TIMER = 0xf0, /* local APIC timer */
	VECTOR_ERROR = 0xf1, /* local APIC error */
	VECTOR_IPI = 0xf2,   /* look at the inbox, flush, reschedule */
	VECTOR_SPURIOUS = 0xff,
};

/* Do what the interrupt asks, acknowledge it. May set cpu->resched. */
void irq_handle(uint32_t vector);

/* VECTOR_IPI came. */
void ipi_handle(void);

/*
 * In long work, with no lock held: let interrupts in for a moment. True: there
 * is something more urgent to run.
 */
bool irq_poll(void);

/* From any CPU: VECTOR_IPI on that CPU. */
void ipi_send(uint32_t cpu);
