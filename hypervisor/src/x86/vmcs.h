/*
 * The VMCS: its fields, how to get at them, and what their bits are called
 * (SDM 3C 25, 3D appendix B); VMX instructions (3D 31).
 *
 * What an access costs where KVM runs us is in its list of shadowed fields:
 * those named there are free, each other one is an exit to KVM.
 */
#pragma once

#include <abi/utcb.h>

#include "../types.h"

/*
 * Fields with encodings that follow each other, the first of which is named.
 * All are even, so that half of it is their number here. Those of the guest's
 * segments and tables are of its ES; the others follow in the UTCB's order.
 */
#define VMCS(encoding, first, ...) enum { first = (encoding) / 2, __VA_ARGS__ }

/* 16 bits */
VMCS(0x0000, VMCS_VPID);
VMCS(0x0800, VMCS_GUEST_SELECTOR);
VMCS(0x0c02, VMCS_HOST_CS_SELECTOR, VMCS_HOST_SS_SELECTOR);
VMCS(0x0c0c, VMCS_HOST_TR_SELECTOR);
/* 64 bits: controls, exit information, guest, host */
VMCS(0x2000, VMCS_IO_BITMAP_A, VMCS_IO_BITMAP_B, VMCS_MSR_BITMAP, VMCS_EXIT_MSR_STORE,
     VMCS_EXIT_MSR_LOAD, VMCS_ENTRY_MSR_LOAD);
VMCS(0x2010, VMCS_TSC_OFFSET, VMCS_VIRTUAL_APIC);
VMCS(0x201a, VMCS_EPTP);
VMCS(0x202c, VMCS_XSS_EXITING_BITMAP);
VMCS(0x2400, VMCS_GUEST_PHYSICAL_ADDRESS);
VMCS(0x2800, VMCS_LINK_POINTER);
VMCS(0x2804, VMCS_GUEST_PAT, VMCS_GUEST_EFER);
VMCS(0x280a, VMCS_GUEST_PDPTE0);
VMCS(0x2c00, VMCS_HOST_PAT, VMCS_HOST_EFER);
/* 32 bits: controls, exit information, guest */
VMCS(0x4000, VMCS_PIN_CONTROLS, VMCS_PRIMARY_CONTROLS, VMCS_EXCEPTION_BITMAP);
VMCS(0x400c, VMCS_EXIT_CONTROLS, VMCS_EXIT_MSR_STORE_COUNT, VMCS_EXIT_MSR_LOAD_COUNT,
     VMCS_ENTRY_CONTROLS, VMCS_ENTRY_MSR_LOAD_COUNT, VMCS_ENTRY_INTERRUPTION, VMCS_ENTRY_ERROR_CODE,
     VMCS_ENTRY_INSTRUCTION_LENGTH, VMCS_TPR_THRESHOLD, VMCS_SECONDARY_CONTROLS);
VMCS(0x4402, VMCS_EXIT_REASON, VMCS_EXIT_INTERRUPTION, VMCS_EXIT_ERROR_CODE, VMCS_IDT_VECTORING,
     VMCS_IDT_VECTORING_ERROR, VMCS_EXIT_INSTRUCTION_LENGTH);
VMCS(0x4800, VMCS_GUEST_LIMIT);
VMCS(0x4814, VMCS_GUEST_RIGHTS);
VMCS(0x4824, VMCS_GUEST_INTERRUPTIBILITY, VMCS_GUEST_ACTIVITY);
VMCS(0x482a, VMCS_GUEST_SYSENTER_CS);
VMCS(0x482e, VMCS_PREEMPTION_TIMER);
/* Natural width: controls, exit information, guest, host */
VMCS(0x6000, VMCS_CR0_MASK, VMCS_CR4_MASK, VMCS_CR0_SHADOW, VMCS_CR4_SHADOW);
VMCS(0x6400, VMCS_EXIT_QUALIFICATION);
VMCS(0x6800, VMCS_GUEST_CR0, VMCS_GUEST_CR3, VMCS_GUEST_CR4, VMCS_GUEST_BASE);
VMCS(0x681a, VMCS_GUEST_DR7, VMCS_GUEST_RSP, VMCS_GUEST_RIP, VMCS_GUEST_RFLAGS,
     VMCS_GUEST_PENDING_DEBUG, VMCS_GUEST_SYSENTER_RSP, VMCS_GUEST_SYSENTER_RIP);
