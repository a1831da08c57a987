/*
 * Selectors: which of the program's from SEL_FREE on are in use.
 */
#pragma once

struct lock;

/* Of the table; the runtime initialises it. */
extern struct lock sel_lock;

/*
 * 2^order selectors, aligned to their number; 0 when there are none left.
 * Thread-safe.
 */
[[nodiscard]] unsigned long sel_alloc(unsigned order);
void sel_free(unsigned long sel, unsigned order);
