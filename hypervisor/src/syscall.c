/*
 * The hypercalls that are not IPC. All have the same steps: decode, check the
 * parameters, look the capabilities up, do it.
 */
#include "syscall.h"

#include <abi/hip.h>

#include "ec.h"
#include "item.h"
#include "mapping.h"
#include "pd.h"
#include "pt.h"
#include "rcu.h"
#include "sc.h"
#include "sm.h"
#include "time.h"
#include "x86/cpu.h"
#include "x86/gsi.h"
#include "x86/irq.h"
#include "x86/vcpu.h"

#define UNUSED(x) ((void)(x))

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

struct ec *syscall_no_memory(struct ec *self, enum status s)
{
	uint64_t epoch = __atomic_load_n(&rcu_epoch, __ATOMIC_RELAXED);

	if (!self->retry_until) {
		self->retry_until = epoch + GRACE_PERIODS;
	}
	if (epoch < self->retry_until && rcu_hurry()) {
		make_again(self);
		return self;
	}
	self->retry_until = 0;
	self->regs.rdi = s;
	return self->resume == resume_work ? self : NULL;
}

static struct ec *finish(struct ec *self, enum status s)
{
	if (unlikely(s == OUT_OF_MEMORY)) {
		return syscall_no_memory(self, s);
	}
	self->retry_until = 0;
	self->regs.rdi = s;
	return NULL;
}

/* The call may have made something else more urgent, or changed `self`. */
static struct ec *finish_preempt(struct ec *self, enum status s)
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

struct ec *syscall_retry(struct ec *self)
{
	struct regs *r = &self->regs;
	struct ec *next;

	self->resume = resume_sysret;
	next = syscall_table[r->rdi % CALLS](r->rdi, r->rsi, r->rdx, r->rax,
					     r->r8, self);
	return next ? next : self;
}

/* Long work was interrupted: go on after what is more urgent. */
static struct ec *retry_later(struct ec *self)
{
	make_again(self);
	return preempt(self);
}

static struct pd *pd_with(struct ec *self, uint64_t selector, unsigned rights)
{
	struct object *o = pd_object(self->pd, selector, OBJECT_PD, rights);

	return o ? container_of(o, struct pd, object) : NULL;
}

static struct ec *ec_with(struct ec *self, uint64_t selector, unsigned rights)
{
	struct object *o = pd_object(self->pd, selector, OBJECT_EC, rights);

	return o ? container_of(o, struct ec, object) : NULL;
}

static struct sm *sm_with(struct ec *self, uint64_t selector, unsigned rights)
{
	struct object *o = pd_object(self->pd, selector, OBJECT_SM, rights);

	return o ? container_of(o, struct sm, object) : NULL;
}

/* A new object gets its capability, which takes over the reference. */
static enum status install(struct ec *self, uint64_t selector,
			   struct object *o)
{
	enum status s = mapping_create(self->pd, selector, o);

	if (s != SUCCESS) {
		object_put(o);
	}
	return s;
}

/* What the creator hands over to a new PD: its objects from selector 0 on. */
static enum status hand_over(struct ec *self, struct pd *pd, uint64_t crd)
{
	struct transfer t = {
		.from = self->pd,
		.to = pd,
		.source = CRD_BASE(crd) & ~((1ul << CRD_ORDER(crd)) - 1),
		.order = CRD_ORDER(crd),
		.type = CRD_OBJ,
		.rights = (uint8_t)CRD_RIGHTS(crd),
	};
	uint8_t rights;

	if (CRD_TYPE(crd) != CRD_OBJ ||
	    t.source + (1ul << t.order) > SELECTORS) {
		return SUCCESS;
	}
	return mapping_delegate(&t, &rights);
}

