/*
 * What else is soldered to a PC's board: the DMA page registers with the POST
 * code (0x80..0x8f), which kernels write to pass the time, the second such
 * port (0xed), and system control port A (0x92) with its fast A20 and reset.
 */

#pragma once

#include <stdint.h>

#include "../src/bus.h"
#include "power.h"

struct board {
	uint8_t page[16]; /* 0x80..0x8f: just memory */
	uint8_t port92;
	const struct power *power;
};

void board_init(struct board *board, const struct power *power);
void board_reset(struct board *board);
[[nodiscard]] enum bus_status board_attach(struct board *board, struct bus *ports);
