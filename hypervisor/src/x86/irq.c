/*
 * Interrupt controllers and what the multiple APIC description table says of
 * them (MADT, ACPI 6.4, 5.2.12).
 *
 * A GSI's vector is VECTOR_GSI + GSI on whichever CPU it goes to.
 *
 * Lines come through IOAPICs (the 82093AA and its successors), whose registers
 * are behind an index. A level-triggered line is masked when it fires, as it
 * stays up until its program has served the device; the program's next sm_down
 * unmasks it.
 *
 * A PC's pair of 8259As is masked. They are also given vectors of their own,
 * because a masked one can still deliver a spurious interrupt.
 */
#include "irq.h"

#include "../log.h"
#include "../sm.h"
#include "../timeout.h"
#include "acpi.h"
#include "apic.h"
#include "hip.h"
#include "insn.h"
#include "iommu.h"
#include "kmem.h"

static_assert((int)VECTOR_GSI + GSIS <= VECTOR_PIC);

/* An IOAPIC's registers: three in memory (EOI since version 0x20), those behind the first. */
enum { INDEX = 0x00 / 4, DATA = 0x10 / 4, EOI = 0x40 / 4, IOAPIC_SIZE = 0x100 };
/* 23:16 the last pin; two a pin, as far as 8 bits go */
enum { REG_VERSION = 1, REG_PIN = 0x10, MAX_PINS = (0x100 - REG_PIN) / 2 };
enum { PIN_LOW = 1 << 13, PIN_WAITS = 1 << 14 }; /* for the EOI of a level interrupt */
enum { PIN_LEVEL = 1 << 15, PIN_MASKED = 1 << 16 };

/* For each 8259A its port, ICW1 (edge) to ICW4 (8086), and what masks all. */
static const uint8_t pics[][6] = {
	{0x20, 0x11, VECTOR_PIC, 1 << 2, 0x01, 0xff},
	{0xa0, 0x11, VECTOR_PIC + 8, 2, 0x01, 0xff},
};

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

struct machine machine;

static struct ioapic {
	volatile uint32_t *registers;
	uint32_t gsi, pins; /* its first; how many */
	uint32_t source;
	uint8_t id;
} ioapics[MAX_IOAPICS];
static uint32_t ioapic_count;

static struct gsi {
	uint32_t low, high; /* of its pin; 0: not assigned, or a message */
	uint8_t mode;	    /* FLAG_GSI_ of the machine: of ISA's first 16 edge, high */
} gsis[GSIS] = {[16 ... GSIS - 1] = {.mode = FLAG_GSI_LEVEL | FLAG_GSI_LOW}};

static struct lock irq_lock; /* for pins and their registers */

static uint32_t read(const struct ioapic *a, uint32_t reg)
{
	a->registers[INDEX] = reg;
	return a->registers[DATA];
}

static void write(const struct ioapic *a, uint32_t reg, uint32_t value)
{
	a->registers[INDEX] = reg;
	a->registers[DATA] = value;
}

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

static void add_ioapic(uint64_t phys, uint32_t gsi, uint8_t id)
{
	bool fits = ioapic_count < MAX_IOAPICS && phys % IOAPIC_SIZE == 0 &&
		    !hip_has(HIP_MEM_AVAILABLE, phys, PAGE_SIZE);
	struct ioapic *a = &ioapics[ioapic_count];
	uint32_t last;

	if (fits) {
		hip_add(phys & ~PAGE_MASK, PAGE_SIZE, HIP_MEM_KERNEL);
		*a = (struct ioapic){kmem_map(phys, MEMORY_UNCACHED), gsi, 0, SOURCE_UNKNOWN, id};
		last = read(a, REG_VERSION) >> 16 & 0xff;
		a->pins = last < MAX_PINS ? last + 1 : 0;
		ioapic_count++;
	}
	if (!fits || !a->pins)
		log("irq: no IOAPIC at 0x%lx\n", phys);
}

