/*
 * What loader and firmware left in memory, for the tests of those who read it.
 * Memory here is poisoned but for what boot_memory() was asked for.
 */
#pragma once

#include "hv_fixture.h"

#include "x86/boot.h"

enum {
	MEMORY = 1 << 20, /* all there is below "4 GiB" */
	STEPS = 30000,

	INFO = 0x8000, /* where the loader's information is */
	EBDA = 0x9fc00,
	BIOS = 0xe0000,
	TABLES = 0xf1000,
};

extern uint8_t *memory;
extern char boot_strings[PAGE_SIZE];

/* Nothing is there, and what the kernel knew is forgotten. */
void clear(void);
/* From here on the kernel reads it. */
void seal(void);
/* The low bytes of a value; their number. */
uint32_t put(uint64_t at, unsigned size, uint64_t value);
/* Some of a few numbers that are at the ends of something, in [at, at + n). */
void change(uint64_t at, uint64_t n);
