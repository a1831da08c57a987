/*
 * Direct output to COM1, for as long as the console service does not run.
 */
#pragma once

#include <stddef.h>

/* The ports must be root's. */
void serial_write(const char *text, size_t n);
