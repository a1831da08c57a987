/*
 * Exceptions: which portal, with what state, and what its reply changes.
 */
#include <lib/string.h>

#include "test.h"

enum {
	PRIORITY = 5,
	REGISTERS = 16,
	RSP = 4,
	MTD_ALL = MTD_GPR_ACDB | MTD_GPR_BSD | MTD_RSP | MTD_RIP_LEN | MTD_RFLAGS | MTD_QUAL |
		  MTD_GPR_R8_R15,

	ERROR_IDT = 2,
	ERROR_LOW = 7,
	ERROR_PRESENT = 1,
	ERROR_WRITE = 2,
	ERROR_USER = 4,
	ERROR_FETCH = 16,
};

/* code.S */
extern volatile uint64_t registers_seen[REGISTERS], rflags_seen;
extern const char insn_state_ud[], insn_steps[], insn_steps_end[];
void insn_state(void);
void insn_de(void), insn_int3(void), insn_gp(void), insn_ss(void);
void insn_int0x20(void), insn_int0xff(void), insn_int2(void), insn_cli(void);
void insn_rdmsr(void), insn_mov_cr3(void), insn_ltr(void), insn_swapgs(void);
void insn_sysret(void), insn_sysenter(void), insn_vmcall(void);
void insn_wrgsbase(void), insn_invd(void);
void insn_mf(void), insn_fninit(void);

/* A thread in root's PD, one of whose events has a handler of its own. */
static struct frame *thread_with(function *run, unsigned event, function *handler,
				 unsigned long mtd, struct frame **handler_frame)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, handler);
	unsigned long pt = make_portal(h, mtd, event);

	*handler_frame = h;
	return make_idle_thread(SEL_ROOT_PD, boot_cpu, run, 0, events_replaced(1ul << event, pt));
}

/* Every vector that a program can cause ends at the portal of its number. */
static void vectors(void)
{
	static const struct {
		void (*insn)(void);
		unsigned vector;
		unsigned error;
	} all[] = {
		{insn_de, VECTOR_DE, 0},
		{insn_int3, VECTOR_BP, 0},
		{insn_gp, VECTOR_GP, 0},
		{insn_int0x20, VECTOR_GP, ERROR_IDT},
		{insn_int0xff, VECTOR_GP, ERROR_IDT},
		{insn_int2, VECTOR_GP, ERROR_IDT},
		{insn_cli, VECTOR_GP, 0},
		{insn_rdmsr, VECTOR_GP, 0},
		{insn_mov_cr3, VECTOR_GP, 0},
		{insn_ltr, VECTOR_GP, 0},
		{insn_swapgs, VECTOR_GP, 0},
		{insn_sysret, VECTOR_GP, 0},
		{insn_invd, VECTOR_GP, 0},
		{insn_wrgsbase, VECTOR_UD, 0},
	};

	EQUAL(probe_ud(), FAULT(VECTOR_UD));
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
		EQUAL(probe_call(all[i].insn), FAULT(all[i].vector));
		/* The rest is the vector, at one place or another. */
		EQUAL(last_fault[boot_cpu].error & ERROR_LOW, all[i].error);
	}
}

/* These are one of two, by processor; QEMU knows no #SS in 64-bit mode. */
static void vectors_by_processor(void)
{
	unsigned f = probe_call(insn_sysenter);

	CHECK(f == FAULT(VECTOR_GP) || f == FAULT(VECTOR_UD));
	f = probe_call(insn_ss);
	CHECK(f == FAULT(VECTOR_SS) || f == FAULT(VECTOR_GP));
	f = probe_call(insn_vmcall);
	CHECK(f == FAULT(VECTOR_GP) || f == FAULT(VECTOR_UD));
}

static void vector_mf(void)
{
	unsigned f = probe_call(insn_mf);

	EQUAL(probe_call(insn_fninit), 0);
	EQUAL(f, FAULT(VECTOR_MF));
}

