/*
 * What ACPI says of IOMMUs: DMAR and IVRS, good ones and such that lie. A table
 * is as long as it says and no longer, so that the address sanitizer sees who
 * reads on.
 */
#include "hv_fixture.h"

#include <stdlib.h>
#include <string.h>

/* Who waits waits in vain. */
#define __builtin_ia32_pause() ((void)(tsc_now += 1ul << 32))
#include "../../hypervisor/src/x86/iommu.c"

enum {
	STEPS = 30000,
	UNIT = 0xfed90000,
	LACKING = 0xfed91000, /* a unit that cannot be used */
	CAP = 0x8,
	ECAP = 0x10,
	FEATURES = 0x30,
	BRIDGE = 0x00e0, /* 00:1c.0: buses 2 to 4 behind it */
};

static uint8_t bytes[4096];
static uint32_t size;
static const char *name;
static struct acpi_table *table;
static uint64_t registers[2][UNIT_PAGES * PAGE_SIZE / 8];
static uint32_t asked, ioapic_source;

const struct acpi_table *acpi_find(const char signature[4])
{
	return memcmp(signature, name, 4) == 0 ? table : NULL;
}

bool acpi_parse(const struct acpi_table *t, uint32_t first, const struct records *records)
{
	uint32_t left = t && t->length > first ? t->length - first : 0;

	return records_parse((const char *)t + first, left, records) == left;
}

void irq_source(uint8_t id, uint32_t source)
{
	if (id == 2)
		ioapic_source = source;
}

bool irq_sources_known(void)
{
	return true;
}

void *kmem_map(uint64_t phys, enum memory_type type)
{
	assert_int_equal(type, MEMORY_UNCACHED);
	return registers[phys - phys % PAGE_SIZE == LACKING];
}

void hip_add(uint64_t start, uint64_t length, int type)
{
	(void)start, (void)length;
	assert_int_equal(type, HIP_MEM_KERNEL);
}

void fake_out32(uint16_t port, uint32_t value)
{
	assert_int_equal(port, 0xcf8);
	asked = value;
}

uint32_t fake_in32(uint16_t port)
{
	assert_int_equal(port, 0xcfc);
	return asked == (0x80000018u | BRIDGE << 8) ? 0x00040200 : 0;
}

static void put(unsigned n, uint64_t value)
{
	memcpy(bytes + size, &value, n);
	size += n;
}

static void begin(const char *signature)
{
	/* 3 levels, 2 MiB pages; queued invalidation, interrupts; GA. */
	registers[0][CAP / 8] = 2ul << 8 | 1ul << 34 | 6;
	registers[0][ECAP / 8] = 1 | 1 << 1 | 1 << 3;
	registers[0][FEATURES / 8] = 1 << 7;
	name = signature;
	size = 0;
	memset(bytes, 0, sizeof(bytes));
	put(4, 0);
	size = 48;
}

static bool find(const struct iommu_vendor *vendor)
{
	memcpy(bytes, name, 4);
	memcpy(bytes + 4, &size, 4);
	bytes[37] = 1;
	free(table);
	table = malloc(size);
	assert_non_null(table);
	memcpy(table, bytes, size);
	memset(covered, 0, sizeof(covered));
	memset(units, 0, sizeof(units));
	unit_count = 0;
	iommu = (struct iommu){
		.domains = DOMAINS, .max_apic_id = ~0u, .coherent = true, .complete = true};
	ioapic_source = SOURCE_UNKNOWN;
	fixture_init(2048, 1);
	find_units(vendor);
	assert_true(iommu.domains <= DOMAINS);
	return iommu.vendor;
}

static bool is_covered(unsigned rid)
{
	return covered[rid / 8] >> rid % 8 & 1;
}

static void put_unit(uint64_t phys, bool rest, unsigned scopes)
{
	put(4, (uint64_t)(16 + scopes) << 16);
	put(4, rest);
	put(8, phys);
}

static void put_scope(uint64_t type, uint64_t id, uint64_t bus, uint64_t path)
{
	put(4, type | 8 << 8);
	put(2, id | bus << 8);
	put(2, path);
}

static void good_dmar(void)
{
	begin("DMAR");
	put_unit(UNIT, false, 34);
	put_scope(1, 0, 0, 0x0010);	 /* 00:10.0 */
	put_scope(2, 0, 0, BRIDGE >> 3); /* the bridge */
	put_scope(3, 2, 0xff, 0x0101);	 /* IOAPIC 2, ff:01.1 */
	put(4, 1 | 10 << 8);		 /* behind it, 02:03.4 */
	put(2, 0);
	put(4, BRIDGE >> 3 | 0x04030000);
}

static unsigned count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 1 << 16; i++)
		n += is_covered(i);
	return n;
}

