/*
 * Intel VT-d (Virtualization Technology for Directed I/O, 3.4), legacy mode:
 * root table, context tables, second-level page tables, a table of interrupts.
 * Only units with queued invalidation are used, as interrupt remapping needs it
 * and hardly one lacks it.
 */
#include "iommu.h"

#include "../log.h"
#include "acpi.h"
#include "apic.h"
#include "insn.h"
#include "irq.h"
#include "kmem.h"
#include "madt.h"
#include "tsc.h"

enum {
	/* ACPI table, 8 */
	DMAR_FLAGS = 37,
	DMAR_INTERRUPTS = 1 << 0, /* can be remapped */
	DMAR_ENTRIES = 48,
	DRHD = 0,
	DRHD_REST = 1 << 0, /* INCLUDE_PCI_ALL */
	SCOPE_DEVICE = 1,
	SCOPE_BRIDGE = 2,
	SCOPE_IOAPIC = 3,
	SCOPE_LEAST = 8, /* bytes, with a path of one step */

	PCI_INDEX = 0xcf8,
	PCI_DATA = 0xcfc,
	PCI_BUSES = 0x18, /* 15:8 behind a bridge, 23:16 the last */

	/* Registers, 10.4 */
	CAP = 0x08,
	ECAP = 0x10,
	GCMD = 0x18,
	GSTS = 0x1c,
	RTADDR = 0x20,
	FSTS = 0x34,
	PMEN = 0x64,
	IQT = 0x88,
	IQA = 0x90,
	IRTA = 0xb8,

	CAP_RWBF = 1 << 4,
	CAP_PMR = 3 << 5,
	CAP_CM = 1 << 7,
	ECAP_COHERENT = 1 << 0,
	ECAP_QI = 1 << 1,
	ECAP_IR = 1 << 3,
	ECAP_EIM = 1 << 4,
	FSTS_OVERFLOW = 1 << 0,

	/* Commands and status, the same bits */
	CFI = 1 << 23,
	SIRTP = 1 << 24,
	IRE = 1 << 25,
	QIE = 1 << 26,
	SRTP = 1 << 30,

	IRTA_EIME = 1 << 11,
	IRTA_256 = 7, /* 2^(7 + 1) entries */

	/* Descriptors, 6.5.2 */
	CONTEXT_ALL = 1 | 1 << 4,
	IOTLB_ALL = 2 | 1 << 4,
	IOTLB_DOMAIN = 2 | 2 << 4,
	INTERRUPT_ALL = 4,
	WAIT_WRITE = 5 | 1 << 5,

	/* Entries, 9.1, 9.3, 9.10 */
	PRESENT = 1 << 0,
	IRTE_LEVEL = 1 << 4,
	IRTE_VECTOR_SHIFT = 16,
	IRTE_VALIDATE = 1 << 18, /* all of the source */
	MESSAGE_REMAPPED = 1 << 4,
	MESSAGE_INDEX_SHIFT = 5,

	CPUID_X2APIC = 1 << 21, /* 1, ECX */
	TIMEOUT_MS = 500,
};

/* 8.3 */
struct drhd {
	uint16_t type, length;
	uint8_t flags, size;
	uint16_t segment;
	uint64_t phys;
} __attribute__((packed));

struct scope {
	uint8_t type, length;
	uint16_t flags;
	uint8_t id, bus;
	uint8_t path[]; /* device, function; also of bridges */
} __attribute__((packed));

static_assert(sizeof(struct drhd) == 16);
static_assert(sizeof(struct scope) == 6);

#define TE	   (1u << 31)
#define GSTS_STATE 0x96fffffful /* without what is done once */
#define FRCD_FAULT (1u << 31)

static struct ptab_format format = {
	.table = 3,
	.large = 1 << 7,
	.r = 1,
	.w = 2,
	.present = 3,
	.levels_large = 2,
};

static unsigned sagaw = 6; /* bit n: n + 2 levels can be walked */
static bool coherent = true;
static uint64_t (*root)[2];	  /* by bus */
static uint64_t (*interrupts)[2]; /* by GSI */

static uint32_t bridge_buses(uint32_t rid)
{
	out32(PCI_INDEX, 1u << 31 | rid << 8 | PCI_BUSES);
	return in32(PCI_DATA);
}

