/*
 * The portal that an EC has for want of kernel memory.
 */
#include "test.h"

enum { PAGES_GIVEN = 4, ID = 0x77, SMALL = 40, MANY = 200 };

/* What the asked one is told beside its portal's id: RSI and RDX. */
extern const char entry_oom[];
volatile uint64_t oom_source, oom_reason;

__asm__(".globl entry_oom\n"
	"entry_oom:\n"
	"	mov	%rsi, oom_source\n"
	"	mov	%rdx, oom_reason\n"
	"	jmp	entry_portal\n");

/* Gives some to the PD at its argument. */
static void give_memory(struct frame *f)
{
	f->value[0]++;
	f->value[1] = f->id;
	f->value[2] = f->items;
	f->value[3] = oom_source;
	f->value[4] = oom_reason;
	f->value[5] |= syscall_3(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, SEL_ROOT_PD), f->argument,
				 PAGES_GIVEN);
	f->utcb->items = f->items; /* its own reply's, if that is asked */
}

static void oom_portal(unsigned long at, const struct frame *handler)
{
	SETUP(create_pt(at, SEL_ROOT_PD, handler->ec, 0, (unsigned long)entry_oom));
	SETUP(pt_ctrl(at, ID));
}

/* A PD, and an asked one for it; where its portal is. */
static struct frame *make_asked(unsigned long pd, unsigned long at)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, give_memory);

	h->argument = pd;
	oom_portal(at, h);
	return h;
}

#define FAR	     0x8000000 /* pages without tables for them */
#define FAR_SELECTOR 0x1000000

static struct frame *make_at_cpu(unsigned long at, unsigned long pd, enum ec_kind kind,
				 function *run, unsigned cpu)
{
	unsigned long events = common_events(pd, cpu);
	struct frame *f = kind == EC_LOCAL ? make_handler(pd, cpu, run)
					   : make_idle_thread(pd, cpu, run, 0, events);

	/* The same again, at its place. */
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, f->ec)));
	f->ec = at;
	f->utcb = (struct utcb *)free_pages(0);
	SETUP(create_ec(at, pd, kind, (unsigned long)f->utcb, cpu, (unsigned long)f, events));
	return f;
}

static struct frame *make_at(unsigned long at, unsigned long pd, enum ec_kind kind, function *run)
{
	return make_at_cpu(at, pd, kind, run, boot_cpu);
}

/* A call whose receiver has no room for what it gets. */
static void send(void)
{
	unsigned long at = sel_range(1), pd = make_pd_quota(SEL_ROOT_PD, SMALL);
	struct frame *h = make_asked(pd, at + 1);
	struct frame *s = make_at(at, pd, EC_LOCAL, echo);
	unsigned long pt = make_portal(s, 0, 0);

	s->delegate = CRD(CRD_MEM, MEM_R, 0, FAR);
	my_utcb->items = 0;
	SETUP(call(pt));
	use_up_tables(pd);
	set_item(CRD(CRD_MEM, MEM_R, 0, page_number(page)), ITEM_DELEGATE);
	my_utcb->word[0] = 0x1234;
	my_utcb->items = UTCB_ITEMS(1, 1);
	EQUAL(call(pt), SUCCESS);
	EQUAL(my_utcb->word[0], 0x1234);
	CHECK(h->value[0] >= 1);
	EQUAL(h->value[1], ID);
	EQUAL(h->value[2], 0);
	EQUAL(h->value[3], ~0ul); /* root, without a portal of its own */
	EQUAL(h->value[4], 1);
	EQUAL(h->value[5], SUCCESS);
	EQUAL(s->items, UTCB_ITEMS(1, 1));
}

static void call_with_page(struct frame *f)
{
	put_item(f->utcb, 0, CRD(CRD_OBJ, RIGHTS_ALL, 0, f->value[7]), ITEM_DELEGATE);
	f->utcb->items = UTCB_ITEMS(0, 1);
	f->value[1] = 1 + call(f->argument);
	f->value[0] = 1;
}

