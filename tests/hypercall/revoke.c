/*
 * Revocation: what goes, what stays, at any depth.
 */
#include "test.h"

enum { RW = MEM_R | MEM_W, DEPTH = 6 };

static const uint64_t magic = 0x7265766f6b65;

static uint64_t mem(unsigned rights, unsigned order, unsigned long at)
{
	return CRD(CRD_MEM, rights, order, at / PAGE_SIZE);
}

static uint64_t obj(unsigned rights, unsigned order, unsigned long at)
{
	return CRD(CRD_OBJ, rights, order, at);
}

static enum status revoke_flags(unsigned flags, unsigned long pd, uint64_t crd)
{
	return syscall_3(CALL_ID(CALL_REVOKE, flags, 0), crd, pd);
}

static unsigned long limit(unsigned long pd)
{
	unsigned long pages, used;

	SETUP(pd_quota(pd, &pages, &used));
	return pages;
}

/* PDs that have a page of root's, each from the one before. */
struct line {
	struct frame *s[DEPTH];
	unsigned long at;
};

static struct line make_line(uint64_t crd, uint64_t window)
{
	struct line l = {.at = CRD_BASE(window) * PAGE_SIZE};

	*(uint64_t *)page[0] = magic;
	for (unsigned i = 0; i < DEPTH; i++) {
		l.s[i] = make_servant(make_pd());
		set_item(i ? window : crd, ITEM_DELEGATE);
		SETUP(delegate(i ? l.s[i - 1]->pd : SEL_ROOT_PD, window, l.s[i]->pd));
	}
	return l;
}

static struct line memory_line(void)
{
	return make_line(mem(RW, 0, (unsigned long)page), mem(RIGHTS_ALL, 0, free_pages(0)));
}

static void expect(const struct line *l, unsigned first, unsigned read, unsigned write)
{
	for (unsigned i = first; i < DEPTH; i++) {
		EQUAL(ask(l->s[i], OP_READ, l->at, 0), read);
		EQUAL(ask(l->s[i], OP_WRITE, l->at, magic), write);
	}
}

/* From all that was derived; not from root itself. */
static void derived(void)
{
	struct line l = memory_line();

	expect(&l, 0, 0, 0);
	EQUAL(revoke(mem(RIGHTS_ALL, 0, (unsigned long)page)), SUCCESS);
	expect(&l, 0, FAULT(VECTOR_PF), FAULT(VECTOR_PF));
	EQUAL(look(mem(0, 0, (unsigned long)page)), mem(RW, 0, (unsigned long)page));
	EQUAL(*(uint64_t *)page[0], magic);
}

/* From the range as well. */
static void self(void)
{
	unsigned long at = free_pages(0);
	struct line l;
	uint64_t value;

	SETUP(give_at(SEL_ROOT_PD, mem(RW, 0, (unsigned long)page), ITEM_DELEGATE, mem(RW, 0, at)));
	l = make_line(mem(RW, 0, at), mem(RIGHTS_ALL, 0, free_pages(0)));
	EQUAL(revoke_self(mem(RIGHTS_ALL, 0, at)), SUCCESS);
	EQUAL(probe_read((void *)at, &value), FAULT(VECTOR_PF));
	EQUAL(look(mem(0, 0, at)), 0);
	expect(&l, 0, FAULT(VECTOR_PF), FAULT(VECTOR_PF));
	EQUAL(*(uint64_t *)page[0], magic);
}

/* In the middle, by its own PD: from there on. */
static void middle(void)
{
	struct line l = memory_line();

	EQUAL(ask_call(l.s[2], CALL_ID(CALL_REVOKE, 0, 0), mem(RIGHTS_ALL, 0, l.at), 0, 0, 0),
	      SUCCESS);
	EQUAL(ask(l.s[2], OP_READ, l.at, 0), 0);
	expect(&l, 3, FAULT(VECTOR_PF), FAULT(VECTOR_PF));
	EQUAL(ask_call(l.s[1], CALL_ID(CALL_REVOKE, FLAG_REVOKE_SELF, 0), mem(RIGHTS_ALL, 0, l.at),
		       0, 0, 0),
	      SUCCESS);
	expect(&l, 1, FAULT(VECTOR_PF), FAULT(VECTOR_PF));
	EQUAL(ask(l.s[0], OP_READ, l.at, 0), 0);
}

