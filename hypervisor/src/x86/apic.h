/*
 * The local APIC: acknowledging interrupts, sending them to other CPUs, and the
 * timer.
 */
#pragma once

#include "../types.h"

#define APIC_PHYS 0xfee00000ul
/* Writes to the rest of it are interrupt messages to some chipsets. */
#define APIC_SIZE 0x100000ul

/* On the boot CPU: which kind, and where its registers are. */
void apic_setup(void);
/* On each CPU. */
void apic_init(void);
/* On the boot CPU: frequencies, for a timer that has no TSC deadline. */
void apic_timer_setup(uint64_t apic_khz, uint64_t tsc_khz);

uint32_t apic_id(void);
/* The highest that can be sent to. */
extern uint32_t apic_id_max;
void apic_eoi(void);

/* One way to start a CPU, SDM 3A 8.4.4.1. */
void apic_send_init(uint32_t apic_id);
void apic_send_startup(uint32_t apic_id, uint64_t page_phys);
/* An NMI to all other CPUs. */
void apic_stop_others(void);

/* An interrupt when the TSC has this value, or soon before; ~0: never. */
void timer_set(uint64_t deadline);
/* For tsc.c: count down from ~0, silently, until apic_timer_setup(). */
void apic_timer_start(void);
uint32_t apic_timer_left(void);
