/*
 * The hypercall fuzzer: a program of the manifest that makes PDs full of ECs,
 * the attackers, which make random calls, and takes them away again.
 *
 * An attacker's memory is a page: its state at the end, its stack below. What
 * it does is a function of its seed alone, but for what the others do to it.
 */
#pragma once

#include <stdbool.h>

#include <lib/syscall.h>

#include "../../hypercall/random.h"

/* What an attacker's PD has, at the same places in each. */
enum {
	AT_SELF = 1, /* its PD */
	AT_OTHER,    /* another attacker's PD, or its own again */
	AT_SERVICE,  /* + CPU: a portal to a handler of ours */
	AT_SM = 8,   /* SMS of them, and an interrupt's */
	SMS = 4,
	AT_EC = 16,	/* ECs of its threads and handlers */
	AT_PT = 24,	/* portals to its own handlers, by CPU */
	AT_EVENTS = 32, /* a thread's, + 32 * CPU */
	AT_FREE = 128,	/* where what it makes goes */
	AT_END = 256,
	AT_VCPU_EVENTS = 256, /* + 256 * CPU */
	ORDER = 10,	      /* of all that */

	CPUS = 2,
	STATUSES = OUT_OF_MEMORY + 1,
};

/* Addresses in its PD. */
#define ARENA	   0x50000000ul /* pages with a frame each */
#define UTCBS	   0x60000000ul
#define TARGET	   0x70000000ul /* where memory is to arrive */
#define FRAME_SIZE 1024

/* At the end of its page; the first word is known to entry.S. */
struct attacker {
	struct utcb *utcb;
	uint64_t state; /* of the random numbers */
	volatile uint64_t calls;
	uint64_t limit; /* of calls */
	uint64_t nap;	/* ticks of the TSC that it may sleep */
	uint64_t wild;	/* it may take away its own memory */
	volatile uint64_t done;
	uint64_t faults;
	uint8_t cpu;
	/* How often each call returned each status. */
	uint32_t seen[CALLS][STATUSES];
	/* The last call, for whoever finds a mistake. */
	uint64_t rdi, rsi, rdx, rax, r8;
};

_Static_assert(sizeof(struct attacker) <= FRAME_SIZE, "layout");

static inline struct attacker *attacker_at(void *page)
{
	return (struct attacker *)((uint8_t *)page + PAGE_SIZE - FRAME_SIZE);
}

/* attack.c: make calls until the limit, then end by an exception. */
_Noreturn void attack(struct attacker *a);
/* One that handles calls: a few calls of its own. */
void attack_handle(struct attacker *a);

/* entry.S: where an EC of the attacker's begins; RSP: its struct attacker. */
extern const char entry_attack[], entry_handle[];
