/*
 * Hypercalls on ECs.
 */
#include "syscall.h"

#include "sc.h"
#include "state.h"
#include "x86/cpu.h"
#include "x86/vcpu.h"

/* All of the state but what is too much for a look. */
#define MTD_LOOK (~(uint64_t)MTD_FPU)

/*
 * Of an EC that does not run, its state as it is now. In `mtd`, qualifications
 * count only in an event.
 */
static enum status copy_state(const struct ec *self, struct ec *ec, uint64_t mtd)
{
	struct utcb *u = self->utcb;

	if (ec->cpu != self->cpu && (cpus[ec->cpu]->current == ec || ec_is_vcpu(ec)))
		return TIMEOUT;
	if (ec_is_vcpu(ec)) {
		if (!ec->callee)
			ec->event = EVENT_VCPU_RECALL;
		vcpu_ops->save(ec, u, mtd);
		return SUCCESS;
	}
	state_save(ec, u, mtd);
	if (!ec->callee || ec->waits != WAITS_STATE)
		u->qual[0] = u->qual[1] = 0;
	return SUCCESS;
}

static struct ec *recall(struct ec *self, struct ec *ec)
{
	enum status s = SUCCESS;

	if (self->regs.rsi == 1)
		s = copy_state(self, ec, MTD_LOOK);
	self->resume = resume_sysret;
	ec_post(ec, PENDING_RECALL);
	return syscall_done_preempt(self, s);
}

static struct ec *yield(struct ec *self, struct ec *ec)
{
	(void)ec;
	self->regs.rdi = SUCCESS;
	self->resume = resume_sysret;
	self->sc->left = 0;
	return schedule_away(self);
}

static struct ec *tell_time(struct ec *self, struct ec *ec)
{
	syscall_time(ec_time(ec), &self->regs.rsi, &self->regs.rdx);
	return syscall_done(self, SUCCESS);
}

/* In the PD where it runs, a capability of it. */
static enum status give(struct ec *self, struct ec *ec, uint64_t crd)
{
	struct transfer t = {
		.from = self->pd,
		.to = ec->pd,
		.source = syscall_selector(self->regs.rdi),
		.target = CRD_BASE(crd),
		.type = CRD_OBJ,
		.rights = (uint8_t)CRD_RIGHTS(crd),
	};

	if (CRD_TYPE(crd) != CRD_OBJ || CRD_BASE(crd) >= SELECTORS)
		return SUCCESS;
	return mapping_delegate(&t);
}

/*
 * Its portals are then those of the new CPU: also the one for want of memory,
 * which is looked up as at its creation.
 */
static struct ec *migrate(struct ec *self, struct ec *ec)
{
	struct regs *r = &self->regs;
	enum status s;

	if (r->rsi >= cpu_count || ec->cpu != self->cpu)
		return syscall_done(self, BAD_CPU);
	if (!ec->own_sc || ec->dead || ec_is_vcpu(ec))
		return syscall_done(self, BAD_CAPABILITY);
	s = give(self, ec, r->rdx);
	if (s == SUCCESS) {
		self->resume = resume_sysret;
		ec_set_oom(ec, oom_portal_at(self, syscall_selector(r->rdi)));
		ec_migrate(ec, (uint32_t)r->rsi);
	}
	return s == OUT_OF_MEMORY ? syscall_done(self, s) : syscall_done_preempt(self, s);
}

static struct ec *get_state(struct ec *self, struct ec *ec)
{
	if (!ec_is_vcpu(ec))
		return syscall_done(self, BAD_CAPABILITY);
	if (ec->cpu != self->cpu)
		return syscall_done(self, BAD_CPU);
	(void)!copy_state(self, ec, self->regs.rsi);
	ec_recall(ec, true);
	return syscall_done(self, SUCCESS);
}

static struct ec *set_state(struct ec *self, struct ec *ec)
{
	if (!ec_is_vcpu(ec))
		return syscall_done(self, BAD_CAPABILITY);
	if (ec->cpu != self->cpu)
		return syscall_done(self, BAD_CPU);
	vcpu_ops->load(ec, self->utcb, self->utcb->mtd);
	ec_recall(ec, self->regs.rsi == 1);
	return syscall_done(self, SUCCESS);
}

enum { NO_EC = 0xff };

static const struct {
	struct ec *(*run)(struct ec *self, struct ec *ec);
	uint8_t right; /* or NO_EC: it takes none */
} operations[] = {
	[EC_RECALL] = {recall, EC_CONTROL},
	[EC_YIELD] = {yield, NO_EC},
	[EC_HELP] = {ipc_help, 0},
	[EC_RESCHEDULE] = {yield, NO_EC},
	[EC_MIGRATE] = {migrate, EC_CONTROL},
	[EC_TIME] = {tell_time, 0},
	[EC_GET_STATE] = {get_state, EC_CONTROL},
	[EC_SET_STATE] = {set_state, EC_CONTROL},
	[EC_MSR] = {msr_access, NO_EC},
};

struct ec *sys_ec_ctrl(uint64_t id, struct ec *self)
{
	unsigned n = syscall_flags(id);
	struct ec *ec = NULL;

	if (n >= ARRAY_SIZE(operations))
		return syscall_done(self, BAD_PARAMETER);
	if (operations[n].right != NO_EC) {
		ec = ec_with(self, syscall_selector(id), operations[n].right);
		if (!ec)
			return syscall_done(self, BAD_CAPABILITY);
	}
	return operations[n].run(self, ec);
}
