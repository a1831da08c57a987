/*
 * ACPI: the PM1 registers, timer, power button, soft-off, SMI command, where
 * the registers are; and the tables: signatures, lengths, checksums, that the
 * lists lead to them, and that FADT says what the devices do.
 */

#include "vmm_fixture.h"

#include "../../vmm/dev/acpi_pm.h"
#include "../../vmm/dev/acpi_tables.h"

enum { PM = ACPI_PM_BASE, GPA = 0xe0000, AREA = 0x4000 };

struct rig {
	struct fixture f;
	struct acpi_pm pm;
};

static void start(struct rig *rig)
{
	fixture_init(&rig->f);
	acpi_pm_init(&rig->pm, &rig->f.timers, &rig->f.irq.line, &rig->f.power);
	assert_int_equal(acpi_pm_attach(&rig->pm, &rig->f.ports), BUS_OK);
}

static uint32_t get(struct rig *rig, unsigned reg, unsigned bytes)
{
	return (uint32_t)bus_read(&rig->f.ports, PM + reg, bytes);
}

static void put(struct rig *rig, unsigned reg, unsigned bytes, uint32_t value)
{
	bus_write(&rig->f.ports, PM + reg, bytes, value);
}

static void test_off(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	put(&rig, 4, 2, 1 << 13 | 5 << 10); /* no such state */
	put(&rig, 4, 2, 0x0001);
	assert_int_equal(rig.f.offs, 0);
	put(&rig, 4, 2, 0x2001);
	assert_int_equal(rig.f.offs, 1);
	assert_int_equal(get(&rig, 4, 2), 0x0001); /* SLP_EN reads as 0 */
	put(&rig, 5, 1, 0x20);			   /* a byte of it */
	assert_int_equal(rig.f.offs, 2);
	assert_int_equal(get(&rig, 4, 2), 0x0001);
}

static void test_enable(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	assert_int_equal(get(&rig, 4, 2) & 1, 0);
	put(&rig, 4, 2, 0x1402);
	out8(&rig.f, 0xb2, 0xf1);
	assert_int_equal(get(&rig, 4, 2), 0x1403);
	out8(&rig.f, 0xb3, 0xf0);
	assert_int_equal(get(&rig, 4, 2) & 1, 1);
	out8(&rig.f, 0xb2, 0xf0);
	assert_int_equal(get(&rig, 4, 2) & 1, 0);
	assert_int_equal(in8(&rig.f, 0xb2), 0xf0);
}

static void test_power_button(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	put(&rig, 2, 2, 0x0100);
	acpi_pm_power_button(&rig.pm);
	assert_false(rig.f.irq.level); /* not in ACPI mode */
	assert_int_equal(get(&rig, 0, 2), 0x0100);
	out8(&rig.f, 0xb2, 0xf1);
	assert_true(rig.f.irq.level);
	put(&rig, 0, 1, 0xff); /* the other byte */
	assert_true(rig.f.irq.level);
	put(&rig, 1, 2, 0x2001); /* also the enable's low byte */
	assert_false(rig.f.irq.level);
	assert_int_equal(get(&rig, 2, 2), 0x0120);
	put(&rig, 2, 2, 0x0100);
	assert_int_equal(get(&rig, 0, 4), 0x01000000);
}

static void test_timer(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	for (unsigned i = 0; i < 1000; i++) {
		unsigned __int128 t = (unsigned __int128)rig.f.now * ACPI_PM_HZ / FIXTURE_HZ;

		assert_int_equal(get(&rig, 8, 4), (uint32_t)t & 0xffffff);
		assert_int_equal(get(&rig, 8, 2), (uint16_t)t);
		assert_int_equal(get(&rig, 10, 1), (uint8_t)(t >> 16));
		assert_int_equal(get(&rig, 11, 1), 0);
		fixture_advance(&rig.f, 12345678);
	}
	put(&rig, 8, 4, 0);
	assert_int_not_equal(get(&rig, 8, 4), 0);
}

/* TMR_STS: each time that bit 23 changes, 2^23 / 3579545 s. */
static void test_timer_status(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	fixture_advance(&rig.f, 2343 * MS);
	assert_int_equal(get(&rig, 0, 2), 0);
	fixture_advance(&rig.f, MS);
	assert_int_equal(get(&rig, 0, 2), 1);
	put(&rig, 0, 2, 1);
	assert_int_equal(get(&rig, 0, 2), 0);
	put(&rig, 2, 2, 1);
	put(&rig, 4, 2, 1);
	for (unsigned i = 1; i < 10; i++) {
		fixture_advance(&rig.f, 2344 * MS);
		assert_int_equal(rig.f.irq.edges, i);
		put(&rig, 0, 2, 1);
		assert_false(rig.f.irq.level);
	}
	fixture_advance(&rig.f, 100 * SECOND);
	assert_int_equal(rig.f.irq.edges, 10);
	acpi_pm_reset(&rig.pm);
	assert_false(rig.f.irq.level);
}

