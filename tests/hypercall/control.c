/*
 * ec_ctrl beside recall: looking at ECs, lending them time, moving them.
 */
#include "test.h"

#include <lib/string.h>

static enum status ec_ctrl(unsigned operation, unsigned long ec, unsigned long rsi,
			   unsigned long rdx)
{
	return syscall_3(CALL_ID(CALL_EC_CTRL, operation, ec), rsi, rdx);
}

static unsigned other_cpu(void)
{
	return boot_cpu ? 0 : 1;
}

static void down(struct frame *f)
{
	register uint64_t r15 __asm__("r15") = 0x1515151515151515;
	register uint64_t rbx __asm__("rbx") = 0xb0b0b0b0b0b0b0b0;
	unsigned long id = CALL_ID(CALL_SM_CTRL, SM_DOWN, f->argument);

	f->value[0] = 1;
	__asm__ volatile("syscall"
			 : "+D"(id), "+r"(r15), "+r"(rbx)
			 : "S"(0ul), "d"(0ul), "a"(0xa0a0ul)
			 : "rcx", "r11", "memory");
	f->value[1] = 1 + (id & 0xff);
	f->value[2] = r15;
	for (;;)
		f->value[3]++;
}

static void note(struct frame *f)
{
	f->value[0]++;
	f->utcb->mtd = 0;
}

/* Event portals of h's CPU at `base`, with `h` for recalls. */
static void events_at(unsigned long base, const struct frame *h)
{
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 5, base)));
	give_recall(base, h);
}

/* The state of one that sleeps, and it is recalled when it wakes. */
static void look_asleep(void)
{
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		unsigned long base = sel_range(5);
		struct frame *h = make_handler(SEL_ROOT_PD, cpu, note), *t;

		events_at(base, h);
		t = make_idle_thread(SEL_ROOT_PD, cpu, down, make_sm(0), base);
		start_thread(t, 1, 1000);
		WAIT(t->value[0]);
		quiesce();
		memset(my_utcb->word, 0, sizeof(my_utcb->word));
		EQUAL(ec_ctrl(EC_RECALL, t->ec, 1, 0), SUCCESS);
		EQUAL(my_utcb->r15, 0x1515151515151515);
		EQUAL(my_utcb->rbx, 0xb0b0b0b0b0b0b0b0);
		EQUAL(my_utcb->rax, 0xa0a0);
		CHECK(my_utcb->rsp - (unsigned long)t + 4096 < 4096);
		EQUAL(my_utcb->qual[0], 0);
		EQUAL(h->value[0], 0);
		SETUP(sm_up(t->argument));
		WAIT(t->value[3]);
		EQUAL(t->value[1], 1 + SUCCESS);
		EQUAL(t->value[2], 0x1515151515151515);
		EQUAL(h->value[0], 1);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->ec)));
	}
}

static void write_byte(struct frame *f)
{
	*(volatile uint8_t *)f->argument = 1;
}

static void sleep_on(struct frame *f)
{
	(void)!sm_down(SEL_FOREVER, 0);
	f->utcb->mtd = 0;
}

/* One in an exception shows what that says; also if its handler is busy with another's. */
static void look_faulting(void)
{
	enum { USER_WRITE = 6 };
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, sleep_on), *t;
	unsigned long pt = make_portal(h, MTD_QUAL, 0), at = free_pages(0);
	unsigned long base = events_replaced(1 << VECTOR_PF, pt);

	for (unsigned i = 0; i < 2; i++) {
		t = make_idle_thread(SEL_ROOT_PD, boot_cpu, write_byte, at + 8 * i, base);
		start_thread(t, 5, 1000);
		memset(my_utcb->word, 0xee, sizeof(my_utcb->word));
		EQUAL(ec_ctrl(EC_RECALL, t->ec, 1, 0), SUCCESS);
		EQUAL(my_utcb->qual[0], USER_WRITE);
		EQUAL(my_utcb->qual[1], t->argument);
		CHECK(my_utcb->rip - (uint64_t)write_byte < 0x100);
		CHECK(my_utcb->rsp - (unsigned long)t + 4096 < 4096);
		CHECK(my_utcb->rflags & RFLAGS_IF);
		/* All that a thread has, but not its FPU registers. */
		EQUAL(my_utcb->mtd, MTD_THREAD & ~MTD_FPU);
		for (unsigned n = 0; n < UTCB_FPU_SIZE; n++)
			EQUAL(my_utcb->fpu[n], 0xee);
	}
}

