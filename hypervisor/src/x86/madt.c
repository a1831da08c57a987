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
enum { LAPIC_ENABLED = 1 << 0, ISA = 0 };
/* Polarity, trigger: 0 the bus's, 1 high or edge */
enum { INTI_POLARITY = 3, INTI_LOW = 3, INTI_TRIGGER = 3 << 2, INTI_LEVEL = 3 << 2 };
enum { DEFAULT_IOAPIC = 0xfec00000l };

/*
 * What is used of an entry:
 *		5.2.12	id	second	word
 *   LAPIC	.2	ACPI's	APIC's	flags
 *   IOAPIC	.3	its ID		address, first GSI
 *   override	.5	bus	IRQ	GSI, flags (16 bits)
 *   x2APIC	.12			APIC ID, flags, ACPI ID
 */
struct entry {
	uint8_t type, length;
	uint8_t id, second;
	uint32_t word[];
} __attribute__((packed));

static_assert(sizeof(struct entry) == 4);

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

static void entry(const void *p, uint32_t)
{
	const struct entry *e = p;
	uint32_t flags;

	switch (e->type) {
	case ENTRY_LAPIC:
		add_cpu(e->second, 0xff, e->id, e->word[0]);
		break;
	case ENTRY_IOAPIC:
		machine.ioapics++;
		irq_ioapic(e->word[0], e->word[1], e->id);
		break;
	case ENTRY_OVERRIDE:
		flags = record_number((const char *)&e->word[1], 2);
		if (e->id == ISA)
			irq_mode(e->word[0],
				 ((flags & INTI_POLARITY) == INTI_LOW ? FLAG_GSI_LOW : 0) |
					 ((flags & INTI_TRIGGER) == INTI_LEVEL ? FLAG_GSI_LEVEL
									       : 0));
		break;
	case ENTRY_X2APIC:
		add_cpu(e->word[0], ~0u, e->word[2], e->word[1]);
		break;
	}
}

void madt_init(void)
{
	static const struct records entries = {
		.layout = {1, 1, 1, 1},
		.known = {{ENTRY_LAPIC, 8, entry},
			  {ENTRY_IOAPIC, 12, entry},
			  {ENTRY_OVERRIDE, 10, entry},
			  {ENTRY_X2APIC, 16, entry}},
	};

	acpi_parse(acpi_find("APIC"), MADT_ENTRIES, &entries);
	if (!machine.ioapics)
		irq_ioapic(DEFAULT_IOAPIC, 0, 0);
}
