/*
 * The state of a vCPU as lists: what an MTD bit moves, by the names that UTCB,
 * VMCB and struct vmx have in common; and how both vendors' code moves it.
 */
#pragma once

#include "../fpu.h"
#include "../state.h"
#include "insn.h"
#include "vcpu.h"

/* Parts of the MTD. */
#define MTD_WHOLE ((uint64_t)((MTD_XSAVE << 1) - 1 - MTD_CTRL))
/* Registers but RIP and the general ones that most need. */
#define MTD_SOME (MTD_RSP | MTD_RFLAGS | MTD_QUAL | MTD_INJ | MTD_STA)
#define MTD_REST (~(uint64_t)(MTD_SOME | MTD_RIP_LEN | MTD_GPRS))

/* clang-format off */
/* X(MTD bit, name, ...). Segments and tables are in the UTCB in the order of VMX' numbers. */
#define STATE_SEGMENTS(X)                                                                     \
	X(MTD_DS_ES, es) X(MTD_CS_SS, cs) X(MTD_CS_SS, ss) X(MTD_DS_ES, ds) X(MTD_FS_GS, fs)  \
	X(MTD_FS_GS, gs) X(MTD_LDTR, ldtr) X(MTD_TR, tr) X(MTD_GDTR, gdtr) X(MTD_IDTR, idtr)
#define STATE_SYSENTER(X)                                                                     \
	X(MTD_SYSENTER, sysenter_cs, SYSENTER_CS) X(MTD_SYSENTER, sysenter_rsp, SYSENTER_RSP) \
	X(MTD_SYSENTER, sysenter_rip, SYSENTER_RIP)
#define STATE_SYSCALL(X)                                                                      \
	X(MTD_SYSCALL, star, STAR) X(MTD_SYSCALL, lstar, LSTAR) X(MTD_SYSCALL, cstar, CSTAR)  \
	X(MTD_SYSCALL, sfmask, SFMASK) X(MTD_SYSCALL, kernel_gs_base, KERNEL_GS_BASE)
/* clang-format on */

/*
 * The vendor's function `name` from its always inlined `move`. Most exits need
 * little state, some VMMs want all that there is: the code is compiled for
 * little, for anything, and for the whole, with constants for `mtd` in which
 * the compiler leaves questions out. `all` is what is asked for. `rest` is what
 * the first of these does not move, `most` what the last does. The first and
 * the last need something to be ready, for the other it is made so; and each is
 * a function of its own, lest one save registers for another.
 */
#define VCPU_MOVES(name, move, utcb_type, rest, most, is_ready, make_ready)          \
	static NOINLINE void move##_any(struct ec *ec, utcb_type *u, uint64_t mtd)   \
	{                                                                            \
		make_ready(ec, mtd);                                                 \
		move(ec, u, mtd, mtd);                                               \
	}                                                                            \
	static NOINLINE void move##_whole(struct ec *ec, utcb_type *u, uint64_t mtd) \
	{                                                                            \
		move(ec, u, mtd, MTD_WHOLE);                                         \
	}                                                                            \
	void name(struct ec *ec, utcb_type *u, uint64_t mtd)                         \
	{                                                                            \
		if (likely(!(mtd & (rest)) && is_ready(ec, mtd & ~(rest))))          \
			move(ec, u, mtd, mtd & ~(rest));                             \
		else if ((mtd & (most)) == (most) && is_ready(ec, most))             \
			move##_whole(ec, u, mtd);                                    \
		else                                                                 \
			move##_any(ec, u, mtd);                                      \
	}

/* What neither VMCB nor VMCS has. all: the MTD; mtd: it, or a constant. */
static ALWAYS_INLINE void vcpu_save_kept(struct ec *ec, const struct vcpu *v, struct utcb *u,
					 uint64_t all, uint64_t mtd)
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

/* Of the state that seldom is different, or much work: is it? dr7: as it is loaded. */
static ALWAYS_INLINE bool vcpu_differs(const struct ec *ec, const struct vcpu *v,
				       const struct utcb *u, uint64_t dr7, uint64_t all,
				       uint64_t mtd)
{
	return (mtd & MTD_DR && dr7 & DR7_ENABLED && !v->debugs) ||
	       (mtd & MTD_TSC && u->tsc_offset) ||
	       (mtd & MTD_TSC_AUX && u->tsc_aux != v->tsc_aux) ||
	       (mtd & MTD_XSAVE && (u->xcr0 ^ ec->xcr0) | (u->xss ^ ec->xss)) ||
	       all & (MTD_CTRL | MTD_FPU);
}
