/*
 * The multiple APIC description table, ACPI 6.4, 5.2.12.
 */
#include "madt.h"

#include "../log.h"
#include "acpi.h"
#include "irq.h"

struct machine machine;

enum { MADT_ENTRIES = 44 }; /* offset of the first */
enum { ENTRY_LAPIC = 0, ENTRY_IOAPIC = 1, ENTRY_OVERRIDE = 2, ENTRY_X2APIC = 9 };
enum { LAPIC_ENABLED = 1 << 0 };
/* Polarity, trigger: 0 the bus's, 1 high or edge */
enum { INTI_POLARITY = 3, INTI_LOW = 3, INTI_TRIGGER = 3 << 2, INTI_LEVEL = 3 << 2 };
enum { DEFAULT_IOAPIC = 0xfec00000l };

struct entry_lapic {
	uint8_t type, length;
	uint8_t acpi_id, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct entry_ioapic {
	uint8_t type, length;
	uint8_t id, reserved;
	uint32_t address, gsi;
} __attribute__((packed));

struct entry_override {
	uint8_t type, length;
	uint8_t bus, irq;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

struct entry_x2apic {
	uint8_t type, length;
	uint16_t reserved;
	uint32_t apic_id, flags, acpi_id;
} __attribute__((packed));

/* nobody: the APIC ID that stands for none. */
static void add_cpu(uint32_t apic_id, uint32_t nobody, uint32_t acpi_id, uint32_t flags)
{
	if (!(flags & LAPIC_ENABLED) || apic_id == nobody)
		return;
	for (uint32_t i = 0; i < machine.cpus; i++)
		if (machine.cpu[i].apic_id == apic_id)
			return;
	if (machine.cpus == MAX_CPUS)
		log("madt: CPU with APIC ID %u is one too many\n", apic_id);
	else
		machine.cpu[machine.cpus++] = (struct madt_cpu){apic_id, (uint8_t)acpi_id};
}

static void lapic(const void *p, uint32_t)
{
	const struct entry_lapic *e = p;

	add_cpu(e->apic_id, 0xff, e->acpi_id, e->flags);
}

static void x2apic(const void *p, uint32_t)
{
	const struct entry_x2apic *e = p;

	add_cpu(e->apic_id, ~0u, e->acpi_id, e->flags);
}

static void ioapic(const void *p, uint32_t)
{
	const struct entry_ioapic *e = p;

	machine.ioapics++;
	irq_ioapic(e->address, e->gsi, e->id);
}

/* The ISA bus is edge-triggered, active high. */
static void override(const void *p, uint32_t)
{
	const struct entry_override *e = p;

	if (e->bus == 0)
		irq_mode(e->gsi,
			 ((e->flags & INTI_POLARITY) == INTI_LOW ? FLAG_GSI_LOW : 0) |
				 ((e->flags & INTI_TRIGGER) == INTI_LEVEL ? FLAG_GSI_LEVEL : 0));
}

void madt_init(void)
{
	static const struct records entries = {
		1,
		1,
		1,
		1,
		{
			{ENTRY_LAPIC, sizeof(struct entry_lapic), lapic},
			{ENTRY_IOAPIC, sizeof(struct entry_ioapic), ioapic},
			{ENTRY_OVERRIDE, sizeof(struct entry_override), override},
			{ENTRY_X2APIC, sizeof(struct entry_x2apic), x2apic},
		},
	};

	acpi_parse(acpi_find("APIC"), MADT_ENTRIES, &entries);
	if (!machine.ioapics)
		irq_ioapic(DEFAULT_IOAPIC, 0, 0);
}
