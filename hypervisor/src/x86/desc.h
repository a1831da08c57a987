/*
 * Descriptor tables of a processor: segments, interrupts, the task state.
 */
#pragma once

#include "../types.h"

struct cpu;

enum {
	VECTOR_DB = 1,
	VECTOR_NMI = 2,
	VECTOR_BP = 3,
	VECTOR_OF = 4,
	VECTOR_NM = 7,
	VECTOR_DF = 8,
	VECTOR_GP = 13,
	VECTOR_PF = 14,
	VECTOR_MC = 18,
};

/* Offset of the I/O permission bitmap in the TSS: in place, or beyond it. */
enum { TSS_BITMAP = 0x1000, TSS_NO_BITMAP = 0xffff };

/* Once: the table of interrupt entries, good for the boot CPU so far. */
void idt_init(void);
/* Per CPU, on it. Its window (kmem.h) has its stacks mapped. */
void desc_init(struct cpu *cpu);

/*
 * The I/O permission bitmap of what runs on this CPU: two physical pages, and
 * whether it counts. Without it no port is allowed.
 */
void tss_map_io(struct cpu *cpu, uint64_t phys0, uint64_t phys1);
void tss_enable_io(struct cpu *cpu, bool on);
bool tss_io_enabled(const struct cpu *cpu);

/*
 * After a VM exit on VMX (SDM 3C 28.5.2) the TSS ends before the bitmap, which
 * cpu->tss_short says: load it again, to its full length.
 */
void tss_reload(struct cpu *cpu);
