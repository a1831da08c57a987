/*
 * ACPI specification 6.x, chapter 5.2. A table with fixed fields is a list of
 * (offset, size, value), with the specification's names beside.
 */

#include "acpi_tables.h"

#include <stdbool.h>

#include "acpi_pm.h"
#include "ioapic.h"
#include "lapic.h"

enum {
	HEADER_SIZE = 36,
	HEADER_LENGTH = 4, /* offsets in the header */
	HEADER_REVISION = 8,
	HEADER_CHECKSUM = 9,

	RSDP_SIZE = 36,
	FACS_SIZE = 64,
	FADT_SIZE = 268, /* revision 5 */
	WAET_SIZE = 40,

	FADT_FACS = 36, /* offsets of addresses in it */
	FADT_DSDT = 40,
	FADT_X_DSDT = 140,

	TABLES = 3, /* FADT, MADT, WAET: those listed */
	TABLE_ALIGN = 64,
	CPUS_MAX = 255, /* of 8-bit APIC IDs */
};

struct field {
	uint16_t offset;
	uint8_t bytes;
	uint32_t value;
};

/* A generic address: space, width, offset, access size; then 64 bits. */
#define GAS_IO(offset_, bits_, access_, address_)           \
	{(offset_), 4, 1 | (bits_) << 8 | (access_) << 24}, \
	{                                                   \
		(offset_) + 4, 4, (address_)                \
	}

static const struct field fadt[] = {
	{45, 1, 1},			      /* Preferred_PM_Profile: desktop */
	{46, 2, ACPI_SCI},		      /* SCI_INT */
	{48, 4, ACPI_SMI_CMD},		      /* SMI_CMD */
	{52, 1, ACPI_ENABLE},		      /* ACPI_ENABLE */
	{53, 1, ACPI_DISABLE},		      /* ACPI_DISABLE */
	{56, 4, ACPI_PM_BASE + ACPI_PM1_STS}, /* PM1a_EVT_BLK */
	{64, 4, ACPI_PM_BASE + ACPI_PM1_CNT}, /* PM1a_CNT_BLK */
	{76, 4, ACPI_PM_BASE + ACPI_PM_TMR},  /* PM_TMR_BLK */
	{88, 1, 4},			      /* PM1_EVT_LEN */
	{89, 1, 2},			      /* PM1_CNT_LEN */
	{91, 1, 4},			      /* PM_TMR_LEN */
	{96, 2, 0xfff},			      /* P_LVL2_LAT: there is no C2 */
	{98, 2, 0xfff},			      /* P_LVL3_LAT: nor C3 */
	{108, 1, 0x32},			      /* CENTURY */
	/* IAPC_BOOT_ARCH: legacy devices, no VGA, no 8042 worth a look. */
	{109, 2, 1 << 0 | 1 << 2},
	/* Flags: WBINVD, PROC_C1, SLP_BUTTON (none), RESET_REG_SUP. */
	{112, 4, 1 << 0 | 1 << 2 | 1 << 5 | 1 << 10},
	GAS_IO(116, 8, 1, 0xcf9),			 /* RESET_REG */
	{128, 1, 0x0e},					 /* RESET_VALUE */
	GAS_IO(148, 32, 2, ACPI_PM_BASE + ACPI_PM1_STS), /* X_PM1a_EVT_BLK */
	GAS_IO(172, 16, 2, ACPI_PM_BASE + ACPI_PM1_CNT), /* X_PM1a_CNT_BLK */
	GAS_IO(208, 32, 3, ACPI_PM_BASE + ACPI_PM_TMR),	 /* X_PM_TMR_BLK */
};

static const struct field waet[] = {
	/* RTC needs no second read of C; the PM timer is right at once. */
	{36, 4, 1 << 0 | 1 << 1},
};

/* ISA interrupts that are not edge-triggered, or at another pin. */
static const struct {
	uint8_t irq, pin;
	uint16_t flags;
} overrides[] = {
	{0, 2, 0},   /* the timer */
	{5, 5, 0xd}, /* active high, level: for PIRQs */
	{ACPI_SCI, ACPI_SCI, 0xd},
	{10, 10, 0xd},
	{11, 11, 0xd},
};

