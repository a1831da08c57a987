/*
 * Intel 8259A data sheet, and the edge/level control registers of the PIIX.
 *
 * An edge latches IRR; the line falling again before the acknowledge takes it
 * back, and then the acknowledge finds nothing and gives the spurious vector 7
 * of that chip without an ISR bit. A level-triggered input's IRR follows the
 * line.
 */

#include "pic.h"

#include <stddef.h>

enum {
	CASCADE = 2, /* the master's input of the slave */
	SPURIOUS = 7,

	ICW1 = 1 << 4,
	ICW1_IC4 = 1 << 0,
	ICW1_SNGL = 1 << 1,
	ICW1_LTIM = 1 << 3,
	ICW4_AEOI = 1 << 1,
	ICW4_SFNM = 1 << 4,

	OCW3 = 1 << 3,
	OCW3_RIS = 1 << 0,
	OCW3_RR = 1 << 1,
	OCW3_POLL = 1 << 2,
	OCW3_SMM = 1 << 5,
	OCW3_ESMM = 1 << 6,

	POLL_PENDING = 1 << 7,

	/* Timer, keyboard, cascade; RTC and FPU: edges, whatever is written. */
	ELCR_MASTER = 0xf8,
	ELCR_SLAVE = 0xde,
};

/* Of inputs as bits, the one with the highest priority, or -1. */
static int highest(const struct pic_chip *chip, uint8_t inputs)
{
	for (unsigned i = 1; i <= 8; i++) {
		unsigned input = (chip->lowest + i) % 8;

		if ((inputs & 1u << input) != 0)
			return (int)input;
	}
	return -1;
}

/* Distance from the highest priority: smaller is more important. */
static unsigned rank(const struct pic_chip *chip, unsigned input)
{
	return (input - chip->lowest - 1) % 8;
}

/* The request that the chip's INT output stands for, or -1. */
static int request(const struct pic_chip *chip, bool cascaded)
{
	int input = highest(chip, chip->irr & (uint8_t)~chip->imr);
	uint8_t blocking = chip->isr;

	if (input < 0)
		return -1;
	if (chip->special_mask) {
		/* What is masked blocks nothing while it is in service. */
		blocking &= (uint8_t)~chip->imr;
	}
	if (chip->nested && cascaded) {
		/* The slave may interrupt the slave's own service. */
		blocking &= (uint8_t) ~(1u << CASCADE);
	}

	int serving = highest(chip, blocking);

	if (serving >= 0 && rank(chip, (unsigned)serving) <= rank(chip, (unsigned)input))
		return -1;
	return input;
}

static int slave_request(const struct pic *pic)
{
	return request(&pic->slave, false);
}

static int master_request(const struct pic *pic)
{
	return request(&pic->master, true);
}

static bool is_level(const struct pic_chip *chip, unsigned input)
{
	return chip->level || (chip->elcr & 1u << input) != 0;
}

/* Level-triggered inputs request for as long as their lines are high. */
static void sample_levels(struct pic_chip *chip)
{
	chip->irr |= chip->level ? chip->lines : chip->lines & chip->elcr;
}

static void chip_set(struct pic_chip *chip, unsigned input, bool level)
{
	uint8_t bit = (uint8_t)(1u << input);

	if (level) {
		if ((chip->lines & bit) == 0 || is_level(chip, input))
			chip->irr |= bit;
		chip->lines |= bit;
	} else {
		chip->irr &= (uint8_t)~bit;
		chip->lines &= (uint8_t)~bit;
	}
}

/* Outputs follow the state: the slave's to the master, the master's to INTR. */
static void update(struct pic *pic)
{
	chip_set(&pic->master, CASCADE, slave_request(pic) >= 0);
	irq_set(pic->output, master_request(pic) >= 0);
}

void pic_set(void *opaque, unsigned pin, bool level)
{
	struct pic *pic = opaque;

	if (pin > 15 || pin == CASCADE)
		return;
	chip_set(pin < 8 ? &pic->master : &pic->slave, pin % 8, level);
	update(pic);
}

