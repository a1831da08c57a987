/*
 * Kernel memory: who pays, what happens when it is used up, and that all of it
 * comes back.
 */
#include "test.h"

static unsigned long limit_of(unsigned long pd)
{
	unsigned long limit, used;

	SETUP(pd_quota(pd, &limit, &used));
	return limit;
}

/* A new PD's quota is what was asked for, and its owner's no longer. */
static void of_new_pd(void)
{
	unsigned long before = limit_of(SEL_ROOT_PD), pd = make_empty_pd(100);

	EQUAL(limit_of(pd), 100);
	CHECK(usage(pd) > 0 && usage(pd) < 10);
	EQUAL(limit_of(SEL_ROOT_PD), before - 100);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, pd)));
	WAIT(limit_of(SEL_ROOT_PD) == before);
}

static void transfer(void)
{
	unsigned long a = make_empty_pd(100), b = make_empty_pd(50);
	struct syscall s = {b, 30, 0, 0};

	EQUAL(syscall_5(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, a), &s), SUCCESS);
	EQUAL(limit_of(a), 70);
	EQUAL(limit_of(b), 80);
	EQUAL(syscall_3(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, a), b, 70), BAD_PARAMETER);
	EQUAL(syscall_3(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, a), b, ~0ul), BAD_PARAMETER);
	EQUAL(syscall_3(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, a), b, 1ul << 63), BAD_PARAMETER);
	EQUAL(limit_of(a), 70);
	EQUAL(limit_of(b), 80);
	EQUAL(syscall_3(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, a), sel(), 1), BAD_CAPABILITY);
	EQUAL(syscall_3(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, sel()), b, 1), BAD_CAPABILITY);
	EQUAL(syscall_3(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, SEL_ROOT_EC), b, 1), BAD_CAPABILITY);
	EQUAL(syscall_3(CALL_ID(CALL_PD_CTRL, PD_QUOTA, SEL_ROOT_SC), 0, 0), BAD_CAPABILITY);
	for (unsigned op = 3; op < 16; op++)
		EQUAL(syscall_3(CALL_ID(CALL_PD_CTRL, op, a), b, 1), BAD_PARAMETER);
}

/* Objects made by one PD and owned by another are paid by the owner. */
static void owner_pays(void)
{
	unsigned long pd = make_empty_pd(100), before, mine;

	/* Root pays for its capabilities. */
	mine = usage_settled(SEL_ROOT_PD);
	before = usage_settled(pd);
	for (unsigned i = 0; i < 1000; i++)
		EQUAL(create_sm(SEL_MANY + i, pd, 0), SUCCESS);
	CHECK(usage(pd) >= before + 10);
	CHECK(usage(SEL_ROOT_PD) < mine + 30);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 10, SEL_MANY)));
	wait_usage(pd, before);
}

static void nothing(struct frame *f)
{
	(void)f;
}

/* What one PD can hold: a table of ways to use memory. */
static enum status more_sm(unsigned long pd, unsigned long i)
{
	return create_sm(SEL_MANY + i, pd, 0);
}

static unsigned long a_handler;

static enum status more_pt(unsigned long pd, unsigned long i)
{
	return create_pt(SEL_MANY + i, pd, a_handler, 0, 0);
}

static enum status more_ec(unsigned long pd, unsigned long i)
{
	return create_ec(SEL_MANY + i, pd, EC_LOCAL, free_pages(0), boot_cpu, 0, 0);
}

static enum status more_thread(unsigned long pd, unsigned long i)
{
	return create_ec(SEL_MANY + i, pd, EC_GLOBAL, free_pages(0), boot_cpu, 0, 0);
}

static enum status more_pd(unsigned long pd, unsigned long i)
{
	return create_pd(SEL_MANY + i, pd, 0, 0);
}

static enum status more_pd_quota(unsigned long pd, unsigned long i)
{
	return create_pd(SEL_MANY + i, pd, 0, 3);
}

static enum status more_memory(unsigned long pd, unsigned long i)
{
	uint64_t at = 0x10000000 + i * 7 * 0x200000;

	return give_at(pd, CRD(CRD_MEM, MEM_R, 0, page_number(page)), ITEM_DELEGATE,
		       CRD(CRD_MEM, MEM_R, 0, at / PAGE_SIZE));
}

static enum status more_guest_memory(unsigned long pd, unsigned long i)
{
	uint64_t at = 0x10000000 + i * 7 * 0x200000;

