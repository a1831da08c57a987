/*
 * What entry.S calls.
 */
#pragma once

#include "regs.h"

struct ec;

/* From user mode, into the current EC's regs. The EC to run next. */
struct ec *exception(struct ec *self);
struct ec *interrupt(struct ec *self);

/* In the kernel: it was expected (msr.h), or it is the end. */
void exception_kernel(struct regs *regs);
/* NMI, double fault, machine check, wherever they came. */
void exception_ist(struct regs *regs);

/* To be done before a thread runs in another PD or with other FPU state. */
void thread_switch(struct ec *ec);
/* resume_work. The EC to run next. */
struct ec *work(struct ec *ec);
/* Before the CPU halts, and when an interrupt woke it: the EC to run next. */
void idle_enter(void);
struct ec *idle_leave(void);
