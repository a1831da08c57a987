/*
 * ECs, PDs and capabilities for tests. All stacks are in the image, and so in
 * every PD that has it.
 */
#include "ecs.h"

#include <lib/string.h>

enum {
	ECS = 96,
	STACK = 4096,
	IMAGE_ORDER = 9,
};

/* Addresses for UTCBs and tests. */
#define FREE_BASE  0x4000000000ul
#define FREE_ORDER 26

uint8_t page[PAGES][PAGE_SIZE] __attribute__((aligned(4096)));

static uint8_t stacks[ECS][STACK] __attribute__((aligned(16)));
static unsigned stacks_permanent, stacks_used;
static unsigned long next_sel = SEL_TEST;
static unsigned long next_free = FREE_BASE;

extern char image_text[], image_end[];
void handler_main(struct frame *f);
void thread_main(struct frame *f);

unsigned long sel(void)
{
	return sel_range(0);
}

unsigned long sel_range(unsigned order)
{
	unsigned long size = 1ul << order;
	unsigned long at = (next_sel + size - 1) & ~(size - 1);

	next_sel = at + size;
	NEED(next_sel <= SEL_TEST + (1ul << SEL_TEST_ORDER));
	return at;
}

unsigned long free_pages(unsigned order)
{
	unsigned long size = PAGE_SIZE << order;
	unsigned long at = (next_free + size - 1) & ~(size - 1);

	next_free = at + size;
	return at;
}

/* start.S calls it with what is at the handler's first stack pointer. */
void handler_main(struct frame *f)
{
	struct utcb *u = f->utcb;

	f->items = u->items;
	f->reply = 0;
	u->items = 0;
	if (f->function)
		f->function(f);
	u->translate = f->translate;
	u->delegate = f->delegate;
}

void thread_main(struct frame *f)
{
	f->function(f);
}

struct frame *make_ec(unsigned long selector, unsigned long pd, unsigned cpu, enum ec_kind kind,
		      function *run, unsigned long events)
{
	struct frame *f;

	NEED(stacks_used < ECS);
	f = (struct frame *)(stacks[stacks_used++] + STACK - (sizeof(*f) + 15) / 16 * 16);
	memset(f, 0, sizeof(*f));
	f->function = run;
	f->utcb = (struct utcb *)free_pages(0);
	f->ec = selector;
	f->pd = pd;
	f->cpu = cpu;
	SETUP(create_ec(f->ec, pd, kind, (unsigned long)f->utcb, cpu, (unsigned long)f, events));
	return f;
}

unsigned long common_events(unsigned long pd, unsigned cpu)
{
	return (pd == SEL_ROOT_PD ? SEL_EVENTS : 0) + EVENTS_THREAD * cpu;
}

struct frame *make_handler_events(unsigned long pd, unsigned cpu, function *run,
				  unsigned long events)
{
	return make_ec(sel(), pd, cpu, EC_LOCAL, run, events);
}

struct frame *make_handler(unsigned long pd, unsigned cpu, function *run)
{
	return make_handler_events(pd, cpu, run, common_events(pd, cpu));
}

unsigned long make_portal(const struct frame *handler, unsigned long mtd, unsigned long id)
{
	unsigned long pt = sel();

	SETUP(create_pt(pt, SEL_ROOT_PD, handler->ec, mtd, (unsigned long)entry_portal));
	SETUP(pt_ctrl(pt, id));
	return pt;
}

struct frame *make_idle_thread(unsigned long pd, unsigned cpu, function *run,
			       unsigned long argument, unsigned long events)
{
	struct frame *f = make_ec(sel(), pd, cpu, EC_GLOBAL, run, events);

	f->argument = argument;
	return f;
}

void start_thread(struct frame *f, unsigned priority, unsigned quantum_us)
{
	f->sc = sel();
	SETUP(create_sc(f->sc, SEL_ROOT_PD, f->ec, QPD(priority, quantum_us)));
}

struct frame *make_thread(unsigned long pd, unsigned cpu, unsigned priority, function *run,
			  unsigned long argument)
{
	struct frame *f = make_idle_thread(pd, cpu, run, argument, common_events(pd, cpu));

	start_thread(f, priority, QUANTUM_US);
	return f;
}

unsigned long make_sm(unsigned long count)
{
	unsigned long sm = sel();

	SETUP(create_sm(sm, SEL_ROOT_PD, count));
	return sm;
}

