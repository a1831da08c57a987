/*
 * Interrupts: their vectors, and those that programs can have: GSIs, each with
 * its semaphore (sm.h) and its vector. Those that an IOAPIC has are lines, the
 * others messages (MSI).
 */
#pragma once

#include "cpu.h"

enum {
	GSIS = 192,
	MAX_IOAPICS = 15,

	/* Vectors from here on go to irq_handle(). */
	VECTOR_GSI = 0x20,   /* first of the GSI and MSI vectors */
	VECTOR_PIC = 0xe0,   /* 16 vectors that nothing else has */
	VECTOR_TIMER = 0xf0, /* local APIC timer */
	VECTOR_IPI = 0xf2,   /* look at the inbox, flush, reschedule */
	VECTOR_SPURIOUS = 0xff,
};

/* What the machine has of processors; without a MADT none is listed. */
struct machine {
	struct madt_cpu {
		uint32_t apic_id;
		uint8_t acpi_id;
	} cpu[MAX_CPUS];
	uint32_t cpus;
};

extern struct machine machine;

/* Boot CPU: processors, and IOAPICs, without a MADT the one of a PC. */
void madt_init(void);
/* ACPI says as whom an IOAPIC sends interrupts (iommu.h). */
void irq_source(uint8_t ioapic_id, uint32_t source);
/* All IOAPICs' are known. */
bool irq_sources_known(void);

/* Boot CPU, then, and after sleep: pins are as they were assigned, else masked. */
void irq_reset(void);

/*
 * Send an interrupt to a CPU (by number, which exists). Without FLAG_GSI_MODE
 * in flags a line's trigger and polarity are the machine's: what ACPI says for
 * an ISA interrupt, else level, active low. It is masked until gsi_mask().
 *
 * Where there is no line it is a message: what the device (its RID; of a line
 * SOURCE_UNKNOWN) is to write, and where; both 0 for a line.
 *
 * BAD_CPU: interrupts cannot be sent there. BAD_DEVICE: a line and a device, or
 * neither. OUT_OF_MEMORY.
 */
[[nodiscard]] enum status gsi_assign(unsigned gsi, uint32_t device, uint32_t cpu, unsigned flags,
				     uint64_t *address, uint64_t *data);

/*
 * A level-triggered line is masked when it fires, until its program is ready for
 * the next; nothing of others. Without level, an edge-triggered line only.
 */
void gsi_mask(unsigned gsi, bool masked, bool level);

/*
 * Do what the interrupt asks, acknowledge it. May set cpu->resched. It came on
 * entry from user mode, from a guest, or from the idle loop.
 */
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
