/*
 * Intel 8254 data sheet. Nothing counts here: a count is a function of the
 * ticks since it was loaded. (The one tick that the chip needs to load is left
 * out.) Only channel 0 has a timer, since only its output goes anywhere; of
 * that output only rising edges matter to the interrupt controllers, so the
 * line is held high in between (see irq_edge()).
 */

#include "pit.h"

#include <stddef.h>

enum {
	COMMAND_READ_BACK = 3,
	READ_BACK_NO_COUNT = 1 << 5,
	READ_BACK_NO_STATUS = 1 << 4,

	STATUS_OUTPUT = 1 << 7,
	STATUS_NULL_COUNT = 1 << 6,

	PORT61_GATE2 = 1 << 0,
	PORT61_WRITABLE = 0xf,
	PORT61_REFRESH = 1 << 4,
	PORT61_OUT2 = 1 << 5,

	REFRESH_TICKS = 18, /* 15 us */

	/* Channel 0 interrupts at most 20,000 times a second. */
	RELOAD_MIN = PIT_HZ / 20000,
};

/* Modes 2 and 3 repeat; 6 and 7 are other names of theirs. */
static bool is_periodic(const struct pit_channel *channel)
{
	return channel->mode == 2 || channel->mode == 3;
}

/* Modes 1 and 5 begin to count when the gate rises. */
static bool is_triggered(const struct pit_channel *channel)
{
	return channel->mode == 1 || channel->mode == 5;
}

static uint64_t to_ticks(const struct pit *pit, uint64_t clocks)
{
	return clock_scale(clocks, pit->clock->hz, PIT_HZ);
}

static uint64_t to_clocks(const struct pit *pit, uint64_t ticks)
{
	return clock_scale_up(ticks, PIT_HZ, pit->clock->hz);
}

static uint64_t ticks(const struct pit *pit, const struct pit_channel *channel)
{
	if (!channel->counting)
		return 0;
	if (channel->paused)
		return channel->paused_tick;
	return to_ticks(pit, clock_now(pit->clock) - channel->start);
}

/* A new count of a periodic mode replaces the old one when that is done. */
static void sync(struct pit *pit, struct pit_channel *channel)
{
	if (channel->next_reload != 0 && channel->counting && !channel->paused &&
	    ticks(pit, channel) >= channel->next_tick) {
		channel->start += to_clocks(pit, channel->next_tick);
		channel->reload = channel->next_reload;
		channel->next_reload = 0;
	}
}

static bool output(const struct pit *pit, const struct pit_channel *channel)
{
	uint64_t t = ticks(pit, channel);
	uint32_t n = channel->reload;

	if (!channel->counting)
		return channel->mode != 0;
	switch (channel->mode) {
	case 0:
	case 1:
		return t >= n;
	case 2:
		return channel->paused || t % n != n - 1;
	case 3:
		return channel->paused || t % n < (n + 1) / 2;
	default:
		return t != n;
	}
}

/* The counting element, in binary. */
static uint32_t count(const struct pit *pit, const struct pit_channel *channel)
{
	uint32_t modulus = channel->bcd ? 10000 : 65536;
	uint32_t n = channel->reload;
	uint64_t t = ticks(pit, channel);

	if (n == 0)
		return 0;
	if (channel->mode == 2)
		return n - (uint32_t)(t % n);
	if (channel->mode == 3) {
		uint32_t phase = (uint32_t)(t % n), half = (n + 1) / 2;

		/* By twos, twice a period; odd counts lose their last bit. */
		return (n & ~1u) - 2 * (phase < half ? phase : phase - half);
	}
	return (n + modulus - (uint32_t)(t % modulus)) % modulus;
}

static uint16_t to_bcd(uint32_t value)
{
	return (uint16_t)(value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 |
			  value / 1000 % 10 << 12);
}

static uint32_t from_bcd(uint32_t value)
{
	return (value & 0xf) + (value >> 4 & 0xf) * 10 + (value >> 8 & 0xf) * 100 +
	       (value >> 12 & 0xf) * 1000;
}

static uint16_t read_count(const struct pit *pit, const struct pit_channel *channel)
{
	uint32_t value = count(pit, channel);

	return channel->bcd ? to_bcd(value) : (uint16_t)value;
}

