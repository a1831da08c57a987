/*
 * A CPU collects what it defers in a batch. When the batch before it is done,
 * the batch gets the next epoch; when all CPUs have been seen outside the
 * kernel in that epoch, it is over, and freed in small portions. A CPU says so
 * on its interrupts and whenever it schedules; a CPU that shows no sign is sent
 * an interrupt.
 */
#include "rcu.h"

#include "timeout.h"
#include "tlb.h"
#include "x86/insn.h"
#include "x86/irq.h"

enum {
	BATCH = 256,	    /* then do not wait for the next timer interrupt */
	FREED = 24,	    /* at once */
	IDLE_PERIOD = 1000, /* us between two looks when idle */
};

#define IDLE (~0ul)

uint64_t rcu_epoch;

void rcu_defer(struct deferred *d, void (*free)(struct deferred *))
{
	struct cpu *cpu = this_cpu();

	d->free = free;
	d->next = cpu->deferred;
	cpu->deferred = d;
	if (unlikely(++cpu->deferred_count == BATCH))
		ipi_send(cpu->id);
}

/* What waits is over, if all CPUs have been outside the kernel. */
static void end(struct cpu *cpu)
{
	if (cpu->over || !cpu->waiting)
		return;
	for (uint32_t i = 0; i < cpu_count; i++)
		if (__atomic_load_n(&cpus[i]->quiescent, __ATOMIC_ACQUIRE) < cpu->waiting_epoch)
			return;
	cpu->over = cpu->waiting;
	cpu->waiting = NULL;
}

/* What is over, but not too much at once: there is more, after interrupts. */
static void free_some(struct cpu *cpu)
{
	struct deferred *d, *next;

	for (unsigned n = 0; n < FREED && (d = cpu->over); n++) {
		next = d->next;
		d->free(d);
		__atomic_store_n(&cpu->over, next, __ATOMIC_RELEASE);
	}
	tlb_shootdown();
	if (cpu->over) {
		ipi_send(cpu->id);
		cpu->resched = 1;
	}
}

/* An epoch: what has a later one began after this. */
static uint64_t begin(void)
{
	return __atomic_add_fetch(&rcu_epoch, 1, __ATOMIC_SEQ_CST);
}

/* The batch waits from now on; CPUs in user mode for long must be asked. */
static void start(struct cpu *cpu)
{
	cpu->waiting = cpu->deferred;
	cpu->deferred = NULL;
	cpu->deferred_count = 0;
	cpu->waiting_epoch = begin();
	__atomic_store_n(&cpu->quiescent, cpu->waiting_epoch, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < cpu_count; i++)
		if (__atomic_load_n(&cpus[i]->quiescent, __ATOMIC_RELAXED) < cpu->waiting_epoch)
			ipi_send(i);
}

/*
 * The caller holds no pointer that it read without a lock or reference, so
 * that this CPU itself is quiescent now.
 */
void rcu_run(struct cpu *cpu)
{
	uint64_t now = __atomic_load_n(&rcu_epoch, __ATOMIC_SEQ_CST);

	__atomic_store_n(&cpu->quiescent, now, __ATOMIC_RELEASE);
	if (likely(!rcu_busy(cpu)))
		return;
	end(cpu);
	if (!cpu->waiting && cpu->deferred) {
		start(cpu);
		end(cpu);
	}
	free_some(cpu);
}

bool rcu_hurry(struct rcu_wait *wait)
{
	struct cpu *self = this_cpu();
	bool any = false, late = false;

	if (!wait->left)
		*wait = (struct rcu_wait){begin(), GRACE_ROUNDS};
	for (uint32_t i = 0; i < cpu_count; i++) {
		const struct cpu *cpu = cpus[i];
		/* Asked for what may give up more. */
		bool asked = __atomic_load_n(&cpu->inbox, __ATOMIC_ACQUIRE) ||
			     __atomic_load_n(&cpu->asked, __ATOMIC_ACQUIRE);
		bool busy = rcu_busy(cpu);

		if (!asked && !busy)
			continue;
		any = true;
		late |= (asked && cpu->asked_epoch < wait->began) ||
			(busy && cpu->waiting_epoch < wait->began);
		if (cpu != self)
			ipi_send(i);
	}
	if (!late)
		*wait = (struct rcu_wait){begin(), wait->left - 1};
	self->resched |= any;
	return any;
}

/*
 * What waits is looked at again, though nobody may want this CPU for long. If nothing
 * does, the timer is to be away: it may be one that comes again and again.
 */
void rcu_idle_enter(struct cpu *cpu)
{
	timeout_arm(cpu, rcu_busy(cpu) ? rdtsc() + tsc_of_us(IDLE_PERIOD) : IDLE - 1);
	__atomic_store_n(&cpu->quiescent, IDLE, __ATOMIC_SEQ_CST);
}

void rcu_idle_leave(struct cpu *cpu)
{
	__atomic_store_n(&cpu->quiescent, __atomic_load_n(&rcu_epoch, __ATOMIC_SEQ_CST),
			 __ATOMIC_SEQ_CST);
}