/* Error code and address of each kind of page fault. */
static void page_faults(void)
{
	unsigned long at = free_pages(0) + 0x123;
	static const uint64_t kernel[] = {
		0xffff800000000000, 0xffffffff80000000, 0xffffffff80200000,
		0xffffff0000000000, 0xffffffffffffe000,
	};
	struct fault *f = &last_fault[boot_cpu];
	uint64_t v;

	EQUAL(probe_read((void *)at, &v), FAULT(VECTOR_PF));
	EQUAL(f->error, ERROR_USER);
	EQUAL(f->address, at);
	EQUAL(probe_write((void *)(at + 8), 0), FAULT(VECTOR_PF));
	EQUAL(f->error, ERROR_USER | ERROR_WRITE);
	EQUAL(f->address, at + 8);
	EQUAL(probe_execute((void *)at), FAULT(VECTOR_PF));
	EQUAL(f->error, ERROR_USER | ERROR_FETCH);
	EQUAL(f->address, at);
	EQUAL(probe_execute(page), FAULT(VECTOR_PF));
	EQUAL(f->error, ERROR_PRESENT | ERROR_USER | ERROR_FETCH);
	EQUAL(probe_write((void *)vectors, 0), FAULT(VECTOR_PF));
	EQUAL(f->error, ERROR_PRESENT | ERROR_USER | ERROR_WRITE);
	EQUAL(f->address, (uint64_t)vectors);
	for (unsigned i = 0; i < sizeof(kernel) / sizeof(*kernel); i++) {
		EQUAL(probe_read((void *)kernel[i], &v), FAULT(VECTOR_PF));
		EQUAL(f->address, kernel[i]);
		EQUAL(probe_write((void *)kernel[i], 0), FAULT(VECTOR_PF));
		EQUAL(probe_execute((void *)kernel[i]), FAULT(VECTOR_PF));
	}
	EQUAL(probe_read((void *)0x800000000000, &v), FAULT(VECTOR_GP));
	EQUAL(probe_read((void *)0xff7fffffffffffff, &v), FAULT(VECTOR_GP));
}

static void run_state(struct frame *f)
{
	insn_state();
	f->value[0] = 1;
}

/* All that a thread has, out and in. */
static uint64_t seen[REGISTERS];

static void change_all(struct frame *f)
{
	struct utcb *u = f->utcb;
	const uint64_t r[REGISTERS] = {u->rax, u->rcx, u->rdx, u->rbx, u->rsp, u->rbp,
				       u->rsi, u->rdi, u->r8,  u->r9,  u->r10, u->r11,
				       u->r12, u->r13, u->r14, u->r15};

	memcpy(seen, r, sizeof(seen));
	f->value[0] = f->items;
	f->value[1] = u->mtd;
	f->value[2] = u->rip;
	f->value[3] = u->rflags;
	f->value[4] = f->id;
	u->rax = 0x200, u->rcx = 0x201, u->rdx = 0x202, u->rbx = 0x203;
	u->rsp = 0x204, u->rbp = 0x205, u->rsi = 0x206, u->rdi = 0x207;
	u->r8 = 0x208, u->r9 = 0x209, u->r10 = 0x20a, u->r11 = 0x20b;
	u->r12 = 0x20c, u->r13 = 0x20d, u->r14 = 0x20e, u->r15 = 0x20f;
	u->rip += 2;
	u->rflags = RFLAGS_CF;
	u->mtd = f->argument;
}

static void state(void)
{
	struct frame *h, *t = thread_with(run_state, VECTOR_UD, change_all, MTD_ALL, &h);

	h->argument = MTD_ALL;
	start_thread(t, PRIORITY, 1000);
	EQUAL(t->value[0], 1);
	EQUAL(h->value[0], UTCB_WORDS);
	EQUAL(h->value[1], MTD_ALL);
	EQUAL(h->value[2], (uint64_t)insn_state_ud);
	EQUAL(h->value[3] & (RFLAGS_IF | RFLAGS_1 | RFLAGS_CF), RFLAGS_IF | RFLAGS_1 | RFLAGS_CF);
	EQUAL(h->value[4], VECTOR_UD);
	for (unsigned i = 0; i < REGISTERS; i++) {
		EQUAL(seen[i], 0x100 + i);
		EQUAL(registers_seen[i], 0x200 + i);
	}
	EQUAL(rflags_seen & (RFLAGS_IF | RFLAGS_1 | RFLAGS_CF), RFLAGS_IF | RFLAGS_1 | RFLAGS_CF);
}

