/*
 * ACPI tables: found, and not believed without a check. All of it at boot,
 * through boot_memory().
 */
#pragma once

#include "records.h"

/* ACPI 6.4, 5.2.6 */
struct acpi_table {
	char signature[4];
	uint32_t length; /* of all of the table */
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision, creator_id, creator_revision;
};

static_assert(sizeof(struct acpi_table) == 36);

/* Find the root tables, and tell the HIP. Without ACPI all else here finds nothing. */
void acpi_init(void);

/* The first table with this signature whose length and checksum are right. */
const struct acpi_table *acpi_find(const char signature[4]);

/*
 * Its records from `first` on; where one lies, the rest is ignored with a
 * message: false. Without a table (NULL) there are none.
 */
bool acpi_parse(const struct acpi_table *t, uint32_t first, const struct records *records);

/* Of the FADT (ACPI 6.4, 5.2.9), by offset; X: its low half; PM1b is behind PM1a. */
enum { FADT_FACS = 36, FADT_X_FACS = 132 };
enum { FADT_PM1_EVENT = 56, FADT_PM1_CONTROL = 64 };
enum { FADT_PM_TIMER = 76, FADT_PM_TIMER_LENGTH = 91 }; /* a byte */
enum { FADT_FLAGS = 112, FADT_HARDWARE_REDUCED = 1 << 20 };

/* Four bytes of it from there on; 0 if there are none. */
uint32_t acpi_fadt(unsigned field);
