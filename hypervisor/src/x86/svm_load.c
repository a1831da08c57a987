/*
 * A vCPU's state on SVM, from a handler's UTCB, and its intercepts. What the
 * processor may have cached of the VMCB and is changed loses its clean bit.
 *
 * Nothing is checked here that VMRUN checks: the VMM gets to know as an invalid
 * guest state.
 */
#include "../fpu.h"
#include "svm.h"
#include "vcpu_regs.h"

/*
 * What the kernel must know of: what ends guest mode for the host's sake, and
 * what would reach the host's memory, caches, ports, MSRs or identifiers.
 */
#define KERNEL_INTERCEPT0                                                 \
	(INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_INIT |                \
	 INTERCEPT_RDPMC | INTERCEPT_INVD | INTERCEPT_HLT |               \
	 INTERCEPT_INVLPGA | INTERCEPT_IO | INTERCEPT_MSR |               \
	 INTERCEPT_SHUTDOWN)
#define KERNEL_INTERCEPT1                                                 \
	(INTERCEPT_VMLOAD | INTERCEPT_VMSAVE | INTERCEPT_STGI |           \
	 INTERCEPT_CLGI | INTERCEPT_SKINIT | INTERCEPT_XSETBV |           \
	 INTERCEPT_RDPRU)

/* What the processor caches of the state save area. */
#define MTD_CACHED                                                    \
	(MTD_DS_ES | MTD_CS_SS | MTD_GDTR | MTD_IDTR | MTD_CR |       \
	 MTD_DR | MTD_EFER)
#define CLEAN_STATE                                                   \
	(CLEAN_SEGMENTS | CLEAN_TABLES | CLEAN_CR | CLEAN_CR2 |       \
	 CLEAN_DR | CLEAN_TPR)

static inline void dirty(struct vmcb *b, uint32_t what)
{
	b->clean &= ~what;
}

/*
 * A window is asked for as a virtual interrupt that exits when it would be
 * taken. One emulator falls over MOV to CR8 meanwhile; it is among those that
 * leave the decoding to us, so that the VMM gets to emulate it there.
 */
void svm_set_intercepts(struct svm *v)
{
	struct vmcb *b = v->vmcb;

	b->intercept[0] = v->asked[0] | KERNEL_INTERCEPT0;
	b->intercept[1] = v->asked[1] | KERNEL_INTERCEPT1;
	b->vintr &= ~(uint64_t)(VINTR_IRQ | VINTR_PRIORITY |
				VINTR_IGNORE_TPR);
	b->intercept_cr = 0;
	if (v->window) {
		b->intercept[0] |= INTERCEPT_VINTR;
		b->vintr |= VINTR_IRQ | VINTR_PRIORITY | VINTR_IGNORE_TPR;
		if (!svm_decode_assists) {
			b->intercept_cr = INTERCEPT_CR8_WRITE;
		}
	}
	dirty(b, CLEAN_INTERCEPTS | CLEAN_TPR);
}

/* Types 5 and 6 do not exist here: they are exceptions like others. */
static void inject(struct vmcb *b, uint32_t info, uint32_t error)
{
	if ((info & INJECT_TYPE) > INJECT_SOFT_INTERRUPT) {
		info = (info & ~(uint32_t)INJECT_TYPE) | INJECT_EXCEPTION;
	}
	b->event = (info & EVENT_INFO) | (uint64_t)error << EVENT_ERROR_SHIFT;
}

/*
 * The processor clears the event when it has injected it, so that nothing need
 * be written for no event, unless there was no entry.
 */
static void load_injection(struct ec *ec, struct svm *v, const struct utcb *u)
{
	uint32_t info = u->inject;
	uint8_t window = (info & INJECT_INTERRUPT_WINDOW) != 0;

	if (v->window != window) {
		v->window = window;
		svm_set_intercepts(v);
	}
	if (info & INJECT_VALID) {
		inject(v->vmcb, info, u->inject_error);
	} else if (svm_not_entered(ec)) {
		v->vmcb->event = 0;
	}
}

static ALWAYS_INLINE void load_some(struct vmcb *b, const struct utcb *u,
				    uint64_t mtd)
{
	if (mtd & MTD_RSP) {
		b->rsp = u->rsp;
	}
	if (mtd & MTD_RFLAGS) {
		b->rflags = u->rflags;
	}
	if (mtd & MTD_STA) {
		b->interrupt_shadow =
			(u->interruptibility & (SHADOW_STI | SHADOW_MOV_SS)) !=
			0;
	}
}

static ALWAYS_INLINE void load_segments(struct vmcb *b, const struct utcb *u,
					uint64_t mtd)
{
	if (mtd & MTD_DS_ES) {
		MOVE(b->ds, u->ds);
		MOVE(b->es, u->es);
	}
	if (mtd & MTD_FS_GS) {
		MOVE(b->fs, u->fs);
		MOVE(b->gs, u->gs);
	}
	if (mtd & MTD_CS_SS) {
		MOVE(b->cs, u->cs);
		MOVE(b->ss, u->ss);
		b->cpl = (u->ss.rights & SEGMENT_DPL) >> SEGMENT_DPL_SHIFT;
	}
	if (mtd & MTD_TR) {
		MOVE(b->tr, u->tr);
	}
	if (mtd & MTD_LDTR) {
		MOVE(b->ldtr, u->ldtr);
	}
	if (mtd & MTD_GDTR) {
		MOVE(b->gdtr, u->gdtr);
	}
	if (mtd & MTD_IDTR) {
		MOVE(b->idtr, u->idtr);
	}
}

