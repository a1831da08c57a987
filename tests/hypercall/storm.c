/*
 * Exceptions of all kinds, many of them, at places that were chosen to hurt:
 * single steps into SYSCALL, returns and jumps to selectors and addresses that
 * there are not, any instruction that a byte can begin, interrupts that no
 * program may make. All are the program's, none is the kernel's.
 */
#include <lib/string.h>

#include "random.h"
#include "test.h"

enum {
	PRIORITY = 5,
	CODE_USER = 0x2b,
	DATA_USER = 0x23,
	INSTRUCTIONS = 20000,
	STORM = 20000,
	CODE_MAX = 16,
};

struct iret_frame {
	uint64_t rip, cs, rflags, rsp, ss;
};

/* storm_code.S */
void storm_iret(const struct iret_frame *f);
void storm_run(const void *code);
uint64_t storm_call_stepped(uint64_t rdi, uint64_t rsi, uint64_t rdx, uint64_t rax);
extern const char storm_back[], storm_stepped[];

/* Every event of the thread; its last one is told. */
static volatile struct {
	unsigned count[EVENTS_THREAD];
	unsigned all;
	uint64_t rip[4]; /* of the first */
} seen;

static void bring_back(struct frame *f)
{
	struct utcb *u = f->utcb;

	if (seen.all < 4)
		seen.rip[seen.all] = u->rip;
	seen.all++;
	seen.count[f->id]++;
	u->rip = (uint64_t)storm_back;
	u->rflags = RFLAGS_1;
	u->mtd = MTD_RIP_LEN | MTD_RFLAGS;
}

/* A step is followed by the next instruction. */
static void step_on(struct frame *f)
{
	if (f->id == VECTOR_DB) {
		if (seen.all < 4)
			seen.rip[seen.all] = f->utcb->rip;
		seen.all++;
		seen.count[f->id]++;
		f->utcb->mtd = 0;
	} else {
		bring_back(f);
	}
}

static struct frame *stormer(function *run, function *handler)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, handler);
	unsigned long base = sel_range(5);

	memset((void *)(uintptr_t)&seen, 0, sizeof(seen));
	event_portals(base, h, MTD_RIP_LEN | MTD_RFLAGS);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, base + EVENT_THREAD_STARTUP)));
	give_startup(base, boot_cpu);
	return make_idle_thread(SEL_ROOT_PD, boot_cpu, run, 0, base);
}

/* A thread's end is an exception, which would bring it back. */
static void finished(struct frame *f)
{
	f->value[0] = 1;
	for (;;)
		(void)!sm_down(SEL_FOREVER, 0);
}

static void run_stepped(struct frame *f)
{
	f->value[1] = storm_call_stepped(f->value[2], 0, 1, 0);
	finished(f);
}

/*
 * The trap flag is set when SYSCALL is executed: there was a step before it,
 * none in the kernel, and none after, as RFLAGS is 0x202 then.
 */
static void step_syscall(void)
{
	unsigned long sm = make_sm(100),
		      pt = make_portal(make_handler(SEL_ROOT_PD, boot_cpu, echo), 0, 0);
	const uint64_t calls[] = {
		CALL_ID(CALL_SM_CTRL, SM_UP, sm),
		CALL_ID(CALL_SM_CTRL, SM_DOWN, sm),
		CALL_ID(CALL_SM_CTRL, SM_DOWN, SEL_FOREVER), /* sleeps */
		CALL_ID(CALL_SM_CTRL, SM_UP, 0xfff),
		CALL_ID(CALL_CALL, 0, pt),
		CALL_ID(CALL_REPLY, 0, 0),
		CALL_ID(CALL_REVOKE, 0, 0),
		CALL_ID(CALL_EC_CTRL, EC_YIELD, 0),
		CALL_ID(CALL_MISC, 15, 0),
	};

	for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct frame *t = stormer(run_stepped, step_on);

		t->value[2] = calls[i];
		start_thread(t, PRIORITY, 1000);
		WAIT(t->value[0]);
		EQUAL(t->value[1], RFLAGS_IF | RFLAGS_1);
		/* Before SYSCALL; behind it on some processors. */
		CHECK(seen.all <= 2);
		EQUAL(seen.all, seen.count[VECTOR_DB]);
		for (unsigned s = 0; s < seen.all; s++)
			CHECK(seen.rip[s] - (uint64_t)storm_stepped <= 2);
	}
}