/* The right to write goes, that to read stays. */
static void rights(void)
{
	struct line l = memory_line();

	EQUAL(revoke(mem(MEM_W, 0, (unsigned long)page)), SUCCESS);
	expect(&l, 0, 0, FAULT(VECTOR_PF));
	for (unsigned i = 0; i < DEPTH; i++)
		EQUAL(ask(l.s[i], OP_LOOKUP, mem(0, 0, l.at), 0), mem(MEM_R, 0, l.at));
	EQUAL(revoke(mem(MEM_W | MEM_X, 0, (unsigned long)page)), SUCCESS);
	expect(&l, 0, 0, FAULT(VECTOR_PF));
	EQUAL(revoke(mem(0, 0, (unsigned long)page)), SUCCESS);
	expect(&l, 0, 0, FAULT(VECTOR_PF));
	EQUAL(*(uint64_t *)page[0] = magic, magic);
}

/* One's own right to write. */
static void own_rights(void)
{
	unsigned long at = free_pages(0);
	uint64_t value;

	SETUP(give_at(SEL_ROOT_PD, mem(RW, 0, (unsigned long)page), ITEM_DELEGATE, mem(RW, 0, at)));
	EQUAL(probe_write((void *)at, 1), 0);
	EQUAL(revoke_self(mem(MEM_W, 0, at)), SUCCESS);
	EQUAL(probe_write((void *)at, 2), FAULT(VECTOR_PF));
	EQUAL(probe_read((void *)at, &value), 0);
	EQUAL(value, 1);
}

/* Another PD's: what was derived from it, or that and itself. */
static void remote(void)
{
	struct line l = memory_line();
	struct syscall s = {mem(RIGHTS_ALL, 0, l.at), l.s[2]->pd, 0, 0};

	EQUAL(syscall_5(CALL_ID(CALL_REVOKE, FLAG_REVOKE_REMOTE, 0), &s), SUCCESS);
	EQUAL(s.rdx, 0);
	EQUAL(ask(l.s[2], OP_READ, l.at, 0), 0);
	expect(&l, 3, FAULT(VECTOR_PF), FAULT(VECTOR_PF));
	EQUAL(revoke_remote(with_rights(l.s[1]->pd, 1), mem(RIGHTS_ALL, 0, l.at)), SUCCESS);
	expect(&l, 1, FAULT(VECTOR_PF), FAULT(VECTOR_PF));
	EQUAL(ask(l.s[0], OP_READ, l.at, 0), 0);

	EQUAL(revoke_remote(sel(), 0), BAD_CAPABILITY);
	EQUAL(revoke_remote(l.s[0]->ec, 0), BAD_CAPABILITY);
	EQUAL(revoke_remote(hip->selectors, 0), BAD_CAPABILITY);
}

/* The range alone, with all its rights; what was derived from it stays. */
static void keep(void)
{
	struct line l = memory_line();

	EQUAL(revoke_flags(FLAG_REVOKE_SELF | FLAG_REVOKE_REMOTE | FLAG_REVOKE_KEEP, l.s[2]->pd,
			   mem(MEM_R, 0, l.at)),
	      SUCCESS);
	EQUAL(ask(l.s[2], OP_READ, l.at, 0), FAULT(VECTOR_PF));
	expect(&l, 3, 0, 0);
	/* It is still derived from root's. */
	EQUAL(revoke(mem(RIGHTS_ALL, 0, (unsigned long)page)), SUCCESS);
	expect(&l, 0, FAULT(VECTOR_PF), FAULT(VECTOR_PF));
}

