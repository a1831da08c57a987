/*
 * The VMCB (APM 2 appendix B), its bits, and the exit codes that the kernel
 * knows (appendix C).
 */
#pragma once

#include <abi/utcb.h>

#include "../types.h"

struct vmcb {
	/* Control area */
	uint32_t intercept_cr, intercept_dr; /* reads 15..0, writes 31..16 */
	uint32_t intercept_exception;
	uint32_t intercept[3];
	uint32_t reserved0[10];
	uint64_t iopm, msrpm; /* physical addresses */
	uint64_t tsc_offset;
	uint32_t asid, tlb_control;
	uint64_t vintr;
	uint64_t interrupt_shadow;
	uint64_t exit_code, exit_info[2];
	uint64_t exit_int_info;
	uint64_t np_enable;
	uint64_t reserved1[2];
	uint64_t event; /* EVENTINJ */
	uint64_t ncr3;
	uint64_t lbr;
	uint32_t clean, reserved2;
	uint64_t nrip;
	uint8_t reserved3[0x400 - 0xd0];

	/* State save area */
	struct segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t reserved4[0x2b];
	uint8_t cpl;
	uint32_t reserved5;
	uint64_t efer;
	uint64_t reserved6[14];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint64_t reserved7[11];
	uint64_t rsp;
	uint64_t reserved8[3];
	uint64_t rax;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_rsp, sysenter_rip;
	uint64_t cr2;
	uint64_t reserved9[4];
	uint64_t pat;
	uint8_t reserved10[0x1000 - 0x670];
};

static_assert(sizeof(struct vmcb) == PAGE_SIZE);
/* What follows a reserved part; the rest is without gaps. */
#define VMCB_AT(field, at) static_assert(offsetof(struct vmcb, field) == (at))
VMCB_AT(iopm, 0x040);
VMCB_AT(event, 0x0a8);
VMCB_AT(nrip, 0x0c8);
VMCB_AT(es, 0x400);
VMCB_AT(cpl, 0x4cb);
VMCB_AT(efer, 0x4d0);
VMCB_AT(cr4, 0x548);
VMCB_AT(rsp, 0x5d8);
VMCB_AT(rax, 0x5f8);
VMCB_AT(pat, 0x668);
#undef VMCB_AT

enum { INTERCEPT_CR4_WRITE = 1 << (16 + 4), INTERCEPT_CR8_WRITE = 1 << (16 + 8) };
/* In intercept[0]; CR0: more than TS and MP would change. */
enum { INTERCEPT_VINTR = 1 << 4, INTERCEPT_CR0_CHANGE = 1 << 5 };
#define INTERCEPT_DR_ALL (~0u)

/* clang-format off */
/*
 * X(name, bit) of intercept[0] and [1]: those that the kernel must have, for
 * what ends guest mode for the host's sake, and what would reach the host's
 * memory, caches, ports, MSRs or identifiers.
 */
#define KERNEL_INTERCEPTS0(X) \
	X(INTR, 0) X(NMI, 1) X(INIT, 3) X(RDPMC, 15) X(INVD, 22) \
	X(HLT, 24) X(INVLPGA, 26) X(IO, 27) X(MSR, 28) X(SHUTDOWN, 31)
#define KERNEL_INTERCEPTS1(X) \
	X(VMLOAD, 2) X(VMSAVE, 3) X(STGI, 4) X(CLGI, 5) X(SKINIT, 6) X(XSETBV, 13) X(RDPRU, 14)
/* clang-format on */

#define INTERCEPT(name, bit) static const uint32_t INTERCEPT_##name = 1u << (bit);
KERNEL_INTERCEPTS0(INTERCEPT)
KERNEL_INTERCEPTS1(INTERCEPT)
#undef INTERCEPT

/* vintr: APM 2 15.21 */
enum {
	VINTR_TPR = 0xf,
	VINTR_IRQ = 1 << 8 | 0xf << 16 | 1 << 20, /* of the highest priority, whatever the TPR */
	VINTR_MASKING = 1 << 24,		  /* RFLAGS.IF and CR8 are the guest's */
};

/* Of event and exit_int_info, which are as INJECT_EVENT in the UTCB: APM 2 15.20. */
enum { EVENT_ERROR_SHIFT = 32 };
enum { INTERRUPT_SHADOW = 1 << 0, SEGMENT_DPL_SHIFT = 5, TLB_FLUSH_ALL = 1 };

/*
 * clean: the processor may use what it has of these; 15.15.4. With the
 * intercepts goes the TSC offset, with TPR vintr, with CR EFER, with the
 * segments (CS, DS, ES, SS) CPL.
 */
enum { CLEAN_INTERCEPTS = 1 << 0, CLEAN_IOPM = 1 << 1, CLEAN_ASID = 1 << 2, CLEAN_TPR = 1 << 3 };
enum { CLEAN_CR = 1 << 5, CLEAN_DR = 1 << 6, CLEAN_TABLES = 1 << 7 };
enum { CLEAN_SEGMENTS = 1 << 8, CLEAN_CR2 = 1 << 9 };
#define CLEAN_ALL (~0u)

enum { EXIT_DR_FIRST = 0x20, EXIT_DR_LAST = 0x3f, EXIT_EXCEPTION = 0x40, EXIT_INTR = 0x60 };
enum { EXIT_NMI = 0x61, EXIT_INIT = 0x63, EXIT_NPF = 0x400, EXIT_INVALID = -1 };
enum { EXIT_CR4_WRITE = 0x14, EXIT_CR0_CHANGE = 0x65 };