bool pic_pending(const struct pic *pic)
{
	return master_request(pic) >= 0;
}

/* First INTA: the input goes into service (or is spurious). */
static unsigned chip_acknowledge(struct pic_chip *chip, int input)
{
	if (input < 0)
		return SPURIOUS;

	uint8_t bit = (uint8_t)(1u << input);

	if (!is_level(chip, (unsigned)input))
		chip->irr &= (uint8_t)~bit;
	if (!chip->auto_eoi)
		chip->isr |= bit;
	else if (chip->rotate_aeoi)
		chip->lowest = (uint8_t)input;
	return (unsigned)input;
}

uint8_t pic_acknowledge(struct pic *pic)
{
	struct pic_chip *chip = &pic->master;
	int input = master_request(pic);
	unsigned taken = chip_acknowledge(chip, input);

	if (input == CASCADE && !chip->single) {
		chip = &pic->slave;
		taken = chip_acknowledge(chip, slave_request(pic));
		/*
		 * The slave's output falls with the acknowledge and rises for
		 * the next request: a new edge for the master.
		 */
		chip_set(&pic->master, CASCADE, false);
	}

	uint8_t vector = (uint8_t)(chip->vector | taken);

	update(pic);
	return vector;
}

/* ICW1 resets the chip's modes; ELCR and the levels at the inputs stay. */
static void write_icw1(struct pic_chip *chip, uint8_t value)
{
	*chip = (struct pic_chip){
		.lines = chip->lines,
		.elcr = chip->elcr,
		.vector = chip->vector,
		.lowest = 7,
		.icw_next = 2,
		.icw4_needed = (value & ICW1_IC4) != 0,
		.single = (value & ICW1_SNGL) != 0,
		.level = (value & ICW1_LTIM) != 0,
	};
	/* The edge detectors are cleared: only levels count anew. */
	sample_levels(chip);
}

static void write_ocw2(struct pic_chip *chip, uint8_t value)
{
	enum { EOI = 1, SPECIFIC = 2, ROTATE = 4 };
	unsigned command = value >> 5;
	int input = value & 7;

	if (command == ROTATE || command == 0) {
		chip->rotate_aeoi = command == ROTATE;
		return;
	}
	if (command == SPECIFIC)
		return; /* no operation */
	if ((command & SPECIFIC) == 0) {
		uint8_t serving = chip->isr;

		/* With special mask mode, masked ones are passed over. */
		if (chip->special_mask)
			serving &= (uint8_t)~chip->imr;
		input = highest(chip, serving);
	}
	if (input < 0)
		return;
	if ((command & EOI) != 0)
		chip->isr &= (uint8_t) ~(1u << input);
	if ((command & ROTATE) != 0)
		chip->lowest = (uint8_t)input;
}

static void write_ocw3(struct pic_chip *chip, uint8_t value)
{
	if ((value & OCW3_POLL) != 0)
		chip->poll = true;
	if ((value & OCW3_RR) != 0)
		chip->read_isr = (value & OCW3_RIS) != 0;
	if ((value & OCW3_ESMM) != 0)
		chip->special_mask = (value & OCW3_SMM) != 0;
}

static void write_command(struct pic_chip *chip, uint8_t value)
{
	if ((value & ICW1) != 0)
		write_icw1(chip, value);
	else if ((value & OCW3) != 0)
		write_ocw3(chip, value);
	else
		write_ocw2(chip, value);
}

static void write_data(struct pic_chip *chip, uint8_t value)
{
	switch (chip->icw_next) {
	case 2:
		chip->vector = value & 0xf8;
		chip->icw_next = !chip->single ? 3 : chip->icw4_needed ? 4 : 0;
		break;
	case 3:
		/* Which input has a slave is soldered. */
		chip->icw_next = chip->icw4_needed ? 4 : 0;
		break;
	case 4:
		chip->auto_eoi = (value & ICW4_AEOI) != 0;
		chip->nested = (value & ICW4_SFNM) != 0;
		chip->icw_next = 0;
		break;
	default:
		chip->imr = value;
		break;
	}
}

