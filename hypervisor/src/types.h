/*
 * Words that every file of the kernel needs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <abi/call.h>

/* A keyword only in later compilers. */
#define static_assert _Static_assert

#define PAGE_BITS 12
#define PAGE_SIZE 4096ul
#define PAGE_MASK (PAGE_SIZE - 1)

#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE      __attribute__((noinline))

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

#define aligned_to(n) __attribute__((aligned(n)))

/* Of a UTCB, which its program may change meanwhile: what is looked at is what is taken. */
#define ONCE(x) (*(const volatile __typeof__(x) *)&(x))

/* What is there becomes `to`, if it is `from`; else false. */
#define atomic_replace(at, from, to) __sync_bool_compare_and_swap(at, from, to)

/* What everything is about, for headers that only point at it. */
struct cpu;
struct ec;
struct pd;
struct sm;

/* Of what a program may have any number of, between two looks for interrupts. */
enum { AT_ONCE = 16 };

/*
 * A doubly linked ring with a head; the links are embedded in what it links.
 */
struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* At the end, when `head` is the ring's head; or before any element. */
static inline void list_append(struct list *head, struct list *l)
{
	l->next = head;
	l->prev = head->prev;
	head->prev->next = l;
	head->prev = l;
}

static inline void list_prepend(struct list *head, struct list *l)
{
	list_append(head->next, l);
}

/* For an element that will be inserted again before it is removed again. */
static inline void list_unlink(struct list *l)
{
	l->next->prev = l->prev;
	l->prev->next = l->next;
}

/* The element is linked to itself afterwards, so removing twice is harmless. */
static inline void list_remove(struct list *l)
{
	list_unlink(l);
	list_init(l);
}

/* All of a ring goes to the end of another. */
static inline void list_move(struct list *to, struct list *from)
{
	to->prev->next = from->next;
	from->next->prev = to->prev;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

/*
 * Spinlocks. The kernel runs with interrupts off, so a holder is never
 * interrupted; every critical section is short and bounded. Lock order:
 * mapping database, then slabs of a PD or the list of objects left dying, then page
 * pool; a GSI, then its IOAPIC or the IOMMUs', which also comes after the first
 * and before the last. A semaphore's is held alone, and so is the log's.
 */
struct lock {
	uint32_t held;
};

static inline void lock(struct lock *l)
{
	while (unlikely(__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE)))
		while (__atomic_load_n(&l->held, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
}

static inline void unlock(struct lock *l)
{
	__atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}

static inline void unlock_guard(struct lock *const *l)
{
	unlock(*l);
}

/* From here to the end of the block, however that is left. */
#define guard(l) \
	__attribute__((unused, cleanup(unlock_guard))) struct lock *const guarded = (lock(l), l)
