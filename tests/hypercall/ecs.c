/*
 * ECs, PDs and capabilities for tests, and the common handlers of events.
 *
 * There is one common handler for each CPU, as a portal's handler must be on
 * its caller's CPU. All stacks are in the image, and so in every PD that has
 * it.
 */
#include "ecs.h"

#include <lib/string.h>

enum {
	ECS = 96,
	STACK = 4096,
	MTD_EVENT = MTD_GPR_ACDB | MTD_GPR_BSD | MTD_RSP | MTD_RIP_LEN | MTD_RFLAGS | MTD_QUAL |
		    MTD_GPR_R8_R15,
	QUANTUM_US = 1000,
	IMAGE_ORDER = 9,
	INSTRUCTION_MAX = 15,
	SETTLE_TIMES = 3,
};

/* Addresses for UTCBs and tests. */
#define FREE_BASE  0x4000000000ul
#define FREE_ORDER 26

uint8_t page[PAGES][PAGE_SIZE] __attribute__((aligned(4096)));
struct fault last_fault[MAX_CPUS];
volatile bool may_fault;

static uint8_t stacks[ECS][STACK] __attribute__((aligned(16)));
static unsigned stacks_permanent, stacks_used;
static unsigned long next_sel = SEL_TEST;
static unsigned long next_free = FREE_BASE;

extern char image_text[], image_end[];
extern const char probe_begin[], probe_end[], probe_return[], thread_end[];
extern char main_stack[], main_stack_end[];
_Noreturn void test_abandon(void);
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

static struct frame *make_ec(unsigned long selector, unsigned long pd, unsigned cpu,
			     enum ec_kind kind, function *run, unsigned long events)
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

void echo(struct frame *f)
{
	f->utcb->items = f->items & 0xffff;
}

static void serve(struct frame *f)
{
	struct utcb *u = f->utcb;
	uint64_t *w = u->word;
	struct syscall s;

	f->value[0] = f->items;
	f->value[1] = item_crd(u, 0);
	f->value[2] = item_how(u, 0);
	u->items = 5;
	switch (w[0]) {
	case OP_READ:
		w[0] = probe_read((void *)w[1], &w[1]);
		break;
	case OP_WRITE:
		w[0] = probe_write((void *)w[1], w[2]);
		break;
	case OP_EXECUTE:
		w[0] = probe_execute((void *)w[1]);
		break;
	case OP_IN:
		w[0] = probe_in((unsigned)w[1], &w[1]);
		break;
	case OP_OUT:
		w[0] = probe_out((unsigned)w[1], w[2]);
		break;
	case OP_LOOKUP:
		SETUP(lookup(&w[1]));
		w[0] = w[1];
		break;
	case OP_CALL:
		s = (struct syscall){w[2], w[3], w[4], w[5]};
		u->items = UTCB_ITEMS(0, f->value[7]);
		w[0] = syscall_5(w[1], &s);
		w[1] = s.rsi;
		w[2] = s.rdx;
		w[3] = s.rax;
		w[4] = s.r8;
		u->items = 5;
		break;
	case OP_SEND:
		put_item(u, 0, w[1], w[2]);
		u->items = UTCB_ITEMS(5, 1);
		break;
	case OP_ITEM:
		f->value[7] = 1;
		put_item(u, 0, w[1], w[2]);
		break;
	}
}

struct frame *make_servant(unsigned long pd)
{
	struct frame *f = make_handler(pd, boot_cpu, serve);

	f->pt = make_portal(f, 0, 0);
	return f;
}

uint64_t ask(const struct frame *servant, enum servant_op op, uint64_t a, uint64_t b)
{
	my_utcb->word[0] = op;
	my_utcb->word[1] = a;
	my_utcb->word[2] = b;
	my_utcb->items = 3;
	SETUP(call(servant->pt));
	return my_utcb->word[0];
}

uint64_t ask_call(const struct frame *servant, uint64_t rdi, uint64_t rsi, uint64_t rdx,
		  uint64_t rax, uint64_t r8)
{
	my_utcb->word[3] = rdx;
	my_utcb->word[4] = rax;
	my_utcb->word[5] = r8;
	my_utcb->word[0] = OP_CALL;
	my_utcb->word[1] = rdi;
	my_utcb->word[2] = rsi;
	my_utcb->items = 6;
	SETUP(call(servant->pt));
	return my_utcb->word[0];
}

void send_item(struct frame *servant, uint64_t crd, uint64_t how)
{
	set_item(crd, how);
	my_utcb->word[0] = OP_NOTHING;
	my_utcb->items = UTCB_ITEMS(1, 1);
	SETUP(call(servant->pt));
}

void open_windows(struct frame *servant, uint64_t translate, uint64_t window)
{
	servant->translate = translate;
	servant->delegate = window;
	ask(servant, OP_NOTHING, 0, 0);
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

void sleep_us(uint64_t us)
{
	(void)!sm_down(SEL_FOREVER, in_us(us));
}

/*
 * Settling. Each CPU has a thread that, when it is asked to, waits until what was
 * freed there is free: the kernel ups a semaphore for whoever revokes then.
 */
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

static void make_settler(unsigned cpu)
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

static bool answers(unsigned cpu)
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
	CHECK(answers(cpu));
}

void quiesce(void)
{
	for (unsigned i = 0; i < SETTLE_TIMES * cpus; i++)
		take_turn(i % cpus);
}

/* Events */

static bool on_main_stack(uint64_t sp)
{
	return sp - (uint64_t)main_stack <= (uint64_t)(main_stack_end - main_stack);
}

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

static void make_events(unsigned cpu)
{
	unsigned long first = SEL_EVENTS + EVENTS_THREAD * cpu;
	struct frame *f = make_ec(SEL_EVENT_ECS + cpu, SEL_ROOT_PD, cpu, EC_LOCAL, on_event, 0);

	event_portals(first, f, MTD_EVENT);
}

/* Root's event base is 0. */
static void take_own_events(void)
{
	SETUP(give_at(SEL_ROOT_PD,
		      CRD(CRD_OBJ, RIGHTS_ALL, 5, SEL_EVENTS + EVENTS_THREAD * boot_cpu),
		      ITEM_DELEGATE, CRD(CRD_OBJ, RIGHTS_ALL, 5, 0)));
}

void ecs_init(void)
{
	SETUP(create_sm(SEL_FOREVER, SEL_ROOT_PD, 0));
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		make_events(cpu);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		make_settler(cpu);
	take_own_events();
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
		if (!answers(cpu))
			say("# CPU %u does not answer\n", cpu);
	may_fault = false;
}
