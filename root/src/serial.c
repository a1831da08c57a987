/*
 * COM1, polled. The kernel has set the line up; without a device the status
 * reads as all ones, which is "ready".
 */
#include "serial.h"

#include <lib/io.h>

enum { COM1 = 0x3f8, THR = 0, LSR = 5, LSR_THRE = 0x20 };

static void put(char c)
{
	while (!(in8(COM1 + LSR) & LSR_THRE)) {
	}
	out8(COM1 + THR, (uint8_t)c);
}

void serial_write(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n')
			put('\r');
		put(text[i]);
	}
}
