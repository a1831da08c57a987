/*
 * Formats of VMX, apart from the processor: what the unit tests check.
 */
#pragma once

#include <abi/utcb.h>

#include "../types.h"

/*
 * Controls from what is wanted and a capability MSR: its low half has the bits
 * that must be 1, its high half those that may be (SDM 3D A.3 to A.5).
 */
static inline uint32_t vmx_controls(uint64_t capability, uint32_t wanted)
{
	return (wanted | (uint32_t)capability) & (uint32_t)(capability >> 32);
}

/* Bits that `need` names and a control's capability does not allow. */
static inline uint32_t vmx_missing(uint64_t capability, uint32_t need)
{
	return need & ~(uint32_t)(capability >> 32);
}

/*
 * Access rights: bits 7..0 are the same; AVL, L, D/B, G and unusable are at
 * 12..16 in the VMCS (SDM 3C 25.4.1), at 8..12 in the UTCB. All others are 0.
 */
static inline uint16_t vmx_rights_to_utcb(uint64_t vmcs)
{
	return (uint16_t)((vmcs >> 4 & ~0xfful) | (uint8_t)vmcs);
}

static inline uint32_t vmx_rights_from_utcb(uint16_t utcb)
{
	return (utcb & 0xffu) | (utcb & 0x1f00u) << 4;
}

/*
 * The fields that report an event are as the UTCB has it, but for bits that
 * say other things there (SDM 3C 25.9.3), and so is the one that injects.
 */
#define INJECT_EVENT \
	(INJECT_VALID | INJECT_ERROR_CODE | INJECT_TYPE | INJECT_VECTOR)

/* Parts of the MTD: registers but RIP and the general ones that cost little. */
#define MTD_SOME (MTD_RSP | MTD_RFLAGS | MTD_QUAL | MTD_INJ | MTD_STA)
#define MTD_SEGMENTS                                                   \
	(MTD_DS_ES | MTD_FS_GS | MTD_CS_SS | MTD_TR | MTD_LDTR |       \
	 MTD_GDTR | MTD_IDTR)
#define MTD_CONTROL (MTD_CR | MTD_DR | MTD_CTRL | MTD_EFER | MTD_PDPTE)
#define MTD_KEPT                                                       \
	(MTD_SYSENTER | MTD_TSC | MTD_SYSCALL | MTD_TPR |              \
	 MTD_TSC_AUX | MTD_XSAVE | MTD_FPU)
#define MTD_REST (MTD_SEGMENTS | MTD_CONTROL | MTD_KEPT)
/* What vmx_load.c compares with what vmx_save.c showed. */
#define MTD_SEEN (MTD_SEGMENTS | MTD_DR | MTD_EFER)
