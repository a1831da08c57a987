/*
 * AMD-Vi (AMD I/O Virtualization Technology Specification, 3.08): one device
 * table for all units, and for each device that sends interrupts a table of
 * them, indexed by vector. That is also what is in a message: data and the pins
 * of an IOAPIC are as they would be without remapping.
 */
#include "iommu.h"

#include "../log.h"
#include "acpi.h"
#include "apic.h"
#include "gsi.h"
#include "irq.h"
#include "kmem.h"
#include "madt.h"

enum {
	/* ACPI table, 5.2 */
	IVRS_ENTRIES = 48,
	IVHD_10 = 0x10,
	IVHD_11 = 0x11,
	IVHD_40 = 0x40,
	IVHD_SIZE_LONG = 40, /* of the last two */
	ENTRY_ALL = 1,
	ENTRY_DEVICE = 2,
	ENTRY_MORE = 0x44, /* bits of kinds that tell more of it */
	ENTRY_LAST = 4,	   /* of a range that began just before */
	ENTRY_SPECIAL = 72,
	SPECIAL_IOAPIC = 1,
	ENTRY_ACPI = 240, /* as long as its name is */
	ENTRY_ACPI_NAME = 21,

	/* Registers, 3.4 */
	DEVICE_TABLE = 0x00,
	COMMANDS = 0x08,
	EVENTS = 0x10,
	CONTROL = 0x18,
	FEATURES = 0x30,
	COMMAND_HEAD = 0x2000,
	COMMAND_TAIL = 0x2008,
	EVENT_HEAD = 0x2010,
	EVENT_TAIL = 0x2018,
	STATUS = 0x2020,

	FEATURE_XT = 1 << 2, /* 32-bit destinations */
	FEATURE_GA = 1 << 7, /* interrupt entries of 128 bits */

	CONTROL_ON = 1 << 0,
	CONTROL_EVENTS = 1 << 2,
	CONTROL_COMMANDS = 1 << 12,
	CONTROL_GA = 1 << 17,
	STATUS_OVERFLOW = 1 << 0,

	/* Device table entry, 2.2.2 */
	VALID = 1 << 0 | 1 << 1, /* and so are its page tables */
	MODE_SHIFT = 9,
	INTERRUPTS_VALID = 1 << 0,
	INTERRUPTS_256 = 8 << 1,

	REMAP = 1 << 0, /* interrupt entry, 2.2.5.2 */

	DEVICES = 1 << 16,
	DEVICES_ORDER = 9, /* entries of 32 bytes */
	DEVICES_512 = 511, /* their size in pages, minus 1 */
	INTERRUPT_TABLES = 64,
	LEVELS = 4,
};

/* An event is a write, 2.5.3 */
#define EVENT_WRITE (1ul << 53)

struct ivhd {
	uint8_t type, flags;
	uint16_t length, rid, capability;
	uint64_t phys;
	uint16_t segment, info;
	uint32_t features;
} __attribute__((packed));

static_assert(sizeof(struct ivhd) == 24);

#define CONTROL_XT    (1ul << 50)
#define LENGTH_256    (8ul << 56) /* of both queues */
#define READ_WRITE    (3ul << 61)
#define INTERRUPTS_ON (2ul << 60) /* else all are refused */
#define PTE_COHERENT  (1ul << 60)

/* Commands, 2.4 */
#define WAIT_STORE	  (1ul << 60 | 1)
#define FORGET_DEVICE	  (2ul << 60)
#define FORGET_PAGES	  (3ul << 60)
#define FORGET_INTERRUPTS (5ul << 60)
#define ALL_PAGES	  0x7ffffffffffff003ul

static struct ptab_format format = {
	.table = READ_WRITE | 1,
	.table_level = 1 << MODE_SHIFT,
	.page = PTE_COHERENT | 1,
	.large = 1 << 7, /* ours: it says so by its level 0 */
	.r = 1ul << 61,
	.w = 1ul << 62,
	.present = 1,
	.levels_large = 2,
};

static uint64_t (*devices)[4]; /* by RID */
static unsigned interrupt_tables;
static uint16_t sources[GSIS]; /* who may send them */

