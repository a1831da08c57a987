/*
 * Portals: the way into a handler EC.
 */
#pragma once

#include "object.h"
#include "rcu.h"

struct ec;

struct pt {
	struct object object;
	struct ec *ec; /* handler; a reference */
	uint64_t id;   /* in RDI at the handler's entry */
	uint64_t ip;   /* entry, a user address */
	uint64_t mtd;  /* state that events transfer */
};

[[nodiscard]] enum status pt_create(struct pt **out, struct pd *owner, struct ec *ec, uint64_t mtd,
				    uint64_t ip);
void pt_destroy(struct pt *pt);
