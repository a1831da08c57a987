/*
 * A vCPU's state on SVM, to and from a handler's UTCB, and its intercepts. All
 * of it is in memory, and most has the same format there. What the processor
 * may have cached of the VMCB and is changed loses its clean bit.
 */
#include "svm.h"
#include "vcpu_state.h"

#define OR_INTERCEPT(name, bit) | INTERCEPT_##name

#define MTD_NOT_SVM   ((uint64_t)(MTD_PDPTE | MTD_TPR))
#define MTD_SVM_WHOLE (MTD_WHOLE & ~MTD_NOT_SVM)
/* What the processor caches of the state save area. */
#define MTD_CACHED  (MTD_DS_ES | MTD_CS_SS | MTD_GDTR | MTD_IDTR | MTD_CR | MTD_DR | MTD_EFER)
#define CLEAN_STATE (CLEAN_SEGMENTS | CLEAN_TABLES | CLEAN_CR | CLEAN_CR2 | CLEAN_DR | CLEAN_TPR)

/* clang-format off */
/* X(MTD bit, name): what is the same in VMCB and UTCB. */
#define SVM_SOME(X) X(MTD_RSP, rsp) X(MTD_RFLAGS, rflags)
#define SVM_REST(X)                                                                           \
	STATE_SEGMENTS(X) STATE_SYSENTER(X) STATE_SYSCALL(X) X(MTD_DR, dr7) X(MTD_EFER, efer) \
	X(MTD_CR, cr0) X(MTD_CR, cr2) X(MTD_CR, cr3) X(MTD_CR, cr4)
/* clang-format on */

/*
 * INT n, INT3 and INTO: RIP is still at the instruction, so that it happens
 * again by itself. Injected, it would return there (APM 2 15.20).
 */
static bool is_instruction(uint32_t info)
{
	uint32_t type = info & INJECT_TYPE, vector = info & INJECT_VECTOR;

	return type == INJECT_SOFT_INTERRUPT ||
	       (type == INJECT_EXCEPTION && (vector == VECTOR_BP || vector == VECTOR_OF));
}

static ALWAYS_INLINE void save_injection(const struct ec *ec, const struct vmcb *b, struct utcb *u)
{
	bool entry = svm_not_entered(ec);
	uint64_t event = entry ? b->event : b->exit_int_info;
	uint32_t info = (uint32_t)event & INJECT_EVENT;

	if (unlikely(info & INJECT_VALID) && !entry && is_instruction(info))
		info = 0;
	u->inject = info;
	u->inject_error = (uint32_t)(event >> EVENT_ERROR_SHIFT);
}

#define SAVE(bit, name, ...) \
	if (mtd & (bit))     \
		MOVE(u->name, b->name);

/*
 * mtd: what is saved; bits of `all`, or a constant that they are. What VMX
 * calls unusable is not present here. The CPL of record is not in SS (APM 2
 * 15.5.1), where VMX has it. No length where the processor or this exit does
 * not tell.
 */
static ALWAYS_INLINE void save(struct ec *ec, struct utcb *u, uint64_t all, uint64_t mtd)
{
	const struct svm *v = svm_of(ec);
	const struct vmcb *b = v->vmcb;

	if (mtd & MTD_RIGHTS)
		mtd |= MTD_CS_SS;
	u->mtd = all & ~MTD_NOT_SVM;
	u->exit_reason = ec->event;
	if (mtd & MTD_RIP_LEN) {
		u->length = b->nrip ? b->nrip - b->rip : 0;
		u->rip = b->rip;
	}
	if (mtd & MTD_GPRS)
		state_save_gprs(&ec->regs, &b->rax, u, mtd);
	if (mtd & MTD_SOME) {
		SVM_SOME(SAVE)
		if (mtd & MTD_QUAL) {
			MOVE(u->qual[0], b->exit_info[0]);
			MOVE(u->qual[1], b->exit_info[1]);
		}
		if (mtd & MTD_INJ)
			save_injection(ec, b, u);
		if (mtd & MTD_STA) {
			u->interruptibility = b->interrupt_shadow & INTERRUPT_SHADOW;
			u->activity = ACTIVITY_ACTIVE;
		}
	}
	if (mtd & MTD_REST) {
		SVM_REST(SAVE)
		if (mtd & MTD_CS_SS) {
			u->ss.rights = (uint16_t)((b->ss.rights & ~SEGMENT_DPL) |
						  b->cpl << SEGMENT_DPL_SHIFT);
		}
		if (mtd & MTD_CR)
			u->cr8 = b->vintr & VINTR_TPR;
		vcpu_save_kept(ec, &v->vcpu, u, all, mtd);
	}
}

/*
 * A window is asked for as a virtual interrupt that exits when it would be
 * taken. One emulator falls over MOV to CR8 meanwhile; it is among those that
 * leave the decoding to us, so that the VMM gets to emulate it there.
 */
void svm_set_intercepts(struct svm *v)
{
	struct vmcb *b = v->vmcb;

	b->intercept[0] = v->asked[0] | (0 KERNEL_INTERCEPTS0(OR_INTERCEPT));
	b->intercept[1] = v->asked[1] | (0 KERNEL_INTERCEPTS1(OR_INTERCEPT));
	b->vintr &= ~(uint64_t)VINTR_IRQ;
	b->intercept_cr = 0;
	if (v->window) {
		b->intercept[0] |= INTERCEPT_VINTR;
		b->vintr |= VINTR_IRQ;
		if (!svm_decode_assists)
			b->intercept_cr = INTERCEPT_CR8_WRITE;
	}
	if (!svm_decode_assists && b->efer & EFER_LME) {
		b->intercept_cr |= v->watch_cr4 ? INTERCEPT_CR4_WRITE : 0;
		b->intercept[0] |= v->watch_cr4 ? 0 : INTERCEPT_CR0_CHANGE;
	}
	svm_dirty(b, CLEAN_INTERCEPTS | CLEAN_TPR);
}

