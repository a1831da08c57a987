/*
 * The one who makes attackers, watches them, and takes them away: rounds of
 * two PDs with threads, handlers and a vCPU on each CPU. After each round all
 * that was made is revoked; the kernel memory must come back.
 *
 * Arguments: calls=N how many in all (200000), seed=N of the first round, wild=1
 * attackers may take away their own memory. A round's seed is printed when it
 * begins and "verbose=1"; the seeds of the others follow from the first.
 */
#include <abi/hip.h>

#include <lib/log.h>
#include <lib/program.h>
#include <lib/request.h>
#include <lib/string.h>
#include <lib/thread.h>
#include <lib/time.h>

#include "fuzz.h"
#include "vcpu.h"

enum {
	VICTIMS = 2,
	PAGES = 8,
	THREADS = 2,		  /* a CPU */
	HANDLER = CPUS * THREADS, /* frames from here on */
	SPARES = HANDLER + CPUS,
	CALLS_A_ROUND = 20000, /* an attacker's */
	QUOTA = 300,
	ROUND_QUOTA = VICTIMS * QUOTA + 100,
	IMAGE_ORDER = 8,

	SEL_SHARED = 0x7000, /* portals, as the attackers have them */
	SEL_VICTIM = 0x8000, /* + 2^ORDER each: what they are given */
	SEL_VICTIM_ORDER = ORDER + 1,
	SEL_PDS = 0x9000,
	SEL_WINDOW = 0x9020, /* where we let them give us objects */
	SEL_SCS = 0x9040,
	SEL_ROUND_ORDER = 7, /* from SEL_PDS on */
	WINDOW_ORDER = 4,
	WINDOW_PAGE = 0x41000, /* and memory */

	PRIORITY = 1,
	QUANTUM = 1000,
	FAULTS = 50,
	NAP_US = 20,
	LOOK_MS = 3,
	WARM_UP = 1, /* rounds before memory is compared */
	CHECK_ROUNDS = 16,
	LEAK_S = 100, /* what is dead may wait for as long as others are busy */
	REPORT_S = 10,
};

