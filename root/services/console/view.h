/*
 * What the console shows about the system, and the keys that ask for it.
 */
#pragma once

#include "mux.h"

enum { KEY_ESCAPE = 0x14 }; /* Ctrl-T */

void view_help(struct mux *m);
void view_status(struct mux *m);
void view_consoles(struct mux *m);

/* The lines that any of them needs at most. */
enum { VIEW_LINES = 40 };
