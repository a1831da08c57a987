/*
 * What a processor says of itself: where it is, and what it is.
 */
#pragma once

#include <abi/hip.h>

struct hip_cpu topology_of_this_cpu(void);
