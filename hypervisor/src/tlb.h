/*
 * Stale translations on other CPUs. Under mdb_lock, tlb_stale() notes who may
 * have some; after it, tlb_shootdown() waits until nobody has.
 */
#pragma once

#include "x86/cpu.h"

/*
 * Entries were taken from the PD's tables of these kinds (MAPPING_TABLES); or, none, it
 * has ended: no CPU keeps its tables loaded.
 */
void tlb_stale(struct pd *pd, unsigned tables);
void tlb_shootdown_asked(void);
static inline void tlb_shootdown(void)
{
	if (unlikely(this_cpu()->flush_asked))
		tlb_shootdown_asked();
}
/* This CPU was asked to flush. */
void tlb_flush_requested(struct cpu *cpu);