/* Which registers an MTD bit names. */
static bool named(uint64_t mtd, unsigned n)
{
	return n == RSP	 ? mtd & MTD_RSP
	       : n < RSP ? mtd & MTD_GPR_ACDB
	       : n < 8	 ? mtd & MTD_GPR_BSD
			 : mtd & MTD_GPR_R8_R15;
}

/* What the portal's MTD does not name is not told, and stays in the UTCB. */
static void mtd_out(void)
{
	static const uint64_t bits[] = {0,	 MTD_GPR_ACDB,	 MTD_GPR_BSD,
					MTD_RSP, MTD_GPR_R8_R15, MTD_RFLAGS};

	for (unsigned i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
		struct frame *h, *t = thread_with(run_state, VECTOR_UD, change_all,
						  bits[i] | MTD_RIP_LEN, &h);

		memset(h->utcb->word, 0xee, sizeof(h->utcb->word));
		h->argument = MTD_RIP_LEN;
		start_thread(t, PRIORITY, 1000);
		EQUAL(t->value[0], 1);
		for (unsigned n = 0; n < REGISTERS; n++) {
			EQUAL(seen[n], named(bits[i], n) ? 0x100 + n : 0xeeeeeeeeeeeeeeee);
			EQUAL(registers_seen[n], 0x100 + n);
		}
		EQUAL(h->value[3] == 0xeeeeeeeeeeeeeeee, !(bits[i] & MTD_RFLAGS));
	}
}

/* What the reply's MTD does not name is not changed. */
static void mtd_in(void)
{
	static const uint64_t bits[] = {0, MTD_GPR_ACDB, MTD_GPR_BSD, MTD_RSP, MTD_GPR_R8_R15};

	for (unsigned i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
		struct frame *h, *t = thread_with(run_state, VECTOR_UD, change_all, MTD_ALL, &h);

		h->argument = bits[i] | MTD_RIP_LEN;
		start_thread(t, PRIORITY, 1000);
		EQUAL(t->value[0], 1);
		for (unsigned n = 0; n < REGISTERS; n++)
			EQUAL(registers_seen[n], (named(bits[i], n) ? 0x200 : 0x100) + n);
		EQUAL(rflags_seen & RFLAGS_CF, RFLAGS_CF);
	}
}

static void set_rflags(struct frame *f)
{
	f->utcb->rip += 2;
	f->utcb->rflags = f->argument;
	f->utcb->mtd = MTD_RIP_LEN | MTD_RFLAGS | MTD_QUAL;
}

/* Some bits of RFLAGS are nobody's to set. */
static void rflags(void)
{
	static const uint64_t values[] = {0,	       ~0ul,
					  RFLAGS_IOPL, RFLAGS_VM,
					  RFLAGS_RF,   RFLAGS_VIF | RFLAGS_VIP,
					  1ul << 63,   0xffffffff00000000};

	for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
		struct frame *h,
			*t = thread_with(run_state, VECTOR_UD, set_rflags, MTD_RIP_LEN, &h);

		h->argument = values[i] & ~(uint64_t)RFLAGS_TF;
		start_thread(t, PRIORITY, 1000);
		EQUAL(t->value[0], 1);
		EQUAL(rflags_seen & (RFLAGS_1 | RFLAGS_IF | RFLAGS_IOPL | RFLAGS_RF | RFLAGS_VM |
				     RFLAGS_VIF | RFLAGS_VIP),
		      RFLAGS_1 | RFLAGS_IF);
	}
}

static const uint64_t bad_addresses[] = {
	0x0000800000000000,
	0x00007fffffffffff,
	USER_END,
	0xffff7fffffffffff,
	0xffff800000000000,
	0xffffffff80000000,
	0xffffffffffffffff,
	0xdeadbeefdeadbeef,
	0,
	1,
};

enum { BAD = sizeof(bad_addresses) / sizeof(*bad_addresses) };

static void set_rip(struct frame *f)
{
	struct utcb *u = f->utcb;

	u->rip = f->value[0]++ ? (uint64_t)insn_state_ud + 2 : f->argument;
	u->mtd = MTD_RIP_LEN;
}

