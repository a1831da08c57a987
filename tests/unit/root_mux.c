/*
 * Consoles on one screen: a small terminal interprets what comes out, and the
 * screen must show lines whole and the unfinished line of the raw console at
 * the bottom. No byte of the raw console may be lost or doubled.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../root/services/console/mux.h"

#define MS 1000000ul

static struct mux m;
static char screen[1 << 20];
static size_t length, line; /* of screen; where its last line begins */

static void show(uint8_t byte)
{
	static unsigned escape;

	if (escape) {
		escape = byte == 'K' ? 0 : escape + 1;
	} else if (byte == 0x1b) {
		escape = 1;
		length = line; /* only "\r ESC [ K" is used */
	} else if (byte == '\n') {
		screen[length++] = '\n';
		line = length;
	} else if (byte != '\r') {
		screen[length++] = (char)byte;
	}
	screen[length] = 0;
}

static void drain(void)
{
	uint8_t data[256];
	size_t n;

	while ((n = ring_read(&m.out, m.out_data, MUX_OUT, data, 256)))
		for (size_t i = 0; i < n; i++)
			show(data[i]);
}

static int setup(void **state)
{
	static const char *const names[] = {"guest", "one", "two", "other"};

	(void)state;
	memset(&m, 0, sizeof(m));
	m.client_count = 4;
	for (unsigned i = 0; i < 4; i++)
		m.clients[i].name = names[i];
	m.clients[0].raw = m.clients[3].raw = true;
	length = line = 0;
	screen[0] = 0;
	return 0;
}

static size_t put(unsigned client, const char *text, uint64_t now)
{
	size_t n = mux_put(&m, client, (const uint8_t *)text, strlen(text), now);

	drain();
	return n;
}

static void lines(void **state)
{
	(void)state;
	assert_int_equal(put(1, "hello\nwor", 0), 9);
	assert_int_equal(put(2, "x\n", 0), 2);
	assert_int_equal(put(1, "ld\r\n", 0), 4);
	assert_string_equal(screen, "[one] hello\n[two] x\n[one] world\n");
}

static void control_characters(void **state)
{
	(void)state;
	put(1,
	    "a\x1b[31;1mb\x1b"
	    "Mc\a\b\x7f\td\xc3\xa4\n",
	    0);
	assert_string_equal(screen, "[one] abc\td\xc3\xa4\n");
}

static void prompt(void **state)
{
	(void)state;
	put(0, "boot\r\n/ # ec", 0);
	/* The guest is writing: the line waits, and comes above the prompt. */
	assert_int_equal(put(1, "tick\nmore", 50 * MS), 5);
	assert_string_equal(screen, "boot\n/ # ec");
	assert_int_equal(mux_flush(&m, 60 * MS), 100 * MS);
	assert_int_equal(mux_flush(&m, 101 * MS), 0);
	drain();
	assert_string_equal(screen, "boot\n[one] tick\n/ # ec");
	put(0, "ho\r\n", 102 * MS);
	assert_string_equal(screen, "boot\n[one] tick\n/ # echo\n");
}

static void end_of_line(void **state)
{
	(void)state;
	put(0, "a long", 0);
	put(1, "tick\n", 1 * MS);
	put(0, " line\r\nnext", 2 * MS);
	assert_string_equal(screen, "a long line\n[one] tick\nnext");
}

static void patience(void **state)
{
	(void)state;
	put(0, "dots", 0);
	put(1, "tick\n", 1 * MS);
	for (unsigned i = 0; i < 20; i++) {
		put(0, ".", i * 50 * MS);
		mux_flush(&m, i * 50 * MS);
	}
	assert_null(strstr(screen, "tick"));
	mux_flush(&m, 1002 * MS);
	drain();
	assert_string_equal(screen, "[one] tick\ndots....................");
}

static void focus(void **state)
{
	(void)state;
	put(3, "login: ", 0);
	put(0, "/ # ", 0);
	mux_focus(&m, 3);
	put(3, "root", 1 * MS);
	assert_string_equal(screen, "/ # \nlogin: root");
	put(0, "done\n", 200 * MS);
	mux_flush(&m, 300 * MS);
	drain();
	assert_string_equal(screen, "/ # \n[guest] / # done\nlogin: root");
	mux_focus(&m, 0);
	mux_focus(&m, 3);
	drain();
	assert_string_equal(screen, "/ # \n[guest] / # done\nlogin: root\n"
				    "login: root");
}

/* What asks the terminal is sent once; colours are drawn again. */
static void query(void **state)
{
	uint8_t data[256];
	size_t n;

	(void)state;
	mux_put(&m, 0, (const uint8_t *)"\x1b[6na\x1b[1mb\x1b[c", 13, 0);
	ring_read(&m.out, m.out_data, MUX_OUT, data, sizeof(data));
	mux_begin(&m);
	mux_say(&m, "one");
	mux_say(&m, "two");
	mux_end(&m);
	n = ring_read(&m.out, m.out_data, MUX_OUT, data, sizeof(data) - 1);
	data[n] = 0;
	assert_string_equal((char *)data, "\r\x1b[Kone\r\ntwo\r\na\x1b[1mb");
}

static void quiet(void **state)
{
	(void)state;
	m.quiet = true;
	put(1, "tick\n", 0);
	mux_say(&m, "--- mine");
	drain();
	assert_string_equal(screen, "--- mine\n");
}

/*
 * Everything at once, the output read slowly: guest bytes come out in order,
 * each line of the others whole and in order.
 */
static void nothing_lost(void **state)
{
	char *guest = malloc(200000), text[64];
	size_t have = 0, sent = 0;
	unsigned ticks = 0, pending = 0;

	(void)state;
	srand(5);
	for (uint64_t now = 0; have < 150000 || sent < have; now += 10 * MS) {
		if (have < 150000)
			for (int n = rand() % 200; n > 0; n--)
				guest[have++] = "abcdefghijkl\n"[rand() % 13];
		guest[have] = 0;
		sent += mux_put(&m, 0, (uint8_t *)guest + sent, have - sent, now);
		if (!pending)
			sprintf(text, "tick %u\n", ticks);
		pending += (unsigned)mux_put(&m, 1, (uint8_t *)text + pending,
					     strlen(text) - pending, now);
		if (!text[pending]) {
			pending = 0;
			ticks++;
		}
		mux_flush(&m, now);
		drain();
	}
	mux_flush(&m, UINT64_MAX / 2);
	drain();
	/* Take the other's lines out; the guest's text must remain. */
	for (unsigned i = 0; i < ticks; i++) {
		char *at;
		size_t n = (size_t)sprintf(text, "[one] tick %u\n", i);

		at = strstr(screen, text);
		assert_non_null(at);
		memmove(at, at + n, strlen(at + n) + 1);
	}
	assert_true(ticks > 100);
	assert_string_equal(screen, guest);
	free(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lines, setup),
		cmocka_unit_test_setup(control_characters, setup),
		cmocka_unit_test_setup(prompt, setup),
		cmocka_unit_test_setup(end_of_line, setup),
		cmocka_unit_test_setup(patience, setup),
		cmocka_unit_test_setup(focus, setup),
		cmocka_unit_test_setup(query, setup),
		cmocka_unit_test_setup(quiet, setup),
		cmocka_unit_test_setup(nothing_lost, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
