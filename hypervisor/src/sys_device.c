/*
 * Hypercalls about devices.
 */
#include "syscall.h"

#include "x86/cpu.h"
#include "x86/gsi.h"

struct ec *sys_assign_pci(uint64_t id, struct ec *self)
{
	return syscall_done(self, pd_with(self, syscall_selector(id), 0)
				    ? BAD_DEVICE : BAD_CAPABILITY);
}

struct ec *sys_assign_gsi(uint64_t id, struct ec *self)
{
	struct regs *r = &self->regs;
	struct sm *sm = sm_with(self, syscall_selector(id), 0);
	enum status s;

	if (!sm || sm->gsi == SM_NO_GSI) {
		return syscall_done(self, BAD_CAPABILITY);
	}
	if (r->rdx >= cpu_count) {
		return syscall_done(self, BAD_CPU);
	}
	if (r->rsi) {
		return syscall_done(self, BAD_DEVICE);
	}
	s = gsi_assign(sm->gsi, (unsigned)r->rdx, syscall_flags(id));
	if (s == SUCCESS) {
		r->rsi = 0;
		r->rdx = 0;
	}
	return syscall_done(self, s);
}