/*
 * All flags together with all rights or with some: what is left of the range, and of what was
 * derived from it. What it was derived from has nothing to do with it; RDX is an output if the
 * range is another PD's.
 */
static void flags(void)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned f = i % 8, rights = i < 8 ? RIGHTS_ALL : MEM_W, rest = RW & ~rights;
		bool remote = f & FLAG_REVOKE_REMOTE, kept = f & FLAG_REVOKE_KEEP;
		unsigned own = kept ? 0 : f & FLAG_REVOKE_SELF ? rest : RW;
		struct line l = memory_line();
		uint64_t crd = mem(rights, 0, l.at), any = mem(0, 0, l.at);
		struct syscall s = {crd, l.s[1]->pd, 0, 0};

		if (remote) {
			EQUAL(syscall_5(CALL_ID(CALL_REVOKE, f, 0), &s), SUCCESS);
			EQUAL(s.rdx, 0);
		} else {
			EQUAL(ask_call(l.s[1], CALL_ID(CALL_REVOKE, f, 0), crd, 77, 0, 0), SUCCESS);
			EQUAL(my_utcb->word[2], 77);
		}
		EQUAL(look(mem(0, 0, (unsigned long)page)), mem(RW, 0, (unsigned long)page));
		for (unsigned n = 0; n < DEPTH; n++) {
			unsigned has = n < 1 ? RW : n == 1 ? own : kept ? RW : rest;

			EQUAL(ask(l.s[n], OP_LOOKUP, any, 0), has ? mem(has, 0, l.at) : 0);
			EQUAL(ask(l.s[n], OP_READ, l.at, 0), has & MEM_R ? 0 : FAULT(VECTOR_PF));
			EQUAL(ask(l.s[n], OP_WRITE, l.at, magic),
			      has & MEM_W ? 0 : FAULT(VECTOR_PF));
		}
		clean();
	}
}

/* A range of selectors: two of eight. */
static void revoke_two(unsigned at)
{
	unsigned long first = sel_range(3);

	for (unsigned i = 0; i < 8; i++)
		SETUP(create_sm(first + i, SEL_ROOT_PD, 0));
	EQUAL(revoke_self(obj(RIGHTS_ALL, 1, first + at)), SUCCESS);
	for (unsigned i = 0; i < 8; i++)
		EQUAL(sm_up(first + i), i == 2 || i == 3 ? BAD_CAPABILITY : SUCCESS);
}

static void object_range(void)
{
	revoke_two(2);
}

/* The bits of a base that are below the order are ignored. */
static void unaligned(void)
{
	revoke_two(3);
}

/* Pages beside the range stay. */
static void range(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long at = free_pages(4);
	unsigned long base = page_number(page);

	for (unsigned i = 0; i < PAGES; i++) {
		SETUP(give_at(s->pd, CRD(CRD_MEM, RW, 0, base + i), ITEM_DELEGATE,
			      mem(RW, 0, at + i * PAGE_SIZE)));
	}
	EQUAL(revoke_remote(s->pd, mem(RIGHTS_ALL, 2, at + 4 * PAGE_SIZE)), SUCCESS);
	EQUAL(revoke_remote(s->pd, mem(RIGHTS_ALL, 0, at + 9 * PAGE_SIZE)), SUCCESS);
	for (unsigned i = 0; i < PAGES; i++) {
		EQUAL(ask(s, OP_READ, at + i * PAGE_SIZE, 0),
		      (i >= 4 && i < 8) || i == 9 ? FAULT(VECTOR_PF) : 0);
	}
}

enum { LARGE_ORDER = 9, LARGE = 1 << LARGE_ORDER, PORTS = 0x300 };

/* Two PDs that have 2 MiB of root's as one range, one from the other. */
struct large {
	unsigned long mine, at;
	struct frame *s[2];
};

static struct large make_large(void)
{
	struct large l = {
		.mine = free_pages(LARGE_ORDER),
		.at = free_pages(LARGE_ORDER),
	};
	uint64_t ram = free_ram(LARGE_ORDER), window;

