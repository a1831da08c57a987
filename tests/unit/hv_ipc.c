/*
 * ECs that call, reply, sleep, help and die, at random and on several CPUs:
 * nobody uses what was freed, and in the end every object was freed once.
 */
#include "hv_machine.h"

enum {
	PAGES = 8192,
	STEPS = 6000,

	/* Root's selectors, the same in all PDs. */
	PORTALS = 0,
	PORTAL_COUNT = 24,
	SMS = 64,
	SM_COUNT = 10,
	ECS = 100,
	EC_COUNT = 24,
	SCS = 200,
	SC_COUNT = 16,
	PDS = 300,
	PD_COUNT = 4,
};

static struct pd *pd_at(uint64_t selector)
{
	struct object *o = root_object(selector);

	return o && o->type == OBJECT_PD ? container_of(o, struct pd, object) : NULL;
}

/* What is new in root is given to the others. */
static void share_with_all(uint64_t selector)
{
	for (unsigned i = 0; i < PD_COUNT; i++) {
		struct pd *pd = pd_at(PDS + i);

		if (pd && rnd(8))
			share(pd, selector);
	}
}

static uint64_t any(uint64_t first, uint64_t count)
{
	return first + rnd(count);
}

/* One at which the running EC has something, or nothing: mostly. */
static uint64_t some(uint64_t first, uint64_t count, bool wanted)
{
	uint64_t selector = any(first, count);

	for (unsigned i = 0; i < 8; i++) {
		if (!!space_object(&running()->pd->obj, selector) == wanted)
			break;
		selector = any(first, count);
	}
	return selector;
}

/* A portal that may well be called with success. */
static uint64_t some_portal(void)
{
	uint64_t selector = any(PORTALS, PORTAL_COUNT);

	for (unsigned i = 0; i < 6; i++) {
		struct object *o = pd_object(running()->pd, selector, OBJECT_PT, PT_CALL);

		if (o && !container_of(o, struct pt, object)->ec->dead &&
		    (container_of(o, struct pt, object)->ec->cpu == cpu_now || rnd(4) == 0))
			break;
		selector = any(PORTALS, PORTAL_COUNT);
	}
	return selector;
}

static uint64_t any_pd(void)
{
	return rnd(2) ? SEL_PD : any(PDS, PD_COUNT);
}

static void do_create_pd(void)
{
	uint64_t selector = some(PDS, PD_COUNT, false);

	hypercall(CALL_CREATE_PD, 0, selector, SEL_PD, CRD(CRD_OBJ, RIGHTS_ALL, 9, 0),
		  rnd(4) ? 400ul << 32 : rnd(20) << 32, 0);
}

static void do_create_ec(void)
{
	/* Some have a portal beside them, to ask for memory. */
	uint64_t selector = rnd(4) ? some(ECS, EC_COUNT, false)
				   : some(PORTALS, PORTAL_COUNT, false);
	bool vcpu = rnd(6) == 0;
	uint64_t utcb = vcpu ? 0 : 0x100000 + rnd(200) * PAGE_SIZE;

	hypercall(CALL_CREATE_EC, vcpu || rnd(3) == 0, selector, any_pd(), utcb | rnd(cpu_count), 0,
		  rnd(PORTAL_COUNT));
	share_with_all(selector);
}

static void do_create_sc(void)
{
	uint64_t selector = some(SCS, SC_COUNT, false);

	hypercall(CALL_CREATE_SC, 0, selector, any_pd(), some(ECS, EC_COUNT, true),
		  QPD(1 + rnd(4), 1000), 0);
	share_with_all(selector);
}

static void do_create_pt(void)
{
	uint64_t selector = some(PORTALS, PORTAL_COUNT, false);

	hypercall(CALL_CREATE_PT, 0, selector, any_pd(), some(ECS, EC_COUNT, true),
		  rnd(2) ? 0x4000001f : 0, 0x1000);
	share_with_all(selector);
}

static void do_create_sm(void)
{
	uint64_t selector = some(SMS, SM_COUNT, false);

	hypercall(CALL_CREATE_SM, 0, selector, any_pd(), rnd(2),
		  rnd(2) ? some(SMS, SM_COUNT, true) : 0, 0);
	share_with_all(selector);
}

static void write_message(struct ec *ec)
{
	struct utcb *u = ec->utcb;

	if (!u)
		return;
	u->items = rnd(8) ? rnd(10) : UTCB_ITEMS(rnd(10), rnd(3));
	u->delegate = CRD(CRD_OBJ, RIGHTS_ALL, 9, 0);
	u->translate = CRD(CRD_OBJ, RIGHTS_ALL, 9, 0);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t selector = rnd(400);

		u->word[utcb_item_word(i)] = CRD(CRD_OBJ, rnd(32), rnd(3), selector);
		u->word[utcb_item_word(i) + 1] = ITEM(rnd(3), 0, selector);
	}
}

static void do_call(void)
{
	write_message(running());
	hypercall(CALL_CALL, rnd(4) == 0, some_portal(), 0, 0, 0, 0);
}

static void do_reply(void)
{
	write_message(running());
	hypercall(CALL_REPLY, 0, rnd(4) ? 0 : some(SMS, SM_COUNT, true), 0, 0, 0, 0);
}

static void do_up(void)
{
	hypercall(CALL_SM_CTRL, SM_UP, some(SMS, SM_COUNT, true), 0, 0, 0, 0);
}

