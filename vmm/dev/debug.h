/*
 * Ports for guests that know where they run: a write to 0xf4 ends the VM with
 * a code, bytes written to 0xe9 are lines of the VM's log.
 */

#pragma once

#include <stdint.h>

#include "../src/bus.h"
#include "power.h"

enum { DEBUG_LINE_SIZE = 120 };

struct debug {
	char line[DEBUG_LINE_SIZE]; /* what has come of it so far */
	unsigned length;
	/* A line, without its end; 0-terminated, printable. May be NULL. */
	void (*print)(void *opaque, const char *line);
	void *opaque;
	const struct power *power;
};

void debug_init(struct debug *debug, const struct power *power,
		void (*print)(void *opaque, const char *line), void *opaque);
[[nodiscard]] enum bus_status debug_attach(struct debug *debug, struct bus *ports);
