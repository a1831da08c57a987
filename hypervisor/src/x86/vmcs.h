/*
 * The VMCS: its fields, how to get at them, and what their bits are called
 * (SDM 3C 25, 3D appendix B).
 *
 * What an access costs where KVM runs us is in its list of shadowed fields:
 * those named there are free, each other one is an exit to KVM.
 */
#pragma once

#include <abi/utcb.h>

#include "../types.h"

enum vmcs_field {
	/* 16 bits; the four fields of a segment register: see below */
	VMCS_VPID = 0x0000,
	VMCS_GUEST_SELECTOR = 0x0800,
	VMCS_HOST_CS_SELECTOR = 0x0c02,
	VMCS_HOST_SS_SELECTOR = 0x0c04,
	VMCS_HOST_TR_SELECTOR = 0x0c0c,

	/* 64 bits: controls, exit information, guest, host */
	VMCS_IO_BITMAP_A = 0x2000,
	VMCS_IO_BITMAP_B = 0x2002,
	VMCS_MSR_BITMAP = 0x2004,
	VMCS_EXIT_MSR_STORE = 0x2006,
	VMCS_EXIT_MSR_LOAD = 0x2008,
	VMCS_ENTRY_MSR_LOAD = 0x200a,
	VMCS_TSC_OFFSET = 0x2010,
	VMCS_VIRTUAL_APIC = 0x2012,
	VMCS_EPTP = 0x201a,
	VMCS_XSS_EXITING_BITMAP = 0x202c,
	VMCS_GUEST_PHYSICAL_ADDRESS = 0x2400,
	VMCS_LINK_POINTER = 0x2800,
	VMCS_GUEST_PAT = 0x2804,
	VMCS_GUEST_EFER = 0x2806,
	VMCS_GUEST_PDPTE0 = 0x280a,
	VMCS_HOST_PAT = 0x2c00,
	VMCS_HOST_EFER = 0x2c02,

	/* 32 bits: controls, exit information, guest */
	VMCS_PIN_CONTROLS = 0x4000,
	VMCS_PRIMARY_CONTROLS = 0x4002,
	VMCS_EXCEPTION_BITMAP = 0x4004,
	VMCS_EXIT_CONTROLS = 0x400c,
	VMCS_EXIT_MSR_STORE_COUNT = 0x400e,
	VMCS_EXIT_MSR_LOAD_COUNT = 0x4010,
	VMCS_ENTRY_CONTROLS = 0x4012,
	VMCS_ENTRY_MSR_LOAD_COUNT = 0x4014,
	VMCS_ENTRY_INTERRUPTION = 0x4016,
	VMCS_ENTRY_ERROR_CODE = 0x4018,
	VMCS_ENTRY_INSTRUCTION_LENGTH = 0x401a,
	VMCS_TPR_THRESHOLD = 0x401c,
	VMCS_SECONDARY_CONTROLS = 0x401e,
	VMCS_EXIT_REASON = 0x4402,
	VMCS_EXIT_INTERRUPTION = 0x4404,
	VMCS_EXIT_ERROR_CODE = 0x4406,
	VMCS_IDT_VECTORING = 0x4408,
	VMCS_IDT_VECTORING_ERROR = 0x440a,
	VMCS_EXIT_INSTRUCTION_LENGTH = 0x440c,
	VMCS_GUEST_LIMIT = 0x4800,
	VMCS_GUEST_GDTR_LIMIT = 0x4810,
	VMCS_GUEST_IDTR_LIMIT = 0x4812,
	VMCS_GUEST_RIGHTS = 0x4814,
	VMCS_GUEST_INTERRUPTIBILITY = 0x4824,
	VMCS_GUEST_ACTIVITY = 0x4826,
	VMCS_GUEST_SYSENTER_CS = 0x482a,
	VMCS_PREEMPTION_TIMER = 0x482e,

