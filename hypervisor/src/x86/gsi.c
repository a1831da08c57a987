/*
 * A GSI's vector is VECTOR_GSI + GSI on whichever CPU it goes to.
 *
 * A level-triggered line is masked when it fires, as it stays up until its
 * program has served the device; the program's next sm_down unmasks it.
 */
#include "gsi.h"

#include "../lock.h"
#include "../sm.h"
#include "apic.h"
#include "cpu.h"
#include "ioapic.h"
#include "irq.h"
#include "madt.h"
#include "pic.h"

static_assert((int)VECTOR_GSI + GSIS <= VECTOR_PIC);

enum { PHYSICAL_ID_MAX = 254 };	/* of 8 bits, 255 is all */

struct gsi {
	struct lock lock;	/* for all fields */
	uint8_t defaults;	/* FLAG_GSI_ of the machine; constant */
	bool line;		/* assigned, at an IOAPIC */
	bool level;
	bool masked;
};

static struct gsi gsis[GSIS];

void gsi_init(void)
{
	for (unsigned i = 0; i < GSIS; i++) {
		gsis[i].defaults = FLAG_GSI_LEVEL | FLAG_GSI_LOW;
	}
	for (unsigned i = 0; i < ISA_IRQS; i++) {
		if (machine.isa[i].gsi < GSIS) {
			gsis[machine.isa[i].gsi].defaults =
				machine.isa[i].flags;
		}
	}
}

static enum status check(unsigned gsi, unsigned cpu)
{
	if (gsi >= GSIS) {
		return BAD_PARAMETER;
	}
	if (cpu >= cpu_count || cpus[cpu]->apic_id > PHYSICAL_ID_MAX) {
		return BAD_CPU;
	}
	return SUCCESS;
}

enum status gsi_assign(unsigned gsi, unsigned cpu, unsigned flags)
{
	enum status status = check(gsi, cpu);
	struct gsi *g = &gsis[gsi];

	if (status != SUCCESS) {
		return status;
	}
	if (!ioapic_has(gsi)) {
		return BAD_DEVICE;
	}
	if (!(flags & FLAG_GSI_MODE)) {
		flags = g->defaults;
	}
	lock(&g->lock);
	g->line = true;
	g->level = flags & FLAG_GSI_LEVEL;
	g->masked = true;
	ioapic_route(gsi, VECTOR_GSI + gsi, cpus[cpu]->apic_id, flags);
	unlock(&g->lock);
	return SUCCESS;
}

enum status gsi_assign_msi(unsigned gsi, unsigned cpu, uint64_t *address,
			   uint64_t *data)
{
	enum status status = check(gsi, cpu);
	struct gsi *g = &gsis[gsi];

	if (status != SUCCESS) {
		return status;
	}
	lock(&g->lock);
	if (g->line) {
		ioapic_mask(gsi, true);
	}
	g->line = false;
	unlock(&g->lock);
	*address = APIC_PHYS | (uint64_t)cpus[cpu]->apic_id << 12;
	*data = VECTOR_GSI + gsi;
	return SUCCESS;
}

static void set_masked(struct gsi *g, bool masked)
{
	unsigned gsi = (unsigned)(g - gsis);

	lock(&g->lock);
	if (g->line && g->masked != masked) {
		g->masked = masked;
		ioapic_mask(gsi, masked);
	}
	unlock(&g->lock);
}

void gsi_unmask(unsigned gsi)
{
	set_masked(&gsis[gsi], false);
}

void gsi_interrupt(unsigned gsi)
{
	if (gsis[gsi].level) {
		set_masked(&gsis[gsi], true);
	}
	apic_eoi();
	gsi_fired(gsi);
}
