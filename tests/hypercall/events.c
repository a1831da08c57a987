/*
 * The events of tests' threads. There is one common handler for each CPU, as a
 * portal's handler must be on its caller's CPU.
 */
#include "ecs.h"

enum {
	MTD_EVENT = MTD_GPR_ACDB | MTD_GPR_BSD | MTD_RSP | MTD_RIP_LEN | MTD_RFLAGS | MTD_QUAL |
		    MTD_GPR_R8_R15,
	INSTRUCTION_MAX = 15,
};

struct fault last_fault[MAX_CPUS];
volatile bool may_fault;

/* start.S */
extern const char probe_begin[], probe_end[], probe_return[], thread_end[];

static bool in_probe(const struct utcb *u)
{
	return u->rip - (uint64_t)probe_begin < (uint64_t)(probe_end - probe_begin) ||
	       u->rip - u->rdi <= INSTRUCTION_MAX;
}

static void on_event(struct frame *f)
{
	struct utcb *u = f->utcb;

	if (f->id == EVENT_THREAD_STARTUP) {
		u->rip = (uint64_t)entry_thread;
		u->mtd = MTD_RIP_LEN;
	} else if (f->id == EVENT_THREAD_RECALL) {
		u->mtd = 0;
	} else if (in_probe(u)) {
		last_fault[f->cpu] = (struct fault){u->qual[0], u->qual[1]};
		u->rax = FAULT(f->id);
		u->rip = (uint64_t)probe_return;
		u->mtd = MTD_GPR_ACDB | MTD_RIP_LEN;
	} else {
		u->mtd = 0;
		f->reply = SEL_FOREVER;
		if (u->rip == (uint64_t)thread_end + 1 || (may_fault && !on_main_stack(u->rsp)))
			return;
		test_failed(false, __FILE__, (int)f->id, "(line: vector) RIP of an exception",
			    u->rip, 0);
		if (on_main_stack(u->rsp)) {
			u->rip = (uint64_t)test_abandon;
			u->mtd = MTD_RIP_LEN;
			f->reply = 0;
		}
	}
}

void event_portals(unsigned long base, const struct frame *handler, unsigned long mtd)
{
	for (unsigned i = 0; i < EVENTS_THREAD; i++) {
		SETUP(create_pt(base + i, SEL_ROOT_PD, handler->ec, mtd,
				(unsigned long)entry_portal));
		SETUP(pt_ctrl(base + i, i));
	}
}

void events_init(unsigned cpu)
{
	unsigned long first = SEL_EVENTS + EVENTS_THREAD * cpu;
	struct frame *f = make_ec(SEL_EVENT_ECS + cpu, SEL_ROOT_PD, cpu, EC_LOCAL, on_event, 0);

	event_portals(first, f, MTD_EVENT);
}

void give_startup(unsigned long base, unsigned cpu)
{
	unsigned long common = common_events(SEL_ROOT_PD, cpu) + EVENT_THREAD_STARTUP;

	SETUP(give_at(SEL_ROOT_PD, CRD(CRD_OBJ, RIGHTS_ALL, 0, common), ITEM_DELEGATE,
		      CRD(CRD_OBJ, RIGHTS_ALL, 0, base + EVENT_THREAD_STARTUP)));
}

void give_recall(unsigned long base, const struct frame *handler)
{
	give_startup(base, handler->cpu);
	SETUP(create_pt(base + EVENT_THREAD_RECALL, SEL_ROOT_PD, handler->ec, 0,
			(unsigned long)entry_portal));
}

unsigned long events_replaced(uint64_t mask, unsigned long pt)
{
	unsigned long first = sel_range(5);

	for (unsigned i = 0; i < EVENTS_THREAD; i++) {
		unsigned long from = mask >> i & 1 ? pt : common_events(SEL_ROOT_PD, boot_cpu) + i;

		SETUP(give_at(SEL_ROOT_PD, CRD(CRD_OBJ, RIGHTS_ALL, 0, from), ITEM_DELEGATE,
			      CRD(CRD_OBJ, RIGHTS_ALL, 0, first + i)));
	}
	return first;
}

void start_at(struct frame *f)
{
	struct utcb *u = f->utcb;

	if (f->id == EVENT_THREAD_STARTUP) {
		u->rip = f->argument;
		u->mtd = MTD_RIP_LEN;
	} else {
		f->value[0] = f->id;
		f->value[1] = u->rip;
		u->mtd = 0;
		f->reply = SEL_FOREVER;
	}
}
