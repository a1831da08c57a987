/*
 * The user thread control block: one page an EC shares with the kernel, in
 * which messages and the state of exceptions and VM exits are exchanged.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Message transfer descriptor: what state a portal carries, each way. */
enum {
	MTD_GPR_ACDB = 1 << 0, /* rax rcx rdx rbx */
	MTD_GPR_BSD = 1 << 1,  /* rbp rsi rdi */
	MTD_RSP = 1 << 2,
	MTD_RIP_LEN = 1 << 3,
	MTD_RFLAGS = 1 << 4,
	MTD_DS_ES = 1 << 5,
	MTD_FS_GS = 1 << 6,
	MTD_CS_SS = 1 << 7,
	MTD_TR = 1 << 8,
	MTD_LDTR = 1 << 9,
	MTD_GDTR = 1 << 10,
	MTD_IDTR = 1 << 11,
	MTD_CR = 1 << 12,
	MTD_DR = 1 << 13, /* dr7 */
	MTD_SYSENTER = 1 << 14,
	MTD_QUAL = 1 << 15, /* from the kernel only */
	MTD_CTRL = 1 << 16, /* to the kernel only */
	MTD_INJ = 1 << 17,
	MTD_STA = 1 << 18, /* interruptibility and activity */
	MTD_TSC = 1 << 19,
	MTD_EFER = 1 << 20,
	MTD_PDPTE = 1 << 21, /* VMX only */
	MTD_GPR_R8_R15 = 1 << 22,
	MTD_SYSCALL = 1 << 23, /* star lstar cstar sfmask kernel_gs_base */
	MTD_TPR = 1 << 24,     /* VMX only */
	MTD_TSC_AUX = 1 << 25,
	MTD_XSAVE = 1 << 26,  /* xcr0 xss */
	MTD_RIGHTS = 1 << 27, /* of cs and ss; from the kernel only */
};
#define MTD_FPU (1ul << 31)

/* What of it a thread (not a vCPU) has. */
#define MTD_THREAD                                                                    \
	(MTD_GPR_ACDB | MTD_GPR_BSD | MTD_RSP | MTD_RIP_LEN | MTD_RFLAGS | MTD_QUAL | \
	 MTD_GPR_R8_R15 | MTD_FPU)

/* A segment register of a guest. */
struct segment {
	uint16_t selector;
	uint16_t rights; /* SEGMENT_ bits; none for gdtr, idtr */
	uint32_t limit;	 /* in bytes, expanded by G */
	uint64_t base;
};

enum {
	SEGMENT_TYPE = 0xf,
	SEGMENT_S = 1 << 4,
	SEGMENT_DPL = 3 << 5,
	SEGMENT_P = 1 << 7,
	SEGMENT_AVL = 1 << 8,
	SEGMENT_L = 1 << 9,
	SEGMENT_DB = 1 << 10,
	SEGMENT_G = 1 << 11,
	SEGMENT_UNUSABLE = 1 << 12,
};

/* Injection info, as in the VMX interruption-information fields. */
enum {
	INJECT_VECTOR = 0xff,
	INJECT_TYPE = 7 << 8,
	INJECT_INTERRUPT = 0 << 8,
	INJECT_NMI = 2 << 8,
	INJECT_EXCEPTION = 3 << 8,
	INJECT_SOFT_INTERRUPT = 4 << 8,
	INJECT_PRIVILEGED_EXCEPTION = 5 << 8, /* INT1 */
	INJECT_SOFT_EXCEPTION = 6 << 8,	      /* INT3, INTO */
	INJECT_ERROR_CODE = 1 << 11,
	INJECT_INTERRUPT_WINDOW = 1 << 12, /* exit when it opens */
	INJECT_NMI_WINDOW = 1 << 13,	   /* VMX only */
};
#define INJECT_VALID (1u << 31)

/* Interruptibility and activity, as in the VMX guest-state fields. */
enum {
	SHADOW_STI = 1 << 0,
	SHADOW_MOV_SS = 1 << 1,
	BLOCKED_BY_SMI = 1 << 2,
	BLOCKED_BY_NMI = 1 << 3,

	ACTIVITY_ACTIVE = 0,
	ACTIVITY_HLT = 1,
};

