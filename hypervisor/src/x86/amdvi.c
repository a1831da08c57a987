/*
 * AMD-Vi (AMD I/O Virtualization Technology Specification, 3.08): one device
 * table for all units, and for each device that sends interrupts a table of
 * them, indexed by vector. That is also what is in a message: data and the pins
 * of an IOAPIC are as they would be without remapping.
 */
#include "iommu.h"
#include "irq.h"

/* ACPI table, 5.2: units, and devices behind them */
enum { IVHD_10 = 0x10, IVHD_11 = 0x11, IVHD_40 = 0x40, IVHD_SIZE_LONG = 40 }; /* the last two */
enum { ENTRY_ALL = 1, ENTRY_DEVICE = 2, ENTRY_MORE = 0x44 }; /* bits that tell more of it */
enum { ENTRY_LAST = 4 };				     /* of a range that began just before */
enum { ENTRY_SPECIAL = 72, SPECIAL_IOAPIC = 1 };
enum { ENTRY_ACPI = 240, ENTRY_ACPI_NAME = 21 }; /* as long as its name is */

/* Registers, 3.4 */
enum { DEVICE_TABLE = 0x00, COMMANDS = 0x08, EVENTS = 0x10, EXCLUSION = 0x20 };
enum { CONTROL = 0x18, CONTROL_ON = 1 << 0, CONTROL_EVENTS = 1 << 2 };
enum { CONTROL_COMMANDS = 1 << 12, CONTROL_GA = 1 << 17 };
#define CONTROL_XT (1ul << 50)
#define LENGTH_256 (8ul << 56) /* of both queues */
/* 32-bit destinations, interrupt entries of 128 bits */
enum { FEATURES = 0x30, FEATURE_XT = 1 << 2, FEATURE_GA = 1 << 7 };
enum { COMMAND_HEAD = 0x2000, COMMAND_TAIL = 0x2008, EVENT_HEAD = 0x2010, EVENT_TAIL = 0x2018 };
enum { STATUS = 0x2020, STATUS_OVERFLOW = 1 << 0 };

/* The device table, 2.2.2: VALID are page tables, too; 512 pages are said as 511 */
enum { DEVICES = 1 << 16, DEVICES_ORDER = 9, DEVICES_512 = 511 };
enum { VALID = 1 << 0 | 1 << 1, MODE_SHIFT = 9, LEVELS = 4 };
#define READ_WRITE (3ul << 61)
enum { INTERRUPTS_VALID = 1 << 0, INTERRUPTS_256 = 8 << 1 };
#define INTERRUPTS_ON (2ul << 60) /* else all are refused */
enum { REMAP = 1 << 0 };	  /* an interrupt's entry, 2.2.5.2 */

#define EVENT_WRITE (1ul << 53) /* 2.5.3 */

/* Commands, 2.4 */
#define WAIT_STORE	  (1ul << 60 | 1)
#define FORGET_DEVICE	  (2ul << 60)
#define FORGET_PAGES	  (3ul << 60)
#define FORGET_INTERRUPTS (5ul << 60)
#define ALL_PAGES	  0x7ffffffffffff003ul

struct ivhd {
	uint8_t type, flags;
	uint16_t length, rid, capability;
	uint64_t phys;
	uint16_t segment, info;
	uint32_t features;
} __attribute__((packed));

static_assert(sizeof(struct ivhd) == 24);

static struct ptab_format format = {
	.table = READ_WRITE | 1,
	.table_level = 1 << MODE_SHIFT,
	.page = 1ul << 60 | 1, /* coherent */
	.large = 1 << 7,       /* ours: it says so by its level 0 */
	.r = 1ul << 61,
	.w = 1ul << 62,
	.present = 1,
	.levels_large = 2,
};

static uint64_t (*devices)[4]; /* by RID */

/* Devices, ranges of them, and IOAPICs. False: a lie. */
static bool parse_entries(const uint8_t *entry, uint32_t left)
{
	uint32_t length, rid, first = 0;

	for (; left; entry += length, left -= length) {
		length = 4u << (entry[0] >> 6);
		if (entry[0] >= ENTRY_ACPI && left > ENTRY_ACPI_NAME)
			length = ENTRY_ACPI_NAME + 1u + entry[ENTRY_ACPI_NAME];
		if (length > left)
			return false;
		rid = entry[1] | (uint32_t)entry[2] << 8;
		first = entry[0] == ENTRY_LAST ? first : rid;
		if (entry[0] == ENTRY_ALL)
			iommu_cover(0, 0xffff);
		else if (entry[0] == ENTRY_LAST || (entry[0] & ~ENTRY_MORE) == ENTRY_DEVICE)
			iommu_cover(first, rid);
		else if (entry[0] == ENTRY_SPECIAL && entry[7] == SPECIAL_IOAPIC)
			irq_source(entry[4], entry[5] | (uint32_t)entry[6] << 8);
	}
	return true;
}

