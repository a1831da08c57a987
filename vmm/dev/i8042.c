/*
 * IBM PS/2 Hardware Interface Technical Reference, keyboard and auxiliary
 * device controller. Interrupts never happen: nobody types.
 */

#include "i8042.h"

enum {
	STATUS_FULL = 1 << 0,	/* output buffer */
	STATUS_SYSTEM = 1 << 2, /* self-test passed */
	STATUS_UNLOCKED = 1 << 4,
	STATUS_AUXILIARY = 1 << 5,
	STATUS_TIMEOUT = 1 << 6, /* the device does not answer */

	COMMAND_READ_RAM = 0x20,  /* .. 0x3f */
	COMMAND_WRITE_RAM = 0x60, /* .. 0x7f */
	COMMAND_AUX_DISABLE = 0xa7,
	COMMAND_AUX_ENABLE = 0xa8,
	COMMAND_AUX_TEST = 0xa9,
	COMMAND_SELF_TEST = 0xaa,
	COMMAND_KEYBOARD_TEST = 0xab,
	COMMAND_KEYBOARD_DISABLE = 0xad,
	COMMAND_KEYBOARD_ENABLE = 0xae,
	COMMAND_READ_OUTPUT_PORT = 0xd0,
	COMMAND_WRITE_OUTPUT_PORT = 0xd1,
	COMMAND_WRITE_OUTPUT = 0xd2,
	COMMAND_WRITE_AUX_OUTPUT = 0xd3,
	COMMAND_WRITE_AUX = 0xd4,
	COMMAND_PULSE = 0xf0, /* .. 0xff: bits 3..0 are lines, low */

	OUTPUT_PORT_RESET = 1 << 0, /* low: reset */
	OUTPUT_PORT = 0xcf,	    /* A20 on, no reset */

	SELF_TEST_PASSED = 0x55,
	TEST_CLOCK_LOW = 0x01, /* nobody at the other end */
	NO_ANSWER = 0xfe,

	COMMAND_BYTE_SYSTEM = 1 << 2,
	COMMAND_BYTE_KEYBOARD_OFF = 1 << 4,
	COMMAND_BYTE_AUX_OFF = 1 << 5,
};

static void give(struct i8042 *i8042, uint8_t byte, bool auxiliary)
{
	i8042->output = byte;
	i8042->full = true;
	i8042->auxiliary = auxiliary;
}

static void command(struct i8042 *i8042, uint8_t value)
{
	uint8_t *byte = &i8042->ram[0];

	i8042->pending = 0;
	switch (value) {
	case COMMAND_READ_RAM ... COMMAND_READ_RAM + 0x1f:
		give(i8042, i8042->ram[value & 0x1f], false);
		break;
	case COMMAND_WRITE_RAM ... COMMAND_WRITE_RAM + 0x1f:
	case COMMAND_WRITE_OUTPUT_PORT ... COMMAND_WRITE_AUX:
		i8042->pending = value;
		break;
	case COMMAND_AUX_DISABLE:
		*byte |= COMMAND_BYTE_AUX_OFF;
		break;
	case COMMAND_AUX_ENABLE:
		*byte &= (uint8_t)~COMMAND_BYTE_AUX_OFF;
		break;
	case COMMAND_KEYBOARD_DISABLE:
		*byte |= COMMAND_BYTE_KEYBOARD_OFF;
		break;
	case COMMAND_KEYBOARD_ENABLE:
		*byte &= (uint8_t)~COMMAND_BYTE_KEYBOARD_OFF;
		break;
	case COMMAND_SELF_TEST:
		*byte |= COMMAND_BYTE_SYSTEM;
		give(i8042, SELF_TEST_PASSED, false);
		break;
	case COMMAND_AUX_TEST:
	case COMMAND_KEYBOARD_TEST:
		give(i8042, TEST_CLOCK_LOW, false);
		break;
	case COMMAND_READ_OUTPUT_PORT:
		give(i8042, OUTPUT_PORT, false);
		break;
	case COMMAND_PULSE ... 0xff:
		if ((value & OUTPUT_PORT_RESET) == 0)
			power_reset(i8042->power);
		break;
	default:
		break;
	}
}

/* Data: for the command before, or for the keyboard that is not there. */
static void data(struct i8042 *i8042, uint8_t value)
{
	uint8_t pending = i8042->pending;

	i8042->pending = 0;
	switch (pending) {
	case COMMAND_WRITE_RAM ... COMMAND_WRITE_RAM + 0x1f:
		i8042->ram[pending & 0x1f] = value;
		break;
	case COMMAND_WRITE_OUTPUT_PORT:
		if ((value & OUTPUT_PORT_RESET) == 0)
			power_reset(i8042->power);
		break;
	case COMMAND_WRITE_OUTPUT:
	case COMMAND_WRITE_AUX_OUTPUT:
		give(i8042, value, pending == COMMAND_WRITE_AUX_OUTPUT);
		break;
	default:
		give(i8042, NO_ANSWER, pending == COMMAND_WRITE_AUX);
		break;
	}
}

static uint64_t data_read(void *device, uint64_t offset, unsigned bytes)
{
	struct i8042 *i8042 = device;

	(void)offset;
	(void)bytes;
	i8042->full = false;
	return i8042->output;
}

static void data_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	(void)offset;
	(void)bytes;
	data(device, (uint8_t)value);
}

static uint64_t status_read(void *device, uint64_t offset, unsigned bytes)
{
	const struct i8042 *i8042 = device;
	uint8_t status = STATUS_UNLOCKED;

	(void)offset;
	(void)bytes;
	if ((i8042->ram[0] & COMMAND_BYTE_SYSTEM) != 0)
		status |= STATUS_SYSTEM;
	if (i8042->full) {
		status |= STATUS_FULL;
		status |= i8042->auxiliary ? STATUS_AUXILIARY : 0;
		status |= i8042->output == NO_ANSWER ? STATUS_TIMEOUT : 0;
	}
	return status;
}

static void command_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	(void)offset;
	(void)bytes;
	command(device, (uint8_t)value);
}

void i8042_init(struct i8042 *i8042, const struct power *power)
{
	*i8042 = (struct i8042){.power = power};
	i8042_reset(i8042);
}

void i8042_reset(struct i8042 *i8042)
{
	*i8042 = (struct i8042){
		.power = i8042->power,
		.ram = {COMMAND_BYTE_KEYBOARD_OFF | COMMAND_BYTE_AUX_OFF},
	};
}

enum bus_status i8042_attach(struct i8042 *i8042, struct bus *ports)
{
	const struct bus_region data_port = {
		.base = 0x60,
		.size = 1,
		.read = data_read,
		.write = data_write,
		.device = i8042,
		.name = "i8042 data",
		.widths = BUS_BYTE,
	};
	const struct bus_region command_port = {
		.base = 0x64,
		.size = 1,
		.read = status_read,
		.write = command_write,
		.device = i8042,
		.name = "i8042 command",
		.widths = BUS_BYTE,
	};
	enum bus_status status = bus_add(ports, &data_port);

	return status == BUS_OK ? bus_add(ports, &command_port) : status;
}
