/*
 * Delegation: ranges, rights, windows; and that what arrived can be used, and
 * nothing else.
 */
#include "pages.h"

enum { TEXT_ORDER = 3 };

void fill_pages(void)
{
	for (unsigned i = 0; i < PAGES; i++)
		*(uint64_t *)page[i] = magic + i;
}

void sees(const struct frame *s, unsigned long at, unsigned n)
{
	EQUAL(ask(s, OP_READ, at, 0), 0);
	EQUAL(my_utcb->word[1], magic + n);
}

void faults(const struct frame *s, unsigned long at)
{
	EQUAL(ask(s, OP_READ, at, 0), FAULT(VECTOR_PF));
	EQUAL(last_fault[boot_cpu].address, at);
}

/* A page is there after the call, with its rights; not before. */
static void memory(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long at = free_pages(0);

	fill_pages();
	faults(s, at);
	EQUAL(give_at(s->pd, page_crd(RW, 0, (unsigned long)page), ITEM_DELEGATE,
		      page_crd(RW, 0, at)),
	      SUCCESS);
	sees(s, at, 0);
	EQUAL(ask(s, OP_WRITE, at + 8, 77), 0);
	EQUAL(*(uint64_t *)(page[0] + 8), 77);
	EQUAL(ask(s, OP_EXECUTE, at, 0), FAULT(VECTOR_PF));
	EQUAL(ask(s, OP_LOOKUP, page_crd(0, 0, at), 0), page_crd(RW, 0, at));
	EQUAL(ask(s, OP_LOOKUP, page_crd(0, 0, at + PAGE_SIZE), 0), 0);
}

/* What arrives is what sender, item and window all have. Who may write may read. */
static void memory_rights(void)
{
	struct frame *s = make_servant(make_pd());

	for (unsigned item = 0; item <= RIGHTS_ALL; item++) {
		unsigned long at = free_pages(0);
		unsigned window = item * 13 % 32, rights = item & window & RW;

		SETUP(give_at(s->pd, page_crd(item, 0, (unsigned long)page), ITEM_DELEGATE,
			      page_crd(window, 0, at)));
		EQUAL(ask(s, OP_LOOKUP, page_crd(0, 0, at), 0),
		      rights ? page_crd(rights, 0, at) : 0);
		EQUAL(ask(s, OP_READ, at, 0), rights ? 0 : FAULT(VECTOR_PF));
		EQUAL(ask(s, OP_WRITE, at, 0), rights & MEM_W ? 0 : FAULT(VECTOR_PF));
	}
}

/* Text can be given to be executed, not to be written. */
static void memory_execute(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long at = free_pages(TEXT_ORDER);
	unsigned long text = (unsigned long)probe_ud & ~(PAGE_SIZE - 1);

	SETUP(give_at(s->pd, page_crd(RIGHTS_ALL, 0, text), ITEM_DELEGATE,
		      page_crd(RIGHTS_ALL, 0, at)));
	EQUAL(ask(s, OP_LOOKUP, page_crd(0, 0, at), 0), page_crd(MEM_R | MEM_X, 0, at));
	EQUAL(ask(s, OP_WRITE, at, 0), FAULT(VECTOR_PF));
	/* It begins with UD2. */
	EQUAL(ask(s, OP_EXECUTE, at + (unsigned long)probe_ud % PAGE_SIZE, 0), FAULT(VECTOR_UD));
}

/* More is sent than the window takes: the part at the hotspot. */
static void sender_larger(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long base = page_number(page) & ~3ul;
	unsigned first = (unsigned)(page_number(page) - base);

	fill_pages();
	for (unsigned n = first; n < 4; n++) {
		unsigned long at = free_pages(2);

		SETUP(give_at(s->pd, CRD(CRD_MEM, RW, 2, base), ITEM(ITEM_DELEGATE, 0, n),
			      page_crd(RW, 0, at + PAGE_SIZE)));
		sees(s, at + PAGE_SIZE, n - first);
		faults(s, at);
		faults(s, at + 2 * PAGE_SIZE);
	}
}

