/*
 * What firmware says: ACPI's tables, the MADT. Good tables first, then tables
 * that are cut off, that loop and that lie. Whatever they say, nothing is read
 * that was not asked for, it ends, and what is taken from it is within bounds.
 */
#include "hv_firmware.h"

#include <stdlib.h>
#include <string.h>

#include <abi/call.h>

#include "x86/acpi.h"
#define out8(port, value) ((void)(port), (void)(value)) /* to the 8259As */
#include "../../hypervisor/src/x86/irq.c"

static uint64_t ioapic_phys[MAX_IOAPICS];
static unsigned mapped; /* pages, for ever */
static bool no_ioapics; /* the MADT lies about all of them */
static uint32_t fake[MAX_IOAPICS][PAGE_SIZE / 4];
static uint32_t last_pin = 23;
static unsigned eois;
static bool waited_for; /* at the latest EOI: by grace periods */

/* An IOAPIC with 24 pins. */
void *kmem_map(uint64_t phys, enum memory_type type)
{
	assert_true(mapped < MAX_IOAPICS && type == MEMORY_UNCACHED);
	fake[mapped][DATA] = no_ioapics ? ~0u : last_pin << 16;
	ioapic_phys[ioapic_count] = phys;
	assert_true(phys % PAGE_SIZE + 4 * EOI < PAGE_SIZE);
	return fake[mapped++];
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
	eois++;
	waited_for = this_cpu()->quiescent != ~0ul;
}

void ipi_handle(void)
{
}

enum status iommu_interrupt(unsigned gsi, uint32_t source, uint32_t apic_id, bool level,
			    uint64_t *address)
{
	(void)gsi, (void)source, (void)level;
	*address = APIC_PHYS | apic_id << 12;
	return SUCCESS;
}

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

static void nothing(void)
{
	clear();
	memset(&machine, 0, sizeof(machine));
	mapped = 0;
	memset(ioapic_phys, 0, sizeof(ioapic_phys));
	ioapic_count = 0;
	last_pin = 23;
	memset(acpi_roots, 0, sizeof(acpi_roots));
}

