/*
 * RSDP, RSDT or XSDT, and the tables they list (ACPI 6.4, 5.2). A table that
 * lies about its length or checksum is named and left out.
 */
#include "acpi.h"

#include "../log.h"
#include "boot.h"

enum {
	RSDP_OLD_SIZE = 20,
	TABLE_MAX = 1 << 20, /* bytes: longer is a lie */

	BDA_EBDA = 0x40e, /* segment of the extended BIOS data area */
	EBDA_SIZE = 1024,
	BIOS_START = 0xe0000,
	BIOS_SIZE = 0x20000,

};

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length; /* from here on: revision 2 */
	uint64_t xsdt;
	uint8_t extended_checksum, reserved[3];
} __attribute__((packed));

static_assert(sizeof(struct rsdp) == RSDP_SIZE);
static_assert(offsetof(struct rsdp, xsdt) == 24);

struct acpi_root acpi_root;

static bool same(const char *a, const char *b, unsigned n)
{
	return __builtin_memcmp(a, b, n) == 0;
}

static bool sums_to_zero(const void *p, uint64_t size)
{
	const uint8_t *byte = p;
	uint8_t sum = 0;

	for (uint64_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + byte[i]);
	return sum == 0;
}

/* With its checksums; size: how much of it is there. */
static bool rsdp_good(const struct rsdp *r, uint64_t size)
{
	return size >= RSDP_OLD_SIZE && same(r->signature, "RSD PTR ", 8) &&
	       sums_to_zero(r, RSDP_OLD_SIZE);
}

static const struct rsdp *rsdp_scan(uint64_t phys, uint64_t size)
{
	const char *p = boot_memory(phys, size);

	for (uint64_t i = 0; p && i + RSDP_SIZE <= size; i += 16) {
		const struct rsdp *r = (const struct rsdp *)(p + i);

		if (rsdp_good(r, RSDP_SIZE))
			return r;
	}
	return NULL;
}

static const struct rsdp *rsdp_find(void)
{
	const struct rsdp *r = (const struct rsdp *)boot_info.rsdp;

	if (rsdp_good(r, boot_info.rsdp_size))
		return r;
	const uint16_t *segment = boot_memory(BDA_EBDA, 2);

	r = rsdp_scan((uint64_t)*segment << 4, EBDA_SIZE);
	return r ? r : rsdp_scan(BIOS_START, BIOS_SIZE);
}

/* The table at this address, or NULL if it is not one. */
static const struct acpi_table *table_at(uint64_t phys)
{
	const struct acpi_table *t = boot_memory(phys, sizeof(*t));

	if (!t) {
		if (phys)
			log("acpi: table at 0x%lx is out of reach\n", phys);
		return NULL;
	}
	if (t->length < sizeof(*t) || t->length > TABLE_MAX || !boot_memory(phys, t->length)) {
		log("acpi: table at 0x%lx has a bad length\n", phys);
		return NULL;
	}
	if (!sums_to_zero(t, t->length)) {
		log("acpi: table at 0x%lx has a bad checksum\n", phys);
		return NULL;
	}
	return t;
}

static const struct acpi_table *root_at(uint64_t phys, const char *signature)
{
	const struct acpi_table *t = table_at(phys);

	return t && same(t->signature, signature, 4) ? t : NULL;
}

void acpi_init(void)
{
	const struct rsdp *r = rsdp_find();
	const struct acpi_table *t;

	if (!r) {
		log("acpi: none\n");
		return;
	}
	t = root_at(r->rsdt, "RSDT");
	if (t) {
		acpi_root.rsdt = r->rsdt;
		acpi_root.rsdt_size = t->length;
	}
	if (r->revision < 2 || !sums_to_zero(r, RSDP_SIZE))
		return;
	t = root_at(r->xsdt, "XSDT");
	if (t) {
		acpi_root.xsdt = r->xsdt;
		acpi_root.xsdt_size = t->length;
	}
}

/* Entry i of the root table, which may be 0; false behind the end. */
static bool root_entry(uint32_t i, uint64_t *entry)
{
	bool wide = acpi_root.xsdt != 0;
	uint64_t phys = wide ? acpi_root.xsdt : acpi_root.rsdt;
	uint32_t end = wide ? acpi_root.xsdt_size : acpi_root.rsdt_size;
	uint32_t size = wide ? 8 : 4;
	uint64_t at = sizeof(struct acpi_table) + i * (uint64_t)size;

	if (!phys || at + size > end)
		return false;
	*entry = 0;
	__builtin_memcpy(entry, boot_memory(phys + at, size), size);
	return true;
}

const struct acpi_table *acpi_find(const char signature[4])
{
	uint64_t phys;

	for (uint32_t i = 0; root_entry(i, &phys); i++) {
		const struct acpi_table *t = boot_memory(phys, sizeof(*t));

		if (t && same(t->signature, signature, 4)) {
			t = table_at(phys);
			if (t)
				return t;
		}
	}
	return NULL;
}

uint32_t acpi_fadt(enum acpi_fadt_field field)
{
	const struct acpi_table *t = acpi_find("FACP");
	uint32_t value = 0;

	if (t && t->length >= (uint32_t)field + 4)
		__builtin_memcpy(&value, (const char *)t + field, 4);
	return value;
}

bool acpi_parse(const struct acpi_table *t, uint32_t first, const struct records *records)
{
	uint32_t size, done;

	if (!t || t->length <= first)
		return true;
	size = t->length - first;
	done = records_parse((const char *)t + first, size, records);
	if (done < size)
		log("acpi: bad entry at %u of a table, the rest is ignored\n", first + done);
	return done == size;
}