VMCS(0x6c00, VMCS_HOST_CR0, VMCS_HOST_CR3, VMCS_HOST_CR4);
VMCS(0x6c08, VMCS_HOST_GS_BASE, VMCS_HOST_TR_BASE, VMCS_HOST_GDTR_BASE, VMCS_HOST_IDTR_BASE);
VMCS(0x6c14, VMCS_HOST_RSP, VMCS_HOST_RIP);

/* What is done with a control. */
enum {
	NEED = 1, /* set, and nothing works without it */
	WANT = 2, /* set if the processor has it */
	MAY = 4,  /* it must be possible to set it */
	OFF = 8,  /* and this, to clear it */
	VMM = 16, /* a VMM may have it */
};

/*
 * X(kind, name, bit, use): SDM 3C 25.6 to 25.8.
 *
 * Without exits on CR8 the guest would change the priority of the host's local
 * APIC, and without those on debug registers what other vCPUs have in them.
 */
/* clang-format off */
#define VMX_CONTROL_TABLE(X)                                                                    \
	X(PIN, INTERRUPT_EXITING, 0, NEED)              X(PIN, NMI_EXITING, 3, NEED)            \
	X(PIN, VIRTUAL_NMIS, 5, WANT)                   X(PIN, PREEMPTION_TIMER, 6, WANT)       \
	X(PRIMARY, INTERRUPT_WINDOW, 2, MAY)            X(PRIMARY, TSC_OFFSETTING, 3, WANT)     \
	X(PRIMARY, HLT_EXITING, 7, NEED)                X(PRIMARY, INVLPG_EXITING, 9, VMM)      \
	X(PRIMARY, MWAIT_EXITING, 10, VMM)              X(PRIMARY, RDPMC_EXITING, 11, NEED)     \
	X(PRIMARY, RDTSC_EXITING, 12, VMM)              X(PRIMARY, CR3_LOAD_EXITING, 15, OFF)   \
	X(PRIMARY, CR3_STORE_EXITING, 16, OFF)          X(PRIMARY, CR8_LOAD_EXITING, 19, NEED | VMM) \
	X(PRIMARY, CR8_STORE_EXITING, 20, NEED | VMM)   X(PRIMARY, TPR_SHADOW, 21, VMM)         \
	X(PRIMARY, NMI_WINDOW, 22, 0)                   X(PRIMARY, MOV_DR_EXITING, 23, NEED | VMM) \
	X(PRIMARY, IO_BITMAPS, 25, NEED)                X(PRIMARY, MONITOR_TRAP, 27, VMM)       \
	X(PRIMARY, MSR_BITMAPS, 28, NEED)               X(PRIMARY, MONITOR_EXITING, 29, VMM)    \
	X(PRIMARY, PAUSE_EXITING, 30, VMM)              X(PRIMARY, SECONDARY, 31, NEED)         \
	X(EXIT, SAVE_DEBUG, 2, WANT)                    X(EXIT, HOST_64, 9, NEED)               \
	X(EXIT, ACKNOWLEDGE, 15, NEED)                  X(EXIT, LOAD_PAT, 19, WANT)             \
	X(EXIT, SAVE_EFER, 20, NEED)                    X(EXIT, LOAD_EFER, 21, NEED)            \
	X(ENTRY, LOAD_DEBUG, 2, WANT)                   X(ENTRY, GUEST_64, 9, 0)                \
	X(ENTRY, LOAD_PAT, 14, WANT)                    X(ENTRY, LOAD_EFER, 15, NEED)           \
	X(SECONDARY, EPT, 1, NEED)                      X(SECONDARY, TABLE_EXITING, 2, VMM)     \
	X(SECONDARY, RDTSCP, 3, WANT)                   X(SECONDARY, VPID, 5, WANT)             \
	X(SECONDARY, WBINVD_EXITING, 6, VMM)            X(SECONDARY, UNRESTRICTED_GUEST, 7, NEED) \
	X(SECONDARY, RDRAND_EXITING, 11, VMM)           X(SECONDARY, INVPCID, 12, WANT)         \
	X(SECONDARY, RDSEED_EXITING, 16, VMM)           X(SECONDARY, XSAVES, 20, WANT)
