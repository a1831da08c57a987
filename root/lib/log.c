/*
 * Messages to the program's console, and the end by panic.
 */
#include <lib/log.h>

#include <stdarg.h>
#include <stdbool.h>

#include <lib/console.h>
#include <lib/print.h>
#include <lib/request.h>
#include <lib/string.h>
#include <lib/time.h>

static const char *const prefix[] = {
	[LOG_ERROR] = "error: ",
	[LOG_WARNING] = "warning: ",
	[LOG_INFO] = "",
};

static void write_console(const char *text, size_t length)
{
	if (console_log)
		console_write(console_log, text, length);
}

void (*log_sink)(const char *text, size_t n) = write_console;

/* Format behind what is in the buffer; returns the new length. */
[[gnu::format(printf, 3, 0)]] static size_t append(char text[PRINT_MAX], size_t length,
						   const char *format, va_list list)
{
	int n = vsnprintf(text + length, PRINT_MAX - length, format, list);

	length += (size_t)n;
	return length < PRINT_MAX ? length : PRINT_MAX - 1;
}

void print(const char *format, ...)
{
	char text[PRINT_MAX];
	va_list list;
	size_t n;

	va_start(list, format);
	n = append(text, 0, format, list);
	va_end(list);
	log_sink(text, n);
}

void log_write(enum log_level level, const char *format, ...)
{
	char text[PRINT_MAX];
	va_list list;
	size_t n;

	n = string_copy(text, prefix[level], sizeof(text));
	va_start(list, format);
	n = append(text, n, format, list);
	va_end(list);
	n = n < PRINT_MAX - 1 ? n : PRINT_MAX - 2;
	text[n++] = '\n';
	log_sink(text, n);
}

bool log_allowed(struct log_rate *rate)
{
	uint64_t now = time_ns(), more;

	if (!rate->last) {
		rate->left = rate->burst;
		rate->last = now;
	}
	more = (now - rate->last) / rate->interval;
	if (more) {
		rate->left = more < rate->burst - rate->left ? rate->left + (unsigned)more
							     : rate->burst;
		rate->last += more * rate->interval;
	}
	if (!rate->left)
		return false;
	rate->left--;
	return true;
}

void panic(const char *format, ...)
{
	char text[EXIT_MESSAGE];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	program_exit(EXIT_FAILED, text);
}
