/*
 * A UTCB is memory that its program may change at any time: a function runs, and after each of
 * its instructions `change` is called.
 */
#pragma once

#include <signal.h>

static void (*changing)(void);

static void on_step(int signal)
{
	(void)signal;
	changing();
}

static void run_changing(void (*function)(void), void (*change)(void))
{
	changing = change;
	signal(SIGTRAP, on_step);
	/* TF; below RSP the compiler may keep something. */
#define CHANGE_FLAGS(how)                                                         \
	__asm__ volatile("sub $128, %%rsp; pushf; " how "; popf; add $128, %%rsp" \
			 :                                                        \
			 :                                                        \
			 : "memory", "cc")
	CHANGE_FLAGS("orl $0x100, (%%rsp)");
	function();
	CHANGE_FLAGS("andl $~0x100, (%%rsp)");
}
