/*
 * The statuses of hypercalls, in words.
 */
#pragma once

#include <abi/call.h>

/* "bad capability"; never null. */
const char *status_name(enum status status);