/* Where tables go. Once something does not fit nothing is written any more. */
struct area {
	uint8_t *base;
	size_t size, used;
	uint32_t gpa;
	bool full;
};

static void put(uint8_t *at, unsigned bytes, uint64_t value)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void put_text(uint8_t *at, const char *text)
{
	while (*text != 0)
		*at++ = (uint8_t)*text++;
}

static void put_fields(uint8_t *table, const struct field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put(table + fields[i].offset, fields[i].bytes, fields[i].value);
}

/* Make the bytes' sum 0. */
static void put_checksum(uint8_t *at, const uint8_t *bytes, size_t count)
{
	uint8_t sum = 0;

	*at = 0;
	for (size_t i = 0; i < count; i++)
		sum = (uint8_t)(sum + bytes[i]);
	*at = (uint8_t)-sum;
}

/* Room for a table, cleared; NULL: full. */
static uint8_t *reserve(struct area *area, size_t bytes)
{
	size_t start = (area->used + TABLE_ALIGN - 1) & ~(size_t)(TABLE_ALIGN - 1);
	uint8_t *at;

	if (area->full || start > area->size || area->size - start < bytes) {
		area->full = true;
		return NULL;
	}
	at = area->base + start;
	for (size_t i = 0; i < bytes; i++)
		at[i] = 0;
	area->used = start + bytes;
	return at;
}

static uint32_t address(const struct area *area, const uint8_t *table)
{
	return area->gpa + (uint32_t)(table - area->base);
}

/* Room for a table, with its header; finish() completes it. */
static uint8_t *begin(struct area *area, const char *signature, uint8_t revision, size_t bytes)
{
	uint8_t *table = reserve(area, bytes);

	if (table != NULL) {
		put_text(table, signature);
		put(table + HEADER_LENGTH, 4, bytes);
		put(table + HEADER_REVISION, 1, revision);
		put_text(table + 10, "MCNOVA");	  /* OEMID */
		put_text(table + 16, "MICRONOV"); /* OEM Table ID */
		put(table + 24, 4, 1);		  /* OEM Revision */
		put_text(table + 28, "MCNV");	  /* Creator ID */
		put(table + 32, 4, 1);		  /* Creator Revision */
	}
	return table;
}

static uint32_t finish(const struct area *area, uint8_t *table, size_t bytes)
{
	put_checksum(table + HEADER_CHECKSUM, table, bytes);
	return address(area, table);
}

static uint32_t build_dsdt(struct area *area, const struct acpi_config *config)
{
	uint8_t *table = reserve(area, config->dsdt_size);

	if (table == NULL)
		return 0;
	for (size_t i = 0; i < config->dsdt_size; i++)
		table[i] = config->dsdt[i];
	return address(area, table);
}

static uint32_t build_facs(struct area *area)
{
	uint8_t *table = reserve(area, FACS_SIZE);

	if (table == NULL)
		return 0;
	put_text(table, "FACS");
	put(table + 4, 4, FACS_SIZE);
	put(table + 32, 1, 1); /* Version */
	return address(area, table);
}

static uint32_t build_fadt(struct area *area, uint32_t facs, uint32_t dsdt)
{
	uint8_t *table = begin(area, "FACP", 5, FADT_SIZE);

	if (table == NULL)
		return 0;
	put_fields(table, fadt, sizeof(fadt) / sizeof(fadt[0]));
	put(table + FADT_FACS, 4, facs);
	put(table + FADT_DSDT, 4, dsdt);
	put(table + FADT_X_DSDT, 8, dsdt);
	return finish(area, table, FADT_SIZE);
}

static uint8_t *put_local_apics(uint8_t *at, unsigned cpus)
{
	for (unsigned id = 0; id < cpus; id++, at += 8) {
		put(at, 2, 0 | 8 << 8); /* Local APIC */
		put(at + 2, 1, id);	/* UID */
		put(at + 3, 1, id);	/* APIC ID */
		put(at + 4, 4, 1);	/* enabled */
	}
	return at;
}

