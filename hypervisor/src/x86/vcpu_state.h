/*
 * The state of a vCPU as lists: what an MTD bit moves, by the names that UTCB,
 * VMCB and the EC's registers have in common. A file that moves state makes
 * straight code of a list, with a macro that says what to do with an entry.
 *
 * Most exits need little state, some VMMs want all that there is. The code is
 * compiled three times: for little, for anything, and for the whole, in which
 * the compiler has left the questions out.
 */
#pragma once

#include <abi/utcb.h>

#include "../fpu.h"
#include "cpu.h"
#include "insn.h"
#include "vcpu.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Parts of the MTD. */
#define MTD_WHOLE ((uint64_t)((MTD_XSAVE << 1) - 1 - MTD_CTRL))
#define MTD_GPRS  (MTD_GPR_ACDB | MTD_GPR_BSD | MTD_GPR_R8_R15)
/* Registers but RIP and the general ones that most need. */
#define MTD_SOME (MTD_RSP | MTD_RFLAGS | MTD_QUAL | MTD_INJ | MTD_STA)
#define MTD_REST (~(uint64_t)(MTD_SOME | MTD_RIP_LEN | MTD_GPRS))

/*
 * One register after the other: the compiler would load many at once, and then
 * save and restore its own around that on every path, used or not.
 */
#define MOVE(to, from)                               \
	do {                                         \
		(to) = (from);                       \
		__asm__ volatile("" : : : "memory"); \
	} while (0)

/* X(mtd, name): general registers but RAX, which SVM has in the VMCB. */
#define STATE_GPRS(X)                                                                        \
	X(MTD_GPR_ACDB, rcx)                                                                 \
	X(MTD_GPR_ACDB, rdx) X(MTD_GPR_ACDB, rbx) X(MTD_GPR_BSD, rbp) X(MTD_GPR_BSD, rsi)    \
		X(MTD_GPR_BSD, rdi) X(MTD_GPR_R8_R15, r8) X(MTD_GPR_R8_R15, r9)              \
			X(MTD_GPR_R8_R15, r10) X(MTD_GPR_R8_R15, r11) X(MTD_GPR_R8_R15, r12) \
				X(MTD_GPR_R8_R15, r13) X(MTD_GPR_R8_R15, r14)                \
					X(MTD_GPR_R8_R15, r15)

/* X(mtd, name, NAME) */
#define STATE_SEGMENTS(X)                                                                   \
	X(MTD_DS_ES, ds, DS)                                                                \
	X(MTD_DS_ES, es, ES) X(MTD_FS_GS, fs, FS) X(MTD_FS_GS, gs, GS) X(MTD_CS_SS, cs, CS) \
		X(MTD_CS_SS, ss, SS) X(MTD_TR, tr, TR) X(MTD_LDTR, ldtr, LDTR)
#define STATE_TABLES(X) X(MTD_GDTR, gdtr, GDTR) X(MTD_IDTR, idtr, IDTR)
#define STATE_SYSENTER(X)                           \
	X(MTD_SYSENTER, sysenter_cs, SYSENTER_CS)   \
	X(MTD_SYSENTER, sysenter_rsp, SYSENTER_RSP) \
	X(MTD_SYSENTER, sysenter_rip, SYSENTER_RIP)
#define STATE_SYSCALL(X)                                                                         \
	X(MTD_SYSCALL, star, STAR)                                                               \
	X(MTD_SYSCALL, lstar, LSTAR) X(MTD_SYSCALL, cstar, CSTAR) X(MTD_SYSCALL, sfmask, SFMASK) \
		X(MTD_SYSCALL, kernel_gs_base, KERNEL_GS_BASE)

/* A function of its own, lest others save registers for it. */
#define VARIANT(name, type, code)                                                        \
	__attribute__((noinline)) static void name(struct ec *ec, type *u, uint64_t mtd) \
	{                                                                                \
		code;                                                                    \
	}

static ALWAYS_INLINE void vcpu_save_gprs(const struct regs *r, const uint64_t *rax, struct utcb *u,
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

static ALWAYS_INLINE void vcpu_load_gprs(struct regs *r, uint64_t *rax, const struct utcb *u,
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

/* What neither VMCB nor VMCS has. all: the MTD; mtd: it, or a constant. */
static ALWAYS_INLINE void vcpu_save_kept(struct ec *ec, const struct vcpu *v, struct utcb *u,
					 uint64_t mtd, uint64_t all)
{
	if (mtd & MTD_TSC) {
		u->tsc = rdtsc();
		u->tsc_offset = v->tsc_offset;
	}
	if (mtd & MTD_TSC_AUX)
		u->tsc_aux = v->tsc_aux;
	if (mtd & MTD_XSAVE) {
		u->xcr0 = ec->xcr0;
		u->xss = ec->xss;
	}
	if (all & MTD_FPU)
		fpu_save(ec, u);
}

/* Of the state that seldom is different: is it? */
static ALWAYS_INLINE bool vcpu_kept_differs(const struct ec *ec, const struct vcpu *v,
					    const struct utcb *u, uint64_t mtd)
{
	return (mtd & MTD_TSC && u->tsc_offset) ||
	       (mtd & MTD_TSC_AUX && u->tsc_aux != v->tsc_aux) ||
	       (mtd & MTD_XSAVE && (u->xcr0 ^ ec->xcr0) | (u->xss ^ ec->xss));
}