enum {
	UTCB_SIZE = 4096,
	UTCB_WORDS = 508,     /* 64-bit words of data */
	UTCB_FPU_SIZE = 2560, /* bytes of FPU state, XSAVE's layout */
};

/* Word 0: untyped words and typed items of the message. */
#define UTCB_ITEMS(untyped, typed) ((unsigned long)(typed) << 16 | (unsigned long)(untyped))

struct utcb {
	uint64_t items;
	uint64_t translate; /* window: CRD to be translated into */
	uint64_t delegate;  /* window: CRD to be delegated into */
	uint64_t tls;	    /* the EC's own word */
	union {
		uint64_t word[UTCB_WORDS];
		struct {
			uint64_t mtd;
			uint64_t length; /* of the instruction, bytes */
			uint64_t rip, rflags;
			uint32_t interruptibility, activity;
			uint32_t inject, inject_error;
			uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
			uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
			uint64_t qual[2];
			uint32_t ctrl[2];
			uint64_t cr0, cr2, cr3, cr4, xcr0, xss, pdpte[4];
			uint64_t cr8, efer, star, lstar, cstar, sfmask;
			uint64_t kernel_gs_base;
			uint32_t tpr, tpr_threshold;
			uint64_t dr7;
			uint64_t sysenter_cs, sysenter_rsp, sysenter_rip;
			struct segment es, cs, ss, ds, fs, gs, ldtr, tr;
			struct segment gdtr, idtr;
			uint64_t tsc, tsc_offset, tsc_aux;
			uint64_t exit_reason;
			uint8_t fpu[UTCB_FPU_SIZE];
		};
	};
};

_Static_assert(sizeof(struct segment) == 16, "abi");
_Static_assert(sizeof(struct utcb) == UTCB_SIZE, "abi");

#define UTCB_AT(field, at) _Static_assert(offsetof(struct utcb, field) == 32 + (at), #field)
UTCB_AT(mtd, 0x000);
UTCB_AT(length, 0x008);
UTCB_AT(rip, 0x010);
UTCB_AT(rflags, 0x018);
UTCB_AT(interruptibility, 0x020);
UTCB_AT(activity, 0x024);
UTCB_AT(inject, 0x028);
UTCB_AT(inject_error, 0x02c);
UTCB_AT(rax, 0x030);
UTCB_AT(rsp, 0x050);
UTCB_AT(r8, 0x070);
UTCB_AT(qual, 0x0b0);
UTCB_AT(ctrl, 0x0c0);
UTCB_AT(cr0, 0x0c8);
UTCB_AT(cr2, 0x0d0);
UTCB_AT(cr3, 0x0d8);
UTCB_AT(cr4, 0x0e0);
UTCB_AT(xcr0, 0x0e8);
UTCB_AT(xss, 0x0f0);
UTCB_AT(pdpte, 0x0f8);
UTCB_AT(cr8, 0x118);
UTCB_AT(efer, 0x120);
UTCB_AT(star, 0x128);
UTCB_AT(kernel_gs_base, 0x148);
UTCB_AT(tpr, 0x150);
UTCB_AT(dr7, 0x158);
UTCB_AT(sysenter_cs, 0x160);
UTCB_AT(sysenter_rip, 0x170);
UTCB_AT(es, 0x178);
UTCB_AT(cs, 0x188);
UTCB_AT(ss, 0x198);
UTCB_AT(ds, 0x1a8);
UTCB_AT(fs, 0x1b8);
UTCB_AT(gs, 0x1c8);
UTCB_AT(ldtr, 0x1d8);
UTCB_AT(tr, 0x1e8);
UTCB_AT(gdtr, 0x1f8);
UTCB_AT(idtr, 0x208);
UTCB_AT(tsc, 0x218);
UTCB_AT(tsc_offset, 0x220);
UTCB_AT(tsc_aux, 0x228);
UTCB_AT(exit_reason, 0x230);
UTCB_AT(fpu, 0x238);
#undef UTCB_AT

/*
 * Typed item i (from 0): word[utcb_item_word(i)] is its CRD, the word after it the
 * kind, flags and hotspot. Items grow down from the end of the page.
 */
static inline unsigned utcb_item_word(unsigned i)
{
	return UTCB_WORDS - 2 * (i + 1);
}
