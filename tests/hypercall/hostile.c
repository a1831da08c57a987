/*
 * Programs that mean no good: random calls, impossible numbers, addresses that
 * are none. The kernel is to refuse and go on; what they do to themselves is
 * their own business.
 *
 * They run in a PD of their own with a quota, so that the test can clean up.
 */
#include <lib/string.h>

#include "random.h"
#include "test.h"

enum {
	CALLS_IN_ALL = 100000,
	CALLS_A_ROUND = 4000,
	ROUNDS = 100,
	HOSTILE_QUOTA = 150,
	HOSTILE_SELS = 64,
};

/* Numbers at the edges, numbers that mean something, and any numbers. */
static uint64_t some_number(uint64_t *state)
{
	static const uint64_t edges[] = {
		EDGES,
		0x1000000,
		0x1000040,
	};
	uint64_t r = next_random(state);

	switch (r >> 60) {
	case 0 ... 3:
		return edges[r % (sizeof(edges) / sizeof(*edges))];
	case 4 ... 7:
		return r % HOSTILE_SELS;
	case 8 ... 10:
		/* A CRD of few selectors, pages or ports. */
		return CRD(r % 4, r >> 2 & 31, r >> 8 & 3, r >> 16 & (HOSTILE_SELS - 1));
	case 11:
		return CRD(r % 4, r >> 2 & 31, r >> 7 & 31, r >> 12 & 0xfffff);
	case 12:
		return QPD(r & 0x7f, r >> 7 & 0xffff);
	case 13:
		return 0x10000000 + (r & 0xffff000);
	default:
		return next_random(state);
	}
}

static uint64_t some_call(uint64_t *state)
{
	uint64_t r = next_random(state);
	uint64_t selector = r >> 60 ? r >> 8 & (HOSTILE_SELS - 1) : some_number(state);

	return CALL_ID(r & 15, r >> 4 & 15, selector);
}

/* What must not be random, so that it takes longer until it has hurt itself. */
static uint64_t nap; /* TSC; the HIP is not where they run */

static void tame(struct registers *r)
{
	uint64_t deadline = rdtsc() + nap;

	switch (r->rdi & 15) {
	case CALL_SM_CTRL:
		r->rsi = deadline >> 32;
		r->rdx = deadline & 0xffffffff;
		break;
	case CALL_REVOKE:
		if (CRD_TYPE(r->rsi) == CRD_MEM)
			r->rsi = CRD(CRD_MEM, RIGHTS_ALL, 4, 0x20000);
		break;
	}
}

/*
 * value[0] counts, value[1] is the random state, value[2] the limit; argument:
 * be tame.
 */
static void attack(struct frame *f)
{
	uint64_t state = f->value[1];
	struct utcb *u = f->utcb;

	while (f->value[0] < f->value[2]) {
		struct registers r = {0};

		r.rdi = some_call(&state);
		r.rsi = some_number(&state);
		r.rdx = some_number(&state);
		r.rax = some_number(&state);
		r.r8 = some_number(&state);
		r.rflags = 0x202;
		if (f->argument)
			tame(&r);
		u->items = next_random(&state) & 7 ? UTCB_ITEMS(1, next_random(&state) & 3)
						   : some_number(&state);
		u->translate = some_number(&state);
		u->delegate = some_number(&state);
		for (unsigned i = 0; i < 4; i++)
			put_item(u, i, some_number(&state), some_number(&state));
		f->value[1] = state;
		f->value[0]++;
		syscall_registers(&r);
	}
	f->value[3] = 1;
}

/* Its events: it starts, and after any other it rests for good. */
static void bury(struct frame *f)
{
	struct utcb *u = f->utcb;

	u->mtd = 0;
	if (f->id == EVENT_THREAD_STARTUP) {
		u->rip = (uint64_t)entry_thread;
		u->mtd = MTD_RIP_LEN;
	} else {
		f->reply = SEL_FOREVER;
	}
}

enum { VICTIM_EVENTS = 0x100 };

