/*
 * A vCPU's state on SVM, to a handler's UTCB. All of it is in memory, and most
 * has the same format there.
 */
#include "../fpu.h"
#include "insn.h"
#include "svm.h"
#include "vcpu_regs.h"

enum { VECTOR_BP = 3, VECTOR_OF = 4 };

/*
 * INT n, INT3 and INTO: RIP is still at the instruction, so that it happens
 * again by itself. Injected, it would return there (APM 2 15.20).
 */
static bool is_instruction(uint32_t info)
{
	uint32_t type = info & INJECT_TYPE, vector = info & INJECT_VECTOR;

	return type == INJECT_SOFT_INTERRUPT ||
	       (type == INJECT_EXCEPTION &&
		(vector == VECTOR_BP || vector == VECTOR_OF));
}

static ALWAYS_INLINE void save_injection(const struct ec *ec,
					 const struct vmcb *b, struct utcb *u)
{
	bool entry = svm_not_entered(ec);
	uint64_t event = entry ? b->event : b->exit_int_info;
	uint32_t info = (uint32_t)event & EVENT_INFO;

	if (unlikely(info & INJECT_VALID) && !entry && is_instruction(info)) {
		info = 0;
	}
	u->inject = info;
	u->inject_error = (uint32_t)(event >> EVENT_ERROR_SHIFT);
}

static ALWAYS_INLINE void save_some(const struct ec *ec, const struct vmcb *b,
				    struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_RSP) {
		u->rsp = b->rsp;
	}
	if (mtd & MTD_RFLAGS) {
		u->rflags = b->rflags;
	}
	if (mtd & MTD_QUAL) {
		MOVE(u->qual[0], b->exit_info[0]);
		MOVE(u->qual[1], b->exit_info[1]);
	}
	if (mtd & MTD_INJ) {
		save_injection(ec, b, u);
	}
	if (mtd & MTD_STA) {
		u->interruptibility = b->interrupt_shadow & INTERRUPT_SHADOW;
		u->activity = ACTIVITY_ACTIVE;
	}
}

/*
 * What VMX calls unusable is not present here. The CPL of record is not in SS
 * (APM 2 15.5.1), where VMX has it.
 */
static ALWAYS_INLINE void save_segments(const struct vmcb *b, struct utcb *u,
					uint64_t mtd)
{
	if (mtd & MTD_DS_ES) {
		MOVE(u->ds, b->ds);
		MOVE(u->es, b->es);
	}
	if (mtd & MTD_FS_GS) {
		MOVE(u->fs, b->fs);
		MOVE(u->gs, b->gs);
	}
	if (mtd & MTD_CS_SS) {
		MOVE(u->cs, b->cs);
		MOVE(u->ss, b->ss);
		u->ss.rights = (uint16_t)((b->ss.rights & ~SEGMENT_DPL) |
					  b->cpl << SEGMENT_DPL_SHIFT);
	}
	if (mtd & MTD_TR) {
		MOVE(u->tr, b->tr);
	}
	if (mtd & MTD_LDTR) {
		MOVE(u->ldtr, b->ldtr);
	}
	if (mtd & MTD_GDTR) {
		MOVE(u->gdtr, b->gdtr);
	}
	if (mtd & MTD_IDTR) {
		MOVE(u->idtr, b->idtr);
	}
}

static ALWAYS_INLINE void save_control(const struct vmcb *b, struct utcb *u,
				       uint64_t mtd)
{
	if (mtd & MTD_CR) {
		MOVE(u->cr0, b->cr0);
		MOVE(u->cr2, b->cr2);
		MOVE(u->cr3, b->cr3);
		MOVE(u->cr4, b->cr4);
		u->cr8 = b->vintr & VINTR_TPR;
	}
	if (mtd & MTD_DR) {
		u->dr7 = b->dr7;
	}
	if (mtd & MTD_EFER) {
		u->efer = b->efer;
	}
	if (mtd & MTD_SYSENTER) {
		MOVE(u->sysenter_cs, b->sysenter_cs);
		MOVE(u->sysenter_rsp, b->sysenter_rsp);
		MOVE(u->sysenter_rip, b->sysenter_rip);
	}
	if (mtd & MTD_SYSCALL) {
		MOVE(u->star, b->star);
		MOVE(u->lstar, b->lstar);
		MOVE(u->cstar, b->cstar);
		MOVE(u->sfmask, b->sfmask);
		MOVE(u->kernel_gs_base, b->kernel_gs_base);
	}
}

static ALWAYS_INLINE void save_kept(const struct ec *ec, const struct svm *v,
				    struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_TSC) {
		u->tsc = rdtsc();
		u->tsc_offset = v->vcpu.tsc_offset;
	}
	if (mtd & MTD_TSC_AUX) {
		u->tsc_aux = v->vcpu.tsc_aux;
	}
	if (mtd & MTD_XSAVE) {
		u->xcr0 = ec->xcr0;
		u->xss = 0;
	}
}

/* Of the instruction; 0 where the processor or this exit does not tell. */
static ALWAYS_INLINE uint64_t length(const struct vmcb *b)
{
	return b->nrip ? b->nrip - b->rip : 0;
}

/* bits: what is saved; those of mtd, or a constant that they are. */
static ALWAYS_INLINE void save(struct ec *ec, const struct svm *v,
			       struct utcb *u, uint64_t mtd, uint64_t bits)
{
	const struct vmcb *b = v->vmcb;

	if (bits & MTD_RIP_LEN) {
		u->length = length(b);
		u->rip = b->rip;
	}
	if (bits & MTD_GPRS) {
		vcpu_save_gprs(&ec->regs, &b->rax, u, bits);
	}
	if (bits & MTD_SOME) {
		save_some(ec, b, u, bits);
	}
	if (bits & MTD_REST) {
		save_segments(b, u, bits);
		save_control(b, u, bits);
		save_kept(ec, v, u, bits);
		if (mtd & MTD_FPU) {
			fpu_save(ec, u);
		}
	}
}

__attribute__((noinline)) static void
save_any(struct ec *ec, const struct svm *v, struct utcb *u, uint64_t mtd)
{
	save(ec, v, u, mtd, mtd);
}

__attribute__((noinline)) static void
save_whole(struct ec *ec, const struct svm *v, struct utcb *u, uint64_t mtd)
{
	save(ec, v, u, mtd, MTD_WHOLE);
}

void svm_save(struct ec *ec, struct utcb *u, uint64_t mtd)
{
	const struct svm *v = svm_of(ec);

	u->mtd = mtd & ~MTD_NOT_SVM;
	u->exit_reason = v->vmcb->exit_code;
	if (likely(!(mtd & MTD_REST))) {
		save(ec, v, u, mtd, mtd & ~MTD_REST);
	} else if ((mtd & MTD_SVM_WHOLE) == MTD_SVM_WHOLE) {
		save_whole(ec, v, u, mtd);
	} else {
		save_any(ec, v, u, mtd);
	}
}
