/*
 * Hypercalls on objects and on what PDs hold: a function an operation. Which
 * object it is done to, and with which right, is in the table at the end.
 */
#include "syscall.h"

#include "item.h"
#include "kernel.h"
#include "sc.h"
#include "state.h"
#include "x86/irq.h"
#include "x86/iommu.h"
#include "x86/suspend.h"
#include "x86/vcpu.h"

struct ec *sys_revoke(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	unsigned flags = syscall_flags(id);
	uint64_t signal = syscall_selector(id);
	bool remote = flags & FLAG_REVOKE_REMOTE, done;
	struct pd *pd = remote ? pd_object(self->pd, r->rdx, OBJECT_PD, 0) : self->pd;
	struct sm *sm = signal ? pd_object(self->pd, signal, OBJECT_SM, SM_RIGHT_UP) : NULL;

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
		return syscall_done(self, AGAIN);
	if (remote)
		r->rdx = 0;
	if (sm)
		sm_notify(sm);
	return syscall_done(self, SUCCESS);
}

static enum status lookup(struct ec *self, void *)
{
	self->regs.rsi = mapping_lookup(self->pd, self->regs.rsi);
	return SUCCESS;
}

static enum status delegate(struct ec *self, void *from)
{
	struct pd *to = pd_object(self->pd, self->regs.rdx, OBJECT_PD, 0);

	return to ? items_send(self, from, to, NULL, self->regs.rsi, (uint32_t)self->utcb->items)
		  : BAD_CAPABILITY;
}

static enum status sleep(struct ec *self, void *authority)
{
	return authority == sm_suspend ? suspend(self->regs.rsi, self->regs.rdx) : BAD_CAPABILITY;
}

static enum status pass_quota(struct ec *self, void *o)
{
	struct pd *from = o, *to = pd_object(self->pd, self->regs.rsi, OBJECT_PD, 0);

	if (!to)
		return BAD_CAPABILITY;
	if (!quota_pass(&from->quota, self->regs.rdx))
		return BAD_PARAMETER;
	quota_return(&to->quota, self->regs.rdx);
	return SUCCESS;
}

static enum status read_quota(struct ec *self, void *o)
{
	const struct pd *pd = o;

	self->regs.rsi = pd->quota.limit;
	self->regs.rdx = pd->quota.used;
	return SUCCESS;
}

/*
 * Of an EC that does not run, its state as it is now. In `mtd`, qualifications
 * count only in an event: one that has come, or waits to.
 */
static enum status copy_state(const struct ec *self, struct ec *ec, uint64_t mtd)
{
	bool waits = ec->resume == resume_work && ec->work == ipc_report;
	struct utcb *u = self->utcb;

	if (ec->ended || (ec->cpu != self->cpu && (cpus[ec->cpu]->current == ec || ec_is_vcpu(ec))))
		return TIMEOUT;
	if (ec_is_vcpu(ec)) {
		if (!ec->callee && !waits)
			ec->event = EVENT_VCPU_RECALL;
		vcpu_ops->save(ec, u, mtd);
		return SUCCESS;
	}
	state_save(ec, u, mtd);
	if (!waits && (!ec->callee || ec->waits != WAITS_STATE))
		u->qual[0] = u->qual[1] = 0;
	return SUCCESS;
}

/* A look at the state leaves out what is too much for that. */
static enum status recall(struct ec *self, void *ec)
{
	enum status s = self->regs.rsi == 1 ? copy_state(self, ec, ~(uint64_t)MTD_FPU) : SUCCESS;

	ec_post(ec, PENDING_RECALL);
	return s;
}

/*
 * Its portals are then those of the new CPU: also the one for want of memory,
 * which is looked up as at its creation.
 */
static enum status migrate(struct ec *self, void *o)
{
	const struct regs *r = &self->regs;
	struct ec *ec = o, *callee = __atomic_load_n(&ec->callee, __ATOMIC_RELAXED);
	uint64_t own = CRD(CRD_OBJ, RIGHTS_ALL, 0, syscall_selector(r->rdi));
	enum status s;

	if (r->rsi >= cpu_count || ec->cpu != self->cpu ||
	    (ec_is_vcpu(ec) && !cpus[r->rsi]->has_vcpu))
		return BAD_CPU;
	/* Of one that is not started its SC may be taken away again at any moment. */
	if (!ec->global || !ec->sc || ec->dead)
		return BAD_CAPABILITY;
	/* It gets a capability of itself. */
	s = items_hand_over(self, ec->pd, own, r->rdx & ~CRD(0, 0, 31, 0));
	if (s == SUCCESS) {
		ec_set_oom(ec, oom_portal_at(self));
		ec->sc->moves = (uint8_t)(r->rsi + 1);
		this_cpu()->resched |= ec == self;
		/* The reply looks whether it is to stay. */
		if (callee)
			callee->odd_reply = 1;
	}
	return s;
}

static enum status vcpu_state(struct ec *self, void *o)
{
	struct ec *ec = o;
	bool set = syscall_flags(self->regs.rdi) == EC_SET_STATE;

	/* The CPU has let go of one that ended, for good. */
	if (!ec_is_vcpu(ec) || ec->ended)
		return BAD_CAPABILITY;
	if (ec->cpu != self->cpu)
		return BAD_CPU;
	if (set)
		vcpu_ops->load(ec, self->utcb, self->utcb->mtd);
	else
		(void)!copy_state(self, ec, self->regs.rsi);
	ec_recall(ec, !set || self->regs.rsi == 1);
	return SUCCESS;
}

/* What a call says of a time: microseconds in two halves. */
static enum status tell(uint64_t ticks, uint64_t *high, uint64_t *low)
{
	uint64_t us = ticks / tsc_khz * 1000 + ticks % tsc_khz * 1000 / tsc_khz;

