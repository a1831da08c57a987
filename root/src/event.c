/*
 * The events of programs' threads and their requests: portals whose handlers
 * are local ECs of root's, one on each CPU.
 *
 * A thread that has a fault is put to sleep by the reply, and its program is
 * ended by the worker. Root's own faults end root.
 */
#include "program.h"

#include <lib/heap.h>
#include <lib/log.h>
#include <lib/message.h>
#include <lib/print.h>
#include <lib/runtime.h>
#include <lib/sel.h>

#include "serial.h"

enum {
	MTD_STARTUP = MTD_RIP_LEN | MTD_RSP,
	MTD_FAULT = MTD_RIP_LEN | MTD_RSP | MTD_QUAL,
};

/* Exceptions by their mnemonics, SDM 3A table 6-1. */
static const char *const names[EVENTS_THREAD] = {
	"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", NULL,  "#TS",
	"#NP", "#SS", "#GP", "#PF", NULL,  "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
};

const char *event_name(unsigned vector)
{
	return vector < EVENTS_THREAD && names[vector] ? names[vector] : "an exception";
}

static struct thread *handlers[HIP_CPUS];

static struct thread *handler_on(unsigned cpu, enum status *status)
{
	if (!handlers[cpu])
		handlers[cpu] = handler_create(cpu, status);
	return handlers[cpu];
}

static void note_fault(struct program *p, unsigned vector, const struct utcb *u)
{
	lock_acquire(&root_lock);
	if (p->end == END_NONE) {
		p->end = END_FAULT;
		p->fault = (struct fault){
			.vector = vector,
			.rip = u->rip,
			.rsp = u->rsp,
			.error = u->qual[0],
			.address = u->qual[1],
		};
	}
	lock_release(&root_lock);
	(void)sm_up(worker_sm);
}

static unsigned long on_event(struct portal *portal, struct utcb *u)
{
	struct program *p = portal->argument;
	unsigned long sleep = 0;

	if (portal->number == EVENT_REQUEST)
		return request_handle(p, u);
	u->mtd = 0; /* word 0 of a request's message */
	if (portal->number == EVENT_THREAD_STARTUP) {
		u->rip = p->entry;
		u->rsp = LAYOUT_STACK + STACK_SIZE - STACK_THREAD;
		u->mtd = MTD_STARTUP;
	} else if (portal->number != EVENT_THREAD_RECALL) {
		note_fault(p, (unsigned)portal->number, u);
		sleep = SEL_NEVER;
	}
	u->items = 0;
	return sleep;
}

static unsigned long mtd_of(unsigned number)
{
	return number == EVENT_REQUEST		? 0
	       : number == EVENT_THREAD_STARTUP ? MTD_STARTUP
						: MTD_FAULT;
}

/* Portals at root's selectors from e->sel on. */
static enum status create_portals(struct program *p, struct events *e, const struct thread *handler)
{
	enum status status = SUCCESS;

	for (unsigned i = 0; i < EVENT_PORTALS && status == SUCCESS; i++) {
		e->portals[i] = (struct portal){on_event, p, i};
		status = portal_create(e->sel + i, handler, mtd_of(i), &e->portals[i]);
	}
	return status;
}

static enum status give(struct program *p, const struct events *e, unsigned first, unsigned count,
			unsigned long to)
{
	return delegate_range(SEL_PD, CRD_OBJ, e->sel + first, count, PT_CALL, 0, p->pd, to);
}

/*
 * The threads that the program makes begin at a portal of its own: all but the
 * startup portal, at the CPU's event base.
 */
static enum status give_thread_events(struct program *p, const struct events *e, unsigned cpu)
{
	unsigned long base = SEL_EVENTS + (unsigned long)cpu * SEL_EVENTS_CPU;
	enum status status = give(p, e, 0, EVENT_THREAD_STARTUP, base);

	return status == SUCCESS ? give(p, e, EVENT_THREAD_RECALL, 1, base + EVENT_THREAD_RECALL)
				 : status;
}

enum status event_create(struct program *p, unsigned cpu)
{
	enum status status = SUCCESS;
	struct thread *handler = handler_on(cpu, &status);
	struct events *e = heap_alloc_zero(1, sizeof(*e));

	if (!handler || !e) {
		heap_free(e);
		return status == SUCCESS ? OUT_OF_MEMORY : status;
	}
	p->events[cpu] = e;
	e->sel = sel_alloc(EVENT_SELS_ORDER);
	status = e->sel ? create_portals(p, e, handler) : OUT_OF_MEMORY;
	if (status == SUCCESS)
		status = give_thread_events(p, e, cpu);
	if (status == SUCCESS && cpu == p->config->cpus.cell[0]) {
		status = give(p, e, 0, EVENTS_THREAD, 0);
		status = status == SUCCESS ? give(p, e, EVENT_REQUEST, 1, SEL_ROOT) : status;
	}
	return status;
}

void event_destroy(struct program *p)
{
	for (unsigned cpu = 0; cpu < HIP_CPUS; cpu++) {
		struct events *e = p->events[cpu];

		if (e && e->sel) {
			(void)revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, EVENT_SELS_ORDER, e->sel));
			sel_free(e->sel, EVENT_SELS_ORDER);
		}
		heap_free(e);
		p->events[cpu] = NULL;
	}
}

/* The last message goes to the serial line: nothing else can be relied on. */
static unsigned long on_root_fault(struct portal *portal, struct utcb *u)
{
	char text[160];
	int n = snprintf(text, sizeof(text),
			 "\nPANIC root: %s at address %#lx, rip %#lx, "
			 "rsp %#lx, error %#lx\n",
			 event_name((unsigned)portal->number), u->qual[1], u->rip, u->rsp,
			 u->qual[0]);

	serial_write(text, (size_t)n);
	u->mtd = 0;
	u->items = 0;
	return SEL_NEVER;
}

enum status event_create_root(unsigned cpu)
{
	static struct portal portals[EVENT_THREAD_STARTUP];
	enum status status = SUCCESS;
	struct thread *handler = handler_create(cpu, &status);
	unsigned long bases[2] = {
		0,
		SEL_EVENTS + (unsigned long)cpu * SEL_EVENTS_CPU,
	};

	for (unsigned b = 0; b < 2; b++) {
		for (unsigned v = 0; v < EVENT_THREAD_STARTUP && status == SUCCESS; v++) {
			portals[v] = (struct portal){on_root_fault, NULL, v};
			status = portal_create(bases[b] + v, handler, MTD_FAULT, &portals[v]);
		}
	}
	return status;
}
