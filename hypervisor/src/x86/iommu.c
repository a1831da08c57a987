/*
 * What is the same for all IOMMUs: which units there are, which PD has which
 * device, and that interrupts go where they can. A device's domain, by which
 * units know its page tables, is its number here.
 */
#include "iommu.h"

#include "../log.h"
#include "../panic.h"
#include "../pd.h"
#include "../timeout.h"
#include "acpi.h"
#include "apic.h"
#include "hip.h"
#include "insn.h"
#include "kmem.h"
#include "madt.h"
#include "tsc.h"

enum {
	UNIT_PAGES = 3, /* of registers */
	TIMEOUT_MS = 500,
	FAULTS_MS = 1000,      /* between two looks for faults */
	FAULTS_TOLD = 2,       /* at one look */
	MAX_PHYSICAL_ID = 254, /* of 8 bits, 255 is all */
	MCFG_ENTRIES = 44,
};

/* PCI Firmware Specification 3.3, 4.1.2; memory begins with bus 0. */
struct mcfg_entry {
	uint64_t phys;
	uint16_t segment;
	uint8_t first, last;
	uint32_t reserved;
} __attribute__((packed));

struct iommu_ops *iommu;

static struct lock iommu_lock; /* for the rest, and units' queues */
static struct iommu_unit units[MAX_IOMMUS];
static unsigned unit_count;
static unsigned faults_told;
static struct {
	struct pd *pd; /* whose it is; NULL: a free entry */
	uint16_t rid;
} devices[IOMMU_DOMAINS]; /* from 1 on */

static uint8_t covered[(1 << 16) / 8]; /* bits by RID: passes a unit */

/* Configuration space of the first segment. */
static const struct mcfg_entry *config;

struct iommu_unit *iommu_unit(uint64_t phys)
{
	struct iommu_unit *u = units;

	while (u->phys && u->phys != phys)
		if (++u == units + MAX_IOMMUS)
			return NULL;
	if (!u->phys) {
		u->phys = phys;
		u->registers = (volatile char *)kmem_device(phys);
		for (unsigned i = 1; i < UNIT_PAGES; i++)
			kmem_device(phys + i * PAGE_SIZE);
		u->queue = page_alloc(NULL, 1, true);
		unit_count++;
	}
	return u->queue ? u : NULL;
}

void iommu_cover(uint32_t first, uint32_t last)
{
	for (uint32_t rid = first; rid <= last; rid++)
		covered[rid / 8] |= (uint8_t)(1 << rid % 8);
}

static void put(struct iommu_unit *u, const iommu_command c)
{
	__builtin_memcpy(u->queue[u->next], c, sizeof(iommu_command));
	u->next = (u->next + 1) % IOMMU_QUEUE;
}

bool iommu_run(struct iommu_unit *u, const iommu_command *commands, unsigned count)
{
	uint64_t end = rdtsc() + TIMEOUT_MS * (uint64_t)tsc_khz;

	for (unsigned i = 0; i < count; i++)
		put(u, commands[i]);
	u->done = 0;
	put(u, u->wait);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*u->tail = u->next * (uint32_t)sizeof(iommu_command);
	while (!__atomic_load_n(&u->done, __ATOMIC_ACQUIRE)) {
		if (rdtsc() > end)
			return false;
		__builtin_ia32_pause();
	}
	return true;
}

/* Going on without would leave memory open to a device. */
void iommu_run_all(const iommu_command *commands, unsigned count)
{
	for (unsigned i = 0; i < unit_count; i++)
		if (units[i].on && !iommu_run(&units[i], commands, count))
			panic("IOMMU at 0x%lx does not answer", units[i].phys);
}

void iommu_fault(uint32_t rid, uint64_t address, bool write, unsigned reason)
{
	if (faults_told++ < FAULTS_TOLD) {
		log("iommu: device %02x:%02x.%u must not %s 0x%lx (%u)\n", rid >> 8, rid >> 3 & 31,
		    rid & 7, write ? "write" : "read", address, reason);
	}
}

/* Nothing that a device does makes more work than this. */
static void look_for_faults(struct timeout *t)
{
	lock(&iommu_lock);
	faults_told = 0;
	for (unsigned i = 0; i < unit_count; i++)
		if (units[i].on)
			iommu->faults(&units[i]);
	unlock(&iommu_lock);
	t->deadline = rdtsc() + FAULTS_MS * (uint64_t)tsc_khz;
	timeout_add(this_cpu(), t);
}

