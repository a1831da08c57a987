/*
 * Physical memory: what of the machine's is free, and how root sees it.
 *
 * A block is physically contiguous. Root holds a block only while it is
 * allocated: it takes exactly that range from the kernel, passes it on, and
 * gives it back by revoking it, so that the mapping database never has one
 * range of root's under several programs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <abi/hip.h>
#include <lib/syscall.h>

struct block {
	uint64_t address; /* physical, page-aligned */
	uint64_t size;	  /* bytes, whole pages; 0: no block */
	bool fresh;	  /* never given out: nobody's data is in it */
};

#define MIB (1ul << 20)
#define GIB (1ul << 30)

/* Learn what is free; nothing is taken yet. */
void memory_init(const struct hip *hip);

uint64_t memory_free_bytes(void);
uint64_t memory_used_bytes(void);

/* size, alignment: bytes; alignment a power of two >= a page. */
[[nodiscard]] bool memory_allocate(uint64_t size, uint64_t alignment, struct block *block);

/* The largest block of whole multiples of `unit`, up to size; or false. */
[[nodiscard]] bool memory_allocate_most(uint64_t size, uint64_t unit, struct block *block);

/* The block must not be held any more (memory_drop). */
void memory_release(const struct block *block);

/*
 * Take a block (or a device's or boot module's range) from the kernel into
 * root's address space; *address is where. BAD_PARAMETER if the kernel does
 * not give it.
 */
[[nodiscard]] enum status memory_take(const struct block *block, unsigned rights, void **address);

/* The address at which memory_take puts it. */
void *memory_address(const struct block *block);

/* Give it to a PD, where it appears at `to`. Root must hold it. */
[[nodiscard]] enum status memory_give(const struct block *block, unsigned rights, unsigned flags,
				      unsigned long pd, uint64_t to);

/* Revoke it from root and all that have it. */
void memory_drop(const struct block *block);