/* Length of an entry; 0: it lies. */
static uint32_t entry_length(const uint8_t *entry, uint32_t left)
{
	uint32_t length = 4u << (entry[0] >> 6);

	if (entry[0] >= ENTRY_ACPI) {
		length = left <= ENTRY_ACPI_NAME ? ~0u
						 : ENTRY_ACPI_NAME + 1u + entry[ENTRY_ACPI_NAME];
	}
	return length <= left ? length : 0;
}

/* Devices, ranges of them, and IOAPICs. False: a lie. */
static bool parse_entries(const uint8_t *entry, uint32_t left)
{
	uint32_t length, rid, first = 0;

	for (; left; entry += length, left -= length) {
		length = entry_length(entry, left);
		if (!length)
			return false;
		rid = entry[1] | (uint32_t)entry[2] << 8;
		first = entry[0] == ENTRY_LAST ? first : rid;
		if (entry[0] == ENTRY_ALL)
			iommu_cover(0, 0xffff);
		else if (entry[0] == ENTRY_LAST || (entry[0] & ~ENTRY_MORE) == ENTRY_DEVICE)
			iommu_cover(first, rid);
		else if (entry[0] == ENTRY_SPECIAL && entry[7] == SPECIAL_IOAPIC)
			madt_source(entry[4], entry[5] | (uint32_t)entry[6] << 8);
	}
	return true;
}

static bool check(struct iommu_unit *u, unsigned flags)
{
	uint64_t features = *reg64(u, FEATURES);

	/* HT tunnel, posted writes (2), isochronous, coherent */
	u->flags = (flags & 1) << 1 | (flags & 6) << 7 | (flags & 8) << 8 | (flags & 0x20) << 5;
	u->tail = reg32(u, COMMAND_TAIL);
	u->wait[0] = WAIT_STORE | kmem_image_phys(&u->done);
	u->wait[1] = 1;
	amdvi.remap_interrupts &= !!(features & FEATURE_GA);
	if (!(features & FEATURE_XT))
		amdvi.max_apic_id = 0xff;
	return features != ~0ul;
}

/* A unit may be in several, for those who do not know the later ones. */
static void ivhd(const void *record, uint32_t length)
{
	const struct ivhd *h = record;
	uint32_t size = h->type == IVHD_10 ? sizeof(*h) : IVHD_SIZE_LONG;
	struct iommu_unit *u = NULL;

	if (h->segment)
		return;
	if (!(h->phys & PAGE_MASK) && parse_entries((const uint8_t *)record + size, length - size))
		u = iommu_unit(h->phys);
	if (!u || !check(u, h->flags)) {
		log("amdvi: unit at 0x%lx cannot be used\n", h->phys);
		amdvi.complete = false;
	}
}

static bool find(void)
{
	static const struct record_format records = {1, 2, 2, 1};
	static const struct record_parser parsers[] = {
		{IVHD_10, sizeof(struct ivhd), ivhd},
		{IVHD_11, IVHD_SIZE_LONG, ivhd},
		{IVHD_40, IVHD_SIZE_LONG, ivhd},
	};
	const struct acpi_table *t = acpi_find("IVRS");

	devices = t ? page_alloc(NULL, DEVICES_ORDER, true) : NULL;
	if (!devices)
		return false;
	amdvi.complete &= acpi_parse(t, IVRS_ENTRIES, records, parsers, ARRAY_SIZE(parsers));
	return true;
}

/* Behind the commands. */
static void start_log(const struct iommu_unit *u)
{
	__builtin_memset(u->queue + IOMMU_QUEUE, 0, PAGE_SIZE);
	*reg64(u, EVENTS) = (pool_to_phys(u->queue) + PAGE_SIZE) | LENGTH_256;
	*reg64(u, EVENT_HEAD) = 0;
	*reg64(u, EVENT_TAIL) = 0;
	*reg64(u, STATUS) = STATUS_OVERFLOW;
}