/* The window is larger: the page is at the hotspot. */
static void receiver_larger(void)
{
	struct frame *s = make_servant(make_pd());

	fill_pages();
	for (unsigned n = 0; n < 8; n++) {
		unsigned long at = free_pages(3);

		SETUP(give_at(s->pd, page_crd(RW, 0, (unsigned long)page[n]),
			      ITEM(ITEM_DELEGATE, 0, n), page_crd(RW, 3, at)));
		for (unsigned i = 0; i < 8; i++)
			if (i == n)
				sees(s, at + i * PAGE_SIZE, n);
			else
				faults(s, at + i * PAGE_SIZE);
	}
}

/* A hotspot counts by its low bits, as many as the larger range has. */
static void hotspot_wraps(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long at = free_pages(3);

	fill_pages();
	SETUP(give_at(s->pd, page_crd(RW, 0, (unsigned long)page[4]),
		      ITEM(ITEM_DELEGATE, 0, 0xfffffffffff05), page_crd(RW, 3, at)));
	sees(s, at + 5 * PAGE_SIZE, 4);
}

/* A base that is not aligned to the order counts without its low bits. */
static void unaligned(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long at = free_pages(2);
	unsigned long base = (page_number(page) + 3) & ~3ul;
	unsigned first = (unsigned)(base - page_number(page));

	fill_pages();
	SETUP(give_at(s->pd, CRD(CRD_MEM, RW, 2, base + 3), ITEM_DELEGATE,
		      page_crd(RW, 2, at + PAGE_SIZE)));
	for (unsigned i = 0; i < 4; i++)
		sees(s, at + i * PAGE_SIZE, first + i);
}

/* What the receiver has there stays, and that is no error. */
static void occupied(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long at = free_pages(2);

	fill_pages();
	SETUP(give_at(s->pd, page_crd(MEM_R, 0, (unsigned long)page[9]), ITEM_DELEGATE,
		      page_crd(RW, 0, at + 2 * PAGE_SIZE)));
	EQUAL(give_at(s->pd, page_crd(RW, 0, (unsigned long)page[1]), ITEM_DELEGATE,
		      page_crd(RW, 0, at + 2 * PAGE_SIZE)),
	      SUCCESS);
	sees(s, at + 2 * PAGE_SIZE, 9);
	EQUAL(ask(s, OP_WRITE, at + 2 * PAGE_SIZE, 0), FAULT(VECTOR_PF));

	/* Four pages, of which one is occupied: the other three arrive. */
	unsigned long base = (page_number(page) + 3) & ~3ul;
	unsigned first = (unsigned)(base - page_number(page));

	EQUAL(give_at(s->pd, CRD(CRD_MEM, RW, 2, base), ITEM_DELEGATE, page_crd(RW, 2, at)),
	      SUCCESS);
	for (unsigned i = 0; i < 4; i++)
		sees(s, at + i * PAGE_SIZE, i == 2 ? 9 : first + i);
}

/* A range with holes arrives with them. */
static void holes(void)
{
	struct frame *s = make_servant(make_pd());
	struct frame *s2 = make_servant(make_pd());
	unsigned long at = free_pages(3);

	fill_pages();
	for (unsigned i = 0; i < 8; i += 3) {
		SETUP(give_at(s->pd, page_crd(RW, 0, (unsigned long)page[i]), ITEM_DELEGATE,
			      page_crd(RW, 0, at + i * PAGE_SIZE)));
	}
	set_item(page_crd(RW, 3, at), ITEM_DELEGATE);
	EQUAL(delegate(s->pd, page_crd(RW, 3, at), s2->pd), SUCCESS);
	for (unsigned i = 0; i < 8; i++)
		if (i % 3 == 0)
			sees(s2, at + i * PAGE_SIZE, i);
		else
			faults(s2, at + i * PAGE_SIZE);
}