unsigned long make_empty_pd(unsigned quota)
{
	unsigned long pd = sel();

	SETUP(create_pd(pd, SEL_ROOT_PD, 0, quota));
	return pd;
}

unsigned long make_pd_quota(unsigned long owner, unsigned quota)
{
	unsigned long pd = sel();

	SETUP(create_pd(pd, owner, CRD(CRD_OBJ, RIGHTS_ALL, 8, SEL_EVENTS), quota));
	SETUP(give(pd, CRD(CRD_MEM, RIGHTS_ALL, IMAGE_ORDER, page_number(image_text))));
	return pd;
}

unsigned long make_pd(void)
{
	return make_pd_quota(SEL_ROOT_PD, QUOTA);
}

void put_item(struct utcb *u, unsigned i, uint64_t crd, uint64_t how)
{
	u->word[utcb_item_word(i)] = crd;
	u->word[utcb_item_word(i) + 1] = how;
}

uint64_t item_crd(const struct utcb *u, unsigned i)
{
	return u->word[utcb_item_word(i)];
}

uint64_t item_how(const struct utcb *u, unsigned i)
{
	return u->word[utcb_item_word(i) + 1];
}

void set_item(uint64_t crd, uint64_t how)
{
	my_utcb->items = UTCB_ITEMS(0, 1);
	put_item(my_utcb, 0, crd, how);
}

enum status give_at(unsigned long pd, uint64_t crd, uint64_t how, uint64_t window)
{
	set_item(crd, how);
	return delegate(SEL_ROOT_PD, window, pd);
}

enum status give(unsigned long pd, uint64_t crd)
{
	return give_at(pd, crd, ITEM(ITEM_DELEGATE, 0, 0), crd);
}

enum status take(uint64_t crd, uint64_t how, uint64_t window)
{
	return give_at(SEL_ROOT_PD, crd, how | ITEM_DELEGATE | ITEM_KERNEL, window);
}

unsigned long gsi_sm(unsigned gsi)
{
	unsigned long sm = sel();

	SETUP(take(CRD(CRD_OBJ, RIGHTS_ALL, 0, KERNEL_SEL_GSI + gsi), 0,
		   CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)));
	return sm;
}

unsigned long with_rights(unsigned long object, unsigned rights)
{
	unsigned long other = sel();

	SETUP(give_at(SEL_ROOT_PD, CRD(CRD_OBJ, rights, 0, object), ITEM_DELEGATE,
		      CRD(CRD_OBJ, RIGHTS_ALL, 0, other)));
	return other;
}

uint64_t look(uint64_t crd)
{
	SETUP(lookup(&crd));
	return crd;
}

void sleep_us(uint64_t us)
{
	(void)!sm_down(SEL_FOREVER, in_us(us));
}

void ecs_init(void)
{
	SETUP(create_sm(SEL_FOREVER, SEL_ROOT_PD, 0));
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		events_init(cpu);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		settle_init(cpu);
	/* Root's event base is 0. */
	SETUP(give_at(SEL_ROOT_PD,
		      CRD(CRD_OBJ, RIGHTS_ALL, 5, SEL_EVENTS + EVENTS_THREAD * boot_cpu),
		      ITEM_DELEGATE, CRD(CRD_OBJ, RIGHTS_ALL, 5, 0)));
}

void ecs_watchdog(function *run, unsigned priority)
{
	struct frame *f = make_ec(SEL_WATCHDOG, SEL_ROOT_PD, boot_cpu, EC_GLOBAL, run,
				  common_events(SEL_ROOT_PD, boot_cpu));

	SETUP(create_sc(SEL_WATCHDOG + 1, SEL_ROOT_PD, f->ec, QPD(priority, QUANTUM_US)));
	stacks_permanent = stacks_used;
}

void clean(void)
{
	(void)!revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, SEL_TEST_ORDER, SEL_TEST));
	(void)!revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, SEL_MANY_ORDER, SEL_MANY));
	(void)!revoke_self(CRD(CRD_MEM, RIGHTS_ALL, FREE_ORDER, FREE_BASE / PAGE_SIZE));
	my_utcb->translate = my_utcb->delegate = 0;
	next_sel = SEL_TEST;
	stacks_used = stacks_permanent;
	memset(page, 0, sizeof(page));
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		if (!settled(cpu))
			say("# CPU %u does not answer\n", cpu);
	may_fault = false;
}