/* A device, a bridge with all behind it, an IOAPIC. */
static void scope(const void *record, uint32_t length)
{
	const struct scope *s = record;
	uint32_t rid = 0, bus = s->bus;

	for (unsigned i = 0; sizeof(*s) + 2 * i < length; i++) {
		bus = i ? bridge_buses(rid) >> 8 & 0xff : bus;
		rid = bus << 8 | (s->path[2 * i] & 31u) << 3 | (s->path[2 * i + 1] & 7u);
	}
	if (s->type == SCOPE_IOAPIC) {
		madt_source(s->id, rid);
		return;
	}
	iommu_cover(rid, rid);
	if (s->type == SCOPE_BRIDGE) {
		bus = bridge_buses(rid);
		iommu_cover(bus & 0xff00, (bus >> 8 & 0xff00) | 0xff);
	}
}

/* Can it be used, and what can all do? */
static bool check(struct iommu_unit *u)
{
	uint64_t cap = *reg64(u, CAP), ecap = *reg64(u, ECAP);
	unsigned domains = 16u << 2 * (cap & 7);

	if (cap == ~0ul || !(ecap & ECAP_QI) || !(sagaw & cap >> 8))
		return false;
	u->tail = reg32(u, IQT);
	u->wait[0] = WAIT_WRITE | 1ul << 32;
	u->wait[1] = kmem_image_phys(&u->done);

	sagaw &= (unsigned)(cap >> 8);
	while (!(cap >> (33 + format.levels_large) & 1) && format.levels_large)
		format.levels_large--;
	vtd.domains = domains < vtd.domains ? domains : vtd.domains;
	vtd.flush_new |= cap & (CAP_CM | CAP_RWBF) || !(ecap & ECAP_COHERENT);
	vtd.remap_interrupts &= !!(ecap & ECAP_IR);
	if (!(ecap & ECAP_EIM))
		vtd.max_apic_id = 0xff;
	coherent &= ecap & ECAP_COHERENT;
	return true;
}

static void drhd(const void *record, uint32_t length)
{
	static const struct record_format scopes = {1, 1, 1, 1};
	static const struct record_parser parsers[] = {
		{SCOPE_DEVICE, SCOPE_LEAST, scope},
		{SCOPE_BRIDGE, SCOPE_LEAST, scope},
		{SCOPE_IOAPIC, SCOPE_LEAST, scope},
	};
	const struct drhd *d = record;
	uint32_t size = length - (uint32_t)sizeof(*d);
	struct iommu_unit *u = NULL;

	if (d->segment)
		return;
	if (!(d->phys & PAGE_MASK) &&
	    records_parse(d + 1, size, scopes, parsers, ARRAY_SIZE(parsers)) == size)
		u = iommu_unit(d->phys);
	if (!u || !check(u)) {
		log("vtd: unit at 0x%lx cannot be used\n", d->phys);
		vtd.complete = false;
	}
	if (d->flags & DRHD_REST)
		iommu_cover(0, 0xffff);
}

static bool find(void)
{
	static const struct record_format records = {2, 2, 2, 1};
	static const struct record_parser parser = {DRHD, sizeof(struct drhd), drhd};
	const struct acpi_table *t = acpi_find("DMAR");

	if (!t || t->length < DMAR_ENTRIES)
		return false;
	root = page_alloc(NULL, 0, true);
	interrupts = page_alloc(NULL, 0, true);
	vtd.remap_interrupts = ((const uint8_t *)t)[DMAR_FLAGS] & DMAR_INTERRUPTS;
	if (!(cpuid(1, 0).ecx & CPUID_X2APIC))
		vtd.max_apic_id = 0xff;
	vtd.complete &= acpi_parse(t, DMAR_ENTRIES, records, &parser, 1);
	vtd.levels = sagaw & 4 ? 4 : 3;
	return root && interrupts;
}

static bool command(const struct iommu_unit *u, uint32_t bit, bool on)
{
	uint64_t end = rdtsc() + TIMEOUT_MS * (uint64_t)tsc_khz;
	uint32_t state = *reg32(u, GSTS) & (uint32_t)GSTS_STATE;

	*reg32(u, GCMD) = on ? state | bit : state & ~bit;
	while (!(*reg32(u, GSTS) & bit) == on)
		if (rdtsc() > end)
			return false;
	return true;
}

