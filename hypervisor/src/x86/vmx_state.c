/*
 * A vCPU's state on VMX, to and from a handler's UTCB: no field of the VMCS is
 * touched that the MTD does not name.
 *
 * What the guest cannot change without an exit is kept in struct vmx, so that
 * it is never read and only written when it changes. Of what else seldom
 * changes and is dear under KVM (segments, tables, EFER) the value that the
 * VMM was shown is kept until the next exit: if the VMM gives the same back,
 * nothing is written.
 */
#include "vmx.h"

#include <abi/event.h>

#include "../fpu.h"
#include "cr.h"
#include "insn.h"
#include "msr.h"
#include "vmx_bits.h"

/* What most exits need, and costs nothing under KVM; the rest is apart. */
#define MTD_HOT                                                       \
	(MTD_GPR_ACDB | MTD_GPR_BSD | MTD_GPR_R8_R15 | MTD_RSP |      \
	 MTD_RIP_LEN | MTD_RFLAGS | MTD_QUAL | MTD_INJ | MTD_STA)

enum { VAPIC_TPR = 0x80 };	/* in the virtual-APIC page: SDM 3C 30.1 */

/* Controls that a VMM may choose. All else is the kernel's. */
#define PRIMARY_VMM                                              \
	(PRIMARY_INVLPG_EXITING | PRIMARY_MWAIT_EXITING |        \
	 PRIMARY_RDTSC_EXITING | PRIMARY_CR8_LOAD_EXITING |      \
	 PRIMARY_CR8_STORE_EXITING | PRIMARY_TPR_SHADOW |        \
	 PRIMARY_MOV_DR_EXITING | PRIMARY_MONITOR_TRAP |         \
	 PRIMARY_MONITOR_EXITING | PRIMARY_PAUSE_EXITING)
#define PRIMARY_CR8 (PRIMARY_CR8_LOAD_EXITING | PRIMARY_CR8_STORE_EXITING)
#define SECONDARY_VMM                                            \
	(SECONDARY_TABLE_EXITING | SECONDARY_WBINVD_EXITING |    \
	 SECONDARY_RDRAND_EXITING | SECONDARY_RDSEED_EXITING)

static inline uint32_t *vapic_tpr(const struct vmx *v)
{
	return (uint32_t *)((char *)v->vmcs + PAGE_SIZE + VAPIC_TPR);
}

/*
 * The event is none that the guest ran into: what was to be injected at the
 * next entry still is.
 */
static inline bool not_entered(const struct ec *ec)
{
	return ec->event >= EVENT_VCPU_STARTUP ||
	       ec->event == REASON_INVALID_STATE;
}

static void save_injection(const struct ec *ec, struct utcb *u)
{
	bool entry = not_entered(ec);
	uint32_t info = vmread32(entry ? VMCS_ENTRY_INTERRUPTION
				       : VMCS_IDT_VECTORING);

	u->inject = info & INJECT_EVENT;
	if (unlikely((info & INJECT_VALID) && (info & INJECT_ERROR_CODE))) {
		u->inject_error = vmread32(entry ? VMCS_ENTRY_ERROR_CODE
						 : VMCS_IDT_VECTORING_ERROR);
	}
}

static void save_segment(struct segment *s, struct segment *seen,
			 enum vmcs_segment i)
{
	s->selector = (uint16_t)vmread(VMCS_GUEST_ES_SELECTOR + 2 * i);
	s->rights = vmx_rights_to_utcb(vmread(VMCS_GUEST_ES_RIGHTS + 2 * i));
	s->limit = vmread32(VMCS_GUEST_ES_LIMIT + 2 * i);
	s->base = vmread(VMCS_GUEST_ES_BASE + 2 * i);
	*seen = *s;
}

static void save_segments(struct vmx *v, struct utcb *u, uint64_t mtd)
{
	struct segment *seen = v->seen.segment;

	if (mtd & MTD_DS_ES) {
		save_segment(&u->ds, &seen[VMCS_DS], VMCS_DS);
		save_segment(&u->es, &seen[VMCS_ES], VMCS_ES);
	}
	if (mtd & MTD_FS_GS) {
		save_segment(&u->fs, &seen[VMCS_FS], VMCS_FS);
		save_segment(&u->gs, &seen[VMCS_GS], VMCS_GS);
	}
	if (mtd & MTD_CS_SS) {
		save_segment(&u->cs, &seen[VMCS_CS], VMCS_CS);
		save_segment(&u->ss, &seen[VMCS_SS], VMCS_SS);
	}
	if (mtd & MTD_TR) {
		save_segment(&u->tr, &seen[VMCS_TR], VMCS_TR);
	}
	if (mtd & MTD_LDTR) {
		save_segment(&u->ldtr, &seen[VMCS_LDTR], VMCS_LDTR);
	}
	if (mtd & MTD_GDTR) {
		u->gdtr.limit = vmread32(VMCS_GUEST_GDTR_LIMIT);
		u->gdtr.base = vmread(VMCS_GUEST_GDTR_BASE);
		v->seen.gdtr = u->gdtr;
	}
	if (mtd & MTD_IDTR) {
		u->idtr.limit = vmread32(VMCS_GUEST_IDTR_LIMIT);
		u->idtr.base = vmread(VMCS_GUEST_IDTR_BASE);
		v->seen.idtr = u->idtr;
	}
}

