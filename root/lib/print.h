/*
 * Formatted text: %d %i %u %x %X %o %c %s %p %%, lengths hh h l ll z t j,
 * flags - 0 + space #, width and precision as numbers or *. No floating
 * point. As in ISO C otherwise.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/*
 * Write at most size bytes with the terminating 0; returns how many there
 * would be without it.
 */
[[gnu::format(printf, 3, 4)]] int snprintf(char *restrict to, size_t size,
					   const char *restrict format, ...);
[[gnu::format(printf, 3, 0)]] int vsnprintf(char *restrict to, size_t size,
					    const char *restrict format, va_list list);

/*
 * Text to the program's console ("log" channel): whole lines come out behind
 * the program's name. Not more than PRINT_MAX bytes a call.
 */
enum { PRINT_MAX = 1024 };

[[gnu::format(printf, 1, 2)]] void print(const char *format, ...);
