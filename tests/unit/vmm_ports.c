/*
 * The small devices: keyboard controller, board ports, debug ports; and that
 * all devices of the machine fit on one bus.
 */

#include "vmm_fixture.h"

#include "../../vmm/dev/acpi_pm.h"
#include "../../vmm/dev/board.h"
#include "../../vmm/dev/debug.h"
#include "../../vmm/dev/i8042.h"
#include "../../vmm/dev/pci.h"
#include "../../vmm/dev/pic.h"
#include "../../vmm/dev/pit.h"
#include "../../vmm/dev/rtc.h"
#include "../../vmm/dev/uart.h"

static void test_i8042(void **state)
{
	struct i8042 i8042;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	i8042_init(&i8042, &f.power);
	assert_int_equal(i8042_attach(&i8042, &f.ports), BUS_OK);
	assert_int_equal(in8(&f, 0x64), 0x10);
	/* Linux' i8042_controller_check and selftest. */
	out8(&f, 0x64, 0xaa);
	assert_int_equal(in8(&f, 0x64) & 1, 1);
	assert_int_equal(in8(&f, 0x60), 0x55);
	assert_int_equal(in8(&f, 0x64) & 1, 0);
	out8(&f, 0x64, 0x20);
	assert_int_equal(in8(&f, 0x60), 0x34);
	out8(&f, 0x64, 0x60);
	out8(&f, 0x60, 0x47);
	out8(&f, 0x64, 0xa7);
	out8(&f, 0x64, 0xad);
	out8(&f, 0x64, 0x20);
	assert_int_equal(in8(&f, 0x60), 0x77);
	out8(&f, 0x64, 0xae);
	out8(&f, 0x64, 0xa8);
	out8(&f, 0x64, 0x20);
	assert_int_equal(in8(&f, 0x60), 0x47);
	/* Nobody is plugged in. */
	out8(&f, 0x64, 0xa9);
	assert_int_equal(in8(&f, 0x60), 0x01);
	out8(&f, 0x64, 0xab);
	assert_int_equal(in8(&f, 0x60), 0x01);
	out8(&f, 0x60, 0xf2);
	assert_int_equal(in8(&f, 0x64) & 0x61, 0x41);
	assert_int_equal(in8(&f, 0x60), 0xfe);
	out8(&f, 0x64, 0xd4);
	out8(&f, 0x60, 0xf2);
	assert_int_equal(in8(&f, 0x64) & 0x61, 0x61);
	out8(&f, 0x64, 0xd3);
	out8(&f, 0x60, 0xa5);
	assert_int_equal(in8(&f, 0x64) & 0x61, 0x21);
	assert_int_equal(in8(&f, 0x60), 0xa5);
	assert_int_equal(f.resets, 0);
	/* Resets. */
	out8(&f, 0x64, 0xff);
	assert_int_equal(f.resets, 0);
	out8(&f, 0x64, 0xfe);
	assert_int_equal(f.resets, 1);
	out8(&f, 0x64, 0xd1);
	out8(&f, 0x60, 0xdf);
	assert_int_equal(f.resets, 1);
	out8(&f, 0x64, 0xd1);
	out8(&f, 0x60, 0xde);
	assert_int_equal(f.resets, 2);
	for (unsigned i = 0; i < 0x10000; i++) {
		out8(&f, i & 0x100 ? 0x64 : 0x60, (uint8_t)(i * 7 >> 3));
		in8(&f, i & 1 ? 0x64 : 0x60);
	}
}

static void test_board(void **state)
{
	struct board board;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	board_init(&board, &f.power);
	assert_int_equal(board_attach(&board, &f.ports), BUS_OK);
	out8(&f, 0x80, 0x42);
	assert_int_equal(in8(&f, 0x80), 0x42);
	out8(&f, 0x8f, 0x43);
	assert_int_equal(in8(&f, 0x8f), 0x43);
	out8(&f, 0xed, 0);
	assert_int_equal(in8(&f, 0xed), 0xff);
	assert_int_equal(in8(&f, 0x92), 0x02);
	out8(&f, 0x92, 0x00);
	assert_int_equal(in8(&f, 0x92), 0x00);
	out8(&f, 0x92, 0x03);
	out8(&f, 0x92, 0x03);
	assert_int_equal(f.resets, 1);
	board_reset(&board);
	assert_int_equal(in8(&f, 0x80), 0);
	assert_int_equal(in8(&f, 0x92), 2);
	assert_int_equal(f.misses, 0);
}

