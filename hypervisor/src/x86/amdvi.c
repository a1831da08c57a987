/*
 * AMD-Vi (AMD I/O Virtualization Technology Specification, 3.08): one device
 * table for all units, and for each device that sends interrupts a table of
 * them, indexed by vector. That is also what is in a message: data and the pins
 * of an IOAPIC are as they would be without remapping.
 */
#include "iommu.h"

#include "../log.h"
#include "../page.h"
#include "apic.h"
#include "gsi.h"
#include "irq.h"
#include "kmem.h"

enum {
	/* Registers, 3.4; those from 0x2000 on are in a page of their own */
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
	LATER = 0x2000,

	FEATURE_XT = 1 << 2,		/* 32-bit destinations */
	FEATURE_GA = 1 << 7,		/* interrupt entries of 128 bits */

	CONTROL_ON = 1 << 0,
	CONTROL_EVENTS = 1 << 2,
	CONTROL_COMMANDS = 1 << 12,
	CONTROL_GA = 1 << 17,

	STATUS_OVERFLOW = 1 << 0,

	/* Device table entry, 2.2.2 */
	VALID = 1 << 0 | 1 << 1,	/* and so are its page tables */
	MODE_SHIFT = 9,
	INTERRUPTS_VALID = 1 << 0,
	INTERRUPTS_256 = 8 << 1,

	/* Interrupt entry, 2.2.5.2 */
	REMAP = 1 << 0,

	DEVICES = 1 << 16,
	DEVICES_ORDER = 9,		/* entries of 32 bytes */
	DEVICES_512 = 511,		/* their size in pages, minus 1 */
	INTERRUPT_TABLES = 64,
	LEVELS = 4,
};

/* An event is a write, 2.5.3 */
#define EVENT_WRITE   (1ul << 53)

#define CONTROL_XT    (1ul << 50)
#define LENGTH_256    (8ul << 56)	/* of both queues */
#define READ_WRITE    (3ul << 61)
#define INTERRUPTS_ON (2ul << 60)	/* else all are refused */
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
	.large = 1 << 7,		/* ours: it says so by its level 0 */
	.r = 1ul << 61,
	.w = 1ul << 62,
	.present = 1,
	.levels_large = 2,
};

static uint64_t (*devices)[4];		/* by RID */
static unsigned interrupt_tables;
static uint16_t sources[GSIS];		/* who may send them */
static bool wide_ids = true;

static volatile uint64_t *reg(const struct iommu_unit *u, unsigned at)
{
	/* kmem_device() maps one page after the other. */
	at = at >= LATER ? at - LATER + (unsigned)PAGE_SIZE : at;
	return (volatile uint64_t *)(u->registers + at);
}

bool amdvi_unit(struct iommu_unit *u, uint8_t flags)
{
	uint64_t features;

	if (!u->queue) {
		u->registers = kmem_device(u->phys);
		kmem_device(u->phys + LATER);
		/* The second page is for events. */
		u->queue = page_alloc(NULL, 1, true);
	}
	features = *reg(u, FEATURES);
	if (features == ~0ul || !u->queue) {
		log("amdvi: unit at 0x%lx is not there, it is left off\n",
		    u->phys);
		return false;
	}
	/* HT tunnel, posted writes (2), isochronous, coherent */
	u->flags = (flags & 1u) << 1 | (flags & 6u) << 7 | (flags & 8u) << 8 |
		   (flags & 0x20u) << 5;
	u->tail = (volatile uint32_t *)reg(u, COMMAND_TAIL);
	u->wait[0] = WAIT_STORE | kmem_image_phys(&u->done);
	u->wait[1] = 1;
	amdvi.remap_interrupts &= !!(features & FEATURE_GA);
	wide_ids &= !!(features & FEATURE_XT);
	return true;
}

