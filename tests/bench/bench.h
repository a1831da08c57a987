/*
 * The benchmark of the kernel's operations: a program that boots in the place
 * of the root task. ECs, PDs and selectors come from tests/hypercall (test.h);
 * a topic cleans nothing up.
 */
#pragma once

#include "../hypercall/test.h"
#include "stats.h"

enum {
	BIG_QUOTA = 1024, /* kernel memory of a PD, in pages */
	PRIORITY_PEER = 20,
};

/* By topic; each runs with nothing left of the one before. */
void bench_ipc(void);
void bench_semaphore(void);
void bench_exception(void);
void bench_object(void);
void bench_memory(void);
void bench_schedule(void);
void bench_smp(void);
void bench_vm(void);

/* Let the kernel do what it put off, such as freeing memory. */
void settle(void);
/* Once in a while: after each round of what makes much. */
void settle_sometimes(void);

/* stubs.S */
extern const char stub_echo[], stub_take[], stub_skip_2[], stub_skip_3[], stub_map[], stub_vm[];
uint64_t fault_ud(uint64_t address);
uint64_t fault_read(uint64_t address);
extern uint64_t vm_left;
extern char vm_page[], vm_cpuid[], vm_vmcall[], vm_vmmcall[], vm_in[], vm_out[], vm_ins[], vm_hlt[],
	vm_rdmsr[], vm_wrmsr[], vm_read[], vm_write[], vm_spin[];

/* A portal to a handler that runs a stub. */
unsigned long make_stub(const struct frame *handler, unsigned long mtd, const char *stub);