static bool check(struct iommu_unit *u, const struct acpi_table *)
{
	uint64_t features = REG64(u, FEATURES);

	if (!devices)
		devices = page_alloc(NULL, DEVICES_ORDER, true);
	iommu.format = &format;
	iommu.levels = LEVELS;
	iommu.remap_interrupts &= !!(features & FEATURE_GA);
	if (!(features & FEATURE_XT))
		iommu.max_apic_id = 0xff;
	return devices && features != ~0ul;
}

/* A unit may be in several, for those who do not know the later ones. */
static void ivhd(const void *record, uint32_t length)
{
	const struct ivhd *h = record;
	uint32_t size = h->type == IVHD_10 ? sizeof(*h) : IVHD_SIZE_LONG;

	iommu_found(h->phys, !h->segment && parse_entries((const uint8_t *)h + size, length - size),
		    h->flags);
}

/* Behind the commands. */
static void start_log(const struct iommu_unit *u)
{
	__builtin_memset(u->queue + IOMMU_QUEUE, 0, PAGE_SIZE);
	REG64(u, EVENTS) = (pool_to_phys(u->queue) + PAGE_SIZE) | LENGTH_256;
	REG64(u, EVENT_HEAD) = 0;
	REG64(u, EVENT_TAIL) = 0;
	REG64(u, STATUS) = STATUS_OVERFLOW;
}

static bool enable(struct iommu_unit *u)
{
	unsigned f = u->flags;

	for (unsigned i = 0; i < DEVICES; i++) {
		devices[i][0] |= VALID;
		devices[i][2] |= iommu.remap_interrupts ? INTERRUPTS_VALID : 0;
	}
	REG64(u, CONTROL) = 0;
	REG64(u, DEVICE_TABLE) = pool_to_phys(devices) | DEVICES_512;
	REG64(u, EXCLUSION) = 0; /* memory that all reach */
	REG64(u, COMMANDS) = pool_to_phys(u->queue) | LENGTH_256;
	REG64(u, COMMAND_HEAD) = 0;
	REG64(u, COMMAND_TAIL) = 0;
	start_log(u);
	/* ACPI tells of HT tunnel, posted writes (2), isochronous, coherent. */
	REG64(u, CONTROL) = CONTROL_ON | CONTROL_EVENTS | CONTROL_COMMANDS | CONTROL_GA |
			    (iommu.max_apic_id > 0xff ? CONTROL_XT : 0) |
			    ((f & 1) << 1 | (f & 6) << 7 | (f & 8) << 8 | (f & 0x20) << 5);
	return iommu_run(u, NULL);
}

static struct iommu_entry device(uint16_t rid, unsigned domain)
{
	return (struct iommu_entry){
		.at = devices[rid],
		.low = VALID | LEVELS << MODE_SHIFT | READ_WRITE,
		.high = domain,
	};
}

static struct iommu_entry interrupt(unsigned gsi, uint32_t source, uint32_t apic_id, bool)
{
	uint64_t *entry = devices[source], (*table)[2], vector = VECTOR_GSI + gsi;

	if (!(entry[2] & INTERRUPTS_ON)) {
		table = iommu_table();
		if (!table)
			return (struct iommu_entry){0};
		entry[2] = pool_to_phys(table) | INTERRUPTS_ON | INTERRUPTS_256 | INTERRUPTS_VALID;
	}
	table = phys_to_pool(entry[2] & ~INTERRUPTS_ON & ~PAGE_MASK);
	return (struct iommu_entry){
		.at = table[vector],
		.low = apic_id << 8 | REMAP,
		.high = (uint64_t)(apic_id >> 24) << 56 | vector,
	};
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
	REG64(u, CONTROL) &= ~(uint64_t)CONTROL_EVENTS;
	for (unsigned i = 0; i < IOMMU_QUEUE && log[i][0]; i++)
		iommu_fault(log[i][0] & 0xffff, log[i][1], log[i][0] & EVENT_WRITE,
			    (unsigned)(log[i][0] >> 60));
	start_log(u);
	REG64(u, CONTROL) |= CONTROL_EVENTS;
}

const struct iommu_vendor amdvi = {
	.name = "AMD-Vi",
	.signature = "IVRS",
	.records = {.layout = {1, 2, 2, 1},
		    .known = {{IVHD_10, sizeof(struct ivhd), ivhd},
			      {IVHD_11, IVHD_SIZE_LONG, ivhd},
			      {IVHD_40, IVHD_SIZE_LONG, ivhd}}},
	.tail = COMMAND_TAIL,
	.wait = {WAIT_STORE, 1},
	.forget = {[CACHED_DEVICE] = {{FORGET_DEVICE}, 1},
		   [CACHED_PAGES] = {{FORGET_PAGES, ALL_PAGES}, 1ul << 32},
		   [CACHED_INTERRUPT] = {{FORGET_INTERRUPTS}, 1}},
	.blocked = VALID,
	.check = check,
	.enable = enable,
	.device = device,
	.interrupt = interrupt,
	.faults = faults,
};
