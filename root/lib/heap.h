/*
 * A heap: first fit over a list of free blocks in order of address, joined
 * when they touch. Thread-safe. All memory comes from heap_add: a program's
 * AREA_HEAP is added by the runtime.
 */
#pragma once

#include <stddef.h>

struct lock;

/* Of the list; the runtime initialises it. */
extern struct lock heap_lock;

void heap_add(void *memory, size_t size);

/* Aligned to 16 bytes; null when there is none. */
[[nodiscard]] void *heap_alloc(size_t size);
[[nodiscard]] void *heap_alloc_zero(size_t count, size_t size);

/* alignment: a power of two. */
[[nodiscard]] void *heap_alloc_aligned(size_t size, size_t alignment);

/* memory: from one of the above, or null. */
void heap_free(void *memory);

/* Bytes that are free, in all blocks together. */
size_t heap_left(void);