static void good_acpi(bool wide, uint64_t where)
{
	nothing();
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

/* So many tables there are not: neither the time nor the lines are to be spent. */
static void test_acpi_many(void **state)
{
	enum { AT = 0x20000, SIZE = 0x20000 };

	(void)state;
	good_acpi(false, EBDA);
	for (uint64_t at = AT + 36; at < AT + SIZE; at += 4)
		put(at, 4, MADT);
	table(AT, "RSDT", SIZE);
	memory[MADT + 9]++;
	put(EBDA + 16, 4, AT);
	sum(EBDA, 20, 8);
	seal();
	acpi_init();
	logged = 0;
	assert_null(acpi_find("APIC"));
	assert_in_range(logged, 1, PAGE_SIZE / 4);
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
	nothing();
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
		at += put(at, 8, 0x0c01 | (0xfec00000ul + i * PAGE_SIZE) << 32);
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

static uint32_t put_ioapic(uint32_t at, unsigned id, uint64_t phys, uint64_t gsi)
{
	put(at, 8, 0x0c01 | id << 16 | phys << 32);
	return at + 8 + put(at + 8, 4, gsi);
}

static void use_madt(uint32_t end)
{
	table(MADT, "APIC", end - MADT);
	seal();
	acpi_init();
	madt_init();
}

/* Registers that are in RAM, or go on in the next page; more pins than an index can name. */
static void test_ioapic_lies(void **state)
{
	static const uint64_t places[] = {0xfec00ffc, 0xfec00004, POOL_PHYS, 0x1000};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		good_acpi(true, EBDA);
		use_madt(put_ioapic(put_ioapic(MADT + 44, 1, places[i], 0), 2, 0xfec00000, 24));
		assert_int_equal(ioapic_count, 1);
		assert_int_equal(ioapic_phys[0], 0xfec00000);
		assert_null(find(0));
		assert_ptr_equal(find(24), ioapics);
	}
	for (unsigned last = 119; last < 255; last += 15) {
		good_acpi(true, EBDA);
		last_pin = last;
		use_madt(put_ioapic(MADT + 44, 1, 0xfec00000, 0));
		assert_int_equal(ioapic_count, 1);
		assert_int_equal(ioapics[0].pins, last < 120 ? last + 1 : 0);
	}
}

/* Two that say they have the same GSI: only one's pin ever is open. */
static void test_ioapic_twice(void **state)
{
	enum { PIN = 3, GSI = 30 };
	uint64_t address, data;

	(void)state;
	fixture_init(2048, 1);
	good_acpi(true, EBDA);
	use_madt(put_ioapic(put_ioapic(MADT + 44, 1, 0xfec00000, GSI - PIN), 2, 0xfec10000,
			    GSI - PIN));
	assert_int_equal(ioapic_count, 2);
	/* The last register that was written shows: the other's last pin. */
	ioapics[0].pins = ioapics[1].pins = PIN + 1;
	cpus[0]->apic_id = 0x2b;
	assert_int_equal(gsi_assign(GSI, SOURCE_UNKNOWN, 0, 0, &address, &data), SUCCESS);
	/* Masked, level, low; to that CPU. */
	assert_int_equal(fake[0][DATA], PIN_MASKED | PIN_LEVEL | PIN_LOW | (VECTOR_GSI + GSI));
	assert_int_equal(gsis[GSI].high, 0x2b000000);
	gsi_mask(GSI, false, true);
	irq_reset();
	assert_int_equal(fake[0][INDEX], REG_PIN + 2 * PIN);
	assert_int_equal(fake[1][INDEX], REG_PIN + 2 * PIN);
	assert_int_equal(fake[0][DATA] & PIN_MASKED, 0);
	assert_int_equal(fake[1][DATA], PIN_MASKED);
	gsis[GSI].low = 0;
}

/* Trigger and polarity are as asked for, if they are valid, else the machine's. */
static void test_gsi_mode(void **state)
{
	enum { ISA_IRQ = 5, PCI = 20 };
	static const unsigned gsi[] = {ISA_IRQ, PCI};
	uint64_t address, data;

	(void)state;
	fixture_init(2048, 1);
	good_acpi(true, EBDA);
	last_pin = 23;
	use_madt(put_ioapic(MADT + 44, 1, 0xfec00000, 0));
	for (unsigned i = 0; i < 2; i++) {
		gsis[gsi[i]].mode = i ? FLAG_GSI_LEVEL | FLAG_GSI_LOW : 0;
		for (unsigned flags = 0; flags < 16; flags++) {
			bool asked = flags & FLAG_GSI_MODE;
			uint32_t low = VECTOR_GSI + gsi[i] + PIN_MASKED;

			low += (asked ? flags & FLAG_GSI_LEVEL : i) ? PIN_LEVEL : 0;
			low += (asked ? flags & FLAG_GSI_LOW : i) ? PIN_LOW : 0;
			address = data = 1;
			assert_int_equal(
				gsi_assign(gsi[i], SOURCE_UNKNOWN, 0, flags, &address, &data),
				SUCCESS);
			assert_int_equal(fake[0][DATA], low);
			assert_int_equal(address | data, 0);
		}
		gsis[gsi[i]].low = 0;
	}
}

/* What a device may send without an IOMMU: it must not stay in service. */
static void test_any_vector(void **state)
{
	(void)state;
	fixture_init(2048, 1);
	sm_init_gsis(GSIS);
	for (uint32_t vector = VECTOR_GSI; vector <= 0xff; vector++) {
		eois = 0;
		if (vector != VECTOR_TIMER)
			irq_handle(vector);
		assert_true(eois == 1 || vector == VECTOR_TIMER);
	}
}

/* An interrupt that comes to an idle CPU may read what is freed after a grace period. */
static void test_idle_reads(void **state)
{
	struct ec idle, other;

	(void)state;
	fixture_init(2048, 1);
	sm_init_gsis(GSIS);
	this_cpu()->current = this_cpu()->idle = &idle;
	for (uint32_t vector = VECTOR_GSI; vector <= VECTOR_GSI + GSIS; vector++) {
		rcu_idle_enter(this_cpu());
		waited_for = false;
		irq_handle(vector);
		assert_true(waited_for);
	}
	/* In user mode there is nothing to be said. */
	this_cpu()->current = &other;
	__atomic_add_fetch(&rcu_epoch, 1, __ATOMIC_SEQ_CST);
	this_cpu()->quiescent = 1;
	irq_handle(VECTOR_GSI);
	assert_int_equal(this_cpu()->quiescent, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ioapic_lies),	 cmocka_unit_test(test_ioapic_twice),
		cmocka_unit_test(test_gsi_mode),	 cmocka_unit_test(test_any_vector),
		cmocka_unit_test(test_idle_reads),	 cmocka_unit_test(test_acpi),
		cmocka_unit_test(test_acpi_empty_entry), cmocka_unit_test(test_acpi_at_end),
		cmocka_unit_test(test_acpi_many),	 cmocka_unit_test(test_no_acpi),
		cmocka_unit_test(test_acpi_lies),	 cmocka_unit_test(test_madt_full),
	};

	memory = aligned_alloc(PAGE_SIZE, MEMORY);
	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
