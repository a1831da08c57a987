/*
 * What modules of root's need around them: locks that only check their use,
 * and a panic that fails the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <lib/lock.h>
#include <lib/log.h>

void lock_acquire(struct lock *lock)
{
	assert_int_equal(lock->state, 0);
	lock->state = 1;
}

void lock_release(struct lock *lock)
{
	assert_int_equal(lock->state, 1);
	lock->state = 0;
}

void panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	__builtin_trap();
}
