/*
 * Hypercalls about devices.
 */
#include "syscall.h"

#include "x86/cpu.h"
#include "x86/irq.h"
#include "x86/iommu.h"

struct ec *sys_assign_pci(uint64_t id, struct ec *self)
{
	struct pd *pd = pd_with(self, syscall_selector(id), 0);

	if (!pd)
		return syscall_done(self, BAD_CAPABILITY);
	/* Whose device it becomes must hold its configuration. */
	return syscall_done(self, iommu_assign(pd, mapping_frame(pd, self->regs.rsi)));
}

struct ec *sys_assign_gsi(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	struct sm *sm = sm_with(self, syscall_selector(id), 0);
	struct sm *signal = sm_with(self, r->r8, 0);
	uint32_t device = SOURCE_UNKNOWN;
	enum status s;

	if (!sm || sm->gsi >= GSIS)
		return syscall_done(self, BAD_CAPABILITY);
	if (r->rdx >= cpu_count)
		return syscall_done(self, BAD_CPU);
	if (r->rsi && !iommu_device(mapping_frame(self->pd, r->rsi), &device))
		return syscall_done(self, BAD_DEVICE);
	s = gsi_assign(sm->gsi, device, (uint32_t)r->rdx, syscall_flags(id), &r->rsi, &r->rdx);
	if (s == SUCCESS)
		sm_set_signal(sm, signal && signal->gsi == SM_SIGNAL ? signal : NULL);
	return syscall_done(self, s);
}