/* Who sends has no such portal, and is not root's: 0; or it has one: that one's id. */
static void source(void)
{
	for (unsigned i = 0; i < 2; i++) {
		unsigned long at = sel_range(1), pd = make_pd_quota(SEL_ROOT_PD, SMALL);
		unsigned long from = make_pd(), mine = sel_range(1), sm = make_sm(0);
		struct frame *h = make_asked(pd, at + 1);
		struct frame *s = make_at(at, pd, EC_LOCAL, echo), *t;

		if (i) {
			SETUP(create_pt(mine + 1, SEL_ROOT_PD, h->ec, 0, (unsigned long)entry_oom));
			SETUP(pt_ctrl(mine + 1, ID + 1));
		}
		t = make_at(mine, from, EC_GLOBAL, call_with_page);
		t->argument = make_portal(s, 0, 0);
		t->value[7] = sm;
		SETUP(give(from, CRD(CRD_OBJ, RIGHTS_ALL, 0, t->argument)));
		SETUP(give(from, CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)));
		s->delegate = CRD(CRD_OBJ, RIGHTS_ALL, 0, FAR_SELECTOR);
		my_utcb->items = 0;
		SETUP(call(t->argument)); /* opens the window */
		use_up_tables(pd);
		start_thread(t, 5, 1000);
		WAIT(t->value[0]);
		EQUAL(t->value[1], 1 + SUCCESS);
		CHECK(h->value[0] >= 1);
		EQUAL(h->value[1], ID);
		EQUAL(h->value[3], i ? ID + 1 : 0);
		EQUAL(h->value[4], 1);
	}
}

static void send_page(struct frame *f)
{
	f->value[0]++;
	put_item(f->utcb, 0, CRD(CRD_MEM, MEM_R, 0, page_number(page)), ITEM_DELEGATE);
	f->utcb->word[0] = 0x4321;
	f->utcb->items = UTCB_ITEMS(1, 1);
}

/* Calls, and shows what came. */
static void receive(struct frame *f)
{
	f->utcb->delegate = CRD(CRD_MEM, MEM_R, 0, FAR);
	f->utcb->items = 0;
	f->value[1] = 1 + call(f->argument);
	f->value[2] = f->utcb->word[0];
	f->value[3] = item_crd(f->utcb, 0);
	f->value[4] = f->utcb->items;
	f->value[0] = 1;
}

/* Of root's portal in a PD: at the same selector. */
static void hand(unsigned long pd, unsigned long pt)
{
	SETUP(give(pd, CRD(CRD_OBJ, RIGHTS_ALL, 0, pt)));
}

static void expect_page(struct frame *t)
{
	WAIT(t->value[0]);
	EQUAL(t->value[1], 1 + SUCCESS);
	EQUAL(t->value[2], 0x4321);
	EQUAL(t->value[4], UTCB_ITEMS(1, 1));
	EQUAL(t->value[3], CRD(CRD_MEM, MEM_R, 0, FAR));
}

/* A reply: its receiver is the caller. */
static void reply(void)
{
	unsigned long at = sel_range(1), pd = make_pd_quota(SEL_ROOT_PD, SMALL);
	struct frame *h = make_asked(pd, at + 1);
	struct frame *t = make_at(at, pd, EC_GLOBAL, receive);
	struct frame *s = make_handler(SEL_ROOT_PD, boot_cpu, send_page);

	t->argument = make_portal(s, 0, 0);
	hand(pd, t->argument);
	use_up_tables(pd);
	start_thread(t, 5, 1000);
	expect_page(t);
	EQUAL(s->value[0], 1);
	CHECK(h->value[0] >= 1);
	EQUAL(h->value[3], ~0ul);
	EQUAL(h->value[4], 2);
}