/* A thread that is sent to nowhere faults there, and can be brought back. */
static void rip(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, set_rip);
	unsigned long base = events_replaced(1 << VECTOR_UD | 1 << VECTOR_PF | 1 << VECTOR_GP |
						     1 << VECTOR_SS,
					     make_portal(h, MTD_ALL, 0));

	for (unsigned i = 0; i < BAD; i++) {
		struct frame *t = make_idle_thread(SEL_ROOT_PD, boot_cpu, run_state, 0, base);

		h->value[0] = 0;
		h->argument = bad_addresses[i];
		start_thread(t, PRIORITY, 1000);
		EQUAL(t->value[0], 1);
		EQUAL(h->value[0], 2);
	}
}

static void set_rsp(struct frame *f)
{
	f->utcb->rip += 2;
	f->utcb->rsp = f->argument;
	f->utcb->mtd = MTD_RIP_LEN | MTD_RSP;
}

/* Any stack pointer will do, as long as it is not used. */
static void rsp(void)
{
	for (unsigned i = 0; i < BAD; i++) {
		struct frame *h, *t = thread_with(run_state, VECTOR_UD, set_rsp, MTD_RIP_LEN, &h);

		h->argument = bad_addresses[i];
		start_thread(t, PRIORITY, 1000);
		EQUAL(t->value[0], 1);
		EQUAL(registers_seen[RSP], bad_addresses[i]);
	}
}

/* The same for the first instruction and the first stack pointer. */
static void startup(void)
{
	for (unsigned i = 0; i < BAD; i++) {
		struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, start_at);
		unsigned long base = sel_range(5), ec = sel();

		event_portals(base, h, MTD_RIP_LEN);
		h->argument = bad_addresses[i];
		SETUP(create_ec(ec, SEL_ROOT_PD, EC_GLOBAL, free_pages(0), boot_cpu,
				bad_addresses[i], base));
		SETUP(create_sc(sel(), SEL_ROOT_PD, ec, QPD(PRIORITY, 1000)));
		CHECK(h->value[0] == VECTOR_PF || h->value[0] == VECTOR_GP);
	}
}

static void map(struct frame *f)
{
	struct utcb *u = f->utcb;
	uint64_t at = u->qual[1] / PAGE_SIZE;

	f->value[0]++;
	f->value[1] = u->qual[0];
	f->value[2] = u->qual[1];
	put_item(u, 0, CRD(CRD_MEM, MEM_R | MEM_W, 0, page_number(page[at % PAGES])),
		 ITEM(ITEM_DELEGATE, 0, at));
	u->items = UTCB_ITEMS(0, 1);
	u->mtd = 0;
}

static void touch(struct frame *f)
{
	for (unsigned i = 0; i < PAGES; i++) {
		volatile uint64_t *p = (uint64_t *)(f->argument + i * PAGE_SIZE);

		*p += 1;
		*p += 1;
	}
	f->value[0] = 1;
}

/* A page fault is answered with the page, and the access done again. */
static void pager(void)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, map), *t;
	unsigned long base = events_replaced(1 << VECTOR_PF, make_portal(h, MTD_QUAL, 0));
	unsigned long at = free_pages(4), pd = make_pd();

	SETUP(give_at(pd, CRD(CRD_OBJ, RIGHTS_ALL, 5, base), ITEM_DELEGATE,
		      CRD(CRD_OBJ, RIGHTS_ALL, 5, base)));
	t = make_idle_thread(pd, boot_cpu, touch, at, base);
	start_thread(t, PRIORITY, 1000);
	EQUAL(t->value[0], 1);
	EQUAL(h->value[0], PAGES);
	EQUAL(h->value[1], ERROR_USER);
	EQUAL(h->value[2], at + (PAGES - 1) * PAGE_SIZE);
	for (unsigned i = 0; i < PAGES; i++)
		EQUAL(*(uint64_t *)page[i], 2);
}

/* What is in the 2^31 pages of the fault, wherever they are: of the hotspot only that counts. */
#define FAR (3ul << 43 | 0x7fffffff000)

