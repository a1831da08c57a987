/*
 * The time stamp counter: what it counts a second.
 */
#pragma once

#include "../types.h"

extern uint32_t tsc_khz;

/* Boot CPU, with its local APIC on: measure it, and the APIC's timer. */
void tsc_init(void);

void tsc_delay(uint64_t microseconds);
