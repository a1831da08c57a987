/*
 * A20 is on and stays on: port 0x92 remembers what was written, no more.
 */

#include "board.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	PORT92_RESET = 1 << 0, /* the rising edge resets */
	PORT92_A20 = 1 << 1,
	PORT92_BITS = 0xcb, /* the rest is 0 */
};

static uint64_t page_read(void *device, uint64_t offset, unsigned bytes)
{
	const struct board *board = device;

	(void)bytes;
	return board->page[offset % 16];
}

static void page_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct board *board = device;

	(void)bytes;
	board->page[offset % 16] = (uint8_t)value;
}

static uint64_t port92_read(void *device, uint64_t offset, unsigned bytes)
{
	const struct board *board = device;

	(void)offset;
	(void)bytes;
	return board->port92;
}

static void port92_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct board *board = device;
	bool rises = (value & PORT92_RESET) != 0 && (board->port92 & PORT92_RESET) == 0;

	(void)offset;
	(void)bytes;
	board->port92 = value & PORT92_BITS;
	if (rises)
		power_reset(board->power);
}

void board_init(struct board *board, const struct power *power)
{
	*board = (struct board){.power = power};
	board_reset(board);
}

void board_reset(struct board *board)
{
	*board = (struct board){
		.power = board->power,
		.port92 = PORT92_A20,
	};
}

enum bus_status board_attach(struct board *board, struct bus *ports)
{
	const struct bus_region regions[] = {
		{.base = 0x80,
		 .size = 16,
		 .read = page_read,
		 .write = page_write,
		 .device = board,
		 .name = "dma pages",
		 .widths = BUS_BYTE},
		{.base = 0x92,
		 .size = 1,
		 .read = port92_read,
		 .write = port92_write,
		 .device = board,
		 .name = "port 92",
		 .widths = BUS_BYTE},
		{.base = 0xed, .size = 1, .device = board, .name = "delay", .widths = BUS_BYTE},
	};
	enum bus_status status = BUS_OK;

	for (unsigned i = 0; i < 3 && status == BUS_OK; i++)
		status = bus_add(ports, &regions[i]);
	return status;
}
