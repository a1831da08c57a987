/*
 * A vCPU's state on VMX, to a handler's UTCB: no field of the VMCS is read that
 * the MTD does not name, and none that the guest cannot change without an exit.
 *
 * Segments, tables, EFER and DR7 are dear under KVM and change seldom: what the
 * VMM is shown of them is remembered until the next exit, so that vmx_load.c
 * writes nothing that the VMM gives back as it was.
 */
#include "vmx.h"

#include "../fpu.h"
#include "insn.h"
#include "vcpu_regs.h"
#include "vmx_bits.h"

static void save_injection(const struct ec *ec, struct utcb *u)
{
	bool entry = vmx_not_entered(ec);
	uint32_t info = vmread32(entry ? VMCS_ENTRY_INTERRUPTION
				       : VMCS_IDT_VECTORING);

	info &= INJECT_EVENT;
	u->inject = info;
	if (unlikely(info & INJECT_VALID) && info & INJECT_ERROR_CODE) {
		u->inject_error = vmread32(entry ? VMCS_ENTRY_ERROR_CODE
						 : VMCS_IDT_VECTORING_ERROR);
	}
}

/* What few exits need, of what is free under KVM. */
static ALWAYS_INLINE void save_some(const struct ec *ec, const struct vmx *v,
			     struct utcb *u, uint64_t mtd)
{
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
}

/* Access rights are split by bytes: vmx_rights_to_utcb(). */
static ALWAYS_INLINE void put_segment(struct segment *s, uint64_t selector,
				      uint64_t rights, uint64_t limit,
				      uint64_t base)
{
	uint8_t *byte = (uint8_t *)&s->rights;

	s->selector = (uint16_t)selector;
	byte[0] = (uint8_t)rights;
	byte[1] = (uint8_t)(rights >> 12);
	s->limit = (uint32_t)limit;
	s->base = base;
}

static ALWAYS_INLINE void save_segment(struct segment *s, struct segment *seen,
				       enum vmcs_segment i)
{
	uint64_t selector = vmread(VMCS_GUEST_ES_SELECTOR + 2 * i);
	uint64_t rights = vmread(VMCS_GUEST_ES_RIGHTS + 2 * i);
	uint64_t limit = vmread(VMCS_GUEST_ES_LIMIT + 2 * i);
	uint64_t base = vmread(VMCS_GUEST_ES_BASE + 2 * i);

	put_segment(s, selector, rights, limit, base);
	put_segment(seen, selector, rights, limit, base);
}

static ALWAYS_INLINE void save_table(struct segment *s, struct segment *seen,
			      enum vmcs_field limit, enum vmcs_field base)
{
	seen->limit = s->limit = vmread32(limit);
	seen->base = s->base = vmread(base);
}

static ALWAYS_INLINE void save_segments(struct vmx *v, struct utcb *u, uint64_t mtd)
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
		save_table(&u->gdtr, &v->seen.gdtr, VMCS_GUEST_GDTR_LIMIT,
			   VMCS_GUEST_GDTR_BASE);
	}
	if (mtd & MTD_IDTR) {
		save_table(&u->idtr, &v->seen.idtr, VMCS_GUEST_IDTR_LIMIT,
			   VMCS_GUEST_IDTR_BASE);
	}
}

static ALWAYS_INLINE void save_cr(const struct vmx *v, struct utcb *u)
{
	u->cr0 = (vmread(VMCS_GUEST_CR0) & ~vmx_caps.cr0_host) |
		 v->cr0_shadow;
	u->cr2 = v->cr2;
	vmread_to(&u->cr3, VMCS_GUEST_CR3);
	u->cr4 = (vmread(VMCS_GUEST_CR4) & ~vmx_caps.cr4_host) |
		 v->cr4_shadow;
}

/* Other paging modes have none. */
static ALWAYS_INLINE void save_pdpte(const struct vmx *v, struct utcb *u)
{
	if (unlikely(vmx_pae_paging(v))) {
		vmread_to(&u->pdpte[0], VMCS_GUEST_PDPTE0);
		vmread_to(&u->pdpte[1], VMCS_GUEST_PDPTE1);
		vmread_to(&u->pdpte[2], VMCS_GUEST_PDPTE2);
		vmread_to(&u->pdpte[3], VMCS_GUEST_PDPTE3);
	}
}

