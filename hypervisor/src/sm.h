/*
 * Semaphores: counters to sleep on, also for interrupts.
 */
#pragma once

#include "list.h"
#include "lock.h"
#include "object.h"

struct ec;

enum { SM_NO_GSI = ~0u };

struct sm {
	struct object object;
	struct lock lock;	/* for the fields below */
	uint64_t count;
	struct list waiters;	/* ECs, in order of arrival */
	uint32_t gsi;		/* whose interrupt ups it, or SM_NO_GSI */
};

[[nodiscard]] enum status sm_create(struct sm **out, struct pd *owner,
				    uint64_t count);
void sm_unlink(struct sm *sm);
void sm_destroy(struct sm *sm);

void sm_up(struct sm *sm);
/* The lock is held, which this releases, and somebody sleeps. */
void sm_wake_first(struct sm *sm);
/*
 * The lock is held, which this releases, and the count is 0: the EC has been
 * queued and sleeps until an up or the deadline (TSC; 0: none); the status
 * comes in its wake_status. False: the semaphore is gone, nobody sleeps.
 */
[[nodiscard]] bool sm_sleep(struct sm *sm, struct ec *ec, uint64_t deadline);

/* False: it sleeps, as above. */
bool sm_down(struct sm *sm, struct ec *ec, bool zero, uint64_t deadline);

/* Take 1 or, with `zero`, all; the lock is held. False: there is nothing. */
static inline bool sm_take(struct sm *sm, bool zero)
{
	uint64_t count = sm->count;

	if (likely(count)) {
		sm->count = zero ? 0 : count - 1;
	}
	return count;
}

/* Take an EC out of the queue it sleeps in, if it is in one. */
bool sm_dequeue(struct ec *ec);

/* Interrupt semaphores, at KERNEL_SEL_GSI in the kernel's PD. */
void sm_init_gsis(unsigned count);
void gsi_fired(unsigned gsi);
