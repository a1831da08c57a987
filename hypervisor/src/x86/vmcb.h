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
#define VMCB_AT(field, at) static_assert(offsetof(struct vmcb, field) == (at))
VMCB_AT(intercept_exception, 0x008);
VMCB_AT(intercept, 0x00c);
VMCB_AT(iopm, 0x040);
VMCB_AT(tsc_offset, 0x050);
VMCB_AT(asid, 0x058);
VMCB_AT(tlb_control, 0x05c);
VMCB_AT(vintr, 0x060);
VMCB_AT(interrupt_shadow, 0x068);
VMCB_AT(exit_code, 0x070);
VMCB_AT(exit_int_info, 0x088);
VMCB_AT(np_enable, 0x090);
VMCB_AT(event, 0x0a8);
VMCB_AT(ncr3, 0x0b0);
VMCB_AT(clean, 0x0c0);
VMCB_AT(nrip, 0x0c8);
VMCB_AT(es, 0x400);
VMCB_AT(gdtr, 0x460);
VMCB_AT(tr, 0x490);
VMCB_AT(cpl, 0x4cb);
VMCB_AT(efer, 0x4d0);
VMCB_AT(cr4, 0x548);
VMCB_AT(rip, 0x578);
VMCB_AT(rsp, 0x5d8);
VMCB_AT(rax, 0x5f8);
VMCB_AT(star, 0x600);
VMCB_AT(cr2, 0x640);
VMCB_AT(pat, 0x668);
#undef VMCB_AT

enum {
	INTERCEPT_CR8_WRITE = 1 << (16 + 8), /* intercept_cr */

	/* intercept[0] */
	INTERCEPT_INTR = 1 << 0,
	INTERCEPT_NMI = 1 << 1,
	INTERCEPT_INIT = 1 << 3,
	INTERCEPT_VINTR = 1 << 4,
	INTERCEPT_RDPMC = 1 << 15,
	INTERCEPT_INVD = 1 << 22,
	INTERCEPT_HLT = 1 << 24,
	INTERCEPT_INVLPGA = 1 << 26,
	INTERCEPT_IO = 1 << 27,
	INTERCEPT_MSR = 1 << 28,

	/* intercept[1] */
	INTERCEPT_VMLOAD = 1 << 2,
	INTERCEPT_VMSAVE = 1 << 3,
	INTERCEPT_STGI = 1 << 4,
	INTERCEPT_CLGI = 1 << 5,
	INTERCEPT_SKINIT = 1 << 6,
	INTERCEPT_XSETBV = 1 << 13,
	INTERCEPT_RDPRU = 1 << 14,
};
#define INTERCEPT_SHUTDOWN (1u << 31) /* intercept[0] */
#define INTERCEPT_DR_ALL   (~0u)

/* vintr: APM 2 15.21 */
enum {
	VINTR_TPR = 0xf,
	VINTR_IRQ = 1 << 8,
	VINTR_PRIORITY = 0xf << 16,
	VINTR_IGNORE_TPR = 1 << 20,
	VINTR_MASKING = 1 << 24, /* RFLAGS.IF and CR8 are the guest's */
};

/* event, exit_int_info: APM 2 15.20; as in the UTCB, but for these. */
#define EVENT_INFO (INJECT_VALID | INJECT_ERROR_CODE | INJECT_TYPE | INJECT_VECTOR)
enum {
	EVENT_ERROR_SHIFT = 32,
	INTERRUPT_SHADOW = 1 << 0,
	SEGMENT_DPL_SHIFT = 5,
};

enum {
	TLB_FLUSH_ALL = 1,

	/* clean: the processor may use what it has of these; 15.15.4 */
	CLEAN_INTERCEPTS = 1 << 0, /* and the TSC offset */
	CLEAN_IOPM = 1 << 1,
	CLEAN_ASID = 1 << 2,
	CLEAN_TPR = 1 << 3, /* vintr */
	CLEAN_CR = 1 << 5,  /* and EFER */
	CLEAN_DR = 1 << 6,
	CLEAN_TABLES = 1 << 7,
	CLEAN_SEGMENTS = 1 << 8, /* CS, DS, ES, SS and CPL */
	CLEAN_CR2 = 1 << 9,
};
#define CLEAN_ALL (~0u)

enum svm_exit_code {
	EXIT_DR_FIRST = 0x20,
	EXIT_DR_LAST = 0x3f,
	EXIT_EXCEPTION = 0x40,
	EXIT_INTR = 0x60,
	EXIT_NMI = 0x61,
	EXIT_INIT = 0x63,
	EXIT_VINTR = 0x64,
	EXIT_NPF = 0x400,
	EXIT_INVALID = -1,
};
