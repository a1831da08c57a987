/*
 * The seam between the kernel and a vendor's virtualisation: one table of
 * operations, chosen at boot. Nothing outside vmx*.c and svm*.c knows which.
 *
 * A vCPU's general registers are in its EC's `regs` (rsp and rip too, on VMX
 * after an exit only if the vendor says so: `save` and `load` are the way to
 * get at state). Its `resume` is the vendor's entry label, which enters the
 * guest. An exit comes back through the vendor's exit label to its exit
 * function, which handles what is the kernel's own business and hands all else
 * to vcpu_event().
 */
#pragma once

#include "../ec.h"

struct ptab_format;

/* What the vCPUs of both vendors have; each continues it. */
struct vcpu {
	uint64_t generation;		/* of the guest tables when last flushed here */
	uint64_t tsc_offset;
	uint64_t asid_generation;	/* of cpu->asid_generation */
	uint32_t asid;			/* or VPID; of this CPU */
	uint32_t tsc_aux;
	uint64_t dr[4], dr6;		/* unless cpu->debug_owner is this EC */
	uint8_t debugs;			/* has touched a debug register */
};

/*
 * vcpu.c, for both vendors: an address space identifier below `limit` that no
 * other vCPU of this CPU has. True: the TLB may hold what an earlier user of
 * the identifiers left, in all of them.
 */
[[nodiscard]] bool vcpu_take_asid(struct vcpu *vcpu, uint32_t limit);
/* DR0 to DR3 and DR6 are the EC's from now on; they were another's. */
void vcpu_take_debug(struct ec *ec);
/* Note in DR6, of the EC that has it, why there is a #DB. */
void vcpu_set_dr6(uint64_t causes);
/* Guest page tables of its PD, from now on there. */
[[nodiscard]] enum status vcpu_need_root(struct pd *pd);
/* It ends, or is to be loaded anew: nothing of it stays in this CPU. */
void vcpu_leave(struct ec *ec);
/* Would XSETBV take it (SDM 1 13.3), and does the kernel keep its state? */
bool vcpu_xcr0_valid(uint64_t xcr0, uint64_t offered);
/* MTD_XSAVE from a VMM; a bad XCR0 is not taken. */
void vcpu_load_xcr0(struct ec *ec, uint64_t xcr0);

struct vcpu_ops {
	const char *name;		/* "VMX", "SVM" */
	uint32_t feature;		/* HIP_VMX, HIP_SVM */
	uint32_t event_invalid;		/* event number of a failed entry */
	const struct ptab_format *guest; /* of guest page tables */
	const void *resume;		/* label that enters the guest */

	/* ec->vcpu is made, or OUT_OF_MEMORY; charged to the EC's owner. */
	enum status (*create)(struct ec *ec);
	void (*destroy)(struct ec *ec);

	/* Copy the state that mtd names to and from the UTCB. */
	void (*save)(struct ec *ec, struct utcb *utcb, uint64_t mtd);
	void (*load)(struct ec *ec, const struct utcb *utcb, uint64_t mtd);

	/* Its CPU stops caching it (VMCLEAR), before destroy or migration. */
	void (*unload)(struct ec *ec);
};

extern const struct vcpu_ops vmx_ops, svm_ops;
extern const struct vcpu_ops *vcpu_ops;	/* NULL: none on this machine */

/*
 * On each CPU at boot: find out what it has, turn it on, say in one line what
 * is missing and why. False: no vCPUs on this CPU. The first CPU sets vcpu_ops.
 */
bool vmx_init(struct cpu *cpu);
bool svm_init(struct cpu *cpu);

/*
 * ipc.c: hand the exit of `ec` (the current EC) to the portal at its event base
 * + event. Returns the EC to run next (the portal's handler; or another EC,
 * when the vCPU had no such portal and is dead now).
 */
struct ec *vcpu_event(struct ec *ec, uint32_t event);

/*
 * An external interrupt, NMI or machine check ended guest mode and has been
 * handled (irq.h): go on with the guest or with what is more urgent.
 */
struct ec *vcpu_interrupted(struct ec *ec);
