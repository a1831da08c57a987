/*
 * The local APIC's messages: IPIs with every way to name a target, and what
 * comes in by its LINT pins.
 */
#include "vmm_apics.h"

static void expect_vectors(struct rig *rig, unsigned mask, uint8_t vector)
{
	for (unsigned i = 0; i < CPUS; i++) {
		struct lapic *lapic = &rig->cpu[i].lapic;

		assert_int_equal(lapic_pending(lapic), mask & 1u << i ? vector : -1);
		if (mask & 1u << i) {
			lapic_accept(lapic, vector);
			if (lapic_mapped(lapic, 0xfee00000))
				lapic_mmio_write(lapic, 0xb0, 4, 0);
			else
				wrmsr(lapic, 0x80b, 0);
		}
	}
}

static void xapic_send(struct lapic *from, uint8_t to, uint32_t icr)
{
	lapic_mmio_write(from, 0x310, 4, (uint32_t)to << 24);
	lapic_mmio_write(from, 0x300, 4, icr);
	assert_int_equal(mmio(from, 0x300), icr);
	assert_int_equal(mmio(from, 0x310), (uint32_t)to << 24);
}

static void test_xapic_ipi(void **state)
{
	struct rig *rig = apics_start_xapic();
	struct lapic *from = &rig->cpu[1].lapic;

	(void)state;
	xapic_send(from, 2, 0x00041);
	expect_vectors(rig, 1 << 2, 0x41);
	xapic_send(from, 0xff, 0x00041);
	expect_vectors(rig, 0xf, 0x41);
	xapic_send(from, 9, 0x00041);
	expect_vectors(rig, 0, 0x41);
	xapic_send(from, 0x0c, 0x00841); /* logical, flat */
	expect_vectors(rig, 0xc, 0x41);
	xapic_send(from, 0, 0x40041);
	expect_vectors(rig, 1 << 1, 0x41);
	xapic_send(from, 0, 0x80041);
	expect_vectors(rig, 0xf, 0x41);
	xapic_send(from, 0, 0xc0041);
	expect_vectors(rig, 0xd, 0x41);
	/* Logical, cluster: two clusters of two. */
	for (unsigned i = 0; i < CPUS; i++) {
		struct lapic *lapic = &rig->cpu[i].lapic;

		lapic_mmio_write(lapic, 0xe0, 4, 0x0fffffff);
		lapic_mmio_write(lapic, 0xd0, 4, (i / 2 << 4 | 1u << i % 2) << 24);
	}
	xapic_send(from, 0x13, 0x00841);
	expect_vectors(rig, 0xc, 0x41);
	xapic_send(from, 0x02, 0x00841);
	expect_vectors(rig, 0x2, 0x41);
	xapic_send(from, 0xff, 0x00841);
	expect_vectors(rig, 0xf, 0x41);
}

static void test_x2apic_ipi(void **state)
{
	struct rig *rig = apics_start_x2apic();
	struct lapic *from = &rig->cpu[1].lapic;

	(void)state;
	wrmsr(from, 0x830, 2ull << 32 | 0x41);
	expect_vectors(rig, 1 << 2, 0x41);
	wrmsr(from, 0x830, 0xffull << 32 | 0x41); /* only CPU 255 */
	expect_vectors(rig, 0, 0x41);
	wrmsr(from, 0x830, 0xffffffffull << 32 | 0x41);
	expect_vectors(rig, 0xf, 0x41);
	wrmsr(from, 0x830, 0x0009ull << 32 | 0x841);
	expect_vectors(rig, 0x9, 0x41);
	wrmsr(from, 0x830, 0x10009ull << 32 | 0x841);
	expect_vectors(rig, 0, 0x41);
	wrmsr(from, 0x830, 0xc0041);
	expect_vectors(rig, 0xd, 0x41);
	/* An 8-bit message: from the IOAPIC or MSI. */
	assert_true(msi_send(&rig->fabric, 0xfee03000, 0x41));
	expect_vectors(rig, 1 << 3, 0x41);
	assert_true(msi_send(&rig->fabric, 0xfeeff000, 0x41));
	expect_vectors(rig, 0xf, 0x41);
	assert_false(msi_send(&rig->fabric, 0xfee55000, 0x41));
}

/* Lowest priority: the one that is least busy, else in turns. */
static void test_lowest(void **state)
{
	struct rig *rig = apics_start_x2apic();
	struct apic_message message = {
		.destination = 0xf,
		.logical = true,
		.vector = 0x41,
		.mode = APIC_LOWEST,
	};
	unsigned got[CPUS] = {0};

	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		assert_true(apic_send(&rig->fabric, &message));
		for (unsigned i = 0; i < CPUS; i++) {
			struct lapic *lapic = &rig->cpu[i].lapic;

			if (lapic_pending(lapic) >= 0) {
				got[i]++;
				lapic_accept(lapic, 0x41);
				wrmsr(lapic, 0x80b, 0);
			}
		}
	}
	for (unsigned i = 0; i < CPUS; i++) {
		assert_int_equal(got[i], 2);
		wrmsr(&rig->cpu[i].lapic, 0x808, i == 2 ? 0x10 : 0x20);
	}
	assert_true(apic_send(&rig->fabric, &message));
	expect_vectors(rig, 1 << 2, 0x41);
}

