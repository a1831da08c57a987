/*
 * Hypercalls about what PDs hold: delegate, look up, revoke, quota.
 */
#include "syscall.h"

#include "item.h"
#include "kernel.h"
#include "x86/suspend.h"

struct ec *sys_revoke(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	unsigned flags = syscall_flags(id);
	uint64_t signal = syscall_selector(id);
	bool remote = flags & FLAG_REVOKE_REMOTE, done;
	struct pd *pd = remote ? pd_with(self, r->rdx, 0) : self->pd;
	struct sm *sm = NULL;

	if (signal)
		sm = sm_with(self, signal, SM_RIGHT_UP);
	if (!pd || (signal && !sm))
		return syscall_done(self, BAD_CAPABILITY);
	/* The call may revoke what it uses, but for its own PD. */
	if (remote)
		object_get(&pd->object);
	done = mapping_revoke(&self->revocation, pd, r->rsi, flags & FLAG_REVOKE_SELF,
			      flags & FLAG_REVOKE_KEEP);
	if (remote)
		object_put(&pd->object);
	if (!done)
		return syscall_later(self);
	if (remote)
		r->rdx = 0;
	if (sm)
		sm_notify(sm);
	return syscall_done_preempt(self, SUCCESS);
}

static struct ec *delegate(uint64_t id, uint64_t window, uint64_t target, struct ec *self)
{
	struct pd *from = pd_with(self, syscall_selector(id), 0);
	struct pd *to = pd_with(self, target, 0);
	enum status s = BAD_CAPABILITY;

	if (from && to)
		s = items_send(self, from, to, NULL, window, (uint32_t)self->utcb->items);
	return syscall_done(self, s);
}

struct ec *sys_misc(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;

	switch (syscall_flags(id)) {
	case MISC_LOOKUP:
		r->rsi = mapping_lookup(self->pd, r->rsi);
		return syscall_done(self, SUCCESS);
	case MISC_DELEGATE:
		return delegate(id, r->rsi, r->rdx, self);
	case MISC_SUSPEND:
		if (sm_with(self, syscall_selector(id), 0) != sm_suspend)
			return syscall_done(self, BAD_CAPABILITY);
		return syscall_done(self, suspend(r->rsi, r->rdx));
	default:
		return syscall_done(self, BAD_PARAMETER);
	}
}

struct ec *sys_pd_ctrl(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	struct pd *pd = pd_with(self, syscall_selector(id), 0), *to;

	if (!pd)
		return syscall_done(self, BAD_CAPABILITY);
	switch (syscall_flags(id)) {
	case PD_TRANSFER:
		to = pd_with(self, r->rsi, 0);
		if (!to)
			return syscall_done(self, BAD_CAPABILITY);
		if (!quota_pass(&pd->quota, r->rdx))
			return syscall_done(self, BAD_PARAMETER);
		quota_return(&to->quota, r->rdx);
		return syscall_done(self, SUCCESS);
	case PD_QUOTA:
		r->rsi = pd->quota.limit;
		r->rdx = pd->quota.used;
		return syscall_done(self, SUCCESS);
	default:
		return syscall_done(self, BAD_PARAMETER);
	}
}
