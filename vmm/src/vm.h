/*
 * A virtual machine as the kernel has it: the PD with the guest's RAM and
 * vCPUs, our threads that serve it, and its end.
 *
 * One lock protects the machine and all its devices: handlers take it for the
 * part of an exit that touches them, the threads for theirs. It is held while
 * bytes wait for space on the console, and never across HLT's sleep.
 */
#pragma once

#include <stdint.h>

#include <lib/lock.h>

#include "exit.h"
#include "linux.h"
#include "machine.h"
#include "vcpu.h"

enum { VM_VCPUS = 1, VM_MESSAGE = 160 };

enum vm_end {
	VM_RUNS,
	VM_OFF,	  /* powered off */
	VM_RESET, /* to be started anew */
	VM_EXIT,  /* by the debug port, with a code */
};

struct vm {
	unsigned long pd; /* selector: of the guest */
	const struct vendor *vendor;
	struct machine machine;
	struct vcpu vcpu[VM_VCPUS];

	struct linux_entry entry; /* where the boot vCPU starts */

	struct lock lock;
	/* Under it: */
	enum vm_end end;
	uint32_t end_code; /* of VM_EXIT */
	bool written;	   /* to the console, which sleeps */

	/* The timer thread: until when it sleeps, at most; what wakes it. */
	uint64_t timer_sleeps; /* under the lock */
	unsigned long timer_sm;
};

/* Create it and let it run; reports and ends the program if it cannot. */
void vm_start(struct vm *vm);

void vm_lock(struct vm *vm);
/*
 * Also sees to it that the timer thread wakes for the first deadline, and that
 * the console shows what was written: once for all that an exit or a run ahead
 * writes.
 */
void vm_unlock(struct vm *vm);
/* For one who sleeps until the first deadline and then runs the timers. */
void vm_unlock_asleep(struct vm *vm);

/* Act on vm->end: report, and end this program. */
_Noreturn void vm_finish(struct vm *vm);

/* The VM cannot go on: a report with the vCPU's state, and the end. */
[[gnu::format(printf, 2, 3)]] _Noreturn void vm_fail(struct vcpu *v, const char *format, ...);