struct ec *sys_create_pd(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
			 uint64_t r8, struct ec *self)
{
	struct pd *owner = pd_with(self, rsi, PD_CREATE_PD), *pd;
	enum status s = BAD_CAPABILITY;

	UNUSED(r8);
	if (owner) {
		s = pd_create(&pd, owner, rax >> 32);
	}
	if (s == SUCCESS) {
		s = hand_over(self, pd, rdx);
		if (s == SUCCESS) {
			s = mapping_create(self->pd, syscall_selector(id),
					   &pd->object);
		}
		if (s != SUCCESS) {
			while (!pd_unlink(pd)) {
				/* A few capabilities: not worth a retry. */
			}
			object_put(&pd->object);
		}
	}
	/* BAD_PARAMETER: the owner has not the quota, or not yet. */
	if (s == OUT_OF_MEMORY || s == BAD_PARAMETER) {
		return syscall_no_memory(self, s);
	}
	self->retry_until = 0;
	return finish_preempt(self, s);
}

static enum status check_ec(const struct ec_parameters *p)
{
	if (p->cpu >= cpu_count) {
		return BAD_CPU;
	}
	if (p->utcb >= USER_END) {
		return BAD_PARAMETER;
	}
	if (!p->utcb && !p->global) {
		return BAD_PARAMETER;
	}
	if (!p->utcb && (!vcpu_ops || !cpus[p->cpu]->has_vcpu)) {
		return BAD_FEATURE;
	}
	return SUCCESS;
}

struct ec *sys_create_ec(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
			 uint64_t r8, struct ec *self)
{
	struct pd *pd = pd_with(self, rsi, PD_CREATE_EC);
	struct ec_parameters p = {
		.pd = pd,
		.utcb = rdx & ~PAGE_MASK,
		.sp = rax,
		.cpu = (uint32_t)(rdx & PAGE_MASK),
		.events = (uint32_t)r8,
		.global = syscall_flags(id) & FLAG_EC_GLOBAL,
	};
	enum status s = check_ec(&p);
	struct ec *ec;

	if (s == SUCCESS) {
		s = pd ? ec_create(&ec, pd, &p) : BAD_CAPABILITY;
	}
	if (s == SUCCESS) {
		s = mapping_create(self->pd, syscall_selector(id), &ec->object);
		if (s != SUCCESS) {
			ec_end(ec);
			object_put(&ec->object);
		}
	}
	return finish(self, s);
}

