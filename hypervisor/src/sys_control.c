/*
 * Hypercalls on ECs, SCs, portals and semaphores.
 */
#include "syscall.h"

#include "pt.h"
#include "sc.h"
#include "time.h"
#include "x86/cpu.h"
#include "x86/gsi.h"

static struct ec *yield(struct ec *self)
{
	self->regs.rdi = SUCCESS;
	self->resume = resume_sysret;
	self->sc->left = 0;
	return schedule_away(self);
}

struct ec *sys_ec_ctrl(uint64_t id, struct ec *self)
{
	struct ec *ec;

	switch (syscall_flags(id)) {
	case EC_RECALL:
		ec = ec_with(self, syscall_selector(id), EC_CONTROL);
		if (!ec) {
			return syscall_done(self, BAD_CAPABILITY);
		}
		self->resume = resume_sysret;
		ec_post(ec, PENDING_RECALL);
		return syscall_done_preempt(self, SUCCESS);
	case EC_YIELD:
	case EC_RESCHEDULE:
		return yield(self);
	default:
		return syscall_done(self, BAD_PARAMETER);
	}
}

struct ec *sys_sc_ctrl(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	struct object *o = pd_object(self->pd, syscall_selector(id), OBJECT_SC,
				     SC_CONTROL);
	uint64_t us;

	if (!o) {
		return syscall_done(self, BAD_CAPABILITY);
	}
	if (syscall_flags(id) != SC_TIME) {
		return syscall_done(self, BAD_PARAMETER);
	}
	us = us_of_tsc(sc_time(container_of(o, struct sc, object)));
	r->rsi = us >> 32;
	r->rdx = us & 0xffffffff;
	return syscall_done(self, SUCCESS);
}

struct ec *sys_pt_ctrl(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	struct object *o = pd_object(self->pd, syscall_selector(id), OBJECT_PT,
				     PT_CONTROL);

	if (!o) {
		return syscall_done(self, BAD_CAPABILITY);
	}
	container_of(o, struct pt, object)->id = r->rsi;
	return syscall_done(self, SUCCESS);
}

struct ec *sys_sm_wake(struct sm *sm, struct ec *self)
{
	sm_wake_first(sm);
	return syscall_done_preempt(self, SUCCESS);
}

struct ec *sys_sm_sleep(struct sm *sm, struct ec *self)
{
	struct regs *r = &self->regs;

	if (!sm_sleep(sm, self, r->rsi << 32 | (r->rdx & 0xffffffff))) {
		return syscall_done(self, BAD_CAPABILITY);
	}
	self->resume = resume_sysret;
	self->sleeps = 1;
	return ec_block(self);
}

/* What entry.S does not know: a contended lock, interrupts, flags. */
struct ec *sys_sm_ctrl(uint64_t id, struct ec *self)
{
	unsigned flags = syscall_flags(id);
	struct sm *sm = sm_with(self, syscall_selector(id),
				flags & SM_DOWN ? SM_RIGHT_DOWN : SM_RIGHT_UP);

	if (!sm) {
		return syscall_done(self, BAD_CAPABILITY);
	}
	if (!(flags & SM_DOWN)) {
		sm_up(sm);
		return syscall_done_preempt(self, SUCCESS);
	}
	if (sm->gsi != SM_NO_GSI) {
		gsi_unmask(sm->gsi);
	}
	lock(&sm->lock);
	if (!sm_take(sm, flags & FLAG_SM_ZERO)) {
		return sys_sm_sleep(sm, self);
	}
	unlock(&sm->lock);
	return syscall_done(self, SUCCESS);
}
