/*
 * Motorola MC146818A data sheet.
 *
 * Time is a function of the clock. The registers are brought up to date when
 * somebody reads them, and taken over as the time when somebody writes. The
 * flags of register C are found when they are looked at; a timer runs only for
 * one that is enabled and not yet set, so that a guest that ignores them costs
 * nothing.
 */

#include "rtc.h"

#include <stddef.h>

enum {
	SECONDS = 0x00,
	SECONDS_ALARM = 0x01,
	MINUTES = 0x02,
	MINUTES_ALARM = 0x03,
	HOURS = 0x04,
	HOURS_ALARM = 0x05,
	DAY_OF_WEEK = 0x06,
	DAY = 0x07,
	MONTH = 0x08,
	YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_D = 0x0d,
	CENTURY = 0x32, /* FADT says so */

	A_UIP = 0x80,
	A_DIVIDER_RESET = 0x60, /* both bits */
	A_RATE = 0x0f,
	A_RESET = 0x26, /* 32768 Hz, rate 1024 Hz */

	B_SET = 0x80,
	B_PIE = 0x40,
	B_AIE = 0x20,
	B_UIE = 0x10,
	B_SQWE = 0x08,
	B_BINARY = 0x04,
	B_24_HOURS = 0x02,

	C_IRQF = 0x80,
	C_PF = 0x40,
	C_AF = 0x20,
	C_UF = 0x10, /* the flags are where B has enables */

	D_VRT = 0x80,

	HOUR_PM = 0x80,
	ALARM_ANY = 0xc0,

	CRYSTAL_HZ = 32768,
	UIP_BEATS = 8, /* 244 us before the update */

	DAY_SECONDS = 86400,
};

struct date {
	int64_t year;
	unsigned month, day;  /* from 1 */
	unsigned day_of_week; /* 1: Sunday */
	unsigned hour, minute, second;
};

/* Days since 1970 of a date, for any year >= 0 (proleptic Gregorian). */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
	/* Years begin in March, so that the leap day is their last. */
	int64_t y = month <= 2 ? year - 1 + 400 : year + 400;
	unsigned m = (month + 9) % 12;

	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468 - 146097;
}

static struct date date_of(int64_t seconds)
{
	int64_t days = seconds / DAY_SECONDS;
	unsigned rest = (unsigned)(seconds % DAY_SECONDS);
	int64_t era_day = days + 719468; /* since 0000-03-01 */
	int64_t era = era_day / 146097;
	unsigned d = (unsigned)(era_day % 146097);
	unsigned y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
	unsigned day_of_year = d - (365 * y + y / 4 - y / 100);
	unsigned m = (5 * day_of_year + 2) / 153;

	return (struct date){
		.year = era * 400 + y + (m >= 10),
		.month = m < 10 ? m + 3 : m - 9,
		.day = day_of_year - (153 * m + 2) / 5 + 1,
		.day_of_week = (unsigned)((days + 4) % 7) + 1,
		.hour = rest / 3600,
		.minute = rest / 60 % 60,
		.second = rest % 60,
	};
}

/* One register's number, in the format that register B says. */