	window = mem(RIGHTS_ALL, LARGE_ORDER, l.at);
	NEED(ram);
	SETUP(take(mem(RW, LARGE_ORDER, ram), ITEM_GUEST, mem(RW, LARGE_ORDER, l.mine)));
	for (unsigned i = 0; i < LARGE; i++)
		*(uint64_t *)(l.mine + i * PAGE_SIZE) = magic + i;
	for (unsigned i = 0; i < 2; i++)
		l.s[i] = make_servant(make_pd());
	SETUP(give_at(l.s[0]->pd, mem(RW, LARGE_ORDER, l.mine), ITEM_DELEGATE | ITEM_GUEST,
		      window));
	set_item(window, ITEM_DELEGATE);
	SETUP(delegate(l.s[0]->pd, window, l.s[1]->pd));
	return l;
}

/* Page n of it: what reading and writing gives. */
static void expect_page(const struct large *l, unsigned first, unsigned n, unsigned read,
			unsigned write)
{
	unsigned long at = l->at + n * PAGE_SIZE;

	for (unsigned i = first; i < 2; i++) {
		EQUAL(ask(l->s[i], OP_READ, at, 0), read);
		if (!read)
			EQUAL(my_utcb->word[1], magic + n);
		EQUAL(ask(l->s[i], OP_WRITE, at, magic + n), write);
	}
}

/* A part of a range that was delegated as one: the rest stays. */
static void part(void)
{
	struct large l = make_large();
	unsigned gone = FAULT(VECTOR_PF);

	EQUAL(revoke(mem(RIGHTS_ALL, 0, l.mine + 5 * PAGE_SIZE)), SUCCESS);
	expect_page(&l, 0, 4, 0, 0);
	expect_page(&l, 0, 5, gone, gone);
	expect_page(&l, 0, 6, 0, 0);
	expect_page(&l, 0, LARGE - 1, 0, 0);
	EQUAL(revoke(mem(MEM_W, 3, l.mine + 64 * PAGE_SIZE)), SUCCESS);
	expect_page(&l, 0, 63, 0, 0);
	expect_page(&l, 0, 64, 0, gone);
	expect_page(&l, 0, 71, 0, gone);
	expect_page(&l, 0, 72, 0, 0);
	EQUAL(*(uint64_t *)(l.mine + 5 * PAGE_SIZE), magic + 5);

	/* What was there can be given again. */
	SETUP(give_at(l.s[0]->pd, mem(RW, LARGE_ORDER, l.mine), ITEM_DELEGATE,
		      mem(RIGHTS_ALL, LARGE_ORDER, l.at)));
	EQUAL(ask(l.s[0], OP_READ, l.at + 5 * PAGE_SIZE, 0), 0);
	EQUAL(ask(l.s[0], OP_WRITE, l.at + 64 * PAGE_SIZE, 0), gone);
	expect_page(&l, 1, 5, gone, gone);

	EQUAL(revoke(mem(RIGHTS_ALL, LARGE_ORDER, l.mine)), SUCCESS);
	expect_page(&l, 0, 5, gone, gone);
	expect_page(&l, 0, 6, gone, gone);
	expect_page(&l, 0, 64, gone, gone);
	SETUP(revoke_self(mem(RIGHTS_ALL, LARGE_ORDER, l.mine)));
}

