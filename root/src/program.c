/*
 * The life of programs: the worker starts what is to be started, once the
 * services it uses can be called, and ends what died.
 */
#include "program.h"

#include <lib/io.h>
#include <lib/log.h>
#include <lib/string.h>
#include <lib/syscall.h>
#include <lib/time.h>

struct lock root_lock;
unsigned program_count;
struct program programs[MANIFEST_PROGRAMS];
unsigned long worker_sm, worker_sc;

static bool exit_when_done;

/* Port of QEMU's isa-debug-exit, and of Bochs' shutdown. */
enum { DEBUG_EXIT = 0xf4, BOCHS_SHUTDOWN = 0x8900 };

static const char *kind(const struct program *p)
{
	return p->config->vm ? "vm " : "";
}

struct program *program_of_service(const char *service, unsigned *number)
{
	for (unsigned i = 0; i < program_count; i++) {
		const struct manifest_names *s = &programs[i].config->services;

		for (unsigned j = 0; j < s->count; j++) {
			if (strcmp(s->name[j], service) == 0) {
				*number = j;
				return &programs[i];
			}
		}
	}
	return NULL;
}

void program_init(const struct manifest *manifest)
{
	program_count = manifest->program_count;
	exit_when_done = manifest->exit_when_done;
	for (unsigned i = 0; i < program_count; i++) {
		struct program *p = &programs[i];

		p->config = &manifest->programs[i];
		p->index = i;
		p->start = p->config->enabled;
	}
}

/* Null when all services it uses can be called, else the first that cannot. */
static const char *missing_service(const struct program *p)
{
	const struct manifest_names *c = &p->config->channels;
	unsigned number;

	for (unsigned i = 0; i < c->count; i++) {
		const struct program *server = program_of_service(c->name[i], &number);

		if (!server || !server->ready)
			return c->name[i];
	}
	return NULL;
}

static void give_up(struct program *p, const char *why)
{
	log_error("%s%s: cannot start: %s (%s)", kind(p), p->config->name, why, p->config->path);
	program_destroy(p);
	p->state = STATE_FAILED;
}

static void wait_for(struct program *p, const char *service)
{
	unsigned number;

	if (!program_of_service(service, &number)) {
		p->start = false;
		log_error("%s%s: cannot start: no program offers the service "
			  "%s (%s: channels)",
			  kind(p), p->config->name, service, p->config->path);
		p->state = STATE_FAILED;
		return;
	}
	if (p->state != STATE_WAITING) {
		p->state = STATE_WAITING;
		log_info("%s%s: waits for the service %s", kind(p), p->config->name, service);
	}
}

static void start(struct program *p)
{
	const char *service = missing_service(p), *error;

	if (service) {
		wait_for(p, service);
		return;
	}
	p->start = false;
	p->ready = false;
	p->end = END_NONE;
	p->state = STATE_RUNNING;
	error = program_build(p);
	p->starts++;
	if (error)
		give_up(p, error);
}

static void report_fault(const struct program *p)
{
	const struct fault *f = &p->fault;

	if (f->vector == 14) {
		log_error("%s%s died: #PF at address %#lx, rip %#lx, rsp %#lx, "
			  "error %#lx",
			  kind(p), p->config->name, f->address, f->rip, f->rsp, f->error);
	} else {
		log_error("%s%s died: %s, rip %#lx, rsp %#lx, error %#lx", kind(p), p->config->name,
			  event_name(f->vector), f->rip, f->rsp, f->error);
	}
}

static void report_exit(const struct program *p)
{
	const char *text = p->exit_message[0] ? p->exit_message : "ended";

	if (p->exit_code == EXIT_FAILED)
		log_error("%s%s: %s", kind(p), p->config->name, text);
	else
		log_info("%s%s: %s", kind(p), p->config->name, text);
}

/* A death, as opposed to an end that was wanted. */
static bool is_death(const struct program *p)
{
	return p->end == END_FAULT || (p->end == END_EXIT && p->exit_code == EXIT_FAILED);
}

static void decide_restart(struct program *p)
{
	if (p->end == END_EXIT && p->exit_code == EXIT_RESET) {
		p->start = true;
	} else if (is_death(p) && p->restarts < p->config->restart) {
		p->restarts++;
		p->start = true;
		log_info("%s%s: started again (%u of %u)", kind(p), p->config->name, p->restarts,
			 p->config->restart);
	}
}

static void end(struct program *p)
{
	if (channel_is_console(p))
		channel_console_runs(false);
	p->ready = false;
	program_destroy(p);
	channel_end(p);
	switch (p->end) {
	case END_FAULT:
		p->state = STATE_DEAD;
		report_fault(p);
		break;
	case END_EXIT:
		p->state = STATE_ENDED;
		report_exit(p);
		break;
	default:
		p->state = STATE_ENDED;
		log_info("%s%s: stopped", kind(p), p->config->name);
		break;
	}
	decide_restart(p);
	p->end = END_NONE;
}

/* A server is back: its old portals are gone from its clients. */
static void announce(struct program *p)
{
	for (unsigned i = 0; i < program_count; i++) {
		struct program *client = &programs[i];
		const struct manifest_names *c = &client->config->channels;

		for (unsigned j = 0; j < c->count; j++) {
			unsigned number;

			if (client->state == STATE_RUNNING &&
			    program_of_service(c->name[j], &number) == p)
				(void)channel_give_service(client, j);
		}
	}
}

static void look_after(struct program *p)
{
	static bool known_ready[MANIFEST_PROGRAMS];

	if (p->state == STATE_RUNNING && p->end != END_NONE)
		end(p);
	if (p->start && p->state != STATE_RUNNING)
		start(p);
	if (p->ready != known_ready[p->index]) {
		known_ready[p->index] = p->ready;
		if (p->ready)
			announce(p);
		if (channel_is_console(p))
			channel_console_runs(p->ready);
	}
}

/* Does anything run for which the machine is there? VMs, if there are any. */
static bool is_done(void)
{
	bool any_vm = false, running = false;

	for (unsigned i = 0; i < program_count; i++)
		any_vm |= programs[i].config->vm && programs[i].starts;
	for (unsigned i = 0; i < program_count; i++) {
		const struct program *p = &programs[i];
		bool counts = any_vm ? p->config->vm : !p->config->services.count;

		running |= counts && (p->start || p->state == STATE_RUNNING);
	}
	return !running;
}

/* End the machine, where it is an emulated one that has a port for it. */
static void finish(void)
{
	static const char shutdown[] = "Shutdown";

	log_info("done");
	for (unsigned i = 0; i < 20 && !channel_drained(); i++)
		time_sleep(100 * NS_PER_MS);
	time_sleep(100 * NS_PER_MS);
	out32(DEBUG_EXIT, 0);
	for (unsigned i = 0; i < sizeof(shutdown) - 1; i++)
		out8(BOCHS_SHUTDOWN, (uint8_t)shutdown[i]);
	exit_when_done = false;
}

/* Servers may become ready, and clients start, in any order: look twice. */
void program_worker(void)
{
	for (;;) {
		lock_acquire(&root_lock);
		for (unsigned i = 0; i < 2 * program_count; i++)
			look_after(&programs[i % program_count]);
		lock_release(&root_lock);
		if (exit_when_done && is_done())
			finish();
		(void)sm_down_all(worker_sm, 0);
	}
}
