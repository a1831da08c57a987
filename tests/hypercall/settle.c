/*
 * Waiting until all that can happen has happened. Each CPU has a thread that,
 * when it is asked to, waits until what was freed there is free: the kernel ups
 * a semaphore for whoever revokes then.
 */
#include "ecs.h"

enum { SETTLE_TIMES = 3 };

enum { EC, SC, ASKED, ANSWERED, FREED };

static struct frame *settlers[MAX_CPUS];

static void answer(struct frame *f)
{
	unsigned long own = f->argument;

	for (;;) {
		SETUP(sm_down(own + ASKED, 0));
		SETUP(syscall_3(CALL_ID(CALL_REVOKE, 0, own + FREED), 0, 0));
		SETUP(sm_down(own + FREED, 0));
		f->value[0]++;
		SETUP(sm_up(own + ANSWERED));
	}
}

void settle_init(unsigned cpu)
{
	unsigned long own = SEL_SETTLE + 8 * cpu;
	struct frame *f = make_ec(own + EC, SEL_ROOT_PD, cpu, EC_GLOBAL, answer,
				  common_events(SEL_ROOT_PD, cpu));

	f->argument = own;
	for (unsigned i = ASKED; i <= FREED; i++)
		SETUP(create_sm(own + i, SEL_ROOT_PD, 0));
	SETUP(create_sc(own + SC, SEL_ROOT_PD, f->ec, QPD(PRIORITY_MIN, QUANTUM_US)));
	settlers[cpu] = f;
}

bool settled(unsigned cpu)
{
	struct frame *f = settlers[cpu];
	uint64_t before = f->value[0];

	(void)!sm_up(f->argument + ASKED);
	while (f->value[0] == before)
		if (sm_down_all(f->argument + ANSWERED, in_us(LONG_US)) != SUCCESS)
			return false;
	return true;
}

void take_turn(unsigned cpu)
{
	CHECK(settled(cpu));
}

void quiesce(void)
{
	for (unsigned i = 0; i < SETTLE_TIMES * cpus; i++)
		take_turn(i % cpus);
}

unsigned long usage(unsigned long pd)
{
	unsigned long limit, used;

	SETUP(pd_quota(pd, &limit, &used));
	return used;
}

unsigned long usage_settled(unsigned long pd)
{
	unsigned long before;

	do {
		before = usage(pd);
		quiesce();
	} while (usage(pd) != before);
	return before;
}

void wait_usage(unsigned long pd, unsigned long pages)
{
	quiesce();
	WAIT(usage(pd) == pages);
}

void use_up_tables(unsigned long pd)
{
	enum { TABLES = 200 };
	uint64_t from = CRD(CRD_MEM, MEM_R, 0, page_number(page));
	enum status s = SUCCESS;

	for (unsigned long i = 0; i < TABLES && s == SUCCESS; i++)
		s = give_at(pd, from, ITEM_DELEGATE, CRD(CRD_MEM, MEM_R, 0, 0x100000 + i * 512));
	NEED(s == OUT_OF_MEMORY);
}

void use_up_all(unsigned long pd)
{
	enum { SMS_ORDER = 8 };
	unsigned long at = sel_range(SMS_ORDER);
	enum status s = SUCCESS;

	(void)usage_settled(pd);
	use_up_tables(pd);
	for (unsigned long i = 0; i < 1 << SMS_ORDER && s == SUCCESS; i++)
		s = create_sm(at + i, pd, 0);
	NEED(s == OUT_OF_MEMORY);
}
