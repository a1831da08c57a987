/*
 * What a processor says of itself: where it is, and what it is.
 */
#pragma once

#include <abi/hip.h>

/* The microcode's version is left 0: it takes MSRs that not all have. */
struct hip_cpu topology_of_this_cpu(void);
