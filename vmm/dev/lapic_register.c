/*
 * The local APIC's registers, as the guest accesses them. Each has one number
 * in both modes: the memory register's offset / 16 is the MSR's number - 0x800.
 * A table says who may do what with each.
 */

#include "lapic.h"

#include "lapic_private.h"

enum {
	REG_ID = 0x02,
	REG_VERSION = 0x03,
	REG_TPR = 0x08,
	REG_APR = 0x09,
	REG_PPR = 0x0a,
	REG_EOI = 0x0b,
	REG_RRD = 0x0c,
	REG_LDR = 0x0d,
	REG_DFR = 0x0e,
	REG_SVR = 0x0f,
	REG_ISR = 0x10,
	REG_TMR = 0x18,
	REG_IRR = 0x20,
	REG_ESR = 0x28,
	REG_ICR = 0x30,
	REG_ICR_HIGH = 0x31,
	REG_LVT_TIMER = 0x32,
	REG_LVT_THERMAL = 0x33,
	REG_LVT_PMC = 0x34,
	REG_LVT_LINT0 = 0x35,
	REG_LVT_LINT1 = 0x36,
	REG_LVT_ERROR = 0x37,
	REG_TIMER_INITIAL = 0x38,
	REG_TIMER_CURRENT = 0x39,
	REG_TIMER_DIVIDE = 0x3e,
	REG_SELF_IPI = 0x3f,
	REGISTERS = 0x40,
};

/* An integrated APIC; LVT entries - 1 in bits 23..16. */
enum { VERSION = 0x14 | (LAPIC_LVTS - 2) << 16 };

#define BASE_ADDRESS 0x000ffffffffff000ull

enum access {
	R = 1 << 0,	/* readable */
	W = 1 << 1,	/* writable */
	X = 1 << 2,	/* only in xAPIC mode */
	X2 = 1 << 3,	/* only in x2APIC mode */
	X2_RO = 1 << 4, /* not writable in x2APIC mode */
};

/* What each register allows; bits: those that may be written. */
static const struct {
	uint8_t access;
	uint32_t bits;
} registers[REGISTERS] = {
	[REG_ID] = {R, 0},
	[REG_VERSION] = {R, 0},
	[REG_TPR] = {R | W, 0xff},
	[REG_APR] = {R | X, 0},
	[REG_PPR] = {R, 0},
	[REG_EOI] = {W, 0},
	[REG_RRD] = {R | X, 0},
	[REG_LDR] = {R | W | X2_RO, 0xff000000},
	[REG_DFR] = {R | W | X, 0xf0000000},
	[REG_SVR] = {R | W, 0x1ff},
	[REG_ISR... REG_ISR + 7] = {R, 0},
	[REG_TMR... REG_TMR + 7] = {R, 0},
	[REG_IRR... REG_IRR + 7] = {R, 0},
	[REG_ESR] = {R | W, 0},
	[REG_ICR] = {R | W, 0x000ccfff},
	[REG_ICR_HIGH] = {R | W | X, 0xff000000},
	[REG_LVT_TIMER] = {R | W, 0x700ff},
	[REG_LVT_THERMAL] = {R | W, 0x107ff},
	[REG_LVT_PMC] = {R | W, 0x107ff},
	[REG_LVT_LINT0] = {R | W, 0x1a7ff},
	[REG_LVT_LINT1] = {R | W, 0x1a7ff},
	[REG_LVT_ERROR] = {R | W, 0x100ff},
	[REG_TIMER_INITIAL] = {R | W, 0xffffffff},
	[REG_TIMER_CURRENT] = {R, 0},
	[REG_TIMER_DIVIDE] = {R | W, 0xb},
	[REG_SELF_IPI] = {W | X2, 0xff},
};

/* Bits 32 * n and up, as the eight registers of ISR, TMR and IRR have them. */
static uint32_t vector_word(const uint64_t set[4], unsigned n)
{
	return (uint32_t)(set[n / 2] >> n % 2 * 32);
}

static void write_svr(struct lapic *lapic, uint32_t value)
{
	lapic->svr = value;
	if ((value & SVR_ENABLED) == 0)
		for (unsigned i = 0; i < LAPIC_LVTS; i++)
			lapic->lvt[i] |= LVT_MASKED;
}

