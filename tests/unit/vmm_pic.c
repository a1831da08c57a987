/*
 * The 8259A pair: initialisation, priorities, edges and levels, end of
 * interrupt in all its forms, rotation, special mask, automatic EOI, polling,
 * spurious interrupts, ELCR; and random accesses, whose only demand is that
 * INTR always says what an acknowledge would find.
 */

#include "vmm_fixture.h"

#include "../../vmm/dev/pic.h"

struct rig {
	struct fixture f;
	struct pic pic;
};

/* Initialised as Linux does: vectors 0x30 and 0x38, all unmasked. */
static void start(struct rig *rig, uint8_t icw4)
{
	static const uint16_t port[] = {0x20, 0xa0};

	fixture_init(&rig->f);
	pic_init(&rig->pic, &rig->f.irq.line);
	assert_int_equal(pic_attach(&rig->pic, &rig->f.ports), BUS_OK);
	for (unsigned i = 0; i < 2; i++) {
		out8(&rig->f, port[i], 0x11);
		out8(&rig->f, port[i] + 1, (uint8_t)(0x30 + 8 * i));
		out8(&rig->f, port[i] + 1, i == 0 ? 4 : 2);
		out8(&rig->f, port[i] + 1, icw4);
		out8(&rig->f, port[i] + 1, 0);
	}
}

static uint8_t isr(struct rig *rig, uint16_t port)
{
	out8(&rig->f, port, 0x0b);
	return in8(&rig->f, port);
}

static uint8_t irr(struct rig *rig, uint16_t port)
{
	out8(&rig->f, port, 0x0a);
	return in8(&rig->f, port);
}

static void test_reset_is_masked(void **state)
{
	struct rig rig;

	(void)state;
	fixture_init(&rig.f);
	pic_init(&rig.pic, &rig.f.irq.line);
	for (unsigned pin = 0; pin < 20; pin++)
		pic_set(&rig.pic, pin, true);
	assert_false(pic_pending(&rig.pic));
	assert_false(rig.f.irq.level);
}

static void test_edge(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 1);
	pic_set(&rig.pic, 4, true);
	assert_true(rig.f.irq.level);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x34);
	assert_false(rig.f.irq.level);
	assert_int_equal(isr(&rig, 0x20), 0x10);
	out8(&rig.f, 0x20, 0x20);
	/* The line is still high: no second one without an edge. */
	assert_int_equal(isr(&rig, 0x20), 0);
	assert_false(rig.f.irq.level);
	pic_set(&rig.pic, 4, false);
	pic_set(&rig.pic, 4, true);
	assert_true(rig.f.irq.level);
	/* Another line's edge leaves this one high: again no second one. */
	assert_int_equal(pic_acknowledge(&rig.pic), 0x34);
	out8(&rig.f, 0x20, 0x20);
	pic_set(&rig.pic, 3, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x33);
	out8(&rig.f, 0x20, 0x20);
	pic_set(&rig.pic, 4, true);
	assert_false(rig.f.irq.level);
}

/* A line that falls before the acknowledge: spurious vector 7, no ISR. */
static void test_spurious(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 1);
	pic_set(&rig.pic, 3, true);
	pic_set(&rig.pic, 3, false);
	assert_false(pic_pending(&rig.pic));
	assert_int_equal(pic_acknowledge(&rig.pic), 0x37);
	assert_int_equal(isr(&rig, 0x20), 0);
}

static void test_level(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 1);
	out8(&rig.f, 0x4d0, 0xff);
	out8(&rig.f, 0x4d1, 0xff);
	assert_int_equal(in8(&rig.f, 0x4d0), 0xf8);
	assert_int_equal(in8(&rig.f, 0x4d1), 0xde);

	pic_set(&rig.pic, 10, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x3a);
	assert_false(rig.f.irq.level);
	out8(&rig.f, 0xa0, 0x20);
	out8(&rig.f, 0x20, 0x20);
	/* Still high: again. */
	assert_true(rig.f.irq.level);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x3a);
	pic_set(&rig.pic, 10, false);
	out8(&rig.f, 0xa0, 0x20);
	out8(&rig.f, 0x20, 0x20);
	assert_false(rig.f.irq.level);
}

