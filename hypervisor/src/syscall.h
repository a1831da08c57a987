/*
 * Hypercalls. Each is a function, called by entry.S; its result is the EC to
 * run next, or NULL for the caller, whose callee-saved registers are then still
 * in the processor.
 */
#pragma once

#include "ec.h"
#include "ipc.h"
#include "pd.h"
#include "sm.h"

/* id: RDI; the other registers are where they were saved. */
typedef struct ec *syscall_function(uint64_t id, struct ec *self);

extern syscall_function *const syscall_table[CALLS];

/* ipc.c */
syscall_function sys_call, sys_reply;
/* sys_*.c */
syscall_function sys_create_pd, sys_create_ec, sys_create_sc, sys_create_pt, sys_create_sm,
	sys_revoke, sys_misc, sys_ec_ctrl, sys_sc_ctrl, sys_pt_ctrl, sys_sm_ctrl, sys_assign_pci,
	sys_assign_gsi, sys_pd_ctrl;

/*
 * entry.S: of sm_ctrl, an up where somebody sleeps and a down where the count
 * is 0. The semaphore's lock is held, which they release.
 */
struct ec *sys_sm_wake(struct sm *sm, struct ec *self);
struct ec *sys_sm_sleep(struct sm *sm, struct ec *self);

enum { SYSCALL_LENGTH = 2 }; /* bytes of the instruction */

/* As `work`: the call is made again with the same registers. */
struct ec *syscall_retry(struct ec *self);

/* It is not to be made again: what was kept for that goes. */
void syscall_drop(struct ec *self);

/*
 * The call failed for want of memory: it is made again if more may come, else
 * it returns `s`.
 */
struct ec *syscall_no_memory(struct ec *self, enum status s);
/*
 * The same; `receiver`: whose memory beside the caller's PD's it may be, and why
 * (oom_call). A reply is made in any case, with fewer items.
 */
struct ec *syscall_wait(struct ec *self, enum status s, struct ec *receiver,
			enum oom_reason reason);
#define RETRY_NO_MORE (~0ul) /* in ec->retry_until: take what there is */
/*
 * The call is to be made again. Where interrupts were let in, it may have been
 * recalled, or it has died: then that comes first.
 */
void syscall_again(struct ec *ec);

/* The end of a call; or AGAIN: not yet. */
struct ec *syscall_done(struct ec *self, enum status s);
/* The same; it may have made something else more urgent, or changed `self`. */
struct ec *syscall_done_preempt(struct ec *self, enum status s);
/* Long work was interrupted: go on after what is more urgent. */
struct ec *syscall_later(struct ec *self);

static inline unsigned syscall_flags(uint64_t id)
{
	return id >> 4 & 15;
}

static inline uint64_t syscall_selector(uint64_t id)
{
	return id >> 8;
}

/* msr_access.c; whoever has a capability of the authority may. */
struct ec *msr_access(struct ec *self, struct ec *none);
extern struct sm *msr_authority;

/* What a call says of a time: microseconds in two halves. */
void syscall_time(uint64_t ticks, uint64_t *high, uint64_t *low);

/* Beside an EC there may be the portal for want of memory; or NULL. */
static inline struct object *oom_portal_at(struct ec *self, uint64_t selector)
{
	return pd_object(self->pd, selector + 1, OBJECT_PT, PT_CALL);
}

/* The object of a type at a selector, with the rights, or NULL. */
static inline struct pd *pd_with(struct ec *self, uint64_t selector, unsigned rights)
{
	struct object *o = pd_object(self->pd, selector, OBJECT_PD, rights);

	return o ? container_of(o, struct pd, object) : NULL;
}

static inline struct ec *ec_with(struct ec *self, uint64_t selector, unsigned rights)
{
	struct object *o = pd_object(self->pd, selector, OBJECT_EC, rights);

	return o ? container_of(o, struct ec, object) : NULL;
}

static inline struct sm *sm_with(struct ec *self, uint64_t selector, unsigned rights)
{
	struct object *o = pd_object(self->pd, selector, OBJECT_SM, rights);

	return o ? container_of(o, struct sm, object) : NULL;
}
