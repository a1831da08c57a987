/*
 * XSAVE where there is one, else FXSAVE. All that the processor offers and a
 * UTCB has room for is on in XCR0; a vCPU's own XCR0 is loaded while its state
 * is in the registers.
 */
#include "fpu.h"

#include <abi/utcb.h>

#include "ec.h"
#include "page.h"
#include "x86/cpu.h"
#include "x86/insn.h"

enum {
	CR0_TS = 1 << 3,
	CR4_OSXSAVE = 1 << 18,

	CPUID_1_ECX_XSAVE = 1 << 26,

	/* SDM 1 13.1: x87, SSE, AVX, AVX-512 (three), PKRU not */
	XCR0_KNOWN = 0xe7,

	FPU_CONTROL = 0x37f,	/* after reset */
	FPU_MXCSR = 0x1f80,
	AT_MXCSR = 24,
	AT_HEADER = 512,	/* of the XSAVE area */
	LEGACY_SIZE = 512,
};

uint64_t fpu_xcr0 = 1;

static bool have_xsave;
static uint32_t size = LEGACY_SIZE;	/* of the state, bytes */

/* For programs that never used the FPU. */
static uint8_t initial[PAGE_SIZE] aligned_to(64);

static void init_area(uint8_t *area)
{
	__builtin_memset(area, 0, PAGE_SIZE);
	*(uint16_t *)area = FPU_CONTROL;
	*(uint32_t *)(area + AT_MXCSR) = FPU_MXCSR;
}

void fpu_init(struct cpu *cpu)
{
	if (cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE) {
		struct cpuid c = cpuid(0xd, 0);

		have_xsave = true;
		write_cr4(read_cr4() | CR4_OSXSAVE);
		fpu_xcr0 = ((uint64_t)c.edx << 32 | c.eax) & XCR0_KNOWN;
		xsetbv(0, fpu_xcr0);
		size = cpuid(0xd, 0).ebx;
		if (size > UTCB_FPU_SIZE) {
			/* AVX-512 in an unusual place: do without. */
			fpu_xcr0 &= 7;
			xsetbv(0, fpu_xcr0);
			size = cpuid(0xd, 0).ebx;
		}
	}
	cpu->xcr0 = fpu_xcr0;
	cpu->fpu_owner = NULL;
	cpu->fpu_live = 0;
	write_cr0(read_cr0() | CR0_TS);
	init_area(initial);
}

void *fpu_alloc(struct pd *payer)
{
	uint8_t *area = page_alloc(payer, 0, false);

	if (area) {
		init_area(area);
	}
	return area;
}

void fpu_free(struct pd *payer, void *fpu)
{
	page_free(payer, fpu, 0);
}

static void set_xcr0(struct cpu *cpu, uint64_t value)
{
	if (have_xsave && cpu->xcr0 != value) {
		cpu->xcr0 = value;
		xsetbv(0, value);
	}
}

static void save(void *area)
{
	if (have_xsave) {
		__asm__ volatile("xsave64 (%0)"
				 :
				 : "r"(area), "a"(~0u), "d"(~0u)
				 : "memory");
	} else {
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
	}
}

static void restore(const void *area)
{
	if (have_xsave) {
		__asm__ volatile("xrstor64 (%0)"
				 :
				 : "r"(area), "a"(~0u), "d"(~0u)
				 : "memory");
	} else {
		__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
	}
}

/* Store the owner's state; needs CR0.TS clear, XCR0 the kernel's. */
static void save_owner(struct cpu *cpu)
{
	set_xcr0(cpu, fpu_xcr0);
	if (cpu->fpu_owner) {
		save(cpu->fpu_owner->fpu);
	}
}

static void live(struct cpu *cpu)
{
	if (!cpu->fpu_live) {
		clts();
		cpu->fpu_live = 1;
	}
}

void fpu_disable(struct cpu *cpu)
{
	if (cpu->fpu_live) {
		write_cr0(read_cr0() | CR0_TS);
		cpu->fpu_live = 0;
	}
}

void fpu_switch(struct ec *ec)
{
	struct cpu *cpu = this_cpu();
	bool was_live = cpu->fpu_live;

	if (cpu->fpu_owner != ec) {
		live(cpu);
		save_owner(cpu);
		restore(ec->fpu);
		cpu->fpu_owner = ec;
	}
	set_xcr0(cpu, ec_is_vcpu(ec) ? ec->xcr0 : fpu_xcr0);
	if (!was_live) {
		fpu_disable(cpu);
	}
}

void fpu_use(struct ec *ec)
{
	ec->fpu_used = 1;
	fpu_switch(ec);
	live(this_cpu());
}

void fpu_leave(struct cpu *cpu, struct ec *next)
{
	struct ec *owner = cpu->fpu_owner;

	if (!owner || owner == next || owner->pd == next->pd) {
		return;
	}
	if (next->fpu_used) {
		fpu_use(next);
		return;
	}
	live(cpu);
	save_owner(cpu);
	restore(initial);
	cpu->fpu_owner = NULL;
	fpu_disable(cpu);
}

void fpu_forget(struct cpu *cpu)
{
	live(cpu);
	set_xcr0(cpu, fpu_xcr0);
	restore(initial);
	cpu->fpu_owner = NULL;
	fpu_disable(cpu);
}

/* The EC's area has its latest state. */
static void settle(struct ec *ec)
{
	struct cpu *cpu = this_cpu();
	bool was_live = cpu->fpu_live;

	if (cpu->fpu_owner == ec) {
		live(cpu);
		save_owner(cpu);
		set_xcr0(cpu, ec_is_vcpu(ec) ? ec->xcr0 : fpu_xcr0);
		if (!was_live) {
			fpu_disable(cpu);
		}
	}
}

void fpu_save(struct ec *ec, struct utcb *utcb)
{
	settle(ec);
	__builtin_memcpy(utcb->fpu, ec->fpu, size);
}

/*
 * XRSTOR faults on reserved bits of MXCSR, of the component bitmap and of the
 * header: none of them gets as far.
 */
void fpu_load(struct ec *ec, const struct utcb *utcb)
{
	uint8_t *area = ec->fpu;
	struct cpu *cpu = this_cpu();
	uint64_t header[8] = {0};

	if (cpu->fpu_owner == ec) {
		fpu_forget(cpu);
	}
	__builtin_memcpy(area, utcb->fpu, size);
	*(uint32_t *)(area + AT_MXCSR) &= 0xffff;
	if (have_xsave) {
		header[0] = *(uint64_t *)(area + AT_HEADER) & fpu_xcr0;
		__builtin_memcpy(area + AT_HEADER, header, sizeof(header));
	}
	ec->fpu_used = 1;
}
