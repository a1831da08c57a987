/*
 * Processors that run ECs: what entry.S and exception.c do, with user mode
 * played by the test.
 *
 * After every function here the CPU is in user mode in the EC that is returned,
 * or idle; page tables that are loaded are there, and the queues are sound.
 */
#pragma once

#include "hv_fixture.h"

/* Root's PD, an EC at selector SEL_EC with an SC, running. */
enum { SEL_PD = 1000, SEL_EC, SEL_SC };
struct ec *machine_start(unsigned pages, unsigned cpu_number, uint64_t quota);
/* Everything is revoked and ends: all memory must be back. */
void machine_finish(void);

/* The EC that is in user mode on the test's CPU; NULL: idle. */
struct ec *running(void);
/* Further on this CPU. */
struct ec *on_cpu(unsigned cpu);

/* The EC in user mode makes a call. */
struct ec *hypercall(enum call call, unsigned flags, uint64_t selector, uint64_t rsi, uint64_t rdx,
		     uint64_t rax, uint64_t r8);
/* An exception, or of a vCPU an exit. */
struct ec *event(uint32_t number);
/* Time goes by, and the timer interrupts. */
struct ec *tick(uint64_t ticks);
/* Interrupts that other CPUs sent to this one. */
struct ec *interrupts(void);

/* What happens when a vCPU's CPU lets go of it, or NULL. */
extern void (*unload_hook)(void);

/* The same where the kernel lets them in: it goes on afterwards. */
void interrupt_kernel(void);

/* Status of the EC's last call. */
static inline unsigned status_of(const struct ec *ec)
{
	return ec->regs.rdi & 0xff;
}

/* In the kernel: the object at a selector of root. */
struct object *root_object(uint64_t selector);
struct ec *root_ec(uint64_t selector);

/* Give root's selector to a PD at the same selector. */
void share(struct pd *to, uint64_t selector);