static uint8_t arena[VICTIMS][PAGES][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static unsigned cpu_count;
static uint64_t total, rounds;

static void must(enum status status, const char *what)
{
	if (status != SUCCESS) {
		unsigned long limit, used;

		(void)!pd_quota(SEL_PD, &limit, &used);
		log_error("fuzz: cannot %s: status %u in round %lu, %lu of %lu pages used", what,
			  status, rounds, used, limit);
		program_exit(EXIT_FAILED, "fuzz: setup failed");
	}
}

/* Events of attackers: they start, and start again. */
static unsigned long on_event(struct portal *p, struct utcb *u)
{
	uint64_t event = p->number, page = u->rsp - ARENA;
	struct attacker *a;

	u->items = 0;
	if (page < PAGES * PAGE_SIZE && event != EVENT_THREAD_RECALL) {
		page /= PAGE_SIZE;
		a = attacker_at(arena[(uintptr_t)p->argument][page]);
		u->rsp = ARENA + page * PAGE_SIZE + PAGE_SIZE - FRAME_SIZE;
		u->rip = (uint64_t)entry_attack;
		u->rflags = next_random(&a->state);
		u->rflags = u->rflags & 3 ? 2 : u->rflags & ~0x100ul;
		u->mtd = MTD_RIP_LEN | MTD_RSP | MTD_RFLAGS;
		if (event == EVENT_THREAD_STARTUP || (a->faults++ < FAULTS && !a->done))
			return 0;
	}
	u->mtd = 0;
	return event == EVENT_THREAD_RECALL ? 0 : SEL_NEVER;
}

/* What attackers can call: it takes what they send. */
static unsigned long on_call(struct portal *p, struct utcb *u)
{
	(void)p;
	u->items &= 0x3ffff;
	u->translate = CRD(CRD_OBJ, RIGHTS_ALL, SEL_VICTIM_ORDER, SEL_VICTIM);
	u->delegate = u->word[0] & 1 ? CRD(CRD_OBJ, RIGHTS_ALL, WINDOW_ORDER, SEL_WINDOW)
				     : CRD(CRD_MEM, RIGHTS_ALL, WINDOW_ORDER, WINDOW_PAGE);
	return 0;
}

static const struct thread *handler(unsigned cpu)
{
	enum status status;
	const struct thread *t = handler_create(cpu, &status);

	must(status, "make a handler");
	return t;
}

/* The portals that all attackers share, once. */
static void make_portals(unsigned cpu)
{
	static struct portal events[CPUS][EVENTS_THREAD], service, vcpu[CPUS][EVENTS_VCPU];
	const struct thread *h = handler(cpu);
	enum status s = SUCCESS;

	for (unsigned i = 0; i < EVENTS_THREAD; i++) {
		events[cpu][i] = (struct portal){on_event, NULL, i};
		s |= portal_create(SEL_SHARED + AT_EVENTS + EVENTS_THREAD * cpu + i, h,
				   MTD_RSP | MTD_RIP_LEN, &events[cpu][i]);
	}
	h = handler(cpu);
	for (unsigned i = 0; i < EVENTS_VCPU; i++) {
		vcpu[cpu][i] = (struct portal){vcpu_event, NULL, i};
		s |= portal_create(SEL_SHARED + AT_VCPU_EVENTS + EVENTS_VCPU * cpu + i, h, VCPU_MTD,
				   &vcpu[cpu][i]);
	}
	service.handler = on_call;
	s |= portal_create(SEL_SHARED + AT_SERVICE + cpu, handler(cpu), 0, &service);
	must(s, "make portals");
}

static void give(unsigned long pd, uint64_t crd, uint64_t how, uint64_t window)
{
	struct utcb *u = thread_utcb();

	u->items = UTCB_ITEMS(0, 1);
	u->word[utcb_item_word(0)] = crd;
	u->word[utcb_item_word(0) + 1] = how | ITEM_DELEGATE;
	must(delegate(SEL_PD, window, pd), "delegate");
}

static struct attacker *prepare(unsigned v, unsigned page, unsigned cpu, uint64_t *seed, bool wild)
{
	struct attacker *a = attacker_at(arena[v][page]);

	memset(arena[v][page], 0, PAGE_SIZE);
	*a = (struct attacker){
		.utcb = (struct utcb *)(UTCBS + page * PAGE_SIZE),
		.state = next_random(seed) | 1,
		.limit = CALLS_A_ROUND,
		.nap = time_ns_to_tsc(NAP_US * NS_PER_US),
		.wild = wild,
		.cpu = (uint8_t)cpu,
	};
	return a;
}

static unsigned long at(unsigned v, unsigned what)
{
	return SEL_VICTIM + (v << ORDER) + what;
}

static void make_pd(unsigned v)
{
	must(create_pd(SEL_PDS + v, SEL_PD,
		       CRD(CRD_OBJ, RIGHTS_ALL & ~PT_CONTROL, ORDER, SEL_SHARED), QUOTA),
	     "make a PD");
	/* Its guests see the image too: code to run into. */
	give(SEL_PDS + v, CRD(CRD_MEM, MEM_R | MEM_X, IMAGE_ORDER, LAYOUT_IMAGE / PAGE_SIZE),
	     ITEM_GUEST, CRD(CRD_MEM, MEM_R | MEM_X, IMAGE_ORDER, LAYOUT_IMAGE / PAGE_SIZE));
	give(SEL_PDS + v, CRD(CRD_MEM, RIGHTS_ALL, 3, (uint64_t)arena[v] / PAGE_SIZE), ITEM_GUEST,
	     CRD(CRD_MEM, RIGHTS_ALL, 3, ARENA / PAGE_SIZE));
	for (unsigned i = 0; i < SMS; i++)
		must(create_sm(at(v, AT_SM + i), SEL_PD, i), "make an SM");
}

static void make_ecs(unsigned v, uint64_t *seed, bool wild)
{
	unsigned long pd = SEL_PDS + v;

	for (unsigned i = 0; i < SPARES; i++) {
		unsigned cpu = i % CPUS % cpu_count;
		bool thread = i < HANDLER;

		(void)prepare(v, i, cpu, seed, wild);
		must(create_ec(at(v, AT_EC + i), pd, thread ? EC_GLOBAL : EC_LOCAL,
			       UTCBS + i * PAGE_SIZE, cpu, ARENA + (i + 1) * PAGE_SIZE - FRAME_SIZE,
			       AT_EVENTS + cpu * EVENTS_THREAD),
		     "make an EC");
		if (!thread) {
			must(create_pt(at(v, AT_PT + i - HANDLER), SEL_PD, at(v, AT_EC + i), 0,
				       (uint64_t)entry_handle),
			     "make a portal");
		}
	}
	for (unsigned i = SPARES; i < PAGES; i++)
		(void)prepare(v, i, 0, seed, wild);
	if (program_info->features & (HIP_VMX | HIP_SVM)) {
		must(create_vcpu(at(v, AT_EC + SPARES), pd, v % cpu_count,
				 AT_VCPU_EVENTS + v % cpu_count * EVENTS_VCPU),
		     "make a vCPU");
	}
}

/* Own PD, the other's, and all else that was made for it. */
static void give_all(unsigned v)
{
	for (unsigned i = 0; i < 2; i++) {
		give(SEL_PD, CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_PDS + (v + i) % VICTIMS), 0,
		     CRD(CRD_OBJ, RIGHTS_ALL, 0, at(v, AT_SELF + i)));
	}
	give(SEL_PD, CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_INTERRUPTS), 0,
	     CRD(CRD_OBJ, RIGHTS_ALL, 0, at(v, AT_SM + SMS)));
	give(SEL_PDS + v, CRD(CRD_OBJ, RIGHTS_ALL, 5, at(v, 0)), 0, CRD(CRD_OBJ, RIGHTS_ALL, 5, 0));
}