static void save_cr(const struct vmx *v, struct utcb *u)
{
	u->cr0 = (vmread(VMCS_GUEST_CR0) & ~vmx_caps.cr0_host) |
		 v->cr0_shadow;
	u->cr2 = v->cr2;
	u->cr3 = vmread(VMCS_GUEST_CR3);
	u->cr4 = (vmread(VMCS_GUEST_CR4) & ~vmx_caps.cr4_host) |
		 v->cr4_shadow;
}

static void save_pdpte(struct vmx *v, struct utcb *u)
{
	for (unsigned i = 0; i < 4; i++) {
		u->pdpte[i] = vmread(VMCS_GUEST_PDPTE0 + 2 * i);
		v->seen.pdpte[i] = u->pdpte[i];
	}
}

static void save_syscall(const struct vmx *v, struct utcb *u)
{
	u->star = v->guest_msr[VMX_STAR].value;
	u->lstar = v->guest_msr[VMX_LSTAR].value;
	u->cstar = v->cstar;
	u->sfmask = v->guest_msr[VMX_SFMASK].value;
	u->kernel_gs_base = v->guest_msr[VMX_KERNEL_GS_BASE].value;
}

static void save_kept(struct ec *ec, struct vmx *v, struct utcb *u,
		      uint64_t mtd)
{
	if (mtd & MTD_SYSENTER) {
		u->sysenter_cs = v->sysenter[0];
		u->sysenter_rsp = v->sysenter[1];
		u->sysenter_rip = v->sysenter[2];
	}
	if (mtd & MTD_TSC) {
		u->tsc = rdtsc();
		u->tsc_offset = v->vcpu.tsc_offset;
	}
	if (mtd & MTD_SYSCALL) {
		save_syscall(v, u);
	}
	if (mtd & MTD_TPR) {
		u->tpr = *vapic_tpr(v);
		u->tpr_threshold = v->tpr_threshold;
	}
	if (mtd & MTD_TSC_AUX) {
		u->tsc_aux = v->vcpu.tsc_aux;
	}
	if (mtd & MTD_XSAVE) {
		u->xcr0 = ec->xcr0;
		u->xss = 0;
	}
	if (mtd & MTD_FPU) {
		fpu_save(ec, u);
	}
}

__attribute__((noinline)) static void
save_rest(struct ec *ec, struct vmx *v, struct utcb *u, uint64_t mtd)
{
	v->seen_mtd |= (uint32_t)mtd;
	if (mtd & MTD_CR) {
		save_cr(v, u);
	}
	if (mtd & MTD_DR) {
		vmread_to(&u->dr7, VMCS_GUEST_DR7);
		v->seen.dr7 = u->dr7;
	}
	if (mtd & MTD_EFER) {
		vmread_to(&u->efer, VMCS_GUEST_EFER);
		v->seen.efer = u->efer;
	}
	if (mtd & MTD_PDPTE) {
		save_pdpte(v, u);
	}
	save_segments(v, u, mtd);
	save_kept(ec, v, u, mtd);
}

