/*
 * Bits of the control and debug registers, and of RFLAGS: SDM 3A 2.5, APM 2 3.1.
 */
#pragma once

#define CR0_PE (1ul << 0)
#define CR0_MP (1ul << 1)
#define CR0_TS (1ul << 3)
#define CR0_ET (1ul << 4)
#define CR0_NE (1ul << 5)
#define CR0_WP (1ul << 16)
#define CR0_NW (1ul << 29)
#define CR0_CD (1ul << 30)
#define CR0_PG (1ul << 31)

#define CR4_PAE	       (1ul << 5)
#define CR4_MCE	       (1ul << 6)
#define CR4_PGE	       (1ul << 7)
#define CR4_OSFXSR     (1ul << 9)
#define CR4_OSXMMEXCPT (1ul << 10)
#define CR4_UMIP       (1ul << 11)
#define CR4_VMXE       (1ul << 13)
#define CR4_OSXSAVE    (1ul << 18)
#define CR4_KL	       (1ul << 19)
#define CR4_SMEP       (1ul << 20)
#define CR4_SMAP       (1ul << 21)
#define CR4_CET	       (1ul << 23)
#define CR4_UINTR      (1ul << 25)

#define RFLAGS_FIXED 2ul
#define RFLAGS_TF    (1ul << 8)

/* SDM 3B 18.2 */
#define DR6_BD	    (1ul << 13)
#define DR6_BS	    (1ul << 14)
#define DR6_CAUSES  (DR6_BD | DR6_BS | 15)
#define DR7_FIXED   0x400ul
#define DR7_ENABLED 0xfful /* any of the four breakpoints */
#define DR7_GD	    (1ul << 13)
