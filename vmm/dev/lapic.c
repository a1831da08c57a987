/*
 * SDM 3A chapter 11 is the manual for all of this.
 *
 * Registers have one number in both modes: the memory register's offset / 16 is
 * the MSR's number - 0x800. A table says who may do what with each.
 *
 * The timer counts in the bus clock that CPUID says (config.timer_hz) and is
 * kept as the time at which the count began; the TSC deadline needs nothing
 * but the deadline.
 */

#include "lapic.h"

#include <stddef.h>

#include "../src/bus.h"

enum {
	REG_ID = 0x02,
	REG_VERSION = 0x03,
	REG_TPR = 0x08,
	REG_APR = 0x09,
	REG_PPR = 0x0a,
	REG_EOI = 0x0b,
	REG_RRD = 0x0c,
	REG_LDR = 0x0d,
	REG_DFR = 0x0e,
	REG_SVR = 0x0f,
	REG_ISR = 0x10,
	REG_TMR = 0x18,
	REG_IRR = 0x20,
	REG_ESR = 0x28,
	REG_ICR = 0x30,
	REG_ICR_HIGH = 0x31,
	REG_LVT_TIMER = 0x32,
	REG_LVT_THERMAL = 0x33,
	REG_LVT_PMC = 0x34,
	REG_LVT_LINT0 = 0x35,
	REG_LVT_LINT1 = 0x36,
	REG_LVT_ERROR = 0x37,
	REG_TIMER_INITIAL = 0x38,
	REG_TIMER_CURRENT = 0x39,
	REG_TIMER_DIVIDE = 0x3e,
	REG_SELF_IPI = 0x3f,
	REGISTERS = 0x40,
};

/* Fields. */
enum {
	BASE_BSP = 1 << 8,
	BASE_EXTD = 1 << 10,
	BASE_EN = 1 << 11,

	/* An integrated APIC; LVT entries - 1 in bits 23..16. */
	VERSION = 0x14 | (LAPIC_LVTS - 2) << 16,

	SVR_ENABLED = 1 << 8,
	SVR_RESET = 0xff,

	LVT_VECTOR = 0xff,
	LVT_MODE_SHIFT = 8,
	LVT_MASKED = 1 << 16,
	LVT_READ_ONLY = 1 << 12 | 1 << 14,	/* status and remote IRR */
	LVT_TIMER_MODE = 3 << 17,
	LVT_TIMER_PERIODIC = 1 << 17,
	LVT_TIMER_DEADLINE = 2 << 17,

	ESR_SEND_ILLEGAL = 1 << 5,
	ESR_RECEIVE_ILLEGAL = 1 << 6,
	ESR_REGISTER = 1 << 7,

	ICR_LOGICAL = 1 << 11,
	ICR_ASSERT = 1 << 14,
	ICR_LEVEL = 1 << 15,

	VECTOR_FIRST = 16,	/* lower ones are illegal */

	/* Periodic interrupts are at most this many a second. */
	PERIODIC_HZ_MAX = 20000,
};

#define BASE_ADDRESS 0x000ffffffffff000ull
#define DFR_FLAT 0xffffffffu

enum access {
	R = 1 << 0,		/* readable */
	W = 1 << 1,		/* writable */
	X = 1 << 2,		/* only in xAPIC mode */
	X2 = 1 << 3,		/* only in x2APIC mode */
	X2_RO = 1 << 4,		/* not writable in x2APIC mode */
};

