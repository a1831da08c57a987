/*
 * A thread's registers in the kernel, in the order in which entry.S pushes
 * them below what the processor pushed. The TSS's RSP0 of a CPU points at the
 * end of this in its current EC, so that an entry saves into the EC directly.
 */
#pragma once

#include "../types.h"

enum { RFLAGS_USER = 0x202 }; /* IF, and the bit that is always 1 */

struct regs {
	uint64_t r15, r14, r13, r12, rbp, rbx; /* kept by C functions */
	uint64_t r11, r10, r9, r8;
	uint64_t rax, rcx, rdx, rsi, rdi;
	uint64_t vector;
	uint64_t error;
	uint64_t rip, cs, rflags, rsp, ss; /* pushed by the processor */
};

static_assert(sizeof(struct regs) == 22 * 8);
