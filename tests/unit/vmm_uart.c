/*
 * The 16550A: registers, FIFOs, which interrupt when and by what it goes away,
 * loopback; and a driver that works by interrupts alone, over a wire that is
 * slow and random: every character must arrive, in order, in both directions.
 */

#include "vmm_fixture.h"

#include "../../vmm/dev/uart.h"

enum { BASE = 0x3f8, WIRE = 1 << 16 };

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR }; /* FCR is IIR */

struct rig {
	struct fixture f;
	struct uart uart;
	uint8_t out[WIRE], in[WIRE];
	size_t written, room; /* room: what the wire takes at once */
	size_t sent, read;    /* sent: how much of `in` is there */
};

static size_t wire_write(void *opaque, const uint8_t *bytes, size_t count)
{
	struct rig *rig = opaque;
	size_t n = count < rig->room ? count : rig->room;

	assert_true(count > 0 && rig->written + n <= WIRE);
	memcpy(&rig->out[rig->written], bytes, n);
	rig->written += n;
	rig->room -= n;
	return n;
}

static size_t wire_read(void *opaque, uint8_t *bytes, size_t count)
{
	struct rig *rig = opaque;
	size_t n = rig->sent - rig->read;

	assert_true(count > 0);
	n = n < count ? n : count;
	memcpy(bytes, &rig->in[rig->read], n);
	rig->read += n;
	return n;
}

static struct rig *start(void)
{
	static struct rig rig;
	const struct uart_wire wire = {
		.write = wire_write,
		.read = wire_read,
		.opaque = &rig,
	};

	memset(&rig, 0, sizeof(rig));
	fixture_init(&rig.f);
	rig.room = SIZE_MAX / 2;
	uart_init(&rig.uart, &rig.f.irq.line, &wire);
	assert_int_equal(uart_attach(&rig.uart, &rig.f.ports, BASE, "com1"), BUS_OK);
	return &rig;
}

static uint8_t get(struct rig *rig, unsigned reg)
{
	return in8(&rig->f, (uint16_t)(BASE + reg));
}

static void put(struct rig *rig, unsigned reg, uint8_t value)
{
	out8(&rig->f, (uint16_t)(BASE + reg), value);
}

static void send(struct rig *rig, const char *text)
{
	memcpy(&rig->in[rig->sent], text, strlen(text));
	rig->sent += strlen(text);
	uart_poll(&rig->uart);
}

static void test_registers(void **state)
{
	struct rig *rig = start();

	(void)state;
	assert_int_equal(get(rig, IIR), 0x01);
	assert_int_equal(get(rig, LSR), 0x60);
	assert_int_equal(get(rig, MSR), 0xb0);
	put(rig, SCR, 0x5a);
	assert_int_equal(get(rig, SCR), 0x5a);
	put(rig, IER, 0xff);
	assert_int_equal(get(rig, IER), 0x0f);
	put(rig, IER, 0);
	put(rig, MCR, 0xef);
	assert_int_equal(get(rig, MCR), 0x0f);
	put(rig, LCR, 0x83);
	put(rig, RBR, 0x0c);
	put(rig, IER, 0x01);
	assert_int_equal(get(rig, RBR), 0x0c);
	assert_int_equal(get(rig, IER), 0x01);
	put(rig, LCR, 0x03);
	assert_int_equal(get(rig, IER), 0x00);
	assert_int_equal(rig->written, 0);
	put(rig, IIR, 0x01);
	assert_int_equal(get(rig, IIR), 0xc1);
	/* Without the enable bit the others do not count. */
	put(rig, IIR, 0xc0);
	assert_int_equal(get(rig, IIR), 0x01);
}

/* Linux' tests at startup: THRE comes back each time it is enabled. */
static void test_thre(void **state)
{
	struct rig *rig = start();

	(void)state;
	put(rig, MCR, 0x08);
	for (unsigned i = 0; i < 3; i++) {
		put(rig, IER, 0x02);
		assert_true(rig->f.irq.level);
		assert_int_equal(get(rig, LSR) & 0x60, 0x60);
		assert_int_equal(get(rig, IIR), 0x02);
		assert_false(rig->f.irq.level);
		assert_int_equal(get(rig, IIR), 0x01);
		put(rig, IER, 0x02); /* no change, no interrupt */
		assert_int_equal(get(rig, IIR), 0x01);
		put(rig, IER, 0x00);
	}
	/* Each character written is a new edge. */
	put(rig, IER, 0x02);
	assert_int_equal(rig->f.irq.edges, 4);
	put(rig, RBR, 'a');
	assert_int_equal(rig->f.irq.edges, 5);
	put(rig, RBR, 'b');
	assert_int_equal(rig->f.irq.edges, 6);
	assert_memory_equal(rig->out, "ab", 2);
	/* Reading IIR takes back only what it told. */
	send(rig, "x");
	put(rig, IER, 0x03);
	assert_int_equal(get(rig, IIR), 0x04);
	assert_int_equal(get(rig, RBR), 'x');
	assert_true(rig->f.irq.level);
	assert_int_equal(get(rig, IIR), 0x02);
	assert_false(rig->f.irq.level);
}