/* PMBA and its enable bit move the registers; never over another's. */
static void test_move(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	put(&rig, 2, 2, 0x0100);
	assert_int_equal(pci_config_read(&rig.pm.pci, 0x40, 4), 0x601);
	pci_config_write(&rig.pm.pci, 0x40, 4, 0xb000);
	assert_int_equal(bus_read(&rig.f.ports, 0x602, 2), 0xffff);
	assert_int_equal(bus_read(&rig.f.ports, 0xb002, 2), 0x0100);
	pci_config_write(&rig.pm.pci, 0x80, 1, 0);
	assert_int_equal(bus_read(&rig.f.ports, 0xb002, 2), 0xffff);
	pci_config_write(&rig.pm.pci, 0x40, 4, 0x80); /* has 0xb2 in it */
	pci_config_write(&rig.pm.pci, 0x80, 1, 1);
	assert_int_equal(in8(&rig.f, 0xb2), 0);
	assert_int_equal(bus_read(&rig.f.ports, 0x82, 2), 0xffff);
	pci_config_write(&rig.pm.pci, 0x40, 4, 0xffff);
	assert_int_equal(bus_read(&rig.f.ports, 0xffc2, 2), 0x0100);
	acpi_pm_reset(&rig.pm);
	assert_int_equal(get(&rig, 2, 2), 0);
	assert_int_equal(bus_read(&rig.f.ports, 0xffc2, 2), 0xffff);
}

static void test_random(void **state)
{
	uint32_t seed = 61;
	struct rig rig;

	(void)state;
	start(&rig);
	for (unsigned i = 0; i < 200000; i++) {
		uint32_t r = random32(&seed);
		unsigned bytes = 1u << (r >> 8) % 3;

		switch (r % 4) {
		case 0:
			put(&rig, r >> 16 & 0x3f, bytes, random32(&seed));
			break;
		case 1:
			get(&rig, r >> 16 & 0x3f, bytes);
			break;
		case 2:
			if (r % 64 == 2)
				pci_config_write(&rig.pm.pci, r >> 16, bytes, random32(&seed));
			break;
		default:
			fixture_advance(&rig.f, r >> 4);
			break;
		}
	}
	assert_int_equal(rig.f.resets, 0);
}

/* Tables. */

static uint32_t u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return value;
}

static void expect_sum(const uint8_t *at, size_t count)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum = (uint8_t)(sum + at[i]);
	assert_int_equal(sum, 0);
}

static const uint8_t *table(const uint8_t *area, uint32_t gpa, const char *name)
{
	const uint8_t *at = area + (gpa - GPA);

	assert_in_range(gpa, GPA, GPA + AREA - 36);
	assert_memory_equal(at, name, 4);
	assert_in_range(u32(at + 4), 36, AREA);
	if (strcmp(name, "FACS") != 0) {
		expect_sum(at, u32(at + 4));
	} else {
		assert_int_equal(gpa % 64, 0);
		assert_int_equal(u32(at + 4), 64);
	}
	return at;
}

static size_t build(unsigned cpus, uint8_t *area, size_t size)
{
	static uint8_t dsdt[36] = "DSDT\x24";
	struct acpi_config config = {
		.cpus = cpus,
		.ioapic_id = 7,
		.dsdt = dsdt,
		.dsdt_size = sizeof(dsdt),
	};
	uint8_t sum = 0;

	dsdt[9] = 0;
	for (unsigned i = 0; i < sizeof(dsdt); i++)
		sum = (uint8_t)(sum + dsdt[i]);
	dsdt[9] = (uint8_t)-sum;
	memset(area, 0xcc, size);
	return acpi_tables_build(&config, area, size, GPA);
}

