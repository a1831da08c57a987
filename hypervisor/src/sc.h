/*
 * Scheduling contexts: time at a priority, and the ready queues of each CPU.
 */
#pragma once

#include "object.h"

struct sc {
	struct object object;
	struct ec *ec;	   /* its EC; a reference until either dies */
	struct ec *leaf;   /* end of the chain, when it does not run */
	struct list queue; /* in a ready queue or parked at an EC */
	uint64_t quantum;  /* TSC ticks */
	uint64_t left;	   /* of the quantum */
	uint64_t since;	   /* TSC at which it began to run */
	uint64_t time;	   /* TSC ticks run in all */
	uint64_t waits;	   /* of a vCPU: TSC at which it was not run at once; or 0 */
	uint32_t cpu;
	uint8_t priority;
	union {
		struct {
			uint8_t ended; /* revoked, or its EC died */
			uint8_t moves; /* 1 + the CPU, once its EC is awake and in no call */
			uint8_t guest; /* its EC is a vCPU */
		};
		uint32_t odd; /* one of these */
	};
};

/* NULL: no memory. */
struct sc *sc_create(struct pd *owner, struct ec *ec, unsigned priority, uint64_t us);
/* It is bound to its EC, which may run from now on. */
void sc_start(struct sc *sc);
/* It is not to be started: its EC is free for another. */
void sc_cancel(struct sc *sc);
void sc_unlink(struct object *o);
void sc_release(struct sc *sc);
void sc_destroy(struct object *o);

/* It may run; on its CPU. `head`: before others of its priority. */
void sc_ready(struct sc *sc, bool head);
/* On its CPU, in a ready queue or parked: in none from now on. */
void sc_unqueue(struct sc *sc);
/* TSC ticks it has run, up to now. */
uint64_t sc_time(const struct sc *sc);
/* The timer interrupted: is the quantum used up? */
void sc_tick(struct cpu *cpu, uint64_t now);

/* The next EC, when the current SC does not run on by itself: it is parked, or gone. */
struct ec *schedule_blocked(void);
/* When `ec` sleeps. */
struct ec *ec_block(struct ec *ec);
/* When `ec` can run on, but the current SC is to choose again. */
struct ec *schedule_away(struct ec *ec);
/* `ec`, or what has become more urgent. */
struct ec *preempt(struct ec *ec);
