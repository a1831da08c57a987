/*
 * Instructions that C cannot say, and the registers that they are for, by their
 * manuals' names: SDM 3A 2.5 and 4, APM 2 3.1.
 */
#pragma once

#include "../types.h"

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

enum { MSR_TSC = 0x10, MSR_TSC_ADJUST = 0x3b, MSR_TSC_DEADLINE = 0x6e0 };
enum { MSR_APIC_BASE = 0x1b, MSR_PAT = 0x277 };
enum { MSR_X2APIC = 0x800, MSR_XSS = 0xda0, MSR_EFER = 0xc0000080, MSR_TSC_AUX = 0xc0000103 };
enum { MSR_STAR = 0xc0000081, MSR_LSTAR = 0xc0000082, MSR_SFMASK = 0xc0000084 };
enum { MSR_FS_BASE = 0xc0000100, MSR_KERNEL_GS_BASE = 0xc0000102 };

enum { EFER_SCE = 1 << 0, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11 };
enum { EFER_SVME = 1 << 12, EFER_AUTOIBRS = 1 << 21 };

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(msr)
			 : "memory");
}

/*
 * Of registers that a processor or a hypervisor below us may not have; false:
 * #GP. An exception at the first address of the table goes on at the second.
 */
#define EXPECT(instruction, ok)           \
	"1: " instruction "\nmov $1, " ok \
	"\n2:\n.pushsection .extable, \"a\"\n.quad 1b, 2b\n.popsection\n"

[[nodiscard]] static inline bool rdmsr_safe(uint32_t msr, uint64_t *value)
{
	uint32_t low, high;
	bool ok = false;

	__asm__ volatile(EXPECT("rdmsr", "%2")
			 : "=a"(low), "=d"(high), "+r"(ok)
			 : "c"(msr), "0"(0), "1"(0));
	*value = (uint64_t)high << 32 | low;
	return ok;
}

[[nodiscard]] static inline bool wrmsr_safe(uint32_t msr, uint64_t value)
{
	bool ok = false;

	__asm__ volatile(EXPECT("wrmsr", "%0")
			 : "+r"(ok)
			 : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(msr)
			 : "memory");
	return ok;
}

static inline uint64_t rdtsc(void)
{
	return __builtin_ia32_rdtsc();
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

#define CPUID_1_ECX_HYPERVISOR (1u << 31)

static inline struct cpuid raw_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

/* 0 for leaves that there are not: the first of each range tells which is the last. */
static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	bool there = raw_cpuid(leaf & 0xc0000000, 0).eax >= leaf;

	return there ? raw_cpuid(leaf, subleaf) : (struct cpuid){0};
}

/* The first address that no memory or device can have: SDM 2A, leaf 80000008H. */
static inline uint64_t physical_end(void)
{
	unsigned bits = cpuid(0x80000008, 0).eax & 0xff;

	return 1ul << (!bits ? 36 : bits < 52 ? bits : 52);
}

#define PORT(bits, suffix)                                                           \
	static inline void out##bits(uint16_t port, uint##bits##_t value)            \
	{                                                                            \
		__asm__ volatile("out" suffix " %0, %1" : : "a"(value), "Nd"(port)); \
	}                                                                            \
	static inline uint##bits##_t in##bits(uint16_t port)                         \
	{                                                                            \
		uint##bits##_t value;                                                \
                                                                                     \
		__asm__ volatile("in" suffix " %1, %0" : "=a"(value) : "Nd"(port));  \
		return value;                                                        \
	}

PORT(8, "b")
PORT(16, "w")
PORT(32, "l")

#define CONTROL_REGISTER(name)                                                  \
	static inline uint64_t read_##name(void)                                \
	{                                                                       \
		uint64_t value;                                                 \
                                                                                \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(value));          \
		return value;                                                   \
	}                                                                       \
	static inline void write_##name(uint64_t value)                         \
	{                                                                       \
		__asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory"); \
	}

CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr2)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)

static inline void invlpg(uint64_t address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void wbinvd(void)
{
	__asm__ volatile("wbinvd" : : : "memory");
}

static inline void clts(void)
{
	__asm__ volatile("clts" : : : "memory");
}

static inline void xsetbv(uint32_t value)
{
	__asm__ volatile("xsetbv" : : "a"(value), "d"(0), "c"(0));
}

/* XCR0; its upper half is 0. */
static inline uint32_t xgetbv(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

_Noreturn static inline void halt_forever(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}
