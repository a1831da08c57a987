/*
 * What is the same for all IOMMUs: which units there are, which PD has which
 * device, and that interrupts go where they can. A device's domain, by which
 * units know its page tables, is its number here.
 */
#include "iommu.h"

#include "../log.h"
#include "../pd.h"
#include "../timeout.h"
#include "acpi.h"
#include "apic.h"
#include "hip.h"
#include "insn.h"
#include "irq.h"
#include "kmem.h"

enum { UNIT_PAGES = 5, DOMAINS = 256 }; /* of registers, wherever they say; of all units together */
enum { TIMEOUT_MS = 500 };
enum { FAULTS_MS = 1000, FAULTS_TOLD = 2 }; /* between two looks for faults; at one look */
enum { MAX_PHYSICAL_ID = 254 };		    /* of 8 bits, 255 is all */
enum { UNIT_ENTRIES = 48, MCFG_ENTRIES = 44 };

struct iommu iommu = {.domains = DOMAINS, .max_apic_id = ~0u, .coherent = true, .complete = true};

static struct lock iommu_lock; /* for the rest, and units' queues */
static struct iommu_unit units[MAX_IOMMUS];
static unsigned unit_count;
static const struct acpi_table *unit_table;
static unsigned faults_told;
static struct {
	struct pd *pd; /* whose it is; NULL: a free entry */
	uint16_t rid;
} devices[DOMAINS]; /* from 1 on */
static struct {
	volatile uint64_t *entry;
	uint32_t source;
} interrupts[GSIS];
static uint8_t covered[(1 << 16) / 8]; /* bits by RID: passes a unit */

/* Configuration space of the first segment: PCI Firmware Specification 3.3, 4.1.2. */
static struct {
	uint64_t phys; /* begins with bus 0 */
	uint16_t segment;
	uint8_t first, last;
	uint32_t reserved;
} config;

void iommu_found(uint64_t phys, bool good, unsigned flags)
{
	struct iommu_unit *u = units;

	while (u < units + unit_count && u->phys != phys)
		u++;
	good = good && u < units + MAX_IOMMUS && !(phys & PAGE_MASK) && phys < physical_end() &&
	       !hip_has(HIP_MEM_AVAILABLE, phys, UNIT_PAGES * PAGE_SIZE);
	if (good && u == units + unit_count) {
		unit_count++;
		u->phys = phys;
		u->registers = kmem_map(phys, MEMORY_UNCACHED);
		for (unsigned i = 1; i < UNIT_PAGES; i++)
			kmem_map(phys + i * PAGE_SIZE, MEMORY_UNCACHED);
		hip_add(phys, UNIT_PAGES * PAGE_SIZE, HIP_MEM_KERNEL);
		u->queue = page_alloc(NULL, 1, true);
	}
	if (good && u->queue && iommu.vendor->check(u, unit_table)) {
		u->tail = &REG32(u, iommu.vendor->tail);
		u->flags = flags;
	} else {
		log("iommu: unit at 0x%lx cannot be used\n", phys);
		iommu.complete = false;
	}
}

void iommu_cover(uint32_t first, uint32_t last)
{
	for (uint32_t rid = first; rid <= last; rid++)
		covered[rid / 8] |= (uint8_t)(1 << rid % 8);
}

void *iommu_table(void)
{
	static uint64_t asked;

	return asked++ < IOMMU_TABLES ? page_alloc(NULL, 0, true) : NULL;
}

bool iommu_wait(const volatile uint32_t *word, uint32_t bit, bool on)
{
	uint64_t end = rdtsc() + TIMEOUT_MS * (uint64_t)tsc_khz;

	while (!(__atomic_load_n(word, __ATOMIC_ACQUIRE) & bit) == on) {
		if (rdtsc() > end)
			return false;
		__builtin_ia32_pause();
	}
	return true;
}

bool iommu_run(struct iommu_unit *u, const uint64_t *command)
{
	const struct iommu_vendor *v = iommu.vendor;
	iommu_command wait = {v->wait[0], v->wait[1]};

	wait[v->wait_address] |= kmem_image_phys(u->done);
	for (unsigned i = command ? 0 : 1; i < 2; i++) {
		__builtin_memcpy(u->queue[u->next], i ? wait : command, sizeof(wait));
		u->next = (u->next + 1) % IOMMU_QUEUE;
	}
	u->done[0] = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*u->tail = u->next * (uint32_t)sizeof(wait);
	return iommu_wait(u->done, 1, true);
}

/* By all units: going on without would leave memory open to a device. */
static void forget(enum iommu_cached what, uint64_t number)
{
	const uint64_t *all = iommu.vendor->forget[what].all;
	const iommu_command c = {all[0] + number * iommu.vendor->forget[what].unit, all[1]};

	if (!iommu.coherent)
		wbinvd();
	for (struct iommu_unit *u = units; u < units + unit_count; u++)
		if (u->tail && !iommu_run(u, c))
			panic("IOMMU at 0x%lx does not answer", u->phys);
}

void iommu_fault(uint32_t rid, uint64_t address, bool write, unsigned reason)
{
	if (faults_told++ < FAULTS_TOLD)
		log("iommu: device %02x:%02x.%u must not %s 0x%lx (%u)\n", rid >> 8, rid >> 3 & 31,
		    rid & 7, write ? "write" : "read", address, reason);
}

/* Nothing that a device does makes more work than this. */
static void look_for_faults(struct timeout *t)
{
	lock(&iommu_lock);
	faults_told = 0;
	for (struct iommu_unit *u = units; u < units + unit_count; u++)
		if (u->tail)
			iommu.vendor->faults(u);
	unlock(&iommu_lock);
	t->deadline = rdtsc() + FAULTS_MS * (uint64_t)tsc_khz;
	timeout_add(this_cpu(), t);
}

