/*
 * A small printf to the serial port COM1, and into a ring in memory that root
 * and debuggers can read. One line at a time, whatever the CPU.
 *
 * The port belongs to root once it runs; the kernel still writes there when it
 * has something to say, which is at boot, at its end, and hardly ever between.
 */
#include "log.h"

#include "x86/cpu.h"
#include "x86/insn.h"

enum {
	COM1 = 0x3f8,
	COM_DATA = COM1,
	COM_INTERRUPTS = COM1 + 1,
	COM_FIFO = COM1 + 2,
	COM_LINE = COM1 + 3,
	COM_MODEM = COM1 + 4,
	COM_STATUS = COM1 + 5,

	LINE_8N1 = 0x03,
	LINE_DIVISOR = 0x80,
	STATUS_ROOM = 0x20, /* the transmit holding register is empty */

	WAIT_MAX = 1 << 16, /* a dead port must not stop the kernel */
};

static struct lock log_lock;
static uint32_t next;
static bool port_works;

void log_init(void)
{
	out8(COM_INTERRUPTS, 0);
	out8(COM_LINE, LINE_DIVISOR);
	out8(COM_DATA, 1); /* 115200 baud */
	out8(COM_INTERRUPTS, 0);
	out8(COM_LINE, LINE_8N1);
	out8(COM_FIFO, 0x07);
	out8(COM_MODEM, 0x03);
	port_works = in8(COM_STATUS) != 0xff;
}

static void port_put(char c)
{
	for (unsigned i = 0; i < WAIT_MAX; i++) {
		if (in8(COM_STATUS) & STATUS_ROOM) {
			out8(COM_DATA, (uint8_t)c);
			return;
		}
		__builtin_ia32_pause();
	}
	port_works = false;
}

static void put(char c)
{
	log_ring[next++ % LOG_SIZE] = c;
	log_ring[next % LOG_SIZE] = 0;
	if (c == '\n' && port_works)
		port_put('\r');
	if (port_works)
		port_put(c);
}

static void put_string(const char *s, unsigned width)
{
	unsigned n = 0;

	for (; s[n] != 0; n++)
		put(s[n]);
	for (; n < width; n++)
		put(' ');
}

static void put_number(uint64_t value, unsigned base, unsigned width, char pad, bool negative)
{
	char digits[24];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	if (negative)
		digits[n++] = '-';
	for (unsigned i = n; i < width; i++)
		put(pad);
	while (n > 0)
		put(digits[--n]);
}

/* One conversion, `format` behind its %; returns what comes after it. */
static const char *convert(const char *format, va_list *arguments)
{
	char pad = ' ';
	unsigned width = 0;
	bool is_long = false;

	if (*format == '0') {
		pad = '0';
		format++;
	}
	for (; *format >= '0' && *format <= '9'; format++)
		width = width * 10 + (unsigned)(*format - '0');
	for (; *format == 'l'; format++)
		is_long = true;
	switch (*format) {
	case 'd': {
		int64_t v = is_long ? va_arg(*arguments, long) : va_arg(*arguments, int);

		put_number(v < 0 ? -(uint64_t)v : (uint64_t)v, 10, width, pad, v < 0);
		break;
	}
	case 'u':
	case 'x': {
		uint64_t v = is_long ? va_arg(*arguments, unsigned long)
				     : va_arg(*arguments, unsigned);

		put_number(v, *format == 'u' ? 10 : 16, width, pad, false);
		break;
	}
	case 'p':
		put_number((uint64_t)va_arg(*arguments, void *), 16, 16, '0', false);
		break;
	case 's':
		put_string(va_arg(*arguments, const char *), width);
		break;
	case 'c':
		put((char)va_arg(*arguments, int));
		break;
	default:
		put(*format);
	}
	return format + (*format != 0);
}

void log_va(const char *format, va_list arguments)
{
	va_list rest;

	va_copy(rest, arguments);
	while (*format != 0)
		if (*format == '%')
			format = convert(format + 1, &rest);
		else
			put(*format++);
	va_end(rest);
}

void log(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	lock(&log_lock);
	put('[');
	put_number(this_cpu()->id, 10, 0, ' ', false);
	put_string("] ", 0);
	log_va(format, arguments);
	unlock(&log_lock);
	va_end(arguments);
}
