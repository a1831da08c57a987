/*
 * What main.c needs of ecs.c and start.S beside test.h.
 */
#pragma once

#include "test.h"

/* The common handlers. */
void ecs_init(void);
void ecs_watchdog(function *run, unsigned priority);

/* start.S: the main thread's stack; run on it, until the end or test_abandon. */
extern char main_stack[], main_stack_end[];
void test_enter(void (*run)(void));
_Noreturn void test_abandon(void);

static inline bool is_main(void)
{
	char here;

	return (unsigned long)&here - (unsigned long)main_stack <
	       (unsigned long)(main_stack_end - main_stack);
}
