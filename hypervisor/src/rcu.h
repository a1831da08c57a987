/*
 * Deferred destruction: memory that another CPU may be reading without a lock
 * is freed after a grace period, when every CPU has left the kernel once.
 * Interrupts are off in the kernel, so a kernel entry is a read-side section.
 */
#pragma once

#include "types.h"

struct deferred {
	struct deferred *next;
	void (*free)(struct deferred *);
};

/*
 * Of memory that was given up, some may not be free yet. Who needs it waits for
 * rounds, as many as the longest chain of objects takes: in each, every CPU that
 * has something to free begins a batch, however late it is, and every CPU that was
 * asked for what may give up more takes up all that.
 */
enum { GRACE_ROUNDS = 8 };

struct rcu_wait {
	uint64_t began; /* epoch, of this round */
	uint32_t left;	/* rounds, with this one; 0: it does not wait */
};

void rcu_defer(struct deferred *d, void (*free)(struct deferred *));
extern uint64_t rcu_epoch; /* atomic: of the latest grace period */

/* Off every fast path: free what is due, start the next grace period. */
void rcu_run(struct cpu *cpu);
/*
 * Somebody begins to wait for memory, or goes on: all CPUs are to get on with
 * what they deferred. False: there is nothing that would be freed.
 */
bool rcu_hurry(struct rcu_wait *wait);
/* This CPU goes idle, where it reads nothing; it comes back. */
void rcu_idle_enter(struct cpu *cpu);
void rcu_idle_leave(struct cpu *cpu);
