/*
 * Intel VT-d (Virtualization Technology for Directed I/O, 3.4), legacy mode:
 * root table, context tables, second-level page tables, a table of interrupts.
 * Only units with queued invalidation are used, as interrupt remapping needs it
 * and hardly one lacks it.
 */
#include "acpi.h"
#include "insn.h"
#include "iommu.h"
#include "irq.h"

/* ACPI table, 8: its flags, units, what is behind them */
enum { DMAR_FLAGS = 37, DMAR_INTERRUPTS = 1 << 0 };
enum { DRHD = 0, DRHD_REST = 1 << 0 }; /* INCLUDE_PCI_ALL */
enum { SCOPE_DEVICE = 1, SCOPE_BRIDGE = 2, SCOPE_IOAPIC = 3, SCOPE_LEAST = 8 };

enum { PCI_INDEX = 0xcf8, PCI_DATA = 0xcfc };
enum { PCI_BUSES = 0x18 }; /* 15:8 behind a bridge, 23:16 the last */

/* Registers, 10.4 */
enum { CAP = 0x08, CAP_RWBF = 1 << 4, CAP_CM = 1 << 7 };
enum { ECAP = 0x10, ECAP_COHERENT = 1, ECAP_QI = 1 << 1, ECAP_IR = 1 << 3, ECAP_EIM = 1 << 4 };
enum { GCMD = 0x18, GSTS = 0x1c }; /* the same bits: */
enum { CFI = 1 << 23, SIRTP = 1 << 24, IRE = 1 << 25, QIE = 1 << 26, SRTP = 1 << 30 };
#define TE	   (1u << 31)
#define GSTS_STATE 0x96ffffffu /* without what is done once */
enum { RTADDR = 0x20, PMEN = 0x64, IQT = 0x88, IQA = 0x90 };
enum { FSTS = 0x34, FSTS_OVERFLOW = 1 << 0 };
#define FRCD_FAULT (1ul << 63)
#define FRCD_READ  (1ul << 62)
enum { IRTA = 0xb8, IRTA_EIME = 1 << 11, IRTA_256 = 7 }; /* 2^(7 + 1) entries */

/* Descriptors, 6.5.2 */
enum { CONTEXT_ALL = 1 | 1 << 4, IOTLB_ALL = 2 | 1 << 4, IOTLB_DOMAIN = 2 | 2 << 4 };
enum { INTERRUPT_ALL = 4, WAIT_WRITE = 5 | 1 << 5 };

/* Entries, 9.1, 9.3, 9.10; an interrupt's is valid for just one source. */
enum { PRESENT = 1 << 0 };
enum { IRTE_LEVEL = 1 << 4, IRTE_VECTOR_SHIFT = 16, IRTE_VALIDATE = 1 << 18 };
enum { MESSAGE_REMAPPED = 1 << 4, MESSAGE_INDEX_SHIFT = 5 };

enum { CPUID_X2APIC = 1 << 21 }; /* 1, ECX */

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
	uint8_t path[][2]; /* device, function; also of bridges */
} __attribute__((packed));

static_assert(sizeof(struct drhd) == 16);
static_assert(sizeof(struct scope) == 6);

static struct ptab_format format = {
	.table = 3,
	.large = 1 << 7,
	.r = 1,
	.w = 2,
	.present = 3,
	.levels_large = 2,
};

static unsigned sagaw = 6;	  /* bit n: n + 2 levels can be walked */
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
	uint32_t rid = 0, buses = (uint32_t)s->bus << 8;

	for (unsigned i = 0; sizeof(*s) + 2 * i + 1 < length; i++) {
		buses = i ? bridge_buses(rid) : buses;
		rid = (buses & 0xff00) | (s->path[i][0] & 31u) << 3 | (s->path[i][1] & 7u);
	}
	if (s->type == SCOPE_IOAPIC) {
		irq_source(s->id, rid);
		return;
	}
	iommu_cover(rid, rid);
	if (s->type == SCOPE_BRIDGE) {
		buses = bridge_buses(rid);
		iommu_cover(buses & 0xff00, (buses >> 8 & 0xff00) | 0xff);
	}
}

static bool check(struct iommu_unit *u, const struct acpi_table *t)
{
	uint64_t cap = REG64(u, CAP), ecap = REG64(u, ECAP);
	unsigned domains = 16u << 2 * (cap & 7);

	if (!root) {
		root = page_alloc(NULL, 0, true);
		interrupts = page_alloc(NULL, 0, true);
	}
	if (!root || !interrupts || cap == ~0ul || !(ecap & ECAP_QI) || !(sagaw & cap >> 8))
		return false;
	sagaw &= (unsigned)(cap >> 8);
	iommu.format = &format;
	iommu.levels = sagaw & 4 ? 4 : 3;
	while (!(cap >> (33 + format.levels_large) & 1) && format.levels_large)
		format.levels_large--;
	iommu.domains = domains < iommu.domains ? domains : iommu.domains;
	iommu.coherent &= ecap & ECAP_COHERENT;
	iommu.flush_new |= cap & (CAP_CM | CAP_RWBF) || !iommu.coherent;
	iommu.remap_interrupts &= ecap & ECAP_IR && ((const char *)t)[DMAR_FLAGS] & DMAR_INTERRUPTS;
	if (!(ecap & ECAP_EIM) || !(cpuid(1, 0).ecx & CPUID_X2APIC))
		iommu.max_apic_id = 0xff;
	return true;
}

