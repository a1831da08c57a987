/*
 * What the loader says: Multiboot 1 and 2. Good information first, then such
 * that is cut off and that lies. Whatever it says, nothing is read that was not
 * asked for, it ends, and what is taken from it is within bounds.
 */
#include "hv_firmware.h"
#include "x86/hip.h"

#include <stdlib.h>
#include <string.h>

enum {
	MB1_MAGIC = 0x2badb002,
	MB2_MAGIC = 0x36d76289,
	/* Types of memory that the loader names; the last one only GRUB does. */
	ACPI_NVS = 4,
	EFI_CODE = 20,
};

/* Multiboot 2: tags one after the other. */

static uint64_t tag_end;

static void tag(uint32_t type, const void *data, uint32_t size)
{
	put(tag_end, 4, type);
	put(tag_end + 4, 4, size + 8);
	memcpy(memory + tag_end + 8, data, size);
	tag_end += (size + 8 + 7) & ~7u;
	put(INFO, 4, tag_end - INFO);
}

/* A screen, as both versions have it. */
static const struct {
	uint64_t address;
	uint32_t pitch, width, height;
	uint8_t bits, type;
} screen = {0xe0000000, 4096, 1024, 768, 32, 1};

static void good_mb2(void)
{
	static const struct {
		uint32_t step, version;
		struct {
			uint64_t address, size;
			uint32_t type, reserved;
		} range[6];
	} map = {24,
		 0,
		 {
			 {0, 0x9fc00, 1, 0},
			 {0x100000, 0x1000, 1, 0},
			 {0x101000, 0x3eff000, 1, 0},
			 {0x4000000, 0x2000, EFI_CODE, 0},
			 {0x4002000, 0x1000, ACPI_NVS, 0},
			 {0x4003000, 0x1000, 0x80000001, 0},
		 }};
	static const struct {
		uint32_t start, end;
		char string[8];
	} module = {0x200000, 0x201234, "root x"};
	static const uint8_t rsdp[36] = {'R', 'S', 'D', ' ', [15] = 2, [35] = 0x77};
	static const uint8_t old_rsdp[20] = "RSD PTR ";
	static const uint64_t efi = 0x7eee000;

	clear();
	tag_end = INFO + 8;
	tag(1, "serial  level=3=x nodl", 23);
	tag(6, &map, sizeof(map));
	tag(3, &module, sizeof(module));
	tag(14, old_rsdp, sizeof(old_rsdp));
	tag(15, rsdp, sizeof(rsdp));
	tag(14, old_rsdp, sizeof(old_rsdp));
	tag(8, &screen, 24);
	tag(12, &efi, sizeof(efi));
	tag(0, "", 0);
}

static void good_mb1(void)
{
	clear();
	put(INFO, 4, 1 << 2 | 1 << 3 | 1 << 6 | 1 << 12);
	memcpy(memory + INFO + 88, &screen, 22);
	put(INFO + 16, 4, INFO + 0x100);
	strcpy((char *)memory + INFO + 0x100, "kernel serial");
	put(INFO + 20, 4, 1);
	put(INFO + 24, 4, INFO + 0x200);
	put(INFO + 0x200, 4, 0x200000);
	put(INFO + 0x204, 4, 0x201234);
	put(INFO + 0x208, 4, INFO + 0x300);
	strcpy((char *)memory + INFO + 0x300, "root x");
	put(INFO + 44, 4, 48);
	put(INFO + 48, 4, INFO + 0x400);
	for (unsigned i = 0; i < 2; i++) {
		put(INFO + 0x400 + 24 * i, 4, 20);
		put(INFO + 0x404 + 24 * i, 8, i * 0x100000);
		put(INFO + 0x40c + 24 * i, 8, i ? 0x3f00000 : 0x9fc00);
		put(INFO + 0x414 + 24 * i, 4, 1);
	}
}

