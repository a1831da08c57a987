/*
 * Calls of handlers on other CPUs.
 */
#pragma once

#include "types.h"

struct ec;

/* The proxy of `self`; NULL: no memory for one. */
struct ec *remote_proxy(struct ec *self);
/*
 * It does `work` on a CPU, until remote_return(). `self` goes on as its `resume`
 * says, with the proxy's RDI. The next EC.
 */
struct ec *remote_send(struct ec *self, uint32_t cpu, struct ec *(*work)(struct ec *));
/* The call that `self` is in is made on `cpu`, where its handler is. */
struct ec *remote_call(struct ec *self, uint32_t cpu);
/*
 * A proxy has tried to call; `next` is what sys_call() said. The next EC.
 */
struct ec *remote_tried(struct ec *proxy, struct ec *next);
/* As `work` of a proxy: its call is over. */
struct ec *remote_return(struct ec *proxy);
/* The same, of a dead one that does not run and is in no queue. */
void remote_cancel(struct ec *proxy);