static void entry(const void *p, uint32_t)
{
	const struct entry *e = p;

	if (e->type == ENTRY_LAPIC) {
		add_cpu(e->second, 0xff, e->id, e->word[0]);
	} else if (e->type == ENTRY_X2APIC) {
		add_cpu(e->word[0], ~0u, e->word[2], e->word[1]);
	} else if (e->type == ENTRY_IOAPIC) {
		add_ioapic(e->word[0], e->word[1], e->id);
	} else if (e->id == ISA && e->word[0] < GSIS) {
		uint32_t mode = record_number((const char *)&e->word[1], 2);

		gsis[e->word[0]].mode = ((mode & INTI_POLARITY) == INTI_LOW ? FLAG_GSI_LOW : 0) |
					((mode & INTI_TRIGGER) == INTI_LEVEL ? FLAG_GSI_LEVEL : 0);
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
	if (!ioapic_count)
		add_ioapic(DEFAULT_IOAPIC, 0, 0);
}

void irq_source(uint8_t ioapic_id, uint32_t source)
{
	for (struct ioapic *a = ioapics; a < ioapics + ioapic_count; a++)
		if (a->id == ioapic_id && a->source == SOURCE_UNKNOWN)
			a->source = source;
}

bool irq_sources_known(void)
{
	for (struct ioapic *a = ioapics; a < ioapics + ioapic_count; a++)
		if (a->pins && a->source == SOURCE_UNKNOWN)
			return false;
	return true;
}

/* Of several the first has it. */
static struct ioapic *find(unsigned gsi)
{
	for (struct ioapic *a = ioapics; a < ioapics + ioapic_count; a++)
		if (gsi - a->gsi < a->pins)
			return a;
	return NULL;
}

/* A pin gets what it is to have; the half with the mask comes last. */
static void set_pin(const struct ioapic *a, uint32_t pin, uint32_t low, uint32_t high)
{
	write(a, REG_PIN + 2 * pin, PIN_MASKED);
	write(a, REG_PIN + 2 * pin + 1, high);
	write(a, REG_PIN + 2 * pin, low);
}

void irq_reset(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pics); i++)
		for (unsigned j = 1; j < sizeof(pics[i]); j++)
			out8((uint16_t)(pics[i][0] + (j > 1)), pics[i][j]);
	for (struct ioapic *a = ioapics; a < ioapics + ioapic_count; a++) {
		for (uint32_t pin = 0; pin < a->pins; pin++) {
			uint32_t gsi = a->gsi + pin;
			bool used = gsi < GSIS && find(gsi) == a && gsis[gsi].low;

			set_pin(a, pin, used ? gsis[gsi].low : PIN_MASKED,
				used ? gsis[gsi].high : 0);
		}
	}
}

enum status gsi_assign(unsigned gsi, uint32_t device, uint32_t cpu, unsigned flags,
		       uint64_t *address, uint64_t *data)
{
	struct gsi *g = &gsis[gsi];
	struct ioapic *a = find(gsi);
	uint32_t vector = VECTOR_GSI + gsi;
	enum status s;

	if (!a == (device == SOURCE_UNKNOWN))
		return BAD_DEVICE;
	if (!a)
		flags = 0;
	else if (!(flags & FLAG_GSI_MODE))
		flags = g->mode;
	guard(&irq_lock);
	s = iommu_interrupt(gsi, a ? a->source : device, cpus[cpu]->apic_id, flags & FLAG_GSI_LEVEL,
			    address);
	if (s != SUCCESS)
		return s;
	*data = vector;
	if (a) {
		/* Bits 19..4 of the address are the upper half's, whatever their meaning. */
		g->high = (uint32_t)(*address << 12);
		g->low = PIN_MASKED | vector | (flags & FLAG_GSI_LEVEL ? PIN_LEVEL : 0) |
			 (flags & FLAG_GSI_LOW ? PIN_LOW : 0);
		set_pin(a, gsi - a->gsi, g->low, g->high);
		*address = *data = 0;
	}
	return SUCCESS;
}

void gsi_mask(unsigned gsi, bool masked, bool level)
{
	struct gsi *g = &gsis[gsi];
	const struct ioapic *a = find(gsi);
	uint32_t reg;

	if (!g->low || !(g->low & PIN_MASKED) == !masked || (!level && g->low & PIN_LEVEL))
		return;
	guard(&irq_lock);
	reg = REG_PIN + 2 * (gsi - a->gsi);
	/* Behind an IOMMU the APIC's EOI may not come to it. */
	if (!masked && read(a, reg) & PIN_WAITS)
		a->registers[EOI] = g->low & 0xff;
	g->low = masked ? g->low | PIN_MASKED : g->low & ~(uint32_t)PIN_MASKED;
	write(a, reg, g->low);
}

void irq_handle(uint32_t vector)
{
	unsigned gsi = vector - VECTOR_GSI;

	/* Idle it has read nothing: grace periods were not to wait for it. */
	if (this_cpu()->current == this_cpu()->idle)
		rcu_idle_leave(this_cpu());
	if (gsi < GSIS && gsis[gsi].low & PIN_LEVEL)
		gsi_mask(gsi, true, true);
	/* What nobody may send a device may: it would block others. Others do not mind. */
	apic_eoi();
	/* What is spurious, from an APIC or PIC, is ignored. */
	if (gsi < GSIS)
		gsi_fired(gsi);
	else if (vector == VECTOR_TIMER)
		timeout_run(this_cpu());
	else if (vector == VECTOR_IPI)
		ipi_handle();
}
