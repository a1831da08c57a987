/*
 * A program of its own: of what is made again and again, more than a million.
 */
#include "test.h"

const unsigned often = 100;

const struct test *const topics[] = {churn_tests, NULL};
