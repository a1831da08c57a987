/*
 * One processor made ready to run user code.
 */
#pragma once

#include "../types.h"

struct cpu;

/* Its window: TSS and stacks, out of the pool. False: no memory. */
[[nodiscard]] bool setup_window(struct cpu *cpu);

/* On the CPU itself, at boot and after sleep: every register that is set once. */
void setup_cpu(struct cpu *cpu);