static void drhd(const void *record, uint32_t length)
{
	static const struct records scopes = {
		.layout = {1, 1, 1, 1},
		.known = {{SCOPE_DEVICE, SCOPE_LEAST, scope},
			  {SCOPE_BRIDGE, SCOPE_LEAST, scope},
			  {SCOPE_IOAPIC, SCOPE_LEAST, scope}},
	};
	const struct drhd *d = record;
	uint32_t size = length - (uint32_t)sizeof(*d);

	iommu_found(d->phys, d->segment || records_parse(d + 1, size, &scopes) == size, d->segment);
	if (d->flags & DRHD_REST && !d->segment)
		iommu_cover(0, 0xffff);
}

/* Switch something on or off. */
static bool command(const struct iommu_unit *u, uint32_t bit, bool on)
{
	uint32_t state = REG32(u, GSTS) & GSTS_STATE;

	REG32(u, GCMD) = on ? state | bit : state & ~bit;
	return iommu_wait(&REG32(u, GSTS), bit, on);
}

static bool enable(struct iommu_unit *u)
{
	static const iommu_command context = {CONTEXT_ALL}, tlb = {IOTLB_ALL},
				   interrupt = {INTERRUPT_ALL};
	/* Of a segment that is not ours: nothing is in that page. */
	uint64_t none = u->flags ? pool_to_phys(u->queue) + PAGE_SIZE : 0;

	/* Firmware may have used it. */
	if (!iommu.coherent)
		wbinvd();
	if (!command(u, TE, false) || !command(u, IRE, false) || !command(u, CFI, false) ||
	    !command(u, QIE, false))
		return false;
	*u->tail = 0;
	REG64(u, IQA) = pool_to_phys(u->queue);
	REG64(u, RTADDR) = none ? none : pool_to_phys(root);
	REG64(u, IRTA) = (none ? none : pool_to_phys(interrupts)) | IRTA_256 |
			 (iommu.max_apic_id > 0xff ? IRTA_EIME : 0);
	if (!command(u, QIE, true) || !command(u, SRTP, true) || !iommu_run(u, context) ||
	    !iommu_run(u, tlb) || !command(u, TE, true))
		return false;
	REG32(u, PMEN) = 0; /* what firmware protects until somebody else does */
	return !iommu.remap_interrupts ||
	       (command(u, SIRTP, true) && iommu_run(u, interrupt) && command(u, IRE, true));
}

static struct iommu_entry device(uint16_t rid, unsigned domain)
{
	uint64_t *bus = root[rid >> 8];
	void *table = bus[0] ? phys_to_pool(bus[0] & ~PAGE_MASK) : iommu_table();
	uint64_t(*context)[2] = table;

	if (!table)
		return (struct iommu_entry){0};
	bus[0] = pool_to_phys(table) | PRESENT;
	return (struct iommu_entry){context[rid & 0xff], PRESENT,
				    (uint64_t)domain << 8 | (iommu.levels - 2), 0};
}

static struct iommu_entry interrupt(unsigned gsi, uint32_t source, uint32_t apic_id, bool level)
{
	uint64_t to = iommu.max_apic_id > 0xff ? apic_id : apic_id << 8;

	return (struct iommu_entry){
		.at = interrupts[gsi],
		.low = to << 32 | (VECTOR_GSI + gsi) << IRTE_VECTOR_SHIFT |
		       (level ? IRTE_LEVEL : 0) | PRESENT,
		.high = source | IRTE_VALIDATE,
		.message = gsi << MESSAGE_INDEX_SHIFT | MESSAGE_REMAPPED,
	};
}

static void faults(struct iommu_unit *u)
{
	uint64_t cap = REG64(u, CAP);
	unsigned at = (cap >> 24 & 0x3ff) * 16;

	for (unsigned n = (cap >> 40 & 0xff) + 1; n; n--, at += 16) {
		uint64_t low = REG64(u, at), high = REG64(u, at + 8);

		if (high & FRCD_FAULT) {
			iommu_fault(high & 0xffff, low & ~PAGE_MASK, !(high & FRCD_READ),
				    high >> 32 & 0xff);
			REG32(u, at + 12) = FRCD_FAULT >> 32;
		}
	}
	REG32(u, FSTS) = FSTS_OVERFLOW;
}

const struct iommu_vendor vtd = {
	.name = "VT-d",
	.signature = "DMAR",
	.records = {{2, 2, 2, 1}, {{DRHD, sizeof(struct drhd), drhd}}},
	.tail = IQT,
	.wait = {WAIT_WRITE | 1ul << 32},
	.wait_address = 1,
	.forget = {[CACHED_DEVICE] = {{CONTEXT_ALL}, 0},
		   [CACHED_PAGES] = {{IOTLB_DOMAIN}, 1 << 16},
		   [CACHED_INTERRUPT] = {{INTERRUPT_ALL}, 0}},
	.check = check,
	.enable = enable,
	.device = device,
	.interrupt = interrupt,
	.faults = faults,
};