/* By who has it, in the middle: itself, or keeping what was derived. */
static void part_self(void)
{
	struct large l = make_large();
	unsigned gone = FAULT(VECTOR_PF);

	EQUAL(ask_call(l.s[0], CALL_ID(CALL_REVOKE, FLAG_REVOKE_SELF, 0),
		       mem(RIGHTS_ALL, 2, l.at + 8 * PAGE_SIZE), 0, 0, 0),
	      SUCCESS);
	expect_page(&l, 0, 7, 0, 0);
	expect_page(&l, 0, 8, gone, gone);
	expect_page(&l, 0, 11, gone, gone);
	expect_page(&l, 0, 12, 0, 0);

	EQUAL(ask_call(l.s[0], CALL_ID(CALL_REVOKE, FLAG_REVOKE_KEEP, 0),
		       mem(RIGHTS_ALL, 2, l.at + 16 * PAGE_SIZE), 0, 0, 0),
	      SUCCESS);
	EQUAL(ask(l.s[0], OP_READ, l.at + 16 * PAGE_SIZE, 0), gone);
	expect_page(&l, 1, 16, 0, 0);
	expect_page(&l, 0, 20, 0, 0);

	/* The parts that are left can be revoked by who gave them. */
	EQUAL(ask_call(l.s[0], CALL_ID(CALL_REVOKE, 0, 0),
		       mem(RIGHTS_ALL, 2, l.at + 20 * PAGE_SIZE), 0, 0, 0),
	      SUCCESS);
	EQUAL(ask(l.s[0], OP_READ, l.at + 20 * PAGE_SIZE, 0), 0);
	expect_page(&l, 1, 20, gone, gone);
	expect_page(&l, 1, 24, 0, 0);
	EQUAL(revoke(mem(RIGHTS_ALL, 0, l.mine + 16 * PAGE_SIZE)), SUCCESS);
	expect_page(&l, 1, 16, gone, gone);
	expect_page(&l, 1, 17, 0, 0);
	SETUP(revoke_self(mem(RIGHTS_ALL, LARGE_ORDER, l.mine)));
	expect_page(&l, 0, 0, gone, gone);
	expect_page(&l, 1, 17, gone, gone);
}

static void part_ports(void)
{
	struct frame *s = make_servant(make_pd());
	uint64_t all = CRD(CRD_PIO, PIO_ACCESS, 4, PORTS);

	SETUP(take(all, 0, all));
	SETUP(give(s->pd, all));
	EQUAL(revoke(CRD(CRD_PIO, PIO_ACCESS, 1, PORTS + 6)), SUCCESS);
	for (unsigned i = 0; i < 16; i++)
		EQUAL(ask(s, OP_IN, PORTS + i, 0), i == 6 || i == 7 ? FAULT(VECTOR_GP) : 0);
	SETUP(revoke_self(all));
}

/* One capability to many PDs: a tree that is wide. */
static void wide(void)
{
	enum { N = 20 };
	struct frame *s[N];
	unsigned long sm = make_sm(0);

	for (unsigned i = 0; i < N; i++) {
		s[i] = make_servant(make_pd());
		SETUP(give(s[i]->pd, obj(RIGHTS_ALL, 0, sm)));
	}
	EQUAL(revoke(obj(SM_RIGHT_DOWN, 0, sm)), SUCCESS);
	for (unsigned i = 0; i < N; i++) {
		EQUAL(ask_call(s[i], CALL_ID(CALL_SM_CTRL, SM_DOWN, sm), 0, 1, 0, 0),
		      BAD_CAPABILITY);
		EQUAL(ask_call(s[i], CALL_ID(CALL_SM_CTRL, SM_UP, sm), 0, 0, 0, 0), SUCCESS);
	}
	EQUAL(revoke(obj(RIGHTS_ALL, 0, sm)), SUCCESS);
	for (unsigned i = 0; i < N; i++)
		EQUAL(ask_call(s[i], CALL_ID(CALL_SM_CTRL, SM_UP, sm), 0, 0, 0, 0), BAD_CAPABILITY);
	EQUAL(sm_down_all(sm, 1), SUCCESS);
}

/* The creator's capability goes: the object goes, wherever it was. */
static void object_everywhere(void)
{
	struct line l = {0};
	unsigned long sm = make_sm(0);

	l = make_line(obj(RIGHTS_ALL, 0, sm), obj(RIGHTS_ALL, 0, sm));
	EQUAL(revoke_self(obj(RIGHTS_ALL, 0, sm)), SUCCESS);
	for (unsigned i = 0; i < DEPTH; i++) {
		EQUAL(ask(l.s[i], OP_LOOKUP, obj(0, 0, sm), 0), 0);
		EQUAL(ask_call(l.s[i], CALL_ID(CALL_SM_CTRL, SM_UP, sm), 0, 0, 0, 0),
		      BAD_CAPABILITY);
	}
}