struct ec *sys_create_sc(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
			 uint64_t r8, struct ec *self)
{
	struct pd *owner = pd_with(self, rsi, PD_CREATE_SC);
	struct ec *ec = ec_with(self, rdx, EC_BIND_SC);
	unsigned priority = QPD_PRIORITY(rax);
	struct sc *sc, *none = NULL;
	enum status s;

	UNUSED(r8);
	if (priority < PRIORITY_MIN || priority > PRIORITY_MAX ||
	    !QPD_QUANTUM(rax)) {
		return finish(self, BAD_PARAMETER);
	}
	if (!owner || !ec || !ec->global || ec->own_sc || ec->dead) {
		return finish(self, BAD_CAPABILITY);
	}
	s = sc_create(&sc, owner, ec, priority, QPD_QUANTUM(rax));
	if (s != SUCCESS) {
		return finish(self, s);
	}
	if (!__atomic_compare_exchange_n(&ec->own_sc, &none, sc, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
		object_put(&sc->object);
		return finish(self, BAD_CAPABILITY);
	}
	s = install(self, syscall_selector(id), &sc->object);
	if (s != SUCCESS) {
		ec->own_sc = NULL;
		return finish(self, s);
	}
	sc_start(sc);
	return finish_preempt(self, s);
}

struct ec *sys_create_pt(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
			 uint64_t r8, struct ec *self)
{
	struct pd *owner = pd_with(self, rsi, PD_CREATE_PT);
	struct ec *ec = ec_with(self, rdx, EC_BIND_PT);
	struct pt *pt;
	enum status s;

	if (r8 >= USER_END) {
		return finish(self, BAD_PARAMETER);
	}
	if (!owner || !ec || ec->global) {
		return finish(self, BAD_CAPABILITY);
	}
	s = pt_create(&pt, owner, ec, rax, r8);
	if (s == SUCCESS) {
		s = install(self, syscall_selector(id), &pt->object);
	}
	return finish(self, s);
}

struct ec *sys_create_sm(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
			 uint64_t r8, struct ec *self)
{
	struct pd *owner = pd_with(self, rsi, PD_CREATE_SM);
	struct sm *sm;
	enum status s;

	UNUSED(r8);
	if (rax) {
		return finish(self, BAD_FEATURE);
	}
	if (!owner) {
		return finish(self, BAD_CAPABILITY);
	}
	s = sm_create(&sm, owner, rdx);
	if (s == SUCCESS) {
		s = install(self, syscall_selector(id), &sm->object);
	}
	return finish(self, s);
}

struct ec *sys_revoke(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
		      uint64_t r8, struct ec *self)
{
	unsigned flags = syscall_flags(id);
	uint64_t signal = syscall_selector(id);
	struct pd *pd = self->pd;
	struct sm *sm = NULL;

	UNUSED(rax), UNUSED(r8);
	if (flags & FLAG_REVOKE_REMOTE) {
		pd = pd_with(self, rdx, 0);
	}
	if (signal) {
		sm = sm_with(self, signal, SM_RIGHT_UP);
	}
	if (!pd || (signal && !sm)) {
		return finish(self, BAD_CAPABILITY);
	}
	/* The call may revoke what it uses. */
	object_get(&pd->object);
	if (!mapping_revoke(pd, rsi, flags & FLAG_REVOKE_SELF,
			    flags & FLAG_REVOKE_KEEP)) {
		object_put(&pd->object);
		return retry_later(self);
	}
	object_put(&pd->object);
	if (flags & FLAG_REVOKE_REMOTE) {
		self->regs.rdx = 0;
	}
	if (sm) {
		sm_up(sm);
	}
	return finish_preempt(self, SUCCESS);
}

static struct ec *delegate(uint64_t id, uint64_t window, uint64_t target,
			   struct ec *self)
{
	struct pd *from = pd_with(self, syscall_selector(id), 0);
	struct pd *to = pd_with(self, target, 0);
	enum status s = BAD_CAPABILITY;

	if (from && to) {
		s = items_delegate(from, self->utcb, to, window,
				   self->pd == pd_root);
	}
	return finish(self, s);
}

struct ec *sys_misc(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
		    uint64_t r8, struct ec *self)
{
	UNUSED(rax), UNUSED(r8);
	switch (syscall_flags(id)) {
	case MISC_LOOKUP:
		self->regs.rsi = mapping_lookup(self->pd, rsi);
		return finish(self, SUCCESS);
	case MISC_DELEGATE:
		return delegate(id, rsi, rdx, self);
	default:
		return finish(self, BAD_PARAMETER);
	}
}

static struct ec *yield(struct ec *self)
{
	self->regs.rdi = SUCCESS;
	self->resume = resume_sysret;
	self->sc->left = 0;
	return schedule_away(self);
}

struct ec *sys_ec_ctrl(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
		       uint64_t r8, struct ec *self)
{
	struct ec *ec;

	UNUSED(rsi), UNUSED(rdx), UNUSED(rax), UNUSED(r8);
	switch (syscall_flags(id)) {
	case EC_RECALL:
		ec = ec_with(self, syscall_selector(id), EC_CONTROL);
		if (!ec) {
			return finish(self, BAD_CAPABILITY);
		}
		self->resume = resume_sysret;
		ec_post(ec, PENDING_RECALL);
		return finish_preempt(self, SUCCESS);
	case EC_YIELD:
	case EC_RESCHEDULE:
		return yield(self);
	default:
		return finish(self, BAD_PARAMETER);
	}
}

struct ec *sys_sc_ctrl(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
		       uint64_t r8, struct ec *self)
{
	struct object *o = pd_object(self->pd, syscall_selector(id), OBJECT_SC,
				     SC_CONTROL);
	uint64_t us;

	UNUSED(rsi), UNUSED(rdx), UNUSED(rax), UNUSED(r8);
	if (!o) {
		return finish(self, BAD_CAPABILITY);
	}
	if (syscall_flags(id) != SC_TIME) {
		return finish(self, BAD_PARAMETER);
	}
	us = us_of_tsc(sc_time(container_of(o, struct sc, object)));
	self->regs.rsi = us >> 32;
	self->regs.rdx = us & 0xffffffff;
	return finish(self, SUCCESS);
}

struct ec *sys_pt_ctrl(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
		       uint64_t r8, struct ec *self)
{
	struct object *o = pd_object(self->pd, syscall_selector(id), OBJECT_PT,
				     PT_CONTROL);

	UNUSED(rdx), UNUSED(rax), UNUSED(r8);
	if (!o) {
		return finish(self, BAD_CAPABILITY);
	}
	container_of(o, struct pt, object)->id = rsi;
	return finish(self, SUCCESS);
}

struct ec *sys_sm_wake(struct sm *sm, struct ec *self)
{
	sm_wake_first(sm);
	return finish_preempt(self, SUCCESS);
}

struct ec *sys_sm_sleep(struct sm *sm, struct ec *self)
{
	struct regs *r = &self->regs;

	if (!sm_sleep(sm, self, r->rsi << 32 | (r->rdx & 0xffffffff))) {
		return finish(self, BAD_CAPABILITY);
	}
	self->resume = resume_sysret;
	self->sleeps = 1;
	return ec_block(self);
}

/* What entry.S does not know: a contended lock, interrupts, flags. */
struct ec *sys_sm_ctrl(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
		       uint64_t r8, struct ec *self)
{
	unsigned flags = syscall_flags(id);
	struct sm *sm = sm_with(self, syscall_selector(id),
				flags & SM_DOWN ? SM_RIGHT_DOWN : SM_RIGHT_UP);

	UNUSED(rsi), UNUSED(rdx), UNUSED(rax), UNUSED(r8);
	if (!sm) {
		return finish(self, BAD_CAPABILITY);
	}
	if (!(flags & SM_DOWN)) {
		sm_up(sm);
		return finish_preempt(self, SUCCESS);
	}
	if (sm->gsi != SM_NO_GSI) {
		gsi_unmask(sm->gsi);
	}
	lock(&sm->lock);
	if (!sm_take(sm, flags & FLAG_SM_ZERO)) {
		return sys_sm_sleep(sm, self);
	}
	unlock(&sm->lock);
	return finish(self, SUCCESS);
}

struct ec *sys_assign_pci(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
			  uint64_t r8, struct ec *self)
{
	UNUSED(rsi), UNUSED(rdx), UNUSED(rax), UNUSED(r8);
	return finish(self, pd_with(self, syscall_selector(id), 0)
				    ? BAD_DEVICE : BAD_CAPABILITY);
}

struct ec *sys_assign_gsi(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
			  uint64_t r8, struct ec *self)
{
	struct sm *sm = sm_with(self, syscall_selector(id), 0);
	enum status s;

	UNUSED(rax), UNUSED(r8);
	if (!sm || sm->gsi == SM_NO_GSI) {
		return finish(self, BAD_CAPABILITY);
	}
	if (rdx >= cpu_count) {
		return finish(self, BAD_CPU);
	}
	if (rsi) {
		return finish(self, BAD_DEVICE);
	}
	s = gsi_assign(sm->gsi, (unsigned)rdx, syscall_flags(id));
	if (s == SUCCESS) {
		self->regs.rsi = 0;
		self->regs.rdx = 0;
	}
	return finish(self, s);
}

struct ec *sys_pd_ctrl(uint64_t id, uint64_t rsi, uint64_t rdx, uint64_t rax,
		       uint64_t r8, struct ec *self)
{
	struct pd *pd = pd_with(self, syscall_selector(id), 0), *to;

	UNUSED(rax), UNUSED(r8);
	if (!pd) {
		return finish(self, BAD_CAPABILITY);
	}
	switch (syscall_flags(id)) {
	case PD_TRANSFER:
		to = pd_with(self, rsi, 0);
		if (!to) {
			return finish(self, BAD_CAPABILITY);
		}
		if (!quota_pass(&pd->quota, rdx)) {
			return finish(self, BAD_PARAMETER);
		}
		quota_return(&to->quota, rdx);
		return finish(self, SUCCESS);
	case PD_QUOTA:
		self->regs.rsi = pd->quota.limit;
		self->regs.rdx = pd->quota.used;
		return finish(self, SUCCESS);
	default:
		return finish(self, BAD_PARAMETER);
	}
}