/* What each register allows; bits: those that may be written. */
static const struct {
	uint8_t access;
	uint32_t bits;
} registers[REGISTERS] = {
	[REG_ID] = { R, 0 },
	[REG_VERSION] = { R, 0 },
	[REG_TPR] = { R | W, 0xff },
	[REG_APR] = { R | X, 0 },
	[REG_PPR] = { R, 0 },
	[REG_EOI] = { W, 0 },
	[REG_RRD] = { R | X, 0 },
	[REG_LDR] = { R | W | X2_RO, 0xff000000 },
	[REG_DFR] = { R | W | X, 0xf0000000 },
	[REG_SVR] = { R | W, 0x1ff },
	[REG_ISR ... REG_ISR + 7] = { R, 0 },
	[REG_TMR ... REG_TMR + 7] = { R, 0 },
	[REG_IRR ... REG_IRR + 7] = { R, 0 },
	[REG_ESR] = { R | W, 0 },
	[REG_ICR] = { R | W, 0x000ccfff },
	[REG_ICR_HIGH] = { R | W | X, 0xff000000 },
	[REG_LVT_TIMER] = { R | W, 0x700ff },
	[REG_LVT_THERMAL] = { R | W, 0x107ff },
	[REG_LVT_PMC] = { R | W, 0x107ff },
	[REG_LVT_LINT0] = { R | W, 0x1a7ff },
	[REG_LVT_LINT1] = { R | W, 0x1a7ff },
	[REG_LVT_ERROR] = { R | W, 0x100ff },
	[REG_TIMER_INITIAL] = { R | W, 0xffffffff },
	[REG_TIMER_CURRENT] = { R, 0 },
	[REG_TIMER_DIVIDE] = { R | W, 0xb },
	[REG_SELF_IPI] = { W | X2, 0xff },
};

/* Sets of 256 vectors. */

static bool vector_test(const uint64_t set[4], unsigned vector)
{
	return (set[vector / 64] >> vector % 64 & 1) != 0;
}

static void vector_set(uint64_t set[4], unsigned vector)
{
	set[vector / 64] |= 1ull << vector % 64;
}

static void vector_clear(uint64_t set[4], unsigned vector)
{
	set[vector / 64] &= ~(1ull << vector % 64);
}

static int vector_top(const uint64_t set[4])
{
	for (int i = 3; i >= 0; i--) {
		if (set[i] != 0) {
			return i * 64 + 63 - __builtin_clzll(set[i]);
		}
	}
	return -1;
}

/* Bits 32 * n and up, as the eight registers of ISR, TMR and IRR have them. */
static uint32_t vector_word(const uint64_t set[4], unsigned n)
{
	return (uint32_t)(set[n / 2] >> n % 2 * 32);
}

static bool is_enabled(const struct lapic *lapic)
{
	return (lapic->base & BASE_EN) != 0;
}

static bool is_x2apic(const struct lapic *lapic)
{
	return (lapic->base & BASE_EXTD) != 0;
}

static bool is_software_enabled(const struct lapic *lapic)
{
	return is_enabled(lapic) && (lapic->svr & SVR_ENABLED) != 0;
}

static void kick(struct lapic *lapic)
{
	if (lapic->config.hooks.kick != NULL) {
		lapic->config.hooks.kick(lapic->config.hooks.opaque);
	}
}

/* Processor priority, SDM 3A 11.8.3.1. */
static uint8_t ppr(const struct lapic *lapic)
{
	uint8_t tpr = (uint8_t)lapic->tpr;

	if (tpr >> 4 >= lapic->isr_top >> 4) {
		return tpr;
	}
	return lapic->isr_top & 0xf0;
}

int lapic_pending(const struct lapic *lapic)
{
	int vector = vector_top(lapic->irr);

	return vector >> 4 > ppr(lapic) >> 4 ? vector : -1;
}

static void raise_error(struct lapic *lapic, uint32_t error);

/* A vector arrives: into IRR. */
static void post(struct lapic *lapic, uint8_t vector, bool level)
{
	if (vector < VECTOR_FIRST) {
		raise_error(lapic, ESR_RECEIVE_ILLEGAL);
		return;
	}
	if (level) {
		vector_set(lapic->tmr, vector);
	} else {
		vector_clear(lapic->tmr, vector);
	}
	if (vector_test(lapic->irr, vector)) {
		return;
	}
	vector_set(lapic->irr, vector);
	if (vector >> 4 > ppr(lapic) >> 4) {
		kick(lapic);
	}
}

static void post_nmi(struct lapic *lapic)
{
	lapic->nmi = true;
	kick(lapic);
}

