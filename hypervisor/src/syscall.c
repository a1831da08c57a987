/*
 * Hypercalls: which function does which, and how each ends. All have the same
 * steps: decode, check the parameters, look the capabilities up, do it.
 */
#include "syscall.h"

#include "ipc.h"
#include "item.h"
#include "sc.h"

syscall_function *const syscall_table[CALLS] = {
	[CALL_CALL] = sys_call,
	[CALL_REPLY] = sys_reply,
	[CALL_CREATE_PD... CALL_CREATE_SM] = sys_create,
	[CALL_REVOKE] = sys_revoke,
	[CALL_MISC] = sys_control,
	[CALL_EC_CTRL] = sys_ec_ctrl,
	[CALL_SC_CTRL... CALL_PT_CTRL] = sys_control,
	[CALL_SM_CTRL] = sys_sm_ctrl,
	[CALL_ASSIGN_PCI... CALL_PD_CTRL] = sys_control,
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
	struct ec *next;

	if (s == AGAIN || (rcu_hurry(&self->retry) && self->retry.left)) {
		syscall_again(self);
		return preempt(self);
	}
	self->retry.left = 0;
	next = s == OUT_OF_MEMORY ? oom_call(self, receiver, reason) : NULL;
	if (next)
		return next;
	if (reason == OOM_REPLY) {
		self->retry.left = RETRY_NO_MORE;
		syscall_again(self);
		return self;
	}
	syscall_drop(self);
	self->regs.rdi = s & STATUS_MASK;
	return self->resume == resume_work ? self : NULL;
}

struct ec *syscall_done(struct ec *self, enum status s)
{
	if (unlikely(s >= OUT_OF_MEMORY))
		return syscall_wait(self, s, NULL, OOM_SEND);
	self->retry.left = 0;
	self->regs.rdi = s;
	return likely(!this_cpu()->resched) ? NULL : preempt(self);
}

struct ec *syscall_retry(struct ec *self)
{
	uint64_t id = self->regs.rdi;
	struct ec *next;

	self->resume = resume_sysret;
	next = syscall_table[id % CALLS](id, self);
	if (self->resume != resume_work) {
		syscall_drop(self);
		/* A proxy: the handler has it, or the call has failed. */
		if (unlikely(self->home))
			ec_set_work(self, remote_return);
	}
	return next ? next : self;
}