/* A PD with something to abuse at its first selectors. */
static unsigned long victim(unsigned cpu)
{
	unsigned long first = sel_range(6), events = sel_range(5), pd = sel();
	struct frame *h = make_handler(SEL_ROOT_PD, cpu, echo);
	struct frame *e = make_handler(SEL_ROOT_PD, cpu, bury);

	SETUP(create_sm(first + 1, SEL_ROOT_PD, 0));
	SETUP(create_sm(first + 2, SEL_ROOT_PD, 1000000));
	SETUP(create_pt(first + 3, SEL_ROOT_PD, h->ec, 0, (unsigned long)entry_portal));
	SETUP(create_pd(first + 4, SEL_ROOT_PD, 0, 30));
	SETUP(create_ec(first + 5, first + 4, EC_LOCAL, free_pages(0), cpu, 0, 0));
	event_portals(events, e, MTD_RIP_LEN);
	SETUP(create_pd(pd, SEL_ROOT_PD, CRD(CRD_OBJ, RIGHTS_ALL, 6, first), HOSTILE_QUOTA));
	SETUP(give(pd, CRD(CRD_MEM, RIGHTS_ALL, 9, 0x1000)));
	SETUP(give_at(pd, CRD(CRD_OBJ, RIGHTS_ALL, 0, pd), ITEM_DELEGATE,
		      CRD(CRD_OBJ, RIGHTS_ALL, 0, 6)));
	SETUP(give_at(pd, CRD(CRD_OBJ, RIGHTS_ALL, 5, events), ITEM_DELEGATE,
		      CRD(CRD_OBJ, RIGHTS_ALL, 5, VICTIM_EVENTS)));
	return pd;
}

/* Attackers on all CPUs, until each hangs, has died or has done its calls. */
static uint64_t round_of(uint64_t seed, bool is_tame)
{
	struct frame *t[MAX_CPUS];
	uint64_t before, all = 0;
	bool done = false;

	nap = tsc_of_us(10);
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		t[cpu] = make_idle_thread(victim(cpu), cpu, attack, is_tame, VICTIM_EVENTS);
		t[cpu]->value[1] = seed + cpu;
		t[cpu]->value[2] = CALLS_A_ROUND;
	}
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		start_thread(t[cpu], 1, 1000);
	do {
		before = all;
		all = 0;
		done = true;
		quiesce();
		for (unsigned cpu = 0; cpu < cpus; cpu++) {
			all += t[cpu]->value[0];
			done = done && t[cpu]->value[3];
		}
	} while (!done && all != before);
	return all;
}

static void rounds(uint64_t seed, bool is_tame)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < ROUNDS && all < CALLS_IN_ALL; i++) {
		all += round_of(seed + i * 64, is_tame);
		clean();
		/* The machine is still there. */
		my_utcb->items = 0;
		EQUAL(sm_down(make_sm(1), 1), SUCCESS);
	}
	CHECK(all >= CALLS_IN_ALL / 10);
}

/* All calls, all flags, with numbers that are half right. */
static void random_calls(void)
{
	unsigned long before;

	round_of(1, true);
	clean();
	before = usage_settled(SEL_ROOT_PD);
	rounds(0x9e3779b97f4a7c15, true);
	/* The UTCBs were at other addresses: page tables. */
	before += 2;
	WAIT(usage(SEL_ROOT_PD) <= before);
}

/* The same, and they may take away their own memory. */
static void random_wild(void)
{
	rounds(0xdeadbeef12345679, false);
}

/* Every CRD there is, by type, rights, order, and bases at the edges. */
static void crds(void)
{
	static const uint64_t bases[] = {
		0,
		1,
		0x1000,
		0xffff,
		0x10000,
		1ul << 18,
		1ul << 27,
		(USER_END >> 12) - 1,
		USER_END >> 12,
		1ul << 35,
		1ul << 36,
		1ul << 40,
		(1ul << 52) - 1,
		1ul << 51,
	};
	unsigned long pd = make_empty_pd(60);

	for (unsigned order = 0; order < 32; order++) {
		for (unsigned i = 0; i < sizeof(bases) / sizeof(*bases); i++) {
			for (unsigned type = 0; type < 4; type++) {
				uint64_t crd = CRD(type, RIGHTS_ALL, order, bases[i]), l = crd;

				EQUAL(lookup(&l), SUCCESS);
				EQUAL(revoke_remote(pd, crd), SUCCESS);
				(void)!give_at(pd, crd, ITEM(ITEM_DELEGATE, 0, bases[i]), crd);
				(void)!give_at(pd, crd, ITEM(ITEM_DELEGATE, 0, ~0ul >> 12),
					       CRD(type, RIGHTS_ALL, 31 - order, ~0ul >> 12));
				EQUAL(revoke_remote(pd, crd), SUCCESS);
			}
		}
	}
}

