/*
 * Hypercalls. Each is a function, called by entry.S; its result is the EC to
 * run next, or NULL for the caller, whose callee-saved registers are then still
 * in the processor. The caller's `resume` is the way back to user mode, unless
 * the call changes it.
 */
#pragma once

#include "ec.h"
#include "pd.h"
#include "sm.h"

/* id: RDI; the other registers are where they were saved. */
typedef struct ec *syscall_function(uint64_t id, struct ec *self);

extern syscall_function *const syscall_table[CALLS];

/* ipc.c, sm.c, sys_create.c, sys_control.c */
syscall_function sys_call, sys_reply, sys_ec_ctrl, sys_sm_ctrl, sys_create, sys_revoke, sys_control;

/*
 * entry.S: of sm_ctrl, an up where somebody sleeps and a down where the count
 * is 0. The semaphore's lock is held, which it releases.
 */
struct ec *sys_sm_locked(struct sm *sm, struct ec *self);

enum { SYSCALL_LENGTH = 2 }; /* bytes of the instruction */

/* As `work`: the call is made again with the same registers. */
struct ec *syscall_retry(struct ec *self);

/* It is not to be made again: what was kept for that goes. */
void syscall_drop(struct ec *self);

/*
 * The end of a call, whatever the status: AGAIN, or want of memory where more
 * may come, make it again. It may have made something else more urgent, or
 * changed `self`.
 */
struct ec *syscall_done(struct ec *self, enum status s);

/* What goes on when memory is wanted: RDX of who is asked for it. */
enum oom_reason {
	OOM_SEND = 1, /* in a call */
	OOM_REPLY = 2,
	OOM_SELF = 4, /* the one that is asked is who replies */
};

/*
 * The call is made again, after a while, or when somebody was asked for memory:
 * of its PD's, or of the receiver's, if that is not NULL. Where that is no use
 * it ends with `s`; a reply is made in any case, with fewer items.
 */
struct ec *syscall_wait(struct ec *self, enum status s, struct ec *receiver,
			enum oom_reason reason);

/*
 * The call is to be made again. Where interrupts were let in, it may have been
 * recalled, or it has died: then that comes first.
 */
void syscall_again(struct ec *ec);

static inline unsigned syscall_flags(uint64_t id)
{
	return id >> 4 & 15;
}

static inline uint64_t syscall_selector(uint64_t id)
{
	return id >> 8;
}

/* msr_access.c; whoever has a capability of the authority may. */
enum status msr_access(struct ec *self, void *authority);
extern struct sm *msr_authority;

/* Beside an EC there may be the portal for want of memory; or NULL. */
static inline struct pt *oom_portal_at(const struct ec *self)
{
	return pd_object(self->pd, syscall_selector(self->regs.rdi) + 1, OBJECT_PT, PT_CALL);
}