/* Nothing arrives at or above the end of user addresses. */
static void beyond_user(void)
{
	unsigned long pd = make_pd();
	struct frame *s = make_servant(pd);
	static const uint64_t addresses[] = {
		USER_END,	    0x00007ffffffff000, 0x0000800000000000,
		0xffff800000000000, 0xffffffff80000000, 0xfffffffffffff000,
	};

	for (unsigned i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		EQUAL(give_at(pd, page_crd(RW, 0, (unsigned long)page), ITEM_DELEGATE,
			      page_crd(RW, 0, addresses[i])),
		      SUCCESS);
		EQUAL(ask(s, OP_LOOKUP, page_crd(0, 0, addresses[i]), 0), 0);
	}
	/* The last page may be had. */
	fill_pages();
	SETUP(give_at(pd, page_crd(RW, 0, (unsigned long)page[3]), ITEM_DELEGATE,
		      page_crd(RW, 0, USER_END - PAGE_SIZE)));
	sees(s, USER_END - PAGE_SIZE, 3);
}

/* A 2 MiB page, in one piece. */
static void large_page(void)
{
	uint64_t ram = free_ram(9);
	unsigned long at = free_pages(9), there = free_pages(9);
	struct frame *s = make_servant(make_pd());

	NEED(ram);
	EQUAL(take(page_crd(RW, 9, ram), 0, page_crd(RW, 9, at)), SUCCESS);
	EQUAL(look(page_crd(0, 0, at + 77 * PAGE_SIZE)), page_crd(RW, 9, at));
	for (unsigned i = 0; i < 512; i++)
		*(volatile uint64_t *)(at + i * PAGE_SIZE) = magic + i;
	SETUP(give_at(s->pd, page_crd(RW, 9, at), ITEM_DELEGATE, page_crd(RW, 9, there)));
	for (unsigned i = 0; i < 512; i += 51)
		sees(s, there + i * PAGE_SIZE, i);
	EQUAL(ask(s, OP_LOOKUP, page_crd(0, 0, there), 0), page_crd(RW, 9, there));

	/* A part of it goes on as a small page. */
	unsigned long small = free_pages(0);

	SETUP(give_at(s->pd, page_crd(MEM_R, 0, at + 5 * PAGE_SIZE), ITEM_DELEGATE,
		      page_crd(RW, 0, small)));
	sees(s, small, 5);
	SETUP(revoke(page_crd(RIGHTS_ALL, 9, at)));
	faults(s, there + 51 * PAGE_SIZE);
	faults(s, small);
	EQUAL(*(volatile uint64_t *)(at + PAGE_SIZE), magic + 1);
}

/* Where 2 MiB were, small pages can be, and the other way round. */
static void large_and_small(void)
{
	uint64_t ram = free_ram(9);
	unsigned long at = free_pages(9);

	NEED(ram);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t value;

		SETUP(take(page_crd(RW, 9, ram), 0, page_crd(RW, 9, at)));
		*(volatile uint64_t *)(at + 3 * PAGE_SIZE) = magic + i;
		SETUP(revoke_self(page_crd(RIGHTS_ALL, 9, at)));
		EQUAL(probe_read((void *)(at + 3 * PAGE_SIZE), &value), FAULT(VECTOR_PF));
		SETUP(take(page_crd(RW, 0, ram + 3 * PAGE_SIZE), 0,
			   page_crd(RW, 0, at + 4 * PAGE_SIZE)));
		EQUAL(*(volatile uint64_t *)(at + 4 * PAGE_SIZE), magic + i);
		EQUAL(probe_read((void *)(at + 3 * PAGE_SIZE), &value), FAULT(VECTOR_PF));
		SETUP(revoke_self(page_crd(RIGHTS_ALL, 9, at)));
	}
}

