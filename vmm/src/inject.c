/*
 * What goes into a vCPU when it returns to its guest: an exception of the
 * instruction that exited, an event whose delivery the exit interrupted, an
 * NMI, an interrupt; and the request for an exit when one that must wait can
 * go.
 */
#include "vcpu.h"

#include "emulate.h"
#include "vm.h"

enum {
	NMI_VECTOR = 2,
	SHADOWS = SHADOW_STI | SHADOW_MOV_SS,
};

static void set_injection(struct vcpu *v, uint32_t info, uint32_t error)
{
	v->utcb->inject = info;
	v->utcb->inject_error = error;
	v->mtd |= MTD_INJ;
	v->window = (info & (INJECT_INTERRUPT_WINDOW | INJECT_NMI_WINDOW)) != 0;
}

void vcpu_exception(struct vcpu *v, const struct exception *x)
{
	uint32_t info = INJECT_VALID | INJECT_EXCEPTION | x->vector;

	if (x->has_error)
		info |= INJECT_ERROR_CODE;
	set_injection(v, info, x->error);
	if (x->vector == VECTOR_PF) {
		v->utcb->cr2 = x->address;
		v->mtd |= MTD_CR;
	}
}

void vcpu_general_protection(struct vcpu *v)
{
	vcpu_exception(v, &(struct exception){VECTOR_GP, true, 0, 0});
}

/*
 * An interrupted delivery that must be completed. Software interrupts and
 * exceptions need not: RIP is still at the instruction that causes them, which
 * runs again.
 */
static bool must_redeliver(uint32_t info)
{
	switch (info & (INJECT_TYPE | INJECT_VALID)) {
	case INJECT_VALID | INJECT_EXCEPTION:
		/* SVM reports INT3 and INTO like that. */
		return (info & INJECT_VECTOR) != VECTOR_BP && (info & INJECT_VECTOR) != VECTOR_OF;
	case INJECT_VALID | INJECT_INTERRUPT:
	case INJECT_VALID | INJECT_NMI:
		return true;
	default:
		return false;
	}
}

bool vcpu_has_interrupt(const struct vcpu *v)
{
	return lapic_extint(&v->lapic) || lapic_pending(&v->lapic) >= 0;
}

static uint8_t take_interrupt(struct vcpu *v)
{
	if (lapic_extint(&v->lapic))
		return pic_acknowledge(&v->vm->machine.pic);

	uint8_t vector = (uint8_t)lapic_pending(&v->lapic);

	lapic_accept(&v->lapic, vector);
	return vector;
}

/* NMIs are blocked until IRET: SVM does not do it, so IRET is intercepted. */
static uint32_t take_nmi(struct vcpu *v)
{
	const struct vendor *vendor = v->vm->vendor;

	(void)lapic_nmi_take(&v->lapic);
	if (vendor->iret != 0) {
		v->in_nmi = true;
		v->utcb->ctrl[0] = vendor->ctrl[0] | vendor->iret;
		v->utcb->ctrl[1] = vendor->ctrl[1];
		v->mtd |= MTD_CTRL;
	}
	return INJECT_VALID | INJECT_NMI | NMI_VECTOR;
}

/* What is to be injected now, or 0. */
static uint32_t next_event(struct vcpu *v)
{
	const struct utcb *u = v->utcb;
	uint32_t blocked = u->interruptibility;

	if (lapic_nmi_pending(&v->lapic) && !v->in_nmi && !(blocked & (SHADOWS | BLOCKED_BY_NMI)))
		return take_nmi(v);
	if (vcpu_has_interrupt(v) && (u->rflags & RFLAGS_IF) && !(blocked & SHADOWS))
		return INJECT_VALID | INJECT_INTERRUPT | take_interrupt(v);
	return 0;
}

/* The windows to wait for, for what is pending still. */
static uint32_t wanted_windows(const struct vcpu *v)
{
	uint32_t windows = 0;

	if (vcpu_has_interrupt(v))
		windows |= INJECT_INTERRUPT_WINDOW;
	if (lapic_nmi_pending(&v->lapic))
		windows |= v->vm->vendor->nmi_window;
	return windows;
}

void vcpu_inject(struct vcpu *v)
{
	struct utcb *u = v->utcb;
	uint32_t info;

	/* Nothing at all, as nearly always. */
	if (lapic_is_quiet(&v->lapic) && !v->window && !(v->mtd & MTD_INJ) &&
	    !(u->inject & INJECT_VALID))
		return;
	if (v->mtd & MTD_INJ) {
		info = u->inject; /* an exception of this exit */
	} else if (must_redeliver(u->inject)) {
		info = u->inject & ~(uint32_t)(INJECT_INTERRUPT_WINDOW | INJECT_NMI_WINDOW);
		if ((info & INJECT_TYPE) == INJECT_NMI && (u->interruptibility & BLOCKED_BY_NMI)) {
			u->interruptibility &= ~(uint32_t)BLOCKED_BY_NMI;
			v->mtd |= MTD_STA;
		}
	} else {
		info = next_event(v);
	}
	info |= wanted_windows(v);
	if (info != 0 || v->window)
		set_injection(v, info, u->inject_error);
}

bool vcpu_is_woken(const struct vcpu *v)
{
	return lapic_nmi_pending(&v->lapic) ||
	       ((v->utcb->rflags & RFLAGS_IF) && vcpu_has_interrupt(v));
}
