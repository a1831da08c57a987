/*
 * Semaphores: counters to sleep on, also for interrupts.
 *
 * A signal is a semaphore that is chained to another: an up counts it and puts
 * it into the other's queue, once until a down there takes it out and tells
 * its value and count. Its own lock is never free, so that entry.S, which knows
 * nothing of signals, leaves it to C.
 */
#pragma once

#include "list.h"
#include "lock.h"
#include "object.h"

struct ec;

/* In `gsi` of those that belong to no interrupt. */
enum {
	SM_NO_GSI = ~0u,
	SM_SIGNAL = ~1u,
	SM_CHAINED = ~2u, /* there is or was a signal chained to it */
};

struct sm {
	struct object object;
	struct lock lock; /* for the fields below */
	uint64_t count;
	struct list waiters; /* ECs, in order of arrival */
	struct list signals; /* chained to it and upped; a signal's link */
	uint32_t gsi;	     /* whose interrupt ups it, or SM_ above */
	/* A signal: what it is chained to. An interrupt's: its signal; atomic. */
	struct sm *chain;	/* a reference */
	uint64_t value, ups;	/* of a signal; under the chain's lock */
	struct deferred notify; /* until memory is free */
	uint32_t notices;	/* atomic: ups that are due then */
	uint8_t rounds;		/* grace periods that it waits at most */
};

[[nodiscard]] enum status sm_create(struct sm **out, struct pd *owner, uint64_t count);
/* A signal; `sm` is neither one nor an interrupt's. */
[[nodiscard]] enum status sm_create_signal(struct sm **out, struct pd *owner, uint64_t value,
					   struct sm *sm);
void sm_unlink(struct sm *sm);
void sm_destroy(struct sm *sm);

void sm_up(struct sm *sm);
/* The lock is held, which this releases, and somebody sleeps. */
void sm_wake_first(struct sm *sm);
/* Up it when the memory is free that was given up until now. */
void sm_notify(struct sm *sm);
/*
 * The lock is held, which this releases, and the count is 0: the EC has been
 * queued and sleeps until an up or the deadline (TSC; 0: none); the status
 * comes in its wake_status. False: the semaphore is gone, nobody sleeps.
 */
[[nodiscard]] bool sm_sleep(struct sm *sm, struct ec *ec, uint64_t deadline);

/* False: it sleeps, as above. */
bool sm_down(struct sm *sm, struct ec *ec, bool zero, uint64_t deadline);

/* Take an EC out of the queue it sleeps in, if it is in one. */
bool sm_dequeue(struct ec *ec);

/* Interrupt semaphores, at KERNEL_SEL_GSI in the kernel's PD. */
void sm_init_gsis(unsigned count);
/* The interrupt ups `signal` instead of its semaphore; NULL: no longer. */
void sm_set_signal(struct sm *sm, struct sm *signal);
void gsi_fired(unsigned gsi);
