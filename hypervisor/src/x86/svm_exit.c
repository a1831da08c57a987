/*
 * Where #VMEXITs arrive in C, and what the kernel keeps for itself (abi.md):
 * interrupts, NMIs, machine checks, exceptions that could come without end, and
 * the first use of a debug register. All else goes to the VMM.
 */
#include "svm.h"

enum {
	VECTOR_DB = 1,
	VECTOR_AC = 17,
	VECTOR_MC = 18,
};

/* It comes in through the IDT as soon as it may, if it has not at STGI. */
static struct ec *interrupt(struct ec *ec)
{
	__asm__ volatile("sti; nop; cli" : : : "memory");
	return vcpu_interrupted(ec);
}

/*
 * #AC and #DB exit only because a guest can arrange that delivering them raises
 * them again without end, and with no instruction between: they go back in,
 * and interrupts get their turn. DR6 is in the VMCB, and up to date.
 */
static struct ec *inject(struct ec *ec, uint32_t what)
{
	svm_of(ec)->vmcb->event = what | INJECT_EXCEPTION | INJECT_VALID;
	return ec;
}

static struct ec *alignment_check(struct ec *ec)
{
	return inject(ec, VECTOR_AC | INJECT_ERROR_CODE);
}

static struct ec *debug_exception(struct ec *ec)
{
	return inject(ec, VECTOR_DB);
}

void svm_use_debug(struct ec *ec)
{
	struct vmcb *b = svm_of(ec)->vmcb;

	vcpu_take_debug(ec);
	b->intercept_dr = 0;
	b->clean &= ~(uint32_t)CLEAN_INTERCEPTS;
}

static struct ec *debug_register(struct ec *ec)
{
	svm_use_debug(ec);
	return ec;
}

static struct ec *(*const kept[])(struct ec *) = {
	[EXIT_DR_FIRST... EXIT_DR_LAST] = debug_register,
	[EXIT_EXCEPTION + VECTOR_DB] = debug_exception,
	[EXIT_EXCEPTION + VECTOR_AC] = alignment_check,
	[EXIT_EXCEPTION + VECTOR_MC] = vcpu_machine_check,
	[EXIT_INTR] = interrupt,
	[EXIT_NMI] = interrupt,
	[EXIT_INIT] = interrupt,
};

/* The codes are negative numbers above some; emulators store 32 bits of them. */
static struct ec *other(struct ec *ec, struct vmcb *b)
{
	switch ((int32_t)b->exit_code) {
	case EXIT_NPF:
		ec->fault_address = b->exit_info[1];
		return vcpu_event(ec, EVENT_SVM_NPF);
	case EXIT_INVALID:
		b->clean = 0;
		svm_prepare_again();
		if (b->tlb_control)
			this_cpu()->asid_next = 0; /* flush again */
		return vcpu_event(ec, EVENT_SVM_INVALID);
	default:
		return vcpu_event(ec, EVENT_SVM_OTHER);
	}
}

struct ec *svm_exit(struct ec *ec)
{
	struct vmcb *b = svm_of(ec)->vmcb;
	uint64_t code = b->exit_code;

	b->clean = CLEAN_ALL;
	if (unlikely(code >= EVENT_SVM_OTHER))
		return other(ec, b);
	if (code < ARRAY_SIZE(kept) && kept[code])
		return kept[code](ec);
	return vcpu_event(ec, (uint32_t)code);
}