static ALWAYS_INLINE void load_control(struct vmcb *b, const struct utcb *u,
				       uint64_t mtd)
{
	if (mtd & MTD_CR) {
		MOVE(b->cr0, u->cr0);
		MOVE(b->cr2, u->cr2);
		MOVE(b->cr3, u->cr3);
		MOVE(b->cr4, u->cr4);
		b->vintr = (b->vintr & ~(uint64_t)VINTR_TPR) |
			   (u->cr8 & VINTR_TPR);
	}
	if (mtd & MTD_DR) {
		b->dr7 = u->dr7;
	}
	if (mtd & MTD_EFER) {
		b->efer = u->efer;
	}
	if (mtd & MTD_SYSENTER) {
		MOVE(b->sysenter_cs, u->sysenter_cs);
		MOVE(b->sysenter_rsp, u->sysenter_rsp);
		MOVE(b->sysenter_rip, u->sysenter_rip);
	}
	if (mtd & MTD_SYSCALL) {
		MOVE(b->star, u->star);
		MOVE(b->lstar, u->lstar);
		MOVE(b->cstar, u->cstar);
		MOVE(b->sfmask, u->sfmask);
		MOVE(b->kernel_gs_base, u->kernel_gs_base);
	}
}

/*
 * What seldom is different, or is much work anyway, comes last, so that nothing
 * need be kept for after it.
 */
static ALWAYS_INLINE bool differs(const struct ec *ec, const struct svm *v,
				  const struct utcb *u, uint64_t mtd)
{
	return (mtd & MTD_INJ && (u->inject | v->window ||
				  svm_not_entered(ec))) ||
	       (mtd & MTD_TSC && u->tsc_offset) ||
	       (mtd & MTD_TSC_AUX && u->tsc_aux != v->vcpu.tsc_aux) ||
	       (mtd & MTD_XSAVE && u->xcr0 != ec->xcr0);
}

static void load_tsc(struct svm *v, const struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_TSC && u->tsc_offset) {
		v->vcpu.tsc_offset += u->tsc_offset;
		v->vmcb->tsc_offset = v->vcpu.tsc_offset;
		dirty(v->vmcb, CLEAN_INTERCEPTS);
	}
	if (mtd & MTD_TSC_AUX && u->tsc_aux != v->vcpu.tsc_aux) {
		v->vcpu.tsc_aux = (uint32_t)u->tsc_aux;
		svm_prepare_again();
	}
}

__attribute__((noinline)) static void
load_different(struct ec *ec, struct svm *v, const struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_CTRL) {
		v->asked[0] = u->ctrl[0];
		v->asked[1] = u->ctrl[1];
		svm_set_intercepts(v);
	}
	if (mtd & MTD_INJ) {
		load_injection(ec, v, u);
	}
	load_tsc(v, u, mtd);
	if (mtd & MTD_XSAVE) {
		vcpu_load_xcr0(ec, u->xcr0);
	}
	if (mtd & MTD_FPU) {
		fpu_load(ec, u);
	}
}

/* bits: what is loaded; those of mtd, or a constant that they are. */
static ALWAYS_INLINE void load(struct ec *ec, struct svm *v,
			       const struct utcb *u, uint64_t mtd,
			       uint64_t bits)
{
	struct vmcb *b = v->vmcb;

	if (bits & MTD_RIP_LEN) {
		b->rip = u->rip;
	}
	if (bits & MTD_GPRS) {
		vcpu_load_gprs(&ec->regs, &b->rax, u, bits);
	}
	if (bits & MTD_SOME) {
		load_some(b, u, bits);
	}
	if (bits & MTD_CACHED) {
		dirty(b, CLEAN_STATE);
	}
	if (bits & MTD_REST) {
		load_segments(b, u, bits);
		load_control(b, u, bits);
	}
	if (bits & (MTD_REST | MTD_INJ) &&
	    (differs(ec, v, u, bits) || mtd & (MTD_CTRL | MTD_FPU))) {
		load_different(ec, v, u, mtd);
	}
}

__attribute__((noinline)) static void
load_any(struct ec *ec, struct svm *v, const struct utcb *u, uint64_t mtd)
{
	load(ec, v, u, mtd, mtd);
}

__attribute__((noinline)) static void
load_whole(struct ec *ec, struct svm *v, const struct utcb *u, uint64_t mtd)
{
	load(ec, v, u, mtd, MTD_WHOLE);
}

void svm_load(struct ec *ec, const struct utcb *u, uint64_t mtd)
{
	struct svm *v = svm_of(ec);

	if (likely(!(mtd & MTD_REST))) {
		load(ec, v, u, mtd, mtd & ~MTD_REST);
	} else if ((mtd & MTD_SVM_WHOLE) == MTD_SVM_WHOLE) {
		load_whole(ec, v, u, mtd);
	} else {
		load_any(ec, v, u, mtd);
	}
}
