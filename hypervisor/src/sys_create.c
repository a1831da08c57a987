/*
 * Hypercalls that create objects.
 */
#include "syscall.h"

#include <abi/hip.h>

#include "item.h"
#include "pt.h"
#include "sc.h"
#include "x86/cpu.h"
#include "x86/irq.h"
#include "x86/vcpu.h"

/* A new object gets its capability, which takes over the reference. */
static enum status install(struct ec *self, uint64_t selector, struct object *o)
{
	enum status s = mapping_create(self->pd, selector, o);

	if (s != SUCCESS)
		object_put(o);
	return s;
}

struct ec *sys_create_pd(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	struct pd *owner = pd_with(self, r->rsi, PD_CREATE_PD);
	struct pd *pd = items_made(self);
	enum status s = BAD_CAPABILITY;

	if (owner)
		s = pd ? SUCCESS : pd_create(&pd, owner, r->rax >> 32);
	if (s == SUCCESS) {
		pd->quota.keep = (uint32_t)r->rax;
		s = items_hand_over(self, pd, r->rdx);
		if (s == SUCCESS)
			s = mapping_create(self->pd, syscall_selector(id), &pd->object);
		if (s != SUCCESS && s != AGAIN) {
			lock(&mdb_lock);
			object_unlinked(&pd->object);
			unlock(&mdb_lock);
			(void)!object_reap();
		}
	}
	/* BAD_PARAMETER: the owner has not the quota, or not yet. */
	if (s >= OUT_OF_MEMORY || s == BAD_PARAMETER)
		return syscall_no_memory(self, s);
	self->retry_until = 0;
	return syscall_done_preempt(self, s);
}

static enum status check_ec(const struct ec_parameters *p)
{
	if (p->cpu >= cpu_count)
		return BAD_CPU;
	if (p->utcb >= USER_END)
		return BAD_PARAMETER;
	if (!p->utcb && !p->global)
		return BAD_PARAMETER;
	if (!p->utcb && (!vcpu_ops || !cpus[p->cpu]->has_vcpu))
		return BAD_FEATURE;
	return SUCCESS;
}

struct ec *sys_create_ec(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	struct pd *pd = pd_with(self, r->rsi, PD_CREATE_EC);
	struct ec_parameters p = {
		.pd = pd,
		.utcb = r->rdx & ~PAGE_MASK,
		.sp = r->rax,
		.cpu = (uint32_t)(r->rdx & PAGE_MASK),
		.events = (uint32_t)r->r8,
		.global = syscall_flags(id) & FLAG_EC_GLOBAL,
	};
	enum status s = check_ec(&p);
	struct ec *ec;

	if (s == SUCCESS)
		s = pd ? ec_create(&ec, pd, &p) : BAD_CAPABILITY;
	if (s == SUCCESS) {
		ec_set_oom(ec, oom_portal_at(self, syscall_selector(id)));
		s = mapping_create(self->pd, syscall_selector(id), &ec->object);
		if (s != SUCCESS) {
			ec_end(ec);
			object_put(&ec->object);
		}
	}
	return syscall_done(self, s);
}

struct ec *sys_create_sc(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	struct pd *owner = pd_with(self, r->rsi, PD_CREATE_SC);
	struct ec *ec = ec_with(self, r->rdx, EC_BIND_SC);
	unsigned priority = QPD_PRIORITY(r->rax);
	struct sc *sc, *none = NULL;
	enum status s;

	if (priority < PRIORITY_MIN || priority > PRIORITY_MAX || !QPD_QUANTUM(r->rax))
		return syscall_done(self, BAD_PARAMETER);
	if (!owner || !ec || !ec->global || ec->own_sc || ec->dead)
		return syscall_done(self, BAD_CAPABILITY);
	s = sc_create(&sc, owner, ec, priority, QPD_QUANTUM(r->rax));
	if (s != SUCCESS)
		return syscall_done(self, s);
	if (!__atomic_compare_exchange_n(&ec->own_sc, &none, sc, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED)) {
		object_put(&sc->object);
		return syscall_done(self, BAD_CAPABILITY);
	}
	s = install(self, syscall_selector(id), &sc->object);
	if (s != SUCCESS) {
		ec->own_sc = NULL;
		return syscall_done(self, s);
	}
	sc_start(sc);
	return syscall_done_preempt(self, s);
}

struct ec *sys_create_pt(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	struct pd *owner = pd_with(self, r->rsi, PD_CREATE_PT);
	struct ec *ec = ec_with(self, r->rdx, EC_BIND_PT);
	struct pt *pt;
	enum status s;

	if (r->r8 >= USER_END)
		return syscall_done(self, BAD_PARAMETER);
	if (!owner || !ec || ec->global)
		return syscall_done(self, BAD_CAPABILITY);
	s = pt_create(&pt, owner, ec, r->rax, r->r8);
	if (s == SUCCESS)
		s = install(self, syscall_selector(id), &pt->object);
	return syscall_done(self, s);
}

struct ec *sys_create_sm(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	struct pd *owner = pd_with(self, r->rsi, PD_CREATE_SM);
	struct sm *sm, *chain = NULL;
	enum status s;

	if (r->rax)
		chain = sm_with(self, r->rax, 0);
	if (!owner || (r->rax && (!chain || chain->gsi == SM_SIGNAL || chain->gsi < GSIS)))
		return syscall_done(self, BAD_CAPABILITY);
	s = r->rax ? sm_create_signal(&sm, owner, r->rdx, chain) : sm_create(&sm, owner, r->rdx);
	if (s == SUCCESS)
		s = install(self, syscall_selector(id), &sm->object);
	return syscall_done(self, s);
}
