/*
 * ACPI tables: found, and not believed without a check. All of it at boot,
 * through boot_memory().
 */
#pragma once

#include "../types.h"
#include "records.h"

/* ACPI 6.4, 5.2.6 */
struct acpi_table {
	char signature[4];
	uint32_t length;	/* of all of the table */
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision, creator_id, creator_revision;
};

static_assert(sizeof(struct acpi_table) == 36);

/* Where the root tables are; 0: there is none. */
struct acpi_root {
	uint64_t rsdt, xsdt;
	uint32_t rsdt_size, xsdt_size;
};

extern struct acpi_root acpi_root;

/* Find the root table. Without ACPI all else here finds nothing. */
void acpi_init(void);

/* The first table with this signature whose length and checksum are right. */
const struct acpi_table *acpi_find(const char signature[4]);

/*
 * Its records from `first` on; where one lies, the rest is ignored with a
 * message: false. Without a table (NULL) there are none.
 */
bool acpi_parse(const struct acpi_table *t, uint32_t first,
		struct record_format format, const struct record_parser *parser,
		unsigned parsers);

/* From the FADT: port of the power management timer, 3.579545 MHz; or 0. */
uint16_t acpi_pm_timer(void);