static ALWAYS_INLINE void save_control(struct vmx *v, struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_CR) {
		save_cr(v, u);
	}
	if (mtd & MTD_DR) {
		u->dr7 = v->seen.dr7 = vmread(VMCS_GUEST_DR7);
	}
	if (mtd & MTD_EFER) {
		u->efer = v->seen.efer = vmread(VMCS_GUEST_EFER);
	}
	if (mtd & MTD_PDPTE) {
		save_pdpte(v, u);
	}
}

static ALWAYS_INLINE void save_syscall(const struct vmx *v, struct utcb *u)
{
	MOVE(u->star, v->guest_msr[VMX_STAR].value);
	MOVE(u->lstar, v->guest_msr[VMX_LSTAR].value);
	MOVE(u->cstar, v->cstar);
	MOVE(u->sfmask, v->guest_msr[VMX_SFMASK].value);
	MOVE(u->kernel_gs_base, v->guest_msr[VMX_KERNEL_GS_BASE].value);
}

/* What is not in the VMCS, or is known without looking there. */
static ALWAYS_INLINE void save_kept(struct ec *ec, const struct vmx *v,
			     struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_SYSENTER) {
		MOVE(u->sysenter_cs, v->sysenter[0]);
		MOVE(u->sysenter_rsp, v->sysenter[1]);
		MOVE(u->sysenter_rip, v->sysenter[2]);
	}
	if (mtd & MTD_TSC) {
		u->tsc = rdtsc();
		u->tsc_offset = v->vcpu.tsc_offset;
	}
	if (mtd & MTD_SYSCALL) {
		save_syscall(v, u);
	}
	if (mtd & MTD_TPR) {
		u->tpr = *vmx_tpr(v);
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

static ALWAYS_INLINE void save(struct ec *ec, struct vmx *v, struct utcb *u,
			       uint64_t mtd)
{
	if (mtd & MTD_RIP_LEN) {
		vmread_to(&u->rip, VMCS_GUEST_RIP);
		vmread_to(&u->length, VMCS_EXIT_INSTRUCTION_LENGTH);
	}
	if (mtd & MTD_GPRS) {
		vcpu_save_gprs(&ec->regs, &ec->regs.rax, u, mtd);
	}
	if (mtd & MTD_SOME) {
		save_some(ec, v, u, mtd);
	}
	if (mtd & MTD_SEEN) {
		v->seen_mtd |= (uint32_t)mtd;
	}
	if (mtd & MTD_SEGMENTS) {
		save_segments(v, u, mtd);
	}
	if (mtd & MTD_CONTROL) {
		save_control(v, u, mtd);
	}
	if (mtd & MTD_KEPT) {
		save_kept(ec, v, u, mtd);
	}
}

__attribute__((noinline)) static void
save_any(struct ec *ec, struct vmx *v, struct utcb *u, uint64_t mtd)
{
	save(ec, v, u, mtd);
}

__attribute__((noinline)) static void
save_whole(struct ec *ec, struct vmx *v, struct utcb *u, uint64_t mtd)
{
	save(ec, v, u, MTD_WHOLE);
	if (mtd & MTD_FPU) {
		fpu_save(ec, u);
	}
}

/* Another vCPU's VMCS is loaded, as when this one is recalled. */
__attribute__((noinline)) static void save_other(struct ec *ec, struct utcb *u,
						 uint64_t mtd)
{
	vmx_make_current(ec);
	vmx_save(ec, u, mtd);
}

void vmx_save(struct ec *ec, struct utcb *u, uint64_t mtd)
{
	struct vmx *v = vmx_of(ec);

	if (unlikely(!vmx_is_current(ec))) {
		save_other(ec, u, mtd);
		return;
	}
	u->mtd = mtd;
	u->exit_reason = ec->event;
	if (likely(!(mtd & MTD_REST))) {
		save(ec, v, u, mtd & ~(uint64_t)MTD_REST);
	} else if ((mtd & MTD_WHOLE) == MTD_WHOLE) {
		save_whole(ec, v, u, mtd);
	} else {
		save_any(ec, v, u, mtd);
	}
}
