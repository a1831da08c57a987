/*
 * A thread's state in its UTCB, as its exceptions transfer it.
 */
#pragma once

#include <abi/utcb.h>

#include "types.h"

struct ec;

void state_save(struct ec *ec, struct utcb *utcb, uint64_t mtd);
/* Whatever is in the UTCB, the thread stays one in user mode. */
void state_load(struct ec *ec, const struct utcb *utcb, uint64_t mtd);
