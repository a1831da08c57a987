/*
 * What the files of the local APIC share: lapic.c, lapic_timer.c,
 * lapic_message.c, lapic_register.c.
 */

#pragma once

#include "lapic.h"

enum {
	BASE_BSP = 1 << 8,
	BASE_EXTD = 1 << 10,
	BASE_EN = 1 << 11,

	SVR_ENABLED = 1 << 8,
	SVR_RESET = 0xff,

	LVT_VECTOR = 0xff,
	LVT_MODE_SHIFT = 8,
	LVT_MASKED = 1 << 16,
	LVT_READ_ONLY = 1 << 12 | 1 << 14, /* status and remote IRR */
	LVT_TIMER_MODE = 3 << 17,
	LVT_TIMER_PERIODIC = 1 << 17,
	LVT_TIMER_DEADLINE = 2 << 17,

	ESR_SEND_ILLEGAL = 1 << 5,
	ESR_RECEIVE_ILLEGAL = 1 << 6,
	ESR_REGISTER = 1 << 7,

	VECTOR_FIRST = 16, /* lower ones are illegal */
};

#define DFR_FLAT 0xffffffffu

static inline bool lapic_is_enabled(const struct lapic *lapic)
{
	return (lapic->base & BASE_EN) != 0;
}

static inline bool lapic_is_x2apic(const struct lapic *lapic)
{
	return (lapic->base & BASE_EXTD) != 0;
}

static inline bool lapic_is_software_enabled(const struct lapic *lapic)
{
	return lapic_is_enabled(lapic) && (lapic->svr & SVR_ENABLED) != 0;
}

/* lapic.c: processor priority; a vector, an NMI, an LVT entry, an error. */
uint8_t lapic_ppr(const struct lapic *lapic);
void lapic_post(struct lapic *lapic, uint8_t vector, bool level);
void lapic_post_nmi(struct lapic *lapic);
void lapic_fire(struct lapic *lapic, enum lapic_lvt entry);
void lapic_error(struct lapic *lapic, uint32_t error);
void lapic_eoi(struct lapic *lapic);
void lapic_take_init(struct lapic *lapic);

/* lapic_timer.c */
uint32_t lapic_timer_current(const struct lapic *lapic);
void lapic_timer_write_lvt(struct lapic *lapic, uint32_t value);
void lapic_timer_write_initial(struct lapic *lapic, uint32_t value);
void lapic_timer_write_divide(struct lapic *lapic, uint32_t value);
void lapic_timer_write_deadline(struct lapic *lapic, uint64_t value);
void lapic_timer_expire(void *lapic);

/* lapic_message.c: the logical ID of x2APIC mode; send what ICR says. */
uint32_t lapic_x2apic_ldr(const struct lapic *lapic);
void lapic_send(struct lapic *lapic);
