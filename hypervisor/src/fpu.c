/*
 * XSAVES where there is one, else XSAVE, else FXSAVE. All that the processor
 * offers and the kernel knows is on in XCR0 and XSS; a vCPU's own XCR0 and XSS
 * are loaded while its state is in the registers.
 *
 * A guest's XSETBV exits, but not from QEMU's emulated SVM. So XCR0 is read,
 * never remembered: a guest that changes it there changes its own only.
 */
#include "fpu.h"

#include "x86/cpu.h"
#include "x86/cr.h"
#include "x86/insn.h"
#include "x86/msr.h"
#include "x86/vcpu.h"

enum {
	CPUID_1_ECX_XSAVE = 1 << 26,
	CPUID_XSAVE = 0xd,
	CPUID_XSAVE_1_EAX_XSAVES = 1 << 3,

	/*
	 * SDM 1 13.1: x87, SSE, AVX, AVX-512 (three), PKRU; no AMX, which is
	 * larger than a page. MPX for QEMU's guests (see above), where there
	 * is no XSAVES; else the rest would not fit into a UTCB.
	 */
	XCR0_KNOWN = 0x2e7,
	XCR0_AVX = 1 << 2,
	XCR0_MPX = 3 << 3,
	XSS_KNOWN = 3 << 11, /* CET: user and supervisor */
	COMPONENTS = 13,

	FPU_CONTROL = 0x37f, /* after reset */
	FPU_MXCSR = 0x1f80,
	LEGACY_SIZE = 512,
	HEADER_SIZE = 64,
};

#define COMPACT (1ul << 63) /* in XCOMP_BV */

/* SDM 1 13.4 */
struct area {
	uint16_t control, reserved0[11];
	uint32_t mxcsr, reserved1;
	uint64_t registers[60];
	uint64_t xstate_bv, xcomp_bv, reserved2[6];
};
static_assert(offsetof(struct area, mxcsr) == 24);
static_assert(offsetof(struct area, xstate_bv) == LEGACY_SIZE);

uint64_t fpu_xcr0 = 1, fpu_xss;

static enum { FXSAVE, XSAVE, XSAVES } kind;

/* What goes through a UTCB: bytes of the area, and the components there. */
static uint32_t size = LEGACY_SIZE;
static uint64_t carried = 3;

/* For programs that never used the FPU. */
static uint8_t initial[PAGE_SIZE] aligned_to(64);

#define AREA(insn, area, mask) \
	__asm__ volatile(insn " (%0)" : : "r"(area), "a"((uint32_t)(mask)), "d"(0) : "memory")

static void init_area(void *page)
{
	struct area *a = page;

	__builtin_memset(page, 0, PAGE_SIZE);
	a->control = FPU_CONTROL;
	a->mxcsr = FPU_MXCSR;
	if (kind == XSAVES)
		a->xcomp_bv = COMPACT | fpu_xcr0 | fpu_xss;
}

/*
 * The compact format begins with AVX behind the header. Bochs 2.7 has it
 * elsewhere, and the header in its way.
 */
static bool xsaves_works(void)
{
	struct area *a = (struct area *)initial;
	uint64_t *avx = (uint64_t *)(a + 1);

	init_area(a);
	a->xstate_bv = *avx = XCR0_AVX;
	AREA("xrstor64", a, ~0u);
	__builtin_memset(a, 0, PAGE_SIZE);
	AREA("xsaves64", a, ~0u);
	return *avx == XCR0_AVX && !a->reserved2[0];
}

/* Where the components of the standard format are: all that fit in front. */
static void find_carried(void)
{
	size = LEGACY_SIZE + HEADER_SIZE;
	for (uint32_t i = 2; i < COMPONENTS; i++) {
		struct cpuid c = cpuid(CPUID_XSAVE, i);

		if (fpu_xcr0 >> i & 1 && c.ebx + c.eax <= UTCB_FPU_SIZE) {
			carried |= 1ul << i;
			size = c.ebx + c.eax > size ? c.ebx + c.eax : size;
		}
	}
}

static void find_format(void)
{
	struct cpuid c = cpuid(CPUID_XSAVE, 1);

	kind = XSAVE;
	fpu_xcr0 = cpuid(CPUID_XSAVE, 0).eax & (XCR0_KNOWN | XCR0_MPX);
	xsetbv((uint32_t)fpu_xcr0);
	if (c.eax & CPUID_XSAVE_1_EAX_XSAVES && fpu_xcr0 & XCR0_AVX && xsaves_works()) {
		kind = XSAVES;
		fpu_xcr0 &= XCR0_KNOWN;
		fpu_xss = c.ecx & XSS_KNOWN;
		xsetbv((uint32_t)fpu_xcr0);
	}
}

static void save(void *area)
{
	if (kind == XSAVES)
		AREA("xsaves64", area, ~0u);
	else if (kind == XSAVE)
		AREA("xsave64", area, ~0u);
	else
		AREA("fxsave64", area, ~0u);
}

