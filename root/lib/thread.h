/*
 * Threads and portal handlers of a program.
 *
 * A thread is a global EC with its own SC; a handler is a local EC, which runs
 * when one of its portals is called. Both have a UTCB and a stack of
 * STACK_SIZE from the heap. Neither has a guard page below its stack.
 */
#pragma once

#include <lib/layout.h>
#include <lib/syscall.h>

/* At the top of each stack; the first field is known to assembly. */
struct thread {
	struct utcb *utcb;
	void (*entry)(void *argument);
	void *argument;
	unsigned long ec; /* selector */
	unsigned long sc; /* selector; of a handler 0 */
	unsigned cpu;
	unsigned reserved;
	unsigned long unused[2];
};

_Static_assert(sizeof(struct thread) == STACK_THREAD, "layout");
_Static_assert(STACK_THREAD % 16 == 0, "stack alignment");

static inline struct thread *thread_self(void)
{
	unsigned long sp = (unsigned long)__builtin_frame_address(0);

	return (struct thread *)((sp | (STACK_SIZE - 1)) + 1 - STACK_THREAD);
}

static inline struct utcb *thread_utcb(void)
{
	return thread_self()->utcb;
}

/*
 * Start entry(argument) in a thread. quantum: microseconds, 0 for the
 * program's own. When entry returns the thread sleeps forever. Null when
 * memory, kernel memory or selectors are used up, or the CPU is not the
 * program's: *status says which (may be null).
 */
[[nodiscard]] struct thread *thread_create(const char *name, unsigned cpu, unsigned priority,
					   unsigned quantum, void (*entry)(void *argument),
					   void *argument, enum status *status);

/* A local EC for portals, on a CPU. */
[[nodiscard]] struct thread *handler_create(unsigned cpu, enum status *status);

/*
 * A portal with a handler in C. The message is in u, and the answer goes there
 * (u->items says how much of it). Returns 0, or the selector of an SM on which
 * the caller is to sleep after the answer. The structure must live as long as
 * the portal.
 */
struct portal {
	unsigned long (*handler)(struct portal *portal, struct utcb *u);
	void *argument;
	unsigned long number;
};

/* Create it at a selector of the caller's choice. */
[[nodiscard]] enum status portal_create(unsigned long sel, const struct thread *handler,
					unsigned long mtd, struct portal *portal);

/*
 * For portals with an entry of their own: on entry RDI is the portal's id and
 * RSP points at the handler's struct thread, thus (%rsp) is its UTCB's
 * address; RSP must be the same at the reply. portal_entry is the entry of
 * portal_create, whose id is the struct portal's address.
 */
void portal_entry(void);

/* Sleep forever. */
_Noreturn void thread_stop(void);