/* An entry of the local vector table fires. */
static void fire(struct lapic *lapic, enum lapic_lvt entry)
{
	uint32_t lvt = lapic->lvt[entry];

	if ((lvt & LVT_MASKED) != 0 || !is_enabled(lapic)) {
		return;
	}
	switch (lvt >> LVT_MODE_SHIFT & 7) {
	case APIC_FIXED:
		post(lapic, lvt & LVT_VECTOR, false);
		break;
	case APIC_NMI:
		post_nmi(lapic);
		break;
	case APIC_EXTINT:
		kick(lapic);
		break;
	default:
		break;
	}
}

/*
 * The error entry's own illegal vector is an error too: that it is noted
 * already ends the recursion.
 */
static void raise_error(struct lapic *lapic, uint32_t error)
{
	if ((lapic->esr_pending & error) != 0) {
		return;
	}
	lapic->esr_pending |= error;
	fire(lapic, LAPIC_LVT_ERROR);
}

void lapic_accept(struct lapic *lapic, uint8_t vector)
{
	if (!vector_test(lapic->irr, vector)) {
		return;
	}
	vector_clear(lapic->irr, vector);
	vector_set(lapic->isr, vector);
	if (vector > lapic->isr_top) {
		lapic->isr_top = vector;
	}
}

static void eoi(struct lapic *lapic)
{
	uint8_t vector = lapic->isr_top;

	if (vector == 0) {
		return;
	}
	vector_clear(lapic->isr, vector);

	int top = vector_top(lapic->isr);

	lapic->isr_top = top < 0 ? 0 : (uint8_t)top;
	if (vector_test(lapic->tmr, vector) && lapic->config.eoi != NULL) {
		lapic->config.eoi(lapic->config.ioapic, vector);
	}
}

bool lapic_extint(const struct lapic *lapic)
{
	uint32_t lvt = lapic->lvt[LAPIC_LVT_LINT0];

	if (!lapic->lint[0]) {
		return false;
	}
	if (!is_enabled(lapic)) {
		return true;
	}
	return (lvt & LVT_MASKED) == 0 &&
	       (lvt >> LVT_MODE_SHIFT & 7) == APIC_EXTINT;
}

void lapic_lint_set(void *opaque, unsigned pin, bool level)
{
	struct lapic *lapic = opaque;

	if (pin > 1 || lapic->lint[pin] == level) {
		return;
	}
	lapic->lint[pin] = level;
	if (!level) {
		return;
	}
	if (is_enabled(lapic)) {
		fire(lapic, pin == 0 ? LAPIC_LVT_LINT0 : LAPIC_LVT_LINT1);
	} else if (pin == 0) {
		kick(lapic);		/* the pin is INTR now */
	} else {
		post_nmi(lapic);
	}
}

bool lapic_nmi_pending(const struct lapic *lapic)
{
	return lapic->nmi;
}

bool lapic_nmi_take(struct lapic *lapic)
{
	bool nmi = lapic->nmi;

	lapic->nmi = false;
	return nmi;
}

uint8_t lapic_cr8_read(const struct lapic *lapic)
{
	return (uint8_t)(lapic->tpr >> 4);
}

void lapic_cr8_write(struct lapic *lapic, uint8_t cr8)
{
	lapic->tpr = (uint32_t)(cr8 & 0xf) << 4;
}

/* Timer, SDM 3A 11.5.4. */

static const struct clock *lapic_clock(const struct lapic *lapic)
{
	return lapic->config.timers->clock;
}

static bool is_deadline_mode(const struct lapic *lapic)
{
	return (lapic->lvt[LAPIC_LVT_TIMER] & LVT_TIMER_MODE) ==
	       LVT_TIMER_DEADLINE;
}

static bool is_periodic(const struct lapic *lapic)
{
	return (lapic->lvt[LAPIC_LVT_TIMER] & LVT_TIMER_MODE) ==
	       LVT_TIMER_PERIODIC;
}

static uint64_t divisor(const struct lapic *lapic)
{
	uint32_t divide = lapic->timer_divide;

	/* Bits 3, 1, 0: 0 is 2, 1 is 4, ... 6 is 128, 7 is 1. */
	return 1ull << (((divide >> 1 & 4) + (divide & 3) + 1) & 7);
}