static const struct hip_mem *find_mem(int type, unsigned n)
{
	for (uint32_t i = 0; i < boot_info.mems; i++)
		if (boot_info.mem[i].type == (uint32_t)type && n-- == 0)
			return &boot_info.mem[i];
	return NULL;
}

static void check_mem(int type, unsigned n, uint64_t address, uint64_t size)
{
	const struct hip_mem *m = find_mem(type, n);

	assert_non_null(m);
	assert_int_equal(m->address, address);
	assert_int_equal(m->size, size);
}

static const char *string_of(uint32_t aux)
{
	return boot_strings + (uint32_t)(aux - (uint32_t)((uint64_t)boot_strings - KERNEL_BASE));
}

static void check_boot_info(void)
{
	assert_true(boot_info.mems <= LOADER_MEMS);
	assert_true(boot_info.strings < PAGE_SIZE);
	if (boot_info.command_line)
		assert_true(boot_info.command_line < boot_strings + PAGE_SIZE);
	assert_false(boot_option("no such word"));
	for (uint32_t i = 0; i < boot_info.mems; i++) {
		const struct hip_mem *m = &boot_info.mem[i];

		assert_true(m->address + m->size >= m->address);
		if ((int)m->type > 0 || (int)m->type == HIP_MEM_MODULE)
			assert_true(m->size > 0);
		else
			assert_true((int)m->type == HIP_MEM_FRAMEBUFFER ||
				    (int)m->type == HIP_MEM_EFI);
		if ((int)m->type == HIP_MEM_MODULE) {
			const char *string = string_of(m->aux);

			assert_true(string >= boot_strings && string < boot_strings + PAGE_SIZE);
			assert_non_null(
				memchr(string, 0, (size_t)(boot_strings + PAGE_SIZE - string)));
		}
	}
}

static void check_module(void)
{
	check_mem(HIP_MEM_MODULE, 0, 0x200000, 0x1234);
	assert_string_equal(string_of(find_mem(HIP_MEM_MODULE, 0)->aux), "root x");
	assert_null(find_mem(HIP_MEM_MODULE, 1));
	check_mem(HIP_MEM_AVAILABLE, 0, 0, 0x9fc00);
	check_mem(HIP_MEM_AVAILABLE, 1, 0x100000, 0x3f00000);
	assert_null(find_mem(HIP_MEM_AVAILABLE, 2));
	check_mem(HIP_MEM_FRAMEBUFFER, 0, 0xe0000000, 1024ul << 40 | 768 << 16 | 1 << 8 | 32);
	assert_int_equal(find_mem(HIP_MEM_FRAMEBUFFER, 0)->aux, 4096);
}

static void test_multiboot(void **state)
{
	(void)state;
	good_mb2();
	seal();
	assert_true(multiboot_parse(MB2_MAGIC, INFO));
	check_module();
	check_mem(HIP_MEM_EFI, 0, 0x7eee000, 0);
	/* By the first of these userland tells that EFI booted the machine. */
	check_mem(EFI_CODE, 0, 0x4000000, 0x2000);
	check_mem(ACPI_NVS, 0, 0x4002000, 0x1000);
	check_mem(HIP_MEM_RESERVED, 0, 0x4003000, 0x1000);
	assert_true(boot_option("serial"));
	assert_true(boot_option("nodl"));
	assert_true(boot_option("level=3=x"));
	assert_false(boot_option("level"));
	assert_false(boot_option("level=3"));
	assert_false(boot_option("node"));
	assert_false(boot_option("no"));
	assert_false(boot_option("eve"));
	assert_false(boot_option("root"));
	assert_int_equal(boot_info.rsdp[15], 2);
	assert_int_equal(boot_info.rsdp[35], 0x77);
	good_mb1();
	seal();
	assert_true(multiboot_parse(MB1_MAGIC, INFO));
	check_module();
	assert_true(boot_option("serial"));
	assert_false(boot_option("level=3=x"));
	assert_false(multiboot_parse(0, INFO));
	assert_false(multiboot_parse(MB1_MAGIC, 0));
	assert_false(multiboot_parse(MB2_MAGIC, MEMORY - 4));
}

