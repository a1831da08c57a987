/*
 * Booting Linux: a bzImage's header with everything that can be wrong with it,
 * cut off at every length and with random bytes; and what is put where in
 * the guest's memory.
 */
#include <stdlib.h>

#include "vmm_fixture.h"

#include "../../vmm/dev/platform.h"
#include "../../vmm/src/bzimage.h"
#include "../../vmm/src/linux.h"

enum {
	SECTORS = 3,
	SETUP = (SECTORS + 1) * 512,
	KERNEL = 8192, /* the protected-mode part */
	FILE_SIZE = SETUP + KERNEL,
	MIB = 1 << 20,
	RAM = 96 * MIB,
	INIT_SIZE = 40 * MIB,
	LOAD = 16 * MIB,
	FUZZ = 200000,
};

static uint32_t seed = 5;

static void put(uint8_t *file, unsigned offset, uint64_t value, unsigned bytes)
{
	memcpy(file + offset, &value, bytes);
}

static uint64_t get(const uint8_t *from, unsigned offset, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, from + offset, bytes);
	return value;
}

/* Protocol 2.15, as Debian's. */
static void make(uint8_t *file)
{
	memset(file, 0, FILE_SIZE);
	put(file, 0x1f1, SECTORS, 1);
	put(file, 0x1fe, 0xaa55, 2);
	put(file, 0x200, 0x6aeb, 2);	 /* JMP to 0x26c */
	put(file, 0x202, 0x53726448, 4); /* HdrS */
	put(file, 0x206, 0x20f, 2);
	put(file, 0x211, 1, 1);		 /* loaded high */
	put(file, 0x22c, 0x7fffffff, 4); /* initrd_addr_max */
	put(file, 0x230, 0x200000, 4);
	put(file, 0x236, 0x7f, 2); /* xloadflags */
	put(file, 0x238, 2047, 4); /* cmdline_size */
	put(file, 0x258, LOAD, 8);
	put(file, 0x260, INIT_SIZE, 4);
	for (unsigned i = SETUP; i < FILE_SIZE; i++)
		file[i] = (uint8_t)(i * 7 + i / 256);
}

static void test_good(void **state)
{
	uint8_t file[FILE_SIZE];
	struct bzimage b;

	(void)state;
	make(file);
	assert_null(bzimage_parse(&b, file, sizeof(file)));
	assert_ptr_equal(b.header, file + 0x1f1);
	assert_int_equal(b.header_bytes, 0x26c - 0x1f1);
	assert_ptr_equal(b.kernel, file + SETUP);
	assert_int_equal(b.kernel_bytes, KERNEL);
	assert_int_equal(b.address, LOAD);
	assert_int_equal(b.init_bytes, INIT_SIZE);
	assert_int_equal(b.initrd_max, 0x7fffffff);
	assert_int_equal(b.command_line_max, 2047);
	assert_int_equal(b.version, 0x20f);
	put(file, 0x201, 0xff, 1); /* more than boot_params has */
	assert_null(bzimage_parse(&b, file, sizeof(file)));
	assert_int_equal(b.header_bytes, 0x290 - 0x1f1);
	put(file, 0x201, 0x6a, 1);
	put(file, 0x1f1, 0, 1); /* 0 sectors mean 4 */
	assert_null(bzimage_parse(&b, file, sizeof(file)));
	assert_ptr_equal(b.kernel, file + 5 * 512);
}

static void test_wrong(void **state)
{
	static const struct {
		unsigned offset;
		uint64_t value;
		unsigned bytes;
		const char *wrong;
	} cases[] = {
		{0x1fe, 0, 2, "it is no bzImage"},
		{0x202, 0x12345678, 4, "it is no bzImage"},
		{0x206, 0x20b, 2, "its boot protocol is older than 2.12"},
		{0x211, 0, 1, "it is a zImage, to be loaded low"},
		{0x236, 0x7e, 2, "it has no 64-bit entry"},
		{0x1f1, 255, 1, "its setup part is cut off"},
		{0x201, 0x10, 1, "its setup part is cut off"},
		{0x258, 0, 8,
		 "its preferred address is not from 1 MiB to "
		 "4 GiB"},
		{0x258, 0x100000000, 8,
		 "its preferred address is not from 1 "
		 "MiB to 4 GiB"},
		{0x258, ~0ull, 8,
		 "its preferred address is not from 1 MiB to "
		 "4 GiB"},
		{0x258, 0x1000010, 8,
		 "its preferred address is not from 1 MiB "
		 "to 4 GiB"},
		{0x260, KERNEL - 1, 4, "its init_size is smaller than itself"},
	};
	uint8_t file[FILE_SIZE];
	struct bzimage b;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		make(file);
		put(file, cases[i].offset, cases[i].value, cases[i].bytes);

		const char *wrong = bzimage_parse(&b, file, sizeof(file));

		assert_non_null(wrong);
		assert_string_equal(wrong, cases[i].wrong);
	}
}