static void write_lvt(struct lapic *lapic, unsigned reg, uint32_t value)
{
	enum lapic_lvt entry = LAPIC_LVT_TIMER + (reg - REG_LVT_TIMER);

	if ((lapic->svr & SVR_ENABLED) == 0)
		value |= LVT_MASKED;
	if (entry == LAPIC_LVT_TIMER)
		lapic_timer_write_lvt(lapic, value);
	else
		lapic->lvt[entry] = value;
}

/* A legal write: reg is writable, value has no reserved bits. */
static void register_write(struct lapic *lapic, unsigned reg, uint32_t value)
{
	switch (reg) {
	case REG_TPR:
		lapic->tpr = value;
		break;
	case REG_EOI:
		lapic_eoi(lapic);
		break;
	case REG_LDR:
		lapic->ldr = value;
		break;
	case REG_DFR:
		lapic->dfr = value | 0x0fffffff;
		break;
	case REG_SVR:
		write_svr(lapic, value);
		break;
	case REG_ESR:
		lapic->esr = lapic->esr_pending;
		lapic->esr_pending = 0;
		break;
	case REG_ICR:
		lapic->icr = (lapic->icr & ~0xffffffffull) | value;
		lapic_send(lapic);
		break;
	case REG_ICR_HIGH:
		lapic->icr = (uint32_t)lapic->icr | (uint64_t)value << 32;
		break;
	case REG_LVT_TIMER ... REG_LVT_ERROR:
		write_lvt(lapic, reg, value);
		break;
	case REG_TIMER_INITIAL:
		lapic_timer_write_initial(lapic, value);
		break;
	case REG_TIMER_DIVIDE:
		lapic_timer_write_divide(lapic, value);
		break;
	default:
		break;
	}
}

/* A legal read. */
static uint32_t register_read(const struct lapic *lapic, unsigned reg)
{
	switch (reg) {
	case REG_ID:
		return lapic_is_x2apic(lapic) ? lapic->config.id : lapic->config.id << 24;
	case REG_VERSION:
		return VERSION;
	case REG_TPR:
		return lapic->tpr;
	case REG_PPR:
		return lapic_ppr(lapic);
	case REG_LDR:
		return lapic_is_x2apic(lapic) ? lapic_x2apic_ldr(lapic) : lapic->ldr;
	case REG_DFR:
		return lapic->dfr;
	case REG_SVR:
		return lapic->svr;
	case REG_ISR ... REG_ISR + 7:
		return vector_word(lapic->isr, reg - REG_ISR);
	case REG_TMR ... REG_TMR + 7:
		return vector_word(lapic->tmr, reg - REG_TMR);
	case REG_IRR ... REG_IRR + 7:
		return vector_word(lapic->irr, reg - REG_IRR);
	case REG_ESR:
		return lapic->esr;
	case REG_ICR:
		return (uint32_t)lapic->icr;
	case REG_ICR_HIGH:
		return (uint32_t)(lapic->icr >> 32);
	case REG_LVT_TIMER ... REG_LVT_ERROR:
		return lapic->lvt[LAPIC_LVT_TIMER + (reg - REG_LVT_TIMER)];
	case REG_TIMER_INITIAL:
		return lapic->timer_initial;
	case REG_TIMER_CURRENT:
		return lapic_timer_current(lapic);
	case REG_TIMER_DIVIDE:
		return lapic->timer_divide;
	default:
		return 0; /* APR, RRD: not used any more */
	}
}

/* xAPIC: a page of registers, one in 16 bytes. */

bool lapic_mapped(const struct lapic *lapic, uint64_t gpa)
{
	return lapic_is_enabled(lapic) && !lapic_is_x2apic(lapic) &&
	       gpa - (lapic->base & BASE_ADDRESS) < LAPIC_SIZE;
}

/* The register at an offset, or REGISTERS if it cannot be accessed so. */
static unsigned mmio_register(struct lapic *lapic, uint64_t offset, unsigned access)
{
	uint64_t reg = offset >> 4;

	if (reg >= REGISTERS || (registers[reg].access & access) == 0 ||
	    (registers[reg].access & X2) != 0) {
		lapic_error(lapic, ESR_REGISTER);
		return REGISTERS;
	}
	return (unsigned)reg;
}