static void map_far(struct frame *f)
{
	struct utcb *u = f->utcb;
	uint64_t at = u->qual[1] / PAGE_SIZE, low = at % (1ul << 31);

	f->value[0]++;
	f->value[1] = u->qual[1];
	put_item(u, 0, CRD(CRD_OBJ, RIGHTS_ALL, 0, f->argument), ITEM(ITEM_DELEGATE, 0, low));
	put_item(u, 1, CRD(CRD_OBJ, RIGHTS_ALL, 0, f->argument), ITEM_TRANSLATE);
	put_item(u, 2, CRD(CRD_PIO, RIGHTS_ALL, 0, 0x3f8), ITEM(ITEM_DELEGATE, 0, low));
	/* With nobody to be told of a translation it is delegated. */
	put_item(u, 3, CRD(CRD_MEM, MEM_R, 0, page_number(page[1])), ITEM(ITEM_TRANSLATE, 0, low));
	put_item(u, 4, CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page[2])),
		 ITEM(ITEM_DELEGATE, 0, low - 1));
	put_item(u, 5, CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page[3])),
		 ITEM(ITEM_DELEGATE, 0, 1ul << 32 | (low - 2)));
	/* The other half of them. */
	put_item(u, 6, CRD(CRD_MEM, MEM_R, 0, page_number(page[4])),
		 ITEM(ITEM_DELEGATE, 0, low ^ 1ul << 30));
	u->items = UTCB_ITEMS(0, 7);
	u->mtd = 0;
}

static void touch_far(struct frame *f)
{
	f->value[1] = *(volatile uint64_t *)(FAR + 8);
	f->value[2] = *(volatile uint64_t *)(FAR - PAGE_SIZE);
	f->value[3] = *(volatile uint64_t *)(FAR - 2 * PAGE_SIZE);
	*(volatile uint64_t *)(FAR - PAGE_SIZE) = 77;
	f->value[0] = 1;
}

static void pager_far(void)
{
	unsigned long pd = make_pd(), sm = make_sm(0);
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, map_far), *t;
	struct frame *s = make_servant(pd);
	unsigned long base = events_replaced(1 << VECTOR_PF, make_portal(h, MTD_QUAL, 0));

	for (unsigned i = 1; i <= 3; i++)
		*(uint64_t *)page[i] = *(uint64_t *)(page[i] + 8) = 100 + i;
	h->argument = sm;
	h->delegate = h->translate = CRD(CRD_OBJ, RIGHTS_ALL, 18, 0);
	SETUP(give_at(pd, CRD(CRD_OBJ, RIGHTS_ALL, 5, base), ITEM_DELEGATE,
		      CRD(CRD_OBJ, RIGHTS_ALL, 5, base)));
	t = make_idle_thread(pd, boot_cpu, touch_far, 0, base);
	start_thread(t, PRIORITY, 1000);
	EQUAL(t->value[0], 1);
	EQUAL(h->value[0], 1);
	EQUAL(h->value[1], FAR + 8);
	for (unsigned i = 1; i <= 3; i++)
		EQUAL(t->value[i], 100 + i);
	EQUAL(*(uint64_t *)page[2], 77);
	EQUAL(ask(s, OP_WRITE, FAR, 0), FAULT(VECTOR_PF));
	EQUAL(ask(s, OP_READ, FAR ^ 1ul << 42, 0), 0);
	EQUAL(ask(s, OP_LOOKUP, CRD(CRD_OBJ, 0, 0, sm), 0), 0);
	EQUAL(ask(s, OP_LOOKUP, CRD(CRD_PIO, 0, 0, 0x3f8), 0), 0);
}

static void step(struct frame *f)
{
	struct utcb *u = f->utcb;

	f->value[0]++;
	u->mtd = MTD_RFLAGS;
	if (u->rip >= (uint64_t)insn_steps_end)
		u->rflags &= ~(uint64_t)RFLAGS_TF;
}

static void run_steps(struct frame *f)
{
	__asm__ volatile("call insn_steps" : : : "memory", "cc");
	f->value[0] = 1;
}

/* The trap flag: an event for each instruction. */
static void single_step(void)
{
	struct frame *h, *t = thread_with(run_steps, VECTOR_DB, step, MTD_RIP_LEN | MTD_RFLAGS, &h);

	start_thread(t, PRIORITY, 1000);
	EQUAL(t->value[0], 1);
	EQUAL(h->value[0], 6);
}

