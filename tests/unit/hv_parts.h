/*
 * What MTD bits mean, as tests of both vendors' code have it: the fields of a
 * UTCB from one to another, in X(bit, first, last).
 */
#pragma once

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <abi/utcb.h>

#include "types.h"

/* clang-format off */
#define PARTS(X)                                                                                \
	X(MTD_GPR_ACDB, rax, rbx),                      X(MTD_GPR_BSD, rbp, rdi),               \
	X(MTD_GPR_R8_R15, r8, r15),                     X(MTD_RSP, rsp, rsp),                   \
	X(MTD_RIP_LEN, rip, rip),                       X(MTD_RFLAGS, rflags, rflags),          \
	X(MTD_DS_ES, es, es),                           X(MTD_DS_ES, ds, ds),                   \
	X(MTD_FS_GS, fs, gs),                           X(MTD_CS_SS, cs, ss),                   \
	X(MTD_TR, tr, tr),                              X(MTD_LDTR, ldtr, ldtr),                \
	X(MTD_CR, cr0, cr4),                            X(MTD_DR, dr7, dr7),                    \
	X(MTD_SYSENTER, sysenter_cs, sysenter_rip),     X(MTD_STA, interruptibility, activity), \
	X(MTD_EFER, efer, efer),                        X(MTD_SYSCALL, star, kernel_gs_base),   \
	X(MTD_TSC_AUX, tsc_aux, tsc_aux),
/* clang-format on */

struct part {
	uint64_t bit;
	size_t from, to;
};

#define PART_OF_UTCB(bit, first, last)                                             \
	{                                                                          \
		bit, offsetof(struct utcb, first),                                 \
			offsetof(struct utcb, last) + sizeof((struct utcb){}.last) \
	}

static const struct part loaded_parts[] = {
	PARTS(PART_OF_UTCB) PART_OF_UTCB(MTD_GDTR, gdtr.limit, gdtr.base),
	PART_OF_UTCB(MTD_IDTR, idtr.limit, idtr.base),
	PART_OF_UTCB(MTD_XSAVE, xcr0, xcr0),
	PART_OF_UTCB(MTD_TPR, tpr, tpr_threshold),
};

/* What else a bit may write to the UTCB. */
static const struct part saved_parts[] = {
	PART_OF_UTCB(MTD_RIP_LEN, length, length),
	PART_OF_UTCB(MTD_QUAL, qual, qual),
	PART_OF_UTCB(MTD_INJ, inject, inject_error),
	PART_OF_UTCB(MTD_TSC, tsc, tsc_offset),
	PART_OF_UTCB(MTD_PDPTE, pdpte, pdpte),
	PART_OF_UTCB(MTD_CR, cr8, cr8),
	PART_OF_UTCB(MTD_XSAVE, xss, xss),
	PART_OF_UTCB(MTD_GDTR, gdtr, gdtr),
	PART_OF_UTCB(MTD_IDTR, idtr, idtr),
	PART_OF_UTCB(MTD_RIGHTS, cs.rights, cs.rights),
	PART_OF_UTCB(MTD_RIGHTS, ss.rights, ss.rights),
};

static inline bool is_in(const struct part *parts, size_t n, uint64_t mtd, size_t at)
{
	for (size_t i = 0; i < n; i++)
		if (mtd & parts[i].bit && at >= parts[i].from && at < parts[i].to)
			return true;
	return false;
}

/*
 * Of a state `before`, of which `in` was loaded as the bit says, it is now `after`; and what
 * the bit alone saved into 0xa5. `known`: the bits that the vendor has.
 */
static inline void only_moved(uint64_t bit, uint64_t known, const void *before, const void *in,
			      const void *after, const void *alone)
{
	const uint8_t *b = before, *i = in, *a = after, *s = alone;
	size_t n = ARRAY_SIZE(loaded_parts);

	for (size_t at = offsetof(struct utcb, length); at < sizeof(struct utcb); at++) {
		bool loaded = is_in(loaded_parts, n, bit & known, at);

		if (at - offsetof(struct utcb, exit_reason) < sizeof(uint64_t))
			continue;
		if (!loaded && !is_in(saved_parts, ARRAY_SIZE(saved_parts), bit, at))
			assert_int_equal(s[at], 0xa5);
		if (is_in(loaded_parts, n, known, at))
			assert_int_equal(a[at], loaded ? i[at] : b[at]);
	}
}