/* Where no memory can be there is none: such an entry, whole or in part, is left out. */
static void test_multiboot_beyond(void **state)
{
	const uint64_t end = fake_physical_end();
	const struct {
		uint64_t address, size;
		bool good;
	} range[] = {
		{end - 0x200000, 0x200000, true},
		{end, 0x200000, false},
		{end - 0x100000, 0x100001, false},
		{end * 2, 0x200000, false},
		{0x100000, end, false},
		{0x100000, ~0ul, false},
		{-0x1000ul, 0x1000, false},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(range); i++) {
		good_mb1();
		put(INFO + 0x41c, 8, range[i].address);
		put(INFO + 0x424, 8, range[i].size);
		seal();
		assert_true(multiboot_parse(MB1_MAGIC, INFO));
		check_mem(HIP_MEM_AVAILABLE, 0, 0, 0x9fc00);
		assert_int_equal(!!find_mem(HIP_MEM_AVAILABLE, 1), range[i].good);
		if (range[i].good)
			check_mem(HIP_MEM_AVAILABLE, 1, range[i].address, range[i].size);
		check_mem(HIP_MEM_FRAMEBUFFER, 0, screen.address,
			  find_mem(HIP_MEM_FRAMEBUFFER, 0)->size);
	}
}

/* More than there is room for: the rest is left out. */
static void test_multiboot_full(void **state)
{
	struct {
		uint32_t start, end;
		char string[64];
	} module = {0, 0, {0}};

	(void)state;
	good_mb2();
	memset(module.string, 'x', sizeof(module.string) - 1);
	for (unsigned i = 0; i < HIP_MEMS; i++) {
		module.start = 0x300000 + i * 0x2000;
		module.end = module.start + 0x1000;
		tag(3, &module, sizeof(module));
	}
	seal();
	assert_true(multiboot_parse(MB2_MAGIC, INFO));
	assert_int_equal(boot_info.mems, LOADER_MEMS);
	assert_string_equal(string_of(find_mem(HIP_MEM_MODULE, 1)->aux), module.string);
	assert_string_equal(string_of(boot_info.mem[LOADER_MEMS - 1].aux), "");
	check_boot_info();
}

static void test_multiboot_lies(void **state)
{
	unsigned good = 0;

	(void)state;
	for (unsigned n = 0; n < STEPS; n++) {
		if (n % 2) {
			good_mb2();
			change(INFO, tag_end - INFO);
		} else {
			good_mb1();
			change(INFO, rnd(4) ? 112 : 0x440);
		}
		seal();
		good += multiboot_parse(n % 2 ? MB2_MAGIC : MB1_MAGIC, INFO);
		check_boot_info();
	}
	assert_true(good > STEPS / 2);
}

/* Addresses that are not there, one at a time. */
static void test_multiboot_nowhere(void **state)
{
	static const unsigned fields[] = {16, 24, 48, 0x208};
	static const uint64_t nowhere[] = {0, 0xffffffff, MEMORY, MEMORY - 1};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
		for (unsigned j = 0; j < ARRAY_SIZE(nowhere); j++) {
			good_mb1();
			put(INFO + fields[i], 4, nowhere[j]);
			put(INFO + 20, 4, rnd(2) ? 1 : 0xffffffff);
			seal();
			assert_true(multiboot_parse(MB1_MAGIC, INFO));
			check_boot_info();
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_multiboot),	  cmocka_unit_test(test_multiboot_beyond),
		cmocka_unit_test(test_multiboot_nowhere), cmocka_unit_test(test_multiboot_lies),
		cmocka_unit_test(test_multiboot_full),
	};

	memory = aligned_alloc(PAGE_SIZE, MEMORY);
	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
