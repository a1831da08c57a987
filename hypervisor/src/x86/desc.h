/*
 * Descriptor tables of a processor: segments, interrupts, the task state.
 */
#pragma once

#include "../types.h"

struct cpu;

enum { VECTOR_DB = 1, VECTOR_NMI = 2, VECTOR_BP = 3, VECTOR_OF = 4, VECTOR_NM = 7, VECTOR_DF = 8 };
enum { VECTOR_GP = 13, VECTOR_PF = 14, VECTOR_AC = 17, VECTOR_MC = 18 };

/* Offset of the I/O permission bitmap in the TSS: in place, or beyond it. */
enum { TSS_BITMAP = 0x1000, TSS_NO_BITMAP = 0xffff };

/* Once: the table of interrupt entries, good for the boot CPU so far. */
void idt_init(void);
/* Per CPU, on it. Its window (kmem.h) has its stacks mapped. */
void desc_init(struct cpu *cpu);

/*
 * The I/O permission bitmap of the PD that runs here, two pages; NULL: no port is
 * allowed. The window keeps the last one. False: it was so already. After a VM
 * exit on VMX (SDM 3C 28.5.2) it is not: the TSS ends before the bitmap, which
 * cpu->tss_short says, and is loaded again to its full length.
 */
bool tss_set_io(struct cpu *cpu, const uint8_t *bitmap);
