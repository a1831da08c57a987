/*
 * Model-specific registers by their manual's names, and access to those that a
 * processor or a hypervisor below us may not have.
 */
#pragma once

#include "../types.h"

enum {
	MSR_APIC_BASE = 0x1b,
	MSR_TSC_ADJUST = 0x3b,
	MSR_PAT = 0x277,
	MSR_TSC_DEADLINE = 0x6e0,
	MSR_X2APIC = 0x800,
	MSR_XSS = 0xda0,
	MSR_EFER = 0xc0000080,
	MSR_STAR = 0xc0000081,
	MSR_LSTAR = 0xc0000082,
	MSR_CSTAR = 0xc0000083,
	MSR_SFMASK = 0xc0000084,
	MSR_FS_BASE = 0xc0000100,
	MSR_GS_BASE = 0xc0000101,
	MSR_KERNEL_GS_BASE = 0xc0000102,
	MSR_TSC_AUX = 0xc0000103,
};

enum {
	EFER_SCE = 1 << 0,
	EFER_LME = 1 << 8,
	EFER_LMA = 1 << 10,
	EFER_NXE = 1 << 11,
	EFER_SVME = 1 << 12,
	EFER_AUTOIBRS = 1 << 21,
};

/*
 * Exceptions that the kernel expects: an exception at the first address goes on
 * at the second.
 */
#define EXTABLE(rip, fixup)              \
	".pushsection .extable, \"a\"\n" \
	".quad " rip ", " fixup "\n"     \
	".popsection\n"

/* False: #GP. */
[[nodiscard]] static inline bool rdmsr_safe(uint32_t msr, uint64_t *value)
{
	uint32_t low, high;
	bool ok = false;

	__asm__ volatile("1: rdmsr\n"
			 "mov $1, %2\n"
			 "2:\n" EXTABLE("1b", "2b")
			 : "=a"(low), "=d"(high), "+r"(ok)
			 : "c"(msr), "0"(0), "1"(0));
	*value = (uint64_t)high << 32 | low;
	return ok;
}

[[nodiscard]] static inline bool wrmsr_safe(uint32_t msr, uint64_t value)
{
	bool ok = false;

	__asm__ volatile("1: wrmsr\n"
			 "mov $1, %0\n"
			 "2:\n" EXTABLE("1b", "2b")
			 : "+r"(ok)
			 : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(msr)
			 : "memory");
	return ok;
}
