/*
 * The hypervisor information page, and the facts about memory that it states.
 */
#pragma once

#include <abi/hip.h>

#include "../types.h"

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
 * Is any of it of this type (HIP_MEM_)? The kernel's, of which no program gets any:
 * image, pool, registers of interrupt controllers and IOMMUs. RAM (available); else
 * it is a device's, or nothing's.
 */
bool hip_has(int type, uint64_t phys, uint64_t size);
/* Is all of it RAM that nothing is in? */
bool hip_is_free(uint64_t phys, uint64_t size);