/* With keep, an object lives on where it was given to. */
static void object_keep(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long sm = make_sm(1);

	SETUP(give(s->pd, obj(RIGHTS_ALL, 0, sm)));
	EQUAL(revoke_flags(FLAG_REVOKE_SELF | FLAG_REVOKE_KEEP, 0, obj(RIGHTS_ALL, 0, sm)),
	      SUCCESS);
	EQUAL(sm_up(sm), BAD_CAPABILITY);
	EQUAL(ask_call(s, CALL_ID(CALL_SM_CTRL, SM_DOWN, sm), 0, 1, 0, 0), SUCCESS);
	EQUAL(ask_call(s, CALL_ID(CALL_SM_CTRL, SM_DOWN, sm), 0, 1, 0, 0), TIMEOUT);
}

/*
 * PDs that hold each other, or one that holds itself, and that nobody else has: they
 * end with the PD where they were made, and their quota comes back.
 */
static void object_ring(void)
{
	enum { QUOTA_OUTER = 200, QUOTA_INNER = 40, RING = 2 };
	unsigned long before = (usage_settled(SEL_ROOT_PD), limit(SEL_ROOT_PD));

	for (unsigned n = 1; n <= RING; n++) {
		unsigned long pd = make_pd_quota(SEL_ROOT_PD, QUOTA_OUTER);
		struct frame *s = make_servant(pd);
		unsigned long in[RING], mine = sel_range(1);

		SETUP(give(pd, obj(RIGHTS_ALL, 0, pd)));
		for (unsigned i = 0; i < n; i++) {
			in[i] = sel();
			EQUAL(ask_call(s, CALL_ID(CALL_CREATE_PD, 0, in[i]), pd, 0,
				       (uint64_t)QUOTA_INNER << 32, 0),
			      SUCCESS);
			set_item(obj(RIGHTS_ALL, 0, in[i]), ITEM_DELEGATE);
			SETUP(delegate(pd, obj(RIGHTS_ALL, 0, mine + i), SEL_ROOT_PD));
		}
		for (unsigned i = 0; i < n; i++) {
			set_item(obj(RIGHTS_ALL, 0, in[i]), ITEM_DELEGATE);
			SETUP(delegate(pd, obj(RIGHTS_ALL, 0, in[i]), mine + (i + 1) % n));
		}
		SETUP(revoke_self(obj(RIGHTS_ALL, 1, mine)));
		for (unsigned i = 0; i < n; i++) {
			EQUAL(ask_call(s,
				       CALL_ID(CALL_REVOKE, FLAG_REVOKE_SELF | FLAG_REVOKE_KEEP, 0),
				       obj(RIGHTS_ALL, 0, in[i]), 0, 0, 0),
			      SUCCESS);
		}
		SETUP(revoke_self(obj(RIGHTS_ALL, 0, s->pt)));
		SETUP(revoke_self(obj(RIGHTS_ALL, 0, s->ec)));
		SETUP(revoke_self(obj(RIGHTS_ALL, 0, pd)));
		WAIT(limit(SEL_ROOT_PD) == before);
	}
}

/*
 * It makes semaphores in its PD, and when it is told to it revokes its own EC, them, and
 * its SC, from which on nobody lets it run.
 */
enum { SELF_ORDER = 6, SELF_SMS = 40 };

static void revoke_itself(struct frame *f)
{
	unsigned long at = f->argument;

	for (unsigned i = 1; i <= SELF_SMS; i++)
		SETUP(create_sm(at + i, f->pd, 0));
	SETUP(sm_down(f->value[0], 0));
	(void)!revoke_self(obj(RIGHTS_ALL, SELF_ORDER, at));
	f->value[1] = 1;
}

