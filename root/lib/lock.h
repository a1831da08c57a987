/*
 * A mutex: one atomic operation when nobody else wants it, a semaphore when
 * somebody does. There is no priority inheritance: hold it for short.
 */
#pragma once

#include <abi/call.h>

struct lock {
	unsigned state; /* 0 free, 1 held, 2 held and waited for */
	unsigned long sm;
};

/* Before the first use; creates the semaphore. */
[[nodiscard]] enum status lock_init(struct lock *lock);
void lock_acquire(struct lock *lock);
void lock_release(struct lock *lock);
