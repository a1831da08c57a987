/*
 * The messages of the service "sum".
 */
#pragma once

enum {
	SUM_ADD = 1, /* word 1: what to add; answer: word 0, sum */

	SUM_REQUEST_WORDS = 2,
	SUM_ANSWER_WORDS = 1,
};
