/*
 * The serial port: a 16550A at COM1, driven by its interrupt in both
 * directions.
 *
 * A thread of high priority empties the receive FIFO, which holds 16 bytes,
 * into a large ring. When that is full it stops, and so does, by RTS and by
 * the full FIFO, the sender: nothing is lost.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <abi/call.h>

/*
 * interrupt: its semaphore. wake: a semaphore to up when there is input, or
 * room for output. The thread gets the priority.
 */
[[nodiscard]] enum status uart_init(unsigned long interrupt, unsigned long wake, unsigned cpu,
				    unsigned priority);

/* Received bytes, without waiting. */
size_t uart_read(void *data, size_t n);

/* Bytes that the transmitter takes now; it wakes us when it has room again. */
size_t uart_write(const uint8_t *data, size_t n);
