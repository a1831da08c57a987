/*
 * RSDP, RSDT or XSDT, and the tables they list (ACPI 6.4, 5.2). A table that
 * lies about its length or checksum is named and left out.
 */
#include "acpi.h"

#include "../log.h"
#include "boot.h"
#include "hip.h"

enum { RSDP_OLD_SIZE = 20, TABLE_MAX = 1 << 20 }; /* bytes: longer is a lie */
enum { BDA_EBDA = 0x40e, EBDA_SIZE = 1024 };	  /* segment of the extended BIOS data area */
enum { BIOS_START = 0xe0000, BIOS_SIZE = 0x20000 };

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

static const struct acpi_table *root, *fadt; /* or NULL */
static uint32_t entry_size;		     /* of the root's */

static bool sums_to_zero(const void *p, uint64_t size)
{
	const uint8_t *byte = p;
	uint8_t sum = 0;

	for (uint64_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + byte[i]);
	return sum == 0;
}

static const struct rsdp *rsdp_in(const char *p, uint64_t size)
{
	for (; p && size >= RSDP_SIZE; p += 16, size -= 16) {
		const struct rsdp *r = (const struct rsdp *)p;

		if (!__builtin_memcmp(r->signature, "RSD PTR ", 8) &&
		    sums_to_zero(r, RSDP_OLD_SIZE))
			return r;
	}
	return NULL;
}

/* The table at this address, or NULL if it is not this one, or lies. */
static const struct acpi_table *table_at(uint64_t phys, const char *signature)
{
	const struct acpi_table *t = boot_memory(phys, sizeof(*t));
	const char *lie = NULL;

	if (!phys || (t && __builtin_memcmp(t->signature, signature, 4)))
		return NULL;
	if (!t)
		lie = "is out of reach";
	else if (t->length < sizeof(*t) || t->length > TABLE_MAX || !boot_memory(phys, t->length))
		lie = "has a bad length";
	else if (!sums_to_zero(t, t->length))
		lie = "has a bad checksum";
	if (lie)
		log("acpi: table at 0x%lx %s\n", phys, lie);
	return lie ? NULL : t;
}

void acpi_init(void)
{
	const uint16_t *ebda = boot_memory(BDA_EBDA, 2);
	const struct rsdp *r = rsdp_in(boot_info.rsdp, RSDP_SIZE);

	if (!r)
		r = rsdp_in(boot_memory((uint64_t)*ebda << 4, EBDA_SIZE), EBDA_SIZE);
	if (!r)
		r = rsdp_in(boot_memory(BIOS_START, BIOS_SIZE), BIOS_SIZE);
	if (!r)
		log("acpi: none\n");
	root = NULL;
	for (unsigned i = 0; r && i < (r->revision >= 2 && sums_to_zero(r, RSDP_SIZE) ? 2 : 1);
	     i++) {
		uint64_t phys = i ? r->xsdt : r->rsdt;
		const struct acpi_table *t = table_at(phys, i ? "XSDT" : "RSDT");

		if (t) {
			root = t;
			entry_size = i ? 8 : 4;
			hip_add(phys, t->length, i ? HIP_MEM_XSDT : HIP_MEM_RSDT);
		}
	}
	fadt = acpi_find("FACP");
}

const struct acpi_table *acpi_find(const char signature[4])
{
	const struct acpi_table *t = NULL;
	uint64_t phys = 0;

	/* Firmware leaves entries empty; what is behind the first page is a lie. */
	for (uint32_t at = sizeof(*t);
	     root && !t && at + entry_size <= root->length && at < PAGE_SIZE; at += entry_size) {
		__builtin_memcpy(&phys, (const char *)root + at, entry_size);
		t = table_at(phys, signature);
	}
	return t;
}

uint32_t acpi_fadt(unsigned field)
{
	uint32_t value = 0;

	if (fadt && fadt->length >= field + 4)
		__builtin_memcpy(&value, (const char *)fadt + field, 4);
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
