/*
 * The mutex. State 2 makes the holder up the semaphore when it lets go; who is
 * woken takes the lock in state 2, since others may wait too.
 */
#include <lib/lock.h>

#include <lib/log.h>
#include <lib/sel.h>
#include <lib/status.h>
#include <lib/syscall.h>
#include <lib/layout.h>

enum { FREE, HELD, WAITED_FOR };

enum status lock_init(struct lock *lock)
{
	unsigned long sm = sel_alloc(0);
	enum status status = OUT_OF_MEMORY;

	if (sm)
		status = create_sm(sm, SEL_PD, 0);
	if (status != SUCCESS && sm)
		sel_free(sm, 0);
	*lock = (struct lock){FREE, status == SUCCESS ? sm : 0};
	return status;
}

static void wait(struct lock *lock)
{
	enum status status;

	while (__atomic_exchange_n(&lock->state, WAITED_FOR, __ATOMIC_ACQUIRE) != FREE) {
		status = sm_down(lock->sm, 0);
		if (status != SUCCESS)
			panic("lock: wait: %s", status_name(status));
	}
}

void lock_acquire(struct lock *lock)
{
	unsigned expected = FREE;

	if (!__atomic_compare_exchange_n(&lock->state, &expected, HELD, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		wait(lock);
}

void lock_release(struct lock *lock)
{
	if (__atomic_exchange_n(&lock->state, FREE, __ATOMIC_RELEASE) == WAITED_FOR) {
		/* It fails only if the semaphore is gone: nobody waits. */
		(void)sm_up(lock->sm);
	}
}
