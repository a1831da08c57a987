/*
 * The end of the kernel (log.c): for broken invariants of its own, never for
 * what a program or a guest did.
 *
 * What is printed begins with a line "panic: ...", the reason, and ends with
 * the line "panic: end". Formats are those of log.h.
 */
#pragma once

struct regs;

/* An exception in the kernel: with the registers it saved, or NULL. */
_Noreturn __attribute__((format(printf, 2, 3))) void panic_exception(const struct regs *regs,
								     const char *format, ...);
#define panic(...) panic_exception(NULL, __VA_ARGS__)

/* An NMI arrived. If another CPU has panicked, this CPU stops here. */
void panic_nmi(void);

/* Always on; the condition must have no side effects. */
#define assert(condition)                                                               \
	do {                                                                            \
		if (__builtin_expect(!(condition), 0))                                  \
			panic("assertion %s at %s:%u", #condition, __FILE__, __LINE__); \
	} while (0)
