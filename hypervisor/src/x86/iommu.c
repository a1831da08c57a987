/*
 * What is the same for all IOMMUs: which units there are and which devices pass
 * them, which PD has which device, and who may send which interrupt.
 *
 * One lock guards all of it and the units' queues. It is taken after mdb_lock
 * or a GSI's lock, or alone.
 */
#include "iommu.h"

#include "../log.h"
#include "../mapping.h"
#include "../page.h"
#include "../panic.h"
#include "../pd.h"
#include "../timeout.h"
#include "apic.h"
#include "cpu.h"
#include "hip.h"
#include "insn.h"
#include "ioapic.h"
#include "tsc.h"

enum {
	MAX_COVERS = 128,
	MAX_DEVICES = 256,		/* that PDs have */
	TIMEOUT_MS = 500,
	FAULTS_MS = 1000,		/* between two looks for faults */
	FAULTS_TOLD = 2,		/* at one look */
	MAX_PHYSICAL_ID = 254,		/* of 8 bits, 255 is all */
};

struct iommu_ops *iommu;

static struct lock iommu_lock;		/* for all that follows */
static struct iommu_unit units[MAX_IOMMUS];
static unsigned unit_count;
static struct {
	uint32_t first, last;		/* RIDs */
	struct iommu_unit *unit;
} covers[MAX_COVERS];
static unsigned cover_count;
static struct pd *domains[DOMAINS];
static struct {
	uint16_t rid;
	uint16_t domain;		/* 0: the entry is free */
} devices[MAX_DEVICES];
static unsigned faults_told;

/* Configuration space in memory. */
static uint64_t config_frame;
static uint32_t config_first, config_last;

struct iommu_unit *iommu_unit(uint64_t phys)
{
	unsigned i = 0;

	while (i < unit_count && units[i].phys != phys) {
		i++;
	}
	if (i == MAX_IOMMUS) {
		log("iommu: unit at 0x%lx is one too many\n", phys);
		return NULL;
	}
	if (i == unit_count) {
		units[unit_count++].phys = phys;
	}
	return &units[i];
}

void iommu_cover(struct iommu_unit *u, unsigned first, unsigned last)
{
	if (cover_count == MAX_COVERS) {
		log("iommu: too many devices are listed\n");
		return;
	}
	covers[cover_count].first = first;
	covers[cover_count].last = last;
	covers[cover_count++].unit = u;
}

/* Does a device pass a unit that is on? -1: nobody says so. */
static int confined(uint32_t rid)
{
	for (unsigned i = 0; i < cover_count; i++) {
		if (rid >= covers[i].first && rid <= covers[i].last) {
			return covers[i].unit && covers[i].unit->on;
		}
	}
	return -1;
}

static void put(struct iommu_unit *u, const iommu_command c)
{
	__builtin_memcpy(u->queue[u->next], c, sizeof(iommu_command));
	u->next = (u->next + 1) % IOMMU_QUEUE;
}

bool iommu_run(struct iommu_unit *u, const iommu_command *commands,
	       unsigned count)
{
	uint64_t end = rdtsc() + TIMEOUT_MS * (uint64_t)tsc_khz;

	for (unsigned i = 0; i < count; i++) {
		put(u, commands[i]);
	}
	__atomic_store_n(&u->done, 0, __ATOMIC_RELAXED);
	put(u, u->wait);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*u->tail = u->next * (uint32_t)sizeof(iommu_command);
	while (!__atomic_load_n(&u->done, __ATOMIC_ACQUIRE)) {
		if (rdtsc() > end) {
			return false;
		}
		__builtin_ia32_pause();
	}
	return true;
}

/* Going on without would leave memory open to a device. */
void iommu_run_all(const iommu_command *commands, unsigned count)
{
	for (unsigned i = 0; i < unit_count; i++) {
		if (units[i].on && !iommu_run(&units[i], commands, count)) {
			panic("IOMMU at 0x%lx does not answer", units[i].phys);
		}
	}
}

void iommu_fault(uint32_t rid, uint64_t address, const char *what,
		 unsigned reason)
{
	if (faults_told++ < FAULTS_TOLD) {
		log("iommu: device %02x:%02x.%u must not %s 0x%lx (%u)\n",
		    rid >> 8, rid >> 3 & 31, rid & 7, what, address, reason);
	}
}

/* Nothing that a device does makes more work than this. */
static void look_for_faults(struct timeout *t)
{
	lock(&iommu_lock);
	faults_told = 0;
	for (unsigned i = 0; i < unit_count; i++) {
		if (units[i].on) {
			iommu->faults(&units[i]);
		}
	}
	unlock(&iommu_lock);
	t->deadline = rdtsc() + FAULTS_MS * (uint64_t)tsc_khz;
	timeout_add(this_cpu(), t);
}

