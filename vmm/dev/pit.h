/*
 * The 8254 interval timer at ports 0x40..0x43, and port 0x61, which gates its
 * channel 2 (the speaker's, by which kernels calibrate other clocks) and shows
 * its output.
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../src/bus.h"
#include "../src/irq.h"
#include "../src/timer.h"

enum {
	PIT_HZ = 1193182,
	PIT_CHANNELS = 3,
};

struct pit_channel {
	/* The control word. */
	uint8_t mode;	/* 0..5 */
	uint8_t access; /* 1 low byte, 2 high byte, 3 low then high */
	bool bcd;

	/* Counting. Ticks are of PIT_HZ, since `start`. */
	uint32_t reload;      /* 1..65536 (BCD: 1..10000); 0: none yet */
	uint32_t next_reload; /* taken over at next_tick; 0: none */
	uint64_t next_tick;
	uint64_t start; /* clock at which the count began */
	bool counting;	/* loaded, and triggered where it must be */
	bool gate;
	bool paused; /* by the gate, at paused_tick */
	uint64_t paused_tick;

	/* Access. */
	bool write_high; /* access 3: the low byte has been written */
	uint8_t write_low;
	bool read_high; /* access 3: the low byte has been read */
	bool count_latched, status_latched;
	uint16_t latched_count;
	uint8_t latched_status;
};

struct pit {
	struct pit_channel channel[PIT_CHANNELS];
	const struct clock *clock;
	struct timer timer;   /* channel 0's next rising edge */
	struct irq_line *irq; /* channel 0's output */
	uint8_t port61;	      /* bits 3..0 as written */
};

void pit_init(struct pit *pit, struct timer_queue *timers, struct irq_line *irq);
void pit_reset(struct pit *pit);
[[nodiscard]] enum bus_status pit_attach(struct pit *pit, struct bus *ports);

/* Output of a channel, 0..2, now. */
bool pit_output(struct pit *pit, unsigned channel);