/* The wire is full: THRE is not said before all has gone. */
static void test_back_pressure(void **state)
{
	struct rig *rig = start();

	(void)state;
	put(rig, IIR, 0x01);
	put(rig, IER, 0x02);
	get(rig, IIR);
	rig->room = 3;
	for (unsigned i = 0; i < 16; i++)
		put(rig, RBR, (uint8_t)('a' + i));
	assert_int_equal(rig->written, 3);
	assert_int_equal(get(rig, LSR), 0x00);
	assert_false(rig->f.irq.level);
	rig->room = 10;
	uart_poll(&rig->uart);
	assert_false(rig->f.irq.level);
	rig->room = 10;
	uart_poll(&rig->uart);
	assert_true(rig->f.irq.level);
	assert_int_equal(get(rig, LSR), 0x60);
	assert_memory_equal(rig->out, "abcdefghijklmnop", 16);
	assert_int_equal(rig->written, 16);
	/* Clearing the transmitter's FIFO empties it. */
	rig->room = 0;
	put(rig, RBR, 'x');
	assert_int_equal(get(rig, LSR), 0x00);
	put(rig, IIR, 0x05);
	assert_int_equal(get(rig, LSR), 0x60);
	/* Switching the FIFOs off does it too, but not saying "on" again. */
	put(rig, RBR, 'x');
	put(rig, IIR, 0x01);
	assert_int_equal(get(rig, LSR), 0x00);
	put(rig, IIR, 0x00);
	assert_int_equal(get(rig, LSR), 0x60);
	rig->room = 10;
	uart_poll(&rig->uart);
	assert_int_equal(rig->written, 16);
}

static void test_receive(void **state)
{
	struct rig *rig = start();

	(void)state;
	put(rig, IIR, 0x81); /* trigger at 8 */
	put(rig, IER, 0x01);
	send(rig, "1234567");
	assert_true(rig->f.irq.level);
	assert_int_equal(get(rig, IIR), 0xcc); /* timeout: below it */
	send(rig, "8");
	assert_int_equal(get(rig, IIR), 0xc4);
	for (unsigned i = 1; i <= 8; i++) {
		assert_int_equal(get(rig, LSR), 0x61);
		assert_int_equal(get(rig, RBR), '0' + i);
	}
	assert_int_equal(get(rig, LSR), 0x60);
	assert_false(rig->f.irq.level);
	/* Clearing the receiver's FIFO drops what is in it. */
	send(rig, "x");
	put(rig, IIR, 0x83);
	assert_int_equal(get(rig, LSR), 0x60);
	assert_false(rig->f.irq.level);
}

/* A guest that asks without interrupts takes one at a time from the wire. */
static void test_polled(void **state)
{
	struct rig *rig = start();

	(void)state;
	send(rig, "abc");
	assert_int_equal(rig->read, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(get(rig, LSR), 0x61);
		assert_int_equal(get(rig, RBR), 'a' + i);
	}
	assert_int_equal(get(rig, LSR), 0x60);
	assert_int_equal(get(rig, RBR), 0);
	/* One that says "request to send" gets as much as there is room. */
	put(rig, IIR, 0x01);
	put(rig, MCR, 0x02);
	send(rig, "0123456789abcdefgh");
	assert_int_equal(rig->read, 3 + 16);
}

/* Without FIFOs there is room for one; switching them on keeps it. */
static void test_no_fifo(void **state)
{
	struct rig *rig = start();

	(void)state;
	put(rig, IER, 0x01);
	send(rig, "ab");
	assert_int_equal(rig->read, 1);
	assert_int_equal(get(rig, IIR), 0x04);
	put(rig, IIR, 0x01);
	assert_int_equal(get(rig, RBR), 'a');
	assert_int_equal(get(rig, RBR), 'b');
}

static void test_loop(void **state)
{
	struct rig *rig = start();

	(void)state;
	put(rig, IIR, 0x01);
	put(rig, MCR, 0x10);
	assert_int_equal(get(rig, MSR), 0x0b); /* all fell but RI */
	assert_int_equal(get(rig, MSR), 0x00);
	put(rig, MCR, 0x1a); /* RTS and OUT2 */
	assert_int_equal(get(rig, MSR), 0x99);
	put(rig, MCR, 0x1f);
	assert_int_equal(get(rig, MSR), 0xf2); /* RI rises: no delta */
	put(rig, IER, 0x08);
	assert_false(rig->f.irq.level);
	put(rig, MCR, 0x1b);
	assert_int_equal(get(rig, IIR), 0xc0);
	assert_true(rig->f.irq.level);
	assert_int_equal(get(rig, MSR), 0xb4); /* RI's trailing edge */
	assert_false(rig->f.irq.level);

	/* Characters come back; the seventeenth overruns. */
	send(rig, "not now");
	for (unsigned i = 0; i < 17; i++)
		put(rig, RBR, (uint8_t)i);
	put(rig, IER, 0x04);
	assert_int_equal(get(rig, IIR), 0xc6);
	assert_int_equal(get(rig, LSR), 0x63);
	assert_int_equal(get(rig, IIR), 0xc1);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(get(rig, RBR), i);
	assert_int_equal(rig->written + rig->read, 0);
	put(rig, MCR, 0x0b);
	assert_int_equal(get(rig, RBR), 'n');
}

