/*
 * The keyboard controller at ports 0x60 and 0x64, with nothing plugged in: so
 * much of it that a guest finds out soon, and the reset line that kernels
 * pulse by it.
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../src/bus.h"
#include "power.h"

struct i8042 {
	uint8_t output;	 /* what port 0x60 gives */
	bool full;	 /* ... and the guest has not read */
	bool auxiliary;	 /* ... and is from the mouse's port */
	uint8_t pending; /* command that waits for its data; 0 */
	uint8_t ram[32]; /* 0: the command byte */
	const struct power *power;
};

void i8042_init(struct i8042 *i8042, const struct power *power);
void i8042_reset(struct i8042 *i8042);
[[nodiscard]] enum bus_status i8042_attach(struct i8042 *i8042, struct bus *ports);