	return give_at(pd, CRD(CRD_MEM, MEM_R, 0, page_number(page)), ITEM_DELEGATE | ITEM_GUEST,
		       CRD(CRD_MEM, MEM_R, 0, at / PAGE_SIZE));
}

static enum status more_objects(unsigned long pd, unsigned long i)
{
	return give_at(pd, CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_ROOT_EC), ITEM_DELEGATE,
		       CRD(CRD_OBJ, RIGHTS_ALL, 0, i * 97 % 0x20000));
}

static enum status more_ports(unsigned long pd, unsigned long i)
{
	return give_at(pd, CRD(CRD_PIO, PIO_ACCESS, 0, 0x3f8 + i % 8), ITEM_DELEGATE | ITEM_GUEST,
		       CRD(CRD_PIO, PIO_ACCESS, 16, 0));
}

static const struct {
	enum status (*more)(unsigned long pd, unsigned long i);
	bool ends; /* at some time all is used up */
} ways[] = {
	{more_sm, true},      {more_pt, true},	     {more_ec, true},	  {more_thread, true},
	{more_pd, true},      {more_pd_quota, true}, {more_memory, true}, {more_guest_memory, true},
	{more_objects, true}, {more_ports, false},
};

enum { WAYS = sizeof(ways) / sizeof(*ways), MORE = 4000 };

static void use_up(unsigned way, unsigned quota)
{
	unsigned long pd = sel();
	enum status status = create_pd(pd, SEL_ROOT_PD, 0, quota);

	if (status != SUCCESS) {
		EQUAL(status, OUT_OF_MEMORY);
		EQUAL(look(CRD(CRD_OBJ, 0, 0, pd)), 0);
		return;
	}
	for (unsigned i = 0; i < MORE && status == SUCCESS; i++) {
		status = ways[way].more(pd, i);
		CHECK(usage(pd) <= quota);
	}
	if (status != SUCCESS || ways[way].ends) {
		CHECK(status == OUT_OF_MEMORY ||
		      (status == BAD_PARAMETER && ways[way].more == more_pd_quota));
	}
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, pd)));
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, SEL_MANY_ORDER, SEL_MANY)));
}

/*
 * With each quota from none to some, in each way: the call that finds no more
 * says so, and all comes back with the PD.
 */
static void used_up(void)
{
	unsigned long before = 0;

	a_handler = make_handler(SEL_ROOT_PD, boot_cpu, nothing)->ec;
	for (unsigned way = 0; way < WAYS; way++)
		use_up(way, 14);
	before = usage_settled(SEL_ROOT_PD);
	for (unsigned way = 0; way < WAYS; way++)
		for (unsigned quota = 0; quota < 24; quota++)
			use_up(way, quota);
	wait_usage(SEL_ROOT_PD, before);
}

static void sleeper(struct frame *f)
{
	f->value[0] = 1;
	(void)!sm_down(f->argument, 0);
	f->value[1] = 1;
}

static void spinner(struct frame *f)
{
	for (;;)
		f->value[0]++;
}

static void caller(struct frame *f)
{
	f->value[0] = 1 + call(f->argument);
}

/* A PD with threads that run, sleep, call, are called; and all that goes. */
static void destroy_full_pd(void)
{
	unsigned long before = 0;

	/* Their code goes before they do. */
	may_fault = true;
	for (unsigned i = 0; i < 4; i++) {
		unsigned long pd = make_pd(), sm = make_sm(0), pt;
		struct frame *s = make_servant(pd), *in, *spin, *out, *h;
		struct frame *far = make_handler(SEL_ROOT_PD, boot_cpu, sleeper);

		SETUP(give(pd, CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)));
		/* Root's thread in a handler there, its thread in ours. */
		h = make_handler(pd, boot_cpu, sleeper);
		h->argument = sm;
		far->argument = sm;
		in = make_thread(SEL_ROOT_PD, boot_cpu, 5, caller, make_portal(h, 0, 0));
		EQUAL(h->value[0], 1);
		pt = make_portal(far, 0, 0);
		SETUP(give(pd, CRD(CRD_OBJ, RIGHTS_ALL, 0, pt)));
		out = make_thread(pd, boot_cpu, 5, caller, pt);
		EQUAL(far->value[0], 1);
		make_thread(pd, boot_cpu, 5, sleeper, sm);
		spin = make_thread(pd, boot_cpu, 1, spinner, 0);
		WAIT(spin->value[0]);
		EQUAL(ask(s, OP_READ, (uint64_t)page, 0), 0);

		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, pd)));
		quiesce();
		/* Its ECs live while root has capabilities to them. */
		EQUAL(in->value[0], 0);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, h->ec)));
		WAIT(in->value[0]);
		EQUAL(in->value[0], 1 + ABORTED);
		EQUAL(out->value[0], 0);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, SEL_TEST_ORDER, SEL_TEST)));
		if (i == 0)
			before = usage_settled(SEL_ROOT_PD);
	}
	wait_usage(SEL_ROOT_PD, before);
}

