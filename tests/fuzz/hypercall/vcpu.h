/*
 * Exits of the attackers' vCPUs, answered with state that may be anything.
 */
#pragma once

#include <lib/thread.h>

/* What the portals carry. */
#define VCPU_MTD 0x07ffffffu

unsigned long vcpu_event(struct portal *p, struct utcb *u);
void vcpu_round(uint64_t seed);
uint64_t vcpu_exits(void);