	/* Natural width: controls, exit information, guest, host */
	VMCS_CR0_MASK = 0x6000,
	VMCS_CR4_MASK = 0x6002,
	VMCS_CR0_SHADOW = 0x6004,
	VMCS_CR4_SHADOW = 0x6006,
	VMCS_EXIT_QUALIFICATION = 0x6400,
	VMCS_GUEST_CR0 = 0x6800,
	VMCS_GUEST_CR3 = 0x6802,
	VMCS_GUEST_CR4 = 0x6804,
	VMCS_GUEST_BASE = 0x6806,
	VMCS_GUEST_GDTR_BASE = 0x6816,
	VMCS_GUEST_IDTR_BASE = 0x6818,
	VMCS_GUEST_DR7 = 0x681a,
	VMCS_GUEST_RSP = 0x681c,
	VMCS_GUEST_RIP = 0x681e,
	VMCS_GUEST_RFLAGS = 0x6820,
	VMCS_GUEST_PENDING_DEBUG = 0x6822,
	VMCS_GUEST_SYSENTER_RSP = 0x6824,
	VMCS_GUEST_SYSENTER_RIP = 0x6826,
	VMCS_HOST_CR0 = 0x6c00,
	VMCS_HOST_CR3 = 0x6c02,
	VMCS_HOST_CR4 = 0x6c04,
	VMCS_HOST_GS_BASE = 0x6c08,
	VMCS_HOST_TR_BASE = 0x6c0a,
	VMCS_HOST_GDTR_BASE = 0x6c0c,
	VMCS_HOST_IDTR_BASE = 0x6c0e,
	VMCS_HOST_RSP = 0x6c14,
	VMCS_HOST_RIP = 0x6c16,
};

/* A segment's number; the fields above are ES's. */
enum vmcs_segment {
	VMCS_ES,
	VMCS_CS,
	VMCS_SS,
	VMCS_DS,
	VMCS_FS,
	VMCS_GS,
	VMCS_LDTR,
	VMCS_TR,
	VMCS_SEGMENTS,
};

static inline enum vmcs_field vmcs_of(enum vmcs_field es, unsigned segment)
{
	return es + 2 * segment;
}

/* Pin-based controls: SDM 3C 25.6.1. */
enum {
	PIN_INTERRUPT_EXITING = 1 << 0,
	PIN_NMI_EXITING = 1 << 3,
	PIN_VIRTUAL_NMIS = 1 << 5,
	PIN_PREEMPTION_TIMER = 1 << 6,
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
	REASON_MSR_LOADING = 34,
	REASON_MACHINE_CHECK = 41,
	REASON_EPT_VIOLATION = 48,
	REASON_PREEMPTION_TIMER = 52,
	REASON_BASIC = 0xff, /* all that there are */
};
#define REASON_ENTRY_FAILED (1u << 31)

enum {
	/* Interruption information, on exit: SDM 3C 25.9.2; types as in utcb.h. */
	INTERRUPTION_NMI_UNBLOCKED = 1 << 12,

	/* Exit qualification: SDM 3C 28.2.1. */
	QUALIFICATION_NMI_UNBLOCKED = 1 << 12, /* of an EPT violation */
	CR_NUMBER = 15,
	CR_TYPE = 3 << 4,
	CR_MOV_TO = 0 << 4,
	CR_REGISTER_SHIFT = 8,
};

/*
 * The fields that report an event are as the UTCB has it, but for bits that
 * say other things there (SDM 3C 25.9.3), and so is the one that injects.
 */
#define INJECT_EVENT (INJECT_VALID | INJECT_ERROR_CODE | INJECT_TYPE | INJECT_VECTOR)

/* An entry of an MSR area: SDM 3C 25.7.2. */
struct vmx_msr {
	uint32_t index;
	uint32_t reserved;
	uint64_t value;
};

static_assert(sizeof(struct vmx_msr) == 16);

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
static inline uint32_t vmx_rights_from_utcb(uint16_t utcb)
{
	return (utcb & 0xffu) | (utcb & 0x1f00u) << 4;
}

static inline uint64_t vmread(enum vmcs_field field)
{
	uint64_t value;

	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((uint64_t)field) : "cc");
	return value;
}

static inline uint32_t vmread32(enum vmcs_field field)
{
	return (uint32_t)vmread(field);
}

static inline void vmread_to(uint64_t *to, enum vmcs_field field)
{
	__asm__ volatile("vmread %1, %0" : "=m"(*to) : "r"((uint64_t)field) : "cc");
}

static inline void vmwrite(enum vmcs_field field, uint64_t value)
{
	__asm__ volatile("vmwrite %0, %1" : : "rm"(value), "r"((uint64_t)field) : "cc");
}