/* What a thread has revoked ends also if the thread gets no further. */
static void object_own(void)
{
	unsigned long before = (usage_settled(SEL_ROOT_PD), limit(SEL_ROOT_PD));
	unsigned long pd = make_pd(), at = sel_range(SELF_ORDER), go = make_sm(0);
	unsigned long last = at + (1 << SELF_ORDER) - 1;
	struct frame *f = make_idle_thread(pd, boot_cpu, revoke_itself, at,
					   common_events(pd, boot_cpu));

	f->value[0] = go;
	SETUP(give(pd, obj(RIGHTS_ALL, 0, pd)));
	SETUP(give(pd, obj(RIGHTS_ALL, 0, go)));
	start_thread(f, 1, 1000);
	SETUP(give_at(pd, obj(RIGHTS_ALL, 0, f->ec), ITEM_DELEGATE, obj(RIGHTS_ALL, 0, at)));
	SETUP(give_at(pd, obj(RIGHTS_ALL, 0, f->sc), ITEM_DELEGATE, obj(RIGHTS_ALL, 0, last)));
	SETUP(revoke_flags(FLAG_REVOKE_SELF | FLAG_REVOKE_KEEP, 0, obj(RIGHTS_ALL, 0, f->ec)));
	SETUP(revoke_flags(FLAG_REVOKE_SELF | FLAG_REVOKE_KEEP, 0, obj(RIGHTS_ALL, 0, f->sc)));
	SETUP(sm_up(go));
	quiesce();
	SETUP(revoke_self(obj(RIGHTS_ALL, 0, pd)));
	WAIT(limit(SEL_ROOT_PD) == before);
	EQUAL(f->value[1], 0);
}

/* It ups the semaphore it is given, which must be one. */
static void signal(void)
{
	unsigned long sm = make_sm(0);

	EQUAL(syscall_3(CALL_ID(CALL_REVOKE, 0, sm), 0, 0), SUCCESS);
	EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
	EQUAL(syscall_3(CALL_ID(CALL_REVOKE, 0, sel()), 0, 0), BAD_CAPABILITY);
	EQUAL(syscall_3(CALL_ID(CALL_REVOKE, 0, SEL_ROOT_PD), 0, 0), BAD_CAPABILITY);
	EQUAL(syscall_3(CALL_ID(CALL_REVOKE, 0, with_rights(sm, SM_RIGHT_DOWN)), 0, 0),
	      BAD_CAPABILITY);
	EQUAL(sm_down(sm, 1), TIMEOUT);
}

/*
 * When it is upped, the memory is there again. That is soon, though nothing else
 * happens on any CPU; unless the machine was away each time.
 */
static void signal_free(void)
{
	unsigned long sm = make_sm(0), before = 0;
	bool soon = false;

	for (unsigned i = 0; i < 8 || (i < 80 && !soon); i++) {
		uint64_t start = rdtsc();
		unsigned long pd = make_pd();
		struct frame *h = make_handler(pd, i % cpus, echo);
		unsigned long all[] = {make_portal(h, 0, 0), h->ec, pd};

		for (unsigned k = 0; k < 3; k++) {
			EQUAL(syscall_3(CALL_ID(CALL_REVOKE, FLAG_REVOKE_SELF, sm),
					CRD(CRD_OBJ, RIGHTS_ALL, 0, all[k]), 0),
			      SUCCESS);
		}
		for (unsigned k = 0; k < 3; k++)
			EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
		EQUAL(sm_down(sm, 1), TIMEOUT);
		if (i == 2)
			before = usage(SEL_ROOT_PD);
		soon = soon || rdtsc() < start + tsc_of_us(100000);
	}
	CHECK(usage(SEL_ROOT_PD) <= before + 1);
	CHECK(soon);
}