/* Nobody can be asked: the reply comes, but not what there is no room for. */
static void reply_none(void)
{
	unsigned long at = sel_range(1), pd = make_pd_quota(SEL_ROOT_PD, SMALL);
	struct frame *t = make_at(at, pd, EC_GLOBAL, receive);
	struct frame *s = make_handler(SEL_ROOT_PD, boot_cpu, send_page);

	t->argument = make_portal(s, 0, 0);
	hand(pd, t->argument);
	use_up_tables(pd);
	start_thread(t, 5, 1000);
	WAIT(t->value[0]);
	EQUAL(t->value[1], 1 + SUCCESS);
	EQUAL(t->value[2], 0x4321);
	EQUAL(t->value[3], 0);
	EQUAL(t->value[4], UTCB_ITEMS(1, 1));
	EQUAL(s->value[0], 1);
}

static void asked_or_called(struct frame *f)
{
	if (f->id == ID)
		give_memory(f);
	else
		send_page(f);
}

/* The receiver, and who is asked for it, are on another CPU. */
static void reply_remote(void)
{
	unsigned other = boot_cpu ? 0 : 1;
	unsigned long at = sel_range(1), pd = make_pd_quota(SEL_ROOT_PD, SMALL);
	struct frame *h = make_handler(SEL_ROOT_PD, other, give_memory);
	struct frame *t, *s = make_handler(SEL_ROOT_PD, boot_cpu, send_page);

	h->argument = pd;
	oom_portal(at + 1, h);
	t = make_at_cpu(at, pd, EC_GLOBAL, receive, other);
	t->argument = make_portal(s, 0, 0);
	hand(pd, t->argument);
	use_up_tables(pd);
	start_thread(t, 5, 1000);
	expect_page(t);
	EQUAL(s->value[0], 1);
	CHECK(h->value[0] >= 1);
	EQUAL(h->value[4], 2);
}

/* The one that replies is who is asked. */
static void reply_asked(void)
{
	unsigned long at = sel_range(1), pd = make_pd_quota(SEL_ROOT_PD, SMALL);
	struct frame *s = make_handler(SEL_ROOT_PD, boot_cpu, asked_or_called);
	struct frame *t;

	s->argument = pd;
	oom_portal(at + 1, s);
	t = make_at(at, pd, EC_GLOBAL, receive);
	t->argument = make_portal(s, 0, 1);
	hand(pd, t->argument);
	use_up_tables(pd);
	start_thread(t, 5, 1000);
	expect_page(t);
	EQUAL(s->value[4], 6);
	EQUAL(s->value[2], UTCB_ITEMS(1, 1));
}

static void create(struct frame *f)
{
	for (unsigned long i = 0; i < MANY; i++) {
		f->value[1] = create_sm(SEL_MANY + i, f->argument, 0);
		if (f->value[1] != SUCCESS)
			break;
		f->value[2]++;
	}
	f->value[0] = 1;
}

/*
 * A thread that will make objects of its own PD's memory, of which there is none
 * left, and who is asked for it then; the portal is at the thread's EC + 1.
 */
static struct frame *make_creator(const struct frame *asked)
{
	unsigned long at = sel_range(1), pd = make_pd_quota(SEL_ROOT_PD, SMALL);
	struct frame *t;

	oom_portal(at + 1, asked);
	t = make_at(at, pd, EC_GLOBAL, create);
	t->argument = pd;
	hand(pd, pd);
	use_up_tables(pd);
	return t;
}

/* Any call of an EC on its own PD's memory. */
static void own(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, give_memory), *t = make_creator(h);

	h->argument = t->pd;
	start_thread(t, 5, 1000);
	WAIT(t->value[0]);
	EQUAL(t->value[1], SUCCESS);
	EQUAL(t->value[2], MANY);
	CHECK(h->value[0] >= 1);
	EQUAL(h->value[3], ID);
	EQUAL(h->value[4], 1);
}

static void do_nothing(struct frame *f)
{
	f->value[0]++;
	(void)!sm_down(f->argument, 0);
}

static unsigned long waits_for, starving[2];

