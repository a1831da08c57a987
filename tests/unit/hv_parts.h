/*
 * What MTD bits mean, as tests of both vendors' code have it: the fields of a
 * UTCB from one to another, in X(bit, first, last).
 */
#pragma once

#include <abi/utcb.h>

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