static uint32_t timer_current(const struct lapic *lapic)
{
	uint64_t elapsed;

	if (lapic->timer_initial == 0 || !timer_armed(&lapic->timer)) {
		return 0;
	}
	elapsed = clock_now(lapic_clock(lapic)) - lapic->timer_start;
	elapsed = clock_scale(elapsed, lapic_clock(lapic)->hz,
			      lapic->config.timer_hz) / divisor(lapic);
	if (is_periodic(lapic)) {
		elapsed %= lapic->timer_initial;
	}
	return elapsed < lapic->timer_initial ?
	       lapic->timer_initial - (uint32_t)elapsed : 0;
}

/* Count in clock ticks, rounded up. */
static uint64_t count_ticks(const struct lapic *lapic, uint64_t count)
{
	return clock_scale_up(count * divisor(lapic), lapic->config.timer_hz,
			      lapic_clock(lapic)->hz);
}

/* Deadline of the count that began at timer_start; saturates. */
static uint64_t count_deadline(const struct lapic *lapic)
{
	uint64_t deadline;

	if (__builtin_add_overflow(lapic->timer_start, lapic->timer_period,
				   &deadline)) {
		return TIMER_NEVER;
	}
	return deadline;
}

/* Run with `current` still to count; 0 stops. */
static void timer_start(struct lapic *lapic, uint32_t current)
{
	uint64_t least = lapic_clock(lapic)->hz / PERIODIC_HZ_MAX;

	if (current == 0) {
		timer_cancel(&lapic->timer);
		return;
	}
	lapic->timer_start = clock_now(lapic_clock(lapic)) -
			     count_ticks(lapic, lapic->timer_initial - current);
	lapic->timer_period = count_ticks(lapic, lapic->timer_initial);
	if (is_periodic(lapic) && lapic->timer_period < least) {
		lapic->timer_period = least;
	}
	timer_arm(&lapic->timer, count_deadline(lapic));
}

static void timer_again(struct lapic *lapic)
{
	uint64_t late = clock_now(lapic_clock(lapic)) - lapic->timer_start;

	/* Periods that nobody had time for are skipped. */
	if (lapic->timer_period != 0) {
		lapic->timer_start += late - late % lapic->timer_period;
	}
	timer_arm(&lapic->timer, count_deadline(lapic));
}

static void timer_expire(void *opaque)
{
	struct lapic *lapic = opaque;

	if (is_deadline_mode(lapic)) {
		lapic->tsc_deadline = 0;
	} else if (is_periodic(lapic)) {
		timer_again(lapic);
	}
	fire(lapic, LAPIC_LVT_TIMER);
}

static void deadline_arm(struct lapic *lapic)
{
	uint64_t now = clock_now(lapic_clock(lapic));
	uint64_t guest_now = now + lapic->tsc_offset;
	uint64_t deadline;

	if (lapic->tsc_deadline == 0) {
		timer_cancel(&lapic->timer);
	} else if (lapic->tsc_deadline <= guest_now) {
		timer_cancel(&lapic->timer);
		timer_expire(lapic);
	} else if (__builtin_add_overflow(now, lapic->tsc_deadline - guest_now,
					  &deadline)) {
		timer_cancel(&lapic->timer);	/* in centuries */
	} else {
		timer_arm(&lapic->timer, deadline);
	}
}

void lapic_set_tsc_offset(struct lapic *lapic, uint64_t offset)
{
	lapic->tsc_offset = offset;
	if (is_deadline_mode(lapic)) {
		deadline_arm(lapic);
	}
}

static void write_lvt_timer(struct lapic *lapic, uint32_t value)
{
	uint32_t changed = lapic->lvt[LAPIC_LVT_TIMER] ^ value;
	uint32_t current = timer_current(lapic);

	lapic->lvt[LAPIC_LVT_TIMER] = value;
	if ((changed & LVT_TIMER_DEADLINE) != 0) {
		/* To or from deadline mode: disarmed. */
		lapic->tsc_deadline = 0;
		lapic->timer_initial = 0;
		timer_cancel(&lapic->timer);
	} else if ((changed & LVT_TIMER_MODE) != 0) {
		timer_start(lapic, current);
	}
}

