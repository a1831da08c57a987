/*
 * Hypercalls on SCs, portals and semaphores.
 */
#include "syscall.h"

#include "pt.h"
#include "sc.h"
#include "x86/cpu.h"
#include "x86/irq.h"

/* Also how long those that are gone have run: asked of an idle SC. */
static struct ec *sc_ec_time(struct ec *self, const struct sc *sc)
{
	struct regs *r = &self->regs;
	const struct cpu *cpu = cpus[sc->cpu];
	const struct ec *ec = ec_with(self, r->rsi, 0);

	if (!ec && sc != cpu->idle_sc)
		return syscall_done(self, BAD_CAPABILITY);
	syscall_time(ec ? sc_time(sc) : cpu->killed_time, &r->rsi, &r->rdx);
	syscall_time(ec ? ec_time(ec) : cpu->killed_ec_time, &r->rax, &r->r8);
	return syscall_done(self, SUCCESS);
}

struct ec *sys_sc_ctrl(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	struct object *o = pd_object(self->pd, syscall_selector(id), OBJECT_SC, SC_CONTROL);
	const struct sc *sc = container_of(o, struct sc, object);
	unsigned operation = syscall_flags(id);
	uint64_t ticks;

	if (!o)
		return syscall_done(self, BAD_CAPABILITY);
	const struct cpu *cpu = cpus[sc->cpu];

	if (operation == SC_TIME)
		ticks = sc_time(sc);
	else if (operation == SC_TIME_EC)
		return sc_ec_time(self, sc);
	else if (sc == cpu->idle_sc && operation == SC_TIME_CROSS)
		ticks = cpu->cross_time;
	else if (sc == cpu->idle_sc && operation == SC_TIME_KILLED)
		ticks = cpu->killed_time;
	else
		return syscall_done(self, BAD_PARAMETER);
	syscall_time(ticks, &r->rsi, &r->rdx);
	return syscall_done(self, SUCCESS);
}

struct ec *sys_pt_ctrl(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	struct object *o = pd_object(self->pd, syscall_selector(id), OBJECT_PT, PT_CONTROL);

	if (!o)
		return syscall_done(self, BAD_CAPABILITY);
	container_of(o, struct pt, object)->id = r->rsi;
	return syscall_done(self, SUCCESS);
}

struct ec *sys_sm_wake(struct sm *sm, struct ec *self)
{
	sm_wake_first(sm);
	return syscall_done_preempt(self, SUCCESS);
}

static inline uint64_t deadline(const struct ec *self)
{
	return self->regs.rsi << 32 | (self->regs.rdx & 0xffffffff);
}

struct ec *sys_sm_sleep(struct sm *sm, struct ec *self)
{
	self->sleeps = 1;
	if (!sm_sleep(sm, self, deadline(self))) {
		self->sleeps = 0;
		return syscall_done(self, BAD_CAPABILITY);
	}
	self->resume = resume_sysret;
	return ec_block(self);
}

/* What entry.S does not know: a contended lock, interrupts, flags. */
struct ec *sys_sm_ctrl(uint64_t id, struct ec *self)
{
	unsigned flags = syscall_flags(id);
	struct sm *sm = sm_with(self, syscall_selector(id),
				flags & SM_DOWN ? SM_RIGHT_DOWN : SM_RIGHT_UP);

	if (!sm || (flags & SM_DOWN && sm->gsi == SM_SIGNAL))
		return syscall_done(self, BAD_CAPABILITY);
	if (!(flags & SM_DOWN)) {
		sm_up(sm);
		return syscall_done_preempt(self, SUCCESS);
	}
	if (sm->gsi < GSIS) {
		gsi_unmask(sm->gsi);
		if (sm->chain)
			return syscall_done(self, SUCCESS);
	}
	self->sleeps = 1;
	if (!sm_down(sm, self, flags & FLAG_SM_ZERO, deadline(self))) {
		self->resume = resume_sysret;
		return ec_block(self);
	}
	self->sleeps = 0;
	return syscall_done(self, sm->object.dying ? BAD_CAPABILITY : SUCCESS);
}
