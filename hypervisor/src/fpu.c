/*
 * XSAVES where there is one, else XSAVE, else FXSAVE. All that the processor
 * offers and the kernel knows is on in XCR0 and XSS; a vCPU's own XCR0 and XSS
 * are loaded while its state is in the registers.
 *
 * A guest's XSETBV exits, but not from QEMU's emulated SVM. So XCR0 is read,
 * never remembered: a guest that changes it there changes its own only.
 */
#include "fpu.h"

#include "x86/insn.h"
#include "x86/vcpu.h"

enum { CPUID_1_ECX_XSAVE = 1 << 26, CPUID_XSAVE = 0xd, CPUID_XSAVES = 1 << 3, CPUID_SVM = 1 << 2 };
enum { FPU_CONTROL = 0x37f, FPU_MXCSR = 0x1f80 }; /* after reset */
enum { LEGACY_SIZE = 512, HEADER_SIZE = 64, COMPONENTS = 13 };

/*
 * SDM 1 13.1: x87, SSE, AVX, AVX-512 (three), PKRU; no AMX, which is larger than
 * a page. MPX for QEMU's guests (see above), which alone have it beside SVM: there
 * any BNDCFGU can be loaded, elsewhere some fault. Of XSS, CET: user and supervisor.
 */
enum { XCR0_KNOWN = 0x2e7, XCR0_AVX = 1 << 2, XCR0_MPX = 3 << 3, XSS_KNOWN = 3 << 11 };

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

/* "save" or "rstor", which leaves alone what is not in the mask. */
#define MOVE(verb, area, mask)                            \
	do {                                              \
		if (kind == XSAVES)                       \
			AREA("x" verb "s64", area, mask); \
		else if (kind == XSAVE)                   \
			AREA("x" verb "64", area, mask);  \
		else                                      \
			AREA("fx" verb "64", area, mask); \
	} while (0)

/* The kernel's, or those of a vCPU whose state is to be in the registers. */
static void set_components(struct cpu *cpu, const struct ec *ec)
{
	bool own = ec && ec_is_vcpu(ec);
	uint64_t xcr0 = own ? ec->xcr0 : fpu_xcr0, xss = own ? ec->xss : fpu_xss;

	if (kind == FXSAVE)
		return;
	if (xgetbv() != xcr0)
		xsetbv((uint32_t)xcr0);
	if (cpu->xss != xss) {
		cpu->xss = xss;
		wrmsr(MSR_XSS, xss);
	}
}

static void find_format(void)
{
	struct cpuid features = cpuid(CPUID_XSAVE, 1);
	uint64_t mpx = cpuid(0x80000001, 0).ecx & CPUID_SVM ? XCR0_MPX : 0;

	kind = XSAVE;
	fpu_xcr0 = cpuid(CPUID_XSAVE, 0).eax & (XCR0_KNOWN | mpx);
	xsetbv((uint32_t)fpu_xcr0);
	if (features.eax & CPUID_XSAVES && fpu_xcr0 & XCR0_AVX && xsaves_works()) {
		kind = XSAVES;
		fpu_xcr0 &= XCR0_KNOWN;
		fpu_xss = features.ecx & XSS_KNOWN;
		xsetbv((uint32_t)fpu_xcr0);
		/* Not XSS's, which come last: of these the processor refuses some values. */
		size = cpuid(CPUID_XSAVE, 1).ebx;
		wrmsr(MSR_XSS, fpu_xss);
		carried = fpu_xcr0;
		return;
	}
	/* Of the standard format goes through a UTCB what fits in front. */
	size = LEGACY_SIZE + HEADER_SIZE;
	for (uint32_t i = 2; i < COMPONENTS; i++) {
		struct cpuid c = cpuid(CPUID_XSAVE, i);

		if (fpu_xcr0 >> i & 1 && c.ebx + c.eax <= UTCB_FPU_SIZE) {
			carried |= 1ul << i;
			size = c.ebx + c.eax > size ? c.ebx + c.eax : size;
		}
	}
}

