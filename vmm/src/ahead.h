/*
 * Running ahead: after an exit at a place where more have followed soon, the
 * guest is not entered; the VMM runs its code itself (quick.h) until there is
 * nothing of the kind any more. A driver that talks to its device in a loop,
 * Linux's serial console for one, then exits once and not once for each access.
 *
 * What the guest does is the same, and when it is interrupted; only who runs it
 * differs. A run is bounded, so that others wait for the VM's lock no longer
 * than for a slow exit.
 *
 * Where it pays is learned by address: an exit after which a run found nothing
 * is let be for a while, twice as long each time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "quick.h"

struct vcpu;

enum {
	AHEAD_SITES = 64, /* a power of two */
	/* Instructions: to the next access, in all, for an emulated one. */
	AHEAD_GAP = 400,
	AHEAD_ALL = 8192,
	AHEAD_EMULATED = 16,
};

/* An instruction that exits. */
struct ahead_site {
	uint64_t rip;
	uint16_t wait;	  /* as often it is let be */
	uint8_t failures; /* log2 of how long the next time */
	uint8_t misses;	  /* without another access behind it */
};

struct ahead {
	bool on;
	struct ahead_site site[AHEAD_SITES];
	/* Of the run under way, or to come. */
	struct ahead_site *last; /* of the last access */
	unsigned left;		 /* instructions, not yet granted */
	unsigned accesses;
	bool ends;			       /* on purpose, not for want of more */
	uint64_t *runs, *instructions, *saved; /* for the status view */
	struct quick quick;
};

void ahead_init(struct vcpu *v);

/* It is on, and an exit at rip is done but for its reply: is a run due? */
bool ahead_pays(struct vcpu *v, uint64_t rip);

/* Run. VM locked; needs MTD_AHEAD. */
void ahead_run(struct vcpu *v);
