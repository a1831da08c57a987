/*
 * What a local APIC decides: which vector is next, and what becomes of its
 * pins and of what arrives. SDM 3A chapter 11 is the manual for all of this.
 */

#include "lapic.h"

#include <stddef.h>

#include "lapic_private.h"

/* Sets of 256 vectors. */

static bool vector_test(const uint64_t set[4], unsigned vector)
{
	return (set[vector / 64] >> vector % 64 & 1) != 0;
}

static void vector_set(uint64_t set[4], unsigned vector)
{
	set[vector / 64] |= 1ull << vector % 64;
}

static void vector_clear(uint64_t set[4], unsigned vector)
{
	set[vector / 64] &= ~(1ull << vector % 64);
}

static int vector_top(const uint64_t set[4])
{
	for (int i = 3; i >= 0; i--)
		if (set[i] != 0)
			return i * 64 + 63 - __builtin_clzll(set[i]);
	return -1;
}

static void kick(struct lapic *lapic)
{
	if (lapic->config.hooks.kick != NULL)
		lapic->config.hooks.kick(lapic->config.hooks.opaque);
}

/* Processor priority, SDM 3A 11.8.3.1. */
uint8_t lapic_ppr(const struct lapic *lapic)
{
	uint8_t tpr = (uint8_t)lapic->tpr;

	if (tpr >> 4 >= lapic->isr_top >> 4)
		return tpr;
	return lapic->isr_top & 0xf0;
}

int lapic_pending(const struct lapic *lapic)
{
	int vector = vector_top(lapic->irr);

	return vector >> 4 > lapic_ppr(lapic) >> 4 ? vector : -1;
}

/* A vector arrives: into IRR. */
void lapic_post(struct lapic *lapic, uint8_t vector, bool level)
{
	if (vector < VECTOR_FIRST) {
		lapic_error(lapic, ESR_RECEIVE_ILLEGAL);
		return;
	}
	if (level)
		vector_set(lapic->tmr, vector);
	else
		vector_clear(lapic->tmr, vector);
	if (vector_test(lapic->irr, vector))
		return;
	vector_set(lapic->irr, vector);
	if (vector >> 4 > lapic_ppr(lapic) >> 4)
		kick(lapic);
}

void lapic_post_nmi(struct lapic *lapic)
{
	lapic->nmi = true;
	kick(lapic);
}

/* An entry of the local vector table fires. */
void lapic_fire(struct lapic *lapic, enum lapic_lvt entry)
{
	uint32_t lvt = lapic->lvt[entry];

	if ((lvt & LVT_MASKED) != 0 || !lapic_is_enabled(lapic))
		return;
	switch (lvt >> LVT_MODE_SHIFT & 7) {
	case APIC_FIXED:
		lapic_post(lapic, lvt & LVT_VECTOR, false);
		break;
	case APIC_NMI:
		lapic_post_nmi(lapic);
		break;
	case APIC_EXTINT:
		kick(lapic);
		break;
	default:
		break;
	}
}

/*
 * The error entry's own illegal vector is an error too: that it is noted
 * already ends the recursion.
 */
void lapic_error(struct lapic *lapic, uint32_t error)
{
	if ((lapic->esr_pending & error) != 0)
		return;
	lapic->esr_pending |= error;
	lapic_fire(lapic, LAPIC_LVT_ERROR);
}

void lapic_accept(struct lapic *lapic, uint8_t vector)
{
	if (!vector_test(lapic->irr, vector))
		return;
	vector_clear(lapic->irr, vector);
	vector_set(lapic->isr, vector);
	if (vector > lapic->isr_top)
		lapic->isr_top = vector;
}

void lapic_eoi(struct lapic *lapic)
{
	uint8_t vector = lapic->isr_top;

	if (vector == 0)
		return;
	vector_clear(lapic->isr, vector);

	int top = vector_top(lapic->isr);

	lapic->isr_top = top < 0 ? 0 : (uint8_t)top;
	if (vector_test(lapic->tmr, vector) && lapic->config.eoi != NULL)
		lapic->config.eoi(lapic->config.ioapic, vector);
}

