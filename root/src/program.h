/*
 * Programs: what the manifest names, running or not.
 *
 * The worker thread alone starts and ends programs. Handlers of the programs'
 * events and requests only note what happened and wake the worker.
 * Everything here is locked by root_lock.
 */
#pragma once

#include <stdbool.h>

#include <lib/console.h>
#include <lib/lock.h>
#include <lib/request.h>
#include <lib/thread.h>

#include "manifest.h"
#include "memory.h"

enum {
	PROGRAM_BLOCKS = 64,
	EVENT_SELS_ORDER = 6, /* a CPU's portals of a program: */
	EVENT_REQUEST = 32,   /* events, then the portal to root */
	EVENT_PORTALS = 33,
};

/* A program's portals on one CPU. */
struct events {
	unsigned long sel; /* 0: none there */
	struct portal portals[EVENT_PORTALS];
};

enum end { END_NONE, END_FAULT, END_EXIT, END_STOP };

struct fault {
	unsigned vector;
	uint64_t rip, rsp, error, address;
};

struct program {
	const struct manifest_program *config;
	unsigned index;
	enum program_state state;
	bool ready; /* its services can be called */
	bool start; /* the worker is to start it */
	unsigned starts;
	unsigned restarts; /* done after deaths */

	/* Why the worker is to end it, and what its last words were. */
	enum end end;
	struct fault fault;
	unsigned exit_code;
	char exit_message[EXIT_MESSAGE];

	/* Root's selectors of what it consists of; 0: not there. */
	unsigned long pd, ec, sc, never;
	unsigned long interrupts[MANIFEST_LIST];
	bool ports; /* it was given its ports */
	struct events *events[HIP_CPUS];

	uint64_t entry;
	unsigned block_count;
	struct block blocks[PROGRAM_BLOCKS];
	struct program_status *status; /* written by the program */
};

extern struct lock root_lock;
extern unsigned program_count;
extern struct program programs[MANIFEST_PROGRAMS];

/* The semaphore that wakes the worker, and its SC. */
extern unsigned long worker_sm, worker_sc;

extern const struct hip *hip;

bool cpu_exists(unsigned cpu);

/* program.c */
void program_init(const struct manifest *manifest);
_Noreturn void program_worker(void);
struct program *program_of_service(const char *service, unsigned *number);

/* build.c: a PD with everything in it; null, or what did not work. */
[[nodiscard]] const char *program_build(struct program *p);
void program_destroy(struct program *p);

/* channel.c: the consoles and services. */
void channel_init(const struct manifest *manifest);
[[nodiscard]] enum status channel_connect(struct program *p, struct program_info *info);
[[nodiscard]] enum status channel_give_service(struct program *client, unsigned number);
void channel_end(const struct program *p);
void channel_console_runs(bool runs);
bool channel_is_console(const struct program *p);
bool channel_drained(void);

/* event.c */
[[nodiscard]] enum status event_create(struct program *p, unsigned cpu);
void event_destroy(struct program *p);
[[nodiscard]] enum status event_create_root(unsigned cpu);
const char *event_name(unsigned vector);

/* request.c */
unsigned long request_handle(struct program *p, struct utcb *u);