static void test_dmar(void **state)
{
	(void)state;
	good_dmar();
	assert_true(find(&vtd));
	assert_true(iommu.complete && iommu.remap_interrupts);
	assert_int_equal(iommu.levels, 3);
	assert_int_equal(ioapic_source, 0xff09);
	assert_true(is_covered(0x80) && is_covered(BRIDGE) && is_covered(0x200) &&
		    is_covered(0x4ff));
	assert_int_equal(count(), 2 + 3 * 256);
	/* The rest of the devices, another segment's unit, RMRR. */
	put_unit(UNIT + 0x10000, true, 0);
	bytes[size - 10] = 1;
	put(8, 1 | 24 << 16);
	put(8, 0x1000);
	put(8, 0x1fff);
	put_unit(UNIT, true, 0);
	assert_true(find(&vtd) && iommu.complete);
	assert_int_equal(count(), 1 << 16);
	assert_false(find(&amdvi));
}

/* A unit that lies, or lacks something, and the others may be used. */
static void test_dmar_wrong(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		good_dmar();
		switch (n) {
		case 0:
			put_unit(LACKING, false, 0);
			break;
		case 1:
			put_unit(UNIT + 8, false, 0);
			break;
		case 2: /* scopes that end behind the unit */
			bytes[48 + 16 + 1] = 200;
			break;
		case 3:
			bytes[48 + 16 + 1] = 0;
			break;
		case 4: /* a unit that ends behind the table */
			put_unit(UNIT, false, 8);
			break;
		case 5:
			put(4, 0);
			break;
		case 6: /* registers that are RAM */
			put_unit(POOL_PHYS, false, 0);
			break;
		case 7: /* where none can be */
			put_unit(fake_physical_end(), false, 0);
			break;
		}
		assert_true(find(&vtd));
		assert_false(iommu.complete);
	}
	begin("DMAR");
	size = 47;
	assert_false(find(&vtd));
}

static void good_ivrs(void)
{
	begin("IVRS");
	put(8, 0x10 | 0x20 << 8 | (24ul + 44) << 16);
	put(8, UNIT);
	put(8, 0);
	put(4, 2 | 0x80 << 8);	 /* 00:10.0 */
	put(4, 3 | 0x200 << 8);	 /* 02:00.0 to */
	put(4, 4 | 0x2ff << 8);	 /* 02:1f.7 */
	put(8, 66 | 0x300 << 8); /* an alias */
	put(8, 72 | 2ul << 32 | 0xa0ul << 40 | 1ul << 56);
	put(8, 240); /* by name, but cut off */
	put(8, 0);
	bytes[size - 16 + 21] = 0;
}

static void test_ivrs(void **state)
{
	(void)state;
	good_ivrs();
	size = 48 + 24 + 28;
	bytes[50] = 24 + 28;
	assert_true(find(&amdvi));
	assert_true(iommu.complete && iommu.remap_interrupts);
	assert_int_equal(ioapic_source, 0xa0);
	assert_int_equal(count(), 2 + 256);
	/* The same unit again, in the long form. */
	put(8, 0x11 | (40ul + 4 + 27) << 16);
	put(8, UNIT);
	for (unsigned i = 0; i < 3; i++)
		put(8, 0);
	put(4, 1);
	put(8, 240);
	put(8, 0);
	put(6, 5ul << 40);
	put(5, 0);
	assert_true(find(&amdvi) && iommu.complete);
	assert_int_equal(count(), 1 << 16);
	assert_false(find(&vtd));
}

static void test_ivrs_wrong(void **state)
{
	(void)state;
	good_ivrs();
	put(4, 0);
	assert_true(find(&amdvi));
	assert_false(iommu.complete);
	/* Another segment's unit, which would leave its devices open. */
	good_ivrs();
	size = 48 + 24 + 28;
	bytes[50] = 24 + 28;
	bytes[48 + 16] = 1;
	assert_true(find(&amdvi));
	assert_false(iommu.complete);
	begin("IVRS");
	put(8, 0x10 | 28ul << 16);
	put(8, LACKING);
	put(8, 0);
	put(4, 1);
	assert_true(find(&amdvi));
	assert_false(iommu.complete);
}

/*
 * All of it is there, and whose is none is shut: devices of other segments, memory that all
 * reach.
 */
static void test_enable(void **state)
{
	enum { RTADDR = 0x20, IRTA = 0xb8, EXCLUSION = 0x20 };

	(void)state;
	good_dmar();
	put_unit(UNIT + 0x10000, true, 0);
	bytes[size - 10] = 1;
	assert_true(find(&vtd) && iommu.complete);
	assert_int_equal(unit_count, 2);
	assert_int_equal(count(), 2 + 3 * 256);
	/* No unit answers here; what it is told first can be seen. */
	for (unsigned i = 0; i < 2; i++) {
		const uint64_t *at;

		memset(&registers[0][RTADDR / 8], 0xff, 8);
		assert_false(vtd.enable(&units[i]));
		at = phys_to_pool(registers[0][RTADDR / 8]);
		assert_int_equal(vtd.device(0x80, 5).at != NULL, true);
		assert_int_equal(at[0] != 0, i == 0);
		assert_int_equal(at != phys_to_pool(registers[0][IRTA / 8] & ~PAGE_MASK), i == 0);
	}
	good_ivrs();
	size = 48 + 24 + 28;
	bytes[50] = 24 + 28;
	assert_true(find(&amdvi) && iommu.complete);
	registers[0][EXCLUSION / 8] = 0x1000 | 3;
	assert_false(amdvi.enable(&units[0]));
	assert_int_equal(registers[0][EXCLUSION / 8], 0);
}

