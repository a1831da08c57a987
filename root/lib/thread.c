/*
 * Threads and handlers.
 *
 * A new global EC begins with its startup event, whose portal (one each CPU,
 * made when the first thread there is) has a handler of ours that sets RIP.
 * All other events of our threads have portals that root put there.
 */
#include <lib/thread.h>

#include <abi/hip.h>

#include <lib/heap.h>
#include <lib/info.h>
#include <lib/lock.h>
#include <lib/runtime.h>
#include <lib/sel.h>
#include <lib/string.h>

_Static_assert(offsetof(struct thread, utcb) == 0, "portal_entry, %rsp");
_Static_assert(offsetof(struct thread, entry) == 8, "thread_entry");
_Static_assert(offsetof(struct thread, argument) == 16, "thread_entry");

/* Locked by thread_lock. */
static uint8_t startup_ready[HIP_CPUS]; /* the CPU has its startup portal */
static unsigned long next_utcb = LAYOUT_UTCBS;

static struct lock thread_lock;

enum status thread_init(void)
{
	return lock_init(&thread_lock);
}

static unsigned long event_base(unsigned cpu)
{
	return SEL_EVENTS + (unsigned long)cpu * SEL_EVENTS_CPU;
}

/* A struct thread at the top of a new stack, without an EC. */
static struct thread *stack_create(unsigned cpu)
{
	/* An address is not used twice: an EC may die later than we think. */
	unsigned long utcb = __atomic_fetch_add(&next_utcb, UTCB_SIZE, __ATOMIC_RELAXED);
	uint8_t *stack;
	struct thread *t;

	if (utcb >= LAYOUT_UTCBS_END)
		return NULL;
	stack = heap_alloc_aligned(STACK_SIZE, STACK_SIZE);
	if (!stack)
		return NULL;
	t = (struct thread *)(stack + STACK_SIZE - STACK_THREAD);
	memset(t, 0, sizeof(*t));
	t->cpu = cpu;
	t->utcb = (struct utcb *)utcb;
	return t;
}

static void stack_destroy(struct thread *t)
{
	heap_free((uint8_t *)t + STACK_THREAD - STACK_SIZE);
}

static enum status ec_create(struct thread *t, enum ec_kind kind)
{
	enum status status;

	t->ec = sel_alloc(0);
	if (!t->ec)
		return OUT_OF_MEMORY;
	status = create_ec(t->ec, SEL_PD, kind, (unsigned long)t->utcb, t->cpu, (unsigned long)t,
			   event_base(t->cpu));
	if (status != SUCCESS)
		sel_free(t->ec, 0);
	return status;
}

static struct thread *create(unsigned cpu, enum ec_kind kind, enum status *status)
{
	struct thread *t = stack_create(cpu);

	*status = t ? ec_create(t, kind) : OUT_OF_MEMORY;
	if (t && *status != SUCCESS) {
		stack_destroy(t);
		t = NULL;
	}
	return t;
}

struct thread *handler_create(unsigned cpu, enum status *status)
{
	enum status ignored;

	return create(cpu, EC_LOCAL, status ? status : &ignored);
}

enum status portal_create(unsigned long sel, const struct thread *handler, unsigned long mtd,
			  struct portal *portal)
{
	enum status status = create_pt(sel, SEL_PD, handler->ec, mtd, (unsigned long)portal_entry);

	if (status == SUCCESS)
		status = pt_ctrl(sel, (unsigned long)portal);
	return status;
}

/* A thread's first event: its RSP is right, and points at its struct. */
static unsigned long start_thread(struct portal *portal, struct utcb *u)
{
	(void)portal;
	u->rip = (unsigned long)thread_entry;
	u->mtd = MTD_RIP_LEN;
	u->items = 0;
	return 0;
}

static enum status startup_create(unsigned cpu)
{
	static struct portal startup = {.handler = start_thread};
	enum status status;
	struct thread *handler;

	if (cpu >= HIP_CPUS)
		return BAD_CPU;
	if (startup_ready[cpu])
		return SUCCESS;
	handler = handler_create(cpu, &status);
	if (handler) {
		status = portal_create(event_base(cpu) + EVENT_THREAD_STARTUP, handler, MTD_RIP_LEN,
				       &startup);
		startup_ready[cpu] = status == SUCCESS;
	}
	return status;
}

static enum status sc_create(struct thread *t, unsigned priority, unsigned quantum)
{
	enum status status;

	t->sc = sel_alloc(0);
	if (!t->sc)
		return OUT_OF_MEMORY;
	status = create_sc(t->sc, SEL_PD, t->ec,
			   QPD(priority, quantum ? quantum : program_info->quantum));
	if (status != SUCCESS)
		sel_free(t->sc, 0);
	return status;
}

struct thread *thread_create(const char *name, unsigned cpu, unsigned priority, unsigned quantum,
			     void (*entry)(void *argument), void *argument, enum status *status)
{
	enum status ignored;
	struct thread *t;

	status = status ? status : &ignored;
	lock_acquire(&thread_lock);
	*status = startup_create(cpu);
	lock_release(&thread_lock);
	if (*status != SUCCESS)
		return NULL;
	t = create(cpu, EC_GLOBAL, status);
	if (!t)
		return NULL;
	t->entry = entry;
	t->argument = argument;
	*status = sc_create(t, priority, quantum);
	if (*status != SUCCESS) {
		(void)revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->ec));
		return NULL;
	}
	status_add_thread(name, t->sc, cpu);
	return t;
}

void thread_stop(void)
{
	for (;;)
		(void)sm_down(SEL_NEVER, 0);
}
