/*
 * The kernel's core on the host: a pool of memory, processors that the test
 * switches between, and fakes of the hardware that count what is asked of them.
 *
 * The pool and the slabs are the kernel's own, but what is free in them is
 * poisoned, so that the address sanitizer finds who still uses it.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ec.h"
#include "mapping.h"
#include "page.h"
#include "pd.h"
#include "sc.h"
#include "sm.h"
#include "x86/cpu.h"

enum {
	POOL_PHYS = 0x40000000,
	RAM_END = 0x7fffffff, /* addresses above are devices' */
};

/* Everything fresh: a pool of so many pages, CPUs, the kernel's PD. */
void fixture_init(unsigned pages, unsigned cpu_number);
/* Seeds random() from SEED or the time, and prints the seed. */
void fixture_seed(void);
/* A number below n. */
uint64_t rnd(uint64_t n);

/* For another thread. */
void fixture_reseed(uint64_t seed);

/* The CPU that the test is on; each thread of a program may be on one. */
extern _Thread_local unsigned cpu_now;
/* What rdtsc() says. */
extern uint64_t tsc_now;
/* Bit n: CPU n was sent an interrupt. */
extern uint64_t ipi_sent;
/* CPUs are threads, and do themselves what an interrupt asks of them. */
extern bool cpus_are_threads;
/* irq_poll() says yes once in so many times; 0: never. */
extern unsigned poll_period;
/* What happens at the moment that irq_poll() lets interrupts in, or NULL. */
extern void (*poll_hook)(void);
/* Objects in use, of each kind. */
extern unsigned slab_live[SLABS];
unsigned slab_size(enum object_type kind);

/* What happens before one is allocated, or NULL. True: there is no memory for it. */
extern bool (*slab_hook)(enum object_type kind);
/* What happens when slab_alloc() has unlocked, or NULL. */
extern void (*unlock_hook)(void);

/* space_next() to the end. */
struct mapping *find_next(const struct tree *s, uint64_t first, uint64_t last);

/* All that a PD holds goes, and ends. */
void clear_pd(struct pd *pd);

/* Does what rcu_run() does on all CPUs until nothing is deferred. */
void run_grace_periods(void);

/* Where a panic goes if not NULL; otherwise the test ends. */
extern jmp_buf *panic_expected;
extern char panic_text[256];

/* How many lines the kernel has told. */
extern unsigned logged;

/* Pages of the pool that nobody has. */
uint64_t pages_free(void);
