/*
 * Hypercalls. Each is a function of the registers, called by entry.S; its
 * result is the EC to run next, or NULL for the caller, whose callee-saved
 * registers are then still in the processor.
 */
#pragma once

#include "types.h"

struct ec;

typedef struct ec *syscall_function(uint64_t id, uint64_t rsi, uint64_t rdx,
				    uint64_t rax, uint64_t r8,
				    struct ec *self);

extern syscall_function *const syscall_table[CALLS];

/* ipc.c */
syscall_function sys_call, sys_reply;
/* syscall.c */
syscall_function sys_create_pd, sys_create_ec, sys_create_sc, sys_create_pt,
	sys_create_sm, sys_revoke, sys_misc, sys_ec_ctrl, sys_sc_ctrl,
	sys_pt_ctrl, sys_sm_ctrl, sys_assign_pci, sys_assign_gsi, sys_pd_ctrl;

/*
 * entry.S: of sm_ctrl, an up where somebody sleeps and a down where the count
 * is 0. The semaphore's lock is held, which they release.
 */
struct sm;
struct ec *sys_sm_wake(struct sm *sm, struct ec *self);
struct ec *sys_sm_sleep(struct sm *sm, struct ec *self);

enum { SYSCALL_LENGTH = 2 };	/* bytes of the instruction */

/* As `work`: the call is made again with the same registers. */
struct ec *syscall_retry(struct ec *self);

/*
 * The call failed for want of memory: it is made again if more may come, else
 * it returns `s`.
 */
struct ec *syscall_no_memory(struct ec *self, enum status s);

static inline unsigned syscall_flags(uint64_t id)
{
	return id >> 4 & 15;
}

static inline uint64_t syscall_selector(uint64_t id)
{
	return id >> 8;
}