static void write_timer_divide(struct lapic *lapic, uint32_t value)
{
	uint32_t current = timer_current(lapic);

	lapic->timer_divide = value;
	if (!is_deadline_mode(lapic)) {
		timer_start(lapic, current);
	}
}

/* Messages. */

static bool matches_xapic_logical(const struct lapic *lapic, uint32_t to)
{
	uint32_t own = lapic->ldr >> 24;

	if ((to & 0xff) == 0xff) {
		return true;
	}
	if (lapic->dfr == DFR_FLAT) {
		return (to & own) != 0;
	}
	return (to >> 4 & 0xf) == own >> 4 && (to & own & 0xf) != 0;
}

static uint32_t x2apic_ldr(const struct lapic *lapic)
{
	uint32_t id = lapic->config.id;

	return id >> 4 << 16 | 1u << (id & 0xf);
}

static bool matches(const struct lapic *lapic,
		    const struct apic_message *message)
{
	uint32_t to = message->destination;

	if (to == (message->x2apic ? UINT32_MAX : 0xff)) {
		return true;
	}
	if (!message->logical) {
		return to == lapic->config.id;
	}
	if (is_x2apic(lapic)) {
		uint32_t own = x2apic_ldr(lapic);

		return to >> 16 == own >> 16 && (to & own & 0xffff) != 0;
	}
	return matches_xapic_logical(lapic, to);
}

static void take_init(struct lapic *lapic);

/* false: this local APIC does not take it. */
static bool take(struct lapic *lapic, const struct apic_message *message)
{
	const struct lapic_hooks *hooks = &lapic->config.hooks;

	if (!is_enabled(lapic)) {
		return false;
	}
	switch (message->mode) {
	case APIC_FIXED:
	case APIC_LOWEST:
		if (!is_software_enabled(lapic)) {
			return false;
		}
		post(lapic, message->vector, message->level);
		return true;
	case APIC_NMI:
		post_nmi(lapic);
		return true;
	case APIC_INIT:
		take_init(lapic);
		return true;
	case APIC_STARTUP:
		if (hooks->startup != NULL) {
			hooks->startup(hooks->opaque, message->vector);
		}
		return true;
	default:
		return false;		/* SMI, ExtINT and what is reserved */
	}
}

/* Of those addressed, the one with the lowest priority; taking turns. */
static bool deliver_lowest(struct lapics *all,
			   const struct apic_message *message)
{
	struct lapic *best = NULL;
	unsigned turn = all->next;

	for (unsigned i = 0; i < all->count; i++) {
		unsigned at = (turn + i) % all->count;
		struct lapic *lapic = all->lapic[at];

		if (is_software_enabled(lapic) && matches(lapic, message) &&
		    (best == NULL || ppr(lapic) < ppr(best))) {
			best = lapic;
			all->next = (at + 1) % all->count;
		}
	}
	return best != NULL && take(best, message);
}

bool lapics_deliver(void *opaque, const struct apic_message *message)
{
	struct lapics *all = opaque;
	bool taken = false;

	if (message->mode == APIC_LOWEST) {
		return deliver_lowest(all, message);
	}
	for (unsigned i = 0; i < all->count; i++) {
		if (matches(all->lapic[i], message)) {
			taken |= take(all->lapic[i], message);
		}
	}
	return taken;
}

static void send_shorthand(struct lapic *lapic,
			   const struct apic_message *message,
			   unsigned shorthand)
{
	enum { SELF = 1, ALL = 2, OTHERS = 3 };
	struct lapics *all = lapic->config.all;

	for (unsigned i = 0; i < all->count; i++) {
		struct lapic *to = all->lapic[i];

		if (to == lapic ? shorthand != OTHERS : shorthand != SELF) {
			take(to, message);
		}
	}
}