static bool find(void)
{
	amdvi.remap_interrupts = true;
	if (!ivrs_parse()) {
		return false;
	}
	amdvi.levels = LEVELS;
	amdvi.domains = DOMAINS;
	amdvi.max_apic_id = wide_ids ? ~0u : 0xff;
	devices = page_alloc(NULL, DEVICES_ORDER, true);
	if (!devices) {
		log("amdvi: no memory for the device table\n");
		return false;
	}
	return true;
}

/* Behind the commands. */
static void start_log(const struct iommu_unit *u)
{
	__builtin_memset(u->queue + IOMMU_QUEUE, 0, PAGE_SIZE);
	*reg(u, EVENTS) = (pool_to_phys(u->queue) + PAGE_SIZE) | LENGTH_256;
	*reg(u, EVENT_HEAD) = 0;
	*reg(u, EVENT_TAIL) = 0;
	*reg(u, STATUS) = STATUS_OVERFLOW;
}

static bool enable(struct iommu_unit *u)
{
	static const iommu_command none;
	uint64_t control = CONTROL_ON | CONTROL_EVENTS | CONTROL_COMMANDS |
			   CONTROL_GA | (wide_ids ? CONTROL_XT : 0) | u->flags;

	for (unsigned i = 0; i < DEVICES; i++) {
		devices[i][0] |= VALID;
		devices[i][2] |= amdvi.remap_interrupts ? INTERRUPTS_VALID : 0;
	}
	u->next = 0;
	*reg(u, CONTROL) = 0;
	*reg(u, DEVICE_TABLE) = pool_to_phys(devices) | DEVICES_512;
	*reg(u, COMMANDS) = pool_to_phys(u->queue) | LENGTH_256;
	*reg(u, COMMAND_HEAD) = 0;
	*reg(u, COMMAND_TAIL) = 0;
	start_log(u);
	*reg(u, CONTROL) = control;
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
	const iommu_command c = {FORGET_PAGES | (uint64_t)domain << 32,
				 ALL_PAGES};

	iommu_run_all(&c, 1);
}

/* A device's table of interrupts, if it has one. */
static uint64_t (*table_of(uint32_t rid))[2]
{
	uint64_t entry = devices[rid][2];

	return entry & INTERRUPTS_ON
		       ? phys_to_pool(entry & ~INTERRUPTS_ON & ~PAGE_MASK)
		       : NULL;
}

static bool make_table(uint32_t rid)
{
	void *table = NULL;

	if (interrupt_tables < INTERRUPT_TABLES) {
		table = page_alloc(NULL, 0, true);
	}
	if (table) {
		interrupt_tables++;
		devices[rid][2] = pool_to_phys(table) | INTERRUPTS_ON |
				  INTERRUPTS_256 | INTERRUPTS_VALID;
	}
	return table;
}

static enum status interrupt(unsigned gsi, uint32_t source, uint32_t apic_id,
			     bool level, uint64_t *address)
{
	uint32_t before = sources[gsi], vector = VECTOR_GSI + gsi;
	const iommu_command commands[] = {{FORGET_INTERRUPTS | before},
					  {FORGET_DEVICE | source},
					  {FORGET_INTERRUPTS | source}};
	volatile uint64_t *entry;

	(void)level;
	if (!table_of(source) && !make_table(source)) {
		return OUT_OF_MEMORY;
	}
	if (table_of(before)) {
		table_of(before)[vector][0] = 0;
	}
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

	if (!log[0][0]) {
		return;
	}
	*reg(u, CONTROL) &= ~(uint64_t)CONTROL_EVENTS;
	for (unsigned i = 0; i < IOMMU_QUEUE && log[i][0]; i++) {
		iommu_fault(log[i][0] & 0xffff, log[i][1],
			    log[i][0] & EVENT_WRITE ? "write" : "read",
			    (unsigned)(log[i][0] >> 60));
	}
	start_log(u);
	*reg(u, CONTROL) |= CONTROL_EVENTS;
}

struct iommu_ops amdvi = {
	.name = "AMD-Vi",
	.format = &format,
	.find = find,
	.enable = enable,
	.attach = attach,
	.flush = flush,
	.interrupt = interrupt,
	.faults = faults,
};
