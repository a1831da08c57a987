/*
 * Long work for the kernel, whose instructions run.py counts: a range of 2^SMALL or
 * 2^LARGE capabilities is delegated, revoked, handed over to a new PD, and goes
 * with it; the same with memory in blocks; a page is taken out of a large one; and what a crowd of
 * threads does.
 *
 * It boots in the place of root.
 */
#include "latency.h"

#include <lib/io.h>

#include <abi/hip.h>

enum {
	SMALL = 10,
	LARGE = 16,
	FEW = 6, /* threads, 2^FEW or 2^MANY */
	MANY = 10,
	BLOCKS_FEW = 5, /* blocks of memory, 2^BLOCKS_FEW or 2^BLOCKS_MANY */
	BLOCKS_MANY = 8,
	BLOCK = 8,	    /* the order of their size: half of what a table has */
	TABLE = 9,	    /* the order of what a table has */
	SEL_MANY = 0x10000, /* 2^LARGE of them */
	SEL_PD = 0x30000,
	QUOTA = 3000,
	DEBUG_EXIT = 0xf4,
};

/* Page numbers: of no RAM, and of this program where nothing is. */
#define NOBODYS 0x10000000ul
#define HERE	0x1000000ul
#define THERE	0x2000000ul
/* Up to 2^27 pages. */
#define LARGE_PAGE 0x40000000ul
#define LARGE_COPY 0x50000000ul

_Noreturn void latency_main(unsigned long cpu, const struct hip *hip);

void mark(void)
{
	uint64_t crd = 0;

	(void)!lookup(&crd);
}

void must(enum status status)
{
	if (status != SUCCESS)
		out8(DEBUG_EXIT, (uint8_t)(0x10 + status));
}

void set_item(uint64_t crd, uint64_t how)
{
	struct utcb *u = (struct utcb *)ROOT_UTCB;

	u->items = UTCB_ITEMS(0, 1);
	u->word[utcb_item_word(0)] = crd;
	u->word[utcb_item_word(0) + 1] = how;
}

void give(uint64_t crd, uint64_t how, uint64_t window)
{
	set_item(crd, how | ITEM_DELEGATE);
	must(delegate(SEL_ROOT_PD, window, SEL_ROOT_PD));
}

/* Each half is derived from the one before it. */
static void fill(unsigned order)
{
	must(create_sm(SEL_MANY, SEL_ROOT_PD, 0));
	for (unsigned i = 0; i < order; i++) {
		give(CRD(CRD_OBJ, RIGHTS_ALL, i, SEL_MANY), 0,
		     CRD(CRD_OBJ, RIGHTS_ALL, i, SEL_MANY + (1ul << i)));
	}
}

void settle(void)
{
	for (unsigned i = 0; i < 300; i++) {
		(void)!sm_down(SEL_ROOT_PD, 0);
		for (volatile unsigned j = 0; j < 3000; j++) {
		}
	}
}

static void work(unsigned order)
{
	mark();
	fill(order);
	mark();
	must(revoke(CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_MANY)));
	settle();
	must(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_MANY)));
	fill(order);
	mark();
	must(create_pd(SEL_PD, SEL_ROOT_PD, CRD(CRD_OBJ, RIGHTS_ALL, order, SEL_MANY), QUOTA));
	mark();
	must(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_PD)));
	settle();
	mark();
	must(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, order, SEL_MANY)));
	settle();
}

static uint64_t memory(unsigned order, uint64_t page)
{
	return CRD(CRD_MEM, MEM_R | MEM_W, order, page);
}

/* 2^n blocks of the order, each at the beginning of what a table has. */
static void take(unsigned n, unsigned order)
{
	for (uint64_t i = 0; i < 1ul << n; i++)
		give(memory(order, NOBODYS + (i << TABLE)), ITEM_KERNEL,
		     memory(order, HERE + (i << TABLE)));
}

static void blocks(unsigned n)
{
	unsigned order = n + TABLE;

	mark();
	take(n, BLOCK);
	mark();
	give(memory(order, HERE), 0, memory(order, THERE));
	mark();
	must(revoke(memory(order, HERE)));
	mark();
	must(revoke_self(memory(order, HERE)));
	settle();
}

/* Of a large page its copy is revoked but for a page, and then that one page. */
static void part(unsigned order)
{
	mark();
	give(memory(order, LARGE_PAGE), ITEM_KERNEL, memory(order, LARGE_PAGE));
	give(memory(order, LARGE_PAGE), 0, memory(order, LARGE_COPY));
	mark();
	must(revoke(memory(0, LARGE_PAGE)));
	mark();
	must(revoke_self(memory(0, LARGE_PAGE + 1)));
	must(revoke_self(memory(order, LARGE_PAGE)));
	settle();
}

void latency_main(unsigned long cpu, const struct hip *hip)
{
	(void)cpu, (void)hip;
	give(CRD(CRD_PIO, PIO_ACCESS, 2, DEBUG_EXIT), ITEM_KERNEL,
	     CRD(CRD_PIO, PIO_ACCESS, 2, DEBUG_EXIT));
	work(SMALL);
	crowd(FEW);
	blocks(BLOCKS_FEW);
	part(2 * TABLE);
	ancestors(FEW);
	work(LARGE);
	crowd(MANY);
	blocks(BLOCKS_MANY);
	part(3 * TABLE);
	ancestors(MANY);
	mark();
	out8(DEBUG_EXIT, 0);
	for (;;) {
	}
}