/* The lock is held. */
static unsigned domain_of(struct pd *pd)
{
	for (unsigned i = 1; !pd->domain && i < iommu->domains; i++) {
		if (!domains[i]) {
			domains[i] = pd;
			pd->domain = i;
		}
	}
	return pd->domain;
}

/* The lock is held. Its entry, or a free one, or NULL. */
static unsigned device_of(uint32_t rid)
{
	unsigned free = MAX_DEVICES;

	for (unsigned i = 0; i < MAX_DEVICES; i++) {
		if (devices[i].domain && devices[i].rid == rid) {
			return i;
		}
		if (!devices[i].domain && free == MAX_DEVICES) {
			free = i;
		}
	}
	return free;
}

bool iommu_device(uint64_t frame, uint32_t *rid)
{
	uint64_t at = frame - config_frame;

	*rid = (uint32_t)at;
	return config_frame && at >= config_first && at <= config_last;
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

enum status iommu_assign(struct pd *pd, uint64_t frame, uint16_t hint)
{
	enum status s = OUT_OF_MEMORY;
	uint32_t rid;
	uint64_t root;
	unsigned i;

	if (!iommu || !iommu_device(frame, &rid) ||
	    !(confined(rid) >= 0 ? confined(rid) : confined(hint) > 0)) {
		return BAD_DEVICE;
	}
	root = root_of(pd);
	lock(&iommu_lock);
	i = device_of(rid);
	if (root && i < MAX_DEVICES && domain_of(pd)) {
		if (devices[i].domain) {
			(void)!iommu->attach((uint16_t)rid, 0,
					     devices[i].domain);
			devices[i].domain = 0;
		}
		s = iommu->attach((uint16_t)rid, root, pd->domain);
	}
	if (s == SUCCESS) {
		devices[i].rid = (uint16_t)rid;
		devices[i].domain = (uint16_t)pd->domain;
	}
	unlock(&iommu_lock);
	return s;
}

void iommu_release(struct pd *pd)
{
	lock(&iommu_lock);
	for (unsigned i = 0; pd->domain && i < MAX_DEVICES; i++) {
		if (devices[i].domain == pd->domain) {
			(void)!iommu->attach(devices[i].rid, 0, pd->domain);
			devices[i].domain = 0;
		}
	}
	domains[pd->domain] = NULL;
	pd->domain = 0;
	unlock(&iommu_lock);
}

void iommu_flush(unsigned domain)
{
	lock(&iommu_lock);
	iommu->flush(domain);
	unlock(&iommu_lock);
}

enum status iommu_interrupt(unsigned gsi, uint32_t source, uint32_t apic_id,
			    bool level, uint64_t *address)
{
	bool remapped = iommu && iommu->remap_interrupts;
	enum status s;

	if (apic_id > (remapped ? iommu->max_apic_id : MAX_PHYSICAL_ID)) {
		return BAD_CPU;
	}
	if (!remapped) {
		*address = APIC_PHYS | apic_id << 12;
		return SUCCESS;
	}
	lock(&iommu_lock);
	s = iommu->interrupt(gsi, source, apic_id, level, address);
	unlock(&iommu_lock);
	return s;
}

/* All units and all IOAPICs take part, or none does. */
static bool can_remap_interrupts(void)
{
	for (unsigned i = 0; i < cover_count; i++) {
		if (!covers[i].unit) {
			return false;
		}
	}
	return iommu->remap_interrupts && ioapic_sources_known();
}

void iommu_init(void)
{
	static struct timeout timeout = {.fire = look_for_faults};
	unsigned on = 0;

	if (!mcfg_parse(&config_frame, &config_first, &config_last)) {
		log("pci: no MCFG, devices cannot be named\n");
	}
	iommu = vtd.find() ? &vtd : amdvi.find() ? &amdvi : NULL;
	if (!iommu) {
		log("iommu: none, devices can reach all memory\n");
		return;
	}
	iommu->remap_interrupts = can_remap_interrupts();
	for (unsigned i = 0; i < unit_count; i++) {
		units[i].on = units[i].queue && iommu->enable(&units[i]);
		if (units[i].on) {
			hip_take(units[i].phys, IOMMU_SIZE);
			on++;
		} else {
			log("iommu: unit at 0x%lx is off\n", units[i].phys);
		}
	}
	if (!on) {
		iommu = NULL;
		return;
	}
	log("iommu: %s, %u of %u units, %u levels; interrupts are%s remapped\n",
	    iommu->name, on, unit_count, iommu->levels,
	    iommu->remap_interrupts ? "" : " not");
	look_for_faults(&timeout);
}
