/*
 * The ACPI tables about IOMMUs and PCI: DMAR (VT-d, 8), IVRS (AMD I/O
 * Virtualization Technology Specification, 5.2), MCFG. They may lie about
 * lengths: then what is behind is not looked at, and a unit that they name is
 * left off.
 *
 * Memory that firmware wants devices to reach (RMRR, IVMD) is not opened: who
 * is assigned such a device gives it that memory.
 */
#include "../log.h"
#include "acpi.h"
#include "insn.h"
#include "iommu.h"
#include "madt.h"
#include "records.h"

enum {
	DMAR_FLAGS = 37,
	DMAR_INTERRUPTS = 1 << 0,	/* can be remapped */
	DMAR_ENTRIES = 48,
	DRHD = 0,
	DRHD_REST = 1 << 0,		/* of the segment's devices */
	SCOPE_DEVICE = 1,
	SCOPE_BRIDGE = 2,
	SCOPE_IOAPIC = 3,
	SCOPE_LEAST = 8,		/* bytes, with a path of one step */

	IVRS_ENTRIES = 48,
	IVHD_10 = 0x10,
	IVHD_11 = 0x11,
	IVHD_40 = 0x40,
	IVHD_SIZE_LONG = 40,		/* of the head, 11h and 40h */
	DEVICE_ALL = 1,
	DEVICE = 2,
	DEVICE_FIRST = 3,
	DEVICE_LAST = 4,
	DEVICE_ALIAS = 66,
	DEVICE_ALIAS_FIRST = 67,
	DEVICE_LONG = 70,
	DEVICE_LONG_FIRST = 71,
	DEVICE_SPECIAL = 72,
	DEVICE_ACPI = 240,		/* of any length, its string's at 21 */
	SPECIAL_IOAPIC = 1,

	MCFG_ENTRIES = 44,
	PCI_BUSES = 0x18,		/* of a bridge: 15:8 secondary, 23:16 last */
	PCI_INDEX = 0xcf8,
	PCI_DATA = 0xcfc,
	ALL = 0xffff,
};

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
	uint8_t path[];			/* device, function; of bridges on the way */
} __attribute__((packed));

struct ivhd {
	uint8_t type, flags;
	uint16_t length, rid, capability;
	uint64_t phys;
	uint16_t segment, info;
	uint32_t features;
} __attribute__((packed));

struct ivhd_device {
	uint8_t type;
	uint16_t rid;
	uint8_t flags, id;
	uint16_t source;		/* of an IOAPIC */
	uint8_t variety;
} __attribute__((packed));

struct mcfg_entry {
	uint64_t phys;
	uint16_t segment;
	uint8_t first, last;
	uint32_t reserved;
} __attribute__((packed));

static_assert(sizeof(struct drhd) == 16);
static_assert(sizeof(struct scope) == 6);
static_assert(sizeof(struct ivhd) == 24);
static_assert(sizeof(struct ivhd_device) == 8);
static_assert(sizeof(struct mcfg_entry) == 16);

static uint32_t bridge_buses(uint32_t rid)
{
	out32(PCI_INDEX, 1u << 31 | rid << 8 | PCI_BUSES);
	return in32(PCI_DATA);
}

static void ioapic_source(uint8_t id, uint32_t rid)
{
	for (uint32_t i = 0; i < machine.ioapics; i++) {
		if (machine.ioapic[i].id == id) {
			machine.ioapic[i].source = rid;
		}
	}
}

/* Whose scopes are being parsed; NULL: it is off. */
static struct iommu_unit *unit;

static void scope(const void *record, uint32_t length)
{
	const struct scope *s = record;
	uint32_t bus = s->bus, rid, buses;

	for (uint32_t at = 0;; at += 2) {
		rid = bus << 8 | (s->path[at] & 31u) << 3 |
		      (s->path[at + 1] & 7u);
		if (sizeof(*s) + at + 4 > length) {
			break;
		}
		bus = bridge_buses(rid) >> 8 & 0xff;
	}
	if (s->type == SCOPE_IOAPIC) {
		ioapic_source(s->id, rid);
		return;
	}
	iommu_cover(unit, rid, rid);
	if (s->type == SCOPE_BRIDGE) {
		buses = bridge_buses(rid);
		iommu_cover(unit, buses & 0xff00, (buses >> 8 & 0xff00) | 0xff);
	}
}

/* A list of devices lies: who knows which of them pass a unit that is off? */
static void refuse(const char *table)
{
	log("%s: a bad entry, devices from here on are not known\n", table);
	iommu_cover(NULL, 0, ALL);
}

