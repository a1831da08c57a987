/*
 * The console service: owns the serial line, shows the consoles of programs
 * and guests on it, and gives what is typed to the one in focus.
 *
 * One thread does it all, woken by one semaphore: by clients that wrote or
 * read, and by the serial port's thread. Nothing is ever dropped: who is too
 * slow holds the other side up.
 */
#include <lib/console.h>
#include <lib/log.h>
#include <lib/print.h>
#include <lib/program.h>
#include <lib/request.h>
#include <lib/string.h>
#include <lib/syscall.h>
#include <lib/time.h>

#include "mux.h"
#include "uart.h"
#include "view.h"

enum { CHUNK = 512 };

static struct mux mux;

/* Our ends of the clients' channels, in the order of mux.clients. */
static const struct info_channel *channels[MUX_CLIENTS];

static struct console_ring *ring_of(unsigned i)
{
	return (struct console_ring *)channels[i]->address;
}

static void up(unsigned i, unsigned which)
{
	/* A client that died has no use for it. */
	(void)sm_up(channels[i]->selector + which);
}

/* What a client wrote; at most a chunk at a time, for fairness. */
static bool take_output(unsigned i, uint64_t now)
{
	struct console_ring *r = ring_of(i);
	uint8_t data[CHUNK];
	struct ring peek = {
		.head = __atomic_load_n(&r->tx.head, __ATOMIC_ACQUIRE),
		.tail = __atomic_load_n(&r->tx.tail, __ATOMIC_RELAXED),
	};
	size_t n = ring_read(&peek, r->tx_data, CONSOLE_TX, data, CHUNK);
	size_t done = n ? mux_put(&mux, i, data, n, now) : 0;

	__atomic_fetch_add(&r->tx.tail, (uint32_t)done, __ATOMIC_SEQ_CST);
	if (done && __atomic_exchange_n(&r->tx.wait, 0, __ATOMIC_SEQ_CST))
		up(i, CONSOLE_SPACE);
	return done > 0;
}

static bool take_outputs(uint64_t now)
{
	bool any = false;

	for (unsigned i = 0; i < mux.client_count; i++)
		any |= take_output(i, now);
	return any;
}

/* What does not go out now is kept, and goes first the next time. */
static bool send(void)
{
	static uint8_t data[CHUNK];
	static size_t begin, end;
	size_t done;

	if (begin == end) {
		begin = 0;
		end = ring_read(&mux.out, mux.out_data, MUX_OUT, data, CHUNK);
	}
	done = begin < end ? uart_write(data + begin, end - begin) : 0;
	begin += done;
	return done > 0;
}

static void focus(unsigned i)
{
	char text[MUX_LINE];

	if (i < mux.client_count) {
		mux_focus(&mux, i);
		snprintf(text, sizeof(text), "--- console %u: %s", i + 1, mux.clients[i].name);
		mux_say(&mux, text);
	}
}

/* The next raw console after the one in focus, if there is any. */
static void focus_next(void)
{
	for (unsigned n = 1; n <= mux.client_count; n++) {
		unsigned i = (mux.focus + n) % mux.client_count;

		if (mux.clients[i].raw) {
			focus(i);
			return;
		}
	}
	view_consoles(&mux);
}

static void control(uint8_t key, enum control what)
{
	unsigned i = key >= 'a' ? key - 'a' + 10u : (unsigned)(key - '0');

	if (request_control(i, what) != REQUEST_OK) {
		mux_say(&mux, what == CONTROL_STOP ? "--- that program cannot be stopped"
						   : "--- that program cannot be started");
	}
}

