/*
 * Spinlocks. The kernel runs with interrupts off, so a holder is never
 * interrupted; every critical section is short and bounded. Lock order:
 * mapping database, then slabs of a PD or the list of dying objects, then page
 * pool; a GSI, then its IOAPIC or the IOMMUs', which also comes after the first
 * and before the last. A semaphore's is held alone, and so is the log's.
 */
#pragma once

#include "types.h"

struct lock {
	uint32_t held;
};

static inline void lock(struct lock *l)
{
	while (unlikely(__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE)))
		while (__atomic_load_n(&l->held, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
}

static inline void unlock(struct lock *l)
{
	__atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}
