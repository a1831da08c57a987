/*
 * What moves the state of a vCPU on both vendors.
 *
 * General registers, between its EC and a handler's UTCB: the same
 * for both vendors, but that SVM keeps RAX in the VMCB; RSP is elsewhere on both.
 */
#pragma once

#include <abi/utcb.h>

#include "regs.h"

/*
 * Most exits need little state, some VMMs want all that there is. The code that
 * moves it is written once, and compiled three times: for little, for anything,
 * and for the whole, in which the compiler has left the questions out.
 */
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define MTD_WHOLE     ((uint64_t)((MTD_XSAVE << 1) - 1 - MTD_CTRL))

#define MTD_GPRS (MTD_GPR_ACDB | MTD_GPR_BSD | MTD_GPR_R8_R15)

/*
 * One register after the other: the compiler would load many at once, and then
 * save and restore its own around that on every path, used or not.
 */
#define MOVE(to, from)                                  \
	do {                                            \
		(to) = (from);                          \
		__asm__ volatile("" : : : "memory");    \
	} while (0)

static ALWAYS_INLINE void vcpu_save_gprs(const struct regs *r,
					 const uint64_t *rax, struct utcb *u,
					 uint64_t mtd)
{
	if (mtd & MTD_GPR_ACDB) {
		MOVE(u->rax, *rax);
		MOVE(u->rcx, r->rcx);
		MOVE(u->rdx, r->rdx);
		MOVE(u->rbx, r->rbx);
	}
	if (mtd & MTD_GPR_BSD) {
		MOVE(u->rbp, r->rbp);
		MOVE(u->rsi, r->rsi);
		MOVE(u->rdi, r->rdi);
	}
	if (mtd & MTD_GPR_R8_R15) {
		MOVE(u->r8, r->r8);
		MOVE(u->r9, r->r9);
		MOVE(u->r10, r->r10);
		MOVE(u->r11, r->r11);
		MOVE(u->r12, r->r12);
		MOVE(u->r13, r->r13);
		MOVE(u->r14, r->r14);
		MOVE(u->r15, r->r15);
	}
}

static ALWAYS_INLINE void vcpu_load_gprs(struct regs *r, uint64_t *rax,
					 const struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_GPR_ACDB) {
		MOVE(*rax, u->rax);
		MOVE(r->rcx, u->rcx);
		MOVE(r->rdx, u->rdx);
		MOVE(r->rbx, u->rbx);
	}
	if (mtd & MTD_GPR_BSD) {
		MOVE(r->rbp, u->rbp);
		MOVE(r->rsi, u->rsi);
		MOVE(r->rdi, u->rdi);
	}
	if (mtd & MTD_GPR_R8_R15) {
		MOVE(r->r8, u->r8);
		MOVE(r->r9, u->r9);
		MOVE(r->r10, u->r10);
		MOVE(r->r11, u->r11);
		MOVE(r->r12, u->r12);
		MOVE(r->r13, u->r13);
		MOVE(r->r14, u->r14);
		MOVE(r->r15, u->r15);
	}
}