static bool enable(struct iommu_unit *u)
{
	static const iommu_command none;
	uint64_t xt = amdvi.max_apic_id > 0xff ? CONTROL_XT : 0;

	for (unsigned i = 0; i < DEVICES; i++) {
		devices[i][0] |= VALID;
		devices[i][2] |= amdvi.remap_interrupts ? INTERRUPTS_VALID : 0;
	}
	u->next = 0;
	*reg64(u, CONTROL) = 0;
	*reg64(u, DEVICE_TABLE) = pool_to_phys(devices) | DEVICES_512;
	*reg64(u, COMMANDS) = pool_to_phys(u->queue) | LENGTH_256;
	*reg64(u, COMMAND_HEAD) = 0;
	*reg64(u, COMMAND_TAIL) = 0;
	start_log(u);
	*reg64(u, CONTROL) = CONTROL_ON | CONTROL_EVENTS | CONTROL_COMMANDS | CONTROL_GA | xt |
			     u->flags;
	return iommu_run(u, &none, 0);
}

static enum status attach(uint16_t rid, uint64_t root, unsigned domain)
{
	const iommu_command commands[] = {
		{FORGET_DEVICE | rid},
		{FORGET_PAGES | (uint64_t)domain << 32, ALL_PAGES},
	};
	volatile uint64_t *entry = devices[rid];

	entry[0] = VALID;
	if (root) {
		entry[1] = domain;
		entry[0] = VALID | root | LEVELS << MODE_SHIFT | READ_WRITE;
	}
	iommu_run_all(commands, 2);
	return SUCCESS;
}

static void flush(unsigned domain)
{
	const iommu_command c = {FORGET_PAGES | (uint64_t)domain << 32, ALL_PAGES};

	iommu_run_all(&c, 1);
}

/* A device's table of interrupts, if it has one. */
static uint64_t (*table_of(uint32_t rid))[2]
{
	uint64_t entry = devices[rid][2];

	return entry & INTERRUPTS_ON ? phys_to_pool(entry & ~INTERRUPTS_ON & ~PAGE_MASK) : NULL;
}

static bool make_table(uint32_t rid)
{
	void *table = interrupt_tables < INTERRUPT_TABLES ? page_alloc(NULL, 0, true) : NULL;

	if (table) {
		interrupt_tables++;
		devices[rid][2] = pool_to_phys(table) | INTERRUPTS_ON | INTERRUPTS_256 |
				  INTERRUPTS_VALID;
	}
	return table;
}

static enum status interrupt(unsigned gsi, uint32_t source, uint32_t apic_id, bool level,
			     uint64_t *address)
{
	uint32_t before = sources[gsi], vector = VECTOR_GSI + gsi;
	const iommu_command commands[] = {{FORGET_INTERRUPTS | before},
					  {FORGET_DEVICE | source},
					  {FORGET_INTERRUPTS | source}};
	volatile uint64_t *entry;

	(void)level;
	if (!table_of(source) && !make_table(source))
		return OUT_OF_MEMORY;
	if (table_of(before))
		table_of(before)[vector][0] = 0;
	sources[gsi] = (uint16_t)source;
	entry = table_of(source)[vector];
	entry[0] = 0;
	entry[1] = (uint64_t)(apic_id >> 24) << 56 | vector;
	entry[0] = (apic_id << 8) | REMAP;
	iommu_run_all(commands, 3);
	*address = APIC_PHYS;
	return SUCCESS;
}

/*
 * The log is begun anew each time, which also ends an overflow. Emulators do
 * not keep the tail, so look at what is there.
 */
static void faults(struct iommu_unit *u)
{
	iommu_command *log = u->queue + IOMMU_QUEUE;

	if (!log[0][0])
		return;
	*reg64(u, CONTROL) &= ~(uint64_t)CONTROL_EVENTS;
	for (unsigned i = 0; i < IOMMU_QUEUE && log[i][0]; i++) {
		iommu_fault(log[i][0] & 0xffff, log[i][1], log[i][0] & EVENT_WRITE,
			    (unsigned)(log[i][0] >> 60));
	}
	start_log(u);
	*reg64(u, CONTROL) |= CONTROL_EVENTS;
}

struct iommu_ops amdvi = {
	.name = "AMD-Vi",
	.levels = LEVELS,
	.domains = IOMMU_DOMAINS,
	.max_apic_id = ~0u,
	.remap_interrupts = true,
	.complete = true,
	.format = &format,
	.find = find,
	.enable = enable,
	.attach = attach,
	.flush = flush,
	.interrupt = interrupt,
	.faults = faults,
};
