/*
 * PCI configuration: the two ports with every size, what is there and what is
 * not, masks, the reset control register; and the PIIX3's interrupt routing.
 */

#include "vmm_fixture.h"

#include "../../vmm/dev/i440fx.h"
#include "../../vmm/dev/pci.h"
#include "../../vmm/dev/piix3.h"

struct rig {
	struct fixture f;
	struct pci pci;
	struct i440fx host;
	struct piix3 isa;
	struct probe probe[16];
	struct irq_line line[16];
};

static void pass(void *chip, unsigned pin, bool level)
{
	struct probe *probe = chip;

	irq_set(&probe[pin].line, level);
}

static void start(struct rig *rig)
{
	fixture_init(&rig->f);
	for (unsigned i = 0; i < 16; i++) {
		probe_init(&rig->probe[i]);
		rig->line[i] = (struct irq_line){
			.to = {{pass, rig->probe, i}},
		};
	}
	pci_init(&rig->pci, &rig->f.power);
	i440fx_init(&rig->host);
	piix3_init(&rig->isa, rig->line);
	assert_true(pci_add(&rig->pci, 0, 0, &rig->host.pci));
	assert_true(pci_add(&rig->pci, 1, 0, &rig->isa.pci));
	assert_int_equal(pci_attach(&rig->pci, &rig->f.ports), BUS_OK);
}

static void select(struct rig *rig, unsigned bus, unsigned device, unsigned function,
		   unsigned offset)
{
	bus_write(&rig->f.ports, 0xcf8, 4,
		  0x80000000u | bus << 16 | device << 11 | function << 8 | (offset & 0xfc));
}

static uint32_t get(struct rig *rig, unsigned device, unsigned offset, unsigned bytes)
{
	select(rig, 0, device, 0, offset);
	return (uint32_t)bus_read(&rig->f.ports, 0xcfc + offset % 4, bytes);
}

static void put(struct rig *rig, unsigned device, unsigned offset, unsigned bytes, uint32_t value)
{
	select(rig, 0, device, 0, offset);
	bus_write(&rig->f.ports, 0xcfc + offset % 4, bytes, value);
}

static void test_mechanism(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	/* Linux' probe for mechanism #1. */
	out8(&rig.f, 0xcfb, 0x01);
	bus_write(&rig.f.ports, 0xcf8, 4, 0x80000000);
	assert_int_equal(bus_read(&rig.f.ports, 0xcf8, 4), 0x80000000);
	assert_int_equal(get(&rig, 0, 0, 4), 0x12378086);
	assert_int_equal(get(&rig, 0, 2, 2), 0x1237);
	assert_int_equal(get(&rig, 0, 3, 1), 0x12);
	assert_int_equal(get(&rig, 0, 10, 2), 0x0600);
	assert_int_equal(get(&rig, 1, 0, 4), 0x70008086);
	assert_int_equal(get(&rig, 1, 14, 1), 0x80);
	/* Bits that are not there; the enable bit. */
	bus_write(&rig.f.ports, 0xcf8, 4, 0xffffffff);
	assert_int_equal(bus_read(&rig.f.ports, 0xcf8, 4), 0x80fffffc);
	bus_write(&rig.f.ports, 0xcf8, 4, 0);
	assert_int_equal(bus_read(&rig.f.ports, 0xcfc, 4), 0xffffffff);
	/* Nobody. */
	assert_int_equal(get(&rig, 2, 0, 4), 0xffffffff);
	select(&rig, 1, 0, 0, 0);
	assert_int_equal(bus_read(&rig.f.ports, 0xcfc, 4), 0xffffffff);
	select(&rig, 0, 1, 5, 0);
	assert_int_equal(bus_read(&rig.f.ports, 0xcfc, 2), 0xffff);
	bus_write(&rig.f.ports, 0xcfc, 4, 0);
	assert_int_equal(rig.f.misses, 0);
}

static void test_add(void **state)
{
	struct pci_function function = {0};
	struct rig rig;

	(void)state;
	start(&rig);
	assert_false(pci_add(&rig.pci, 0, 0, &function));
	assert_false(pci_add(&rig.pci, 32, 0, &function));
	assert_false(pci_add(&rig.pci, 3, 8, &function));
	assert_true(pci_add(&rig.pci, 31, 7, &function));
}