/* The first time it takes long; to each PD that starves. */
static void give_late(struct frame *f)
{
	if (f->value[0]++ == 0)
		(void)!sm_down(waits_for, 0);
	for (unsigned i = 0; i < 2; i++) {
		f->value[5] |= syscall_3(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, SEL_ROOT_PD),
					 starving[i], PAGES_GIVEN);
	}
	f->utcb->items = 0;
}

/* Who finds the asked one busy waits for its turn. */
static void busy(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, give_late), *t[2];

	waits_for = make_sm(0);
	for (unsigned i = 0; i < 2; i++) {
		t[i] = make_creator(h);
		starving[i] = t[i]->pd;
	}
	for (unsigned i = 0; i < 2; i++) {
		start_thread(t[i], 5, 1000);
		quiesce();
		EQUAL(h->value[0], 1);
		EQUAL(t[i]->value[0], 0);
	}
	SETUP(sm_up(waits_for));
	for (unsigned i = 0; i < 2; i++) {
		WAIT(t[i]->value[0]);
		EQUAL(t[i]->value[1], SUCCESS);
		EQUAL(t[i]->value[2], MANY);
	}
	CHECK(h->value[0] >= 2);
	EQUAL(h->value[5], SUCCESS);
}

enum { RANGE_ORDER = 10 };

/* So many that the kernel must remember how far it has come. */
static void make_range(unsigned long pd, unsigned long at)
{
	for (unsigned i = 0; i < 1 << RANGE_ORDER; i++)
		SETUP(create_sm(SEL_MANY + i, SEL_ROOT_PD, 0));
	SETUP(give_at(pd, CRD(CRD_OBJ, RIGHTS_ALL, RANGE_ORDER, SEL_MANY), ITEM_DELEGATE,
		      CRD(CRD_OBJ, RIGHTS_ALL, RANGE_ORDER, at)));
}

static void send_range(struct frame *f)
{
	f->value[0]++;
	put_item(f->utcb, 0, CRD(CRD_OBJ, RIGHTS_ALL, RANGE_ORDER, SEL_MANY), ITEM_DELEGATE);
	put_item(f->utcb, 1, CRD(CRD_OBJ, RIGHTS_ALL, RANGE_ORDER, SEL_MANY), ITEM_DELEGATE);
	f->utcb->word[0] = 0x4321;
	f->utcb->items = UTCB_ITEMS(1, 2);
}

/*
 * Who replies has no memory for that, and can ask nobody, or somebody: some arrive, or all, and
 * the reply in any case.
 */
static void reply_poor(void)
{
	unsigned long room = SEL_MANY + (1 << RANGE_ORDER);

	for (unsigned asks = 0; asks < 2; asks++) {
		unsigned long at = sel_range(1), pd = make_pd_quota(SEL_ROOT_PD, 80);
		struct frame *h = make_asked(pd, at + 1), *s;

		if (!asks)
			SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, at + 1)));
		s = make_at(at, pd, EC_LOCAL, send_range);
		make_range(pd, SEL_MANY);
		use_up_all(pd);
		my_utcb->items = 0;
		my_utcb->delegate = CRD(CRD_OBJ, RIGHTS_ALL, RANGE_ORDER, room);
		put_item(my_utcb, 1, ~0ul, ~0ul);
		EQUAL(call(make_portal(s, 0, 0)), SUCCESS);
		EQUAL(s->value[0], 1);
		EQUAL(my_utcb->word[0], 0x4321);
		EQUAL(my_utcb->items, UTCB_ITEMS(1, 2));
		EQUAL(item_crd(my_utcb, 0), CRD(CRD_OBJ, RIGHTS_ALL, RANGE_ORDER, room));
		EQUAL(item_crd(my_utcb, 1), 0);
		EQUAL(item_how(my_utcb, 1), ITEM_DELEGATE);
		CHECK(look(CRD(CRD_OBJ, 0, 0, room)));
		EQUAL(look(CRD(CRD_OBJ, 0, 0, room + (1 << RANGE_ORDER) - 1)) != 0, asks);
		EQUAL(h->value[0] != 0, asks);
		if (asks)
			EQUAL(h->value[4], 2);
		clean();
	}
}

