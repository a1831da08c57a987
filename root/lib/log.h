/*
 * Messages for people, a line each: "[program] level: text". The console puts
 * the program's name in front; the text should begin with who speaks inside
 * of it ("pit: ...") where that is not clear. No newline at the end.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO };

/* Where text goes: the program's console. Root has other ideas at times. */
extern void (*log_sink)(const char *text, size_t n);

[[gnu::format(printf, 2, 3)]] void log_write(enum log_level level, const char *format, ...);

#define log_error(...)	 log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_INFO, __VA_ARGS__)

/*
 * For messages that a guest or a client can cause: at most `burst` of them,
 * and then again one each `interval` nanoseconds.
 *
 *	static struct log_rate rate = LOG_RATE(10, NS_PER_S);
 *
 *	if (log_allowed(&rate))
 *		log_warning(...);
 */
struct log_rate {
	uint64_t interval; /* ns */
	unsigned burst;
	unsigned left; /* that may come at once; 0 before first use */
	uint64_t last; /* ns, when `left` was counted; 0: never */
};

#define LOG_RATE(burst_, interval_)         \
	{                                   \
		(interval_), (burst_), 0, 0 \
	}

[[nodiscard]] _Bool log_allowed(struct log_rate *rate);

/* Report and end the program: for what cannot be (not: bad input). */
[[gnu::format(printf, 1, 2)]] _Noreturn void panic(const char *format, ...);
