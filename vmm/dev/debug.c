/*
 * As QEMU's isa-debug-exit and isa-debugcon, but the exit's code is given on
 * as it is.
 */

#include "debug.h"

#include <stddef.h>

enum {
	EXIT_PORT = 0xf4,
	CONSOLE_PORT = 0xe9,
	CONSOLE_HERE = 0xe9, /* reading it tells that it is there */
};

static void flush(struct debug *debug)
{
	if (debug->length > 0 && debug->print != NULL) {
		debug->line[debug->length] = 0;
		debug->print(debug->opaque, debug->line);
	}
	debug->length = 0;
}

static uint64_t console_read(void *device, uint64_t offset, unsigned bytes)
{
	(void)device;
	(void)offset;
	(void)bytes;
	return CONSOLE_HERE;
}

static void console_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct debug *debug = device;

	(void)offset;
	(void)bytes;
	if (value == '\n') {
		flush(debug);
	} else if (value >= ' ' && value <= '~') {
		debug->line[debug->length++] = (char)value;
		if (debug->length == DEBUG_LINE_SIZE - 1)
			flush(debug);
	}
}

static uint64_t exit_read(void *device, uint64_t offset, unsigned bytes)
{
	(void)device;
	(void)offset;
	(void)bytes;
	return 0;
}

static void exit_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct debug *debug = device;

	(void)offset;
	(void)bytes;
	flush(debug);
	if (debug->power->exit != NULL)
		debug->power->exit(debug->power->opaque, (uint32_t)value);
}

void debug_init(struct debug *debug, const struct power *power,
		void (*print)(void *opaque, const char *line), void *opaque)
{
	*debug = (struct debug){
		.power = power,
		.print = print,
		.opaque = opaque,
	};
}

enum bus_status debug_attach(struct debug *debug, struct bus *ports)
{
	const struct bus_region console = {
		.base = CONSOLE_PORT,
		.size = 1,
		.read = console_read,
		.write = console_write,
		.device = debug,
		.name = "debug console",
		.widths = BUS_BYTE,
	};
	const struct bus_region exit = {
		.base = EXIT_PORT,
		.size = 4,
		.read = exit_read,
		.write = exit_write,
		.device = debug,
		.name = "debug exit",
		.widths = BUS_WORDS_ALL,
	};
	enum bus_status status = bus_add(ports, &console);

	return status == BUS_OK ? bus_add(ports, &exit) : status;
}