static void spin(struct frame *f)
{
	for (;;)
		f->value[0]++;
}

/* One that runs at this moment is recalled, but shows nothing. */
static void look_running(void)
{
	unsigned long base = sel_range(5);
	struct frame *h = make_handler(SEL_ROOT_PD, other_cpu(), note), *t;

	events_at(base, h);
	t = make_idle_thread(SEL_ROOT_PD, other_cpu(), spin, 0, base);
	start_thread(t, 1, 1000);
	WAIT(t->value[0]);
	EQUAL(ec_ctrl(EC_RECALL, t->ec, 1, 0), TIMEOUT);
	WAIT(h->value[0]);
}

/* Until it has had so much time. */
static void spin_some(struct frame *f)
{
	uint64_t us = 0, of_sc = 0;

	while (us < f->argument || of_sc < f->argument) {
		spin_us(100);
		SETUP(ec_time(f->ec, &us));
		SETUP(sc_time(f->sc, &of_sc));
		/* Here it is told whose the time was until now; at its end that is its handler. */
		(void)!ec_ctrl(EC_YIELD, 0, 0, 0);
	}
	f->value[0] = 1;
}

/* Of ECs that run and that are called; other rights than none are not asked. */
static void time(void)
{
	struct frame *t = make_thread(SEL_ROOT_PD, boot_cpu, 5, spin_some, 20000);
	struct syscall s;
	uint64_t us, sc;

	WAIT(t->value[0]);
	EQUAL(ec_time(with_rights(t->ec, EC_BIND_SC), &us), SUCCESS);
	CHECK(us >= t->argument);
	s = (struct syscall){t->ec, 0, 0, 0};
	EQUAL(syscall_5(CALL_ID(CALL_SC_CTRL, SC_TIME_EC, t->sc), &s), SUCCESS);
	sc = s.rsi << 32 | s.rdx;
	CHECK(sc >= us);
	EQUAL(s.rax << 32 | s.r8, us);
	s = (struct syscall){t->sc, 0, 0, 0};
	EQUAL(syscall_5(CALL_ID(CALL_SC_CTRL, SC_TIME_EC, t->sc), &s), BAD_CAPABILITY);
	EQUAL(syscall_5(CALL_ID(CALL_SC_CTRL, SC_TIME_CROSS, t->sc), &s), BAD_PARAMETER);
	EQUAL(syscall_5(CALL_ID(CALL_SC_CTRL, SC_TIME_KILLED, t->sc), &s), BAD_PARAMETER);
	EQUAL(ec_time(SEL_ROOT_SC, &us), BAD_CAPABILITY);
}

/* False: between the two questions something else has gone. */
static bool killed_times(unsigned long idle, uint64_t *sc, uint64_t *ec)
{
	struct syscall s = {idle, 0, 0, 0};

	EQUAL(syscall_5(CALL_ID(CALL_SC_CTRL, SC_TIME_EC, idle), &s), SUCCESS);
	*sc = s.rsi << 32 | s.rdx;
	*ec = s.rax << 32 | s.r8;
	EQUAL(syscall_5(CALL_ID(CALL_SC_CTRL, SC_TIME_KILLED, idle), &s), SUCCESS);
	return (s.rsi << 32 | s.rdx) == *sc;
}

/* What is gone has run, too. */
static void time_killed(void)
{
	unsigned long idle = sel();
	uint64_t sc = 0, ec = 0, sc2 = 0, ec2 = 0;
	struct frame *t;

	SETUP(take(CRD(CRD_OBJ, RIGHTS_ALL, 0, KERNEL_SEL_IDLE_SC + boot_cpu),
		   ITEM_DELEGATE | ITEM_KERNEL, CRD(CRD_OBJ, RIGHTS_ALL, 0, idle)));
	WAIT(killed_times(idle, &sc, &ec));
	t = make_thread(SEL_ROOT_PD, boot_cpu, 5, spin_some, 20000);
	WAIT(t->value[0]);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->ec)));
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->sc)));
	WAIT(killed_times(idle, &sc2, &ec2) && sc2 >= sc + 20000 && ec2 >= ec + 20000);
}

enum { TLS = 0x40 };