/* ICR was written: send what it says. SDM 3A 11.6.1. */
static void send(struct lapic *lapic)
{
	uint32_t icr = (uint32_t)lapic->icr;
	uint32_t high = (uint32_t)(lapic->icr >> 32);
	unsigned shorthand = icr >> 18 & 3;
	struct apic_message message = {
		.destination = is_x2apic(lapic) ? high : high >> 24,
		.vector = (uint8_t)icr,
		.mode = icr >> 8 & 7,
		.logical = (icr & ICR_LOGICAL) != 0,
		.x2apic = is_x2apic(lapic),
	};

	/* INIT level de-assert is for buses that are gone. */
	if (message.mode == APIC_INIT && (icr & ICR_LEVEL) != 0 &&
	    (icr & ICR_ASSERT) == 0) {
		return;
	}
	if (message.vector < VECTOR_FIRST &&
	    (message.mode == APIC_FIXED || message.mode == APIC_LOWEST)) {
		raise_error(lapic, ESR_SEND_ILLEGAL);
		return;
	}
	if (shorthand != 0) {
		send_shorthand(lapic, &message, shorthand);
	} else {
		lapics_deliver(lapic->config.all, &message);
	}
}

/* Registers. */

static void write_svr(struct lapic *lapic, uint32_t value)
{
	lapic->svr = value;
	if ((value & SVR_ENABLED) == 0) {
		for (unsigned i = 0; i < LAPIC_LVTS; i++) {
			lapic->lvt[i] |= LVT_MASKED;
		}
	}
}

static void write_lvt(struct lapic *lapic, unsigned reg, uint32_t value)
{
	enum lapic_lvt entry = LAPIC_LVT_TIMER + (reg - REG_LVT_TIMER);

	if ((lapic->svr & SVR_ENABLED) == 0) {
		value |= LVT_MASKED;
	}
	if (entry == LAPIC_LVT_TIMER) {
		write_lvt_timer(lapic, value);
	} else {
		lapic->lvt[entry] = value;
	}
}

static void write_timer_initial(struct lapic *lapic, uint32_t value)
{
	if (!is_deadline_mode(lapic)) {
		lapic->timer_initial = value;
		timer_start(lapic, value);
	}
}

/* A legal write: reg is writable, value has no reserved bits. */
static void register_write(struct lapic *lapic, unsigned reg, uint32_t value)
{
	switch (reg) {
	case REG_TPR:
		lapic->tpr = value;
		break;
	case REG_EOI:
		eoi(lapic);
		break;
	case REG_LDR:
		lapic->ldr = value;
		break;
	case REG_DFR:
		lapic->dfr = value | 0x0fffffff;
		break;
	case REG_SVR:
		write_svr(lapic, value);
		break;
	case REG_ESR:
		lapic->esr = lapic->esr_pending;
		lapic->esr_pending = 0;
		break;
	case REG_ICR:
		lapic->icr = (lapic->icr & ~0xffffffffull) | value;
		send(lapic);
		break;
	case REG_ICR_HIGH:
		lapic->icr = (uint32_t)lapic->icr | (uint64_t)value << 32;
		break;
	case REG_LVT_TIMER ... REG_LVT_ERROR:
		write_lvt(lapic, reg, value);
		break;
	case REG_TIMER_INITIAL:
		write_timer_initial(lapic, value);
		break;
	case REG_TIMER_DIVIDE:
		write_timer_divide(lapic, value);
		break;
	default:
		break;
	}
}

