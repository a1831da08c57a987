/*
 * The VMCS: its fields, how to get at them, and what their bits are called
 * (SDM 3C 25, 3D appendix B).
 *
 * What an access costs where KVM runs us is in its list of shadowed fields:
 * those named there are free, each other one is an exit to KVM.
 */
#pragma once

#include "../types.h"

enum vmcs_field {
#define FIELD(name, encoding, start) VMCS_##name = encoding,
#include "vmcs.def"
#undef FIELD
};

/* The four fields of a segment register are at the same distance for all. */
enum vmcs_segment {
	VMCS_ES, VMCS_CS, VMCS_SS, VMCS_DS, VMCS_FS, VMCS_GS, VMCS_LDTR, VMCS_TR,
	VMCS_SEGMENTS,
};
static_assert(VMCS_GUEST_TR_SELECTOR == VMCS_GUEST_ES_SELECTOR + 2 * VMCS_TR);
static_assert(VMCS_GUEST_TR_LIMIT == VMCS_GUEST_ES_LIMIT + 2 * VMCS_TR);
static_assert(VMCS_GUEST_TR_RIGHTS == VMCS_GUEST_ES_RIGHTS + 2 * VMCS_TR);
static_assert(VMCS_GUEST_TR_BASE == VMCS_GUEST_ES_BASE + 2 * VMCS_TR);

/* Pin-based controls: SDM 3C 25.6.1. */
enum {
	PIN_INTERRUPT_EXITING = 1 << 0,
	PIN_NMI_EXITING = 1 << 3,
	PIN_VIRTUAL_NMIS = 1 << 5,
};

/* Primary processor-based controls: SDM 3C 25.6.2. */
enum {
	PRIMARY_INTERRUPT_WINDOW = 1 << 2,
	PRIMARY_TSC_OFFSETTING = 1 << 3,
	PRIMARY_HLT_EXITING = 1 << 7,
	PRIMARY_INVLPG_EXITING = 1 << 9,
	PRIMARY_MWAIT_EXITING = 1 << 10,
	PRIMARY_RDPMC_EXITING = 1 << 11,
	PRIMARY_RDTSC_EXITING = 1 << 12,
	PRIMARY_CR3_LOAD_EXITING = 1 << 15,
	PRIMARY_CR3_STORE_EXITING = 1 << 16,
	PRIMARY_CR8_LOAD_EXITING = 1 << 19,
	PRIMARY_CR8_STORE_EXITING = 1 << 20,
	PRIMARY_TPR_SHADOW = 1 << 21,
	PRIMARY_NMI_WINDOW = 1 << 22,
	PRIMARY_MOV_DR_EXITING = 1 << 23,
	PRIMARY_IO_BITMAPS = 1 << 25,
	PRIMARY_MONITOR_TRAP = 1 << 27,
	PRIMARY_MSR_BITMAPS = 1 << 28,
	PRIMARY_MONITOR_EXITING = 1 << 29,
	PRIMARY_PAUSE_EXITING = 1 << 30,
};
#define PRIMARY_SECONDARY (1u << 31)

/* Secondary processor-based controls. */
enum {
	SECONDARY_EPT = 1 << 1,
	SECONDARY_TABLE_EXITING = 1 << 2,
	SECONDARY_RDTSCP = 1 << 3,
	SECONDARY_VPID = 1 << 5,
	SECONDARY_WBINVD_EXITING = 1 << 6,
	SECONDARY_UNRESTRICTED_GUEST = 1 << 7,
	SECONDARY_RDRAND_EXITING = 1 << 11,
	SECONDARY_INVPCID = 1 << 12,
	SECONDARY_RDSEED_EXITING = 1 << 16,
	SECONDARY_XSAVES = 1 << 20,
};

/* Exit and entry controls: SDM 3C 25.7, 25.8. */
enum {
	EXIT_SAVE_DEBUG = 1 << 2,
	EXIT_HOST_64 = 1 << 9,
	EXIT_ACKNOWLEDGE = 1 << 15,
	EXIT_LOAD_PAT = 1 << 19,
	EXIT_SAVE_EFER = 1 << 20,
	EXIT_LOAD_EFER = 1 << 21,

	ENTRY_LOAD_DEBUG = 1 << 2,
	ENTRY_GUEST_64 = 1 << 9,
	ENTRY_LOAD_PAT = 1 << 14,
	ENTRY_LOAD_EFER = 1 << 15,
};

/* Basic exit reasons that the kernel knows: SDM 3D appendix C. */
enum {
	REASON_EXCEPTION_NMI = 0,
	REASON_EXTERNAL_INTERRUPT = 1,
	REASON_CR_ACCESS = 28,
	REASON_MOV_DR = 29,
	REASON_INVALID_STATE = 33,
	REASON_MACHINE_CHECK = 41,
	REASON_EPT_VIOLATION = 48,
	REASON_BASIC = 0xff,	/* all that there are */
};
#define REASON_ENTRY_FAILED (1u << 31)

/* Interruption information, on exit: SDM 3C 25.9.2; types as in utcb.h. */
enum {
	INTERRUPTION_NMI_UNBLOCKED = 1 << 12,
};

/* Exit qualification: SDM 3C 28.2.1. */
enum {
	QUALIFICATION_NMI_UNBLOCKED = 1 << 12,	/* of an EPT violation */

	CR_NUMBER = 15,
	CR_TYPE = 3 << 4,
	CR_MOV_TO = 0 << 4,
	CR_REGISTER_SHIFT = 8,
};

/* An entry of an MSR area: SDM 3C 25.7.2. */
struct vmx_msr {
	uint32_t index;
	uint32_t reserved;
	uint64_t value;
};

static_assert(sizeof(struct vmx_msr) == 16);

static inline uint64_t vmread(enum vmcs_field field)
{
	uint64_t value;

	__asm__ volatile("vmread %1, %0"
			 : "=r"(value)
			 : "r"((uint64_t)field)
			 : "cc");
	return value;
}

static inline uint32_t vmread32(enum vmcs_field field)
{
	return (uint32_t)vmread(field);
}

static inline void vmread_to(uint64_t *to, enum vmcs_field field)
{
	__asm__ volatile("vmread %1, %0"
			 : "=m"(*to)
			 : "r"((uint64_t)field)
			 : "cc");
}

static inline void vmwrite(enum vmcs_field field, uint64_t value)
{
	__asm__ volatile("vmwrite %0, %1"
			 :
			 : "rm"(value), "r"((uint64_t)field)
			 : "cc");
}
