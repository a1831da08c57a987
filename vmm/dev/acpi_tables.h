/*
 * The ACPI tables that describe the machine: RSDP, RSDT, XSDT, FADT, FACS,
 * MADT, WAET and the DSDT, which is compiled from dsdt.asl.
 */

#pragma once

#include <stddef.h>
#include <stdint.h>

struct acpi_config {
	unsigned cpus; /* their APIC IDs are 0 .. cpus - 1 */
	uint8_t ioapic_id;
	const uint8_t *dsdt; /* as iasl made it */
	size_t dsdt_size;
};

/* dsdt.S */
extern const uint8_t acpi_dsdt[], acpi_dsdt_end[];

/*
 * Write all tables to `area`, which the guest sees at gpa (a multiple of 64,
 * between 0xe0000 and 0xfffff): the RSDP is at its beginning. Returns how much
 * of it is used, 0 if that would be more than size or the DSDT is none.
 */
[[nodiscard]] size_t acpi_tables_build(const struct acpi_config *config, uint8_t *area, size_t size,
				       uint32_t gpa);
