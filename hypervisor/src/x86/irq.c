/*
 * What happens on an interrupt, by vector.
 */
#include "irq.h"

#include "../log.h"
#include "../timeout.h"
#include "apic.h"
#include "cpu.h"
#include "gsi.h"

void irq_handle(uint32_t vector)
{
	static bool error_told;

	if (vector - VECTOR_GSI < GSIS) {
		gsi_interrupt(vector - VECTOR_GSI);
		return;
	}
	switch (vector) {
	case VECTOR_TIMER:
		apic_eoi();
		timeout_run(this_cpu());
		break;
	case VECTOR_IPI:
		apic_eoi();
		ipi_handle();
		break;
	case VECTOR_ERROR:
		apic_eoi();
		if (!error_told) {
			error_told = true;
			log("apic: an error was reported\n");
		}
		break;
	default:
		/* Spurious: from an APIC or PIC, to be ignored, without EOI. */
		break;
	}
}