/* What is accepted lies within the file. */
static void check(const uint8_t *file, size_t bytes, const struct bzimage *b)
{
	assert_true(b->header >= file);
	assert_true(b->header + b->header_bytes <= file + bytes);
	assert_true(b->kernel >= file && b->kernel_bytes <= bytes);
	assert_true(b->kernel + b->kernel_bytes <= file + bytes);
	assert_true(b->header_bytes <= BZIMAGE_HEADER_MAX);
	assert_true(b->address < 0x100000000);
	assert_true(b->init_bytes >= b->kernel_bytes);
}

static void test_cut_off(void **state)
{
	uint8_t whole[FILE_SIZE];
	struct bzimage b;

	(void)state;
	make(whole);
	for (size_t n = 0; n < FILE_SIZE; n += n < SETUP + 1024 ? 1 : 97) {
		/* A copy of its size: the sanitizer sees every byte too far. */
		uint8_t *file = malloc(n + 1);

		memcpy(file + 1, whole, n);

		const char *wrong = bzimage_parse(&b, file + 1, n);

		if (n <= SETUP + BZIMAGE_ENTRY_64) {
			assert_non_null(wrong);
		} else {
			assert_null(wrong);
			check(file + 1, n, &b);
		}
		free(file);
	}
}

static void test_random(void **state)
{
	unsigned accepted = 0;

	(void)state;
	for (unsigned i = 0; i < FUZZ; i++) {
		static uint8_t file[FILE_SIZE];
		struct bzimage b;

		if (i % 64 == 0)
			make(file);
		file[0x1f1 + random32(&seed) % 0x80] = (uint8_t)random32(&seed);
		if (bzimage_parse(&b, file, FILE_SIZE) == NULL) {
			accepted++;
			check(file, FILE_SIZE, &b);
		}
	}
	assert_true(accepted > 100);
}

/* Loading. */

static struct gmem mem;
static uint8_t *ram;
static uint8_t file[FILE_SIZE];
static uint8_t initrd[12345];
static char wrong[160];

static struct linux_image image_of(void)
{
	make(file);
	for (unsigned i = 0; i < sizeof(initrd); i++)
		initrd[i] = (uint8_t)(i ^ i >> 8);
	return (struct linux_image){
		.kernel = file,
		.kernel_bytes = FILE_SIZE,
		.initrd = initrd,
		.initrd_bytes = sizeof(initrd),
		.command_line = "console=ttyS0",
		.rsdp = 0xe0000,
	};
}

static bool load(const struct linux_image *image, struct linux_entry *entry, uint64_t ram_bytes)
{
	memset(ram, 0xcc, RAM);
	gmem_init(&mem, ram, ram_bytes);
	wrong[0] = 0;
	return linux_load(&mem, image, entry, wrong, sizeof(wrong));
}