/* A line that was high becomes one that is level-triggered. */
static void test_level_later(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 1);
	pic_set(&rig.pic, 5, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x35);
	out8(&rig.f, 0x20, 0x20);
	assert_false(rig.f.irq.level);
	pic_set(&rig.pic, 3, true);
	out8(&rig.f, 0x4d0, 0x20);
	assert_int_equal(irr(&rig, 0x20), 0x28);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x33);
	out8(&rig.f, 0x20, 0x20);
	assert_true(rig.f.irq.level);
}

static void test_priority(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 1);
	pic_set(&rig.pic, 6, true);
	pic_set(&rig.pic, 1, true);
	pic_set(&rig.pic, 12, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x31);
	/* 12 comes by input 2: it waits for 1. */
	assert_false(rig.f.irq.level);
	/* 0 does not wait. */
	pic_set(&rig.pic, 0, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x30);
	assert_int_equal(isr(&rig, 0x20), 3);
	out8(&rig.f, 0x20, 0x20);
	assert_int_equal(isr(&rig, 0x20), 2);
	out8(&rig.f, 0x20, 0x20);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x3c);
	assert_int_equal(isr(&rig, 0x20), 4);
	assert_int_equal(isr(&rig, 0xa0), 0x10);
	out8(&rig.f, 0xa0, 0x64); /* specific: 12 */
	out8(&rig.f, 0x20, 0x62); /* specific: cascade */
	assert_int_equal(pic_acknowledge(&rig.pic), 0x36);
}

static void test_mask(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 1);
	out8(&rig.f, 0x21, 0x08);
	assert_int_equal(in8(&rig.f, 0x21), 0x08);
	pic_set(&rig.pic, 3, true);
	assert_false(rig.f.irq.level);
	assert_int_equal(irr(&rig, 0x20), 8);
	out8(&rig.f, 0x21, 0);
	assert_true(rig.f.irq.level);
	/* Masking the cascade masks the slave. */
	assert_int_equal(pic_acknowledge(&rig.pic), 0x33);
	out8(&rig.f, 0x20, 0x20);
	out8(&rig.f, 0x21, 0x04);
	pic_set(&rig.pic, 8, true);
	assert_false(rig.f.irq.level);
	out8(&rig.f, 0x21, 0);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x38);
}

/* A second request of the slave, above the one in service. */
static void test_nested_slave(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 1);
	pic_set(&rig.pic, 12, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x3c);
	pic_set(&rig.pic, 8, true);
	assert_false(rig.f.irq.level); /* cascade is in service */

	start(&rig, 0x11); /* special fully nested */
	pic_set(&rig.pic, 12, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x3c);
	pic_set(&rig.pic, 8, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x38);
}

static void test_auto_eoi(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 3);
	pic_set(&rig.pic, 2 + 7, true);
	pic_set(&rig.pic, 3, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x39);
	assert_int_equal(isr(&rig, 0x20) | isr(&rig, 0xa0), 0);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x33);
	assert_false(rig.f.irq.level);
	/* Rotating: 3 has become the lowest. */
	out8(&rig.f, 0x20, 0x80);
	pic_set(&rig.pic, 3, false);
	pic_set(&rig.pic, 3, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x33);
	pic_set(&rig.pic, 3, false);
	pic_set(&rig.pic, 3, true);
	pic_set(&rig.pic, 4, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x34);
	out8(&rig.f, 0x20, 0x00);
}

