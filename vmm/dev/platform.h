/*
 * The machine's map of guest-physical addresses, as far as its tables tell the
 * guest about it (dsdt.asl has the same numbers).
 */

#pragma once

/* RAM below 4 GiB ends here at the latest; the rest goes above 4 GiB. */
#define PLATFORM_LOW_RAM_END 0xc0000000ull
#define PLATFORM_HIGH_RAM    0x100000000ull

/* ACPI tables, RSDP first: where firmware would be; reserved in the E820. */
#define PLATFORM_ACPI_BASE 0xe0000ull
#define PLATFORM_ACPI_SIZE 0x20000ull