/* clang-format on */

enum { VMX_PIN, VMX_PRIMARY, VMX_EXIT, VMX_ENTRY, VMX_SECONDARY, VMX_CONTROLS };

#define CONTROL(kind, name, bit, use) static const uint32_t kind##_##name = 1u << (bit);
VMX_CONTROL_TABLE(CONTROL)
#undef CONTROL

/* The controls of that kind that have any of these uses. */
static inline uint32_t vmx_controls(unsigned kind, unsigned uses)
{
	uint32_t set = 0;

#define CONTROL(of, name, bit, use) set |= VMX_##of == kind && (use)&uses ? of##_##name : 0;
	VMX_CONTROL_TABLE(CONTROL)
#undef CONTROL
	return set;
}

/* Basic exit reasons that the kernel knows (SDM 3D appendix C); all fit into REASON_BASIC. */
enum { REASON_EXCEPTION_NMI = 0, REASON_EXTERNAL_INTERRUPT = 1, REASON_CR_ACCESS = 28 };
enum { REASON_MOV_DR = 29, REASON_INVALID_STATE = 33, REASON_MSR_LOADING = 34 };
enum { REASON_MACHINE_CHECK = 41, REASON_EPT_VIOLATION = 48, REASON_PREEMPTION_TIMER = 52 };
enum { REASON_BASIC = 0xff };
#define REASON_ENTRY_FAILED (1u << 31)

/* In interruption information and an EPT violation's qualification: SDM 3C 28.2.1, 25.9.2. */
enum { NMI_UNBLOCKED = 1 << 12 };
/* Qualification of an access to a control register: SDM 3C 28.2.1. */
enum { CR_NUMBER = 15, CR_TYPE = 3 << 4, CR_MOV_TO = 0 << 4, CR_REGISTER_SHIFT = 8 };

/* An entry of an MSR area: SDM 3C 25.7.2. */
struct vmx_msr {
	uint32_t index;
	uint32_t reserved;
	uint64_t value;
};

static_assert(sizeof(struct vmx_msr) == 16);

/*
 * Access rights: bits 7..0 are the same; AVL, L, D/B, G and unusable are at
 * 12..16 in the VMCS (SDM 3C 25.4.1), at 8..12 in the UTCB. All others are 0.
 */
static inline uint32_t vmx_rights_from_utcb(uint16_t utcb)
{
	return (utcb & 0xffu) | (utcb & 0x1f00u) << 4;
}

static inline uint64_t vmread(unsigned field)
{
	uint64_t value;

	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(2ul * field) : "cc");
	return value;
}

static inline uint32_t vmread32(unsigned field)
{
	return (uint32_t)vmread(field);
}

static inline void vmread_to(uint64_t *to, unsigned field)
{
	__asm__ volatile("vmread %1, %0" : "=m"(*to) : "r"(2ul * field) : "cc");
}

static inline void vmwrite(unsigned field, uint64_t value)
{
	__asm__ volatile("vmwrite %0, %1" : : "rm"(value), "r"(2ul * field) : "cc");
}

/* They return whether the processor accepted them (VMsucceed). */
#define VMX_POINTER(insn)                                                           \
	static inline bool insn(uint64_t phys)                                      \
	{                                                                           \
		bool ok;                                                            \
                                                                                    \
		__asm__ volatile(#insn " %1" : "=@cca"(ok) : "m"(phys) : "memory"); \
		return ok;                                                          \
	}
VMX_POINTER(vmxon)
VMX_POINTER(vmclear)
VMX_POINTER(vmptrld)
#undef VMX_POINTER

enum { INVEPT_SINGLE = 1, INVVPID_ALL = 2 };

/* what: EPTP or VPID */
#define VMX_INVALIDATE(insn)                                                                       \
	static inline void insn(uint64_t type, uint64_t what)                                      \
	{                                                                                          \
		uint64_t descriptor[2] = {what, 0};                                                \
                                                                                                   \
		__asm__ volatile(#insn " %0, %1" : : "m"(descriptor), "r"(type) : "cc", "memory"); \
	}
VMX_INVALIDATE(invept)
VMX_INVALIDATE(invvpid)
#undef VMX_INVALIDATE