static void drhd(const void *record, uint32_t length)
{
	static const struct record_format format = {1, 1, 1, 1};
	static const struct record_parser scopes[] = {
		{SCOPE_DEVICE, SCOPE_LEAST, scope},
		{SCOPE_BRIDGE, SCOPE_LEAST, scope},
		{SCOPE_IOAPIC, SCOPE_LEAST, scope},
	};
	const struct drhd *d = record;
	uint32_t size = length - (uint32_t)sizeof(*d);

	if (d->segment) {
		return;
	}
	unit = d->phys & PAGE_MASK ||
	       records_parse(d + 1, size, format, NULL, 0) < size
		       ? NULL : iommu_unit(d->phys);
	if (unit && !vtd_unit(unit)) {
		unit = NULL;
	}
	if (records_parse(d + 1, size, format, scopes, ARRAY_SIZE(scopes)) <
	    size) {
		refuse("dmar");
	}
	if (d->flags & DRHD_REST) {
		iommu_cover(unit, 0, ALL);
	}
}

/* Length of an entry; 0: it lies. */
static uint32_t device_length(const uint8_t *p, uint32_t left)
{
	uint32_t length = 4u << (p[0] >> 6);

	if (p[0] >= DEVICE_ACPI) {
		length = left < 22 ? ~0u : 22u + p[21];
	}
	return length <= left ? length : 0;
}

static void ivhd(const void *record, uint32_t size)
{
	const struct ivhd *h = record;
	const uint8_t *p = record;
	uint32_t at = h->type == IVHD_10 ? sizeof(*h) : IVHD_SIZE_LONG;
	uint32_t length, first = 0;

	if (h->segment) {
		return;
	}
	unit = h->phys & PAGE_MASK ? NULL : iommu_unit(h->phys);
	if (unit && !amdvi_unit(unit, h->flags)) {
		unit = NULL;
	}
	for (; at < size; at += length) {
		const struct ivhd_device *d = (const void *)(p + at);

		length = device_length(p + at, size - at);
		if (!length) {
			refuse("ivrs");
			return;
		}
		switch (d->type) {
		case DEVICE_ALL:
			iommu_cover(unit, 0, ALL);
			break;
		case DEVICE:
		case DEVICE_ALIAS:
		case DEVICE_LONG:
			iommu_cover(unit, d->rid, d->rid);
			break;
		case DEVICE_FIRST:
		case DEVICE_ALIAS_FIRST:
		case DEVICE_LONG_FIRST:
			first = d->rid;
			break;
		case DEVICE_LAST:
			iommu_cover(unit, first, d->rid);
			break;
		case DEVICE_SPECIAL:
			if (d->variety == SPECIAL_IOAPIC) {
				ioapic_source(d->id, d->source);
			}
			break;
		}
	}
}

bool dmar_parse(void)
{
	static const struct record_format format = {2, 2, 2, 1};
	static const struct record_parser parser = {DRHD, sizeof(struct drhd),
						    drhd};
	const struct acpi_table *t = acpi_find("DMAR");

	if (!t || t->length < DMAR_ENTRIES) {
		return false;
	}
	if (!acpi_parse(t, DMAR_ENTRIES, format, &parser, 1)) {
		refuse("dmar");
	}
	vtd.remap_interrupts &=
		((const uint8_t *)t)[DMAR_FLAGS] & DMAR_INTERRUPTS;
	return true;
}

bool ivrs_parse(void)
{
	static const struct record_format format = {1, 2, 2, 1};
	static const struct record_parser parsers[] = {
		{IVHD_10, sizeof(struct ivhd), ivhd},
		{IVHD_11, IVHD_SIZE_LONG, ivhd},
		{IVHD_40, IVHD_SIZE_LONG, ivhd},
	};
	const struct acpi_table *t = acpi_find("IVRS");

	if (!t) {
		return false;
	}
	if (!acpi_parse(t, IVRS_ENTRIES, format, parsers,
			ARRAY_SIZE(parsers))) {
		refuse("ivrs");
	}
	return true;
}

/* Of the first segment; its memory begins with bus 0, whatever the first is. */
bool mcfg_parse(uint64_t *frame, uint32_t *first, uint32_t *last)
{
	const struct acpi_table *t = acpi_find("MCFG");
	uint32_t at = MCFG_ENTRIES;

	for (; t && at + sizeof(struct mcfg_entry) <= t->length;
	     at += sizeof(struct mcfg_entry)) {
		const struct mcfg_entry *e =
			(const void *)((const char *)t + at);

		if (!e->segment) {
			*frame = e->phys >> PAGE_BITS;
			*first = (uint32_t)e->first << 8;
			*last = (uint32_t)e->last << 8 | 0xff;
			return true;
		}
	}
	return false;
}