uint64_t lapic_mmio_read(void *opaque, uint64_t offset, unsigned bytes)
{
	struct lapic *lapic = opaque;
	unsigned reg = mmio_register(lapic, offset, R);

	(void)bytes;
	if (reg == REGISTERS || (offset & 0xc) != 0)
		return 0;
	return register_read(lapic, reg) >> 8 * (offset & 3);
}

void lapic_mmio_write(void *opaque, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct lapic *lapic = opaque;
	unsigned reg = mmio_register(lapic, offset, W);

	/* Only whole registers: SDM 3A 11.4.1. */
	if (reg == REGISTERS || (offset & 0xf) != 0 || bytes != 4)
		return;
	register_write(lapic, reg, (uint32_t)value & registers[reg].bits);
}

/* x2APIC, and the two MSRs beside it. */

bool lapic_has_msr(uint32_t msr)
{
	return msr == MSR_APIC_BASE || msr == MSR_TSC_DEADLINE ||
	       (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST);
}

/* Is this an x2APIC register that allows the access now? */
static bool x2apic_allows(const struct lapic *lapic, uint32_t msr, unsigned access)
{
	uint32_t reg = msr - MSR_X2APIC_FIRST;

	if (!lapic_is_x2apic(lapic) || reg >= REGISTERS)
		return false;

	unsigned allowed = registers[reg].access;

	if ((allowed & X) != 0 || (allowed & access) == 0)
		return false;
	return (access & W) == 0 || (allowed & X2_RO) == 0;
}

bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *value)
{
	if (msr == MSR_TSC_DEADLINE) {
		*value = lapic->tsc_deadline;
		return true;
	}
	if (msr == MSR_APIC_BASE) {
		*value = lapic->base;
		return true;
	}
	if (!x2apic_allows(lapic, msr, R))
		return false;

	unsigned reg = msr - MSR_X2APIC_FIRST;

	*value = reg == REG_ICR ? lapic->icr : register_read(lapic, reg);
	return true;
}

/* SDM 3A 11.12.5: off - xAPIC - x2APIC - off, and from xAPIC to off. */
static bool write_base(struct lapic *lapic, uint64_t value)
{
	uint64_t old = lapic->base & (BASE_EN | BASE_EXTD);
	uint64_t new = value &(BASE_EN | BASE_EXTD);

	if ((value & ~(BASE_ADDRESS | BASE_BSP | BASE_EN | BASE_EXTD)) != 0 || new == BASE_EXTD ||
	    (old == 0 && new == (BASE_EN | BASE_EXTD)) ||
	    (old == (BASE_EN | BASE_EXTD) && new == BASE_EN))
		return false;
	if (new == 0 && old != 0) {
		bool nmi = lapic->nmi;

		lapic_reset(lapic);
		lapic->nmi = nmi;
	}
	lapic->base = value;
	return true;
}

static bool write_icr(struct lapic *lapic, uint64_t value)
{
	if (((uint32_t)value & ~registers[REG_ICR].bits) != 0)
		return false;
	lapic->icr = value;
	lapic_send(lapic);
	return true;
}

bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value)
{
	if (msr == MSR_TSC_DEADLINE) {
		lapic_timer_write_deadline(lapic, value);
		return true;
	}
	if (msr == MSR_APIC_BASE)
		return write_base(lapic, value);
	if (!x2apic_allows(lapic, msr, W))
		return false;

	unsigned reg = msr - MSR_X2APIC_FIRST;

	if (reg == REG_ICR)
		return write_icr(lapic, value);
	/* Linux writes what it read, with the read-only bits: no fault. */
	if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR)
		value &= ~(uint64_t)LVT_READ_ONLY;
	if ((value & ~(uint64_t)registers[reg].bits) != 0)
		return false;
	if (reg == REG_SELF_IPI)
		lapic_post(lapic, (uint8_t)value, false);
	else
		register_write(lapic, reg, (uint32_t)value);
	return true;
}

uint64_t lapic_base(const struct lapic *lapic)
{
	return lapic->base;
}