	*high = us >> 32;
	*low = us & 0xffffffff;
	return SUCCESS;
}

static enum status tell_ec(struct ec *self, void *ec)
{
	return tell(ec_time(ec), &self->regs.rsi, &self->regs.rdx);
}

/* Also how long those that are gone have run: asked of an idle SC. */
static enum status tell_sc(struct ec *self, void *o)
{
	struct regs *r = &self->regs;
	const struct sc *sc = o;
	const struct cpu *cpu = cpus[sc->cpu];
	unsigned what = syscall_flags(r->rdi);
	bool both = what == SC_TIME_EC;
	const struct ec *ec = both ? pd_object(self->pd, r->rsi, OBJECT_EC, 0) : NULL;
	uint64_t gone = what == SC_TIME_CROSS ? cpu->cross_time : cpu->killed_time;
	bool its = what == SC_TIME || ec;

	if (!its && sc != cpu->idle_sc)
		return both ? BAD_CAPABILITY : BAD_PARAMETER;
	if (both)
		(void)tell(ec ? ec_time(ec) : cpu->killed_ec_time, &r->rax, &r->r8);
	return tell(its ? sc_time(sc) : gone, &r->rsi, &r->rdx);
}

static enum status set_id(struct ec *self, void *o)
{
	struct pt *pt = o;

	pt->id = self->regs.rsi;
	return SUCCESS;
}

/* Whose device it becomes must hold its configuration. */
static enum status assign_pci(struct ec *self, void *pd)
{
	return iommu_assign(pd, mapping_frame(pd, self->regs.rsi));
}

static enum status assign_gsi(struct ec *self, void *o)
{
	struct regs *r = &self->regs;
	struct sm *sm = o, *signal = pd_object(self->pd, r->rax, OBJECT_SM, 0);
	uint32_t device = SOURCE_UNKNOWN;
	enum status s;

	if (sm->gsi >= GSIS)
		return BAD_CAPABILITY;
	if (r->rdx >= cpu_count)
		return BAD_CPU;
	if (r->rsi && !iommu_device(mapping_frame(self->pd, r->rsi), &device))
		return BAD_DEVICE;
	s = gsi_assign(sm->gsi, device, (uint32_t)r->rdx, syscall_flags(r->rdi), &r->rsi, &r->rdx);
	/* A message's semaphore is given back to itself: whose message it is does not matter. */
	if (s != SUCCESS && (s != BAD_DEVICE || r->rsi || signal != sm))
		return s;
	sm_set_signal(sm, signal && signal->gsi == SM_SIGNAL ? signal : NULL);
	/* An edge that a signal tells of needs no answer. */
	if (sm->chain)
		gsi_mask(sm->gsi, false, false);
	return SUCCESS;
}

/* Indices: the one operation of a call, or all that its flags can say. */
#define ONE(call, flags) ((call)*16 + (flags))
#define ALL(call)	 ONE(call, 0)... ONE(call, 15)

static const struct operation {
	enum status (*run)(struct ec *self, void *object);
	uint8_t type, rights; /* of the object that RDI names; 0: none */
} operations[CALLS * 16] = {
	[ONE(CALL_MISC, MISC_LOOKUP)] = {lookup, 0, 0},
	[ONE(CALL_MISC, MISC_DELEGATE)] = {delegate, OBJECT_PD, 0},
	[ONE(CALL_MISC, MISC_SUSPEND)] = {sleep, OBJECT_SM, 0},
	[ONE(CALL_EC_CTRL, EC_RECALL)] = {recall, OBJECT_EC, EC_CONTROL},
	[ONE(CALL_EC_CTRL, EC_MIGRATE)] = {migrate, OBJECT_EC, EC_CONTROL},
	[ONE(CALL_EC_CTRL, EC_TIME)] = {tell_ec, OBJECT_EC, 0},
	[ONE(CALL_EC_CTRL, EC_GET_STATE)] = {vcpu_state, OBJECT_EC, EC_CONTROL},
	[ONE(CALL_EC_CTRL, EC_SET_STATE)] = {vcpu_state, OBJECT_EC, EC_CONTROL},
	[ONE(CALL_EC_CTRL, EC_MSR)] = {msr_access, OBJECT_SM, 0},
	[ONE(CALL_SC_CTRL, SC_TIME)... ONE(CALL_SC_CTRL, SC_TIME_EC)] = {tell_sc, OBJECT_SC,
									 SC_CONTROL},
	[ALL(CALL_PT_CTRL)] = {set_id, OBJECT_PT, PT_CONTROL},
	[ALL(CALL_ASSIGN_PCI)] = {assign_pci, OBJECT_PD, 0},
	[ALL(CALL_ASSIGN_GSI)] = {assign_gsi, OBJECT_SM, 0},
	[ONE(CALL_PD_CTRL, PD_TRANSFER)] = {pass_quota, OBJECT_PD, 0},
	[ONE(CALL_PD_CTRL, PD_QUOTA)] = {read_quota, OBJECT_PD, 0},
};

struct ec *sys_control(uint64_t id, struct ec *self)
{
	uint8_t n = (uint8_t)id;
	const struct operation *op = &operations[(uint8_t)(n << 4 | n >> 4)];
	const struct mapping *m = pd_capability(self->pd, syscall_selector(id), op->type);

	if (likely(m && (m->rights & op->rights) == op->rights))
		return syscall_done(self, op->run(self, m->object));
	if (op->type)
		return syscall_done(self, BAD_CAPABILITY);
	return syscall_done(self, op->run ? op->run(self, NULL) : BAD_PARAMETER);
}
