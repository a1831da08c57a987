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

/* The call that `caller` was in is over. The next EC. */
struct ec *ipc_return(struct ec *caller);