static void start(unsigned v)
{
	unsigned n = HANDLER;

	if (program_info->features & (HIP_VMX | HIP_SVM)) {
		must(create_sc(SEL_SCS + v * PAGES + HANDLER, SEL_PD, at(v, AT_EC + SPARES),
			       QPD(PRIORITY, QUANTUM)),
		     "start a vCPU");
	}
	while (n--) {
		/* By now it may be gone: the others have begun. */
		(void)!create_sc(SEL_SCS + v * PAGES + n, SEL_PD, at(v, AT_EC + n),
				 QPD(PRIORITY + n % 3, QUANTUM));
	}
}

static uint64_t calls(bool *done)
{
	uint64_t all = 0;

	*done = true;
	for (unsigned v = 0; v < VICTIMS; v++) {
		for (unsigned i = 0; i < PAGES; i++) {
			all += attacker_at(arena[v][i])->calls;
			*done &= i >= HANDLER || attacker_at(arena[v][i])->done;
		}
	}
	return all;
}

static void end(void)
{
	(void)!revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, SEL_ROUND_ORDER, SEL_PDS));
	(void)!revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, SEL_VICTIM_ORDER, SEL_VICTIM));
	(void)!revoke_self(CRD(CRD_MEM, RIGHTS_ALL, WINDOW_ORDER, WINDOW_PAGE));
	(void)!revoke(CRD(CRD_MEM, RIGHTS_ALL, IMAGE_ORDER, LAYOUT_IMAGE / PAGE_SIZE));
	(void)!revoke(CRD(CRD_OBJ, RIGHTS_ALL, ORDER, SEL_SHARED));
	(void)!revoke(CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_INTERRUPTS));
}

/* What the calls returned. */
static uint64_t seen[CALLS][STATUSES];

static void count(void)
{
	for (unsigned i = 0; i < VICTIMS * PAGES * CALLS * STATUSES; i++) {
		unsigned status = i % STATUSES, call = i / STATUSES % CALLS,
			 page = i / (STATUSES * CALLS);

		seen[call][status] +=
			attacker_at(arena[page / PAGES][page % PAGES])->seen[call][status];
	}
}

/* A line a call: how often it returned 0, 1, 2... */
static void report_seen(void)
{
	for (unsigned call = 0; call < CALLS; call++) {
		const uint64_t *n = seen[call];

		log_info("fuzz: call %2u: %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu", call, n[0],
			 n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9]);
	}
}

struct memory {
	unsigned long limit, used;
};