static void call_with_range(struct frame *f)
{
	send_range(f);
	f->value[1] = 1 + call(f->argument);
	f->value[2] = 1;
}

/* The same of who calls: without anybody to be asked the call has failed. */
static void call_poor(void)
{
	unsigned long room = SEL_MANY + (1 << RANGE_ORDER);

	for (unsigned asks = 0; asks < 2; asks++) {
		unsigned long at = sel_range(1), pd = make_pd_quota(SEL_ROOT_PD, 80);
		struct frame *h = make_asked(pd, at + 1), *t;
		struct frame *s = make_handler(SEL_ROOT_PD, boot_cpu, echo);

		if (!asks)
			SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, at + 1)));
		t = make_at(at, pd, EC_GLOBAL, call_with_range);
		t->argument = make_portal(s, 0, 0);
		hand(pd, t->argument);
		make_range(pd, SEL_MANY);
		s->delegate = CRD(CRD_OBJ, RIGHTS_ALL, RANGE_ORDER, room);
		my_utcb->items = 0;
		SETUP(call(t->argument));
		use_up_all(pd);
		s->items = 77;
		start_thread(t, 5, 1000);
		WAIT(t->value[2]);
		EQUAL(t->value[1], 1 + (asks ? SUCCESS : OUT_OF_MEMORY));
		EQUAL(s->items, asks ? UTCB_ITEMS(1, 2) : 77);
		EQUAL(look(CRD(CRD_OBJ, 0, 0, room + (1 << RANGE_ORDER) - 1)) != 0, asks);
		EQUAL(h->value[0] != 0, asks);
		if (asks)
			EQUAL(h->value[4], 1);
		clean();
	}
}

static void call_once(struct frame *f)
{
	f->utcb->items = UTCB_ITEMS(1, 0);
	f->utcb->word[0] = 0x5678;
	f->value[1] = 1 + call(f->argument);
	f->value[2] = f->utcb->word[0];
	f->value[0] = 1;
}

/* A call to another CPU, which needs memory there for the first time: with and without. */
static void call_remote(void)
{
	unsigned other = boot_cpu ? 0 : 1;

	for (unsigned asks = 0; asks < 2; asks++) {
		unsigned long at = sel_range(1), pd = make_pd_quota(SEL_ROOT_PD, SMALL);
		struct frame *h = make_asked(pd, at + 1), *t;

		t = make_at(at, pd, EC_GLOBAL, call_once);
		t->argument = make_portal(make_handler(SEL_ROOT_PD, other, echo), 0, 0);
		hand(pd, t->argument);
		use_up_all(pd);
		if (!asks)
			SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, at + 1)));
		start_thread(t, 5, 1000);
		WAIT(t->value[0]);
		EQUAL(t->value[1], 1 + (asks ? SUCCESS : OUT_OF_MEMORY));
		EQUAL(t->value[2], 0x5678);
		EQUAL(h->value[0] != 0, asks);
	}
}

/* The asked one dies: then there is no memory. */
static void dies(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, do_nothing), *t = make_creator(h);

	h->argument = make_sm(0);
	start_thread(t, 5, 1000);
	WAIT(h->value[0]);
	EQUAL(t->value[0], 0);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, h->ec)));
	WAIT(t->value[0]);
	EQUAL(t->value[1], OUT_OF_MEMORY);
}

static void put_to_sleep(struct frame *f)
{
	f->value[0]++;
	f->utcb->items = 0;
	f->reply = f->argument;
}