static void test_init_sipi_nmi(void **state)
{
	struct rig *rig = apics_start_x2apic();
	struct lapic *bsp = &rig->cpu[0].lapic;
	struct cpu *ap = &rig->cpu[3];

	(void)state;
	self_ipi(&ap->lapic, 0x99);
	wrmsr(bsp, 0x830, 3ull << 32 | 0xc500);
	assert_int_equal(ap->inits, 1);
	assert_int_equal(lapic_pending(&ap->lapic), -1);
	assert_int_equal(rdmsr(&ap->lapic, 0x80f), 0xff);
	assert_int_equal(rdmsr(&ap->lapic, 0x802), 3);
	wrmsr(bsp, 0x830, 3ull << 32 | 0x8500); /* de-assert: nothing */
	assert_int_equal(ap->inits, 1);
	wrmsr(bsp, 0x830, 3ull << 32 | 0x4608);
	assert_int_equal(ap->startups, 1);
	assert_int_equal(ap->startup_vector, 0x08);

	/* NMI does not ask whether software has enabled it. */
	wrmsr(bsp, 0x830, 3ull << 32 | 0x4400);
	assert_true(lapic_nmi_pending(&ap->lapic));
	assert_true(lapic_nmi_take(&ap->lapic));
	assert_false(lapic_nmi_take(&ap->lapic));
	/* SMI and what is reserved are nobody's. */
	wrmsr(bsp, 0x830, 3ull << 32 | 0x4200);
	wrmsr(bsp, 0x830, 3ull << 32 | 0x4300);
	wrmsr(bsp, 0x830, 3ull << 32 | 0x4741);
	assert_int_equal(lapic_pending(&ap->lapic), -1);
	wrmsr(bsp, 0x830, 0xc4500); /* INIT to all others */
	assert_int_equal(ap->inits, 2);
	assert_int_equal(rig->cpu[0].inits, 0);
}

static void test_lint(void **state)
{
	struct rig *rig = apics_start_x2apic();
	struct cpu *cpu = &rig->cpu[0];
	struct lapic *lapic = &cpu->lapic;

	(void)state;
	/* Masked: not let through; unmasked while high: it is. */
	lapic_lint_set(lapic, 0, true);
	assert_false(lapic_extint(lapic));
	wrmsr(lapic, 0x835, 0x700);
	assert_true(lapic_extint(lapic));
	lapic_lint_set(lapic, 0, false);
	assert_false(lapic_extint(lapic));
	assert_int_equal(cpu->kicks, 0);
	lapic_lint_set(lapic, 0, true);
	assert_int_equal(cpu->kicks, 1);
	/* TPR does not hold it. */
	wrmsr(lapic, 0x808, 0xff);
	assert_true(lapic_extint(lapic));
	wrmsr(lapic, 0x808, 0);
	/* Fixed: a vector for an edge. */
	lapic_lint_set(lapic, 0, false);
	wrmsr(lapic, 0x835, 0x42);
	lapic_lint_set(lapic, 0, true);
	assert_int_equal(lapic_pending(lapic), 0x42);
	assert_false(lapic_extint(lapic));
	/* LINT1 as NMI. */
	lapic_lint_set(lapic, 1, true);
	assert_false(lapic_nmi_take(lapic));
	lapic_lint_set(lapic, 1, false);
	wrmsr(lapic, 0x836, 0x400);
	lapic_lint_set(lapic, 1, true);
	assert_true(lapic_nmi_take(lapic));
	lapic_lint_set(lapic, 7, true);
	/* Disabled altogether, the pin is INTR; or as a firmware leaves it. */
	wrmsr(lapic, 0x1b, 0xfee00100);
	assert_true(lapic_extint(lapic));
	wrmsr(lapic, 0x1b, 0xfee00900);
	assert_false(lapic_extint(lapic));
	lapic_virtual_wire(lapic);
	assert_true(lapic_extint(lapic));
	assert_int_equal(mmio(lapic, 0xf0), 0x1ff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xapic_ipi), cmocka_unit_test(test_x2apic_ipi),
		cmocka_unit_test(test_lowest),	  cmocka_unit_test(test_init_sipi_nmi),
		cmocka_unit_test(test_lint),
	};

	return cmocka_run_group_tests_name("vmm lapic_message", tests, NULL, NULL);
}