static void hold(struct frame *f)
{
	*(volatile uint64_t *)&f->utcb->tls = TLS;
	f->value[0] = 1;
	while (!f->value[1]) {
	}
	f->utcb->tls = TLS + 4;
	f->value[2] = 1;
	(void)!ec_ctrl(EC_RESCHEDULE, 0, 0, 0);
	f->value[3] = 1;
	(void)!sm_down(SEL_FOREVER, 0);
}

static void want(struct frame *f)
{
	struct frame *holder = (struct frame *)f->argument;

	(void)!sm_down(f->value[7], 0);
	holder->value[1] = 1;
	while (!holder->value[2]) {
		f->value[0]++;
		f->value[1] |= ec_ctrl(EC_HELP, holder->ec, TLS, 0);
	}
	f->value[2] = 1 + holder->value[3];
}

/* Who waits for a lock lets its holder run, though somebody is in between. */
static void help(void)
{
	unsigned cpu = other_cpu();
	struct frame *low = make_thread(SEL_ROOT_PD, cpu, 2, hold, 0);
	struct frame *high, *between;

	WAIT(low->value[0]);
	high = make_idle_thread(SEL_ROOT_PD, cpu, want, (unsigned long)low,
				common_events(SEL_ROOT_PD, cpu));
	high->value[7] = make_sm(0);
	start_thread(high, 9, 1000);
	between = make_thread(SEL_ROOT_PD, cpu, 5, spin, 0);
	WAIT(between->value[0]);
	EQUAL(sm_up(high->value[7]), SUCCESS);
	WAIT(high->value[2]);
	EQUAL(high->value[2], 1); /* as soon as the lock was free */
	EQUAL(high->value[1], 0);
	EQUAL(low->value[3], 0);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, between->ec)));
	WAIT(low->value[3]);
	EQUAL(ec_ctrl(EC_HELP, low->ec, TLS + 4, 0), BAD_CPU);
}

static void count(struct frame *f)
{
	while (!f->value[1])
		f->value[0]++;
	f->value[2] = 1 + sm_down(f->argument, 0);
}

/* Does the holder run while it is helped? */
static void help_once(struct frame *f, uint64_t word)
{
	const struct frame *holder = (const struct frame *)f->argument;
	uint64_t before = holder->value[0];

	f->value[1] |= ec_ctrl(EC_HELP, holder->ec, word, 0);
	f->value[0] += holder->value[0] != before;
}

static void help_by_word(struct frame *f)
{
	struct frame *holder = (struct frame *)f->argument;

	help_once(f, TLS + 4);
	help_once(f, TLS | 1ul << 32);
	f->value[2] = f->value[0];
	help_once(f, TLS);
	f->value[3] = f->value[0];
	holder->value[1] = 1;
	help_once(f, TLS); /* it goes to sleep, and so does this one */
	f->value[4] = 1;
}

/* Helped is who has the word still; who does and sleeps is waited for. */
static void help_word(void)
{
	unsigned long sm = make_sm(0);
	struct frame *low = make_thread(SEL_ROOT_PD, boot_cpu, 1, count, sm), *high;

	low->utcb->tls = TLS;
	WAIT(low->value[0]);
	high = make_thread(SEL_ROOT_PD, boot_cpu, 9, help_by_word, (unsigned long)low);
	EQUAL(high->value[1], SUCCESS);
	EQUAL(high->value[2], 0);
	EQUAL(high->value[3], 1);
	EQUAL(low->value[1], 1);
	quiesce();
	EQUAL(high->value[4], 0);
	SETUP(sm_up(sm));
	EQUAL(high->value[4], 1);
	WAIT(low->value[2]);
}

/* Who cannot be helped, or need not: nothing happens. */
static void help_nothing(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, echo);

	EQUAL(ec_ctrl(EC_HELP, SEL_ROOT_EC, my_utcb->tls, 0), SUCCESS);
	EQUAL(ec_ctrl(EC_HELP, h->ec, 0, 0), SUCCESS);
	EQUAL(ec_ctrl(EC_HELP, SEL_ROOT_SC, 0, 0), BAD_CAPABILITY);
	EQUAL(ec_ctrl(9, SEL_ROOT_EC, 0, 0), BAD_PARAMETER);
	EQUAL(ec_ctrl(15, SEL_ROOT_EC, 0, 0), BAD_PARAMETER);
}

