/*
 * Two 8259A interrupt controllers in cascade, as in a PC: master at 0x20, slave
 * at 0xa0 behind the master's input 2, edge/level registers at 0x4d0.
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../src/bus.h"
#include "../src/irq.h"

struct pic_chip {
	uint8_t irr, imr, isr;
	uint8_t lines;	   /* levels at the inputs */
	uint8_t elcr;	   /* 1: level-triggered */
	uint8_t lowest;	   /* input with the lowest priority: rotation */
	uint8_t vector;	   /* ICW2, bits 7..3 */
	uint8_t icw_next;  /* the ICW that is expected: 2..4; 0: none */
	bool icw4_needed;  /* ICW1 bit 0 */
	bool single;	   /* ICW1 bit 1: no cascade */
	bool level;	   /* ICW1 bit 3: all inputs level-triggered */
	bool auto_eoi;	   /* ICW4 bit 1 */
	bool nested;	   /* ICW4 bit 4: special fully nested mode */
	bool rotate_aeoi;  /* OCW2: rotate in automatic EOI mode */
	bool special_mask; /* OCW3 */
	bool read_isr;	   /* OCW3: the command port reads ISR, else IRR */
	bool poll;	   /* OCW3: the next read is an acknowledge */
};

struct pic {
	struct pic_chip master, slave;
	struct irq_line *output; /* INTR */
};

void pic_init(struct pic *pic, struct irq_line *output);
void pic_reset(struct pic *pic);
[[nodiscard]] enum bus_status pic_attach(struct pic *pic, struct bus *ports);

/* An irq_input's set(); pin is 0..15, 2 is the cascade and not an input. */
void pic_set(void *pic, unsigned pin, bool level);

/* Is INTR high? */
bool pic_pending(const struct pic *pic);

/* Interrupt acknowledge cycle: the vector; a spurious one if there is none. */
uint8_t pic_acknowledge(struct pic *pic);