static void test_lies(void **state)
{
	(void)state;
	for (unsigned n = 0; n < STEPS; n++) {
		bool intel = rnd(2);

		if (intel)
			good_dmar();
		else
			good_ivrs();
		for (uint64_t changes = 1 + rnd(4); changes; changes--)
			bytes[48 + rnd(size - 48)] = (uint8_t)(rnd(2) ? rnd(256) : rnd(16));
		if (rnd(4) == 0)
			size = 40 + (uint32_t)rnd(size - 40);
		(void)find(intel ? &vtd : &amdvi);
	}
}

/* An interrupt goes to one CPU, with its vector, from one source (VT-d 9.10, AMD-Vi 2.2.5.2). */
static void test_interrupt(void **state)
{
	enum { GSI = 7, SOURCE = 0x1a2, VECTOR = VECTOR_GSI + GSI };
	const volatile uint64_t *entry;
	struct iommu_entry e;

	(void)state;
	iommu.max_apic_id = 0xff;
	e = vtd.interrupt(GSI, SOURCE, 0x35, true);
	assert_int_equal(e.low, 0x35ul << 40 | VECTOR << 16 | 1 << 4 | 1);
	assert_int_equal(e.high, SOURCE | 1 << 18);
	assert_int_equal(e.message, GSI << 5 | 1 << 4);
	assert_int_equal((uint64_t)e.at % PAGE_SIZE, GSI * 16);
	iommu.max_apic_id = ~0u;
	e = vtd.interrupt(GSI, SOURCE, 0x12345, false);
	assert_int_equal(e.low, 0x12345ul << 32 | VECTOR << 16 | 1);
	e = amdvi.interrupt(GSI, SOURCE, 0x12345678, false);
	assert_int_equal(e.low, 0x34567801);
	assert_int_equal(e.high, 0x12ul << 56 | VECTOR);
	assert_int_equal(e.message, 0);
	assert_int_equal((uint64_t)e.at % PAGE_SIZE, VECTOR * 16);
	/* Its device's table has 256, and nothing else passes. */
	entry = amdvi.device(SOURCE, 1).at;
	assert_int_equal(entry[2] & ~ENTRY_ADDRESS, 2ul << 60 | 8 << 1 | 1);
	assert_int_equal(entry[2] & ENTRY_ADDRESS,
			 ((uint64_t)e.at - POOL_BASE + pool_phys) & ~PAGE_MASK);
	for (unsigned i = 0; i < IOMMU_TABLES; i++)
		assert_ptr_equal(amdvi.interrupt(GSI, SOURCE, 1, false).at, e.at);
	/* VT-d has used one for a bus. */
	for (unsigned i = 1; i < IOMMU_TABLES - 1; i++)
		assert_non_null(amdvi.interrupt(GSI, i, 1, false).at);
	/* Nobody pays for these, so there is an end. */
	assert_null(amdvi.interrupt(GSI, IOMMU_TABLES, 1, false).at);
	assert_non_null(amdvi.interrupt(GSI, 1, 1, false).at);
}

/* A path of one byte, with which the table ends. */
static void test_odd_path(void **state)
{
	(void)state;
	begin("DMAR");
	put_unit(UNIT, false, 9);
	put(8, 1 | 9 << 8 | 0x0010ul << 48);
	put(1, 0);
	assert_true(find(&vtd) && iommu.complete);
	assert_true(is_covered(0x80));
	assert_int_equal(count(), 1);
}

/* Wherever a unit says its faults are: those registers are mapped. Two are told. */
static void test_faults(void **state)
{
	static uint64_t most[UNIT_PAGES * PAGE_SIZE / 8];
	struct iommu_unit u = {.registers = (volatile char *)most};
	enum { PLACES = 256, FIRST = 0x3ff * 2 };

	(void)state;
	most[CAP / 8] = 0x3fful << 24 | (PLACES - 1ul) << 40;
	for (unsigned i = 0; i < PLACES; i++)
		most[FIRST + 2 * i + 1] = 1ul << 63 | 0x80;
	faults_told = 0;
	logged = 0;
	vtd.faults(&u);
	assert_int_equal(faults_told, PLACES);
	assert_int_equal(logged, FAULTS_TOLD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enable), cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_dmar),   cmocka_unit_test(test_dmar_wrong),
		cmocka_unit_test(test_ivrs),   cmocka_unit_test(test_ivrs_wrong),
		cmocka_unit_test(test_lies),   cmocka_unit_test(test_odd_path),
		cmocka_unit_test(test_faults),
	};

	memset(registers[1], 0xff, sizeof(registers[1]));
	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
