/*
 * The kernel's own lines on the serial port: few, and none that a program or a
 * guest can cause without bound.
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
