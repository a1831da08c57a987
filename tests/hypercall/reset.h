/*
 * A vCPU's state after reset, in real mode.
 */
#pragma once

#include <abi/utcb.h>
#include <lib/string.h>

enum {
	RESET_CR0 = 1 << 4 | 1 << 5, /* ET, NE */
	RESET_RFLAGS = 1 << 1,
	RESET_DR7 = 0x400,

	MTD_GPR = MTD_GPR_ACDB | MTD_GPR_BSD | MTD_GPR_R8_R15,
	MTD_SEGMENTS = MTD_DS_ES | MTD_FS_GS | MTD_CS_SS,
	MTD_TABLES = MTD_TR | MTD_LDTR | MTD_GDTR | MTD_IDTR,

	/* Intercepts of SVM's words. */
	INTERCEPT_CPUID = 1 << 18,
	INTERCEPT_VMRUN = 1 << 0,
	INTERCEPT_VMMCALL = 1 << 1,
};

static inline void reset_segment(struct segment *s, uint16_t rights)
{
	*s = (struct segment){0, rights, 0xffff, 0};
}

/* All but the FPU; 0 where nothing else is said. */
static inline void reset_state(struct utcb *u)
{
	memset(u->word, 0, (uint64_t)((char *)u->fpu - (char *)u->word));
	reset_segment(&u->cs, 0x9b);
	reset_segment(&u->ss, 0x93);
	reset_segment(&u->ds, 0x93);
	reset_segment(&u->es, 0x93);
	reset_segment(&u->fs, 0x93);
	reset_segment(&u->gs, 0x93);
	reset_segment(&u->ldtr, 0x82);
	reset_segment(&u->tr, 0x8b);
	reset_segment(&u->gdtr, 0);
	reset_segment(&u->idtr, 0);
	u->rflags = RESET_RFLAGS;
	u->cr0 = RESET_CR0;
	u->dr7 = RESET_DR7;
}
