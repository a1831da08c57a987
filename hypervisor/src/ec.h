/*
 * Execution contexts: threads, portal handlers, and vCPUs.
 *
 * An EC belongs to one CPU and is touched by that CPU alone, but for
 * `pending` and `inbox_next`. What an EC does when it gets the CPU next is its
 * `resume`, a label of entry.S; whoever wants something else done first (kill,
 * recall, retry) replaces it, so that the normal paths test nothing.
 *
 * A call makes a chain: caller -> callee. All of a chain runs on one SC, that
 * of its first EC; `sc` says which. When a chain stops running, sc->leaf is set
 * to its last EC.
 */
#pragma once

#include <abi/utcb.h>

#include "mapping.h"
#include "timeout.h"
#include "x86/cpu.h"

struct vcpu;

/* Portals: the way into a handler EC. */
struct pt {
	struct object object;
	struct ec *ec; /* handler; a reference */
	uint64_t id;   /* in RDI at the handler's entry */
	uint64_t ip;   /* entry, a user address */
	uint64_t mtd;  /* state that events transfer */
};

/* NULL: no memory. */
struct pt *pt_create(struct pd *owner, struct ec *ec, uint64_t mtd, uint64_t ip);
void pt_destroy(struct object *o);

/* What others ask of an EC through its CPU's inbox. */
enum {
	PENDING_WAKE = 1 << 0,
	PENDING_KILL = 1 << 1,
	PENDING_RECALL = 1 << 2,
	PENDING_START = 1 << 3,	 /* it has an SC now */
	PENDING_UNPARK = 1 << 4, /* of an idle one: what waits there may run */
};

enum {
	IDLE_NOWHERE = ~0u, /* busy, dead, or no handler at all */
};

struct ec {
	struct object object;
	struct regs regs aligned_to(16);
	const void *resume;		 /* label of entry.S to go on at */
	struct ec *(*work)(struct ec *); /* for resume_work */

	struct utcb *utcb; /* the kernel's alias; NULL for a vCPU */
	struct pd *pd;	   /* where it runs: its owner */
	struct sc *sc;	   /* that pays for the chain it is in */
	struct sc *own_sc; /* bound to it; atomic until started */
	struct ec *caller; /* who waits for this one's reply */
	struct ec *callee; /* whose reply this one waits for */
	uint32_t idle_on;  /* CPU, if a handler ready for a call */
	uint32_t cpu;	   /* its CPU; it alone changes it */
	uint32_t events;   /* event base */
	uint8_t global;	   /* may have an SC of its own */
	uint8_t dead;
	uint8_t ended;		/* and let go of: ec_end() */
	uint8_t blocked;	/* not to be run until woken */
	uint8_t odd_reply;	/* its replies are none, or peculiar */
	uint8_t waits;		/* enum ec_waits: how to take the reply */
	uint8_t sleeps;		/* last in sm_ctrl, which has a status */
	uint8_t fpu_used;	/* it has FPU state of its own */
	uint32_t event;		/* that it is in, or is to report */
	uint64_t fault_address; /* of a page fault */

	struct vcpu *vcpu;	      /* vendor's state; NULL for a thread */
	void *fpu;		      /* state when not in registers: a page */
	uint64_t xcr0, xss;	      /* of a vCPU */
	struct mapping *utcb_mapping; /* of the UTCB in its PD */

	struct sm *sm;		/* on which it sleeps */
	struct list queue;	/* in the SM's queue */
	struct timeout timeout; /* of that sleep */
	struct list parked;	/* SCs that wait until it is woken */

	struct pt *oom;	  /* for want of memory, or NULL; a reference */
	struct ec *proxy; /* makes its calls on other CPUs */
	struct ec *home;  /* whose proxy it is */
	uint64_t time;	  /* TSC ticks run, up to a switch of SC */

	struct progress *progress;    /* of items_send, if interrupted */
	struct revocation revocation; /* the same */
	struct rcu_wait retry;	      /* of its call, for memory */
	uint32_t pending;	      /* atomic: PENDING_ */
	struct ec *inbox_next;
};

#define RETRY_NO_MORE (~0u) /* in retry.left, of a reply: take what there is */

/* What an EC that is in a call waits for. */
enum ec_waits {
	WAITS_MESSAGE, /* a reply to sys_call */
	WAITS_STATE,   /* a reply to an exception or VM exit */
	WAITS_MEMORY,  /* a reply to oom_call: then it tries again */
};

/* End of the part that entry.S saves to. */
#define EC_REGS_END (offsetof(struct ec, regs) + sizeof(struct regs))

/* entry.S: where an EC goes on. */
extern const char resume_sysret[], resume_iret[], resume_work[], resume_idle[];

static inline bool ec_is_vcpu(const struct ec *ec)
{
	return ec->vcpu != NULL;
}

/* A new EC; utcb 0 makes a vCPU. */
struct ec_parameters {
	struct pd *pd; /* where it runs, and who pays */
	uint64_t utcb; /* user address */
	uint64_t sp;   /* first stack pointer */
	uint32_t cpu;
	uint32_t events;
	bool global;
};

[[nodiscard]] enum status ec_create(struct ec **out, const struct ec_parameters *p);
/* One that goes nowhere yet, and has neither UTCB nor FPU; NULL: no memory. */
struct ec *ec_alloc(struct pd *pd, uint32_t cpu);
void ec_destroy(struct object *o);
/* The last capability is gone: it dies, on its own CPU. */
void ec_unlink(struct object *o);

/* Its CPU is to do `what` (PENDING_) to it; from any CPU. */
void ec_post(struct ec *ec, uint32_t what);
/* What was posted to this CPU, or some of it. */
void ec_inbox(struct cpu *cpu);

/* As `work`: the EC at the end of its chain ends. The next EC. */
struct ec *ec_die(struct ec *ec);
/* It is dead, runs nowhere and is in no chain: let go of it. */
void ec_end(struct ec *ec);

/* TSC ticks it has run, as what ran when SCs were switched. */
uint64_t ec_time(const struct ec *ec);

/* Do `work` instead of what it would go on with. */
void ec_set_work(struct ec *ec, struct ec *(*work)(struct ec *));

/* Its portal for want of memory; NULL: none. */
void ec_set_oom(struct ec *ec, struct pt *pt);
/* On its CPU: report a recall before it goes on; false: do not. */
void ec_recall(struct ec *ec, bool yes);
/* On its CPU: it may run again. */
void ec_wake(struct ec *ec);