static void test_masks(void **state)
{
	static const struct pci_register registers[] = {
		{0x40, 4, 0x12345678, 0x00ff00ff, 0},
		{0x06, 2, 0xf900, 0, 0xf900},
		{0xff, 1, 0x5a, 0xf0, 0},
	};
	struct pci_function function = {0};

	(void)state;
	pci_function_reset(&function, registers, 3);
	pci_config_write(&function, 0x40, 4, 0xffffffff);
	assert_int_equal(pci_config_read(&function, 0x40, 4), 0x12ff56ff);
	pci_config_write(&function, 0x06, 2, 0x8100);
	assert_int_equal(pci_config_read(&function, 0x06, 2), 0x7800);
	/* Beyond the end nothing is. */
	pci_config_write(&function, 0xff, 4, 0);
	assert_int_equal(pci_config_read(&function, 0xff, 4), 0xffffff0a);
	pci_config_write(&function, 0x1000, 4, 0);
	assert_int_equal(pci_config_read(&function, 0x1000, 2), 0xffff);
}

static void test_reset_control(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	select(&rig, 0, 1, 0, 0);
	out8(&rig.f, 0xcf9, 0x02);
	assert_int_equal(in8(&rig.f, 0xcf9), 0x02);
	assert_int_equal(rig.f.resets, 0);
	out8(&rig.f, 0xcf9, 0x06);
	assert_int_equal(rig.f.resets, 1);
	out8(&rig.f, 0xcf9, 0x06);
	assert_int_equal(rig.f.resets, 1);
	out8(&rig.f, 0xcf8, 0x06);
	out8(&rig.f, 0xcfa, 0x06);
	assert_int_equal(rig.f.resets, 1);
	/* CONFIG_ADDRESS is not touched, nor does a whole write reset. */
	assert_int_equal(bus_read(&rig.f.ports, 0xcfc, 4), 0x70008086);
	pci_reset(&rig.pci);
	select(&rig, 0, 0, 4, 0);
	assert_int_equal(rig.f.resets, 1);
	/* FADT's way: one write. */
	out8(&rig.f, 0xcf9, 0x0e);
	assert_int_equal(rig.f.resets, 2);
}

static void test_pirq(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	/* Device 3's INTA is PIRQC: nowhere, then 11, then 10. */
	put(&rig, 1, 0x60, 4, 0x80808080);
	piix3_intx_set(&rig.isa, 3 * 4, true);
	put(&rig, 1, 0x62, 1, 11);
	assert_true(rig.probe[11].level);
	put(&rig, 1, 0x60, 4, 0x0a0a0a0a);
	assert_false(rig.probe[11].level);
	assert_true(rig.probe[10].level);
	/* Shared: down when both are. */
	piix3_intx_set(&rig.isa, 2 * 4 + 1, true);
	piix3_intx_set(&rig.isa, 4 * 4 + 2, true);
	piix3_intx_set(&rig.isa, 3 * 4, false);
	piix3_intx_set(&rig.isa, 2 * 4 + 1, false);
	assert_true(rig.probe[10].level);
	assert_int_equal(rig.probe[10].edges, 1);
	piix3_intx_set(&rig.isa, 4 * 4 + 2, false);
	assert_false(rig.probe[10].level);
	/* Interrupts that are not PCI's are refused. */
	piix3_intx_set(&rig.isa, 1 * 4, true);
	put(&rig, 1, 0x60, 1, 8);
	put(&rig, 1, 0x60, 1, 0);
	for (unsigned i = 0; i < 16; i++)
		assert_false(rig.probe[i].level);
	put(&rig, 1, 0x60, 1, 5);
	assert_true(rig.probe[5].level);
	piix3_reset(&rig.isa);
	assert_false(rig.probe[5].level);
	assert_true(rig.probe[10].level);
	assert_int_equal(get(&rig, 1, 0x60, 4), 0x0b0b0a0a);
}

static void test_random(void **state)
{
	uint32_t seed = 51;
	struct rig rig;

	(void)state;
	start(&rig);
	for (unsigned i = 0; i < 200000; i++) {
		uint32_t r = random32(&seed);
		unsigned bytes = 1u << (r >> 4) % 3;

		if (r & 1) {
			bus_write(&rig.f.ports, 0xcf8 + (r >> 1 & 7), bytes,
				  random32(&seed) & 0x8000ffff);
		} else {
			bus_read(&rig.f.ports, 0xcf8 + (r >> 1 & 7), bytes);
		}
		piix3_intx_set(&rig.isa, r >> 8 & 0xff, r >> 16 & 1);
	}
	assert_int_equal(get(&rig, 0, 0, 4), 0x12378086);
	assert_int_equal(get(&rig, 1, 0, 4), 0x70008086);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mechanism), cmocka_unit_test(test_add),
		cmocka_unit_test(test_masks),	  cmocka_unit_test(test_reset_control),
		cmocka_unit_test(test_pirq),	  cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("vmm pci", tests, NULL, NULL);
}