/* Until there is memory the caller sleeps; then it tries again. */
static void sleeps(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, put_to_sleep), *t = make_creator(h);

	h->argument = make_sm(0);
	start_thread(t, 5, 1000);
	WAIT(h->value[0] == 1);
	quiesce();
	EQUAL(t->value[0], 0);
	SETUP(syscall_3(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, SEL_ROOT_PD), t->pd, SMALL));
	SETUP(sm_up(h->argument));
	WAIT(t->value[0]);
	EQUAL(t->value[1], SUCCESS);
	EQUAL(h->value[0], 1);
}

/* Beside it is a portal that it may not call, or no portal: as without. */
static void beside(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, give_memory), *t;
	unsigned long pt = sel();

	oom_portal(pt, h);
	for (unsigned i = 0; i < 2; i++) {
		unsigned long at = sel_range(1), pd = make_pd_quota(SEL_ROOT_PD, SMALL);
		unsigned rights = i ? RIGHTS_ALL : RIGHTS_ALL & ~PT_CALL;

		SETUP(give_at(SEL_ROOT_PD, CRD(CRD_OBJ, rights, 0, i ? h->ec : pt), ITEM_DELEGATE,
			      CRD(CRD_OBJ, RIGHTS_ALL, 0, at + 1)));
		t = make_at(at, pd, EC_GLOBAL, create);
		t->argument = h->argument = pd;
		hand(pd, pd);
		use_up_tables(pd);
		start_thread(t, 5, 1000);
		WAIT(t->value[0]);
		EQUAL(t->value[1], OUT_OF_MEMORY);
		EQUAL(h->value[0], 0);
	}
}

/* Its portal is gone: as without. */
static void none(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, give_memory), *t = make_creator(h);

	h->argument = t->pd;
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->ec + 1)));
	start_thread(t, 5, 1000);
	WAIT(t->value[0]);
	EQUAL(t->value[1], OUT_OF_MEMORY);
	EQUAL(h->value[0], 0);
}

static void receive_later(struct frame *f)
{
	f->value[5] = sm_down(f->value[7], 0);
	receive(f);
}

/* Who is migrated asks from then on who is behind the capability that was named. */
static void migrated(void)
{
	unsigned long at = sel_range(1), copy = sel_range(1);
	unsigned long pd = make_pd_quota(SEL_ROOT_PD, SMALL);
	struct frame *h = make_asked(pd, at + 1), *other = make_asked(pd, copy + 1);
	struct frame *t = make_at(at, pd, EC_GLOBAL, receive_later);

	t->argument = make_portal(make_handler(SEL_ROOT_PD, boot_cpu, send_page), 0, 0);
	t->value[7] = make_sm(0);
	hand(pd, t->argument);
	hand(pd, t->value[7]);
	start_thread(t, 5, 1000);
	SETUP(give_at(SEL_ROOT_PD, CRD(CRD_OBJ, RIGHTS_ALL, 0, at), ITEM_DELEGATE,
		      CRD(CRD_OBJ, RIGHTS_ALL, 0, copy)));
	EQUAL(syscall_3(CALL_ID(CALL_EC_CTRL, EC_MIGRATE, copy), boot_cpu, 0), SUCCESS);
	use_up_tables(pd);
	SETUP(sm_up(t->value[7]));
	expect_page(t);
	EQUAL(t->value[5], SUCCESS);
	EQUAL(h->value[0], 0);
	CHECK(other->value[0] >= 1);
}

const struct test oom_tests[] = {
	{"oom.send", send, 0},
	{"oom.reply", reply, 0},
	{"oom.reply_none", reply_none, 0},
	{"oom.reply_poor", reply_poor, 0},
	{"oom.call_poor", call_poor, 0},
	{"oom.reply_asked", reply_asked, 0},
	{"oom.reply_remote", reply_remote, 2},
	{"oom.own", own, 0},
	{"oom.busy", busy, 0},
	{"oom.call_remote", call_remote, 2},
	{"oom.dies", dies, 0},
	{"oom.sleeps", sleeps, 0},
	{"oom.none", none, 0},
	{"oom.beside", beside, 0},
	{"oom.source", source, 0},
	{"oom.migrated", migrated, 0},
	{0},
};
