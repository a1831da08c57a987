/*
 * Hypercalls: which function does which, and how each ends. All have the same
 * steps: decode, check the parameters, look the capabilities up, do it. IPC is
 * in ipc.c, the others in sys_*.c by topic.
 */
#include "syscall.h"

#include "item.h"
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

/* A proxy has no user mode to come from; once dead it does not call any more. */
void syscall_again(struct ec *ec)
{
	if (ec->resume != resume_work || (ec->home && !ec->dead))
		ec_set_work(ec, syscall_retry);
	else
		ec->regs.rip -= SYSCALL_LENGTH;
}

void syscall_drop(struct ec *self)
{
	if (unlikely(self->progress))
		items_drop(self);
	if (unlikely(self->revocation.active))
		mapping_revoke_drop(&self->revocation);
}

struct ec *syscall_wait(struct ec *self, enum status s, struct ec *receiver, enum oom_reason reason)
{
	uint64_t epoch = __atomic_load_n(&rcu_epoch, __ATOMIC_RELAXED);
	struct ec *next = NULL;

	if (s == AGAIN)
		return syscall_later(self);
	if (!self->retry_until)
		self->retry_until = epoch + GRACE_PERIODS;
	if (epoch < self->retry_until && rcu_hurry()) {
		syscall_again(self);
		return self;
	}
	self->retry_until = 0;
	if (reason != OOM_NONE)
		next = oom_call(self, receiver, reason);
	if (!next && reason == OOM_REPLY) {
		self->retry_until = RETRY_NO_MORE;
		syscall_again(self);
		return self;
	}
	if (next)
		return next;
	syscall_drop(self);
	self->regs.rdi = s;
	return self->resume == resume_work ? self : NULL;
}

struct ec *syscall_no_memory(struct ec *self, enum status s)
{
	return syscall_wait(self, s, NULL, s == OUT_OF_MEMORY ? OOM_SEND : OOM_NONE);
}

struct ec *syscall_done(struct ec *self, enum status s)
{
	if (unlikely(s >= OUT_OF_MEMORY))
		return syscall_no_memory(self, s);
	self->retry_until = 0;
	self->regs.rdi = s;
	return NULL;
}

struct ec *syscall_done_preempt(struct ec *self, enum status s)
{
	self->regs.rdi = s;
	if (likely(!this_cpu()->resched && self->resume != resume_work))
		return NULL;
	if (self->resume != resume_work)
		self->resume = resume_sysret;
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
	if (self->resume != resume_work)
		syscall_drop(self);
	if (unlikely(self->home))
		return remote_tried(self, next);
	return next ? next : self;
}

struct ec *syscall_later(struct ec *self)
{
	syscall_again(self);
	return preempt(self);
}