static void run_iret(struct frame *f)
{
	static const uint64_t rip[] = {
		0, 1ul << 47, 0xffff800000000000, 0xffffffff80201000, ~0ul, USER_END,
	};
	struct iret_frame i = {(uint64_t)storm_back, CODE_USER, RFLAGS_IF | RFLAGS_1, 0x1000,
			       DATA_USER};

	for (uint64_t s = 0; s < 0x10000; s += s < 0x100 ? 1 : 0x101) {
		struct iret_frame cs = i, ss = i;

		cs.cs = s;
		ss.ss = s;
		storm_iret(&cs);
		storm_iret(&ss);
		f->value[1] += 2;
	}
	for (unsigned bit = 0; bit < 64; bit++) {
		struct iret_frame flags = i;

		flags.rflags |= 1ul << bit;
		storm_iret(&flags);
		f->value[1]++;
	}
	for (unsigned n = 0; n < sizeof(rip) / sizeof(*rip); n++) {
		struct iret_frame to = i;

		to.rip = rip[n];
		storm_iret(&to);
		to = i;
		to.rsp = rip[n];
		storm_iret(&to);
		f->value[1] += 2;
	}
	storm_iret(&i);
	finished(f);
}

/* IRET with every selector, every flag, every kind of address. */
static void iret(void)
{
	struct frame *t = stormer(run_iret, bring_back);

	start_thread(t, PRIORITY, 1000);
	WAIT(t->value[0]);
	if (seen.count[VECTOR_PF] == t->value[1] + 1) {
		/* QEMU 7.2 reads the frame as if it were the kernel: SMAP. */
		test_skip("IRET cannot read its frame");
	}
	CHECK(seen.count[VECTOR_GP] > 700);
	CHECK(seen.all < t->value[1]);
}

/* A page to write code into. */
static uint8_t *code_page(void)
{
	uint64_t rwx = CRD(CRD_MEM, RIGHTS_ALL, 0, 0);
	unsigned long at = free_pages(0);

	SETUP(take(rwx | free_ram(0), 0, rwx | at));
	return (uint8_t *)at;
}

static void run_int(struct frame *f)
{
	uint8_t *code = (uint8_t *)f->argument;

	for (unsigned n = 0; n < 256; n++) {
		const uint8_t insn[] = {0xcd, (uint8_t)n, 0x0f, 0x0b};

		memcpy(code, insn, sizeof(insn));
		storm_run(code);
		f->value[1]++;
	}
	finished(f);
}

/* INT n: breakpoint is the only gate that a program may use. */
static void interrupts(void)
{
	struct frame *t = stormer(run_int, bring_back);

	t->argument = (unsigned long)code_page();
	start_thread(t, PRIORITY, 1000);
	WAIT(t->value[0]);
	EQUAL(seen.all, 256);
	CHECK(seen.count[VECTOR_BP] == 1);
	/* Overflow's gate is either. */
	CHECK(seen.count[VECTOR_GP] >= 254);
}

static uint64_t state_of_random;

static uint64_t random(void)
{
	return next_random(&state_of_random);
}

/* Any bytes; privileged instructions, and those of two bytes, more often. */
static void any_code(uint8_t *code)
{
	static const uint8_t first[] = {
		0x0f, 0x0f, 0x0f, 0xff, 0xcb, 0xca, 0xcf, 0xf4, 0xfa,
		0xe4, 0xec, 0x6c, 0x6e, 0x8e, 0xf1, 0xcc, 0xea, 0x9a,
	};
	uint64_t bytes[2] = {random(), random()};

	memcpy(code, bytes, sizeof(bytes));
	if (random() & 1)
		code[0] = first[random() % sizeof(first)];
	memset(code + sizeof(bytes), 0xcc, CODE_MAX);
}

