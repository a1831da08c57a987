/*
 * The MC146818 real-time clock and CMOS RAM at ports 0x70 and 0x71.
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../src/bus.h"
#include "../src/irq.h"
#include "../src/timer.h"

enum { RTC_CMOS_SIZE = 128 };

struct rtc {
	uint8_t cmos[RTC_CMOS_SIZE]; /* time as last brought up to date */
	uint8_t index;

	/*
	 * The divider chain began at clock `epoch`; then it was `seconds`
	 * since 1970, in the time zone that the guest keeps here.
	 */
	uint64_t epoch;
	int64_t seconds;

	/* Up to when flags have been set, since epoch. */
	uint64_t last_second;
	uint64_t last_beat; /* in 1/32768 s */

	const struct clock *clock;
	struct timer timer; /* the next flag that interrupts */
	struct irq_line *irq;
};

/* seconds: the time now, since 1970. */
void rtc_init(struct rtc *rtc, struct timer_queue *timers, struct irq_line *irq, int64_t seconds);
/* Interrupts and modes; time and RAM have a battery. */
void rtc_reset(struct rtc *rtc);
[[nodiscard]] enum bus_status rtc_attach(struct rtc *rtc, struct bus *ports);

/* CMOS RAM as a firmware would leave it: index from 0x0e. */
void rtc_set_ram(struct rtc *rtc, unsigned index, uint8_t value);
