/*
 * The 8254 against a chip that counts tick by tick: counts, outputs and edges
 * of channels 0 and 2 in every mode, binary and BCD; latches and read-back,
 * gate, new counts in the middle of a period, and how often it interrupts.
 */

#include "vmm_fixture.h"

#include "../../vmm/dev/pit.h"

/* One clock tick is one tick of the chip: no rounding in between. */
struct rig {
	struct fixture f;
	struct pit pit;
};

static void start_hz(struct rig *rig, uint64_t hz)
{
	fixture_init(&rig->f);
	rig->f.clock.hz = hz;
	pit_init(&rig->pit, &rig->f.timers, &rig->f.irq.line);
	assert_int_equal(pit_attach(&rig->pit, &rig->f.ports), BUS_OK);
}

static void program(struct rig *rig, unsigned channel, uint8_t mode, bool bcd, uint16_t count)
{
	out8(&rig->f, 0x43, (uint8_t)(channel << 6 | 0x30u | mode * 2u | bcd));
	out8(&rig->f, (uint16_t)(0x40 + channel), (uint8_t)count);
	out8(&rig->f, (uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

static uint16_t read_count(struct rig *rig, unsigned channel)
{
	uint16_t port = (uint16_t)(0x40 + channel);
	uint16_t low;

	out8(&rig->f, 0x43, (uint8_t)(channel << 6));
	low = in8(&rig->f, port);
	return (uint16_t)(low | in8(&rig->f, port) << 8);
}

/* The reference: one channel, its gate high, in plain steps. */
struct model {
	unsigned mode, n, modulus;
	unsigned count; /* as it can be read */
	bool output;
	bool done;
};

static void model_load(struct model *m, unsigned mode, bool bcd, unsigned n)
{
	*m = (struct model){
		.mode = mode,
		.n = n,
		.modulus = bcd ? 10000 : 65536,
		.count = mode == 3 ? n & ~1u : n,
		.output = mode != 0,
	};
}

static void model_step(struct model *m)
{
	bool half = m->mode == 3;

	if (half && m->count == 2 && (m->n % 2 == 0 || !m->output)) {
		m->output = !m->output;
		m->count = m->n & ~1u;
	} else if (half && m->count == 0) {
		m->output = !m->output; /* odd: one tick more */
		m->count = m->n & ~1u;
	} else if (half) {
		m->count -= 2;
	} else if (m->mode == 2 && m->count == 1) {
		m->count = m->n;
		m->output = true;
	} else if (m->mode == 2) {
		m->count--;
		m->output = m->count != 1;
	} else {
		m->count = (m->count + m->modulus - 1) % m->modulus;
		if (m->mode == 0 && m->count == 0) {
			m->output = true;
		} else if (m->mode == 4) {
			m->output = m->count != 0 || m->done;
			m->done |= m->count == 0;
		}
	}
}

static unsigned from_bcd(unsigned v)
{
	return (v & 15) + (v >> 4 & 15) * 10 + (v >> 8 & 15) * 100 + (v >> 12 & 15) * 1000;
}

static unsigned to_bcd(unsigned v)
{
	return v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12;
}

static void compare(unsigned mode, bool bcd, unsigned value)
{
	unsigned n = bcd ? from_bcd(value) : value;
	struct model model;
	struct rig rig;

	start_hz(&rig, PIT_HZ);
	program(&rig, 2, (uint8_t)mode, bcd, (uint16_t)value);
	if (n == 0)
		n = bcd ? 10000 : 65536;
	/* Channel 2's gate is low: nothing has begun. */
	fixture_advance(&rig.f, 1000);
	out8(&rig.f, 0x61, 1);
	model_load(&model, mode, bcd, n);
	for (unsigned t = 0; t < 2 * n + 20 && t < 100000; t++) {
		unsigned count = model.count % model.modulus;

		assert_int_equal(read_count(&rig, 2), bcd ? to_bcd(count) : count);
		assert_int_equal(pit_output(&rig.pit, 2), model.output);
		assert_int_equal(in8(&rig.f, 0x61) >> 5 & 1, model.output);
		model_step(&model);
		fixture_advance(&rig.f, 1);
	}
}

static void test_counts(void **state)
{
	static const unsigned modes[] = {0, 2, 3, 4};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		compare(modes[i], false, 2);
		compare(modes[i], false, 5);
		compare(modes[i], false, 100);
		compare(modes[i], false, 101);
		compare(modes[i], false, 0);
		compare(modes[i], true, 0x1234);
		compare(modes[i], true, 0);
	}
}

/* Modes 1 and 5: the gate's rising edge starts, and starts again. */
static void test_triggered(void **state)
{
	struct rig rig;

	(void)state;
	for (unsigned mode = 1; mode <= 5; mode += 4) {
		start_hz(&rig, PIT_HZ);
		program(&rig, 2, (uint8_t)mode, false, 50);
		fixture_advance(&rig.f, 500);
		assert_true(pit_output(&rig.pit, 2));
		out8(&rig.f, 0x61, 1);
		assert_int_equal(pit_output(&rig.pit, 2), mode == 5);
		fixture_advance(&rig.f, 49);
		assert_int_equal(read_count(&rig, 2), 1);
		assert_int_equal(pit_output(&rig.pit, 2), mode == 5);
		out8(&rig.f, 0x61, 0); /* the fall does nothing */
		fixture_advance(&rig.f, 30);
		assert_int_equal(read_count(&rig, 2), 65536 - 29);
		out8(&rig.f, 0x61, 1);
		assert_int_equal(read_count(&rig, 2), 50);
		fixture_advance(&rig.f, 50);
		assert_int_equal(pit_output(&rig.pit, 2), mode == 1);
		fixture_advance(&rig.f, 1);
		assert_true(pit_output(&rig.pit, 2));
	}
}

/* The gate holds a count, and starts a period anew. */
static void test_gate(void **state)
{
	struct rig rig;

	(void)state;
	start_hz(&rig, PIT_HZ);
	out8(&rig.f, 0x61, 1);
	program(&rig, 2, 0, false, 1000);
	fixture_advance(&rig.f, 300);
	out8(&rig.f, 0x61, 0);
	fixture_advance(&rig.f, 5000);
	assert_int_equal(read_count(&rig, 2), 700);
	assert_false(pit_output(&rig.pit, 2));
	out8(&rig.f, 0x61, 1);
	fixture_advance(&rig.f, 699);
	assert_false(pit_output(&rig.pit, 2));
	fixture_advance(&rig.f, 1);
	assert_true(pit_output(&rig.pit, 2));

	program(&rig, 2, 3, false, 1000);
	fixture_advance(&rig.f, 700);
	assert_false(pit_output(&rig.pit, 2));
	out8(&rig.f, 0x61, 0);
	assert_true(pit_output(&rig.pit, 2));
	out8(&rig.f, 0x61, 1);
	assert_int_equal(read_count(&rig, 2), 1000);
}

/* A new count of a running period waits for its end. */
static void test_new_count(void **state)
{
	struct rig rig;

	(void)state;
	start_hz(&rig, PIT_HZ);
	program(&rig, 0, 2, false, 1000);
	fixture_advance(&rig.f, 400);
	out8(&rig.f, 0x40, 0xf4);
	out8(&rig.f, 0x40, 0x01);
	assert_int_equal(read_count(&rig, 0), 600);
	out8(&rig.f, 0x43, 0xe2); /* read-back: status of 0 */
	assert_int_equal(in8(&rig.f, 0x40), 0xf4);
	fixture_advance(&rig.f, 600);
	assert_int_equal(rig.f.irq.edges, 2); /* the first is the reset's */
	assert_int_equal(read_count(&rig, 0), 500);
	out8(&rig.f, 0x43, 0xe2);
	assert_int_equal(in8(&rig.f, 0x40), 0xb4);
	fixture_advance(&rig.f, 500);
	assert_int_equal(rig.f.irq.edges, 3);
}

static void test_access(void **state)
{
	struct rig rig;

	(void)state;
	start_hz(&rig, PIT_HZ);
	out8(&rig.f, 0x43, 0x14); /* low byte only, mode 2 */
	out8(&rig.f, 0x40, 200);
	assert_int_equal(in8(&rig.f, 0x40), 200);
	fixture_advance(&rig.f, 1);
	assert_int_equal(in8(&rig.f, 0x40), 199);
	out8(&rig.f, 0x43, 0x24); /* high byte only */
	out8(&rig.f, 0x40, 2);
	fixture_advance(&rig.f, 1);
	assert_int_equal(in8(&rig.f, 0x40), 1);
	assert_int_equal(in8(&rig.f, 0x43), 0xff);

	/* Latched once; the second latch command is ignored. */
	program(&rig, 0, 2, false, 1000);
	out8(&rig.f, 0x43, 0x00);
	fixture_advance(&rig.f, 10);
	out8(&rig.f, 0x43, 0x00);
	assert_int_equal(in8(&rig.f, 0x40), 1000 & 0xff);
	assert_int_equal(in8(&rig.f, 0x40), 1000 >> 8);
	assert_int_equal(in8(&rig.f, 0x40), 990 & 0xff);
	assert_int_equal(in8(&rig.f, 0x40), 990 >> 8);

	/* Read-back of status and count: the status comes first. */
	out8(&rig.f, 0x43, 0xc2);
	assert_int_equal(in8(&rig.f, 0x40), 0xb4);
	assert_int_equal(in8(&rig.f, 0x40), 990 & 0xff);
	assert_int_equal(in8(&rig.f, 0x40), 990 >> 8);
	/* A control word without a count: null count. */
	out8(&rig.f, 0x43, 0x30);
	out8(&rig.f, 0x43, 0xe2);
	assert_int_equal(in8(&rig.f, 0x40), 0x70);
}

/* At any clock: exactly as many edges as periods, none early. */
static void test_interrupts(void **state)
{
	static const uint64_t hz[] = {PIT_HZ, 1000000000, 3650000000};
	struct rig rig;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned mode = 2; mode <= 3; mode++) {
			start_hz(&rig, hz[i]);
			program(&rig, 0, (uint8_t)mode, false, 11932);
			fixture_advance(&rig.f, hz[i]);
			/* 1193182 / 11932 = 99.99 */
			assert_int_equal(rig.f.irq.edges, 1 + 99);
			fixture_advance(&rig.f, 9 * hz[i]);
			assert_int_equal(rig.f.irq.edges, 1 + 999);
		}
	}
	start_hz(&rig, FIXTURE_HZ);
	program(&rig, 0, 0, false, 1193);
	assert_false(rig.f.irq.level);
	fixture_advance(&rig.f, 999 * MS / 1000);
	assert_false(rig.f.irq.level);
	fixture_advance(&rig.f, 2 * MS / 1000);
	assert_true(rig.f.irq.level);
	assert_int_equal(timer_queue_next(&rig.f.timers), TIMER_NEVER);
}

