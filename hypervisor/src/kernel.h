/*
 * What boot calls, in this order.
 */
#pragma once

struct cpu;
struct sm;

/* Whose capability is the right to suspend. */
extern struct sm *sm_suspend;

/* Once, when the pool is there: the kernel's PD and its objects. */
void kernel_init(void);
/* For each CPU, on it, before its first interrupt: queues, idle EC. */
void kernel_init_cpu(struct cpu *cpu);
/* This CPU runs what there is to run; the first one starts root. */
_Noreturn void kernel_start(struct cpu *cpu);
