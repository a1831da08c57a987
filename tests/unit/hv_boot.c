/*
 * What loader and firmware say: Multiboot, ACPI, the MADT. Good tables first,
 * then tables that are cut off, that loop and that lie. Whatever they say,
 * nothing is read that was not asked for, it ends, and what is taken from it is
 * within bounds.
 *
 * Memory here is poisoned but for what boot_memory() was asked for.
 */
#include "hv_fixture.h"

#include <stdlib.h>
#include <string.h>

#include <sanitizer/asan_interface.h>

#include <abi/call.h>

#include "x86/acpi.h"
#include "x86/boot.h"
#include "../../hypervisor/src/x86/irq.c"

enum {
	MEMORY = 1 << 20, /* all there is below "4 GiB" */
	STEPS = 30000,

	MB1_MAGIC = 0x2badb002,
	MB2_MAGIC = 0x36d76289,

	INFO = 0x8000, /* where the loader's information is */
	EBDA = 0x9fc00,
	BIOS = 0xe0000,
	TABLES = 0xf1000,
};

static uint8_t *memory;

char boot_strings[PAGE_SIZE];

void *boot_memory(uint64_t phys, uint64_t size)
{
	if (phys == 0 || phys >= MEMORY || size > MEMORY - phys)
		return NULL;
	__asan_unpoison_memory_region(memory + phys, size);
	return memory + phys;
}

static uint64_t ioapic_phys[MAX_IOAPICS];
static unsigned mapped; /* pages, for ever */
static bool no_ioapics; /* the MADT lies about all of them */

/* An IOAPIC with 24 pins. */
void *kmem_map(uint64_t phys, enum memory_type type)
{
	static uint32_t fake[PAGE_SIZE / 4];

	assert_true(mapped++ < MAX_IOAPICS && type == MEMORY_UNCACHED);
	fake[DATA] = no_ioapics ? ~0u : 23 << 16;
	ioapic_phys[ioapic_count] = phys;
	return fake;
}

static uint64_t acpi_roots[2]; /* RSDT, XSDT */

void hip_add(uint64_t phys, uint64_t size, int type)
{
	(void)size;
	if (type == HIP_MEM_RSDT || type == HIP_MEM_XSDT)
		acpi_roots[type == HIP_MEM_XSDT] = phys;
}

void apic_eoi(void)
{
}

void ipi_handle(void)
{
}

enum status iommu_interrupt(unsigned gsi, uint32_t source, uint32_t apic_id, bool level,
			    uint64_t *address)
{
	(void)gsi, (void)source, (void)apic_id, (void)level;
	*address = 0;
	return SUCCESS;
}

static void clear(void)
{
	__asan_unpoison_memory_region(memory, MEMORY);
	memset(memory, 0, MEMORY);
	memset(&boot_info, 0, sizeof(boot_info));
	memset(&machine, 0, sizeof(machine));
	mapped = 0;
	memset(ioapic_phys, 0, sizeof(ioapic_phys));
	ioapic_count = 0;
	memset(acpi_roots, 0, sizeof(acpi_roots));
}

/* From here on the kernel reads it. */
static void seal(void)
{
	__asan_poison_memory_region(memory, MEMORY);
}