bool iommu_device(uint64_t frame, uint32_t *rid)
{
	uint64_t at = config ? frame - (config->phys >> PAGE_BITS) : ~0ul;

	*rid = (uint32_t)at;
	return config && at >> 8 >= config->first && at >> 8 <= config->last;
}

/* The root of the PD's tables, as deep as units walk them; or 0. */
static uint64_t root_of(struct pd *pd)
{
	void *table;

	lock(&mdb_lock);
	table = ptab_table(&pd->tables[PTAB_DMA], pd, iommu->levels);
	unlock(&mdb_lock);
	return table ? pool_to_phys(table) : 0;
}

/* The lock is held. */
static enum status attach(struct pd *pd, uint16_t rid, uint64_t root)
{
	unsigned domain = 0;
	enum status s = OUT_OF_MEMORY;

	for (unsigned i = 1; i < iommu->domains; i++) {
		if (devices[i].pd && devices[i].rid == rid) {
			(void)!iommu->attach(rid, 0, i);
			devices[i].pd = NULL;
		}
		if (!devices[i].pd)
			domain = i;
	}
	if (domain)
		s = iommu->attach(rid, root, domain);
	if (s == SUCCESS) {
		devices[domain].pd = pd;
		devices[domain].rid = rid;
	}
	return s;
}

enum status iommu_assign(struct pd *pd, uint64_t frame)
{
	enum status s;
	uint32_t rid;
	uint64_t root;

	if (!iommu || !iommu->complete || !iommu_device(frame, &rid) ||
	    !(covered[rid / 8] & 1 << rid % 8))
		return BAD_DEVICE;
	root = root_of(pd);
	if (!root)
		return OUT_OF_MEMORY;
	lock(&iommu_lock);
	s = attach(pd, (uint16_t)rid, root);
	unlock(&iommu_lock);
	return s;
}

void iommu_release(struct pd *pd)
{
	lock(&iommu_lock);
	for (unsigned i = 1; i < IOMMU_DOMAINS; i++) {
		if (devices[i].pd == pd) {
			(void)!iommu->attach(devices[i].rid, 0, i);
			devices[i].pd = NULL;
		}
	}
	unlock(&iommu_lock);
}

void iommu_flush(const struct pd *pd)
{
	lock(&iommu_lock);
	for (unsigned i = 1; i < IOMMU_DOMAINS; i++)
		if (devices[i].pd == pd)
			iommu->flush(i);
	unlock(&iommu_lock);
}

enum status iommu_interrupt(unsigned gsi, uint32_t source, uint32_t apic_id, bool level,
			    uint64_t *address)
{
	bool remapped = iommu && iommu->remap_interrupts;
	enum status s;

	if (apic_id > (remapped ? iommu->max_apic_id : MAX_PHYSICAL_ID))
		return BAD_CPU;
	if (!remapped) {
		*address = APIC_PHYS | apic_id << 12;
		return SUCCESS;
	}
	lock(&iommu_lock);
	s = iommu->interrupt(gsi, source, apic_id, level, address);
	unlock(&iommu_lock);
	return s;
}

void iommu_resume(void)
{
	for (unsigned i = 0; iommu && i < unit_count; i++) {
		units[i].on = units[i].tail && iommu->enable(&units[i]);
		if (!units[i].on) {
			log("iommu: unit at 0x%lx is off\n", units[i].phys);
			iommu->complete = false;
		}
	}
}

static void find_config(void)
{
	const struct acpi_table *t = acpi_find("MCFG");
	const struct mcfg_entry *e = (const void *)((const char *)t + MCFG_ENTRIES);

	if (t && t->length >= MCFG_ENTRIES + sizeof(*e) && !e->segment) {
		static struct mcfg_entry first;

		first = *e;
		config = &first;
	}
}

void iommu_init(void)
{
	static struct timeout timeout = {.fire = look_for_faults};

	find_config();
	iommu = vtd.find() ? &vtd : amdvi.find() ? &amdvi : NULL;
	if (!iommu) {
		log("iommu: none, devices can reach all memory\n");
		return;
	}
	/* All units and all IOAPICs take part, or none does. */
	iommu->remap_interrupts &= iommu->complete && machine.sources == machine.ioapics;
	iommu_resume();
	for (unsigned i = 0; i < unit_count; i++)
		hip_take(units[i].phys, UNIT_PAGES * PAGE_SIZE);
	log("iommu: %s, %u units, %u levels%s; interrupts are %sremapped\n", iommu->name,
	    unit_count, iommu->levels, iommu->complete ? "" : ", no device can be assigned",
	    iommu->remap_interrupts ? "" : "not ");
	look_for_faults(&timeout);
}
