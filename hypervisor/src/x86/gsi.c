/*
 * A GSI's vector is VECTOR_GSI + GSI on whichever CPU it goes to.
 *
 * A level-triggered line is masked when it fires, as it stays up until its
 * program has served the device; the program's next sm_down unmasks it.
 */
#include "gsi.h"

#include "../sm.h"
#include "apic.h"
#include "ioapic.h"
#include "iommu.h"
#include "irq.h"
#include "madt.h"
#include "pic.h"

static_assert((int)VECTOR_GSI + GSIS <= VECTOR_PIC);

struct gsi {
	struct lock lock; /* for all fields */
	uint8_t defaults; /* FLAG_GSI_ of the machine; constant */
	bool level;
	bool masked; /* assigned, a line, and to be unmasked */
};

static struct gsi gsis[GSIS];

void gsi_init(void)
{
	for (unsigned i = 0; i < GSIS; i++)
		gsis[i].defaults = FLAG_GSI_LEVEL | FLAG_GSI_LOW;
	for (unsigned i = 0; i < ISA_IRQS; i++)
		if (machine.isa[i].gsi < GSIS)
			gsis[machine.isa[i].gsi].defaults = machine.isa[i].flags;
}

enum status gsi_assign(unsigned gsi, uint32_t device, uint32_t cpu, unsigned flags,
		       uint64_t *address, uint64_t *data)
{
	struct gsi *g = &gsis[gsi];
	uint32_t source;
	bool line = ioapic_has(gsi, &source);
	enum status s;

	if (line == (device != SOURCE_UNKNOWN))
		return BAD_DEVICE;
	if (!line)
		flags = 0;
	else if (!(flags & FLAG_GSI_MODE))
		flags = g->defaults;
	lock(&g->lock);
	s = iommu_interrupt(gsi, line ? source : device, cpus[cpu]->apic_id, flags & FLAG_GSI_LEVEL,
			    address);
	if (s == SUCCESS) {
		*data = VECTOR_GSI + gsi;
		g->level = flags & FLAG_GSI_LEVEL;
		g->masked = line;
	}
	if (s == SUCCESS && line) {
		ioapic_route(gsi, VECTOR_GSI + gsi, *address, flags);
		*address = *data = 0;
	}
	unlock(&g->lock);
	return s;
}

static void set_masked(struct gsi *g, bool masked)
{
	lock(&g->lock);
	if (g->masked != masked) {
		g->masked = masked;
		ioapic_mask((unsigned)(g - gsis), masked);
	}
	unlock(&g->lock);
}

void gsi_unmask(unsigned gsi)
{
	set_masked(&gsis[gsi], false);
}

void gsi_interrupt(unsigned gsi)
{
	if (gsis[gsi].level)
		set_masked(&gsis[gsi], true);
	apic_eoi();
	gsi_fired(gsi);
}
