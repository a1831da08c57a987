/*
 * The seam between the kernel and a vendor's virtualisation: one table of
 * operations, chosen at boot. Nothing outside vmx*.c and svm*.c knows which.
 *
 * A vCPU's general registers are in its EC's `regs` (rsp and rip too, on VMX
 * after an exit only if the vendor says so: `save` and `load` are the way to
 * get at state). Its `resume` is the vendor's entry label, which enters the
 * guest. An exit comes back through the vendor's exit label to its exit
 * function, which handles what is the kernel's own business and hands all else
 * to ipc_event().
 */
#pragma once

#include <abi/event.h>

#include "../ipc.h"
#include "../sc.h"

struct ptab_format;

/* What the vCPUs of both vendors have; each continues it. In a page. */
struct vcpu {
	uint64_t generation; /* of the guest tables when last flushed here */
	uint64_t tsc_offset;
	uint64_t asid_generation; /* of cpu->asid_generation */
	uint32_t asid;		  /* or VPID; of this CPU; 0: none yet */
	uint32_t tsc_aux;
	uint64_t dr[4], dr6; /* unless cpu->debug_owner is this EC */
	uint8_t *guest_io;   /* I/O bitmap that the processor knows */
	void *block;	     /* VMCB, or VMCS and virtual APIC */
	uint64_t block_phys;
	uint8_t debugs;	    /* has touched a debug register */
	struct list cached; /* VMX: in cpu->vcpus if active there */
	struct ec *ec;	    /* that it is of, if so */
};

struct vcpu_ops {
	const char *name;		 /* "vmx", "svm" */
	uint32_t feature;		 /* HIP_VMX, HIP_SVM */
	uint32_t block_order;		 /* pages of struct vcpu's block */
	const struct ptab_format *guest; /* of guest page tables */
	const void *resume;		 /* label that enters the guest */

	/*
	 * This CPU has it: turn it on. What is missing, or NULL. The first one
	 * says what there is, and lets MSRs through the bitmap.
	 */
	const char *(*turn_on)(struct cpu *cpu, bool first);
	/* What of a new vCPU is not 0; it has its block. Any CPU. */
	void (*init)(struct ec *ec);

	/* Copy the state that mtd names to and from the UTCB. */
	void (*save)(struct ec *ec, struct utcb *utcb, uint64_t mtd);
	void (*load)(struct ec *ec, const struct utcb *utcb, uint64_t mtd);
	/* Its TSC is so much later. */
	void (*add_tsc)(struct ec *ec, uint64_t ticks);

	/* Its CPU stops caching it (VMCLEAR), before destroy or migration. */
	void (*unload)(struct ec *ec);
};

extern const struct vcpu_ops vmx_ops, svm_ops;
extern const struct vcpu_ops *vcpu_ops; /* NULL: none on this machine */

/* Everything exits with these, but for the MSRs that a vendor takes out. */
extern uint8_t *vcpu_io_bitmap, *vcpu_msr_bitmap;

/* At boot and after sleep, on each CPU that has VMX or SVM. False: no vCPUs on it. */
bool vcpu_init(struct cpu *cpu, const struct vcpu_ops *ops);

/* ec->vcpu is made, or OUT_OF_MEMORY; charged to the EC's owner. */
[[nodiscard]] enum status vcpu_create(struct ec *ec);
void vcpu_destroy(struct ec *ec);
/* Threads of another PD run, or it ended: no register tells of a vCPU. */
void vcpu_hide(struct cpu *cpu);
/*
 * `next`, which is returned, runs after it, but not for an event of its. If a thread of the
 * same PD ran before it, no switch between PDs is seen.
 */
struct ec *vcpu_part(struct ec *ec, struct ec *next);

/* For both vendors, in vcpu.c: */

/* It is the one whose state this CPU's guest mode has. */
void vcpu_set_loaded(struct ec *ec);
/*
 * Before an entry, when loaded: what this CPU has in registers is its own from
 * now on. What the processor must be told of: another I/O bitmap (`guest_io`);
 * guest page tables from which something was taken away.
 */
enum { VCPU_NEW_IO = 1, VCPU_NEW_TABLES = 2 };
unsigned vcpu_prepare(struct ec *ec);
/*
 * An address space identifier below `limit` that no other vCPU of this CPU has,
 * if it needs one. True: the TLB may hold what an earlier user of the
 * identifiers left, in all of them.
 */
/* Has it the identifier that this CPU gave it? If not, the CPU knows nothing of it. */
static inline bool vcpu_known(const struct vcpu *v)
{
	return v->asid && v->asid_generation == this_cpu()->asid_generation;
}

[[nodiscard]] bool vcpu_take_asid(struct vcpu *vcpu, uint32_t limit);
/* DR0 to DR3 and DR6 are the EC's when it runs; they were another's. */
void vcpu_take_debug(struct ec *ec);
/* It ends, or is to be loaded anew: nothing of it stays in this CPU. */
void vcpu_leave(struct ec *ec);
/* No vCPU has anything in this CPU any more. */
void vcpu_leave_all(struct cpu *cpu);
/* MTD_XSAVE and MTD_FPU from a VMM; a bad XCR0 or XSS is not taken. */
void vcpu_load_xsave(struct ec *ec, const struct utcb *u, uint64_t mtd);
/*
 * The fields that report an event are as the UTCB has it, but for bits that
 * say other things there (SDM 3C 25.9.3, APM 2 15.20); so are those that inject.
 */
#define INJECT_EVENT (INJECT_VALID | INJECT_ERROR_CODE | INJECT_TYPE | INJECT_VECTOR)
#define PAT_RESET    0x0007040600070406ul /* the MSR after reset */

/* What waits as an interrupt comes in through the IDT now, at the latest. */
struct ec *vcpu_let_in(struct ec *ec);
/* Exits through the kernel's own IDT, as the processor would have done it. */
struct ec *vcpu_nmi(struct ec *ec);
struct ec *vcpu_machine_check(struct ec *ec);