/* Taking from the kernel, all orders: nothing of the kernel's own comes. */
static void take_anything(void)
{
	unsigned long pd = make_empty_pd(60);

	for (unsigned order = 0; order < 32; order++) {
		for (unsigned bit = 0; bit < 52; bit++) {
			uint64_t crd = CRD(CRD_MEM, MEM_R, order, 1ul << bit);

			set_item(crd, ITEM(ITEM_DELEGATE, ITEM_KERNEL, 0));
			(void)!delegate(SEL_ROOT_PD, CRD(CRD_MEM, MEM_R, order % 10, 0x10000000),
					pd);
			EQUAL(revoke_remote(pd, CRD(CRD_MEM, RIGHTS_ALL, 31, 0)), SUCCESS);
		}
	}
}

/* Segment registers hold what a program may load, over calls and switches. */
static void segments(void)
{
	unsigned long pt = make_portal(make_handler(make_pd(), boot_cpu, echo), 0, 0);
	unsigned loaded = 0;

	my_utcb->items = 0;
	for (unsigned selector = 0; selector < 0x100; selector++) {
		loaded += probe_segments(selector) == 0;
		EQUAL(call(pt), SUCCESS);
		EQUAL(probe_ud(), FAULT(VECTOR_UD));
		if (selector % 16 == 0)
			sleep_us(100);
	}
	CHECK(loaded >= 4);
	EQUAL(probe_segments(0), 0);
}

/* RFLAGS at a call may be anything that a program can set. */
static void rflags(void)
{
	for (uint64_t bit = 0; bit < 22; bit++) {
		struct registers r = {0};

		r.rdi = CALL_ID(CALL_REVOKE, 0, 0);
		r.rflags = 0x202 | 1ul << bit;
		if (bit != 8 && bit != 12 && bit != 13 && bit != 17 && bit != 19 && bit != 20 &&
		    bit != 16) {
			syscall_registers(&r);
			EQUAL(r.rdi & 0xff, SUCCESS);
			EQUAL(r.rflags, 0x202);
		}
	}
}

/* A call at the very end of user addresses returns to where nothing is. */
static void call_at_end(void)
{
	static const uint16_t syscall_opcode = 0x050f;
	unsigned long pd = make_empty_pd(QUOTA), ec = sel(), at, events;
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, start_at);
	uint64_t rwx = CRD(CRD_MEM, RIGHTS_ALL, 0, 0);

	at = free_pages(0);
	SETUP(take(rwx | free_ram(0), 0, rwx | at));
	*(volatile uint16_t *)(at + PAGE_SIZE - 2) = syscall_opcode;
	SETUP(give_at(pd, rwx | at, ITEM_DELEGATE, rwx | (USER_END - PAGE_SIZE)));
	events = sel_range(5);
	event_portals(events, h, MTD_RIP_LEN);
	SETUP(give(pd, CRD(CRD_OBJ, RIGHTS_ALL, 5, events)));
	h->argument = USER_END - 2;
	SETUP(create_ec(ec, pd, EC_GLOBAL, free_pages(0), boot_cpu, 0, events));
	SETUP(create_sc(sel(), SEL_ROOT_PD, ec, QPD(5, 1000)));
	EQUAL(h->value[0], VECTOR_PF);
	EQUAL(h->value[1], USER_END);
}

/* Portals whose entry, and handlers whose stack, is nowhere. */
static void entry_points(void)
{
	static const uint64_t entries[] = {0,	      1,	0x1000,	  USER_END - 1,
					   ROOT_UTCB, ROOT_HIP, 1ul << 46};
	static const uint64_t stacks[] = {
		0, 8, ~0ul, 1ul << 63, USER_END, 0xffff800000000000, 1ul << 47};

	for (unsigned i = 0; i < 7; i++) {
		unsigned long ec = sel(), pt = sel(), none = sel_range(5);

		SETUP(create_ec(ec, SEL_ROOT_PD, EC_LOCAL, free_pages(0), boot_cpu, stacks[i],
				none));
		SETUP(create_pt(pt, SEL_ROOT_PD, ec, ~0ul, entries[i]));
		my_utcb->items = ~0ul >> i * 8;
		EQUAL(call(pt), ABORTED);
		EQUAL(call(pt), TIMEOUT);
	}
}

const struct test hostile_tests[] = {
	{"hostile.segments", segments, 0},
	{"hostile.rflags", rflags, 0},
	{"hostile.call_at_end", call_at_end, 0},
	{"hostile.entry_points", entry_points, 0},
	{"hostile.crds", crds, 0},
	{"hostile.take_anything", take_anything, 0},
	{"hostile.random_calls", random_calls, 0},
	{"hostile.random_wild", random_wild, 0},
	{0},
};
