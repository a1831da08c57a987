/*
 * Against leaks by speculation: what the processor needs, and offers, at the
 * borders of kernel, programs and guests.
 *
 * Where it needs nothing the paths are as if this did not exist: there are other ends
 * and beginnings of them, to which boot makes jumps (entry.h).
 */
#pragma once

#include "../types.h"

/* Those that have paths of their own. */
enum mitigation {
	MITIGATE_ENTRY = 1 << 0, /* IBRS written at each entry */
	MITIGATE_IBPB = 1 << 1,
	MITIGATE_RETURNS = 1 << 2, /* the return stack is filled */
	MITIGATE_CLEAR = 1 << 3,   /* VERW */
	MITIGATE_L1D = 1 << 4,

	/* What there is to do: to another PD, from a guest. */
	MITIGATE_SWITCH = MITIGATE_IBPB | MITIGATE_RETURNS,
	MITIGATE_EXIT = MITIGATE_ENTRY | MITIGATE_RETURNS,
};

/* On each CPU at boot; the first chooses, and says in a line what is on. */
void mitigate_init(void);

/* Somebody else's code runs from now on: a thread of another PD, or a guest. */
void mitigate_switch(bool guest);

/* entry.S: entries of the return stack that are nobody's. */
void stuff_returns(void);
