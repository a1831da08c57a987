/*
 * What loader and firmware say. The first byte chooses what is there: good
 * information that is changed by the rest of the input (address and byte), or
 * the input itself in its place. Checksums are put right mostly.
 */
#define main multiboot_main
#include "../unit/hv_multiboot.c"
#undef main
#define main acpi_main
#include "../unit/hv_acpi.c"
#undef main

#include "input.h"

static void patch(uint64_t at, uint64_t n)
{
	for (unsigned i = 0; i < 16 && !input_empty(); i++) {
		uint64_t where = at + input_below(n);

		memory[where] = (uint8_t)input_take(1);
	}
}

static void raw(uint64_t at)
{
	while (!input_empty() && at < BIOS)
		memory[at++] = (uint8_t)input_take(1);
}

static void loader(uint64_t kind)
{
	uint32_t magic = kind & 1 ? MB2_MAGIC : MB1_MAGIC;

	if (kind & 2) {
		clear();
		raw(INFO);
	} else if (kind & 1) {
		good_mb2();
		patch(INFO, tag_end - INFO);
	} else {
		good_mb1();
		patch(INFO, 0x440);
	}
	seal();
	(void)multiboot_parse(magic, INFO);
	check_boot_info();
}

/* A table's own length, if it has one that can be. */
static void believe(uint64_t at)
{
	uint32_t length;

	memcpy(&length, memory + at + 4, 4);
	if (length >= 36 && length < MEMORY - at)
		sum(at, length, 9);
}

static void firmware(uint64_t kind)
{
	good_acpi(kind & 1, EBDA);
	patch(TABLES, END - TABLES);
	believe(RSDT);
	believe(XSDT);
	believe(FADT);
	believe(MADT);
	if (kind & 2) {
		patch(EBDA, 36);
		sum(EBDA, 20, 8);
		sum(EBDA, 36, 32);
	}
	seal();
	acpi_init();
	(void)acpi_find("ABCD");
	(void)acpi_fadt(FADT_PM_TIMER);
	madt_init();
	check_machine();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t kind;

	if (!memory)
		memory = malloc(MEMORY);
	input_set(data, size);
	kind = input_take(1);
	if (kind & 4)
		loader(kind);
	else
		firmware(kind);
	return 0;
}
