/*
 * A virtual CPU: its kernel objects, the state that the VMM keeps of it, and
 * what goes into it: interrupts and exceptions.
 *
 * Its exits are handled by one local EC, so never two at a time. Under the VM's
 * lock: the local APIC, and `place`, which tells those who make an interrupt
 * pending how to get the vCPU's attention (vcpu_kick). Everything else belongs
 * to the handler.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <abi/utcb.h>

#include "../dev/lapic.h"
#include "ahead.h"
#include "cpuid.h"
#include "exit.h"
#include "length.h"
#include "linear.h"
#include "msr.h"

struct vm;
struct thread;
struct emulation;

enum vcpu_place {
	VCPU_RUNNING, /* in the guest, or on the way: recall it */
	VCPU_EXITED,  /* in an exit that will look for interrupts */
	VCPU_HALTED,  /* sleeps on its semaphore */
};

struct vcpu {
	struct vm *vm;
	unsigned id;
	unsigned cpu; /* the physical one */
	const struct thread *handler;
	struct utcb *utcb;	  /* the handler's */
	unsigned long ec, sc, sm; /* selectors; sm: to wake it */
	struct cpuid cpuid;
	struct msrs msrs;
	struct mmio memory, ports; /* the buses, for the emulator */

	/* Of the exit under way. */
	uint8_t reason; /* enum reason, to count it by */
	uint64_t have;	/* MTD that came, or was asked for */
	uint64_t mtd;	/* MTD to go back */

	struct length_cache length_cache;
	bool in_nmi;		   /* until IRET; only on SVM */
	bool window;		   /* the kernel has our window request */
	uint64_t *exits;	   /* counter, for the status view */
	uint64_t *counts[REASONS]; /* by reason, likewise */
	uint64_t *asked;	   /* how often for more state, likewise */

	enum vcpu_place place; /* under the VM's lock */
	struct lapic lapic;    /* under the VM's lock */
	struct ahead ahead;
};

/* Create everything and let it run. NULL, or what failed. */
[[nodiscard]] const char *vcpu_start(struct vcpu *v, struct vm *vm, unsigned id, unsigned cpu);

/* Called by vcpu_entry.S. */
void vcpu_exit(unsigned long event, struct vcpu *v);

/* Local APIC's hook, with the VM's lock held: look for interrupts. */
void vcpu_kick(void *vcpu);

/* Go past the instruction that exited. */
void vcpu_advance(struct vcpu *v);

/* Inject an exception, when the exit is done. */
void vcpu_exception(struct vcpu *v, const struct exception *exception);
void vcpu_general_protection(struct vcpu *v);

/*
 * Put into the vCPU what is pending, or ask for an exit when that is possible;
 * an event whose delivery the exit interrupted first. VM locked; needs
 * MTD_INJECTION.
 */
void vcpu_inject(struct vcpu *v);

/* Is there one for it, if it were not for IF? VM locked. */
bool vcpu_has_interrupt(const struct vcpu *v);

/* Is there an interrupt or NMI that would end HLT? VM locked. */
bool vcpu_is_woken(const struct vcpu *v);

/* Ask the kernel for state that is not there. EFER is known; needs MTD_CR for that. */
void vcpu_ask(struct vcpu *v, uint64_t mtd);

/* A handler wants this state, too, whether it came or not. VM locked, in an exit. */
static inline void vcpu_need(struct vcpu *v, uint64_t mtd)
{
	if (mtd & ~v->have)
		vcpu_ask(v, mtd & ~v->have);
}

/* The emulator, for this vCPU's state and memory. */
void vcpu_emulation(struct vcpu *v, struct emulation *e);

/* The guest's TSC. */
uint64_t vcpu_tsc(const struct vcpu *v);
