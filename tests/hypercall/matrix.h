/*
 * One case for every call and every status, right, flag and operation that
 * docs/abi.md names for it. matrix.inc is the list, made from the document by
 * matrix.py; each line of it is a function, CASE(call, name), in the file of its
 * chapter. What a call does in detail is told by the tests of its topic.
 *
 * A status is a way to get it. A right is: without it the call is refused, with
 * nothing else it succeeds. A flag or operation is what it makes different.
 */
#pragma once

#include "test.h"

enum {
	NOW = 1, /* a deadline in the past */
	MANY = 4000,
	SMALL = 12, /* a quota that is soon used up */
};

#define CASE(call, name) void call##__##name(void)

#define MATRIX(call, name) CASE(call, name);
#include "matrix.inc"
#undef MATRIX

/* Without the right refused, with it alone SUCCESS. */
#define RIGHT(object, right, expression)                                      \
	do {                                                                  \
		unsigned long o = with_rights(object, RIGHTS_ALL & ~(right)); \
		EQUAL(expression, BAD_CAPABILITY);                            \
		o = with_rights(object, right);                               \
		EQUAL(expression, SUCCESS);                                   \
	} while (0)

/* No right is needed: with any one of them SUCCESS. */
#define NO_RIGHT(object, expression)                                   \
	do {                                                           \
		for (unsigned bit = 1; bit <= RIGHTS_ALL; bit <<= 1) { \
			unsigned long o = with_rights(object, bit);    \
			EQUAL(expression, SUCCESS);                    \
		}                                                      \
	} while (0)

/* No capability, one of another type, none that could be. */
#define NO_CAPABILITY(other, expression)                                                \
	do {                                                                            \
		const unsigned long none[] = {sel(), other, hip->selectors, ~0ul >> 8}; \
		for (unsigned n = 0; n < 4; n++) {                                      \
			unsigned long o = none[n];                                      \
			EQUAL(expression, BAD_CAPABILITY);                              \
		}                                                                       \
	} while (0)

static inline unsigned other_cpu(void)
{
	return boot_cpu ? 0 : 1;
}

unsigned long local_ec(void);