/*
 * 1 GiB of addresses that no memory answers to: there is a page, what it reads
 * is the machine's.
 */
static void huge_page(void)
{
	static const uint64_t nowhere = 0x1000000000;
	unsigned long at = free_pages(18);
	struct frame *s = make_servant(make_pd());
	uint64_t value;

	EQUAL(take(page_crd(RW, 18, nowhere), 0, page_crd(RW, 18, at)), SUCCESS);
	EQUAL(look(page_crd(0, 0, at + (1 << 29))), page_crd(RW, 18, at));
	for (unsigned long i = 0; i < 1ul << 30; i += 1ul << 27)
		EQUAL(probe_read((void *)(at + i), &value), 0);
	EQUAL(give(s->pd, page_crd(MEM_R, 18, at)), SUCCESS);
	EQUAL(ask(s, OP_READ, at + (1 << 29), 0), 0);
	EQUAL(ask(s, OP_WRITE, at, 0), FAULT(VECTOR_PF));
	SETUP(revoke_self(page_crd(RIGHTS_ALL, 18, at)));
	faults(s, at + (1 << 29));
	EQUAL(probe_read((void *)at, &value), FAULT(VECTOR_PF));
}

/* Kernel memory is nobody's, whole or in part. */
static void kernel_memory(void)
{
	const struct hip_mem *m = (const void *)((const char *)hip + hip->mem_offset);
	unsigned n = (unsigned)(hip->length - hip->mem_offset) / hip->mem_size;
	unsigned long at = free_pages(9);

	for (unsigned i = 0; i < n; i++) {
		uint64_t last = m[i].address + m[i].size - PAGE_SIZE;

		if ((int)m[i].type == HIP_MEM_KERNEL) {
			EQUAL(take(page_crd(RW, 0, m[i].address), 0, page_crd(RW, 0, at)), SUCCESS);
			EQUAL(take(page_crd(RW, 0, last), 0, page_crd(RW, 0, at)), SUCCESS);
			EQUAL(take(page_crd(RW, 9, last), 0, page_crd(RW, 9, at)), SUCCESS);
			EQUAL(look(page_crd(0, 0, at)), 0);
		}
	}
	/* All of it at once: of 2^31 pages those from 1 GiB on. */
	SETUP(take(CRD(CRD_MEM, RW, 31, 0), 1ul << 30, page_crd(RW, 9, at)));
	SETUP(take(CRD(CRD_MEM, RW, 18, 0), 0, page_crd(RW, 18, free_pages(18))));
	EQUAL(probe_read((void *)at, &(uint64_t){0}), 0);
}

/* Only root takes from the kernel: another PD's H is nothing. */
static void kernel_by_others(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long at = free_pages(0);

	/* The item of another PD's call. */
	SETUP(give(s->pd, CRD(CRD_OBJ, RIGHTS_ALL, 0, s->pd)));
	my_utcb->delegate = page_crd(RW, 0, at);
	ask(s, OP_SEND, page_crd(RW, 0, free_ram(0)), ITEM_DELEGATE | ITEM_KERNEL);
	EQUAL(look(page_crd(0, 0, at)), 0);

	/* Its own misc/delegate. */
	ask(s, OP_ITEM, page_crd(RW, 0, free_ram(0)), ITEM_DELEGATE | ITEM_KERNEL);
	EQUAL(ask_call(s, CALL_ID(CALL_MISC, MISC_DELEGATE, s->pd), page_crd(RW, 0, at), s->pd, 0,
		       0),
	      SUCCESS);
	EQUAL(ask(s, OP_LOOKUP, page_crd(0, 0, at), 0), 0);
}

