/*
 * A CPU waits here for others with interrupts off and no lock held; so that two
 * can wait for each other, it does what is asked of itself meanwhile.
 */
#include "tlb.h"

#include "pd.h"
#include "x86/insn.h"
#include "x86/iommu.h"
#include "x86/irq.h"

/* Those of one PD at a time. */
[[gnu::noinline]] static void ask_devices(struct pd *pd)
{
	struct cpu *self = this_cpu();

	if (self->dma_stale && self->dma_stale != pd)
		iommu_flush(self->dma_stale);
	self->dma_stale = iommu.vendor ? pd : NULL;
	self->flush_asked = 1;
}

void tlb_stale(struct pd *pd, unsigned tables)
{
	bool guest = tables & MAPPING_GUEST;

	/* The entry goes before we look who has the tables loaded. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (guest)
		__atomic_add_fetch(&pd->guest_generation, 1, __ATOMIC_SEQ_CST);
	if (unlikely(tables & MAPPING_DMA))
		ask_devices(pd);
	for (uint32_t i = 0; i < cpu_count; i++) {
		struct cpu *cpu = cpus[i];
		struct ec *vcpu = __atomic_load_n(&cpu->vcpu_running, __ATOMIC_RELAXED);

		if (__atomic_load_n(&cpu->pd, __ATOMIC_RELAXED) == pd || (guest && vcpu)) {
			this_cpu()->flush_asked = 1;
			__atomic_store_n(&cpu->flush, 1, __ATOMIC_SEQ_CST);
		}
	}
}

void tlb_flush_requested(struct cpu *cpu)
{
	if (__atomic_exchange_n(&cpu->flush, 0, __ATOMIC_SEQ_CST)) {
		/* Of a PD that has ended nothing is loaded any more. */
		if (__atomic_load_n(&cpu->pd->object.refs, __ATOMIC_RELAXED) == 0)
			pd_load(&pd_kernel);
		else
			write_cr3(read_cr3());
	}
}

void tlb_shootdown_asked(void)
{
	struct cpu *self = this_cpu();

	self->flush_asked = 0;
	if (unlikely(self->dma_stale)) {
		iommu_flush(self->dma_stale);
		self->dma_stale = NULL;
	}
	tlb_flush_requested(self);
	for (uint32_t i = 0; i < cpu_count; i++) {
		if (i == self->id || !__atomic_load_n(&cpus[i]->flush, __ATOMIC_SEQ_CST))
			continue;
		ipi_send(i);
		while (__atomic_load_n(&cpus[i]->flush, __ATOMIC_SEQ_CST)) {
			tlb_flush_requested(self);
			__builtin_ia32_pause();
		}
	}
}