static void run_ud(struct frame *f)
{
	f->value[0] = 1;
	__asm__ volatile("ud2");
	f->value[0] = 2;
}

/* Without a portal for it, an exception is the end of the EC. */
static void no_portal(void)
{
	unsigned long base = sel_range(5), before;
	struct frame *t;

	give_startup(base, boot_cpu);
	before = usage_settled(SEL_ROOT_PD);
	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, run_ud, 0, base);
	start_thread(t, PRIORITY, 1000);
	EQUAL(t->value[0], 1);
	quiesce();
	EQUAL(t->value[0], 1);
	EQUAL(ec_recall(t->ec), SUCCESS);
	EQUAL(syscall_3(CALL_ID(CALL_EC_CTRL, EC_RECALL, t->ec), 1, 0), TIMEOUT);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->sc)));
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->ec)));
	wait_usage(SEL_ROOT_PD, before);

	/* Not even a first event. */
	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, run_ud, 0, sel_range(5));
	start_thread(t, PRIORITY, 1000);
	EQUAL(t->value[0], 0);
	/* Nor a selector for it. */
	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, run_ud, 0, ~0ul);
	start_thread(t, PRIORITY, 1000);
	EQUAL(t->value[0], 0);
	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, run_ud, 0,
			     1ul << 32 | common_events(SEL_ROOT_PD, boot_cpu));
	start_thread(t, PRIORITY, 1000);
	EQUAL(t->value[0], 0);
	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, run_ud, 0, hip->selectors - 1);
	start_thread(t, PRIORITY, 1000);
	EQUAL(t->value[0], 0);
}

static void slow_skip(struct frame *f)
{
	f->value[0]++;
	SETUP(sm_down(f->argument, 0));
	f->utcb->rip += 2;
	f->utcb->mtd = MTD_RIP_LEN;
}

/* The handler is busy with another's exception: they wait for their turn. */
static void busy_handler(void)
{
	enum { N = 8 };
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, slow_skip);
	unsigned long base = events_replaced(1 << VECTOR_UD, make_portal(h, MTD_RIP_LEN, 0));
	struct frame *t[N];

	h->argument = make_sm(0);
	for (unsigned i = 0; i < N; i++) {
		t[i] = make_idle_thread(SEL_ROOT_PD, boot_cpu, run_ud, 0, base);
		start_thread(t[i], 2 + i % 3, 1000);
		EQUAL(t[i]->value[0], 1);
	}
	EQUAL(h->value[0], 1);
	for (unsigned i = 0; i < N; i++)
		SETUP(sm_up(h->argument));
	for (unsigned i = 0; i < N; i++)
		WAIT(t[i]->value[0] == 2);
	EQUAL(h->value[0], N);
}

/* The handler of an exception dies: so does who waits for it. */
static void handler_dies(void)
{
	struct frame *h, *t = thread_with(run_ud, VECTOR_UD, slow_skip, MTD_RIP_LEN, &h);

	h->argument = make_sm(0);
	start_thread(t, PRIORITY, 1000);
	EQUAL(h->value[0], 1);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, h->ec)));
	quiesce();
	EQUAL(t->value[0], 1);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, t->ec)));
}

const struct test exception_tests[] = {
	{"exception.vectors", vectors, 0},
	{"exception.vectors_by_processor", vectors_by_processor, 0},
	{"exception.vector_mf", vector_mf, 0},
	{"exception.page_faults", page_faults, 0},
	{"exception.state", state, 0},
	{"exception.mtd_out", mtd_out, 0},
	{"exception.mtd_in", mtd_in, 0},
	{"exception.rflags", rflags, 0},
	{"exception.rip", rip, 0},
	{"exception.rsp", rsp, 0},
	{"exception.startup", startup, 0},
	{"exception.pager", pager, 0},
	{"exception.pager_far", pager_far, 0},
	{"exception.single_step", single_step, 0},
	{"exception.no_portal", no_portal, 0},
	{"exception.busy_handler", busy_handler, 0},
	{"exception.handler_dies", handler_dies, 0},
	{0},
};