/* What is in caches counts for all units. */
static void write_back(void)
{
	if (!coherent)
		wbinvd();
}

static bool enable(struct iommu_unit *u)
{
	static const iommu_command all[] = {{CONTEXT_ALL}, {IOTLB_ALL}, {INTERRUPT_ALL}};

	/* Firmware may have used it. */
	u->next = 0;
	write_back();
	if (!command(u, TE, false) || !command(u, IRE, false) || !command(u, CFI, false) ||
	    !command(u, QIE, false))
		return false;
	*u->tail = 0;
	*reg64(u, IQA) = pool_to_phys(u->queue);
	*reg64(u, RTADDR) = pool_to_phys(root);
	*reg64(u, IRTA) = pool_to_phys(interrupts) | IRTA_256 |
			  (vtd.max_apic_id > 0xff ? IRTA_EIME : 0);
	if (!command(u, QIE, true) || !command(u, SRTP, true) || !iommu_run(u, all, 2) ||
	    !command(u, TE, true))
		return false;
	if (*reg64(u, CAP) & CAP_PMR)
		*reg32(u, PMEN) = 0;
	return !vtd.remap_interrupts ||
	       (command(u, SIRTP, true) && iommu_run(u, all + 2, 1) && command(u, IRE, true));
}

static enum status attach(uint16_t rid, uint64_t table, unsigned domain)
{
	static const iommu_command all[] = {{CONTEXT_ALL}, {IOTLB_ALL}};
	uint64_t *bus = root[rid >> 8], (*context)[2];
	volatile uint64_t *entry;

	if (!bus[0]) {
		context = page_alloc(NULL, 0, true);
		if (!context)
			return OUT_OF_MEMORY;
		bus[0] = pool_to_phys(context) | PRESENT;
	}
	context = phys_to_pool(bus[0] & ~PAGE_MASK);
	entry = context[rid & 0xff];
	entry[0] = 0;
	if (table) {
		entry[1] = (uint64_t)domain << 8 | (vtd.levels - 2);
		entry[0] = table | PRESENT;
	}
	write_back();
	iommu_run_all(all, 2);
	return SUCCESS;
}

static void flush(unsigned domain)
{
	const iommu_command c = {IOTLB_DOMAIN | (uint64_t)domain << 16};

	write_back();
	iommu_run_all(&c, 1);
}

static enum status interrupt(unsigned gsi, uint32_t source, uint32_t apic_id, bool level,
			     uint64_t *address)
{
	static const iommu_command all = {INTERRUPT_ALL};
	volatile uint64_t *entry = interrupts[gsi];
	uint64_t to = vtd.max_apic_id > 0xff ? apic_id : apic_id << 8;

	entry[0] = 0;
	entry[1] = source | IRTE_VALIDATE;
	entry[0] = to << 32 | (VECTOR_GSI + gsi) << IRTE_VECTOR_SHIFT | (level ? IRTE_LEVEL : 0) |
		   PRESENT;
	write_back();
	iommu_run_all(&all, 1);
	*address = APIC_PHYS | gsi << MESSAGE_INDEX_SHIFT | MESSAGE_REMAPPED;
	return SUCCESS;
}

static void faults(struct iommu_unit *u)
{
	uint64_t cap = *reg64(u, CAP);
	unsigned at = (cap >> 24 & 0x3ff) * 16;

	for (unsigned n = (cap >> 40 & 0xff) + 1; n; n--, at += 16) {
		uint64_t low = *reg64(u, at), high = *reg64(u, at + 8);

		if (high >> 63) {
			iommu_fault(high & 0xffff, low & ~PAGE_MASK, !(high >> 62 & 1),
				    high >> 32 & 0xff);
			*reg32(u, at + 12) = FRCD_FAULT;
		}
	}
	*reg32(u, FSTS) = FSTS_OVERFLOW;
}

struct iommu_ops vtd = {
	.name = "VT-d",
	.domains = IOMMU_DOMAINS,
	.max_apic_id = ~0u,
	.complete = true,
	.format = &format,
	.find = find,
	.enable = enable,
	.attach = attach,
	.flush = flush,
	.interrupt = interrupt,
	.faults = faults,
};
