/*
 * VMX inside: what its files share. vmx_init.c finds out what the processor
 * can do and turns it on, vmx.c makes vCPUs and gets them ready to run,
 * vmx_state.c moves their state, vmx_exit.c is where exits arrive in C,
 * vmx_entry.S is the way in and out of the guest.
 */
#pragma once

#include "insn.h"
#include "vcpu.h"
#include "vmcs.h"

/* What the processors here offer, and what a vCPU starts with. */
struct vmx_caps {
	uint32_t revision;	       /* of the VMCS */
	uint32_t set[VMX_CONTROLS];    /* controls of a new vCPU */
	uint32_t may[VMX_CONTROLS];    /* what may be set at all */
	uint32_t timer;		       /* VMX-preemption timer, or 0 */
	uint64_t cr0_host, cr4_host;   /* bits that are not the guest's own */
	uint64_t cr0_fixed, cr4_fixed; /* what they are in the register */
	uint64_t ept_vpid;	       /* MSR_VMX_EPT_VPID_CAP */
};

extern struct vmx_caps vmx_caps;

/*
 * MSRs that SYSCALL and SWAPGS use: the processor swaps the guest's values and
 * the kernel's at entry and exit. That is no instruction of ours, and under KVM
 * it is several times cheaper than WRMSRs, most of which exit. KERNEL_GS_BASE
 * is first, since the guest may change it: the exit stores that one. The
 * others count only while the guest can use them; CSTAR never: no Intel
 * processor does.
 */
enum { VMX_KERNEL_GS_BASE, VMX_STAR, VMX_LSTAR, VMX_SFMASK, VMX_TSC_AUX, VMX_MSRS };
enum { VMX_CSTAR = VMX_MSRS };

struct vmx {
	struct vcpu vcpu; /* first; its block: VMCS, virtual APIC */

	/* vmx_entry.S: what it compares */
	uint64_t host_cr3;     /* in the VMCS; ~0: not yet, it is not launched either */
	uint64_t cr2;	       /* the guest's */
	uint8_t host_gdtr[16]; /* LGDT's operand: the kernel's */

	/* What the VMCS holds, so that nothing is written that is there. */
	uint32_t primary, secondary;
	uint32_t asked; /* of primary, by the VMM */
	uint32_t msr_count;
	uint32_t activity; /* active, or what the VMM last made it */
	uint32_t tpr_threshold;
	uint64_t cr0_shadow, cr4_shadow; /* of the host's bits */
	uint64_t sysenter_cs, sysenter_rsp, sysenter_rip;
	/* The guest may change these: those that seen_mtd names were read since. */
	uint64_t efer, dr7;
	struct segment es, cs, ss, ds, fs, gs, ldtr, tr, gdtr, idtr;
	uint32_t seen_mtd;

	struct vmx_msr guest_msr[VMX_MSRS + 1] aligned_to(16);
	struct vmx_msr host_msr[VMX_MSRS] aligned_to(16);

	uint8_t active; /* this CPU may cache the VMCS */
	uint8_t made;	/* the VMCS is written */
};

static_assert(sizeof(struct vmx) <= PAGE_SIZE);

static inline struct vmx *vmx_of(const struct ec *ec)
{
	return container_of(ec->vcpu, struct vmx, vcpu);
}

/* Its VMCS becomes the one that VMREAD and VMWRITE use. */
void vmx_make_current(struct ec *ec);

static inline bool vmx_is_current(const struct ec *ec)
{
	return this_cpu()->vcpu_loaded == ec;
}

static inline void vmx_need_current(struct ec *ec)
{
	if (unlikely(!vmx_is_current(ec)))
		vmx_make_current(ec);
}

static inline void vmx_set_primary(struct vmx *v, uint32_t controls)
{
	if (unlikely(v->primary != controls)) {
		v->primary = controls;
		vmwrite(VMCS_PRIMARY_CONTROLS, controls);
	}
}

/*
 * The event is none that the guest ran into: what was to be injected at the
 * next entry still is.
 */
static inline bool vmx_not_entered(const struct ec *ec)
{
	return ec->event >= EVENT_VCPU_STARTUP || ec->event == REASON_INVALID_STATE ||
	       ec->event == REASON_MSR_LOADING;
}

/* In the virtual-APIC page: SDM 3C 30.1. */
static inline uint32_t *vmx_tpr(const struct vmx *v)
{
	return (uint32_t *)((char *)v->vcpu.block + PAGE_SIZE + 0x80);
}

/* vmx_init.c: as vcpu_ops wants it */
const char *vmx_turn_on(struct cpu *cpu, bool first);

/* vmx_state.c */
void vmx_save(struct ec *ec, struct utcb *utcb, uint64_t mtd);
void vmx_load(struct ec *ec, const struct utcb *utcb, uint64_t mtd);
void vmx_add_tsc(struct ec *ec, uint64_t ticks);
/* How many of the MSR areas' entries matter. */
void vmx_count_msrs(struct vmx *v);

/* vmx.c; the entry path calls vmx_prepare when something changed. */
void vmx_unload(struct ec *ec);
/* True: VMLAUNCH, not VMRESUME. */
bool vmx_prepare(struct ec *ec);

/* vmx_exit.c; they return the EC to run next. */
struct ec *vmx_exit(struct ec *ec);
/* Also when VMLAUNCH or VMRESUME refused: VMfail. */
struct ec *vmx_entry_failed(struct ec *ec, uint32_t reason);
/* Debug registers are its own to use from now on, and switched. */
void vmx_use_debug(struct ec *ec);

/* vmx_entry.S */
extern const char vmx_resume[], vmx_exit_entry[];