static void test_rotation(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 1);
	out8(&rig.f, 0x20, 0xc4); /* set priority: 4 is the lowest */
	pic_set(&rig.pic, 1, true);
	pic_set(&rig.pic, 5, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x35);
	out8(&rig.f, 0x20, 0xa0); /* rotate on non-specific EOI */
	pic_set(&rig.pic, 5, false);
	pic_set(&rig.pic, 5, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x31);
	out8(&rig.f, 0x20, 0xe1); /* rotate on specific EOI */
	assert_int_equal(isr(&rig, 0x20), 0);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x35);
	out8(&rig.f, 0x20, 0x40); /* no operation */
	assert_int_equal(isr(&rig, 0x20), 0x20);
}

static void test_special_mask(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 1);
	pic_set(&rig.pic, 1, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x31);
	pic_set(&rig.pic, 6, true);
	assert_false(rig.f.irq.level);
	out8(&rig.f, 0x21, 0x02);
	assert_false(rig.f.irq.level);
	out8(&rig.f, 0x20, 0x68);
	assert_true(rig.f.irq.level);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x36);
	/* The non-specific EOI passes over what is masked. */
	out8(&rig.f, 0x20, 0x20);
	assert_int_equal(isr(&rig, 0x20), 0x02);
	out8(&rig.f, 0x20, 0x48);
	out8(&rig.f, 0x20, 0x20);
	assert_int_equal(isr(&rig, 0x20), 0);
}

static void test_poll(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 1);
	out8(&rig.f, 0x20, 0x0c);
	assert_int_equal(in8(&rig.f, 0x20), 0);
	pic_set(&rig.pic, 9, true);
	out8(&rig.f, 0x20, 0x0c);
	assert_int_equal(in8(&rig.f, 0x20), 0x82);
	out8(&rig.f, 0xa0, 0x0c);
	assert_int_equal(in8(&rig.f, 0xa0), 0x81);
	assert_int_equal(isr(&rig, 0x20), 4);
	assert_int_equal(isr(&rig, 0xa0), 2);
	assert_false(rig.f.irq.level);
}

/* ICW1 forgets requests and modes; without ICW4 the next byte is the mask. */
static void test_init(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig, 3);
	pic_set(&rig.pic, 3, true);
	out8(&rig.f, 0x20, 0x10);
	assert_false(rig.f.irq.level);
	out8(&rig.f, 0x21, 0x47); /* low bits are not the base's */
	out8(&rig.f, 0x21, 0x04);
	out8(&rig.f, 0x21, 0xa5);
	assert_int_equal(in8(&rig.f, 0x21), 0xa5);
	out8(&rig.f, 0x21, 0);
	pic_set(&rig.pic, 3, false);
	pic_set(&rig.pic, 3, true);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x43);
	assert_int_equal(isr(&rig, 0x20), 8);
	/* Single, level: ICW2 and no more. */
	out8(&rig.f, 0x20, 0x1a);
	out8(&rig.f, 0x21, 0x50);
	assert_int_equal(pic_acknowledge(&rig.pic), 0x53);
}

static void test_random(void **state)
{
	static const uint16_t ports[] = {
		0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1,
	};
	uint32_t seed = 11;
	struct rig rig;

	(void)state;
	start(&rig, 1);
	for (unsigned i = 0; i < 200000; i++) {
		uint32_t r = random32(&seed);
		uint16_t port = ports[(r >> 8) % 6];

		switch (r % 8) {
		case 0:
			out8(&rig.f, port, (uint8_t)(r >> 16));
			break;
		case 1:
			in8(&rig.f, port);
			break;
		case 2:
			if (pic_pending(&rig.pic))
				pic_acknowledge(&rig.pic);
			break;
		default:
			pic_set(&rig.pic, r >> 16 & 15, r >> 20 & 1);
			break;
		}
		assert_int_equal(pic_pending(&rig.pic), rig.f.irq.level);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_is_masked),
		cmocka_unit_test(test_edge),
		cmocka_unit_test(test_spurious),
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_level_later),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_nested_slave),
		cmocka_unit_test(test_auto_eoi),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_special_mask),
		cmocka_unit_test(test_poll),
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("vmm pic", tests, NULL, NULL);
}
