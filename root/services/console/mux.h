/*
 * Many consoles on one screen.
 *
 * One client has the focus. If it is a raw one (a guest), its bytes pass as
 * they are. All others' output comes in whole lines behind their name, without
 * control characters. When the raw client is in the middle of a line, a line
 * of another waits until that ends or nothing was added to it for a while;
 * then it is put above: the unfinished line is cleared, and drawn again below.
 *
 * No hardware and no clock in here: `now` is in nanoseconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lib/console.h>

enum {
	MUX_CLIENTS = INFO_CHANNELS,
	MUX_LINE = 240,	  /* bytes of a line; longer ones are cut in two */
	MUX_REDRAW = 512, /* bytes of an unfinished line that we remember */
	MUX_OUT = 65536,
	MUX_NONE = MUX_CLIENTS, /* no client */

	/* Room that one line can need: clearing, name, line, redrawing. */
	MUX_ROOM = MUX_LINE + MUX_REDRAW + INFO_NAME + 32,
};

struct mux_client {
	const char *name;
	bool raw;
	bool complete;	/* line is whole, and waits to be shown */
	uint64_t since; /* when it was completed */
	unsigned length;
	unsigned escape; /* inside an escape sequence */
	char line[MUX_LINE];
};

struct mux {
	unsigned client_count;
	unsigned focus; /* index or MUX_NONE */
	bool quiet;	/* lines of unfocused clients are not shown */
	struct mux_client clients[MUX_CLIENTS];

	/* The line on which the raw client in focus is. */
	bool midline;
	bool carriage;		/* its last byte was a carriage return */
	uint64_t last;		/* when it wrote last */
	bool block;		/* the line is cleared: others are coming */
	unsigned redraw_length; /* above MUX_REDRAW: was too long */
	unsigned escape;	/* inside an escape sequence, which began at: */
	unsigned escape_at;
	uint8_t redraw[MUX_REDRAW];

	struct ring out;
	uint8_t out_data[MUX_OUT];
};

/* Output of a client: how much of it was taken; the rest is to come again. */
size_t mux_put(struct mux *m, unsigned client, const uint8_t *data, size_t n, uint64_t now);

/* Show lines that waited; returns when to call again, or 0. */
uint64_t mux_flush(struct mux *m, uint64_t now);

/* The console's own line, at once. */
void mux_say(struct mux *m, const char *text);

/* Around many lines: the unfinished line is redrawn only behind the last. */
void mux_begin(struct mux *m);
void mux_end(struct mux *m);

void mux_focus(struct mux *m, unsigned client);

/* Can n more lines be written? */
bool mux_has_room(const struct mux *m, unsigned lines);
