/*
 * What those who prepare the tests share beside test.h.
 */
#pragma once

#include "test.h"

enum { QUANTUM_US = 1000 };

/* The common handlers, and who waits for what is to be freed. */
void ecs_init(void);
void events_init(unsigned cpu);
void settle_init(unsigned cpu);
/* Once: false, if the CPU's thread does not answer. */
bool settled(unsigned cpu);
struct frame *make_ec(unsigned long selector, unsigned long pd, unsigned cpu, enum ec_kind kind,
		      function *run, unsigned long events);
void ecs_watchdog(function *run, unsigned priority);

/* start.S: the main thread's stack; run on it, until the end or test_abandon. */
extern char main_stack[], main_stack_end[];
void test_enter(void (*run)(void));
_Noreturn void test_abandon(void);

static inline bool on_main_stack(uint64_t sp)
{
	return sp - (uint64_t)main_stack <= (uint64_t)(main_stack_end - main_stack);
}

static inline bool is_main(void)
{
	char here;

	return on_main_stack((uint64_t)&here);
}