/* Each event is answered with another instruction, and with no registers. */
static void feed(struct frame *f)
{
	struct utcb *u = f->utcb;

	seen.all++;
	seen.count[f->id]++;
	if (f->value[0]++ >= INSTRUCTIONS) {
		u->mtd = 0;
		f->reply = SEL_FOREVER;
		return;
	}
	any_code((uint8_t *)f->value[1]);
	memset(&u->rax, 0, (size_t)((char *)u->qual - (char *)&u->rax));
	u->rip = f->argument;
	u->rflags = RFLAGS_1 | (random() & 0x7 ? 0 : RFLAGS_TF);
	u->mtd = MTD_GPR_ACDB | MTD_GPR_BSD | MTD_GPR_R8_R15 | MTD_RSP | MTD_RIP_LEN | MTD_RFLAGS;
}

/*
 * Any instruction, in a PD that has nothing but that. If it does not end, as
 * jumps to themselves do not, it is recalled.
 */
static void any_instruction(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, feed);
	unsigned long pd = make_empty_pd(QUOTA), base = sel_range(5);
	unsigned long at = free_pages(0), ec = sel();
	uint64_t before = 0;

	memset((void *)(uintptr_t)&seen, 0, sizeof(seen));
	state_of_random = 0x9e3779b97f4a7c15;
	h->argument = at;
	h->value[1] = (uint64_t)code_page();
	event_portals(base, h, 0);
	SETUP(give(pd, CRD(CRD_OBJ, RIGHTS_ALL, 5, base)));
	SETUP(give_at(pd, CRD(CRD_MEM, MEM_R | MEM_X, 0, h->value[1] / PAGE_SIZE), ITEM_DELEGATE,
		      CRD(CRD_MEM, MEM_R | MEM_X, 0, at / PAGE_SIZE)));
	SETUP(create_ec(ec, pd, EC_GLOBAL, free_pages(0), boot_cpu, 0, base));
	SETUP(create_sc(sel(), SEL_ROOT_PD, ec, QPD(1, 100)));
	while (h->value[0] <= INSTRUCTIONS) {
		if (h->value[0] == before)
			EQUAL(ec_recall(ec), SUCCESS);
		before = h->value[0];
		sleep_us(500);
	}
	CHECK(seen.count[VECTOR_UD] > INSTRUCTIONS / 100);
	CHECK(seen.count[VECTOR_GP] > INSTRUCTIONS / 100);
	CHECK(seen.count[VECTOR_PF] > INSTRUCTIONS / 100);
}

static void run_storm(struct frame *f)
{
	uint8_t *code = (uint8_t *)f->argument;
	static const uint8_t insn[][4] = {
		{0x0f, 0x0b},
		{0xcc},
		{0xf4},
		{0xfa},
		{0xec},
		{0xcd, 0x80},
		{0x0f, 0x34},
		{0x0f, 0x01, 0xc1},
		{0x0f, 0x01, 0xd9},
		{0x8e, 0xd0},
		{0xf1},
		{0x0f, 0x30},
		{0x0f, 0x22, 0xd8},
		{0x0f, 0x23, 0xf8},
		{0x0f, 0x21, 0xf8},
		{0x48, 0x0f, 0x07},
		{0x0f, 0x01, 0xf8},
		{0x0f, 0x09},
		{0x48, 0xf7, 0xf0},
		{0x48, 0x0f, 0xae, 0x00},
	};

	for (unsigned n = 0; n < STORM; n++) {
		memcpy(code, insn[n % (sizeof(insn) / 4)], 4);
		memset(code + 4, 0xcc, 12);
		storm_run(code);
	}
	finished(f);
}

/* Many of them, one after the other. */
static void storm(void)
{
	struct frame *t = stormer(run_storm, bring_back);

	t->argument = (unsigned long)code_page();
	start_thread(t, PRIORITY, 100);
	WAIT(t->value[0]);
	CHECK(seen.all >= STORM);
}

const struct test storm_tests[] = {
	{"storm.step_syscall", step_syscall, 0},       {"storm.iret", iret, 0},
	{"storm.interrupts", interrupts, 0},	       {"storm.storm", storm, 0},
	{"storm.any_instruction", any_instruction, 0}, {0},
};