/* A legal read. */
static uint32_t register_read(const struct lapic *lapic, unsigned reg)
{
	switch (reg) {
	case REG_ID:
		return is_x2apic(lapic) ? lapic->config.id :
					  lapic->config.id << 24;
	case REG_VERSION:
		return VERSION;
	case REG_TPR:
		return lapic->tpr;
	case REG_PPR:
		return ppr(lapic);
	case REG_LDR:
		return is_x2apic(lapic) ? x2apic_ldr(lapic) : lapic->ldr;
	case REG_DFR:
		return lapic->dfr;
	case REG_SVR:
		return lapic->svr;
	case REG_ISR ... REG_ISR + 7:
		return vector_word(lapic->isr, reg - REG_ISR);
	case REG_TMR ... REG_TMR + 7:
		return vector_word(lapic->tmr, reg - REG_TMR);
	case REG_IRR ... REG_IRR + 7:
		return vector_word(lapic->irr, reg - REG_IRR);
	case REG_ESR:
		return lapic->esr;
	case REG_ICR:
		return (uint32_t)lapic->icr;
	case REG_ICR_HIGH:
		return (uint32_t)(lapic->icr >> 32);
	case REG_LVT_TIMER ... REG_LVT_ERROR:
		return lapic->lvt[LAPIC_LVT_TIMER + (reg - REG_LVT_TIMER)];
	case REG_TIMER_INITIAL:
		return lapic->timer_initial;
	case REG_TIMER_CURRENT:
		return timer_current(lapic);
	case REG_TIMER_DIVIDE:
		return lapic->timer_divide;
	default:
		return 0;		/* APR, RRD: not used any more */
	}
}

/* xAPIC: a page of registers, one in 16 bytes. */

bool lapic_mapped(const struct lapic *lapic, uint64_t gpa)
{
	return is_enabled(lapic) && !is_x2apic(lapic) &&
	       gpa - (lapic->base & BASE_ADDRESS) < LAPIC_SIZE;
}

/* The register at an offset, or REGISTERS if it cannot be accessed so. */
static unsigned mmio_register(struct lapic *lapic, uint64_t offset,
			      unsigned access)
{
	uint64_t reg = offset >> 4;

	if (reg >= REGISTERS || (registers[reg].access & access) == 0 ||
	    (registers[reg].access & X2) != 0) {
		raise_error(lapic, ESR_REGISTER);
		return REGISTERS;
	}
	return (unsigned)reg;
}

uint64_t lapic_mmio_read(void *opaque, uint64_t offset, unsigned bytes)
{
	struct lapic *lapic = opaque;
	unsigned reg = mmio_register(lapic, offset, R);

	(void)bytes;
	if (reg == REGISTERS || (offset & 0xc) != 0) {
		return 0;
	}
	return register_read(lapic, reg) >> 8 * (offset & 3);
}

void lapic_mmio_write(void *opaque, uint64_t offset, unsigned bytes,
		      uint64_t value)
{
	struct lapic *lapic = opaque;
	unsigned reg = mmio_register(lapic, offset, W);

	/* Only whole registers: SDM 3A 11.4.1. */
	if (reg == REGISTERS || (offset & 0xf) != 0 || bytes != 4) {
		return;
	}
	register_write(lapic, reg, (uint32_t)value & registers[reg].bits);
}

/* x2APIC, and the two MSRs beside it. */

bool lapic_has_msr(uint32_t msr)
{
	return msr == MSR_APIC_BASE || msr == MSR_TSC_DEADLINE ||
	       (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST);
}

/* Is this an x2APIC register that allows the access now? */
static bool x2apic_allows(const struct lapic *lapic, uint32_t msr,
			  unsigned access)
{
	uint32_t reg = msr - MSR_X2APIC_FIRST;

	if (!is_x2apic(lapic) || reg >= REGISTERS) {
		return false;
	}

	unsigned allowed = registers[reg].access;

	if ((allowed & X) != 0 || (allowed & access) == 0) {
		return false;
	}
	return (access & W) == 0 || (allowed & X2_RO) == 0;
}

bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *value)
{
	if (msr == MSR_TSC_DEADLINE) {
		*value = lapic->tsc_deadline;
		return true;
	}
	if (msr == MSR_APIC_BASE) {
		*value = lapic->base;
		return true;
	}
	if (!x2apic_allows(lapic, msr, R)) {
		return false;
	}

	unsigned reg = msr - MSR_X2APIC_FIRST;

	*value = reg == REG_ICR ? lapic->icr : register_read(lapic, reg);
	return true;
}