/* Nothing, of all types and orders. */
static void nothing(void)
{
	unsigned long at = free_pages(0);

	EQUAL(revoke_self(0), SUCCESS);
	EQUAL(revoke_self(~3ul), SUCCESS);
	for (unsigned order = 0; order < 16; order++) {
		EQUAL(revoke_self(mem(RIGHTS_ALL, order, 0x7ff000000000)), SUCCESS);
		EQUAL(revoke_self(CRD(CRD_PIO, RIGHTS_ALL, order, 0x10000)), SUCCESS);
		EQUAL(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, order, hip->selectors)), SUCCESS);
		EQUAL(revoke_self(CRD(CRD_MEM, RIGHTS_ALL, order, ~0ul >> 12)), SUCCESS);
	}
	EQUAL(revoke_self(mem(RIGHTS_ALL, 0, at)), SUCCESS);
}

/* A PD takes away its own code: that is a page fault. */
static void own_code(void)
{
	struct frame *s = make_handler_events(make_pd(), boot_cpu,
					      make_servant(SEL_ROOT_PD)->function, sel_range(5));

	s->pt = make_portal(s, 0, 0);
	my_utcb->word[0] = OP_CALL;
	my_utcb->word[1] = CALL_ID(CALL_REVOKE, FLAG_REVOKE_SELF, 0);
	my_utcb->word[2] = CRD(CRD_MEM, RIGHTS_ALL, 9, 0x1000);
	my_utcb->items = 6;
	EQUAL(call(s->pt), ABORTED);
}

/* What was revoked can be delegated again, many times. */
static void again(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long at = free_pages(0), before = 0;

	for (unsigned i = 0; i < 1000; i++) {
		SETUP(give_at(s->pd, mem(RW, 0, (unsigned long)page[i % PAGES]), ITEM_DELEGATE,
			      mem(RW, 0, at)));
		EQUAL(ask(s, OP_WRITE, at, i), 0);
		EQUAL(*(uint64_t *)page[i % PAGES], i);
		SETUP(revoke(mem(RIGHTS_ALL, 0, (unsigned long)page[i % PAGES])));
		EQUAL(ask(s, OP_READ, at, 0), FAULT(VECTOR_PF));
		if (i == 10)
			before = usage_settled(s->pd);
	}
	wait_usage(s->pd, before);
}

/* Thousands of mappings at once. */
static void many(void)
{
	unsigned long pd = make_pd_quota(SEL_ROOT_PD, 400), before;
	unsigned long at = free_pages(12);

	before = usage_settled(pd);
	for (unsigned long i = 0; i < 4096; i++) {
		SETUP(give_at(pd, mem(RW, 0, (unsigned long)page), ITEM_DELEGATE,
			      mem(RW, 0, at + i * PAGE_SIZE)));
	}
	CHECK(usage(pd) > before);
	EQUAL(revoke(mem(RIGHTS_ALL, 0, (unsigned long)page)), SUCCESS);
	/* Page tables may stay: 8 of them. */
	WAIT(usage(pd) <= before + 10);
}

const struct test revoke_tests[] = {
	{"revoke.derived", derived, 0},
	{"revoke.self", self, 0},
	{"revoke.middle", middle, 0},
	{"revoke.rights", rights, 0},
	{"revoke.own_rights", own_rights, 0},
	{"revoke.remote", remote, 0},
	{"revoke.keep", keep, 0},
	{"revoke.flags", flags, 0},
	{"revoke.unaligned", unaligned, 0},
	{"revoke.range", range, 0},
	{"revoke.part", part, 0},
	{"revoke.part_self", part_self, 0},
	{"revoke.part_ports", part_ports, 0},
	{"revoke.wide", wide, 0},
	{"revoke.object_everywhere", object_everywhere, 0},
	{"revoke.object_keep", object_keep, 0},
	{"revoke.object_ring", object_ring, 0},
	{"revoke.object_own", object_own, 0},
	{"revoke.object_range", object_range, 0},
	{"revoke.signal", signal, 0},
	{"revoke.signal_free", signal_free, 0},
	{"revoke.nothing", nothing, 0},
	{"revoke.own_code", own_code, 0},
	{"revoke.again", again, 0},
	{"revoke.many", many, 0},
	{0},
};
