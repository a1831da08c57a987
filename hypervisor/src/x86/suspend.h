/*
 * Sleep, as ACPI has it, and what comes after it.
 */
#pragma once

#include "../types.h"

/* Boot CPU: what the machine has for it. */
void suspend_init(void);

/*
 * On any CPU: all stop what they do, then the machine goes to the state with
 * these types (of \_Sx, for PM1a and PM1b). SUCCESS: it has woken up, and all go
 * on. BAD_FEATURE: this machine cannot. BAD_DEVICE: it stayed awake. TIMEOUT:
 * another CPU was just doing it.
 */
[[nodiscard]] enum status suspend(uint64_t type_a, uint64_t type_b);

/* On an IPI: stop, if some CPU has called suspend(). */
void suspend_join(struct cpu *cpu);

/* smp.c: the boot CPU wakes up, on its own stack: everything is to be set up. */
void suspend_wake(void);