/* An object's rights get fewer on the way. */
static void object_rights(void)
{
	struct frame *s = make_servant(make_pd());
	unsigned long sm = make_sm(5);

	SETUP(give(s->pd, CRD(CRD_OBJ, SM_RIGHT_UP, 0, sm)));
	EQUAL(ask(s, OP_LOOKUP, CRD(CRD_OBJ, 0, 0, sm), 0), CRD(CRD_OBJ, SM_RIGHT_UP, 0, sm));
	EQUAL(ask_call(s, CALL_ID(CALL_SM_CTRL, SM_UP, sm), 0, 0, 0, 0), SUCCESS);
	EQUAL(ask_call(s, CALL_ID(CALL_SM_CTRL, SM_DOWN, sm), 0, 1, 0, 0), BAD_CAPABILITY);
}

/* An object at several selectors is one object. */
static void object_twice(void)
{
	unsigned long sm = make_sm(0), other = with_rights(sm, RIGHTS_ALL);

	EQUAL(sm_up(sm), SUCCESS);
	EQUAL(sm_down(other, 1), SUCCESS);
	EQUAL(sm_down(sm, 1), TIMEOUT);
}

/* A PD that may use no more kernel memory: told, and nothing breaks. */
static void out_of_memory(void)
{
	unsigned long pd = make_empty_pd(20);
	enum status status = SUCCESS;
	unsigned n = 0;

	for (; n < 100 && status == SUCCESS; n++) {
		unsigned long at = 0x10000000ul + 0x40000000ul * n;

		status = give_at(pd, page_crd(RW, 0, (unsigned long)page), ITEM_DELEGATE,
				 page_crd(RW, 0, at));
	}
	CHECK(n > 1);
	EQUAL(status, OUT_OF_MEMORY);
}

/* lookup: the whole range that has the page, port or selector. */
static void lookups(void)
{
	EQUAL(look(0), 0);
	EQUAL(look(page_crd(0, 0, free_pages(0))), 0);
	EQUAL(look(page_crd(0, 0, (unsigned long)page)), page_crd(RW, 0, (unsigned long)page));
	EQUAL(look(page_crd(RIGHTS_ALL, 31, (unsigned long)page)),
	      page_crd(RW, 0, (unsigned long)page));
	EQUAL(look(page_crd(0, 0, (unsigned long)probe_ud)),
	      page_crd(MEM_R | MEM_X, 0, (unsigned long)probe_ud));
	EQUAL(look(CRD(CRD_OBJ, 0, 0, hip->selectors)), 0);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, ~0ul >> 12)), 0);
	EQUAL(look(CRD(CRD_MEM, 0, 0, ~0ul >> 12)), 0);
	EQUAL(look(CRD(CRD_PIO, 0, 0, ~0ul >> 12)), 0);
	EQUAL(look(CRD(CRD_PIO, 0, 0, 0x3fb)), CRD(CRD_PIO, 1, 3, 0x3f8));
	EQUAL(look(page_crd(0, 0, ROOT_HIP)), 0);
	EQUAL(look(page_crd(0, 0, USER_END)), 0);
}

const struct test delegate_tests[] = {
	{"delegate.memory", memory, 0},
	{"delegate.memory_rights", memory_rights, 0},
	{"delegate.memory_execute", memory_execute, 0},
	{"delegate.sender_larger", sender_larger, 0},
	{"delegate.receiver_larger", receiver_larger, 0},
	{"delegate.hotspot_wraps", hotspot_wraps, 0},
	{"delegate.unaligned", unaligned, 0},
	{"delegate.occupied", occupied, 0},
	{"delegate.holes", holes, 0},
	{"delegate.beyond_user", beyond_user, 0},
	{"delegate.large_page", large_page, 0},
	{"delegate.large_and_small", large_and_small, 0},
	{"delegate.huge_page", huge_page, 0},
	{"delegate.kernel_memory", kernel_memory, 0},
	{"delegate.kernel_by_others", kernel_by_others, 0},
	{"delegate.object_rights", object_rights, 0},
	{"delegate.object_twice", object_twice, 0},
	{"delegate.out_of_memory", out_of_memory, 0},
	{"delegate.lookups", lookups, 0},
	{0},
};
