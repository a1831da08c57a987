/*
 * The console's own lines.
 */
#include "view.h"

#include <lib/log.h>
#include <lib/print.h>
#include <lib/request.h>
#include <lib/string.h>
#include <lib/time.h>

[[gnu::format(printf, 2, 3)]] static void say(struct mux *m, const char *format, ...)
{
	char text[MUX_LINE];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	mux_say(m, text);
}

void view_help(struct mux *m)
{
	static const char *const lines[] = {
		"--- keys, each after Ctrl-T:",
		"  s    status: programs, their CPU time, memory, VM exits",
		"  n    next console            1-9  console by its number",
		"  c    list of consoles        q    other programs' lines "
		"on, off",
		"  k N  stop program N          r N  start program N "
		"(N from the status)",
		"  t    send Ctrl-T             h    this help",
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		mux_say(m, lines[i]);
}

void view_consoles(struct mux *m)
{
	mux_say(m, "--- consoles:");
	for (unsigned i = 0; i < m->client_count; i++) {
		say(m, " %c%2u %s%s", i == m->focus ? '*' : ' ', i + 1, m->clients[i].name,
		    m->clients[i].raw ? " (interactive)" : "");
	}
}

static const char *const states[] = {
	[STATE_IDLE] = "off",  [STATE_WAITING] = "waiting", [STATE_RUNNING] = "running",
	[STATE_DEAD] = "dead", [STATE_ENDED] = "ended",	    [STATE_FAILED] = "failed",
};

/* A tenth of a percent of the time since the last view. */
static unsigned share(unsigned i, uint64_t time)
{
	static uint64_t last_time[MUX_CLIENTS], last_view[MUX_CLIENTS];
	uint64_t now = time_ns() / NS_PER_US, passed, used;

	if (i >= MUX_CLIENTS)
		return 0;
	passed = now - last_view[i];
	used = time > last_time[i] ? time - last_time[i] : 0;
	last_view[i] = now;
	last_time[i] = time;
	return passed ? (unsigned)(used * 1000 / passed) : 0;
}

static void show_details(struct mux *m, const struct program_view *v)
{
	char text[MUX_LINE];
	size_t n = 0;

	for (unsigned i = 0; i < v->thread_count; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s %lu.%03lus",
				      v->threads[i].name, v->threads[i].time / 1000000,
				      v->threads[i].time / 1000 % 1000);
		n = n < sizeof(text) ? n : sizeof(text) - 1;
	}
	for (unsigned i = 0; i < v->counter_count; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s=%lu", v->counters[i].name,
				      v->counters[i].value);
		n = n < sizeof(text) ? n : sizeof(text) - 1;
	}
	if (n)
		say(m, "     %s", text);
}

static void show_program(struct mux *m, unsigned i, const struct program_view *v)
{
	unsigned percent = share(i, v->time);
	const char *state = v->state < sizeof(states) / sizeof(*states) ? states[v->state] : "?";

	say(m, "%4u %-16.16s %-8s %5u %8lu %6lu/%-6lu %5lu.%03lu %3u.%u%%", i, v->name, state,
	    v->starts, v->memory >> 10, v->kernel_used, v->kernel_limit, v->time / 1000000,
	    v->time / 1000 % 1000, percent / 10, percent % 10);
	show_details(m, v);
}

void view_status(struct mux *m)
{
	static struct program_view view;
	uint64_t seconds = time_ns() / NS_PER_S;

	say(m, "--- status, %lu:%02lu:%02lu after the start (Ctrl-T h: help)", seconds / 3600,
	    seconds / 60 % 60, seconds % 60);
	say(m, "  nr name             state   start      KiB kernel pages   "
	       "CPU time   load");
	for (unsigned i = 0; mux_has_room(m, 3) && request_status(i, &view) == REQUEST_OK; i++)
		show_program(m, i, &view);
}