void vmx_save(struct ec *ec, struct utcb *u, uint64_t mtd)
{
	const struct regs *r = &ec->regs;
	struct vmx *v = vmx_of(ec);

	vmx_use(ec);
	u->mtd = mtd;
	u->exit_reason = ec->event;
	if (mtd & MTD_GPR_ACDB) {
		u->rax = r->rax;
		u->rcx = r->rcx;
		u->rdx = r->rdx;
		u->rbx = r->rbx;
	}
	if (mtd & MTD_GPR_BSD) {
		u->rbp = r->rbp;
		u->rsi = r->rsi;
		u->rdi = r->rdi;
	}
	if (mtd & MTD_GPR_R8_R15) {
		u->r8 = r->r8;
		u->r9 = r->r9;
		u->r10 = r->r10;
		u->r11 = r->r11;
		u->r12 = r->r12;
		u->r13 = r->r13;
		u->r14 = r->r14;
		u->r15 = r->r15;
	}
	if (mtd & MTD_RIP_LEN) {
		vmread_to(&u->rip, VMCS_GUEST_RIP);
		vmread_to(&u->length, VMCS_EXIT_INSTRUCTION_LENGTH);
	}
	if (mtd & MTD_RSP) {
		vmread_to(&u->rsp, VMCS_GUEST_RSP);
	}
	if (mtd & MTD_RFLAGS) {
		vmread_to(&u->rflags, VMCS_GUEST_RFLAGS);
	}
	if (mtd & MTD_QUAL) {
		vmread_to(&u->qual[0], VMCS_EXIT_QUALIFICATION);
		vmread_to(&u->qual[1], VMCS_GUEST_PHYSICAL_ADDRESS);
	}
	if (mtd & MTD_INJ) {
		save_injection(ec, u);
	}
	if (mtd & MTD_STA) {
		u->interruptibility = vmread32(VMCS_GUEST_INTERRUPTIBILITY);
		u->activity = v->activity ? vmread32(VMCS_GUEST_ACTIVITY) : 0;
	}
	if (mtd & ~(uint64_t)MTD_HOT) {
		save_rest(ec, v, u, mtd);
	}
}

/*
 * What an exit reported may be given back as it came. The event's field is
 * clear after every entry (SDM 3C 28.8.3), so that nothing need be written for
 * no event, unless there was no entry.
 */
static void load_injection(struct ec *ec, struct vmx *v, const struct utcb *u,
			   uint64_t mtd)
{
	uint32_t info = u->inject, primary = v->primary;

	primary &= ~(uint32_t)(PRIMARY_INTERRUPT_WINDOW | PRIMARY_NMI_WINDOW);
	if (info & INJECT_INTERRUPT_WINDOW) {
		primary |= PRIMARY_INTERRUPT_WINDOW;
	}
	if (info & INJECT_NMI_WINDOW) {
		primary |= PRIMARY_NMI_WINDOW & vmx_caps.primary_may;
	}
	vmx_set_primary(v, primary);
	if (likely(!(info & INJECT_VALID))) {
		if (unlikely(not_entered(ec))) {
			vmwrite(VMCS_ENTRY_INTERRUPTION, 0);
		}
		return;
	}
	if (info & INJECT_ERROR_CODE) {
		vmwrite(VMCS_ENTRY_ERROR_CODE, u->inject_error);
	}
	if ((info & INJECT_TYPE) >= INJECT_SOFT_INTERRUPT) {
		vmwrite(VMCS_ENTRY_INSTRUCTION_LENGTH,
			mtd & MTD_RIP_LEN
				? u->length
				: vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
	}
	vmwrite(VMCS_ENTRY_INTERRUPTION, info & INJECT_EVENT);
}

static void load_activity(struct vmx *v, uint32_t activity)
{
	if (unlikely(activity != v->activity || activity)) {
		v->activity = activity;
		vmwrite(VMCS_GUEST_ACTIVITY, activity);
	}
}

static bool segment_differs(const struct segment *a, const struct segment *b)
{
	return a->selector != b->selector || a->rights != b->rights ||
	       a->limit != b->limit || a->base != b->base;
}

static void load_segment(const struct vmx *v, const struct segment *s,
			 enum vmcs_segment i, uint32_t mtd)
{
	if (v->seen_mtd & mtd && !segment_differs(s, &v->seen.segment[i])) {
		return;
	}
	vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * i, s->selector);
	vmwrite(VMCS_GUEST_ES_RIGHTS + 2 * i, vmx_rights_from_utcb(s->rights));
	vmwrite(VMCS_GUEST_ES_LIMIT + 2 * i, s->limit);
	vmwrite(VMCS_GUEST_ES_BASE + 2 * i, s->base);
}

