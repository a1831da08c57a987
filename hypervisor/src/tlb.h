/*
 * Stale translations on other CPUs. Under mdb_lock, tlb_stale() notes who may
 * have some; after it, tlb_shootdown() waits until nobody has.
 */
#pragma once

#include "types.h"

struct cpu;
struct pd;

/* Entries were taken from the PD's tables of these kinds (MAPPING_TABLES). */
void tlb_stale(struct pd *pd, unsigned tables);
void tlb_shootdown(void);
/* A PD without threads ends: no CPU keeps its tables loaded. */
void tlb_unload(struct pd *pd);
/* This CPU was asked to flush. */
void tlb_flush_requested(struct cpu *cpu);