void fpu_fill(uint64_t with);
uint64_t fpu_compare(uint64_t with);

static void travel(struct frame *f)
{
	fpu_fill(f->argument);
	for (;;) {
		f->value[1] += fpu_compare(f->argument);
		f->value[0]++;
	}
}

static struct frame *traveller;

/* As a pager that moves a thread in its recall. */
static void move_on(struct frame *f)
{
	struct frame *t = traveller;
	unsigned cpu = (f->cpu + 1) % cpus;
	struct frame *next = (struct frame *)f->argument;

	for (unsigned i = 1; i < cpus; i++) {
		/* The ring of handlers: the one of the next CPU. */
		next = next->cpu == cpu ? next : (struct frame *)next->argument;
	}
	events_at(t->value[7], next);
	f->value[1] |= ec_ctrl(EC_MIGRATE, t->ec, cpu, 0);
	f->value[0]++;
	f->utcb->mtd = 0;
	f->utcb->items = 0;
}

/* A thread goes round all CPUs, and its registers and times with it. */
static void migrate(void)
{
	unsigned long base = sel_range(5);
	struct frame *h[MAX_CPUS], *t;
	uint64_t us = 0, before, sum = 0;

	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		h[cpu] = make_handler(SEL_ROOT_PD, cpu, move_on);
		h[cpu]->argument = cpu ? (unsigned long)h[cpu - 1] : 0;
	}
	h[0]->argument = (unsigned long)h[cpus - 1];
	events_at(base, h[boot_cpu]);
	t = traveller = make_idle_thread(SEL_ROOT_PD, boot_cpu, travel, 0x7e57, base);
	t->value[7] = base;
	start_thread(t, 1, 1000);
	for (unsigned i = 0; i < 3 * cpus; i++) {
		unsigned on = (boot_cpu + i) % cpus;

		WAIT(t->value[0]);
		before = h[on]->value[0];
		EQUAL(ec_recall(t->ec), SUCCESS);
		WAIT(h[on]->value[0] == before + 1);
		EQUAL(h[on]->value[1], SUCCESS);
		before = t->value[0];
		WAIT(t->value[0] > before + 10);
		EQUAL(t->value[1], 0);
		SETUP(ec_time(t->ec, &us));
		CHECK(us >= sum);
		sum = us;
	}
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->ec)));
	quiesce();
	before = t->value[0];
	quiesce();
	EQUAL(t->value[0], before);
}

/* Asleep it moves when it is woken; and gets a capability of itself. */
static void migrate_asleep(void)
{
	unsigned long base = sel_range(5), own = sel();
	struct frame *h = make_handler(SEL_ROOT_PD, other_cpu(), note), *t;
	uint64_t us;

	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, down, make_sm(0), base);
	events_at(base, make_handler(SEL_ROOT_PD, boot_cpu, note));
	start_thread(t, 5, 1000);
	WAIT(t->value[0]);
	events_at(base, h);
	EQUAL(ec_ctrl(EC_MIGRATE, t->ec, other_cpu(), CRD(CRD_OBJ, EC_CONTROL, 0, own)), SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, own)), CRD(CRD_OBJ, EC_CONTROL, 0, own));
	EQUAL(ec_recall(own), SUCCESS);
	EQUAL(t->value[1], 0);
	SETUP(sm_up(t->argument));
	WAIT(t->value[3]);
	EQUAL(t->value[1], 1 + SUCCESS);
	EQUAL(h->value[0], 1); /* the recall was seen there */
	EQUAL(ec_time(own, &us), SUCCESS);
	EQUAL(ec_ctrl(EC_MIGRATE, t->ec, boot_cpu, 0), BAD_CPU);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->ec)));
}

static void call_once(struct frame *f)
{
	f->utcb->items = 0;
	f->value[0] = 1 + call(f->argument);
	spin(f);
}

static void until_upped(struct frame *f)
{
	SETUP(sm_down(f->argument, 0));
}

