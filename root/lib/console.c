/*
 * The client's side of a console channel.
 */
#include <lib/console.h>

#include <lib/syscall.h>

struct console *console_log;

bool console_open(struct console *console, const char *name)
{
	const struct info_channel *c = info_channel(CHANNEL_CONSOLE, name);

	if (!c || c->size < sizeof(struct console_ring))
		return false;
	console->ring = (struct console_ring *)c->address;
	console->sel = c->selector;
	return lock_init(&console->lock) == SUCCESS;
}

/*
 * Ups of a channel's semaphores fail only when the console service is gone;
 * then the bytes wait in the ring for its successor.
 */
static void wake_console(const struct console *c)
{
	(void)sm_up(c->sel + CONSOLE_WORK);
}

static size_t put(struct console *c, const void *data, size_t n)
{
	return ring_write(&c->ring->tx, c->ring->tx_data, CONSOLE_TX, data, n);
}

size_t console_try_write(struct console *console, const void *data, size_t n)
{
	size_t done;

	lock_acquire(&console->lock);
	done = put(console, data, n);
	lock_release(&console->lock);
	if (done)
		wake_console(console);
	return done;
}

/* Sleep until the console took something; it may have already. */
static enum status wait_for_space(struct console *c)
{
	__atomic_store_n(&c->ring->tx.wait, 1, __ATOMIC_SEQ_CST);
	if (ring_used(&c->ring->tx, CONSOLE_TX) < CONSOLE_TX)
		return SUCCESS;
	wake_console(c);
	return sm_down_all(c->sel + CONSOLE_SPACE, 0);
}

void console_queue(struct console *console, const void *data, size_t n)
{
	const uint8_t *at = data;

	lock_acquire(&console->lock);
	while (n) {
		size_t done = put(console, at, n);

		at += done;
		n -= done;
		if (n && wait_for_space(console) != SUCCESS)
			break;
	}
	lock_release(&console->lock);
}

void console_flush(struct console *console)
{
	wake_console(console);
}

void console_write(struct console *console, const void *data, size_t n)
{
	console_queue(console, data, n);
	console_flush(console);
}

size_t console_try_read(struct console *console, void *data, size_t n)
{
	struct ring *rx = &console->ring->rx;
	size_t done = ring_read(rx, console->ring->rx_data, CONSOLE_RX, data, n);

	if (done && __atomic_exchange_n(&rx->wait, 0, __ATOMIC_SEQ_CST))
		wake_console(console);
	return done;
}

size_t console_read(struct console *console, void *data, size_t n, uint64_t deadline)
{
	for (;;) {
		size_t done = console_try_read(console, data, n);

		if (done || sm_down_all(console->sel + CONSOLE_INPUT, deadline) != SUCCESS)
			return done;
	}
}
