#include "vmm_fixture.h"

static uint64_t now(void *source)
{
	return ((struct fixture *)source)->now;
}

static void probe_set(void *chip, unsigned pin, bool level)
{
	struct probe *probe = chip;

	(void)pin;
	assert_true(level != probe->level);
	probe->level = level;
	probe->edges += level;
}

void probe_init(struct probe *probe)
{
	*probe = (struct probe){
		.line = {.to = {{.set = probe_set, .chip = probe}}},
	};
}

static void miss(void *opaque, const struct bus_miss *access)
{
	(void)access;
	((struct fixture *)opaque)->misses++;
}

static void off(void *opaque)
{
	((struct fixture *)opaque)->offs++;
}

static void reset(void *opaque)
{
	((struct fixture *)opaque)->resets++;
}

static void leave(void *opaque, uint32_t code)
{
	struct fixture *f = opaque;

	f->exits++;
	f->exit_code = code;
}

void fixture_init(struct fixture *f)
{
	*f = (struct fixture){
		.now = 12345,
		.clock = {.now = now, .source = f, .hz = FIXTURE_HZ},
		.power =
			{
				.off = off,
				.reset = reset,
				.exit = leave,
				.opaque = f,
			},
	};
	timer_queue_init(&f->timers, &f->clock, NULL, NULL);
	bus_init(&f->ports, 0xffff, miss, f);
	bus_init(&f->memory, UINT64_MAX, miss, f);
	probe_init(&f->irq);
}

void fixture_advance(struct fixture *f, uint64_t ticks)
{
	uint64_t end = f->now + ticks;

	while (timer_queue_next(&f->timers) <= end) {
		uint64_t next = timer_queue_next(&f->timers);

		if (next > f->now)
			f->now = next;
		timer_queue_run(&f->timers);
	}
	f->now = end;
}

uint8_t in8(struct fixture *f, uint16_t port)
{
	return (uint8_t)bus_read(&f->ports, port, 1);
}

void out8(struct fixture *f, uint16_t port, uint8_t value)
{
	bus_write(&f->ports, port, 1, value);
}

uint32_t random32(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}