/* In a call it stays until there is a reply, which it gets. */
static void migrate_in_call(void)
{
	unsigned long base = sel_range(5);
	struct frame *s = make_handler(SEL_ROOT_PD, boot_cpu, until_upped), *t;
	uint64_t before;

	s->argument = make_sm(0);
	events_at(base, make_handler(SEL_ROOT_PD, boot_cpu, note));
	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, call_once, make_portal(s, 0, 0), base);
	start_thread(t, 1, 1000);
	quiesce();
	EQUAL(t->value[0], 0);
	EQUAL(ec_ctrl(EC_MIGRATE, t->ec, other_cpu(), 0), SUCCESS);
	quiesce();
	EQUAL(ec_ctrl(EC_HELP, t->ec, 1, 0), SUCCESS); /* still here; that is not its word */
	SETUP(sm_up(s->argument));
	WAIT(t->value[0]);
	CHECK(t->value[0] >= 1 + SUCCESS);
	WAIT(ec_ctrl(EC_HELP, t->ec, 1, 0) == BAD_CPU);
	before = t->value[0];
	WAIT(t->value[0] != before);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->ec)));
}

static void migrate_refused(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, echo);
	struct frame *t = make_idle_thread(SEL_ROOT_PD, boot_cpu, spin, 0,
					   common_events(SEL_ROOT_PD, boot_cpu));

	EQUAL(ec_ctrl(EC_MIGRATE, SEL_ROOT_EC, cpus, 0), BAD_CPU);
	EQUAL(ec_ctrl(EC_MIGRATE, SEL_ROOT_EC, ~0u, 0), BAD_CPU);
	EQUAL(ec_ctrl(EC_MIGRATE, h->ec, boot_cpu, 0), BAD_CAPABILITY);
	EQUAL(ec_ctrl(EC_MIGRATE, t->ec, boot_cpu, 0), BAD_CAPABILITY);
	EQUAL(ec_ctrl(EC_MIGRATE, with_rights(SEL_ROOT_EC, EC_BIND_SC), boot_cpu, 0),
	      BAD_CAPABILITY);
	EQUAL(ec_ctrl(EC_MIGRATE, SEL_ROOT_EC, boot_cpu, 0), SUCCESS);
}

enum {
	MSR_WRITE = 1 << 29,
	MSR_APIC_BASE = 0x1b,
	MSR_LSTAR = 0xc0000082u,
	MSR_HWP_STATUS = 0x777, /* most bits are reserved */
	MSR_NONE = 0x12345,
};

/* Registers of the machine for the authority only, and none of the kernel's. */
static void msr(void)
{
	my_utcb->word[0] = MSR_APIC_BASE;
	my_utcb->word[1] = MSR_LSTAR | (unsigned)MSR_WRITE;
	my_utcb->word[2] = 0x1234;
	my_utcb->word[3] = MSR_LSTAR;
	my_utcb->items = 4;
	EQUAL(ec_ctrl(EC_MSR, SEL_MSR, 0, 0), SUCCESS);
	EQUAL(my_utcb->items, 5);
	CHECK(my_utcb->word[0] >> 11 & 1); /* it is on */
	EQUAL(my_utcb->word[2], 0x1234);
	CHECK(my_utcb->word[3] >> 63);
	my_utcb->word[0] = MSR_APIC_BASE | MSR_WRITE;
	my_utcb->items = 1; /* where is the value? */
	EQUAL(ec_ctrl(EC_MSR, SEL_MSR, 0, 0), SUCCESS);
	EQUAL(my_utcb->items, 0);
	my_utcb->items = 0xffff;
	memset(my_utcb->word, 0, sizeof(my_utcb->word));
	EQUAL(ec_ctrl(EC_MSR, SEL_MSR, 0, 0), SUCCESS);
	/* One that is not there: where the processor says so, the kernel survives it. */
	my_utcb->word[0] = MSR_NONE;
	my_utcb->word[1] = MSR_HWP_STATUS | (unsigned)MSR_WRITE;
	my_utcb->word[2] = ~0ul;
	my_utcb->items = 3;
	EQUAL(ec_ctrl(EC_MSR, SEL_MSR, 0, 0), SUCCESS);
	CHECK(my_utcb->items <= 3);
	CHECK(my_utcb->items & 1 || my_utcb->word[0] == MSR_NONE);
	my_utcb->items = 1;
	EQUAL(ec_ctrl(EC_MSR, SEL_SUSPEND, 0, 0), BAD_CAPABILITY);
	EQUAL(ec_ctrl(EC_MSR, SEL_ROOT_PD, 0, 0), BAD_CAPABILITY);
	EQUAL(ec_ctrl(EC_MSR, make_sm(0), 0, 0), BAD_CAPABILITY);
	EQUAL(ec_ctrl(EC_MSR, with_rights(SEL_MSR, SM_RIGHT_UP), 0, 0), SUCCESS);
	my_utcb->items = 0;
}

