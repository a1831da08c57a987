/*
 * What a program can ask root for: messages to the portal SEL_ROOT.
 *
 * Word 0 is the request, words 1.. its arguments; in the answer word 0 is an
 * enum request_result.
 */
#pragma once

#include <stdint.h>

#include <abi/call.h>
#include <lib/info.h>

enum request {
	REQUEST_EXIT = 1, /* word 1: code, word 2: length, then text */
	REQUEST_READY,	  /* its services can be called */
	REQUEST_STATUS,	  /* word 1: index; answer: struct program_view */
	REQUEST_CONTROL,  /* word 1: index, word 2: enum control */
};

enum request_result {
	REQUEST_OK = 0,
	REQUEST_DENIED,	 /* not for this program */
	REQUEST_NOTHING, /* no such program */
	REQUEST_INVALID,
};

enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1, /* reported as a failure */
	EXIT_RESET = 2,	 /* root is to start the program again */
};

enum { EXIT_MESSAGE = 256 }; /* bytes of an exit's message */

enum control { CONTROL_START = 1, CONTROL_STOP };

enum program_state {
	STATE_IDLE,    /* was not started */
	STATE_WAITING, /* for a service that it uses */
	STATE_RUNNING,
	STATE_DEAD,   /* by an exception */
	STATE_ENDED,  /* by its own exit */
	STATE_FAILED, /* could not be started */
};

/* A line of the status view, for the console service. */
struct program_view {
	char name[INFO_NAME];
	uint32_t state;			    /* enum program_state */
	uint32_t starts;		    /* how often it was started */
	uint64_t memory;		    /* bytes */
	uint64_t kernel_used, kernel_limit; /* pages */
	uint64_t time;			    /* microseconds of CPU time */
	uint32_t thread_count, counter_count;
	struct {
		char name[STATUS_NAME];
		uint64_t time;
	} threads[STATUS_THREADS];
	struct {
		char name[STATUS_NAME];
		uint64_t value;
	} counters[STATUS_COUNTERS];
};

_Static_assert(sizeof(struct program_view) <= 8 * 500, "fits a message");

/*
 * End the program. Root prints "NAME: MESSAGE" ("vm NAME: MESSAGE" for a VM),
 * takes back everything, and goes on without it.
 */
_Noreturn void program_exit(unsigned code, const char *message);

/* Tell root that the portals of CHANNEL_SERVICE exist. */
void request_ready(void);

/* For the console service. */
[[nodiscard]] enum request_result request_status(unsigned index, struct program_view *view);
[[nodiscard]] enum request_result request_control(unsigned index, enum control control);