/* PDs in PDs: the outermost goes, and with it the inner ones' memory. */
static void nested(void)
{
	enum { DEPTH = 10 };
	unsigned long before = usage_settled(SEL_ROOT_PD);
	unsigned long limit = limit_of(SEL_ROOT_PD);
	unsigned long first = sel_range(4), owner = SEL_ROOT_PD;

	for (unsigned i = 0; i < DEPTH; i++) {
		EQUAL(create_pd(first + i, owner, 0, 200 - 10 * i), SUCCESS);
		owner = first + i;
	}
	EQUAL(create_pd(first + DEPTH, owner, 0, 200), BAD_PARAMETER);
	SETUP(create_sm(first + DEPTH, owner, 0));
	EQUAL(limit_of(SEL_ROOT_PD), limit - 200);
	/* From the inside out, and from the outside in. */
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, first)));
	EQUAL(sm_up(first + DEPTH), SUCCESS);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 4, first)));
	WAIT(limit_of(SEL_ROOT_PD) == limit);
	wait_usage(SEL_ROOT_PD, before);
}

/* A part of it cannot be passed on. */
static void kept(void)
{
	unsigned long pd = sel(), limit, used;
	struct syscall s = {SEL_ROOT_PD, 0, 40ul << 32 | 10, 0};

	SETUP(syscall_5(CALL_ID(CALL_CREATE_PD, 0, pd), &s));
	SETUP(pd_quota(pd, &limit, &used));
	EQUAL(limit, 40);
	EQUAL(syscall_3(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, pd), SEL_ROOT_PD, limit - used - 9),
	      BAD_PARAMETER);
	EQUAL(create_pd(sel(), pd, 0, (uint32_t)(limit - used - 9)), BAD_PARAMETER);
	EQUAL(syscall_3(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, pd), SEL_ROOT_PD, limit - used - 10),
	      SUCCESS);
	EQUAL(syscall_3(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, pd), SEL_ROOT_PD, 1), BAD_PARAMETER);
	EQUAL(create_sm(sel(), pd, 0), SUCCESS);
}

/* How often everything is made and destroyed; a soak test may want more. */
#ifndef CYCLES
#define CYCLES 600
#endif

enum { LARGE_ORDER = 9, PORTS = 0x300, PARTS = 8 };

static uint64_t mem(unsigned rights, unsigned order, unsigned long at)
{
	return CRD(CRD_MEM, rights, order, at / PAGE_SIZE);
}

/* One object of each kind that `pd` pays for, from selector `first` on. */
static void make_objects(unsigned long pd, unsigned long first, unsigned n, unsigned long utcbs)
{
	unsigned cpu = n % cpus;

	EQUAL(create_pd(first, pd, CRD(CRD_OBJ, RIGHTS_ALL, 4, first), 40), SUCCESS);
	EQUAL(create_ec(first + 1, pd, EC_LOCAL, utcbs, cpu, 0, 0x800), SUCCESS);
	EQUAL(create_ec(first + 2, pd, EC_GLOBAL, utcbs + PAGE_SIZE, cpu, 0, 0x800), SUCCESS);
	EQUAL(create_sc(first + 3, pd, first + 2, QPD(1, 1000)), SUCCESS);
	EQUAL(create_pt(first + 4, pd, first + 1, 0, 0x1000), SUCCESS);
	EQUAL(create_sm(first + 5, pd, 0), SUCCESS);
	EQUAL(create_signal(first + 6, pd, n, first + 5), SUCCESS);
	if (hip->features & (HIP_VMX | HIP_SVM))
		EQUAL(create_vcpu(first + 7, pd, cpu, 0x800), SUCCESS);
}

/*
 * Memory as a large range and as small ones, one from the other, here and there
 * in the address space; then some of it goes.
 */