/* Components that are not in the mask stay as they are. */
static void restore(const void *area, uint64_t mask)
{
	if (kind == XSAVES)
		AREA("xrstors64", area, mask);
	else if (kind == XSAVE)
		AREA("xrstor64", area, mask);
	else
		AREA("fxrstor64", area, mask);
}

void fpu_init(struct cpu *cpu)
{
	if (cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE) {
		find_format();
		if (kind == XSAVES) {
			wrmsr(MSR_XSS, fpu_xss);
			carried = fpu_xcr0 | fpu_xss;
			size = cpuid(CPUID_XSAVE, 1).ebx;
		} else {
			find_carried();
		}
	}
	cpu->xss = fpu_xss;
	init_area(initial);
	restore(initial, ~0u);
	cpu->fpu_owner = NULL;
	cpu->fpu_live = 0;
	write_cr0(read_cr0() | CR0_TS);
}

void *fpu_alloc(struct pd *payer)
{
	void *area = page_alloc(payer, 0, false);

	if (area)
		init_area(area);
	return area;
}

void fpu_free(struct pd *payer, void *fpu)
{
	page_free(payer, fpu, 0);
}

static void set_xcr0(struct cpu *cpu, uint64_t xcr0, uint64_t xss)
{
	if (kind == FXSAVE)
		return;
	if (xgetbv() != xcr0)
		xsetbv((uint32_t)xcr0);
	if (cpu->xss != xss) {
		cpu->xss = xss;
		wrmsr(MSR_XSS, xss);
	}
}

static void set_xcr0_of(struct cpu *cpu, const struct ec *ec)
{
	if (ec_is_vcpu(ec))
		set_xcr0(cpu, ec->xcr0, ec->xss);
	else
		set_xcr0(cpu, fpu_xcr0, fpu_xss);
}

/* Store the owner's state; needs CR0.TS clear. XCR0 is the kernel's then. */
static void save_owner(struct cpu *cpu)
{
	struct ec *owner = cpu->fpu_owner;

	if (owner && ec_is_vcpu(owner) && kind != FXSAVE)
		owner->xcr0 = xgetbv();
	set_xcr0(cpu, fpu_xcr0, fpu_xss);
	if (owner)
		save(owner->fpu);
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
		restore(ec->fpu, ~0u);
		cpu->fpu_owner = ec;
	}
	set_xcr0_of(cpu, ec);
	if (!was_live)
		fpu_disable(cpu);
}

void fpu_use(struct ec *ec)
{
	ec->fpu_used = 1;
	fpu_switch(ec);
	live(this_cpu());
}

void fpu_forget(struct cpu *cpu)
{
	live(cpu);
	set_xcr0(cpu, fpu_xcr0, fpu_xss);
	restore(initial, ~0u);
	cpu->fpu_owner = NULL;
	fpu_disable(cpu);
	/* entry.S takes no owner as a sign that there is nothing to do. */
	vcpu_hide(cpu);
}

void fpu_leave(struct cpu *cpu, struct ec *next)
{
	struct ec *owner = cpu->fpu_owner;

	vcpu_hide(cpu);
	if (!owner || owner == next || owner->pd == next->pd)
		return;
	if (next->fpu_used) {
		fpu_use(next);
		return;
	}
	live(cpu);
	save_owner(cpu);
	fpu_forget(cpu);
}

/* The EC's registers and its area are to be one, in which direction `move`. */
static void settle(struct ec *ec, bool load)
{
	struct cpu *cpu = this_cpu();
	bool was_live = cpu->fpu_live;

	if (cpu->fpu_owner != ec)
		return;
	live(cpu);
	if (load) {
		set_xcr0(cpu, fpu_xcr0, fpu_xss);
		restore(ec->fpu, carried);
	} else {
		save_owner(cpu);
	}
	set_xcr0_of(cpu, ec);
	if (!was_live)
		fpu_disable(cpu);
}

void fpu_drop(struct ec *ec)
{
	settle(ec, false);
	if (this_cpu()->fpu_owner == ec)
		fpu_forget(this_cpu());
}

void fpu_save(struct ec *ec, struct utcb *utcb)
{
	struct area *to = (struct area *)utcb->fpu;

	settle(ec, false);
	__builtin_memcpy(to, ec->fpu, size);
	if (kind != FXSAVE)
		to->xstate_bv &= carried;
}

/*
 * XRSTOR faults on reserved bits of MXCSR, of the component bitmap and of the
 * header: none of them gets as far. The format is always the same.
 */
void fpu_load(struct ec *ec, const struct utcb *utcb)
{
	struct area *a = ec->fpu;
	uint64_t rest = a->xstate_bv & ~carried, format = a->xcomp_bv;

	__builtin_memcpy(a, utcb->fpu, size);
	a->mxcsr &= 0xffff;
	if (kind != FXSAVE) {
		__builtin_memset(&a->xstate_bv, 0, HEADER_SIZE);
		a->xstate_bv = (((const struct area *)utcb->fpu)->xstate_bv & carried) | rest;
		a->xcomp_bv = format;
	}
	ec->fpu_used = 1;
	settle(ec, true);
}