static void test_tables(void **state)
{
	static uint8_t area[AREA];
	const uint8_t *rsdt, *xsdt, *fadt;
	static const char *const names[] = {"FACP", "APIC", "WAET"};

	(void)state;
	assert_in_range(build(2, area, AREA), 500, AREA);
	assert_memory_equal(area, "RSD PTR ", 8);
	assert_int_equal(area[15], 2);
	assert_int_equal(u32(area + 20), 36);
	expect_sum(area, 20);
	expect_sum(area, 36);
	rsdt = table(area, u32(area + 16), "RSDT");
	xsdt = table(area, u32(area + 24), "XSDT");
	assert_int_equal(u32(rsdt + 4), 36 + 3 * 4);
	assert_int_equal(u32(xsdt + 4), 36 + 3 * 8);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t gpa = u32(rsdt + 36 + 4 * i);

		table(area, gpa, names[i]);
		assert_int_equal(u32(xsdt + 36 + 8 * i), gpa);
		assert_int_equal(u32(xsdt + 40 + 8 * i), 0);
	}
	fadt = table(area, u32(rsdt + 36), "FACP");
	table(area, u32(fadt + 36), "FACS");
	table(area, u32(fadt + 40), "DSDT");
	assert_int_equal(u32(fadt + 40), u32(fadt + 140));
}

/* What FADT says works: switch on, read the timer, switch off. */
static void test_fadt(void **state)
{
	static uint8_t area[AREA];
	const uint8_t *rsdt, *fadt;
	struct rig rig;

	(void)state;
	start(&rig);
	assert_int_not_equal(build(1, area, AREA), 0);
	rsdt = area + (u32(area + 16) - GPA);
	fadt = area + (u32(rsdt + 36) - GPA);
	assert_int_equal(u32(fadt + 4), 268);
	assert_int_equal(fadt[8], 5);
	bus_write(&rig.f.ports, u32(fadt + 48), 1, fadt[52]);
	assert_int_equal(bus_read(&rig.f.ports, u32(fadt + 64), 2) & 1, 1);
	assert_int_equal(bus_read(&rig.f.ports, u32(fadt + 76), 4), get(&rig, 8, 4));
	bus_write(&rig.f.ports, u32(fadt + 64), 2, 1 << 13);
	assert_int_equal(rig.f.offs, 1);
	/* The 64-bit forms name the same. */
	assert_int_equal(u32(fadt + 152), u32(fadt + 56));
	assert_int_equal(u32(fadt + 176), u32(fadt + 64));
	assert_int_equal(u32(fadt + 212), u32(fadt + 76));
	assert_int_equal(u32(fadt + 148), 0x02002001);
	assert_int_equal(u32(fadt + 172), 0x02001001);
	assert_int_equal(u32(fadt + 208), 0x03002001);
	assert_int_equal(u32(fadt + 116), 0x01000801);
	assert_int_equal(u32(fadt + 120), 0xcf9);
}

/* MADT: entries fill it exactly; as many CPUs as asked for. */
static void test_madt(void **state)
{
	static uint8_t area[AREA];

	(void)state;
	for (unsigned cpus = 1; cpus <= 255; cpus += 127) {
		unsigned count[16] = {0};
		const uint8_t *rsdt, *madt;

		assert_int_not_equal(build(cpus, area, AREA), 0);
		rsdt = area + (u32(area + 16) - GPA);
		madt = area + (u32(rsdt + 40) - GPA);
		uint32_t at = 44;

		for (; at < u32(madt + 4); at += madt[at + 1]) {
			assert_in_range(madt[at], 0, 15);
			assert_in_range(madt[at + 1], 6, 12);
			if (madt[at] == 0) {
				assert_int_equal(madt[at + 3], count[0]);
			} else if (madt[at] == 1) {
				assert_int_equal(madt[at + 2], 7);
				assert_int_equal(u32(madt + at + 4), 0xfec00000);
			} else if (madt[at] == 2 && madt[at + 3] == 0) {
				assert_int_equal(u32(madt + at + 4), 2);
			} else if (madt[at] == 2) {
				assert_int_equal(madt[at + 8], 0xd);
			}
			count[madt[at]]++;
		}
		assert_int_equal(at, u32(madt + 4));
		assert_int_equal(count[0], cpus);
		assert_int_equal(count[1], 1);
		assert_int_equal(count[2], 5);
		assert_int_equal(count[4], 1);
	}
}

static void test_no_room(void **state)
{
	static uint8_t area[AREA];
	size_t used = build(4, area, AREA);

	(void)state;
	for (size_t size = 0; size < used; size++)
		assert_int_equal(build(4, area, size), 0);
	assert_int_equal(build(4, area, used), used);
	assert_int_equal(build(0, area, AREA), 0);
	assert_int_equal(build(256, area, AREA), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),	     cmocka_unit_test(test_enable),
		cmocka_unit_test(test_power_button), cmocka_unit_test(test_timer),
		cmocka_unit_test(test_timer_status), cmocka_unit_test(test_move),
		cmocka_unit_test(test_random),	     cmocka_unit_test(test_tables),
		cmocka_unit_test(test_fadt),	     cmocka_unit_test(test_madt),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests_name("vmm acpi", tests, NULL, NULL);
}
