/*
 * The heap. Every block, used or free, begins with its size; a free one goes
 * on with the address of the next free one. The list is in order of address,
 * so that a block that is freed meets its neighbours.
 *
 * Invariants: no two free blocks touch; sizes and addresses are multiples of
 * UNIT; what is handed out lies UNIT behind its block's begin.
 */
#include <lib/heap.h>

#include <stdbool.h>
#include <stdint.h>

#include <lib/lock.h>
#include <lib/log.h>
#include <lib/string.h>

enum { UNIT = 16, USED = 0x75736564 };

struct block {
	size_t size; /* bytes, with this header */
	union {
		struct block *next; /* of a free block */
		uintptr_t used;	    /* of a used block: USED */
	};
};

_Static_assert(sizeof(struct block) == UNIT, "the header is one unit");

/* Locked by heap_lock. */
static struct block *free_list;

struct lock heap_lock;

static uintptr_t address(const struct block *b)
{
	return (uintptr_t)b;
}

static bool touch(const struct block *b, const struct block *next)
{
	return next && address(b) + b->size == address(next);
}

/* Put a block back, joined with its neighbours. */
static void insert(struct block *b)
{
	struct block **link = &free_list, *before = NULL;

	while (*link && address(*link) < address(b)) {
		before = *link;
		link = &before->next;
	}
	b->next = *link;
	*link = b;
	if (touch(b, b->next)) {
		b->size += b->next->size;
		b->next = b->next->next;
	}
	if (before && touch(before, b)) {
		before->size += b->size;
		before->next = b->next;
	}
}

void heap_add(void *memory, size_t size)
{
	uintptr_t begin = ((uintptr_t)memory + UNIT - 1) & -(uintptr_t)UNIT;
	uintptr_t end = ((uintptr_t)memory + size) & -(uintptr_t)UNIT;
	struct block *b = (struct block *)begin;

	if (end < begin + 2 * UNIT)
		return;
	b->size = end - begin;
	lock_acquire(&heap_lock);
	insert(b);
	lock_release(&heap_lock);
}

/*
 * Where a block of `size` bytes could lie in b so that what is behind its
 * header is aligned; 0 if it does not fit.
 */
static uintptr_t place(const struct block *b, size_t size, size_t alignment)
{
	uintptr_t end = address(b) + b->size, at;

	at = ((address(b) + UNIT + alignment - 1) & -alignment) - UNIT;
	return at >= address(b) && at < end && end - at >= size ? at : 0;
}

/* Cut [at, at + size) out of the free block *link. */
static struct block *cut(struct block **link, uintptr_t at, size_t size)
{
	struct block *b = *link, *taken = (struct block *)at, *rest;
	uintptr_t end = address(b) + b->size;

	if (end - at > size) {
		rest = (struct block *)(at + size);
		rest->size = end - at - size;
		rest->next = b->next;
		b->next = rest;
	}
	if (at > address(b))
		b->size = at - address(b);
	else
		*link = b->next;
	taken->size = size;
	taken->used = USED;
	return taken;
}

void *heap_alloc_aligned(size_t size, size_t alignment)
{
	struct block *taken = NULL;

	if (size > SIZE_MAX / 2 || alignment > SIZE_MAX / 2)
		return NULL;
	size = ((size ? size : 1) + 2 * UNIT - 1) & -(size_t)UNIT;
	alignment = alignment < UNIT ? UNIT : alignment;
	lock_acquire(&heap_lock);
	for (struct block **link = &free_list; *link; link = &(*link)->next) {
		uintptr_t at = place(*link, size, alignment);

		if (at) {
			taken = cut(link, at, size);
			break;
		}
	}
	lock_release(&heap_lock);
	return taken ? taken + 1 : NULL;
}

void *heap_alloc(size_t size)
{
	return heap_alloc_aligned(size, UNIT);
}

void *heap_alloc_zero(size_t count, size_t size)
{
	size_t total;
	void *memory;

	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	memory = heap_alloc(total);
	if (memory)
		memset(memory, 0, total);
	return memory;
}

void heap_free(void *memory)
{
	struct block *b;

	if (!memory)
		return;
	b = (struct block *)memory - 1;
	if (b->used != USED)
		panic("heap: %p freed, which was not allocated", memory);
	lock_acquire(&heap_lock);
	insert(b);
	lock_release(&heap_lock);
}

size_t heap_left(void)
{
	size_t sum = 0;

	lock_acquire(&heap_lock);
	for (const struct block *b = free_list; b; b = b->next)
		sum += b->size;
	lock_release(&heap_lock);
	return sum;
}
