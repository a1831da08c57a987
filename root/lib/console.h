/*
 * A console channel: two rings of bytes in memory shared with the console
 * service, and three semaphores. The runtime opens the program's own ("log");
 * a VMM opens its guest's ("console").
 *
 * Each ring has one producer and one consumer side. Indices run freely and are
 * taken modulo the size: neither side trusts the other's.
 *
 * A side that finds its ring full sets `wait` before it sleeps, and looks
 * again; the other side ups the semaphore if it finds `wait` set. So no byte
 * is ever dropped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lib/info.h>
#include <lib/lock.h>

enum {
	CONSOLE_TX = 16384, /* bytes, program to console */
	CONSOLE_RX = 8192,  /* bytes, console to program */
};

struct ring {
	uint32_t head; /* bytes written so far; the producer's */
	uint32_t wait; /* the producer waits for space */
	uint32_t pad0[14];
	uint32_t tail; /* bytes read so far; the consumer's */
	uint32_t pad1[15];
};

struct console_ring {
	struct ring tx, rx;
	uint8_t pad[4096 - 2 * sizeof(struct ring)];
	uint8_t tx_data[CONSOLE_TX];
	uint8_t rx_data[CONSOLE_RX];
	uint8_t pad_end[4096]; /* to a power of two */
};

_Static_assert(sizeof(struct console_ring) == 32768, "shared layout");

/* Ring operations, for both sides: bytes moved, 0 when full or empty. */
size_t ring_write(struct ring *ring, uint8_t *data, uint32_t size, const void *from, size_t n);
size_t ring_read(struct ring *ring, const uint8_t *data, uint32_t size, void *to, size_t n);

/* Bytes to be read; never more than size. */
uint32_t ring_used(const struct ring *ring, uint32_t size);

/* The channel's selectors, in order. */
enum {
	CONSOLE_WORK,  /* to up: there is something for the console */
	CONSOLE_INPUT, /* to down: there is something to read */
	CONSOLE_SPACE, /* to down: tx has space again */
	CONSOLE_SELS = 4,
};

struct console {
	struct console_ring *ring;
	unsigned long sel; /* the first of CONSOLE_SELS */
	struct lock lock;  /* of writers */
};

/* name: of the channel ("log", "console"). False if there is none. */
[[nodiscard]] bool console_open(struct console *console, const char *name);

/* All of it, waiting for space when needed. Thread-safe. */
void console_write(struct console *console, const void *data, size_t n);

/*
 * The two parts of it: what is put there is shown some time, and, once the
 * console has been told, now. Many small writes need one flush.
 */
void console_queue(struct console *console, const void *data, size_t n);
void console_flush(struct console *console);

/* As much as fits now; returns how much. Thread-safe. */
size_t console_try_write(struct console *console, const void *data, size_t n);

/*
 * Up to n bytes; waits for the first until the deadline (absolute TSC, 0:
 * forever), then returns 0. One reader at a time.
 */
size_t console_read(struct console *console, void *data, size_t n, uint64_t deadline);

/* Without waiting. */
size_t console_try_read(struct console *console, void *data, size_t n);

/* The program's own, or null before it is open. */
extern struct console *console_log;
