/*
 * Where VM exits arrive in C, and what the kernel keeps for itself (abi.md):
 * interrupts, NMIs, machine checks, exceptions that could come without end, and
 * what a guest does to the few bits of CR0 and CR4 and to the debug registers
 * that are not its own. All else goes to the VMM.
 */
#include "vmx.h"

#include "irq.h"

/* The order in which the instruction encoding numbers them. */
static uint64_t general_register(const struct ec *ec, unsigned n)
{
	const struct regs *r = &ec->regs;
	const uint64_t *const reg[16] = {
		&r->rax, &r->rcx, &r->rdx, &r->rbx, NULL,    &r->rbp, &r->rsi, &r->rdi,
		&r->r8,	 &r->r9,  &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15,
	};

	return reg[n] ? *reg[n] : vmread(VMCS_GUEST_RSP);
}

/* In real mode there are no error codes, and entry would fail with one. */
static struct ec *inject(struct ec *ec, uint32_t vector, uint32_t error)
{
	uint32_t info = vector | INJECT_EXCEPTION | INJECT_VALID;

	if (vmread(VMCS_GUEST_CR0) & CR0_PE) {
		info |= INJECT_ERROR_CODE;
		vmwrite(VMCS_ENTRY_ERROR_CODE, error);
	}
	vmwrite(VMCS_ENTRY_INTERRUPTION, info);
	return ec;
}

void vmx_use_debug(struct ec *ec)
{
	struct vmx *v = vmx_of(ec);

	vcpu_take_debug(ec);
	if (!(v->asked & PRIMARY_MOV_DR_EXITING))
		vmx_set_primary(v, v->primary & ~PRIMARY_MOV_DR_EXITING);
}

/*
 * IRET that faulted has ended the blocking of NMIs already, and will end it
 * again. The bit says nothing where an event was being delivered (SDM 3C 28.2.3).
 */
static void block_nmis(uint64_t info)
{
	if (unlikely(info & NMI_UNBLOCKED) && !(vmread(VMCS_IDT_VECTORING) & INJECT_VALID))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			vmread(VMCS_GUEST_INTERRUPTIBILITY) | BLOCKED_BY_NMI);
}

/*
 * The exit has not changed DR6 and DR7 as the exception would have (SDM 3C
 * 28.1): that is made up for, and then it is delivered.
 */
static struct ec *debug_exception(struct ec *ec, uint32_t info)
{
	uint64_t causes = vmread(VMCS_EXIT_QUALIFICATION) & DR6_CAUSES, dr6;

	vmx_use_debug(ec);
	/* B0 to B3 are what is so now; the others stay until software clears them. */
	__asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
	__asm__ volatile("mov %0, %%dr6" : : "r"((dr6 & ~15ul) | causes));
	if (causes & DR6_BD)
		vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~(uint64_t)DR7_GD);
	if ((info & INJECT_TYPE) == INJECT_PRIVILEGED_EXCEPTION)
		vmwrite(VMCS_ENTRY_INSTRUCTION_LENGTH, vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
	/*
	 * With TF set and interrupts in a shadow, entry wants to be told of the
	 * single step that is due (SDM 3C 27.3.1.5).
	 */
	if (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF &&
	    vmread(VMCS_GUEST_INTERRUPTIBILITY) & (SHADOW_STI | SHADOW_MOV_SS))
		vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | DR6_BS);
	vmwrite(VMCS_ENTRY_INTERRUPTION, info & INJECT_EVENT);
	return ec;
}

/*
 * #AC and #DB exit only because a guest can arrange that delivering them raises
 * them again without end, and with no instruction between: they go back in,
 * and interrupts get their turn.
 */
static struct ec *exception(struct ec *ec)
{
	uint32_t info = vmread32(VMCS_EXIT_INTERRUPTION);

