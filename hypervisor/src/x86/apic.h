/*
 * The local APIC: acknowledging interrupts, sending them to other CPUs, and the
 * timer.
 */
#pragma once

#include "../types.h"

#define APIC_PHYS 0xfee00000ul
/* Writes to the rest of it are interrupt messages to some chipsets. */
#define APIC_SIZE 0x100000ul

/* What is sent to another CPU: SDM 3A 10.6.1, and to start it 8.4.4.1. */
enum {
	APIC_FIXED = 1 << 14, /* with the vector */
	APIC_NMI_OTHERS = 4 << 8 | 1 << 14 | 3 << 18,
	APIC_INIT = 5 << 8 | 1 << 14,
	APIC_STARTUP = 6 << 8 | 1 << 14, /* with the number of a page */
};

/* On each CPU, the boot CPU first, when there is a TSC to delay by. */
void apic_init(void);

uint32_t apic_id(void);
/* The highest that can be sent to. */
extern uint32_t apic_id_max;
void apic_eoi(void);
/* Nothing happens before apic_init(). */
void apic_send(uint32_t apic_id, uint32_t message);

/* An interrupt when the TSC has this value, or soon before. */
void timer_set(uint64_t deadline);
