/*
 * The hypervisor information page, and the facts about memory that it states.
 */
#pragma once

#include <abi/hip.h>

#include "../types.h"

struct cpu;

extern struct hip *hip_page;

enum { HIP_MEM_RESERVED = 2 }; /* a loader's type */

/* From now on the range is of this type. */
void hip_add(uint64_t phys, uint64_t size, int type);
/*
 * Boot CPU: all but the CPUs, the features and the TSC. What is added later, registers
 * that are the kernel's, is not shown.
 */
void hip_init(void);
/* On each CPU: its entry. */
void hip_add_cpu(const struct cpu *cpu);
/* topology.c: that, but for the microcode's version: it takes MSRs that not all have. */
struct hip_cpu topology_of_this_cpu(void);
/* Boot CPU, when all CPUs are there. */
void hip_finish(void);

/*
 * Does the range overlap the kernel's memory (image, pool) or the registers of
 * its interrupt controllers and IOMMUs? No program gets any of that.
 */
bool hip_is_kernel(uint64_t phys, uint64_t size);
/* Is this the address of RAM? Else it is a device's, or nothing's. */
bool hip_is_ram(uint64_t phys);
/* Is all of it RAM that nothing is in? */
bool hip_is_free(uint64_t phys, uint64_t size);