static uint8_t encode(const struct rtc *rtc, unsigned value)
{
	if ((rtc->cmos[REG_B] & B_BINARY) != 0)
		return (uint8_t)value;
	return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

static unsigned decode(const struct rtc *rtc, uint8_t value)
{
	if ((rtc->cmos[REG_B] & B_BINARY) != 0)
		return value;
	return (value >> 4) * 10u + (value & 0xf);
}

static uint8_t encode_hour(const struct rtc *rtc, unsigned hour)
{
	if ((rtc->cmos[REG_B] & B_24_HOURS) != 0)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 == 0 ? 12 : hour % 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const struct rtc *rtc, uint8_t value)
{
	if ((rtc->cmos[REG_B] & B_24_HOURS) != 0)
		return decode(rtc, value);
	return decode(rtc, value & (uint8_t)~HOUR_PM) % 12 + ((value & HOUR_PM) != 0 ? 12 : 0);
}

/* Time. */

/* Set time, or a divider held in reset, stops the updates. */
static bool is_divider_reset(const struct rtc *rtc)
{
	return (rtc->cmos[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

static bool is_stopped(const struct rtc *rtc)
{
	return (rtc->cmos[REG_B] & B_SET) != 0 || is_divider_reset(rtc);
}

static uint64_t elapsed(const struct rtc *rtc)
{
	return clock_now(rtc->clock) - rtc->epoch;
}

static uint64_t elapsed_seconds(const struct rtc *rtc)
{
	return elapsed(rtc) / rtc->clock->hz;
}

static uint64_t elapsed_beats(const struct rtc *rtc)
{
	return clock_scale(elapsed(rtc), rtc->clock->hz, CRYSTAL_HZ);
}

/* The registers show the time; not while they are held. */
static void show_time(struct rtc *rtc)
{
	uint8_t *cmos = rtc->cmos;
	struct date date;

	if (is_stopped(rtc))
		return;
	date = date_of(rtc->seconds + (int64_t)elapsed_seconds(rtc));
	cmos[SECONDS] = encode(rtc, date.second);
	cmos[MINUTES] = encode(rtc, date.minute);
	cmos[HOURS] = encode_hour(rtc, date.hour);
	cmos[DAY_OF_WEEK] = encode(rtc, date.day_of_week);
	cmos[DAY] = encode(rtc, date.day);
	cmos[MONTH] = encode(rtc, date.month);
	cmos[YEAR] = encode(rtc, (unsigned)(date.year % 100));
	cmos[CENTURY] = encode(rtc, (unsigned)(date.year / 100 % 100));
}

static unsigned clamp(unsigned value, unsigned low, unsigned high)
{
	return value < low ? low : value > high ? high : value;
}

/* The time is what the registers say; nonsense is brought into range. */
static void take_time(struct rtc *rtc)
{
	const uint8_t *cmos = rtc->cmos;
	unsigned year = clamp(decode(rtc, cmos[YEAR]), 0, 99);
	unsigned century = clamp(decode(rtc, cmos[CENTURY]), 19, 99);
	unsigned month = clamp(decode(rtc, cmos[MONTH]), 1, 12);
	unsigned day = clamp(decode(rtc, cmos[DAY]), 1, 31);
	int64_t days = days_of(century * 100 + year, month, day);
	unsigned hour = clamp(decode_hour(rtc, cmos[HOURS]), 0, 23);
	unsigned minute = clamp(decode(rtc, cmos[MINUTES]), 0, 59);
	unsigned second = clamp(decode(rtc, cmos[SECONDS]), 0, 59);

	if (days < 0)
		days = 0; /* 1900..1969 */
	rtc->seconds = days * DAY_SECONDS + hour * 3600 + minute * 60 + second -
		       (int64_t)elapsed_seconds(rtc);
}

/* Alarm. */

/* Does a field of the time match its alarm register? */
static bool alarm_field(unsigned value, uint8_t alarm, unsigned wanted)
{
	return (alarm & ALARM_ANY) == ALARM_ANY || value == wanted;
}

/*
 * Seconds until the alarm, from a time of day, at least 1; 0: never. Field by
 * field: at most 24 hours, 60 minutes and 60 seconds are looked at.
 */
static unsigned until_alarm(const struct rtc *rtc, unsigned time_of_day)
{
	const uint8_t *cmos = rtc->cmos;
	unsigned hour = decode_hour(rtc, cmos[HOURS_ALARM]);
	unsigned minute = decode(rtc, cmos[MINUTES_ALARM]);
	unsigned second = decode(rtc, cmos[SECONDS_ALARM]);
	unsigned t = time_of_day + 1;

	while (t <= time_of_day + DAY_SECONDS)
		if (!alarm_field(t / 3600 % 24, cmos[HOURS_ALARM], hour))
			t = (t / 3600 + 1) * 3600;
		else if (!alarm_field(t / 60 % 60, cmos[MINUTES_ALARM], minute))
			t = (t / 60 + 1) * 60;
		else if (!alarm_field(t % 60, cmos[SECONDS_ALARM], second))
			t++;
		else
			return t - time_of_day;
	return 0;
}

/* The same from a second since epoch. */
static unsigned until_alarm_from(const struct rtc *rtc, uint64_t second)
{
	int64_t time = rtc->seconds + (int64_t)second;

	return until_alarm(rtc, (unsigned)(time % DAY_SECONDS));
}

/* Flags and their interrupt. */

/* Beats between periodic interrupts; 0: none. */
static uint64_t period(const struct rtc *rtc)
{
	unsigned rate = rtc->cmos[REG_A] & A_RATE;

	if (rate == 0 || is_divider_reset(rtc))
		return 0;
	return rate < 3 ? 1u << (rate + 6) : 1u << (rate - 1);
}

static void set_flags(struct rtc *rtc)
{
	uint64_t second = elapsed_seconds(rtc), beat = elapsed_beats(rtc);
	uint64_t beats = period(rtc);
	uint8_t *flags = &rtc->cmos[REG_C];

	if (beats != 0 && beat / beats != rtc->last_beat / beats)
		*flags |= C_PF;
	if (!is_stopped(rtc) && second > rtc->last_second) {
		unsigned until = until_alarm_from(rtc, rtc->last_second);

		*flags |= C_UF;
		if (until != 0 && second - rtc->last_second >= until)
			*flags |= C_AF;
	}
	rtc->last_second = second;
	rtc->last_beat = beat;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Clock at which the first flag is set that interrupts and is not set yet. */
static uint64_t next_flag(const struct rtc *rtc)
{
	uint8_t wanted = rtc->cmos[REG_B] & (uint8_t)~rtc->cmos[REG_C];
	uint64_t beats = period(rtc), hz = rtc->clock->hz;
	uint64_t next = TIMER_NEVER;

	if ((wanted & C_PF) != 0 && beats != 0) {
		uint64_t beat = (rtc->last_beat / beats + 1) * beats;

		next = clock_scale_up(beat, CRYSTAL_HZ, hz);
	}
	if ((wanted & C_UF) != 0 && !is_stopped(rtc))
		next = earlier(next, (rtc->last_second + 1) * hz);
	if ((wanted & C_AF) != 0 && !is_stopped(rtc)) {
		unsigned until = until_alarm_from(rtc, rtc->last_second);

		if (until != 0)
			next = earlier(next, (rtc->last_second + until) * hz);
	}
	return next == TIMER_NEVER ? TIMER_NEVER : rtc->epoch + next;
}

/* After any change: the flags, the line, the timer. */
static void update(struct rtc *rtc)
{
	uint8_t *flags = &rtc->cmos[REG_C];

	set_flags(rtc);
	if ((*flags & rtc->cmos[REG_B] & (C_PF | C_AF | C_UF)) != 0)
		*flags |= C_IRQF;
	else
		*flags &= (uint8_t)~C_IRQF;
	irq_set(rtc->irq, (*flags & C_IRQF) != 0);
	timer_arm(&rtc->timer, next_flag(rtc));
}

static void expire(void *opaque)
{
	update(opaque);
}

static uint8_t read_a(const struct rtc *rtc)
{
	uint64_t into = elapsed_beats(rtc) % CRYSTAL_HZ;
	bool uip = !is_stopped(rtc) && into >= CRYSTAL_HZ - UIP_BEATS;

	return rtc->cmos[REG_A] | (uip ? A_UIP : 0);
}

static uint8_t read_c(struct rtc *rtc)
{
	uint8_t flags;

	update(rtc);
	flags = rtc->cmos[REG_C];
	rtc->cmos[REG_C] = 0;
	update(rtc);
	return flags;
}

/* The divider chain starts half a second before the next update. */
static void restart_divider(struct rtc *rtc)
{
	rtc->epoch = clock_now(rtc->clock) - rtc->clock->hz / 2;
	rtc->last_second = 0;
	rtc->last_beat = elapsed_beats(rtc);
	take_time(rtc);
}

static void write_a(struct rtc *rtc, uint8_t value)
{
	bool was_reset = is_divider_reset(rtc);

	show_time(rtc);
	rtc->cmos[REG_A] = value & (uint8_t)~A_UIP;
	if (was_reset && !is_divider_reset(rtc))
		restart_divider(rtc);
}

static void write_b(struct rtc *rtc, uint8_t value)
{
	bool was_set = (rtc->cmos[REG_B] & B_SET) != 0;

	show_time(rtc);
	if ((value & B_SET) != 0)
		value &= (uint8_t)~B_UIE;
	rtc->cmos[REG_B] = value;
	if (was_set && !is_stopped(rtc))
		take_time(rtc);
}

static bool is_time(unsigned index)
{
	return index == CENTURY || (index <= YEAR && index != SECONDS_ALARM &&
				    index != MINUTES_ALARM && index != HOURS_ALARM);
}

static void write_register(struct rtc *rtc, unsigned index, uint8_t value)
{
	update(rtc); /* flags of the time before */
	if (index == REG_A) {
		write_a(rtc, value);
	} else if (index == REG_B) {
		write_b(rtc, value);
	} else if (is_time(index)) {
		show_time(rtc);
		rtc->cmos[index] = value;
		if (!is_stopped(rtc))
			take_time(rtc);
	} else if (index != REG_C && index != REG_D) {
		rtc->cmos[index] = value;
	}
	update(rtc);
}

static uint8_t read_register(struct rtc *rtc, unsigned index)
{
	if (index == REG_A)
		return read_a(rtc);
	if (index == REG_C)
		return read_c(rtc);
	if (is_time(index))
		show_time(rtc);
	return rtc->cmos[index];
}

static uint64_t rtc_read(void *device, uint64_t offset, unsigned bytes)
{
	struct rtc *rtc = device;

	(void)bytes;
	return offset == 0 ? 0xff : read_register(rtc, rtc->index);
}

static void rtc_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct rtc *rtc = device;

	(void)bytes;
	if (offset == 0)
		rtc->index = value % RTC_CMOS_SIZE; /* bit 7: NMI mask */
	else
		write_register(rtc, rtc->index, (uint8_t)value);
}

void rtc_set_ram(struct rtc *rtc, unsigned index, uint8_t value)
{
	if (index > REG_D && index < RTC_CMOS_SIZE && index != CENTURY)
		rtc->cmos[index] = value;
}

void rtc_init(struct rtc *rtc, struct timer_queue *timers, struct irq_line *irq, int64_t seconds)
{
	*rtc = (struct rtc){
		.clock = timers->clock,
		.epoch = clock_now(timers->clock),
		.seconds = seconds < 0 ? 0 : seconds,
		.irq = irq,
	};
	timer_init(&rtc->timer, timers, expire, rtc);
	rtc->cmos[REG_A] = A_RESET;
	rtc->cmos[REG_B] = B_24_HOURS;
	rtc->cmos[REG_D] = D_VRT;
	show_time(rtc);
	rtc_reset(rtc);
}

void rtc_reset(struct rtc *rtc)
{
	set_flags(rtc);
	rtc->index = 0;
	rtc->cmos[REG_B] &= (uint8_t) ~(B_PIE | B_AIE | B_UIE | B_SQWE);
	rtc->cmos[REG_C] = 0;
	update(rtc);
}

enum bus_status rtc_attach(struct rtc *rtc, struct bus *ports)
{
	return bus_add(ports, &(struct bus_region){
				      .base = 0x70,
				      .size = 2,
				      .read = rtc_read,
				      .write = rtc_write,
				      .device = rtc,
				      .name = "rtc",
				      .widths = BUS_BYTE,
			      });
}
