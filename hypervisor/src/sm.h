/*
 * Semaphores: counters to sleep on, also for interrupts.
 *
 * A signal is a semaphore that is chained to another: an up counts it and puts
 * it into the other's queue, once until a down there takes it out and tells
 * its value and count. Its own lock is never free, so that entry.S, which knows
 * nothing of signals, leaves it to C.
 */
#pragma once

#include "object.h"

/* In `gsi` of those that belong to no interrupt. */
enum {
	SM_NO_GSI = ~0u,
	SM_SIGNAL = ~1u,
	SM_CHAINED = ~2u, /* there is or was a signal chained to it */
};

struct sm {
	struct object object;
	struct lock lock;    /* for the fields below */
	uint64_t count;	     /* a signal's value */
	struct list waiters; /* ECs, in order of arrival */
	struct list signals; /* chained to it and upped; a signal's link */
	uint32_t gsi;	     /* whose interrupt ups it, or SM_ above */
	bool interrupts;     /* a signal: it was given to some */
	/* A signal: what it is chained to, a reference. An interrupt's: its signal; atomic. */
	struct sm *chain;
	uint64_t ups;		/* of a signal; under the chain's lock */
	struct deferred notify; /* until memory is free */
	uint64_t notices;	/* atomic: ups that are due then, or later */
	uint64_t due;		/* of these, then */
	struct rcu_wait wait;
};

/* With `chain`, which is neither one nor an interrupt's: a signal. NULL: no memory. */
struct sm *sm_create(struct pd *owner, uint64_t count, struct sm *chain);
void sm_unlink(struct object *o);
void sm_destroy(struct object *o);

void sm_up(struct sm *sm);
/* Up it when the memory is free that was given up until now. */
void sm_notify(struct sm *sm);
/*
 * With a count of 0, and unless the semaphore is gone (BAD_CAPABILITY), the EC
 * is blocked and queued until an up or the deadline (TSC; 0: none).
 */
enum status sm_down(struct sm *sm, struct ec *ec, bool zero, uint64_t deadline);

/* Take an EC out of the queue it sleeps in, if it is in one. */
bool sm_dequeue(struct ec *ec);

/* Interrupt semaphores, at KERNEL_SEL_GSI in the kernel's PD. */
void sm_init_gsis(unsigned count);
/* The interrupt ups `signal` instead of its semaphore; NULL: no longer. */
void sm_set_signal(struct sm *sm, struct sm *signal);
void gsi_fired(unsigned gsi);
