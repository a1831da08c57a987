/*
 * Calls, replies, and the events that are calls; on this CPU and others.
 */
#pragma once

#include "syscall.h"

/* Hand an event of `ec` to its portal. The next EC. */
struct ec *ipc_event(struct ec *ec, uint32_t event);
/* As `work`: that of `event`, which is new, or whose handler was busy. */
struct ec *ipc_report(struct ec *ec);

/*
 * `self` cannot go on for want of memory of its PD's or of `receiver`'s, if
 * that is not NULL: ask for it. The next EC; NULL: there is nobody to ask.
 */
struct ec *oom_call(struct ec *self, struct ec *receiver, enum oom_reason reason);

/* The call that `caller` was in is over. The next EC. */
struct ec *ipc_return(struct ec *caller);

/* The proxy of `self`; NULL: no memory for one. */
struct ec *remote_proxy(struct ec *self);
/*
 * It does `work` on a CPU, until remote_return(). `self` goes on as its `resume`
 * says, with the proxy's RDI. The next EC.
 */
struct ec *remote_send(struct ec *self, uint32_t cpu, struct ec *(*work)(struct ec *));
/* As `work` of a proxy: its call is over. */
struct ec *remote_return(struct ec *proxy);
/* The same, of a dead one that does not run and is in no queue. */
void remote_cancel(struct ec *proxy);
