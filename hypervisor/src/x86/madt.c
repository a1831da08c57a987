/*
 * The multiple APIC description table, ACPI 6.4, 5.2.12.
 */
#include "madt.h"

#include "../log.h"
#include "acpi.h"

struct machine machine;

enum {
	MADT_ENTRIES = 44,	/* offset of the first */

	ENTRY_LAPIC = 0,
	ENTRY_IOAPIC = 1,
	ENTRY_OVERRIDE = 2,
	ENTRY_X2APIC = 9,

	LAPIC_ENABLED = 1 << 0,

	INTI_POLARITY = 3,	/* 0 the bus's, 1 high, 3 low */
	INTI_LOW = 3,
	INTI_TRIGGER = 3 << 2,	/* 0 the bus's, 1 edge, 3 level */
	INTI_LEVEL = 3 << 2,

	DEFAULT_IOAPIC = 0xfec00000l,
};

struct entry {
	uint8_t type, length;
} __attribute__((packed));

struct entry_lapic {
	struct entry head;
	uint8_t acpi_id, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct entry_ioapic {
	struct entry head;
	uint8_t id, reserved;
	uint32_t address, gsi;
} __attribute__((packed));

struct entry_override {
	struct entry head;
	uint8_t bus, irq;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

struct entry_x2apic {
	struct entry head;
	uint16_t reserved;
	uint32_t apic_id, flags, acpi_id;
} __attribute__((packed));

static void add_cpu(uint32_t apic_id, uint32_t acpi_id)
{
	for (uint32_t i = 0; i < machine.cpus; i++) {
		if (machine.cpu[i].apic_id == apic_id) {
			return;
		}
	}
	if (machine.cpus == MAX_CPUS) {
		log("madt: CPU with APIC ID %u is one too many\n", apic_id);
		return;
	}
	machine.cpu[machine.cpus++] =
		(struct madt_cpu){apic_id, (uint8_t)acpi_id};
}

static void lapic(const void *p)
{
	const struct entry_lapic *e = p;

	if (e->flags & LAPIC_ENABLED && e->apic_id != 0xff) {
		add_cpu(e->apic_id, e->acpi_id);
	}
}

static void x2apic(const void *p)
{
	const struct entry_x2apic *e = p;

	if (e->flags & LAPIC_ENABLED && e->apic_id != ~0u) {
		add_cpu(e->apic_id, e->acpi_id);
	}
}

static void ioapic(const void *p)
{
	const struct entry_ioapic *e = p;

	if (machine.ioapics < MAX_IOAPICS) {
		machine.ioapic[machine.ioapics++] =
			(struct madt_ioapic){e->address, e->gsi};
	}
}

/* The ISA bus is edge-triggered, active high. */
static void override(const void *p)
{
	const struct entry_override *e = p;

	if (e->bus != 0 || e->irq >= ISA_IRQS) {
		return;
	}
	machine.isa[e->irq] = (struct madt_isa){
		.gsi = e->gsi,
		.flags = (uint8_t)(
			((e->flags & INTI_POLARITY) == INTI_LOW
				 ? FLAG_GSI_LOW : 0) |
			((e->flags & INTI_TRIGGER) == INTI_LEVEL
				 ? FLAG_GSI_LEVEL : 0)),
	};
}

static const struct {
	uint8_t type, length;
	void (*parse)(const void *);
} kinds[] = {
	{ENTRY_LAPIC, sizeof(struct entry_lapic), lapic},
	{ENTRY_IOAPIC, sizeof(struct entry_ioapic), ioapic},
	{ENTRY_OVERRIDE, sizeof(struct entry_override), override},
	{ENTRY_X2APIC, sizeof(struct entry_x2apic), x2apic},
};

static void parse(const struct entry *e)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].type == e->type && kinds[i].length <= e->length) {
			kinds[i].parse(e);
		}
	}
}

void madt_init(void)
{
	const struct acpi_table *t = acpi_find("APIC");
	uint32_t at = MADT_ENTRIES;

	for (uint32_t i = 0; i < ISA_IRQS; i++) {
		machine.isa[i].gsi = i;
	}
	while (t && at + sizeof(struct entry) <= t->length) {
		const struct entry *e =
			(const void *)((const char *)t + at);

		if (e->length < sizeof(*e) || e->length > t->length - at) {
			log("madt: bad entry at %u, the rest is ignored\n", at);
			break;
		}
		parse(e);
		at += e->length;
	}
	if (machine.ioapics == 0) {
		machine.ioapic[machine.ioapics++].phys = DEFAULT_IOAPIC;
	}
}
