/*
 * A 16550A serial port. The wire is a pair of functions: bytes that they do not
 * take or have yet stay on their side or in the FIFO, so that none is lost in
 * either direction; uart_poll() tries again.
 */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../src/bus.h"
#include "../src/irq.h"

enum { UART_FIFO_SIZE = 16 };

/* Neither blocks; each returns how many bytes it took or gave. */
struct uart_wire {
	size_t (*write)(void *opaque, const uint8_t *bytes, size_t count);
	size_t (*read)(void *opaque, uint8_t *bytes, size_t count);
	void *opaque;
};

struct uart_fifo {
	uint8_t byte[UART_FIFO_SIZE];
	uint8_t first, count;
};

struct uart {
	struct uart_wire wire;
	struct irq_line *irq;
	struct uart_fifo rx, tx;

	uint8_t ier, fcr, lcr, mcr, scr;
	uint8_t lsr;	  /* only the error bits */
	uint8_t msr;	  /* only the delta bits */
	uint8_t dll, dlm; /* the divisor has no effect */
	bool thre;	  /* THR empty: an interrupt not yet told */
};

void uart_init(struct uart *uart, struct irq_line *irq, const struct uart_wire *wire);
void uart_reset(struct uart *uart);
[[nodiscard]] enum bus_status uart_attach(struct uart *uart, struct bus *ports, uint16_t base,
					  const char *name);

/* The wire has bytes to read, or room for more. */
void uart_poll(struct uart *uart);
