/*
 * Calls, replies, and the events that are calls.
 */
#pragma once

#include "types.h"

struct ec;

/* Hand an event of `ec` to its portal. The next EC. */
struct ec *ipc_event(struct ec *ec, uint32_t event);

/* ec_ctrl: `self` gives its time to `ec`, if that still has the TLS word. */
struct ec *ipc_help(struct ec *self, struct ec *ec);

/* What goes on when memory is wanted: RDX of who is asked for it. */
enum oom_reason {
	OOM_NONE,     /* ask nobody */
	OOM_SEND = 1, /* in a call */
	OOM_REPLY = 2,
	OOM_SELF = 4, /* the one that is asked is who replies */
};

/*
 * `self` cannot go on for want of memory of its PD's or of `receiver`'s, if
 * that is not NULL: ask for it. The next EC; NULL: there is nobody to ask.
 */
struct ec *oom_call(struct ec *self, struct ec *receiver, enum oom_reason reason);

/* The call that `caller` was in is over. The next EC. */
struct ec *ipc_return(struct ec *caller);
