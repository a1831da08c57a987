/*
 * Which part of RAM becomes the kernel's pool (page.h).
 */
#pragma once

#include "../types.h"

/* Sets its physical address and size, multiples of 2 MiB; panics if none. */
void pool_choose(uint64_t *phys, uint64_t *size);