/* SDM 3A 11.12.5: off - xAPIC - x2APIC - off, and from xAPIC to off. */
static bool write_base(struct lapic *lapic, uint64_t value)
{
	uint64_t old = lapic->base & (BASE_EN | BASE_EXTD);
	uint64_t new = value & (BASE_EN | BASE_EXTD);

	if ((value & ~(BASE_ADDRESS | BASE_BSP | BASE_EN | BASE_EXTD)) != 0 ||
	    new == BASE_EXTD || (old == 0 && new == (BASE_EN | BASE_EXTD)) ||
	    (old == (BASE_EN | BASE_EXTD) && new == BASE_EN)) {
		return false;
	}
	if (new == 0 && old != 0) {
		bool nmi = lapic->nmi;

		lapic_reset(lapic);
		lapic->nmi = nmi;
	}
	lapic->base = value;
	return true;
}

static bool write_icr(struct lapic *lapic, uint64_t value)
{
	if (((uint32_t)value & ~registers[REG_ICR].bits) != 0) {
		return false;
	}
	lapic->icr = value;
	send(lapic);
	return true;
}

bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value)
{
	if (msr == MSR_TSC_DEADLINE) {
		if (is_deadline_mode(lapic)) {
			lapic->tsc_deadline = value;
			deadline_arm(lapic);
		}
		return true;
	}
	if (msr == MSR_APIC_BASE) {
		return write_base(lapic, value);
	}
	if (!x2apic_allows(lapic, msr, W)) {
		return false;
	}

	unsigned reg = msr - MSR_X2APIC_FIRST;

	if (reg == REG_ICR) {
		return write_icr(lapic, value);
	}
	/* Linux writes what it read, with the read-only bits: no fault. */
	if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR) {
		value &= ~(uint64_t)LVT_READ_ONLY;
	}
	if ((value & ~(uint64_t)registers[reg].bits) != 0) {
		return false;
	}
	if (reg == REG_SELF_IPI) {
		post(lapic, (uint8_t)value, false);
	} else {
		register_write(lapic, reg, (uint32_t)value);
	}
	return true;
}

uint64_t lapic_base(const struct lapic *lapic)
{
	return lapic->base;
}

/* INIT keeps the base MSR and the ID, and nothing else. SDM 3A 11.4.7.3. */
static void reset_registers(struct lapic *lapic)
{
	timer_cancel(&lapic->timer);
	for (unsigned i = 0; i < 4; i++) {
		lapic->irr[i] = lapic->isr[i] = lapic->tmr[i] = 0;
	}
	for (unsigned i = 0; i < LAPIC_LVTS; i++) {
		lapic->lvt[i] = LVT_MASKED;
	}
	lapic->isr_top = 0;
	lapic->tpr = lapic->ldr = 0;
	lapic->dfr = DFR_FLAT;
	lapic->svr = SVR_RESET;
	lapic->esr = lapic->esr_pending = 0;
	lapic->icr = 0;
	lapic->nmi = false;
	lapic->timer_initial = lapic->timer_divide = 0;
	lapic->tsc_deadline = 0;
}

static void take_init(struct lapic *lapic)
{
	const struct lapic_hooks *hooks = &lapic->config.hooks;

	reset_registers(lapic);
	if (hooks->init != NULL) {
		hooks->init(hooks->opaque);
	}
}

void lapic_reset(struct lapic *lapic)
{
	reset_registers(lapic);
	lapic->base = LAPIC_BASE_DEFAULT | BASE_EN |
		      (lapic->config.bsp ? BASE_BSP : 0);
}

void lapic_virtual_wire(struct lapic *lapic)
{
	lapic->svr = SVR_ENABLED | SVR_RESET;
	lapic->lvt[LAPIC_LVT_LINT0] = APIC_EXTINT << LVT_MODE_SHIFT;
	lapic->lvt[LAPIC_LVT_LINT1] = APIC_NMI << LVT_MODE_SHIFT;
}

bool lapic_init(struct lapic *lapic, const struct lapic_config *config)
{
	struct lapics *all = config->all;

	if (all->count == LAPICS_MAX) {
		return false;
	}
	*lapic = (struct lapic){ .config = *config };
	timer_init(&lapic->timer, config->timers, timer_expire, lapic);
	lapic_reset(lapic);
	all->lapic[all->count++] = lapic;
	return true;
}
