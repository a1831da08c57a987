/*
 * The local APIC, one for each vCPU: as xAPIC (a page of memory registers) and
 * as x2APIC (MSRs 0x800..0x8ff), with its timer. SDM 3A chapter 11.
 *
 * It decides which vector its vCPU gets next, and says by kick() when the
 * answer may have changed from "none" or to a more important one; putting it
 * into the vCPU is the core's:
 *
 *	if (lapic_nmi_take(lapic)) -> inject an NMI
 *	else if (lapic_extint(lapic)) -> vector = pic_acknowledge(pic)
 *	else vector = lapic_pending(lapic); lapic_accept(lapic, vector)
 *
 * Messages between local APICs, and to them from IOAPIC and MSI, go through the
 * struct lapics, which is the machine's table of all of them.
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../src/irq.h"
#include "../src/timer.h"

enum {
	LAPICS_MAX = 64,
	LAPIC_SIZE = 0x1000, /* of the memory registers */

	MSR_APIC_BASE = 0x1b,
	MSR_TSC_DEADLINE = 0x6e0,
	MSR_X2APIC_FIRST = 0x800,
	MSR_X2APIC_LAST = 0x8ff,
};

#define LAPIC_BASE_DEFAULT 0xfee00000ull

/* Entries of the local vector table, in the order of the registers' offsets. */
enum lapic_lvt {
	LAPIC_LVT_CMCI, /* not there: max LVT says so */
	LAPIC_LVT_TIMER,
	LAPIC_LVT_THERMAL,
	LAPIC_LVT_PMC,
	LAPIC_LVT_LINT0,
	LAPIC_LVT_LINT1,
	LAPIC_LVT_ERROR,
	LAPIC_LVTS,
};

struct lapic;

/* Every local APIC of the machine; the target of apic_send(). */
struct lapics {
	struct lapic *lapic[LAPICS_MAX];
	unsigned count;
	unsigned next; /* where "lowest priority" looks first */
};

/* What a local APIC does to its vCPU. Each may be NULL. */
struct lapic_hooks {
	/*
	 * Something is deliverable that was not: look again. For what the
	 * vCPU does itself (EOI, TPR, unmasking) it is not called: after an
	 * exit the core looks anyway.
	 */
	void (*kick)(void *opaque);
	/* INIT: the local APIC has reset itself; the vCPU waits for SIPI. */
	void (*init)(void *opaque);
	/* SIPI: start at vector << 12, if the vCPU waits for it. */
	void (*startup)(void *opaque, uint8_t vector);
	void *opaque;
};

struct lapic_config {
	uint32_t id;
	bool bsp;
	struct lapics *all; /* lapic_init() enters it there */
	struct timer_queue *timers;
	uint64_t timer_hz; /* count rate at divisor 1: CPUID 15h */
	struct lapic_hooks hooks;

	/* An EOI for a level-triggered vector; may be NULL. */
	void (*eoi)(void *ioapic, uint8_t vector);
	void *ioapic;
};

struct lapic {
	struct lapic_config config;

	/* 256 vectors each. */
	uint64_t irr[4], isr[4], tmr[4];

	uint8_t isr_top; /* highest vector in service, or 0 */

	uint64_t base; /* MSR 0x1b */
	uint32_t tpr, ldr, dfr, svr;
	uint32_t esr;	      /* as read */
	uint32_t esr_pending; /* errors since ESR was last written */
	uint64_t icr;
	uint32_t lvt[LAPIC_LVTS];
	bool lint[2]; /* levels at the pins */
	bool nmi;     /* one is to be delivered */

	uint32_t timer_initial; /* 0: stopped */
	uint32_t timer_divide;	/* the register, not the divisor */
	uint64_t timer_start;	/* clock at which the count began */
	uint64_t timer_period;	/* initial count in clock ticks */
	uint64_t tsc_deadline;	/* in guest TSC; 0: disarmed */
	uint64_t tsc_offset;	/* guest TSC = clock + this */
	struct timer timer;
};

/* Also enters it in config->all; false: there is no room. */
[[nodiscard]] bool lapic_init(struct lapic *lapic, const struct lapic_config *config);
void lapic_reset(struct lapic *lapic);

/*
 * What a firmware leaves on the boot CPU (MP specification 3.6.2.2): enabled,
 * LINT0 is ExtINT, LINT1 NMI. For boot protocols without a firmware.
 */
void lapic_virtual_wire(struct lapic *lapic);

/* A struct apic_fabric's deliver(); opaque is the struct lapics. */
bool lapics_deliver(void *lapics, const struct apic_message *message);

/*
 * The PIC's output (pin 0) and NMI (pin 1): a struct irq_input's set(). A pin
 * whose LVT says "fixed" is edge-triggered, whatever its trigger mode.
 */
void lapic_lint_set(void *lapic, unsigned pin, bool level);

/* Highest vector that may interrupt now (above PPR), or -1. */
int lapic_pending(const struct lapic *lapic);
/* The vCPU takes it: IRR to ISR. */
void lapic_accept(struct lapic *lapic, uint8_t vector);
/* The PIC has an interrupt, and LINT0 (or a disabled APIC) lets it through. */
bool lapic_extint(const struct lapic *lapic);
/* Is an NMI to be delivered? Asking takes it. */
bool lapic_nmi_take(struct lapic *lapic);
bool lapic_nmi_pending(const struct lapic *lapic);

/* Nothing is pending, whatever is masked: the usual case, told quickly. */
static inline bool lapic_is_quiet(const struct lapic *lapic)
{
	return (lapic->irr[0] | lapic->irr[1] | lapic->irr[2] | lapic->irr[3]) == 0 &&
	       !lapic->lint[0] && !lapic->nmi;
}

/* Task priority as CR8 has it: bits 7..4 of TPR. */
uint8_t lapic_cr8_read(const struct lapic *lapic);
void lapic_cr8_write(struct lapic *lapic, uint8_t cr8);

/* 0x1b, 0x6e0, 0x800..0x8ff. false: #GP. */
bool lapic_has_msr(uint32_t msr);
[[nodiscard]] bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *value);
[[nodiscard]] bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value);

/*
 * Memory registers: handlers for a bus region of LAPIC_SIZE. As every vCPU sees
 * its own at the same address, a machine of several dispatches by
 * lapic_mapped() before it asks the bus.
 */
bool lapic_mapped(const struct lapic *lapic, uint64_t gpa);
uint64_t lapic_mmio_read(void *lapic, uint64_t offset, unsigned bytes);
void lapic_mmio_write(void *lapic, uint64_t offset, unsigned bytes, uint64_t value);

/* APIC base MSR, for CPUID (bit 11 enabled, bit 10 x2APIC). */
uint64_t lapic_base(const struct lapic *lapic);

/* The guest wrote its TSC: guest TSC = clock + offset from now on. */
void lapic_set_tsc_offset(struct lapic *lapic, uint64_t offset);