/* A count of 1 would be a million a second. */
static void test_rate_limit(void **state)
{
	struct rig rig;

	(void)state;
	start_hz(&rig, FIXTURE_HZ);
	program(&rig, 0, 2, false, 1);
	fixture_advance(&rig.f, SECOND);
	assert_in_range(rig.f.irq.edges, 1000, 21000);
}

static void test_refresh(void **state)
{
	unsigned changes = 0;
	uint8_t last = 0;
	struct rig rig;

	(void)state;
	start_hz(&rig, FIXTURE_HZ);
	for (unsigned i = 0; i < 1000; i++) {
		uint8_t now = in8(&rig.f, 0x61) & 0x10;

		changes += now != last;
		last = now;
		fixture_advance(&rig.f, 1000);
	}
	assert_in_range(changes, 65, 68);
	out8(&rig.f, 0x61, 0xff);
	assert_int_equal(in8(&rig.f, 0x61) & 0xcf, 0x0f);
}

static void test_random(void **state)
{
	uint32_t seed = 5;
	struct rig rig;

	(void)state;
	start_hz(&rig, 3650000000);
	for (unsigned i = 0; i < 200000; i++) {
		uint32_t r = random32(&seed);
		uint16_t port = r % 5 == 4 ? 0x61 : (uint16_t)(0x40 + r % 5);

		if (r >> 8 & 1)
			out8(&rig.f, port, (uint8_t)(r >> 16));
		else
			in8(&rig.f, port);
		fixture_advance(&rig.f, (r >> 12) % 8192);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),	   cmocka_unit_test(test_triggered),
		cmocka_unit_test(test_gate),	   cmocka_unit_test(test_new_count),
		cmocka_unit_test(test_access),	   cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_rate_limit), cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("vmm pit", tests, NULL, NULL);
}
