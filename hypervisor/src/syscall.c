/*
 * Hypercalls: which function does which, and how each ends. All have the same
 * steps: decode, check the parameters, look the capabilities up, do it. IPC is
 * in ipc.c, the others in sys_*.c by topic.
 */
#include "syscall.h"

#include "item.h"
#include "rcu.h"
#include "remote.h"
#include "sc.h"
#include "time.h"
#include "x86/cpu.h"

syscall_function *const syscall_table[CALLS] = {
	[CALL_CALL] = sys_call,
	[CALL_REPLY] = sys_reply,
	[CALL_CREATE_PD] = sys_create_pd,
	[CALL_CREATE_EC] = sys_create_ec,
	[CALL_CREATE_SC] = sys_create_sc,
	[CALL_CREATE_PT] = sys_create_pt,
	[CALL_CREATE_SM] = sys_create_sm,
	[CALL_REVOKE] = sys_revoke,
	[CALL_MISC] = sys_misc,
	[CALL_EC_CTRL] = sys_ec_ctrl,
	[CALL_SC_CTRL] = sys_sc_ctrl,
	[CALL_PT_CTRL] = sys_pt_ctrl,
	[CALL_SM_CTRL] = sys_sm_ctrl,
	[CALL_ASSIGN_PCI] = sys_assign_pci,
	[CALL_ASSIGN_GSI] = sys_assign_gsi,
	[CALL_PD_CTRL] = sys_pd_ctrl,
};

/*
 * Of the memory that was given up some may not be free yet. The call is made
 * again for as many grace periods as the longest chain of objects needs.
 */
enum { GRACE_PERIODS = 8 };

/*
 * Where interrupts were let in, it may have been recalled, or it has died: then
 * that comes first.
 */
static void make_again(struct ec *self)
{
	if (unlikely(self->resume == resume_work)) {
		self->regs.rip -= SYSCALL_LENGTH;
	} else {
		ec_set_work(self, syscall_retry);
	}
}

void syscall_drop(struct ec *self)
{
	if (unlikely(self->progress)) {
		items_drop(self);
	}
	if (unlikely(self->revocation.active)) {
		mapping_revoke_drop(&self->revocation);
	}
}

struct ec *syscall_no_memory(struct ec *self, enum status s)
{
	uint64_t epoch = __atomic_load_n(&rcu_epoch, __ATOMIC_RELAXED);

	if (s == AGAIN) {
		return syscall_later(self);
	}
	if (!self->retry_until) {
		self->retry_until = epoch + GRACE_PERIODS;
	}
	if (epoch < self->retry_until && rcu_hurry()) {
		make_again(self);
		return self;
	}
	syscall_drop(self);
	self->retry_until = 0;
	self->regs.rdi = s;
	return self->resume == resume_work ? self : NULL;
}

struct ec *syscall_done(struct ec *self, enum status s)
{
	if (unlikely(s >= OUT_OF_MEMORY)) {
		return syscall_no_memory(self, s);
	}
	self->retry_until = 0;
	self->regs.rdi = s;
	return NULL;
}

struct ec *syscall_done_preempt(struct ec *self, enum status s)
{
	self->regs.rdi = s;
	if (likely(!this_cpu()->resched && self->resume != resume_work)) {
		return NULL;
	}
	if (self->resume != resume_work) {
		self->resume = resume_sysret;
	}
	return preempt(self);
}

void syscall_time(uint64_t ticks, uint64_t *high, uint64_t *low)
{
	uint64_t us = us_of_tsc(ticks);

	*high = us >> 32;
	*low = us & 0xffffffff;
}

struct ec *syscall_retry(struct ec *self)
{
	uint64_t id = self->regs.rdi;
	struct ec *next;

	self->resume = resume_sysret;
	next = syscall_table[id % CALLS](id, self);
	if (self->resume != resume_work) {
		syscall_drop(self);
	}
	if (unlikely(self->home)) {
		return remote_tried(self, next);
	}
	return next ? next : self;
}

struct ec *syscall_later(struct ec *self)
{
	make_again(self);
	return preempt(self);
}
