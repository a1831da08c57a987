/*
 * Included before every kernel source that is built for the host: privileged
 * instructions become functions of the fixture, and the pool is where a
 * program can map it.
 */
#pragma once

#define POOL_BASE 0x200000000000ul

#include "x86/insn.h"

uint64_t fake_rdtsc(void);
uint64_t fake_read_cr3(void);
void fake_write_cr3(uint64_t value);

#define rdtsc	  fake_rdtsc
#define read_cr3  fake_read_cr3
#define write_cr3 fake_write_cr3