/* The read after OCW3's poll command acknowledges, without a vector. */
static uint8_t poll(struct pic *pic, struct pic_chip *chip)
{
	bool is_master = chip == &pic->master;
	int input = is_master ? master_request(pic) : slave_request(pic);

	chip->poll = false;
	if (input < 0)
		return 0;
	chip_acknowledge(chip, input);
	if (!is_master)
		chip_set(&pic->master, CASCADE, false);
	update(pic);
	return (uint8_t)(POLL_PENDING | input);
}

static uint64_t chip_read(struct pic *pic, struct pic_chip *chip, uint64_t offset)
{
	if (chip->poll)
		return poll(pic, chip);
	if (offset == 1)
		return chip->imr;
	return chip->read_isr ? chip->isr : chip->irr;
}

static void chip_write(struct pic *pic, struct pic_chip *chip, uint64_t offset, uint64_t value)
{
	if (offset == 1)
		write_data(chip, (uint8_t)value);
	else
		write_command(chip, (uint8_t)value);
	update(pic);
}

static uint64_t master_read(void *device, uint64_t offset, unsigned bytes)
{
	struct pic *pic = device;

	(void)bytes;
	return chip_read(pic, &pic->master, offset);
}

static void master_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct pic *pic = device;

	(void)bytes;
	chip_write(pic, &pic->master, offset, value);
}

static uint64_t slave_read(void *device, uint64_t offset, unsigned bytes)
{
	struct pic *pic = device;

	(void)bytes;
	return chip_read(pic, &pic->slave, offset);
}

static void slave_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct pic *pic = device;

	(void)bytes;
	chip_write(pic, &pic->slave, offset, value);
}

static uint64_t elcr_read(void *device, uint64_t offset, unsigned bytes)
{
	const struct pic *pic = device;

	(void)bytes;
	return offset == 0 ? pic->master.elcr : pic->slave.elcr;
}

static void elcr_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct pic *pic = device;

	(void)bytes;
	if (offset == 0)
		pic->master.elcr = value & ELCR_MASTER;
	else
		pic->slave.elcr = value & ELCR_SLAVE;
	sample_levels(&pic->master);
	sample_levels(&pic->slave);
	update(pic);
}

void pic_init(struct pic *pic, struct irq_line *output)
{
	*pic = (struct pic){.output = output};
	pic_reset(pic);
}

/*
 * The chip has no reset pin and powers up undefined; here everything is masked,
 * as after a firmware that has left it alone. Levels at the inputs stay.
 */
void pic_reset(struct pic *pic)
{
	struct pic_chip *chips[] = {&pic->master, &pic->slave};

	for (unsigned i = 0; i < 2; i++) {
		*chips[i] = (struct pic_chip){
			.lines = chips[i]->lines,
			.imr = 0xff,
			.lowest = 7,
		};
	}
	update(pic);
}

enum bus_status pic_attach(struct pic *pic, struct bus *ports)
{
	const struct bus_region regions[] = {
		{.base = 0x20,
		 .size = 2,
		 .read = master_read,
		 .write = master_write,
		 .device = pic,
		 .name = "pic master",
		 .widths = BUS_BYTE},
		{.base = 0xa0,
		 .size = 2,
		 .read = slave_read,
		 .write = slave_write,
		 .device = pic,
		 .name = "pic slave",
		 .widths = BUS_BYTE},
		{.base = 0x4d0,
		 .size = 2,
		 .read = elcr_read,
		 .write = elcr_write,
		 .device = pic,
		 .name = "pic elcr",
		 .widths = BUS_BYTE},
	};
	enum bus_status status = BUS_OK;

	for (unsigned i = 0; i < 3 && status == BUS_OK; i++)
		status = bus_add(ports, &regions[i]);
	return status;
}