void fpu_init(struct cpu *cpu)
{
	if (cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE)
		find_format();
	cpu->xss = fpu_xss;
	init_area(initial);
	MOVE("rstor", initial, ~0u);
	cpu->fpu_owner = NULL;
	cpu->fpu_live = 1;
	fpu_enable(cpu, false);
}

void *fpu_alloc(struct pd *payer)
{
	void *area = page_alloc(payer, 0, false);

	if (area)
		init_area(area);
	return area;
}

void fpu_enable(struct cpu *cpu, bool on)
{
	if (cpu->fpu_live == on)
		return;
	cpu->fpu_live = on;
	if (on)
		clts();
	else
		write_cr0(read_cr0() | CR0_TS);
}

/*
 * The one way in which state moves: the owner's to its area, if `store`; then the
 * components in the mask from the EC's area, which owns the registers from now
 * on, or to what they are after reset, for no EC. CR0.TS stays as it is. Inline,
 * since every caller needs a part of it only.
 */
static inline __attribute__((always_inline)) void move(struct ec *ec, bool store, uint64_t mask)
{
	struct cpu *cpu = this_cpu();
	struct ec *owner = cpu->fpu_owner;
	bool was_live = cpu->fpu_live;

	fpu_enable(cpu, true);
	if (store && owner && ec_is_vcpu(owner) && kind != FXSAVE)
		owner->xcr0 = xgetbv();
	set_components(cpu, NULL);
	if (store && owner)
		MOVE("save", owner->fpu, ~0u);
	if (mask)
		MOVE("rstor", ec ? ec->fpu : initial, mask);
	cpu->fpu_owner = ec;
	set_components(cpu, ec);
	fpu_enable(cpu, was_live && ec);
}

void fpu_switch(struct ec *ec)
{
	if (this_cpu()->fpu_owner != ec)
		move(ec, true, ~0u);
	else
		set_components(this_cpu(), ec);
}

void fpu_use(struct ec *ec)
{
	ec->fpu_used = 1;
	fpu_switch(ec);
	fpu_enable(this_cpu(), true);
}

void fpu_drop(struct ec *ec)
{
	if (this_cpu()->fpu_owner != ec)
		return;
	move(NULL, true, ~0u);
	/* entry.S takes no owner as a sign that there is nothing to do. */
	vcpu_hide(this_cpu());
}

void fpu_leave(struct cpu *cpu, struct ec *next)
{
	struct ec *owner = cpu->fpu_owner;

	vcpu_hide(cpu);
	if (!owner || owner == next || owner->pd == next->pd)
		return;
	if (next->fpu_used)
		fpu_use(next);
	else
		fpu_drop(owner);
}

void fpu_save(struct ec *ec, struct utcb *utcb)
{
	struct area *to = (struct area *)utcb->fpu;

	if (this_cpu()->fpu_owner == ec)
		move(ec, true, 0);
	__builtin_memcpy(to, ec->fpu, size);
	to->xstate_bv &= carried;
}

/*
 * XRSTOR faults on reserved bits of MXCSR, of the component bitmap and of the
 * header: none of them gets as far. The format is always the same. (FXRSTOR has
 * no header, and does not mind one.)
 */
void fpu_load(struct ec *ec, const struct utcb *utcb)
{
	struct area *a = ec->fpu;
	uint64_t rest = a->xstate_bv & ~carried, format = a->xcomp_bv;

	__builtin_memcpy(a, utcb->fpu, size);
	a->mxcsr &= 0xffff;
	__builtin_memset(&a->xstate_bv, 0, HEADER_SIZE);
	a->xstate_bv = (((const struct area *)utcb->fpu)->xstate_bv & carried) | rest;
	a->xcomp_bv = format;
	ec->fpu_used = 1;
	if (this_cpu()->fpu_owner == ec)
		move(ec, false, carried);
}
