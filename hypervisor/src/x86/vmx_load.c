/*
 * A vCPU's state on VMX, from a handler's UTCB: only what the MTD names, and of
 * that only what is different, as far as the kernel knows what is there.
 *
 * Nothing is checked here that the processor checks at VM entry: the VMM gets
 * to know as an invalid guest state.
 */
#include "vmx.h"

#include "../fpu.h"
#include "cr.h"
#include "msr.h"
#include "vcpu_regs.h"
#include "vmx_bits.h"

/* Controls that a VMM may choose. All else is the kernel's. */
#define PRIMARY_VMM                                              \
	(PRIMARY_INVLPG_EXITING | PRIMARY_MWAIT_EXITING |        \
	 PRIMARY_RDTSC_EXITING | PRIMARY_CR8_LOAD_EXITING |      \
	 PRIMARY_CR8_STORE_EXITING | PRIMARY_TPR_SHADOW |        \
	 PRIMARY_MOV_DR_EXITING | PRIMARY_MONITOR_TRAP |         \
	 PRIMARY_MONITOR_EXITING | PRIMARY_PAUSE_EXITING)
#define PRIMARY_CR8 (PRIMARY_CR8_LOAD_EXITING | PRIMARY_CR8_STORE_EXITING)
#define PRIMARY_WINDOWS (PRIMARY_INTERRUPT_WINDOW | PRIMARY_NMI_WINDOW)
#define SECONDARY_VMM                                            \
	(SECONDARY_TABLE_EXITING | SECONDARY_WBINVD_EXITING |    \
	 SECONDARY_RDRAND_EXITING | SECONDARY_RDSEED_EXITING)

static void inject(const struct utcb *u, uint32_t info, uint64_t mtd)
{
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

/*
 * What an exit reported may be given back as it came. The event's field is
 * clear after every entry (SDM 3C 28.8.3), so that nothing need be written for
 * no event, unless there was no entry. Windows are exits when the guest can
 * take an interrupt, or an NMI.
 */
static void load_injection(struct ec *ec, struct vmx *v, const struct utcb *u,
			   uint64_t mtd)
{
	uint32_t primary = v->primary & ~(uint32_t)PRIMARY_WINDOWS;
	uint32_t info = u->inject;

	if (info & INJECT_INTERRUPT_WINDOW) {
		primary |= PRIMARY_INTERRUPT_WINDOW;
	}
	if (info & INJECT_NMI_WINDOW) {
		primary |= PRIMARY_NMI_WINDOW & vmx_caps.primary_may;
	}
	vmx_set_primary(v, primary);
	if (info & INJECT_VALID) {
		inject(u, info, mtd);
	} else if (vmx_not_entered(ec)) {
		vmwrite(VMCS_ENTRY_INTERRUPTION, 0);
	}
}

/* There is an event or a window, or was one. */
static ALWAYS_INLINE bool injects(const struct ec *ec, const struct vmx *v,
				  const struct utcb *u)
{
	return unlikely(u->inject | (v->primary & PRIMARY_WINDOWS)) ||
	       unlikely(vmx_not_entered(ec));
}

/* Entry with it fails, and the VMM is told so. */
enum { ACTIVITY_INVALID = 4 };

/*
 * No interrupt ends shutdown, nor waiting for a SIPI: the CPU would be lost to
 * whoever asks for one of these (SDM 3C 26.7.2).
 */
static ALWAYS_INLINE void load_state(struct vmx *v, const struct utcb *u)
{
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, u->interruptibility);
	if (unlikely(u->activity | v->activity)) {
		v->activity = u->activity <= ACTIVITY_HLT ? u->activity
							  : ACTIVITY_INVALID;
		vmwrite(VMCS_GUEST_ACTIVITY, v->activity);
	}
}

static ALWAYS_INLINE void load_some(struct vmx *v, const struct utcb *u,
				    uint64_t mtd)
{
	if (mtd & MTD_RSP) {
		vmwrite(VMCS_GUEST_RSP, u->rsp);
	}
	if (mtd & MTD_RFLAGS) {
		vmwrite(VMCS_GUEST_RFLAGS, u->rflags);
	}
	if (mtd & MTD_STA) {
		load_state(v, u);
	}
}