bool lapic_extint(const struct lapic *lapic)
{
	uint32_t lvt = lapic->lvt[LAPIC_LVT_LINT0];

	if (!lapic->lint[0])
		return false;
	if (!lapic_is_enabled(lapic))
		return true;
	return (lvt & LVT_MASKED) == 0 && (lvt >> LVT_MODE_SHIFT & 7) == APIC_EXTINT;
}

void lapic_lint_set(void *opaque, unsigned pin, bool level)
{
	struct lapic *lapic = opaque;

	if (pin > 1 || lapic->lint[pin] == level)
		return;
	lapic->lint[pin] = level;
	if (!level)
		return;
	if (lapic_is_enabled(lapic))
		lapic_fire(lapic, pin == 0 ? LAPIC_LVT_LINT0 : LAPIC_LVT_LINT1);
	else if (pin == 0)
		kick(lapic); /* the pin is INTR now */
	else
		lapic_post_nmi(lapic);
}

bool lapic_nmi_pending(const struct lapic *lapic)
{
	return lapic->nmi;
}

bool lapic_nmi_take(struct lapic *lapic)
{
	bool nmi = lapic->nmi;

	lapic->nmi = false;
	return nmi;
}

uint8_t lapic_cr8_read(const struct lapic *lapic)
{
	return (uint8_t)(lapic->tpr >> 4);
}

void lapic_cr8_write(struct lapic *lapic, uint8_t cr8)
{
	lapic->tpr = (uint32_t)(cr8 & 0xf) << 4;
}

/* INIT keeps the base MSR and the ID, and nothing else. SDM 3A 11.4.7.3. */
static void reset_registers(struct lapic *lapic)
{
	timer_cancel(&lapic->timer);
	for (unsigned i = 0; i < 4; i++)
		lapic->irr[i] = lapic->isr[i] = lapic->tmr[i] = 0;
	for (unsigned i = 0; i < LAPIC_LVTS; i++)
		lapic->lvt[i] = LVT_MASKED;
	lapic->isr_top = 0;
	lapic->tpr = lapic->ldr = 0;
	lapic->dfr = DFR_FLAT;
	lapic->svr = SVR_RESET;
	lapic->esr = lapic->esr_pending = 0;
	lapic->icr = 0;
	lapic->nmi = false;
	lapic->timer_initial = lapic->timer_divide = 0;
	lapic->tsc_deadline = 0;
}

void lapic_take_init(struct lapic *lapic)
{
	const struct lapic_hooks *hooks = &lapic->config.hooks;

	reset_registers(lapic);
	if (hooks->init != NULL)
		hooks->init(hooks->opaque);
}

void lapic_reset(struct lapic *lapic)
{
	reset_registers(lapic);
	lapic->base = LAPIC_BASE_DEFAULT | BASE_EN | (lapic->config.bsp ? BASE_BSP : 0);
}

void lapic_virtual_wire(struct lapic *lapic)
{
	lapic->svr = SVR_ENABLED | SVR_RESET;
	lapic->lvt[LAPIC_LVT_LINT0] = APIC_EXTINT << LVT_MODE_SHIFT;
	lapic->lvt[LAPIC_LVT_LINT1] = APIC_NMI << LVT_MODE_SHIFT;
}

bool lapic_init(struct lapic *lapic, const struct lapic_config *config)
{
	struct lapics *all = config->all;

	if (all->count == LAPICS_MAX)
		return false;
	*lapic = (struct lapic){.config = *config};
	timer_init(&lapic->timer, config->timers, lapic_timer_expire, lapic);
	lapic_reset(lapic);
	all->lapic[all->count++] = lapic;
	return true;
}