static uint8_t *put_overrides(uint8_t *at)
{
	for (size_t i = 0; i < sizeof(overrides) / sizeof(overrides[0]); i++) {
		put(at, 2, 2 | 10 << 8); /* Interrupt Source Override */
		put(at + 3, 1, overrides[i].irq);
		put(at + 4, 4, overrides[i].pin);
		put(at + 8, 2, overrides[i].flags);
		at += 10;
	}
	return at;
}

static uint32_t build_madt(struct area *area, const struct acpi_config *config)
{
	size_t count = sizeof(overrides) / sizeof(overrides[0]);
	size_t bytes = HEADER_SIZE + 8 + 8 * config->cpus + 12 + 10 * count + 6;
	uint8_t *table = begin(area, "APIC", 4, bytes), *at;

	if (table == NULL)
		return 0;
	put(table + 36, 4, LAPIC_BASE_DEFAULT);
	put(table + 40, 4, 1); /* PCAT_COMPAT */
	at = put_local_apics(table + 44, config->cpus);

	put(at, 2, 1 | 12 << 8); /* I/O APIC */
	put(at + 2, 1, config->ioapic_id);
	put(at + 4, 4, IOAPIC_BASE);
	at = put_overrides(at + 12);

	put(at, 2, 4 | 6 << 8); /* Local APIC NMI */
	put(at + 2, 1, 0xff);	/* of all CPUs */
	put(at + 5, 1, 1);	/* LINT1 */
	return finish(area, table, bytes);
}

static uint32_t build_waet(struct area *area)
{
	uint8_t *table = begin(area, "WAET", 1, WAET_SIZE);

	if (table == NULL)
		return 0;
	put_fields(table, waet, sizeof(waet) / sizeof(waet[0]));
	return finish(area, table, WAET_SIZE);
}

/* RSDT and XSDT: the same list, with entries of 4 and of 8 bytes. */
static uint32_t build_list(struct area *area, const char *signature, unsigned entry,
			   const uint32_t tables[TABLES])
{
	size_t bytes = HEADER_SIZE + (size_t)entry * TABLES;
	uint8_t *table = begin(area, signature, 1, bytes);

	if (table == NULL)
		return 0;
	for (unsigned i = 0; i < TABLES; i++)
		put(table + HEADER_SIZE + entry * i, entry, tables[i]);
	return finish(area, table, bytes);
}

static void fill_rsdp(uint8_t *rsdp, uint32_t rsdt, uint32_t xsdt)
{
	put_text(rsdp, "RSD PTR ");
	put_text(rsdp + 9, "MCNOVA");
	put(rsdp + 15, 1, 2); /* Revision */
	put(rsdp + 16, 4, rsdt);
	put(rsdp + 20, 4, RSDP_SIZE);
	put(rsdp + 24, 8, xsdt);
	put_checksum(rsdp + 8, rsdp, 20);
	put_checksum(rsdp + 32, rsdp, RSDP_SIZE);
}

size_t acpi_tables_build(const struct acpi_config *config, uint8_t *area_base, size_t size,
			 uint32_t gpa)
{
	struct area area = {.base = area_base, .size = size, .gpa = gpa};
	uint8_t *rsdp = reserve(&area, RSDP_SIZE);

	if (config->cpus == 0 || config->cpus > CPUS_MAX || config->dsdt_size < HEADER_SIZE)
		return 0;

	uint32_t dsdt = build_dsdt(&area, config);
	uint32_t facs = build_facs(&area);
	uint32_t tables[TABLES] = {
		build_fadt(&area, facs, dsdt),
		build_madt(&area, config),
		build_waet(&area),
	};
	uint32_t rsdt = build_list(&area, "RSDT", 4, tables);
	uint32_t xsdt = build_list(&area, "XSDT", 8, tables);

	if (area.full)
		return 0;
	fill_rsdp(rsdp, rsdt, xsdt);
	return area.used;
}
