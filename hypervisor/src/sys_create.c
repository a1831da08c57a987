/*
 * Hypercalls that create objects. What a type has of its own is a function that
 * makes one, for the PD that owns it; it may leave the object half made.
 */
#include "syscall.h"

#include <abi/hip.h>

#include "item.h"
#include "sc.h"
#include "x86/irq.h"

/* The new object; or the status, as an address that none has. NULL: no memory. */
typedef void *maker(struct ec *self, struct pd *owner);

static void *failed(enum status s)
{
	return (void *)(uint64_t)s;
}

static void *make_pd(struct ec *self, struct pd *owner)
{
	const struct regs *r = &self->regs;
	struct pd *pd = items_made(self);
	enum status s = pd ? SUCCESS : pd_create(&pd, owner, r->rax >> 32);

	if (s != SUCCESS)
		return failed(s);
	pd->quota.keep = (uint32_t)r->rax;
	s = items_hand_over(self, pd, r->rdx, CRD(CRD_OBJ, RIGHTS_ALL, SELECTOR_BITS, 0));
	if (s == SUCCESS)
		return pd;
	if (s != AGAIN)
		object_abandon(&pd->object);
	return failed(s);
}

static void *make_ec(struct ec *self, struct pd *owner)
{
	const struct regs *r = &self->regs;
	const struct ec_parameters p = {
		.pd = owner,
		.utcb = r->rdx & ~PAGE_MASK,
		.sp = r->rax,
		.cpu = (uint32_t)(r->rdx & PAGE_MASK),
		.events = r->r8 < SELECTORS ? (uint32_t)r->r8 : SELECTORS, /* there is none */
		.global = syscall_flags(r->rdi) & FLAG_EC_GLOBAL,
	};
	struct ec *ec;
	enum status s;

	if (p.cpu >= cpu_count)
		return failed(BAD_CPU);
	if (p.utcb >= USER_END || (!p.utcb && !p.global))
		return failed(BAD_PARAMETER);
	if (!p.utcb && !cpus[p.cpu]->has_vcpu)
		return failed(BAD_FEATURE);
	s = ec_create(&ec, &p);
	if (s != SUCCESS)
		return failed(s);
	ec_set_oom(ec, oom_portal_at(self));
	return ec;
}

/* Bound to its EC from now on, if that has none. */
static void *make_sc(struct ec *self, struct pd *owner)
{
	const struct regs *r = &self->regs;
	struct ec *ec = pd_object(self->pd, r->rdx, OBJECT_EC, EC_BIND_SC);
	unsigned priority = QPD_PRIORITY(r->rax);
	struct sc *sc;

	if (priority < PRIORITY_MIN || priority > PRIORITY_MAX || !QPD_QUANTUM(r->rax))
		return failed(BAD_PARAMETER);
	if (!ec || !ec->global || ec->own_sc || ec->dead)
		return failed(BAD_CAPABILITY);
	sc = sc_create(owner, ec, priority, QPD_QUANTUM(r->rax));
	if (sc && !atomic_replace(&ec->own_sc, NULL, sc)) {
		object_put(&sc->object);
		return failed(BAD_CAPABILITY);
	}
	return sc;
}

static void *make_pt(struct ec *self, struct pd *owner)
{
	const struct regs *r = &self->regs;
	struct ec *ec = pd_object(self->pd, r->rdx, OBJECT_EC, EC_BIND_PT);

	if (r->r8 >= USER_END)
		return failed(BAD_PARAMETER);
	if (!ec || ec->global)
		return failed(BAD_CAPABILITY);
	return pt_create(owner, ec, r->rax, r->r8);
}

static void *make_sm(struct ec *self, struct pd *owner)
{
	const struct regs *r = &self->regs;
	struct sm *chain = unlikely(r->rax) ? pd_object(self->pd, r->rax, OBJECT_SM, 0) : NULL;

	if (unlikely(r->rax) && (!chain || chain->gsi == SM_SIGNAL || chain->gsi < GSIS))
		return failed(BAD_CAPABILITY);
	return sm_create(owner, r->rdx, chain);
}

/* In the order of the calls, and of the rights in the owner that they need. */
static maker *const makers[] = {make_pd, make_ec, make_sc, make_pt, make_sm};

static_assert(PD_CREATE_PD == 1 && PD_CREATE_SM == 1 << (CALL_CREATE_SM - CALL_CREATE_PD));

struct ec *sys_create(uint64_t id, struct ec *self)
{
	unsigned type = (unsigned)id % CALLS - CALL_CREATE_PD;
	const struct mapping *owner = pd_capability(self->pd, self->regs.rsi, OBJECT_PD);
	void *o = failed(BAD_CAPABILITY);
	enum status s = OUT_OF_MEMORY;

	if (likely(owner && owner->rights >> type & 1))
		o = makers[type](self, container_of(owner->object, struct pd, object));
	if (likely((uint64_t)o >= PAGE_SIZE))
		s = mapping_create(self->pd, syscall_selector(id), o);
	else if (o)
		s = (enum status)(uint64_t)o;
	if (s == SUCCESS && id % CALLS == CALL_CREATE_SC)
		sc_start(o);
	if (unlikely(s != SUCCESS && (uint64_t)o >= PAGE_SIZE)) {
		if (id % CALLS == CALL_CREATE_SC)
			sc_cancel(o);
		object_abandon(o);
	}
	return syscall_done(self, s);
}
