/*
 * Many threads that one event concerns: who waits for a semaphore that goes, whose
 * time is over at the same moment, who waits for a busy handler, whose SC ends,
 * who is in a chain of calls that ends. And many capabilities that are gone.
 */
#include "latency.h"

#include <abi/hip.h>

enum {
	MANY = 1 << 10,
	SEL_EVENTS = 0x200,
	SEL_STARTER = 0x240, /* an EC */
	SEL_GATE,	     /* SMs: where threads wait for what they are to do */
	SEL_BUSY,	     /* for that to happen */
	SEL_FOREVER,	     /* for nothing */
	SEL_CHILDREN,	     /* two: each derived from the one before it */
	SEL_THREADS = 0x40000,
	SEL_SCS = SEL_THREADS + MANY,
	SEL_HANDLERS = SEL_SCS + MANY,
	SEL_PORTALS = SEL_HANDLERS + MANY,
	STARTER = MANY, /* id of the portal for their start */
	STACK = 512,
	QUANTUM = 1000000,
	LONG = 30000000, /* ticks: all have come to where they wait */
	SHORT = 5000000,
};

#define UTCBS 0x100000000ul

static char stack[2 * MANY + 1][STACK] __attribute__((aligned(16)));
static unsigned number;
static volatile enum { NOTHING, WAIT, SLEEP, CALL, CHAIN } what;
static volatile uint64_t when;
static bool waited; /* the handler that all call */

static uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static unsigned long utcb(unsigned i)
{
	return UTCBS + i * PAGE_SIZE;
}

static _Noreturn void thread(void)
{
	for (;;) {
		(void)!sm_down(SEL_GATE, 0);
		if (what == WAIT)
			(void)!sm_down(SEL_BUSY, 0);
		else if (what == SLEEP)
			(void)!sm_down(SEL_FOREVER, when);
		else if (what != NOTHING)
			(void)!call(SEL_PORTALS);
	}
}

void latency_handler(unsigned long id)
{
	struct utcb *u = (struct utcb *)utcb(2 * MANY);

	if (id == STARTER) {
		u->items = 0;
		u->rip = (uint64_t)thread;
		u->mtd = MTD_RIP_LEN;
	} else if (what == CALL && !waited) {
		waited = true;
		(void)!sm_down(SEL_BUSY, 0);
	} else if (what == CHAIN && id + 1 < number) {
		(void)!call(SEL_PORTALS + id + 1);
	} else if (what == CHAIN) {
		(void)!sm_down(SEL_FOREVER, 0);
	}
}

static void make_ec(unsigned long sel, enum ec_kind kind, unsigned i)
{
	must(create_ec(sel, SEL_ROOT_PD, kind, utcb(i), 0, (uint64_t)stack[i + 1], SEL_EVENTS));
}

static void make_portal(unsigned long sel, unsigned long ec, unsigned long id)
{
	must(create_pt(sel, SEL_ROOT_PD, ec, MTD_RIP_LEN, (uint64_t)entry_handler));
	must(pt_ctrl(sel, id));
}

static void make_scs(unsigned priority)
{
	for (unsigned i = 0; i < number; i++)
		must(create_sc(SEL_SCS + i, SEL_ROOT_PD, SEL_THREADS + i, QPD(priority, QUANTUM)));
}

/* The threads, more urgent than this one, do it as far as they come. */
static void all(unsigned what_, unsigned n)
{
	what = what_;
	for (unsigned i = 0; i < n; i++)
		must(sm_up(SEL_GATE));
}

static void end(unsigned long sel, unsigned order)
{
	must(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, order, sel)));
}

static void pause(uint64_t ticks)
{
	(void)!sm_down(SEL_FOREVER, rdtsc() + ticks);
}

void crowd(unsigned order)
{
	number = 1u << order;
	for (unsigned i = 0; i < 3; i++)
		must(create_sm(SEL_GATE + i, SEL_ROOT_PD, 0));
	make_ec(SEL_STARTER, EC_LOCAL, 2 * MANY);
	make_portal(SEL_EVENTS + EVENT_THREAD_STARTUP, SEL_STARTER, STARTER);
	for (unsigned i = 0; i < number; i++) {
		make_ec(SEL_THREADS + i, EC_GLOBAL, i);
		make_ec(SEL_HANDLERS + i, EC_LOCAL, MANY + i);
		make_portal(SEL_PORTALS + i, SEL_HANDLERS + i, i);
	}
	make_scs(2);

	mark();
	all(WAIT, number);
	end(SEL_BUSY, 0);
	must(create_sm(SEL_BUSY, SEL_ROOT_PD, 0));

	mark();
	when = rdtsc() + LONG;
	all(SLEEP, number);
	pause(2 * LONG);

	mark();
	waited = false;
	all(CALL, number);
	must(sm_up(SEL_BUSY));

	mark();
	/* Those of threads that sleep, then those of threads that could run. */
	end(SEL_SCS, order);
	end(SEL_GATE, 0);
	pause(SHORT);
	make_scs(1);
	end(SEL_SCS, order);
	pause(SHORT);
	must(create_sm(SEL_GATE, SEL_ROOT_PD, 0));

	mark();
	must(create_sc(SEL_SCS, SEL_ROOT_PD, SEL_THREADS, QPD(2, QUANTUM)));
	all(CHAIN, 1);
	end(SEL_HANDLERS, order);

	mark();
	end(SEL_THREADS, order);
	end(SEL_SCS, order);
	end(SEL_PORTALS, order);
	end(SEL_EVENTS, 7);
	settle();
}

void ancestors(unsigned order)
{
	make_ec(SEL_STARTER, EC_LOCAL, 2 * MANY);
	make_portal(SEL_PORTALS, SEL_STARTER, 0);
	what = NOTHING;
	must(create_sm(SEL_CHILDREN, SEL_ROOT_PD, 0));
	mark();
	for (unsigned i = 0; i < 1u << order; i++) {
		give(CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_CHILDREN + i % 2), 0,
		     CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_CHILDREN + (i + 1) % 2));
		must(revoke_keep(CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_CHILDREN + i % 2)));
	}
	mark();
	((struct utcb *)utcb(2 * MANY))->translate = CRD(CRD_OBJ, RIGHTS_ALL, 27, 0);
	set_item(CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_CHILDREN), ITEM_TRANSLATE);
	must(call(SEL_PORTALS));

	mark();
	end(SEL_CHILDREN, 0);
	end(SEL_PORTALS, 0);
	end(SEL_STARTER, 0);
	settle();
}