static ALWAYS_INLINE void load_segment(const struct vmx *v, const struct segment *s,
				enum vmcs_segment i, bool seen)
{
	const struct segment *old = &v->seen.segment[i];
	uint64_t low, old_low;

	__builtin_memcpy(&low, s, sizeof(low));
	__builtin_memcpy(&old_low, old, sizeof(old_low));
	if (seen && likely(low == old_low && s->base == old->base)) {
		return;
	}
	vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * i, s->selector);
	vmwrite(VMCS_GUEST_ES_RIGHTS + 2 * i, vmx_rights_from_utcb(s->rights));
	vmwrite(VMCS_GUEST_ES_LIMIT + 2 * i, s->limit);
	vmwrite(VMCS_GUEST_ES_BASE + 2 * i, s->base);
}

static ALWAYS_INLINE void load_table(const struct segment *s,
			      const struct segment *old, bool seen,
			      enum vmcs_field limit, enum vmcs_field base)
{
	if (seen && likely(s->limit == old->limit && s->base == old->base)) {
		return;
	}
	vmwrite(limit, s->limit);
	vmwrite(base, s->base);
}

static ALWAYS_INLINE void load_segments(const struct vmx *v, const struct utcb *u,
				 uint64_t mtd, bool seen)
{
	if (mtd & MTD_DS_ES) {
		load_segment(v, &u->ds, VMCS_DS, seen);
		load_segment(v, &u->es, VMCS_ES, seen);
	}
	if (mtd & MTD_FS_GS) {
		load_segment(v, &u->fs, VMCS_FS, seen);
		load_segment(v, &u->gs, VMCS_GS, seen);
	}
	if (mtd & MTD_CS_SS) {
		load_segment(v, &u->cs, VMCS_CS, seen);
		load_segment(v, &u->ss, VMCS_SS, seen);
	}
	if (mtd & MTD_TR) {
		load_segment(v, &u->tr, VMCS_TR, seen);
	}
	if (mtd & MTD_LDTR) {
		load_segment(v, &u->ldtr, VMCS_LDTR, seen);
	}
	if (mtd & MTD_GDTR) {
		load_table(&u->gdtr, &v->seen.gdtr, seen,
			   VMCS_GUEST_GDTR_LIMIT, VMCS_GUEST_GDTR_BASE);
	}
	if (mtd & MTD_IDTR) {
		load_table(&u->idtr, &v->seen.idtr, seen,
			   VMCS_GUEST_IDTR_LIMIT, VMCS_GUEST_IDTR_BASE);
	}
}

/*
 * The guest's own bits go to the register, the others to the read shadow; in
 * the register those have the value that VMX or the kernel needs.
 */
static ALWAYS_INLINE void load_cr(struct vmx *v, const struct utcb *u)
{
	uint64_t cr0 = vmx_caps.cr0_host, cr4 = vmx_caps.cr4_host;
	uint64_t shadow0 = u->cr0 & cr0, shadow4 = u->cr4 & cr4;

	vmwrite(VMCS_GUEST_CR0, (u->cr0 & ~cr0) | vmx_caps.cr0_fixed);
	vmwrite(VMCS_GUEST_CR3, u->cr3);
	vmwrite(VMCS_GUEST_CR4, (u->cr4 & ~cr4) | cr4);
	v->cr2 = u->cr2;
	if (unlikely(shadow0 != v->cr0_shadow)) {
		v->cr0_shadow = shadow0;
		vmwrite(VMCS_CR0_SHADOW, shadow0);
	}
	if (unlikely(shadow4 != v->cr4_shadow)) {
		v->cr4_shadow = shadow4;
		vmwrite(VMCS_CR4_SHADOW, shadow4);
	}
}