static void do_down(void)
{
	uint64_t deadline = rnd(2) ? tsc_now + rnd(3000) : 0;

	hypercall(CALL_SM_CTRL, SM_DOWN | (rnd(2) ? FLAG_SM_ZERO : 0), some(SMS, SM_COUNT, true),
		  deadline >> 32, deadline & 0xffffffff, 0, 0);
}

static void do_recall(void)
{
	hypercall(CALL_EC_CTRL, EC_RECALL, some(ECS, EC_COUNT, true), 0, 0, 0, 0);
}

static void do_look(void)
{
	static const unsigned operations[] = {
		EC_RECALL,
		EC_TIME,
		EC_GET_STATE,
		EC_SET_STATE,
	};

	hypercall(CALL_EC_CTRL, operations[rnd(4)], some(ECS, EC_COUNT, true), rnd(2), 0, 0, 0);
}

static void do_help(void)
{
	hypercall(CALL_EC_CTRL, EC_HELP, some(ECS, EC_COUNT, true), 0, 0, 0, 0);
}

static void do_migrate(void)
{
	hypercall(CALL_EC_CTRL, EC_MIGRATE, some(ECS, EC_COUNT, true), rnd(cpu_count),
		  rnd(2) ? CRD(CRD_OBJ, RIGHTS_ALL, 0, any(ECS, EC_COUNT)) : 0, 0, 0);
}

static void do_yield(void)
{
	hypercall(CALL_EC_CTRL, EC_YIELD, 0, 0, 0, 0, 0);
}

static void do_revoke(void)
{
	static const struct {
		uint64_t first, count;
	} what[] = {
		{PORTALS, PORTAL_COUNT}, {SMS, SM_COUNT}, {ECS, EC_COUNT},
		{SCS, SC_COUNT},	 {PDS, PD_COUNT},
	};
	unsigned i = (unsigned)rnd(ARRAY_SIZE(what));
	uint64_t base = some(what[i].first, what[i].count, true);

	hypercall(CALL_REVOKE, FLAG_REVOKE_SELF, rnd(4) ? 0 : any(SMS, SM_COUNT),
		  CRD(CRD_OBJ, rnd(4) ? RIGHTS_ALL : rnd(32), rnd(12) ? 0 : rnd(5), base), 0, 0, 0);
}

/* Root's own has no portals for all: it stays. */
static void do_event(void)
{
	if (running() == root_ec(SEL_EC))
		return;
	uint32_t number = (uint32_t)(some_portal() - running()->events);

	event(number < 32 || rnd(8) == 0 ? number : 0);
}

static void do_tick(void)
{
	tick(rnd(1500));
}

static const struct action {
	unsigned weight;
	void (*run)(void);
} actions[] = {
	{4, do_create_pd}, {14, do_create_ec}, {14, do_create_sc}, {14, do_create_pt},
	{6, do_create_sm}, {60, do_call},      {15, do_up},	   {20, do_down},
	{8, do_recall},	   {5, do_yield},      {9, do_revoke},	   {15, do_event},
	{30, do_tick},	   {4, do_look},       {8, do_help},	   {8, do_migrate},
};

static void act(void)
{
	unsigned total = 0, i = 0;
	uint64_t n;

	for (unsigned k = 0; k < ARRAY_SIZE(actions); k++)
		total += actions[k].weight;
	for (n = rnd(total); n >= actions[i].weight; i++)
		n -= actions[i].weight;
	actions[i].run();
}

/* As an interrupt would. */
static void wake_some(void)
{
	struct object *o = root_object(any(SMS, SM_COUNT));

	if (o && o->type == OBJECT_SM)
		sm_up(container_of(o, struct sm, object));
}

static void step_here(void)
{
	struct ec *ec = running();

	if (ipi_sent >> cpu_now & 1 && rnd(2)) {
		interrupts();
	} else if (!ec) {
		wake_some();
		tick(rnd(1000));
	} else if (ec_is_vcpu(ec)) {
		if (rnd(2))
			event((uint32_t)rnd(8));
		else
			tick(rnd(1000));
	} else if (!ec->global && rnd(3)) {
		do_reply();
	} else {
		act();
	}
}

static void step(void)
{
	cpu_now = (unsigned)rnd(cpu_count);
	step_here();
}

/*
 * While this CPU is in the middle of long work, others go on, and interrupts
 * come.
 */
static void on_poll(void)
{
	unsigned before = cpu_now;

	poll_hook = NULL;
	for (uint64_t n = rnd(4); n && cpu_count > 1; n--) {
		do {
			cpu_now = (unsigned)rnd(cpu_count);
		} while (cpu_now == before);
		step_here();
	}
	cpu_now = before;
	if (rnd(2))
		interrupt_kernel();
	poll_hook = on_poll;
}

static void random_run(unsigned cpu_number)
{
	machine_start(PAGES, cpu_number, 6000);
	poll_hook = on_poll;
	for (unsigned n = 0; n < STEPS; n++) {
		poll_period = rnd(2) ? 0 : 3;
		step();
		/* Somebody must be there to make new ones. */
		if (!root_object(SEL_SC))
			break;
	}
	machine_finish();
}

static void test_one_cpu(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		random_run(1);
}

static void test_cpus(void **state)
{
	(void)state;
	random_run(2);
	random_run(3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_cpu),
		cmocka_unit_test(test_cpus),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
