/*
 * Exceptions and interrupts, as entry.S hands them over.
 */
#include "exception.h"

#include "../ec.h"
#include "../fpu.h"
#include "../ipc.h"
#include "../panic.h"
#include "../pd.h"
#include "../sc.h"
#include "../tlb.h"
#include "cpu.h"
#include "insn.h"
#include "irq.h"
#include "mitigate.h"
#include "msr.h"
#include "suspend.h"

enum {
	VECTOR_NMI = 2,
	VECTOR_NM = 7,
	VECTOR_GP = 13,
	VECTOR_PF = 14,

	/* Those that are not only reported. */
	SPECIAL = 1 << VECTOR_NM | 1 << VECTOR_GP | 1 << VECTOR_PF,
};

/* True: the thread goes on where it was. */
static bool settled(struct ec *self, unsigned vector)
{
	switch (vector) {
	case VECTOR_NM:
		fpu_use(self);
		return true;
	case VECTOR_GP:
		return pd_grant_io(this_cpu());
	default:
		self->fault_address = read_cr2();
		return false;
	}
}

struct ec *exception(struct ec *self)
{
	unsigned vector = (unsigned)self->regs.vector;

	self->resume = resume_iret;
	if (unlikely(SPECIAL >> vector & 1 && settled(self, vector)))
		return self;
	return ipc_event(self, vector);
}

struct ec *interrupt(struct ec *self)
{
	self->resume = resume_iret;
	irq_handle((uint32_t)self->regs.vector & 0xff);
	return preempt(self);
}

void exception_kernel(struct regs *r)
{
	uint64_t fixup = extable_find(r->rip);

	if (!fixup)
		panic_exception(r, "exception %lu in the kernel", r->vector);
	r->rip = fixup;
}

void exception_ist(struct regs *r)
{
	if (r->vector != VECTOR_NMI)
		panic_exception(r, "exception %lu", r->vector);
	panic_nmi();
}

void thread_switch(struct ec *ec)
{
	struct cpu *cpu = this_cpu();

	if (cpu->fpu_owner != ec)
		fpu_disable(cpu);
	if (cpu->pd != ec->pd) {
		pd_load(ec->pd);
		fpu_leave(cpu, ec);
		mitigate_switch();
	}
}

struct ec *work(struct ec *ec)
{
	if (this_cpu()->resched)
		return preempt(ec);
	return ec->work(ec);
}

/* Idle, a CPU reads nothing of the kernel's and has nobody's tables loaded. */
void idle_enter(void)
{
	struct cpu *cpu = this_cpu();

	rcu_run(cpu);
	if (cpu->resched)
		/* Somebody has waited for what is free now. */
		ipi_send(cpu->id);
	if (cpu->pd != &pd_kernel)
		pd_load(&pd_kernel);
	rcu_idle_enter(cpu);
}

struct ec *idle_leave(void)
{
	struct cpu *cpu = this_cpu();

	rcu_idle_leave(cpu);
	return preempt(cpu->idle);
}

void ipi_handle(void)
{
	struct cpu *cpu = this_cpu();

	tlb_flush_requested(cpu);
	if (__atomic_load_n(&cpu->inbox, __ATOMIC_RELAXED))
		ec_inbox(cpu);
	suspend_join(cpu);
	cpu->resched = 1;
}

bool irq_poll(void)
{
	__asm__ volatile("sti; nop; cli" : : : "memory");
	return this_cpu()->resched;
}