/* A driver: what its interrupt handler does. */
struct driver {
	const uint8_t *tx;
	size_t tx_count, tx_done;
	uint8_t rx[WIRE];
	size_t rx_done;
	unsigned edges; /* seen and served */
	unsigned depth; /* characters at each THRE */
};

static void driver_interrupt(struct rig *rig, struct driver *d)
{
	for (unsigned pass = 0; pass < 300; pass++) {
		uint8_t iir = get(rig, IIR), lsr;

		if (iir & 1)
			return;
		lsr = get(rig, LSR);
		assert_int_equal(lsr & 0x1e, 0);
		while (lsr & 1) {
			d->rx[d->rx_done++] = get(rig, RBR);
			lsr = get(rig, LSR);
		}
		for (unsigned i = 0; (lsr & 0x20) && i < d->depth && d->tx_done < d->tx_count; i++)
			put(rig, RBR, d->tx[d->tx_done++]);
	}
}

/*
 * Edge-triggered: the handler runs once for each rising edge, and never for a
 * level. One edge too few, and this stands still.
 */
static void run(bool fifo)
{
	static struct driver d;
	static uint8_t text[WIRE];
	struct rig *rig = start();
	uint32_t seed = 77;
	unsigned idle = 0;

	memset(&d, 0, sizeof(d));
	for (unsigned i = 0; i < WIRE; i++) {
		text[i] = (uint8_t)random32(&seed);
		rig->in[i] = (uint8_t)random32(&seed);
	}
	d.tx = text;
	d.depth = fifo ? 16 : 1;
	rig->room = 0;
	put(rig, IIR, fifo ? 0x87 : 0);
	put(rig, MCR, 0x0b);
	put(rig, IER, 0x03);
	while (d.rx_done < WIRE || rig->written < WIRE) {
		size_t n = random32(&seed) % 40;

		assert_true(idle++ < 1000000);
		switch (random32(&seed) % 4) {
		case 0:
			rig->sent += n < WIRE - rig->sent ? n : WIRE - rig->sent;
			uart_poll(&rig->uart);
			break;
		case 1:
			rig->room += n;
			uart_poll(&rig->uart);
			break;
		case 2:
			/* More to send: the driver kicks the transmitter. */
			d.tx_count += n < WIRE - d.tx_count ? n : WIRE - d.tx_count;
			put(rig, IER, 0x01);
			put(rig, IER, 0x03);
			break;
		default:
			if (rig->f.irq.edges != d.edges) {
				d.edges = rig->f.irq.edges;
				driver_interrupt(rig, &d);
			}
			break;
		}
	}
	assert_memory_equal(rig->out, text, WIRE);
	assert_memory_equal(d.rx, rig->in, WIRE);
}

static void test_driver(void **state)
{
	(void)state;
	run(true);
}

static void test_driver_no_fifo(void **state)
{
	(void)state;
	run(false);
}

/* Anything at all, with a wire that lies about how much it did. */
static size_t bad_wire(void *opaque, const uint8_t *bytes, size_t count)
{
	(void)bytes;
	return random32(opaque) % (count + 5);
}

static size_t bad_read(void *opaque, uint8_t *bytes, size_t count)
{
	memset(bytes, 'x', count);
	return random32(opaque) % (count + 5);
}

static void test_random(void **state)
{
	uint32_t seed = 31;
	struct fixture f;
	struct uart uart;
	const struct uart_wire wire = {bad_wire, bad_read, &seed};

	(void)state;
	fixture_init(&f);
	uart_init(&uart, &f.irq.line, &wire);
	assert_int_equal(uart_attach(&uart, &f.ports, BASE, "com1"), BUS_OK);
	for (unsigned i = 0; i < 300000; i++) {
		uint32_t r = random32(&seed);

		if (r & 1)
			out8(&f, (uint16_t)(BASE + (r >> 1) % 8), (uint8_t)(r >> 16));
		else
			in8(&f, (uint16_t)(BASE + (r >> 1) % 8));
		if (r % 7 == 0)
			uart_poll(&uart);
		assert_true(uart.rx.count <= UART_FIFO_SIZE);
		assert_true(uart.tx.count <= UART_FIFO_SIZE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers),      cmocka_unit_test(test_thre),
		cmocka_unit_test(test_back_pressure),  cmocka_unit_test(test_receive),
		cmocka_unit_test(test_polled),	       cmocka_unit_test(test_no_fifo),
		cmocka_unit_test(test_loop),	       cmocka_unit_test(test_driver),
		cmocka_unit_test(test_driver_no_fifo), cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("vmm uart", tests, NULL, NULL);
}