	if ((info & INJECT_TYPE) == INJECT_NMI)
		return vcpu_nmi(ec);
	block_nmis(info);
	switch (info & INJECT_VECTOR) {
	case VECTOR_DB:
		return debug_exception(ec, info);
	case VECTOR_AC:
		return inject(ec, VECTOR_AC, vmread32(VMCS_EXIT_ERROR_CODE));
	case VECTOR_MC:
		return vcpu_machine_check(ec);
	default:
		return ipc_event(ec, REASON_EXCEPTION_NMI);
	}
}

static struct ec *external_interrupt(struct ec *ec)
{
	irq_handle(vmread32(VMCS_EXIT_INTERRUPTION) & INJECT_VECTOR);
	return preempt(ec);
}

/*
 * MOV to CR0 or CR4 that would change a bit which is not the guest's own. The
 * read shadow takes what the guest wants there, and the instruction runs again:
 * now it changes nothing but the guest's own bits, and the processor itself
 * does all that goes with them.
 */
static struct ec *cr_access(struct ec *ec)
{
	struct vmx *v = vmx_of(ec);
	uint64_t q = vmread(VMCS_EXIT_QUALIFICATION);
	uint64_t value = general_register(ec, q >> CR_REGISTER_SHIFT & 15);

	switch (q & (CR_TYPE | CR_NUMBER)) {
	case CR_MOV_TO | 0:
		if ((value & (CR0_NW | CR0_CD)) == CR0_NW)
			return inject(ec, VECTOR_GP, 0);
		v->cr0_shadow = value & vmx_caps.cr0_host;
		vmwrite(VMCS_CR0_SHADOW, v->cr0_shadow);
		return ec;
	case CR_MOV_TO | 4:
		if (value & CR4_VMXE)
			return inject(ec, VECTOR_GP, 0);
		v->cr4_shadow = value & vmx_caps.cr4_host;
		vmwrite(VMCS_CR4_SHADOW, v->cr4_shadow);
		return ec;
	default:
		return ipc_event(ec, REASON_CR_ACCESS);
	}
}

static struct ec *mov_dr(struct ec *ec)
{
	if (vmx_of(ec)->asked & PRIMARY_MOV_DR_EXITING)
		return ipc_event(ec, REASON_MOV_DR);
	vmx_use_debug(ec);
	return ec;
}

static struct ec *ept_violation(struct ec *ec)
{
	ec->fault_address = vmread(VMCS_GUEST_PHYSICAL_ADDRESS);
	block_nmis(vmread(VMCS_EXIT_QUALIFICATION));
	return ipc_event(ec, REASON_EPT_VIOLATION);
}

static struct ec *(*const kept[])(struct ec *) = {
	[REASON_EXCEPTION_NMI] = exception,	[REASON_EXTERNAL_INTERRUPT] = external_interrupt,
	[REASON_CR_ACCESS] = cr_access,		[REASON_MOV_DR] = mov_dr,
	[REASON_EPT_VIOLATION] = ept_violation, [REASON_PREEMPTION_TIMER] = vcpu_let_in,
};

/*
 * The entry failed on the guest's state or MSRs (SDM 3C 27.8). The VMCS is not
 * launched if it was not before: let the next entry launch it anyway.
 */
struct ec *vmx_entry_failed(struct ec *ec, uint32_t reason)
{
	vmx_unload(ec);
	if (reason == REASON_MACHINE_CHECK)
		return vcpu_machine_check(ec);
	return ipc_event(ec, reason);
}

struct ec *vmx_exit(struct ec *ec)
{
	uint32_t reason = vmread32(VMCS_EXIT_REASON);

	vmx_of(ec)->seen_mtd = 0;
	if (likely(reason >= ARRAY_SIZE(kept) || !kept[reason])) {
		if (unlikely(reason & REASON_ENTRY_FAILED))
			return vmx_entry_failed(ec, reason & REASON_BASIC);
		return ipc_event(ec, reason & REASON_BASIC);
	}
	return kept[reason](ec);
}
