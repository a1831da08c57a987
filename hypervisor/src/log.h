/*
 * The kernel's own lines on the serial port: few, and none that a program or a
 * guest can cause without bound. And its last ones.
 */
#pragma once

enum { LOG_SIZE = 16384 };

/*
 * All that was said, which root can read (hypervisor.ld): from the start; when
 * it is full the oldest gives way to the newest, which always ends with a 0.
 */
extern char log_ring[LOG_SIZE];

void log_init(void);

/*
 * A whole line, ended by \n; "[cpu] " is put before it. Conversions: u x s, l
 * before the first two, and a width, which is filled with zeroes.
 */
__attribute__((format(printf, 1, 2))) void log(const char *format, ...);

/*
 * The end of the kernel: for broken invariants of its own, never for what a
 * program or a guest did.
 *
 * What is printed begins with a line "panic: ...", the reason, and ends with
 * the line "panic: end". Formats are those of log().
 */
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