static struct memory memory(void)
{
	struct memory m;

	must(pd_quota(SEL_PD, &m.limit, &m.used), "read the quota");
	return m;
}

/* Some time after it is revoked there is so much again. */
static bool back(unsigned long limit, unsigned long unused, struct memory *m)
{
	for (unsigned ms = 0; ms < LEAK_S * 1000; ms += LOOK_MS) {
		*m = memory();
		if (m->limit >= limit && m->limit - m->used >= unused)
			return true;
		time_sleep(LOOK_MS * NS_PER_MS);
	}
	return false;
}

/* All is given back. */
static bool gone(const struct memory *before)
{
	struct memory m;

	if (back(before->limit, before->limit - before->used, &m))
		return true;
	log_error("fuzz: LEAK: %lu of %lu pages used, before %lu of %lu", m.used, m.limit,
		  before->used, before->limit);
	return false;
}

static uint64_t run(uint64_t seed, bool wild)
{
	uint64_t now = 0, before;
	struct memory m;
	unsigned same = 0;
	bool done;

	(void)back(0, ROUND_QUOTA, &m);
	vcpu_round(seed);
	for (unsigned v = 0; v < VICTIMS; v++)
		make_pd(v);
	for (unsigned v = 0; v < VICTIMS; v++) {
		make_ecs(v, &seed, wild);
		give_all(v);
	}
	for (unsigned v = 0; v < VICTIMS; v++)
		start(v);
	do {
		before = now;
		(void)!sm_down(SEL_NEVER, time_tsc() + time_ns_to_tsc(LOOK_MS * NS_PER_MS));
		now = calls(&done);
		same = now == before ? same + 1 : 0;
	} while (!done && same < 2);
	end();
	count();
	return now;
}

/* A PD's page tables stay with it: those of the window are made first. */
static void touch_window(void)
{
	give(SEL_PD, CRD(CRD_MEM, RIGHTS_ALL, 0, (uint64_t)arena / PAGE_SIZE), ITEM_GUEST,
	     CRD(CRD_MEM, RIGHTS_ALL, 0, WINDOW_PAGE));
	(void)!revoke_self(CRD(CRD_MEM, RIGHTS_ALL, 0, WINDOW_PAGE));
}

static uint64_t option(const char *arguments, const char *name, uint64_t other)
{
	size_t length = strlen(name);

	for (const char *at_ = arguments; *at_; at_++)
		if (strncmp(at_, name, length) == 0)
			return strtoul(at_ + length, NULL, 0);
	return other;
}

static void report(uint64_t seed)
{
	static uint64_t next;

	if (time_ns() >= next) {
		log_info("fuzz: %lu calls, %lu rounds, %lu exits; next seed %#lx", total, rounds,
			 vcpu_exits(), seed);
		next = time_ns() + REPORT_S * NS_PER_S;
	}
}

int program_main(const struct program_info *info)
{
	uint64_t limit = option(info->arguments, "calls=", 200000);
	uint64_t seed = option(info->arguments, "seed=", time_tsc()) | 1;
	bool wild = option(info->arguments, "wild=", 0);
	bool verbose = option(info->arguments, "verbose=", 0);
	struct memory before = {0, 0};
	bool leak = false;

	cpu_count = info->cpu_count < CPUS ? info->cpu_count : CPUS;
	log_info("fuzz: %lu calls on %u CPUs, seed %#lx", limit, cpu_count, seed);
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		make_portals(cpu);
	touch_window();
	for (; total < limit && !leak; rounds++) {
		report(seed);
		if (verbose)
			log_info("fuzz: round %lu seed %#lx", rounds, seed);
		total += run(seed, wild || rounds % 8 == 7);
		next_random(&seed);
		if (rounds == WARM_UP) {
			time_sleep(NS_PER_S / 5);
			before = memory();
		} else if (rounds % CHECK_ROUNDS == CHECK_ROUNDS - 1) {
			leak = !gone(&before);
		}
	}
	leak = leak || !gone(&before);
	report_seen();
	log_info("fuzz: done, %lu calls, %lu rounds, %lu exits, %s", total, rounds, vcpu_exits(),
		 leak ? "LEAK" : "no leak");
	return leak;
}