bool pit_output(struct pit *pit, unsigned channel)
{
	if (channel >= PIT_CHANNELS)
		return false;
	sync(pit, &pit->channel[channel]);
	return output(pit, &pit->channel[channel]);
}

/* Channel 0: be called at the next rising edge of its output. */
static void arm(struct pit *pit)
{
	struct pit_channel *channel = &pit->channel[0];
	uint64_t t = ticks(pit, channel), edge = TIMER_NEVER;
	uint32_t n = channel->reload;

	if (channel->counting && !channel->paused) {
		if (is_periodic(channel))
			edge = (t / n + 1) * n;
		else if (t < n)
			edge = n;
	}
	timer_arm(&pit->timer,
		  edge == TIMER_NEVER ? TIMER_NEVER : channel->start + to_clocks(pit, edge));
}

static void expire(void *opaque)
{
	struct pit *pit = opaque;

	sync(pit, &pit->channel[0]);
	irq_edge(pit->irq);
	arm(pit);
}

/* Counting begins, from the top. */
static void start(struct pit *pit, struct pit_channel *channel)
{
	if (channel->next_reload != 0) {
		channel->reload = channel->next_reload;
		channel->next_reload = 0;
	}
	channel->start = clock_now(pit->clock);
	channel->counting = true;
	channel->paused = !channel->gate && !is_triggered(channel);
	channel->paused_tick = 0;
}

static void load(struct pit *pit, struct pit_channel *channel, uint16_t value)
{
	uint32_t n = channel->bcd ? from_bcd(value) : value;

	if (n == 0)
		n = channel->bcd ? 10000 : 65536;
	if (is_periodic(channel) && n < 2)
		n = 2; /* 1 is illegal */
	if (channel == &pit->channel[0] && is_periodic(channel) && n < RELOAD_MIN)
		n = RELOAD_MIN;

	if (is_triggered(channel)) {
		channel->next_reload = n;
	} else if (is_periodic(channel) && channel->counting) {
		uint64_t t = ticks(pit, channel);

		channel->next_reload = n;
		channel->next_tick = (t / channel->reload + 1) * channel->reload;
	} else {
		channel->next_reload = n;
		start(pit, channel);
	}
}

static void set_gate(struct pit *pit, struct pit_channel *channel, bool gate)
{
	bool rises = gate && !channel->gate;
	bool falls = !gate && channel->gate;

	sync(pit, channel);
	if (falls && channel->counting && !is_triggered(channel)) {
		channel->paused_tick = ticks(pit, channel);
		channel->paused = true;
	}
	channel->gate = gate;
	if (!rises)
		return;
	if (is_triggered(channel)) {
		if (channel->next_reload != 0 || channel->reload != 0)
			start(pit, channel);
	} else if (channel->counting && is_periodic(channel)) {
		start(pit, channel);
	} else if (channel->counting) {
		channel->start = clock_now(pit->clock) - to_clocks(pit, channel->paused_tick);
		channel->paused = false;
	}
}

static void latch_count(struct pit *pit, struct pit_channel *channel)
{
	if (!channel->count_latched) {
		channel->latched_count = read_count(pit, channel);
		channel->count_latched = true;
	}
}

static void latch_status(struct pit *pit, struct pit_channel *channel)
{
	bool null_count = channel->next_reload != 0 || channel->reload == 0;

	if (channel->status_latched)
		return;
	channel->latched_status = (uint8_t)((output(pit, channel) ? STATUS_OUTPUT : 0) |
					    (null_count ? STATUS_NULL_COUNT : 0) |
					    channel->access << 4 | channel->mode << 1 |
					    channel->bcd);
	channel->status_latched = true;
}

static void read_back(struct pit *pit, uint8_t value)
{
	for (unsigned i = 0; i < PIT_CHANNELS; i++) {
		struct pit_channel *channel = &pit->channel[i];

		if ((value & 2u << i) == 0)
			continue;
		sync(pit, channel);
		if ((value & READ_BACK_NO_COUNT) == 0)
			latch_count(pit, channel);
		if ((value & READ_BACK_NO_STATUS) == 0)
			latch_status(pit, channel);
	}
}

