/*
 * Lines, and the one raw console between them.
 */
#include "mux.h"

#include <lib/string.h>

enum {
	QUIET = 100000000, /* ns without output: the line is a prompt */
	ESCAPE = 0x1b,
	DELETE = 0x7f,
};
#define PATIENCE 1000000000ul /* ns after which a line does not wait more */

enum escape { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_CSI };

static uint32_t room(const struct mux *m)
{
	return MUX_OUT - ring_used(&m->out, MUX_OUT);
}

bool mux_has_room(const struct mux *m, unsigned lines)
{
	return room(m) >= lines * MUX_ROOM;
}

static void emit(struct mux *m, const void *data, size_t n)
{
	ring_write(&m->out, m->out_data, MUX_OUT, data, n);
}

static void emit_text(struct mux *m, const char *text)
{
	emit(m, text, strlen(text));
}

static bool can_redraw(const struct mux *m)
{
	return m->redraw_length <= MUX_REDRAW;
}

/* Make room for lines above the raw client's unfinished one. */
static void clear_line(struct mux *m)
{
	if (m->midline && !m->block)
		emit_text(m, can_redraw(m) ? "\r\x1b[K" : "\r\n");
}

static void redraw_line(struct mux *m)
{
	if (m->midline && !m->block && can_redraw(m))
		emit(m, m->redraw, m->redraw_length);
}

static void emit_line(struct mux *m, const char *name, const char *line, size_t n)
{
	clear_line(m);
	if (name) {
		emit_text(m, "[");
		emit_text(m, name);
		emit_text(m, "] ");
	}
	emit(m, line, n);
	emit_text(m, "\r\n");
	redraw_line(m);
}

void mux_begin(struct mux *m)
{
	clear_line(m);
	m->block = true;
}

void mux_end(struct mux *m)
{
	m->block = false;
	redraw_line(m);
}

void mux_say(struct mux *m, const char *text)
{
	emit_line(m, NULL, text, strnlen(text, MUX_LINE));
}

/* May a line be shown now? If not, *when is when to look again. */
static bool may_show(const struct mux *m, const struct mux_client *c, uint64_t now, uint64_t *when)
{
	uint64_t quiet = m->last + QUIET, patience = c->since + PATIENCE;
	uint64_t first = quiet < patience ? quiet : patience;

	if (!m->midline || now >= first)
		return true;
	*when = !*when || first < *when ? first : *when;
	return false;
}

static void show(struct mux *m, struct mux_client *c)
{
	if (!m->quiet)
		emit_line(m, c->name, c->line, c->length);
	c->length = 0;
	c->complete = false;
}

uint64_t mux_flush(struct mux *m, uint64_t now)
{
	uint64_t when = 0;

	for (unsigned i = 0; i < m->client_count; i++) {
		struct mux_client *c = &m->clients[i];

		if (c->complete && mux_has_room(m, 1) && may_show(m, c, now, &when))
			show(m, c);
	}
	return when;
}

/* Is the byte a part of an escape sequence (ECMA-48)? */
static bool in_escape(unsigned *escape, uint8_t byte)
{
	switch (*escape) {
	case ESCAPE_NONE:
		*escape = byte == ESCAPE ? ESCAPE_BEGUN : ESCAPE_NONE;
		return byte == ESCAPE;
	case ESCAPE_BEGUN:
		*escape = byte == '[' ? ESCAPE_CSI : ESCAPE_NONE;
		return true;
	default:
		*escape = byte >= 0x40 && byte <= 0x7e ? ESCAPE_NONE : ESCAPE_CSI;
		return true;
	}
}

/* A byte of a client whose output is shown in lines. */
static void add_to_line(struct mux_client *c, uint8_t byte, uint64_t now)
{
	if (byte == '\n') {
		c->complete = true;
	} else if (!in_escape(&c->escape, byte) && byte != DELETE &&
		   (byte >= ' ' || byte == '\t')) {
		c->line[c->length++] = (char)byte;
		c->complete = c->length == MUX_LINE;
	}
	c->since = now;
}

static size_t put_lines(struct mux *m, struct mux_client *c, const uint8_t *data, size_t n,
			uint64_t now)
{
	uint64_t when = 0;
	size_t done = 0;

	for (;;) {
		if (c->complete) {
			if (!mux_has_room(m, 1) || !may_show(m, c, now, &when))
				return done;
			show(m, c);
		}
		if (done == n)
			return done;
		add_to_line(c, data[done++], now);
	}
}

/*
 * A sequence that asks the terminal something (DSR, DA) is not to be repeated:
 * it would answer each time.
 */
static void drop_query(struct mux *m, uint8_t byte)
{
	bool before = m->escape != ESCAPE_NONE;
	bool csi = m->escape == ESCAPE_CSI;

	if (!in_escape(&m->escape, byte))
		return;
	if (!before)
		m->escape_at = m->redraw_length - 1;
	if (csi && (byte == 'n' || byte == 'c') && can_redraw(m))
		m->redraw_length = m->escape_at;
}

/* Follow what the raw client's line looks like. */
static void track(struct mux *m, uint8_t byte)
{
	if (byte == '\n') {
		m->midline = m->carriage = false;
		m->redraw_length = 0;
		m->escape = ESCAPE_NONE;
		return;
	}
	if (byte == '\r') {
		m->carriage = true;
		return;
	}
	if (m->carriage) {
		m->carriage = false;
		m->redraw_length = 0;
		m->escape = ESCAPE_NONE;
	}
	m->midline = true;
	if (m->redraw_length < MUX_REDRAW)
		m->redraw[m->redraw_length++] = byte;
	else
		m->redraw_length = MUX_REDRAW + 1;
	drop_query(m, byte);
}

static size_t put_raw(struct mux *m, const uint8_t *data, size_t n, uint64_t now)
{
	size_t done = 0;

	m->last = now;
	while (done < n && mux_has_room(m, 2)) {
		uint8_t byte = data[done++];

		emit(m, &byte, 1);
		track(m, byte);
		if (byte == '\n')
			mux_flush(m, now);
	}
	return done;
}

size_t mux_put(struct mux *m, unsigned client, const uint8_t *data, size_t n, uint64_t now)
{
	struct mux_client *c = &m->clients[client];

	return c->raw && client == m->focus ? put_raw(m, data, n, now)
					    : put_lines(m, c, data, n, now);
}

/* The unfinished line of the raw client that loses the focus. */
static void keep_line(struct mux *m, uint64_t now)
{
	struct mux_client *c = &m->clients[m->focus];

	if (!m->midline || !can_redraw(m))
		return;
	for (unsigned i = 0; i < m->redraw_length && !c->complete; i++)
		add_to_line(c, m->redraw[i], now);
}

/*
 * The new client's unfinished line is shown as far as it is known; that of the
 * old one is left behind on the screen, or is gone in a block.
 */
void mux_focus(struct mux *m, unsigned client)
{
	struct mux_client *c = &m->clients[client];

	keep_line(m, m->last);
	if (m->midline && !m->block)
		emit_text(m, "\r\n");
	m->midline = m->carriage = false;
	m->redraw_length = 0;
	m->escape = ESCAPE_NONE;
	m->focus = client;
	if (client < m->client_count && c->raw) {
		for (unsigned i = 0; i < c->length; i++)
			track(m, (uint8_t)c->line[i]);
		redraw_line(m);
		c->length = 0;
		c->complete = false;
	}
}
