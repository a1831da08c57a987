/*
 * Included before every kernel source that is built for the host: privileged
 * instructions become functions of the fixture, and the pool is where a
 * program can map it.
 */
#pragma once

#define POOL_BASE 0x200000000000ul

#include "x86/insn.h"

uint64_t fake_rdtsc(void);
uint64_t fake_physical_end(void);
uint64_t fake_read_cr3(void);
void fake_write_cr3(uint64_t value);

/* Of PCI's configuration; only for those who link them. */
uint32_t fake_in32(uint16_t port);
void fake_out32(uint16_t port, uint32_t value);

#define in32	  fake_in32
#define out32	  fake_out32
#define physical_end fake_physical_end
#define rdtsc	  fake_rdtsc
#define read_cr3  fake_read_cr3
#define write_cr3 fake_write_cr3