bool iommu_device(uint64_t frame, uint32_t *rid)
{
	uint64_t at = frame - (config.phys >> PAGE_BITS);

	*rid = (uint32_t)at;
	return config.phys && !config.segment && at >> 8 >= config.first && at >> 8 <= config.last;
}

/* The lock is held. The domain's device gets a root table, or with 0 is blocked. */
static enum status attach(unsigned domain, struct pd *pd, uint16_t rid, uint64_t root)
{
	struct iommu_entry e = iommu.vendor->device(rid, domain);

	if (!e.at)
		return OUT_OF_MEMORY;
	devices[domain].pd = pd;
	devices[domain].rid = rid;
	e.at[0] = iommu.vendor->blocked;
	e.at[1] = e.high;
	if (root)
		e.at[0] = e.low | root;
	forget(CACHED_DEVICE, rid);
	forget(CACHED_PAGES, domain);
	return SUCCESS;
}

/* The same; whose device it is, or whose of these. */
static void block(const struct pd *pd, uint32_t rid)
{
	for (unsigned i = 1; i < iommu.domains; i++)
		if (devices[i].pd && (devices[i].pd == pd || devices[i].rid == rid))
			(void)!attach(i, NULL, devices[i].rid, 0);
}

enum status iommu_assign(struct pd *pd, uint64_t frame)
{
	unsigned domain = 1;
	uint32_t rid;
	void *root;

	if (!iommu.vendor || !iommu.complete || !iommu_device(frame, &rid) ||
	    !(covered[rid / 8] & 1 << rid % 8))
		return BAD_DEVICE;
	/* As deep as units walk it. */
	lock(&mdb_lock);
	root = tree_table(&pd->tables[PTAB_DMA], pd, iommu.levels);
	unlock(&mdb_lock);
	if (!root)
		return OUT_OF_MEMORY;
	guard(&iommu_lock);
	block(NULL, rid);
	while (devices[domain].pd)
		if (++domain == iommu.domains)
			return OUT_OF_MEMORY;
	return attach(domain, pd, (uint16_t)rid, pool_to_phys(root));
}

void iommu_release(struct pd *pd)
{
	guard(&iommu_lock);
	block(pd, SOURCE_UNKNOWN);
}

void iommu_flush(const struct pd *pd)
{
	guard(&iommu_lock);
	for (unsigned i = 1; i < iommu.domains; i++)
		if (devices[i].pd == pd)
			forget(CACHED_PAGES, i);
}

enum status iommu_interrupt(unsigned gsi, uint32_t source, uint32_t apic_id, bool level,
			    uint64_t *address)
{
	struct iommu_entry e;

	if (apic_id > (iommu.remap_interrupts ? iommu.max_apic_id : MAX_PHYSICAL_ID))
		return BAD_CPU;
	*address = APIC_PHYS | (iommu.remap_interrupts ? 0 : apic_id << 12);
	if (!iommu.remap_interrupts)
		return SUCCESS;
	guard(&iommu_lock);
	e = iommu.vendor->interrupt(gsi, source, apic_id, level);
	if (!e.at)
		return OUT_OF_MEMORY;
	if (interrupts[gsi].entry) {
		interrupts[gsi].entry[0] = 0;
		forget(CACHED_INTERRUPT, interrupts[gsi].source);
	}
	interrupts[gsi].entry = e.at;
	interrupts[gsi].source = source;
	e.at[1] = e.high;
	e.at[0] = e.low;
	forget(CACHED_DEVICE, source); /* it may be its first */
	forget(CACHED_INTERRUPT, source);
	*address |= e.message;
	return SUCCESS;
}

void iommu_start(bool again)
{
	for (struct iommu_unit *u = units; u < units + unit_count; u++) {
		u->next = 0;
		if (!u->tail || !iommu.vendor->enable(u)) {
			if (again && u->tail)
				panic("IOMMU at 0x%lx does not come back", u->phys);
			u->tail = NULL;
			log("iommu: unit at 0x%lx is off\n", u->phys);
			iommu.complete = false;
		}
	}
}

static void find_units(const struct iommu_vendor *v)
{
	unit_table = acpi_find(v->signature);
	if (iommu.vendor || !unit_table || unit_table->length < UNIT_ENTRIES)
		return;
	iommu.vendor = v;
	iommu.remap_interrupts = true;
	iommu.complete &= acpi_parse(unit_table, UNIT_ENTRIES, &v->records);
	/* All units and all IOAPICs take part, or none does. */
	iommu.remap_interrupts &= iommu.complete && irq_sources_known();
}

void iommu_init(void)
{
	static struct timeout timeout = {.fire = look_for_faults};
	const struct acpi_table *t = acpi_find("MCFG");

	if (t && t->length >= MCFG_ENTRIES + sizeof(config))
		__builtin_memcpy(&config, (const char *)t + MCFG_ENTRIES, sizeof(config));
	find_units(&vtd);
	find_units(&amdvi);
	if (!iommu.vendor) {
		log("iommu: none, devices can reach all memory\n");
		return;
	}
	iommu_start(false);
	log("iommu: %s, %u units, %u levels%s; interrupts are %sremapped\n", iommu.vendor->name,
	    unit_count, iommu.levels, iommu.complete ? "" : ", no device can be assigned",
	    iommu.remap_interrupts ? "" : "not ");
	look_for_faults(&timeout);
}