/*
 * VMRUN refuses these (APM 2 15.5.1), but QEMU does not refuse all, and does
 * not find back to its host from some; there, where the decoding is left to us,
 * neither from LME without PAE, which is none of them without paging.
 */
bool svm_illegal(const struct vmcb *b)
{
	uint64_t paging = b->cr0 & CR0_PG;

	if ((b->cr0 | b->cr4 | b->dr7 | b->efer) >> 32 || (b->cr0 & (CR0_NW | CR0_CD)) == CR0_NW)
		return true;
	if (!(b->efer & EFER_LME))
		return false;
	return (!(b->cr4 & CR4_PAE) && (paging || !svm_decode_assists)) ||
	       (paging && (!(b->cr0 & CR0_PE) ||
			   (b->cs.rights & (SEGMENT_L | SEGMENT_DB)) == (SEGMENT_L | SEGMENT_DB)));
}

/*
 * The processor clears the event when it has injected it, so that nothing need
 * be written for no event, unless there was no entry. Types 5 and 6 do not
 * exist here: they are exceptions like others.
 */
static void load_injection(struct ec *ec, struct svm *v, const struct utcb *u)
{
	uint32_t info = ONCE(u->inject), type = info & INJECT_TYPE;
	uint8_t window = (info & INJECT_INTERRUPT_WINDOW) != 0;

	if (v->window != window) {
		v->window = window;
		svm_set_intercepts(v);
	}
	if (type == INJECT_PRIVILEGED_EXCEPTION || type == INJECT_SOFT_EXCEPTION)
		info ^= type ^ INJECT_EXCEPTION;
	if (info & INJECT_VALID)
		v->vmcb->event = (uint64_t)u->inject_error << EVENT_ERROR_SHIFT |
				 (info & INJECT_EVENT);
	else if (svm_not_entered(ec))
		v->vmcb->event = 0;
}

void svm_add_tsc(struct ec *ec, uint64_t ticks)
{
	struct svm *v = svm_of(ec);

	v->vmcb->tsc_offset = v->vcpu.tsc_offset += ticks;
	svm_dirty(v->vmcb, CLEAN_INTERCEPTS);
}

/*
 * What seldom is different, or is much work anyway, comes last, so that nothing
 * need be kept for after it.
 */
static NOINLINE void load_different(struct ec *ec, struct svm *v, const struct utcb *u,
				    uint64_t mtd)
{
	if (mtd & MTD_CTRL) {
		v->asked[0] = u->ctrl[0];
		v->asked[1] = u->ctrl[1];
		svm_set_intercepts(v);
	}
	if (mtd & MTD_INJ)
		load_injection(ec, v, u);
	if (mtd & MTD_DR && v->vmcb->dr7 & DR7_ENABLED)
		svm_use_debug(ec);
	if (mtd & MTD_TSC)
		svm_add_tsc(ec, u->tsc_offset);
	if (mtd & MTD_TSC_AUX) {
		v->vcpu.tsc_aux = (uint32_t)u->tsc_aux;
		svm_prepare_again();
	}
	vcpu_load_xsave(ec, u, mtd);
}

#define LOAD(bit, name, ...) \
	if (mtd & (bit))     \
		MOVE(b->name, u->name);

/* mtd: what is loaded; bits of `all`, or a constant that they are. */
static ALWAYS_INLINE void load(struct ec *ec, const struct utcb *u, uint64_t all, uint64_t mtd)
{
	struct svm *v = svm_of(ec);
	struct vmcb *b = v->vmcb;

	if (mtd & MTD_RIP_LEN)
		b->rip = u->rip;
	if (mtd & MTD_GPRS)
		state_load_gprs(&ec->regs, &b->rax, u, mtd);
	if (mtd & MTD_SOME) {
		SVM_SOME(LOAD)
		if (mtd & MTD_STA) {
			b->interrupt_shadow = (u->interruptibility &
					       (SHADOW_STI | SHADOW_MOV_SS)) != 0;
		}
	}
	if (mtd & MTD_CACHED)
		svm_dirty(b, CLEAN_STATE);
	if (mtd & MTD_REST) {
		SVM_REST(LOAD)
		if (mtd & MTD_CS_SS)
			b->cpl = (u->ss.rights & SEGMENT_DPL) >> SEGMENT_DPL_SHIFT;
		if (mtd & MTD_CR)
			b->vintr = (b->vintr & ~(uint64_t)VINTR_TPR) | (u->cr8 & VINTR_TPR);
		if (mtd & (MTD_CR | MTD_DR | MTD_EFER | MTD_CS_SS) && unlikely(svm_illegal(b)))
			svm_prepare_again();
		if (mtd & (MTD_CR | MTD_EFER) &&
		    unlikely(b->efer & EFER_LME && !svm_decode_assists)) {
			v->watch_cr4 = 1;
			svm_set_intercepts(v);
		}
	}
	if ((mtd & MTD_INJ && (u->inject | v->window || svm_not_entered(ec))) ||
	    (mtd & MTD_REST && vcpu_differs(ec, &v->vcpu, u, b->dr7, all, mtd)))
		load_different(ec, v, u, all);
}

#define READY(ec, mtd)	    true
#define MAKE_READY(ec, mtd) (void)0
VCPU_MOVES(svm_save, save, struct utcb, MTD_REST, MTD_SVM_WHOLE, READY, MAKE_READY)
VCPU_MOVES(svm_load, load, const struct utcb, MTD_REST, MTD_SVM_WHOLE, READY, MAKE_READY)