static uint32_t put(uint64_t at, unsigned size, uint64_t value)
{
	memcpy(memory + at, &value, size);
	return size;
}

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
		} range[3];
	} map = {24,
		 0,
		 {
			 {0, 0x9fc00, 1, 0},
			 {0x100000, 0x1000, 1, 0},
			 {0x101000, 0x3eff000, 1, 0},
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

/* Some of a few numbers that are at the ends of something, in [at, at + n). */
static void change(uint64_t at, uint64_t n)
{
	static const uint64_t numbers[] = {
		0,    1,      7,	  8,	       0xff, 0xffff, 0x7fffffff,
		~0ul, MEMORY, MEMORY - 4, MEMORY - 24, INFO, TABLES, 0x80000000,
	};
	static const unsigned sizes[] = {1, 2, 4, 8};

	for (uint64_t i = 1 + rnd(3); i; i--) {
		unsigned size = sizes[rnd(4)];
		uint64_t where = at + rnd(n) / size * size;

		put(where, size, rnd(2) ? numbers[rnd(ARRAY_SIZE(numbers))] : rnd(1ul << 32));
	}
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

/* ACPI */

static void sum(uint64_t at, uint64_t size, unsigned checksum)
{
	uint8_t total = 0;

	memory[at + checksum] = 0;
	for (uint64_t i = 0; i < size; i++)
		total = (uint8_t)(total + memory[at + i]);
	memory[at + checksum] = (uint8_t)-total;
}

static void table(uint64_t at, const char *signature, uint32_t size)
{
	memcpy(memory + at, signature, 4);
	put(at + 4, 4, size);
	sum(at, size, 9);
}

enum {
	RSDT = TABLES,
	XSDT = TABLES + 0x100,
	FADT = TABLES + 0x203,
	MADT = TABLES + 0x405,
	END = TABLES + 0x600,
};

static uint32_t make_madt(void)
{
	uint32_t at = MADT + 44;

	/* Two CPUs, one that is off, an x2APIC one, IOAPIC, two overrides. */
	for (unsigned i = 0; i < 3; i++) {
		at += put(at, 8,
			  0x0800 | (uint64_t)i << 16 | (uint64_t)i << 24 | (i < 2 ? 1ul << 32 : 0));
	}
	at += put(at, 8, 0x1009 | 300ul << 32);
	at += put(at, 8, 1 | 77ul << 32);
	at += put(at, 8, 0x0c01 | 0xfec00000ul << 32);
	at += put(at, 4, 0);
	at += put(at, 8, 0x0a02 | 2ul << 32);
	at += put(at, 2, 0);
	at += put(at, 8, 0x09000a02 | 9ul << 32);
	at += put(at, 2, 0xf);
	return at - MADT;
}

static void good_acpi(bool wide, uint64_t where)
{
	clear();
	put(0x40e, 2, EBDA >> 4);
	memcpy(memory + where, "RSD PTR ", 8);
	put(where + 15, 1, wide ? 2 : 0);
	put(where + 16, 4, RSDT);
	put(where + 20, 4, 36);
	put(where + 24, 8, wide ? XSDT : 0);
	sum(where, 20, 8);
	sum(where, 36, 32);
	put(RSDT + 36, 4, FADT);
	put(RSDT + 40, 4, MADT);
	put(XSDT + 36, 8, FADT);
	put(XSDT + 44, 8, MADT);
	put(FADT + 76, 4, 0x608);
	put(FADT + 91, 1, 4);
	table(FADT, "FACP", 244);
	table(MADT, "APIC", make_madt());
	table(RSDT, "RSDT", 44);
	table(XSDT, "XSDT", 52);
}

static void check_good(bool wide)
{
	acpi_init();
	assert_int_equal(acpi_roots[0], RSDT);
	assert_int_equal(acpi_roots[1], wide ? XSDT : 0);
	assert_int_equal(acpi_fadt(FADT_PM_TIMER), 0x608);
	assert_null(acpi_find("DMAR"));
	madt_init();
	assert_int_equal(machine.cpus, 3);
	assert_int_equal(machine.cpu[1].apic_id, 1);
	assert_int_equal(machine.cpu[2].apic_id, 300);
	assert_int_equal(machine.cpu[2].acpi_id, 77);
	assert_int_equal(ioapic_count, 1);
	assert_int_equal(ioapic_phys[0], 0xfec00000);
	assert_int_equal(ioapics[0].pins, 24);
	assert_int_equal(gsis[2].mode, 0);
	assert_int_equal(gsis[9].mode, FLAG_GSI_LEVEL | FLAG_GSI_LOW);
	assert_int_equal(gsis[1].mode, 0);
	assert_int_equal(gsis[16].mode, FLAG_GSI_LEVEL | FLAG_GSI_LOW);
}

static void test_acpi(void **state)
{
	static const uint64_t places[] = {EBDA, EBDA + 1024 - 48, BIOS, 0xfffd0};

	(void)state;
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(places); i++) {
		good_acpi(i % 2, places[i / 2]);
		seal();
		check_good(i % 2);
	}
	/* From the loader. */
	good_acpi(true, EBDA);
	memcpy(boot_info.rsdp, memory + EBDA, RSDP_SIZE);
	memset(memory + EBDA, 0, RSDP_SIZE);
	seal();
	check_good(true);
}

/* Firmware leaves entries empty; those behind them count. */
static void test_acpi_empty_entry(void **state)
{
	(void)state;
	good_acpi(true, EBDA);
	put(XSDT + 36, 8, 0);
	put(XSDT + 52, 8, FADT);
	table(XSDT, "XSDT", 60);
	seal();
	acpi_init();
	assert_non_null(acpi_find("APIC"));
	assert_int_equal(acpi_fadt(FADT_PM_TIMER), 0x608);
}

/* The root table is the last that there is in memory. */
static void test_acpi_at_end(void **state)
{
	(void)state;
	good_acpi(false, EBDA);
	memcpy(memory + MEMORY - 44, memory + RSDT, 44);
	put(EBDA + 16, 4, MEMORY - 44);
	sum(EBDA, 20, 8);
	seal();
	acpi_init();
	assert_int_equal(acpi_roots[0], MEMORY - 44);
	assert_non_null(acpi_find("APIC"));
	assert_null(acpi_find("DMAR"));
}

/* None at all: one CPU, an IOAPIC where it always was. */
static void test_no_acpi(void **state)
{
	(void)state;
	clear();
	seal();
	acpi_init();
	assert_null(acpi_find("APIC"));
	assert_int_equal(acpi_fadt(FADT_PM_TIMER), 0);
	madt_init();
	assert_int_equal(ioapic_count, 1);
	assert_int_equal(ioapic_phys[0], 0xfec00000);
	assert_int_equal(machine.cpus, 0);
}

static void check_machine(void)
{
	assert_true(machine.cpus <= MAX_CPUS);
	assert_true(ioapic_count >= 1 && ioapic_count <= MAX_IOAPICS);
	for (uint32_t i = 0; i < machine.cpus; i++)
		for (uint32_t j = 0; j < i; j++)
			assert_int_not_equal(machine.cpu[i].apic_id, machine.cpu[j].apic_id);
}

/* What is changed has a good checksum mostly, so that it is believed. */
static void test_acpi_lies(void **state)
{
	static const struct {
		uint64_t at, size;
	} tables[] = {{RSDT, 44}, {XSDT, 52}, {FADT, 244}, {MADT, 104}};
	unsigned found = 0;

	(void)state;
	for (unsigned n = 0; n < STEPS / 3; n++) {
		unsigned i = (unsigned)rnd(ARRAY_SIZE(tables));
		const struct acpi_table *t;

		good_acpi(rnd(2), EBDA);
		change(tables[i].at, tables[i].size);
		if (rnd(4)) {
			uint32_t size;

			memcpy(&size, memory + tables[i].at + 4, 4);
			if (size >= 36 && size < MEMORY - tables[i].at)
				sum(tables[i].at, size, 9);
		}
		if (rnd(8) == 0) {
			change(EBDA, 36);
			sum(EBDA, 20, 8);
			sum(EBDA, 36, 32);
		}
		seal();
		acpi_init();
		t = acpi_find("APIC");
		found += t != NULL;
		if (t)
			assert_true(t->length >= sizeof(*t));
		(void)acpi_find("ABCD");
		(void)acpi_fadt(FADT_PM_TIMER);
		madt_init();
		check_machine();
	}
	assert_true(found > STEPS / 10);
}

/* More of everything than there is room for, and entries without length. */
static void test_madt_full(void **state)
{
	uint32_t at = MADT + 44;

	(void)state;
	good_acpi(true, EBDA);
	for (unsigned i = 0; i < 100; i++) {
		at += put(at, 8, 0x0800 | (uint64_t)i << 24 | 1ul << 32);
		at += put(at, 8, 0x0c01 | (uint64_t)i << 32);
		at += put(at, 4, 0);
	}
	table(MADT, "APIC", at - MADT);
	seal();
	acpi_init();
	madt_init();
	check_machine();
	assert_int_equal(machine.cpus, MAX_CPUS);
	assert_int_equal(ioapic_count, MAX_IOAPICS);
	ioapic_count = mapped = 0;
	no_ioapics = true;
	madt_init();
	no_ioapics = false;
	assert_true(irq_sources_known());
	for (unsigned length = 0; length < 2; length++) {
		good_acpi(true, EBDA);
		put(MADT + 44 + 8 + 1, 1, length);
		table(MADT, "APIC", 44 + 16);
		seal();
		acpi_init();
		madt_init();
		assert_int_equal(machine.cpus, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_multiboot),      cmocka_unit_test(test_multiboot_nowhere),
		cmocka_unit_test(test_multiboot_lies), cmocka_unit_test(test_multiboot_full),
		cmocka_unit_test(test_acpi),	       cmocka_unit_test(test_acpi_empty_entry),
		cmocka_unit_test(test_acpi_at_end),    cmocka_unit_test(test_no_acpi),
		cmocka_unit_test(test_acpi_lies),      cmocka_unit_test(test_madt_full),
	};

	memory = aligned_alloc(PAGE_SIZE, MEMORY);
	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