static void write_control(struct pit *pit, uint8_t value)
{
	unsigned number = value >> 6;
	uint8_t access = value >> 4 & 3, mode = value >> 1 & 7;

	if (number == COMMAND_READ_BACK) {
		read_back(pit, value);
		return;
	}

	struct pit_channel *channel = &pit->channel[number];

	if (access == 0) {
		sync(pit, channel);
		latch_count(pit, channel);
		return;
	}
	*channel = (struct pit_channel){
		.mode = mode > 5 ? mode - 4 : mode,
		.access = access,
		.bcd = (value & 1) != 0,
		.gate = channel->gate,
	};
	if (number == 0) {
		irq_set(pit->irq, channel->mode != 0);
		timer_cancel(&pit->timer);
	}
}

static void write_channel(struct pit *pit, struct pit_channel *channel, uint8_t value)
{
	sync(pit, channel);
	if (channel->access == 3 && !channel->write_high) {
		channel->write_low = value;
		channel->write_high = true;
		if (channel->mode == 0) {
			/* Counting waits for the other byte. */
			channel->counting = false;
			channel->reload = 0;
		}
	} else {
		uint8_t low = channel->access == 1 ? value : channel->write_low;
		uint8_t high = channel->access == 1 ? 0 : value;

		channel->write_high = false;
		load(pit, channel, (uint16_t)(high << 8 | low));
	}
	if (channel == &pit->channel[0]) {
		if (channel->mode == 0)
			irq_lower(pit->irq);
		arm(pit);
	}
}

static uint8_t read_channel(struct pit *pit, struct pit_channel *channel)
{
	uint16_t value;

	sync(pit, channel);
	if (channel->status_latched) {
		channel->status_latched = false;
		return channel->latched_status;
	}
	value = channel->count_latched ? channel->latched_count : read_count(pit, channel);
	if (channel->access == 3 && !channel->read_high) {
		channel->read_high = true;
		return (uint8_t)value;
	}
	channel->read_high = false;
	channel->count_latched = false;
	return (uint8_t)(channel->access == 1 ? value : value >> 8);
}

static uint64_t pit_read(void *device, uint64_t offset, unsigned bytes)
{
	struct pit *pit = device;

	(void)bytes;
	if (offset >= PIT_CHANNELS)
		return 0xff; /* the control word is write-only */
	return read_channel(pit, &pit->channel[offset]);
}

static void pit_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct pit *pit = device;

	(void)bytes;
	if (offset >= PIT_CHANNELS)
		write_control(pit, (uint8_t)value);
	else
		write_channel(pit, &pit->channel[offset], (uint8_t)value);
}

static uint64_t port61_read(void *device, uint64_t offset, unsigned bytes)
{
	struct pit *pit = device;
	uint64_t now = to_ticks(pit, clock_now(pit->clock));
	uint64_t value = pit->port61;

	(void)offset;
	(void)bytes;
	if (now / REFRESH_TICKS % 2 != 0)
		value |= PORT61_REFRESH;
	if (pit_output(pit, 2))
		value |= PORT61_OUT2;
	return value;
}

static void port61_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct pit *pit = device;

	(void)offset;
	(void)bytes;
	pit->port61 = value & PORT61_WRITABLE;
	set_gate(pit, &pit->channel[2], (value & PORT61_GATE2) != 0);
}

void pit_init(struct pit *pit, struct timer_queue *timers, struct irq_line *irq)
{
	*pit = (struct pit){.clock = timers->clock, .irq = irq};
	timer_init(&pit->timer, timers, expire, pit);
	pit_reset(pit);
}

/* Power-up is undefined; here nothing counts, and outputs are high. */
void pit_reset(struct pit *pit)
{
	timer_cancel(&pit->timer);
	for (unsigned i = 0; i < PIT_CHANNELS; i++) {
		pit->channel[i] = (struct pit_channel){
			.mode = 3,
			.access = 3,
			.gate = i != 2,
		};
	}
	pit->port61 = 0;
	irq_raise(pit->irq);
}

enum bus_status pit_attach(struct pit *pit, struct bus *ports)
{
	const struct bus_region counters = {
		.base = 0x40,
		.size = 4,
		.read = pit_read,
		.write = pit_write,
		.device = pit,
		.name = "pit",
		.widths = BUS_BYTE,
	};
	const struct bus_region port61 = {
		.base = 0x61,
		.size = 1,
		.read = port61_read,
		.write = port61_write,
		.device = pit,
		.name = "port 61",
		.widths = BUS_BYTE,
	};
	enum bus_status status = bus_add(ports, &counters);

	return status == BUS_OK ? bus_add(ports, &port61) : status;
}