static void test_load(void **state)
{
	struct linux_image image = image_of();
	struct linux_entry entry;
	const uint8_t *params = ram + LINUX_BOOT_PARAMS;
	uint64_t at;

	(void)state;
	assert_true(load(&image, &entry, RAM));
	assert_int_equal(entry.rip, LOAD + 0x200);
	assert_int_equal(entry.boot_params, LINUX_BOOT_PARAMS);
	assert_memory_equal(ram + LOAD, file + SETUP, KERNEL);
	assert_memory_equal(params + 0x202, file + 0x202, 0x0e);
	assert_int_equal(get(params, 0x070, 8), 0xe0000);
	assert_int_equal(get(params, 0x210, 1), 0xff);
	assert_int_equal(get(params, 0x228, 4), LINUX_COMMAND_LINE);
	assert_string_equal((char *)ram + LINUX_COMMAND_LINE, "console=ttyS0");
	at = get(params, 0x218, 4);
	assert_int_equal(get(params, 0x21c, 4), sizeof(initrd));
	assert_int_equal(at % 4096, 0);
	assert_true(at >= LOAD + INIT_SIZE && at + sizeof(initrd) <= RAM);
	assert_memory_equal(ram + at, initrd, sizeof(initrd));
	/* Page tables: the first 4 GiB, each where it is. */
	for (uint64_t address = 0; address < 4ull << 30; address += 2 * MIB) {
		uint64_t e = get(ram, (unsigned)entry.cr3, 8);

		assert_int_equal(e & 1, 1);
		e = get(ram, (unsigned)((e & ~0xfffull) + (address >> 30) * 8), 8);
		assert_int_equal(e & 1, 1);
		e = get(ram, (unsigned)((e & ~0xfffull) + (address >> 21 & 511) * 8), 8);
		assert_int_equal(e, address | 0x83);
	}
}

/* The map covers what is RAM, in order, without overlap. */
static void test_memory_map(void **state)
{
	struct linux_image image = image_of();
	struct linux_entry entry;
	const uint8_t *params = ram + LINUX_BOOT_PARAMS;
	uint64_t last = 0, usable = 0;
	unsigned n;

	(void)state;
	assert_true(load(&image, &entry, RAM));
	n = (unsigned)get(params, 0x1e8, 1);
	assert_in_range(n, 4, 8);
	for (unsigned i = 0; i < n; i++) {
		uint64_t start = get(params, 0x2d0 + 20 * i, 8);
		uint64_t bytes = get(params, 0x2d8 + 20 * i, 8);
		uint64_t type = get(params, 0x2e0 + 20 * i, 4);

		assert_true(start >= last && bytes > 0);
		last = start + bytes;
		if (type == 1) {
			usable += bytes;
			assert_non_null(gmem_at(&mem, start, bytes));
			assert_true(last <= PLATFORM_ACPI_BASE ||
				    start >= PLATFORM_ACPI_BASE + PLATFORM_ACPI_SIZE);
		}
	}
	assert_int_equal(last, RAM);
	assert_true(usable > RAM - MIB);
}

static void test_too_small(void **state)
{
	struct linux_image image = image_of();
	struct linux_entry entry;

	(void)state;
	assert_false(load(&image, &entry, LOAD + INIT_SIZE - 4096));
	assert_string_equal(wrong, "the kernel needs 56 MiB of memory");
	assert_false(load(&image, &entry, LOAD + INIT_SIZE));
	assert_string_equal(wrong, "kernel and initrd need 57 MiB of memory");
	assert_true(load(&image, &entry, LOAD + INIT_SIZE + 16384));
	image.initrd = NULL;
	assert_true(load(&image, &entry, LOAD + INIT_SIZE));
	assert_int_equal(get(ram + LINUX_BOOT_PARAMS, 0x218, 8), 0);
	image = image_of();
	put(file, 0x22c, LOAD + INIT_SIZE + 16383, 4); /* no initrd higher */
	assert_true(load(&image, &entry, RAM));
	assert_int_equal(get(ram + LINUX_BOOT_PARAMS, 0x218, 4), LOAD + INIT_SIZE);
	put(file, 0x22c, 5 * MIB, 4);
	assert_false(load(&image, &entry, RAM));
	image = image_of();
	image.initrd_bytes = (size_t)1 << 40; /* never read */
	assert_false(load(&image, &entry, RAM));
	image = image_of();
	put(file, 0x238, 12, 4);
	assert_false(load(&image, &entry, RAM));
	assert_string_equal(wrong, "the command line has 13 characters");
	image = image_of();
	image.kernel_bytes = 100;
	assert_false(load(&image, &entry, RAM));
	assert_string_equal(wrong, "the kernel cannot be booted: it is too short");
}

static int setup(void **state)
{
	(void)state;
	ram = malloc(RAM);
	return ram == NULL;
}

static int teardown(void **state)
{
	(void)state;
	free(ram);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	  cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_cut_off),	  cmocka_unit_test(test_random),
		cmocka_unit_test(test_load),	  cmocka_unit_test(test_memory_map),
		cmocka_unit_test(test_too_small),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