static void load_segments(const struct vmx *v, const struct utcb *u,
			  uint64_t mtd)
{
	if (mtd & MTD_DS_ES) {
		load_segment(v, &u->ds, VMCS_DS, MTD_DS_ES);
		load_segment(v, &u->es, VMCS_ES, MTD_DS_ES);
	}
	if (mtd & MTD_FS_GS) {
		load_segment(v, &u->fs, VMCS_FS, MTD_FS_GS);
		load_segment(v, &u->gs, VMCS_GS, MTD_FS_GS);
	}
	if (mtd & MTD_CS_SS) {
		load_segment(v, &u->cs, VMCS_CS, MTD_CS_SS);
		load_segment(v, &u->ss, VMCS_SS, MTD_CS_SS);
	}
	if (mtd & MTD_TR) {
		load_segment(v, &u->tr, VMCS_TR, MTD_TR);
	}
	if (mtd & MTD_LDTR) {
		load_segment(v, &u->ldtr, VMCS_LDTR, MTD_LDTR);
	}
	if (mtd & MTD_GDTR && (!(v->seen_mtd & MTD_GDTR) ||
			       u->gdtr.base != v->seen.gdtr.base ||
			       u->gdtr.limit != v->seen.gdtr.limit)) {
		vmwrite(VMCS_GUEST_GDTR_LIMIT, u->gdtr.limit);
		vmwrite(VMCS_GUEST_GDTR_BASE, u->gdtr.base);
	}
	if (mtd & MTD_IDTR && (!(v->seen_mtd & MTD_IDTR) ||
			       u->idtr.base != v->seen.idtr.base ||
			       u->idtr.limit != v->seen.idtr.limit)) {
		vmwrite(VMCS_GUEST_IDTR_LIMIT, u->idtr.limit);
		vmwrite(VMCS_GUEST_IDTR_BASE, u->idtr.base);
	}
}

/*
 * The guest's own bits go to the register, the others to the read shadow; in
 * the register those have the value that VMX or the kernel needs.
 */
static void load_cr(struct vmx *v, const struct utcb *u)
{
	uint64_t cr0 = vmx_caps.cr0_host, cr4 = vmx_caps.cr4_host;
	uint64_t shadow0 = u->cr0 & cr0, shadow4 = u->cr4 & cr4;

	vmwrite(VMCS_GUEST_CR0,
		(u->cr0 & ~cr0) | (cr0 & ~(CR0_CD | CR0_NW)));
	vmwrite(VMCS_GUEST_CR3, u->cr3);
	vmwrite(VMCS_GUEST_CR4, (u->cr4 & ~cr4) | cr4);
	v->cr2 = u->cr2;
	if (shadow0 != v->cr0_shadow) {
		v->cr0_shadow = shadow0;
		vmwrite(VMCS_CR0_SHADOW, shadow0);
	}
	if (shadow4 != v->cr4_shadow) {
		v->cr4_shadow = shadow4;
		vmwrite(VMCS_CR4_SHADOW, shadow4);
	}
}

static void load_controls(struct vmx *v, const struct utcb *u)
{
	uint32_t asked = u->ctrl[0] & PRIMARY_VMM & vmx_caps.primary_may;
	uint32_t windows = v->primary &
			   (PRIMARY_INTERRUPT_WINDOW | PRIMARY_NMI_WINDOW);
	uint32_t primary = vmx_caps.primary;
	uint32_t secondary = vmx_caps.secondary |
			     (u->ctrl[1] & SECONDARY_VMM &
			      vmx_caps.secondary_may);

	if (asked & PRIMARY_TPR_SHADOW) {
		primary &= ~(uint32_t)PRIMARY_CR8;
	}
	if (v->vcpu.debugs) {
		primary &= ~(uint32_t)PRIMARY_MOV_DR_EXITING;
	}
	v->asked = asked;
	vmx_set_primary(v, primary | asked | windows);
	if (secondary != v->secondary) {
		v->secondary = secondary;
		vmwrite(VMCS_SECONDARY_CONTROLS, secondary);
	}
}

/* How many of the MSR areas' entries matter. */
static void count_msrs(struct vmx *v)
{
	uint32_t n = VMX_KERNEL_GS_BASE + 1;

	if (v->vcpu.tsc_aux) {
		n = VMX_TSC_AUX + 1;
	} else if (v->efer & EFER_SCE) {
		n = VMX_SFMASK + 1;
	}
	if (n != v->msr_count) {
		v->msr_count = n;
		vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, n);
		vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, n);
	}
}

/* The processor may have changed LMA, and this entry control with it. */
static void load_efer(struct vmx *v, const struct utcb *u)
{
	if (v->seen_mtd & MTD_EFER && u->efer == v->seen.efer) {
		return;
	}
	vmwrite(VMCS_GUEST_EFER, u->efer);
	vmwrite(VMCS_ENTRY_CONTROLS,
		vmx_caps.entry | (u->efer & EFER_LMA ? ENTRY_GUEST_64 : 0));
	v->efer = u->efer;
	count_msrs(v);
}

static void load_pdpte(const struct vmx *v, const struct utcb *u)
{
	for (unsigned i = 0; i < 4; i++) {
		if (!(v->seen_mtd & MTD_PDPTE) ||
		    u->pdpte[i] != v->seen.pdpte[i]) {
			vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, u->pdpte[i]);
		}
	}
}