/* What may be written, from the first number to the last, and nothing beside it. */
static void msr_writable(void)
{
	static const struct {
		uint32_t first, last;
	} range[] = {
		{0x198, 0x19c},		  {0x1a2, 0x1a2},	    {0x1ad, 0x1ad},
		{0x1b0, 0x1b2},		  {0x601, 0x64f},	    {0x770, 0x777},
		{0xc0010061, 0xc001006b}, {0xc0010290, 0xc0010293}, {0xc00102b0, 0xc00102b4},
	};
	bool any;

	/* Some machines have all numbers. */
	my_utcb->word[0] = MSR_NONE;
	my_utcb->items = 1;
	EQUAL(ec_ctrl(EC_MSR, SEL_MSR, 0, 0), SUCCESS);
	any = my_utcb->items;
	for (unsigned i = 0; i < sizeof(range) / sizeof(*range); i++) {
		const uint32_t msr[] = {range[i].first - 1, range[i].last + 1, range[i].first,
					range[i].last};

		for (unsigned n = 0; n < 4; n++) {
			my_utcb->word[2 * n] = msr[n] | (unsigned)MSR_WRITE;
			my_utcb->word[2 * n + 1] = 0;
		}
		my_utcb->items = any ? 8 : 4;
		EQUAL(ec_ctrl(EC_MSR, SEL_MSR, 0, 0), SUCCESS);
		EQUAL(my_utcb->items, any ? 12 : 0);
	}
	my_utcb->items = 0;
}

/* Of as many words as there can be 64 operations are done, and told of. */
static void msr_many(void)
{
	enum { DONE = 64 };

	for (unsigned i = 0; i < UTCB_WORDS; i++)
		my_utcb->word[i] = MSR_LSTAR;
	my_utcb->items = UTCB_WORDS;
	EQUAL(ec_ctrl(EC_MSR, SEL_MSR, 0, 0), SUCCESS);
	EQUAL(my_utcb->items, ~0ul);
	for (unsigned i = 0; i < UTCB_WORDS; i++)
		EQUAL(my_utcb->word[i] == MSR_LSTAR, i >= DONE);
	my_utcb->items = 0;
}

/* Who is given a capability of itself where there is one already keeps that. */
static void migrate_occupied(void)
{
	unsigned long own = make_sm(0), free = sel(), page_at = sel();

	EQUAL(ec_ctrl(EC_MIGRATE, SEL_ROOT_EC, boot_cpu, CRD(CRD_OBJ, EC_CONTROL, 0, own)),
	      SUCCESS);
	EQUAL(sm_up(own), SUCCESS);
	EQUAL(ec_ctrl(EC_MIGRATE, SEL_ROOT_EC, boot_cpu, CRD(CRD_OBJ, EC_CONTROL, 0, free)),
	      SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, free)), CRD(CRD_OBJ, EC_CONTROL, 0, free));
	/* Nor where there is no place for one. */
	EQUAL(ec_ctrl(EC_MIGRATE, SEL_ROOT_EC, boot_cpu,
		      CRD(CRD_OBJ, RIGHTS_ALL, 0, hip->selectors)),
	      SUCCESS);
	EQUAL(ec_ctrl(EC_MIGRATE, SEL_ROOT_EC, boot_cpu, CRD(CRD_MEM, RIGHTS_ALL, 0, page_at)),
	      SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, page_at)), 0);
}

const struct test control_tests[] = {
	{"control.look_asleep", look_asleep, 0},
	{"control.look_faulting", look_faulting, 0},
	{"control.look_running", look_running, 2},
	{"control.time", time, 0},
	{"control.time_killed", time_killed, 0},
	{"control.help", help, 2},
	{"control.help_word", help_word, 0},
	{"control.help_nothing", help_nothing, 0},
	{"control.migrate", migrate, 2},
	{"control.migrate_asleep", migrate_asleep, 2},
	{"control.migrate_in_call", migrate_in_call, 2},
	{"control.migrate_refused", migrate_refused, 0},
	{"control.migrate_occupied", migrate_occupied, 0},
	{"control.msr", msr, 0},
	{"control.msr_writable", msr_writable, 0},
	{"control.msr_many", msr_many, 0},
	{0},
};
