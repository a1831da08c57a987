/*
 * Exceptions and interrupts, as entry.S hands them over.
 */
#include "../fpu.h"
#include "../ipc.h"
#include "../log.h"
#include "../sc.h"
#include "../tlb.h"
#include "insn.h"
#include "irq.h"
#include "mitigate.h"
#include "suspend.h"

/* Those that are not only reported. */
enum { SPECIAL = 1 << VECTOR_NM | 1 << VECTOR_GP | 1 << VECTOR_PF };

extern const struct fixup {
	uint64_t rip, to;
} extable_start[], extable_end[];

/*
 * What entry.S calls: on what comes from user mode, with the registers in the
 * current EC's regs; in the kernel, and on stacks of their own, true if
 * exception() is to follow; before a thread runs in another PD or
 * with other FPU state; for resume_work; before the CPU halts, and when an
 * interrupt woke it. Those that return an EC say who runs next.
 */
struct ec *exception(struct ec *self);
struct ec *interrupt(struct ec *self);
bool exception_own_stack(struct regs *r);
void thread_switch(struct ec *ec);
struct ec *work(struct ec *ec);
_Noreturn void idle_enter(void);

struct ec *exception(struct ec *self)
{
	unsigned vector = (unsigned)self->regs.vector;

	self->resume = resume_iret;
	if (unlikely(SPECIAL >> vector & 1)) {
		if (vector == VECTOR_NM)
			fpu_use(self);
		if (vector == VECTOR_PF)
			self->fault_address = read_cr2();
		else if (vector == VECTOR_NM || pd_grant_io(this_cpu()))
			return self;
	}
	return ipc_event(self, vector);
}

struct ec *interrupt(struct ec *self)
{
	self->resume = resume_iret;
	irq_handle((uint32_t)self->regs.vector & 0xff);
	return preempt(self);
}

/* In the kernel it was expected (insn.h), or is the end. */
static void fault(struct regs *r)
{
	const struct fixup *f = extable_start;

	while (f < extable_end && f->rip != r->rip)
		f++;
	if (f == extable_end)
		panic_exception(r, "exception %lu", r->vector);
	r->rip = f->to;
}

/*
 * A single step that began with SYSCALL may end in the kernel, whose stack is
 * still the user's: so this has a stack of its own, that of the double fault.
 * There is nothing to be reported then. From user mode it is an exception as
 * any, whose registers are brought to where the others are.
 */
bool exception_own_stack(struct regs *r)
{
	bool user = r->cs & 3;

	if (r->vector == VECTOR_NMI)
		panic_nmi();
	else if (r->vector != VECTOR_DB)
		fault(r);
	else if (user)
		this_cpu()->current->regs = *r;
	else
		r->rflags &= ~RFLAGS_TF;
	return user && r->vector == VECTOR_DB;
}

void thread_switch(struct ec *ec)
{
	struct cpu *cpu = this_cpu();

	if (cpu->fpu_owner != ec)
		fpu_enable(cpu, false);
	if (cpu->pd != ec->pd) {
		pd_load(ec->pd);
		fpu_leave(cpu, ec);
		mitigate_switch(false);
		/* A GS that is loaded is the user's: its base may go. */
		__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs\n\t"
				 "swapgs; mov %0, %%gs; swapgs"
				 :
				 : "r"(0));
	}
}

bool irq_poll(void)
{
	/* An interrupt of the idle EC does not come back: it is let in there. */
	if (this_cpu()->current == this_cpu()->idle)
		return true;
	__asm__ volatile("sti; nop; cli" : : : "memory");
	return this_cpu()->resched;
}

struct ec *work(struct ec *ec)
{
	return irq_poll() ? preempt(ec) : ec->work(ec);
}

/* Idle, a CPU reads nothing of the kernel's and has nobody's tables loaded. */
_Noreturn void idle_enter(void)
{
	struct cpu *cpu = this_cpu();

	rcu_run(cpu);
	if (cpu->resched)
		/* Somebody has waited for what is free now. */
		ipi_send(cpu->id);
	if (cpu->pd != &pd_kernel)
		pd_load(&pd_kernel);
	rcu_idle_enter(cpu);
	for (;;)
		__asm__ volatile("sti; hlt");
}

void ipi_handle(void)
{
	struct cpu *cpu = this_cpu();

	tlb_flush_requested(cpu);
	ec_inbox(cpu);
	suspend_join(cpu);
	cpu->resched = 1;
}
