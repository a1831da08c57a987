/*
 * A thread's state in its UTCB, as its exceptions transfer it; and how any
 * state is moved: by lists of what an MTD bit names, of which a file makes
 * straight code with a macro that says what to do with an entry.
 */
#pragma once

#include <abi/utcb.h>

#include "x86/cpu.h"

/*
 * One register after the other: the compiler would load many at once, and then
 * save and restore its own around that on every path, used or not.
 */
#define MOVE(to, from)                               \
	do {                                         \
		(to) = (from);                       \
		__asm__ volatile("" : : : "memory"); \
	} while (0)

#define MTD_GPRS (MTD_GPR_ACDB | MTD_GPR_BSD | MTD_GPR_R8_R15)

/* clang-format off */
/* X(MTD bit, name in UTCB and struct regs): all but RSP, and RAX, which SVM has in the VMCB. */
#define STATE_GPRS(X)                                                                         \
	X(MTD_GPR_ACDB, rcx) X(MTD_GPR_ACDB, rdx) X(MTD_GPR_ACDB, rbx)                        \
	X(MTD_GPR_BSD, rbp) X(MTD_GPR_BSD, rsi) X(MTD_GPR_BSD, rdi)                           \
	X(MTD_GPR_R8_R15, r8) X(MTD_GPR_R8_R15, r9) X(MTD_GPR_R8_R15, r10)                    \
	X(MTD_GPR_R8_R15, r11) X(MTD_GPR_R8_R15, r12) X(MTD_GPR_R8_R15, r13)                  \
	X(MTD_GPR_R8_R15, r14) X(MTD_GPR_R8_R15, r15)
/* clang-format on */

static ALWAYS_INLINE void state_save_gprs(const struct regs *r, const uint64_t *rax, struct utcb *u,
					  uint64_t mtd)
{
#define SAVE(bit, name)  \
	if (mtd & (bit)) \
		MOVE(u->name, r->name);
	if (mtd & MTD_GPR_ACDB)
		MOVE(u->rax, *rax);
	STATE_GPRS(SAVE)
#undef SAVE
}

static ALWAYS_INLINE void state_load_gprs(struct regs *r, uint64_t *rax, const struct utcb *u,
					  uint64_t mtd)
{
#define LOAD(bit, name)  \
	if (mtd & (bit)) \
		MOVE(r->name, u->name);
	if (mtd & MTD_GPR_ACDB)
		MOVE(*rax, u->rax);
	STATE_GPRS(LOAD)
#undef LOAD
}

void state_save(struct ec *ec, struct utcb *utcb, uint64_t mtd);
/* Whatever is in the UTCB, the thread stays one in user mode. */
void state_load(struct ec *ec, const struct utcb *utcb, uint64_t mtd);