static void keep(void *opaque, const char *line)
{
	strcpy(opaque, line);
}

static void test_debug(void **state)
{
	char line[DEBUG_LINE_SIZE] = "";
	struct debug debug;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	debug_init(&debug, &f.power, keep, line);
	assert_int_equal(debug_attach(&debug, &f.ports), BUS_OK);
	assert_int_equal(in8(&f, 0xe9), 0xe9);
	for (const char *text = "he\033llo\r"; *text != 0; text++)
		out8(&f, 0xe9, (uint8_t)*text);
	assert_string_equal(line, "");
	out8(&f, 0xe9, '\n');
	assert_string_equal(line, "hello");
	for (unsigned i = 0; i < 1000; i++)
		out8(&f, 0xe9, 'x');
	assert_int_equal(strlen(line), DEBUG_LINE_SIZE - 1);
	bus_write(&f.ports, 0xf4, 4, 0x12345678);
	assert_int_equal(f.exits, 1);
	assert_int_equal(f.exit_code, 0x12345678);
	assert_true(strlen(line) < DEBUG_LINE_SIZE - 1); /* the rest */
	assert_int_equal(in8(&f, 0xf4), 0);
}

static void test_all_fit(void **state)
{
	static const struct uart_wire no_wire;
	struct fixture f;
	struct board board;
	struct debug debug;
	struct i8042 i8042;
	struct pci pci;
	struct pic pic;
	struct pit pit;
	struct rtc rtc;
	struct uart uart[4];
	struct acpi_pm pm;
	static const uint16_t com[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};

	(void)state;
	fixture_init(&f);
	board_init(&board, &f.power);
	debug_init(&debug, &f.power, NULL, NULL);
	i8042_init(&i8042, &f.power);
	pci_init(&pci, &f.power);
	pic_init(&pic, NULL);
	pit_init(&pit, &f.timers, NULL);
	rtc_init(&rtc, &f.timers, NULL, -5);
	acpi_pm_init(&pm, &f.timers, NULL, &f.power);
	assert_int_equal(board_attach(&board, &f.ports), BUS_OK);
	assert_int_equal(debug_attach(&debug, &f.ports), BUS_OK);
	assert_int_equal(i8042_attach(&i8042, &f.ports), BUS_OK);
	assert_int_equal(pci_attach(&pci, &f.ports), BUS_OK);
	assert_int_equal(pic_attach(&pic, &f.ports), BUS_OK);
	assert_int_equal(pit_attach(&pit, &f.ports), BUS_OK);
	assert_int_equal(rtc_attach(&rtc, &f.ports), BUS_OK);
	assert_int_equal(acpi_pm_attach(&pm, &f.ports), BUS_OK);
	for (unsigned i = 0; i < 4; i++) {
		uart_init(&uart[i], NULL, &no_wire);
		assert_int_equal(uart_attach(&uart[i], &f.ports, com[i], "com"), BUS_OK);
	}
	/* And every port of it, with every size, does no harm. */
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned port = 0; port < 0x10000; port++) {
			for (unsigned bytes = 1; bytes <= 4; bytes *= 2) {
				bus_write(&f.ports, port, bytes, port * 0x01030507u << round);
				bus_read(&f.ports, port, bytes);
			}
		}
		fixture_advance(&f, SECOND);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_i8042),
		cmocka_unit_test(test_board),
		cmocka_unit_test(test_debug),
		cmocka_unit_test(test_all_fit),
	};

	return cmocka_run_group_tests_name("vmm ports", tests, NULL, NULL);
}