static void load_sysenter(struct vmx *v, const struct utcb *u)
{
	static const enum vmcs_field field[] = {
		VMCS_GUEST_SYSENTER_CS,
		VMCS_GUEST_SYSENTER_RSP,
		VMCS_GUEST_SYSENTER_RIP,
	};
	const uint64_t value[] = {
		u->sysenter_cs, u->sysenter_rsp, u->sysenter_rip,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(field); i++) {
		if (v->sysenter[i] != value[i]) {
			v->sysenter[i] = value[i];
			vmwrite(field[i], value[i]);
		}
	}
}

static void load_kept(struct ec *ec, struct vmx *v, const struct utcb *u,
		      uint64_t mtd)
{
	if (mtd & MTD_SYSENTER) {
		load_sysenter(v, u);
	}
	if (mtd & MTD_TSC && u->tsc_offset) {
		v->vcpu.tsc_offset += u->tsc_offset;
		vmwrite(VMCS_TSC_OFFSET, v->vcpu.tsc_offset);
	}
	if (mtd & MTD_SYSCALL) {
		v->guest_msr[VMX_STAR].value = u->star;
		v->guest_msr[VMX_LSTAR].value = u->lstar;
		v->cstar = u->cstar;
		v->guest_msr[VMX_SFMASK].value = u->sfmask;
		v->guest_msr[VMX_KERNEL_GS_BASE].value = u->kernel_gs_base;
	}
	if (mtd & MTD_TPR) {
		*vapic_tpr(v) = u->tpr & 0xff;
		if (u->tpr_threshold != v->tpr_threshold &&
		    vmx_caps.primary_may & PRIMARY_TPR_SHADOW) {
			v->tpr_threshold = u->tpr_threshold;
			vmwrite(VMCS_TPR_THRESHOLD, u->tpr_threshold);
		}
	}
	if (mtd & MTD_TSC_AUX && v->secondary & SECONDARY_RDTSCP) {
		v->vcpu.tsc_aux = (uint32_t)u->tsc_aux;
		v->guest_msr[VMX_TSC_AUX].value = v->vcpu.tsc_aux;
		count_msrs(v);
	}
	if (mtd & MTD_XSAVE) {
		vcpu_load_xcr0(ec, u->xcr0);
	}
	if (mtd & MTD_FPU) {
		fpu_load(ec, u);
	}
}

__attribute__((noinline)) static void
load_rest(struct ec *ec, struct vmx *v, const struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_CR) {
		load_cr(v, u);
	}
	if (mtd & MTD_DR && (!(v->seen_mtd & MTD_DR) ||
			     u->dr7 != v->seen.dr7)) {
		vmwrite(VMCS_GUEST_DR7, u->dr7);
	}
	if (mtd & MTD_CTRL) {
		load_controls(v, u);
	}
	if (mtd & MTD_EFER) {
		load_efer(v, u);
	}
	if (mtd & MTD_PDPTE) {
		load_pdpte(v, u);
	}
	load_segments(v, u, mtd);
	load_kept(ec, v, u, mtd);
	v->seen_mtd = 0;
}

void vmx_load(struct ec *ec, const struct utcb *u, uint64_t mtd)
{
	struct regs *r = &ec->regs;
	struct vmx *v = vmx_of(ec);

	vmx_use(ec);
	if (mtd & MTD_GPR_ACDB) {
		r->rax = u->rax;
		r->rcx = u->rcx;
		r->rdx = u->rdx;
		r->rbx = u->rbx;
	}
	if (mtd & MTD_GPR_BSD) {
		r->rbp = u->rbp;
		r->rsi = u->rsi;
		r->rdi = u->rdi;
	}
	if (mtd & MTD_GPR_R8_R15) {
		r->r8 = u->r8;
		r->r9 = u->r9;
		r->r10 = u->r10;
		r->r11 = u->r11;
		r->r12 = u->r12;
		r->r13 = u->r13;
		r->r14 = u->r14;
		r->r15 = u->r15;
	}
	if (mtd & MTD_RIP_LEN) {
		vmwrite(VMCS_GUEST_RIP, u->rip);
	}
	if (mtd & MTD_RSP) {
		vmwrite(VMCS_GUEST_RSP, u->rsp);
	}
	if (mtd & MTD_RFLAGS) {
		vmwrite(VMCS_GUEST_RFLAGS, u->rflags);
	}
	if (mtd & MTD_INJ) {
		load_injection(ec, v, u, mtd);
	}
	if (mtd & MTD_STA) {
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, u->interruptibility);
		load_activity(v, u->activity);
	}
	if (mtd & ~(uint64_t)MTD_HOT) {
		load_rest(ec, v, u, mtd);
	}
}