/* The keys after the escape key. */
static void command(uint8_t key)
{
	static uint8_t first; /* of two */

	if (first) {
		control(key, first == 'k' ? CONTROL_STOP : CONTROL_START);
		first = 0;
		return;
	}
	switch (key) {
	case 's':
		view_status(&mux);
		break;
	case 'c':
		view_consoles(&mux);
		break;
	case 'n':
		focus_next();
		break;
	case 'q':
		mux.quiet = !mux.quiet;
		mux_say(&mux, mux.quiet ? "--- other programs' lines: off"
					: "--- other programs' lines: on");
		break;
	case 'k':
	case 'r':
		first = key;
		break;
	default:
		if (key >= '1' && key <= '9')
			focus(key - '1');
		else
			view_help(&mux);
		break;
	}
}

/* Give a byte to the client in focus; false if it has no room. */
static bool give(uint8_t byte)
{
	struct console_ring *r;

	if (mux.focus >= mux.client_count)
		return true;
	r = ring_of(mux.focus);
	if (ring_write(&r->rx, r->rx_data, CONSOLE_RX, &byte, 1))
		return true;
	__atomic_store_n(&r->rx.wait, 1, __ATOMIC_SEQ_CST);
	return ring_write(&r->rx, r->rx_data, CONSOLE_RX, &byte, 1) == 1;
}

/* What was typed; stops where the client has no room. */
enum keys { KEYS_PLAIN, KEYS_ESCAPED, KEYS_SECOND };

static enum keys keys;

static bool take_key(uint8_t byte)
{
	if (keys == KEYS_PLAIN) {
		if (byte != KEY_ESCAPE)
			return give(byte);
		keys = KEYS_ESCAPED;
		return true;
	}
	if (keys == KEYS_ESCAPED && (byte == 't' || byte == KEY_ESCAPE)) {
		if (give(KEY_ESCAPE))
			keys = KEYS_PLAIN;
		return keys == KEYS_PLAIN;
	}
	if (!mux_has_room(&mux, VIEW_LINES))
		return false;
	keys = keys == KEYS_ESCAPED && (byte == 'k' || byte == 'r') ? KEYS_SECOND : KEYS_PLAIN;
	mux_begin(&mux);
	command(byte);
	mux_end(&mux);
	return true;
}

static bool take_input(void)
{
	static uint8_t data[CHUNK];
	static size_t begin, end;
	size_t before;

	if (begin == end) {
		begin = 0;
		end = uart_read(data, CHUNK);
	}
	before = begin;
	while (begin < end && take_key(data[begin]))
		begin++;
	if (begin > before && mux.focus < mux.client_count)
		up(mux.focus, CONSOLE_INPUT);
	return begin > before;
}

static void add_clients(const struct program_info *info)
{
	mux.focus = MUX_NONE;
	for (uint32_t i = 0; i < info->channel_count; i++) {
		const struct info_channel *c = &info->channels[i];
		struct mux_client *client = &mux.clients[mux.client_count];

		if (c->kind != CHANNEL_CLIENT)
			continue;
		client->name = c->name;
		client->raw = c->flags & CHANNEL_RAW;
		channels[mux.client_count] = c;
		if (client->raw && mux.focus == MUX_NONE)
			mux.focus = mux.client_count;
		mux.client_count++;
	}
}

_Noreturn static void serve(unsigned long work)
{
	for (;;) {
		uint64_t now = time_ns(), when;
		bool busy = take_input();

		busy |= take_outputs(now);
		when = mux_flush(&mux, now);
		busy |= send();
		if (!busy)
			(void)sm_down_all(work, when ? time_ns_to_tsc(when) : 0);
	}
}

int program_main(const struct program_info *info)
{
	const struct info_channel *interrupt = info_channel(CHANNEL_INTERRUPT, NULL);
	unsigned long work;
	enum status status;

	add_clients(info);
	if (!interrupt || !mux.client_count)
		panic("needs an interrupt, and the service \"console\"");
	work = channels[0]->selector + CONSOLE_WORK;
	status = uart_init(interrupt->selector, work, info->cpus[0], info->priority + 1);
	if (status != SUCCESS)
		panic("the serial port does not start (%u)", status);
	request_ready();
	serve(work);
}
