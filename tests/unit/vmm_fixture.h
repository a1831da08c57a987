/*
 * What a device of the VMM stands in, for tests: a bus, a clock that goes when
 * the test says so, lines that count their edges, the ways to end the VM.
 */

#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../vmm/dev/power.h"
#include "../../vmm/src/bus.h"
#include "../../vmm/src/irq.h"
#include "../../vmm/src/timer.h"

/* 1 tick = 1 ns, unless a test sets clock.hz before it starts a device. */
#define FIXTURE_HZ 1000000000ull
#define MS	   1000000ull
#define SECOND	   1000000000ull

struct probe {
	struct irq_line line; /* what the device is given */
	bool level;
	unsigned edges; /* rising */
};

struct fixture {
	uint64_t now;
	struct clock clock;
	struct timer_queue timers;
	struct bus ports, memory;
	struct probe irq;
	struct power power;
	unsigned misses, offs, resets, exits;
	uint32_t exit_code;
};

void fixture_init(struct fixture *f);

/* Let time pass, with the timers at their deadlines. */
void fixture_advance(struct fixture *f, uint64_t ticks);

void probe_init(struct probe *probe);

/* Port accesses of a byte. */
uint8_t in8(struct fixture *f, uint16_t port);
void out8(struct fixture *f, uint16_t port, uint8_t value);

/* Pseudo-random numbers, the same in every run. */
uint32_t random32(uint32_t *state);