static void pass_around(unsigned long pd, unsigned long inner, unsigned n, unsigned long large)
{
	unsigned long there = (1ul << 31) + (n % 7 << 30);
	unsigned long page0 = large + n % 500 * PAGE_SIZE;
	uint64_t ports = CRD(CRD_PIO, PIO_ACCESS, 3, PORTS);

	SETUP(give_at(pd, mem(RIGHTS_ALL, LARGE_ORDER, large),
		      ITEM_DELEGATE | (n & 1 ? ITEM_GUEST : 0),
		      mem(RIGHTS_ALL, LARGE_ORDER, there)));
	for (unsigned i = 0; i < PARTS; i++) {
		set_item(mem(MEM_R, i, there + (PAGE_SIZE << i)), ITEM_DELEGATE);
		SETUP(delegate(pd, mem(RIGHTS_ALL, i, there + (i << 24)), inner));
	}
	SETUP(give(pd, ports));
	set_item(CRD(CRD_OBJ, RIGHTS_ALL, 4, SEL_ROOT_PD), ITEM_DELEGATE);
	SETUP(delegate(SEL_ROOT_PD, CRD(CRD_OBJ, RIGHTS_ALL, 4, 0x40), inner));

	EQUAL(revoke(mem(RIGHTS_ALL, 0, page0)), SUCCESS);
	EQUAL(revoke(mem(MEM_W, 2, large)), SUCCESS);
	EQUAL(revoke(CRD(CRD_PIO, PIO_ACCESS, 0, PORTS + n % 8)), SUCCESS);
	SETUP(give_at(pd, mem(RIGHTS_ALL, LARGE_ORDER, large), ITEM_DELEGATE,
		      mem(RIGHTS_ALL, LARGE_ORDER, there)));
}

static void cycle(unsigned long pd, unsigned long first, unsigned n, unsigned long utcbs,
		  unsigned long large)
{
	/* ECs of other CPUs may end a little later. */
	make_objects(pd, first, n, utcbs + n % 256 * 2 * PAGE_SIZE);
	pass_around(pd, first, n, large);
	/* In this order, or the other way round. */
	if (n & 2)
		EQUAL(revoke(mem(RIGHTS_ALL, LARGE_ORDER, large)), SUCCESS);
	EQUAL(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 4, first)), SUCCESS);
	EQUAL(revoke(mem(RIGHTS_ALL, LARGE_ORDER, large)), SUCCESS);
	EQUAL(revoke(CRD(CRD_PIO, PIO_ACCESS, 3, PORTS)), SUCCESS);
}

/* Whatever was done, usage is what it was. */
static void cycles(void)
{
	unsigned long pd = make_empty_pd(1000), first = sel_range(4);
	unsigned long utcbs = free_pages(LARGE_ORDER);
	unsigned long large = free_pages(LARGE_ORDER);
	uint64_t ram = free_ram(LARGE_ORDER);
	unsigned long used = 0, mine = 0;

	NEED(ram);
	SETUP(take(mem(RIGHTS_ALL, LARGE_ORDER, ram), 0, mem(RIGHTS_ALL, LARGE_ORDER, large)));
	SETUP(take(CRD(CRD_PIO, PIO_ACCESS, 3, PORTS), 0, CRD(CRD_PIO, PIO_ACCESS, 3, PORTS)));
	for (unsigned n = 0; n < CYCLES; n++) {
		cycle(pd, first, n, utcbs, large);
		/* Roots of tables and bitmaps of ports stay once made. */
		if (n == 3) {
			used = usage_settled(pd);
			mine = usage_settled(SEL_ROOT_PD);
		}
	}
	wait_usage(pd, used);
	wait_usage(SEL_ROOT_PD, mine);
	SETUP(revoke_self(mem(RIGHTS_ALL, LARGE_ORDER, large)));
	SETUP(revoke_self(CRD(CRD_PIO, PIO_ACCESS, 3, PORTS)));
}

const struct test quota_tests[] = {
	{"quota.of_new_pd", of_new_pd, 0},
	{"quota.transfer", transfer, 0},
	{"quota.kept", kept, 0},
	{"quota.owner_pays", owner_pays, 0},
	{"quota.used_up", used_up, 0},
	{"quota.destroy_full_pd", destroy_full_pd, 0},
	{"quota.nested", nested, 0},
	{"quota.cycles", cycles, 0},
	{0},
};