__attribute__((noinline)) static void load_controls(struct vmx *v,
						    const struct utcb *u)
{
	uint32_t asked = u->ctrl[0] & PRIMARY_VMM & vmx_caps.primary_may;
	uint32_t primary = vmx_caps.primary | (v->primary & PRIMARY_WINDOWS);
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
	vmx_set_primary(v, primary | asked);
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
__attribute__((noinline)) static void load_efer(struct vmx *v, uint64_t efer)
{
	vmwrite(VMCS_GUEST_EFER, efer);
	vmwrite(VMCS_ENTRY_CONTROLS,
		vmx_caps.entry | (efer & EFER_LMA ? ENTRY_GUEST_64 : 0));
	v->efer = efer;
	count_msrs(v);
}

static void load_pdpte(const struct vmx *v, const struct utcb *u)
{
	if (unlikely(vmx_pae_paging(v))) {
		vmwrite(VMCS_GUEST_PDPTE0, u->pdpte[0]);
		vmwrite(VMCS_GUEST_PDPTE1, u->pdpte[1]);
		vmwrite(VMCS_GUEST_PDPTE2, u->pdpte[2]);
		vmwrite(VMCS_GUEST_PDPTE3, u->pdpte[3]);
	}
}

static ALWAYS_INLINE void load_control(struct vmx *v, const struct utcb *u,
				       uint64_t mtd, bool seen)
{
	if (mtd & MTD_CR) {
		load_cr(v, u);
	}
	if (mtd & MTD_DR && (!seen || unlikely(u->dr7 != v->seen.dr7))) {
		vmwrite(VMCS_GUEST_DR7, u->dr7);
	}
}

static ALWAYS_INLINE void load_sysenter(struct vmx *v, const struct utcb *u)
{
	if (unlikely(v->sysenter[0] != u->sysenter_cs)) {
		v->sysenter[0] = u->sysenter_cs;
		vmwrite(VMCS_GUEST_SYSENTER_CS, v->sysenter[0]);
	}
	if (unlikely(v->sysenter[1] != u->sysenter_rsp)) {
		v->sysenter[1] = u->sysenter_rsp;
		vmwrite(VMCS_GUEST_SYSENTER_RSP, v->sysenter[1]);
	}
	if (unlikely(v->sysenter[2] != u->sysenter_rip)) {
		v->sysenter[2] = u->sysenter_rip;
		vmwrite(VMCS_GUEST_SYSENTER_RIP, v->sysenter[2]);
	}
}

static ALWAYS_INLINE void load_syscall(struct vmx *v, const struct utcb *u)
{
	MOVE(v->guest_msr[VMX_STAR].value, u->star);
	MOVE(v->guest_msr[VMX_LSTAR].value, u->lstar);
	MOVE(v->cstar, u->cstar);
	MOVE(v->guest_msr[VMX_SFMASK].value, u->sfmask);
	MOVE(v->guest_msr[VMX_KERNEL_GS_BASE].value, u->kernel_gs_base);
}

static ALWAYS_INLINE void load_tpr(struct vmx *v, const struct utcb *u)
{
	*vmx_tpr(v) = u->tpr & 0xff;
	if (unlikely(u->tpr_threshold != v->tpr_threshold) &&
	    vmx_caps.primary_may & PRIMARY_TPR_SHADOW) {
		v->tpr_threshold = u->tpr_threshold;
		vmwrite(VMCS_TPR_THRESHOLD, v->tpr_threshold);
	}
}

static void load_tsc_aux(struct vmx *v, uint32_t value)
{
	if (v->secondary & SECONDARY_RDTSCP) {
		v->vcpu.tsc_aux = value;
		v->guest_msr[VMX_TSC_AUX].value = value;
		count_msrs(v);
	}
}

static ALWAYS_INLINE void load_kept(struct vmx *v, const struct utcb *u,
				    uint64_t mtd)
{
	if (mtd & MTD_SYSENTER) {
		load_sysenter(v, u);
	}
	if (mtd & MTD_TSC && unlikely(u->tsc_offset)) {
		v->vcpu.tsc_offset += u->tsc_offset;
		vmwrite(VMCS_TSC_OFFSET, v->vcpu.tsc_offset);
	}
	if (mtd & MTD_SYSCALL) {
		load_syscall(v, u);
	}
	if (mtd & MTD_TPR) {
		load_tpr(v, u);
	}
}

/*
 * What seldom is different, or is much work anyway, comes last, so that nothing
 * need be kept for after it. Which paging mode it is, is known only when CR and
 * EFER are written.
 */
static ALWAYS_INLINE bool differs(const struct ec *ec, const struct vmx *v,
				  const struct utcb *u, uint64_t mtd, bool seen)
{
	return (mtd & MTD_INJ && injects(ec, v, u)) ||
	       (mtd & MTD_EFER && (!seen || u->efer != v->seen.efer)) ||
	       (mtd & MTD_XSAVE && u->xcr0 != ec->xcr0) ||
	       (mtd & MTD_TSC_AUX && u->tsc_aux != v->vcpu.tsc_aux) ||
	       (mtd & MTD_PDPTE && vmx_pae_paging(v));
}

__attribute__((noinline)) static void
load_different(struct ec *ec, struct vmx *v, const struct utcb *u, uint64_t mtd,
	       bool seen)
{
	if (mtd & MTD_INJ) {
		load_injection(ec, v, u, mtd);
	}
	if (mtd & MTD_CTRL) {
		load_controls(v, u);
	}
	if (mtd & MTD_EFER && (!seen || u->efer != v->seen.efer)) {
		load_efer(v, u->efer);
	}
	if (mtd & MTD_PDPTE) {
		load_pdpte(v, u);
	}
	if (mtd & MTD_TSC_AUX) {
		load_tsc_aux(v, (uint32_t)u->tsc_aux);
	}
	if (mtd & MTD_XSAVE) {
		vcpu_load_xcr0(ec, u->xcr0);
	}
	if (mtd & MTD_FPU) {
		fpu_load(ec, u);
	}
}

/*
 * bits: what is loaded; those of mtd, or a constant that they are. seen: what
 * is to be compared was shown at this exit.
 */
static ALWAYS_INLINE void load(struct ec *ec, struct vmx *v,
			       const struct utcb *u, uint64_t mtd,
			       uint64_t bits, bool seen)
{
	if (bits & MTD_RIP_LEN) {
		vmwrite(VMCS_GUEST_RIP, u->rip);
	}
	if (bits & MTD_GPRS) {
		vcpu_load_gprs(&ec->regs, &ec->regs.rax, u, bits);
	}
	if (bits & MTD_SOME) {
		load_some(v, u, bits);
	}
	if (bits & MTD_SEGMENTS) {
		load_segments(v, u, bits, seen);
	}
	if (bits & MTD_CONTROL) {
		load_control(v, u, bits, seen);
	}
	if (bits & MTD_KEPT) {
		load_kept(v, u, bits);
	}
	if (bits & MTD_REST) {
		v->seen_mtd = 0;
	}
	if (bits & (MTD_REST | MTD_INJ) &&
	    (differs(ec, v, u, bits, seen) || mtd & (MTD_CTRL | MTD_FPU))) {
		load_different(ec, v, u, mtd, seen);
	}
}

__attribute__((noinline)) static void
load_seen(struct ec *ec, struct vmx *v, const struct utcb *u, uint64_t mtd)
{
	load(ec, v, u, mtd, mtd, true);
}

__attribute__((noinline)) static void
load_unseen(struct ec *ec, struct vmx *v, const struct utcb *u, uint64_t mtd)
{
	load(ec, v, u, mtd, mtd, false);
}

__attribute__((noinline)) static void
load_whole(struct ec *ec, struct vmx *v, const struct utcb *u, uint64_t mtd)
{
	load(ec, v, u, mtd, MTD_WHOLE, true);
}

/* Another vCPU's VMCS was loaded while the handler was at work. */
__attribute__((noinline)) static void
load_other(struct ec *ec, const struct utcb *u, uint64_t mtd)
{
	vmx_make_current(ec);
	vmx_load(ec, u, mtd);
}

void vmx_load(struct ec *ec, const struct utcb *u, uint64_t mtd)
{
	struct vmx *v = vmx_of(ec);

	if (unlikely(!vmx_is_current(ec))) {
		load_other(ec, u, mtd);
		return;
	}
	if (likely(!(mtd & MTD_REST))) {
		load(ec, v, u, mtd, mtd & ~(uint64_t)MTD_REST, true);
	} else if (mtd & MTD_SEEN & ~v->seen_mtd) {
		load_unseen(ec, v, u, mtd);
	} else if ((mtd & MTD_WHOLE) == MTD_WHOLE) {
		load_whole(ec, v, u, mtd);
	} else {
		load_seen(ec, v, u, mtd);
	}
}
