/*
 * Making objects and ending them; delegating memory and taking it back.
 */
#include "bench.h"

enum {
	CHAIN = 64,
	FAN = 256,
	WIDE_FAN = 1024,
	ORDER_2M = 9,
	ORDER_1G = 18,
	PD_PAGES = 32,
};

/* Physical addresses that belong to no RAM of the machines we run on. */
#define NOBODYS 0x1000000000ul

/* Time both, each with the other outside the measured time. */
#define MEASURE_BOTH(create, destroy, make, crd)                                   \
	do {                                                                       \
		MEASURE(create, SAMPLES, SUCCESS, , make, (void)!revoke_self(crd); \
			settle_sometimes());                                       \
		settle();                                                          \
		MEASURE(destroy, SAMPLES, SUCCESS, SETUP(make), revoke_self(crd),  \
			settle_sometimes());                                       \
		settle();                                                          \
	} while (0)

static unsigned long ec_pt; /* a local EC, of a portal */

/* No portals are at its event base: should it ever run, it ends. */
static unsigned long no_events;

static enum status make_thread_ec(unsigned long ec)
{
	return create_ec(ec, SEL_ROOT_PD, EC_GLOBAL, free_pages(0), boot_cpu, 0, no_events);
}

static void make_thread_and_sc(unsigned long sc, unsigned long ec)
{
	SETUP(make_thread_ec(ec));
	SETUP(create_sc(sc, SEL_ROOT_PD, ec, QPD(PRIORITY_MIN, 10000)));
}

static void end_thread(unsigned long sc, unsigned long ec)
{
	(void)!revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, sc));
	(void)!revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, ec));
	settle_sometimes();
}

void bench_object(void)
{
	unsigned long at = sel(), ec = sel();
	unsigned long crd = CRD(CRD_OBJ, RIGHTS_ALL, 0, at);

	no_events = sel_range(5);
	ec_pt = make_handler(SEL_ROOT_PD, boot_cpu, NULL)->ec;
	MEASURE_BOTH("create_sm", "destroy_sm", create_sm(at, SEL_ROOT_PD, 0), crd);
	MEASURE_BOTH("create_pt", "destroy_pt",
		     create_pt(at, SEL_ROOT_PD, ec_pt, 0, (unsigned long)stub_echo), crd);
	MEASURE_BOTH("create_ec", "destroy_ec",
		     create_ec(at, SEL_ROOT_PD, EC_LOCAL, free_pages(0), boot_cpu, 0, 0), crd);
	MEASURE_BOTH("create_thread", "destroy_thread", make_thread_ec(at), crd);
	if (hip->features & (HIP_VMX | HIP_SVM)) {
		MEASURE_BOTH("create_vcpu", "destroy_vcpu",
			     create_vcpu(at, SEL_ROOT_PD, boot_cpu, 0), crd);
	} else {
		report_skipped("create_vcpu", "no virtualisation");
	}
	MEASURE_BOTH("create_pd", "destroy_pd", create_pd(at, SEL_ROOT_PD, 0, PD_PAGES), crd);
	MEASURE("create_sc", SAMPLES, SUCCESS, SETUP(make_thread_ec(ec)),
		create_sc(at, SEL_ROOT_PD, ec, QPD(PRIORITY_MIN, 10000)), end_thread(at, ec));
	settle();
	MEASURE("destroy_sc", SAMPLES, SUCCESS, make_thread_and_sc(at, ec), revoke_self(crd),
		end_thread(at, ec));
	settle();
}

/* Memory */

static unsigned long pd;     /* the receiver */
static unsigned long window; /* page number of its first free pages */

/* In line, item and all: what is measured is the call. */
static inline enum status give_item(unsigned long from, unsigned long what, unsigned long how,
				    unsigned long to)
{
	my_utcb->items = UTCB_ITEMS(0, 1);
	my_utcb->word[utcb_item_word(0)] = what;
	my_utcb->word[utcb_item_word(0) + 1] = how;
	return delegate(from, to, pd);
}

static enum status give_memory(unsigned long from, unsigned long what, unsigned long at,
			       unsigned order)
{
	return give_item(from, CRD(CRD_MEM, MEM_R | MEM_W, order, what), ITEM(ITEM_DELEGATE, 0, at),
			 CRD(CRD_MEM, MEM_R | MEM_W, order, at));
}

static enum status give_chain(unsigned long what)
{
	enum status s = give_memory(SEL_ROOT_PD, what, window, 0);

	for (unsigned i = 1; i < CHAIN && s == SUCCESS; i++)
		s = give_memory(pd, window + i - 1, window + i, 0);
	return s;
}

static enum status give_fan(unsigned long what, unsigned n)
{
	enum status s = SUCCESS;

	for (unsigned i = 0; i < n && s == SUCCESS; i++)
		s = give_memory(SEL_ROOT_PD, what, window + i, 0);
	return s;
}

static void measure_memory(const char *give_name, const char *revoke_name, unsigned long what,
			   unsigned order)
{
	unsigned long crd = CRD(CRD_MEM, RIGHTS_ALL, order, what);
	unsigned long item = CRD(CRD_MEM, MEM_R | MEM_W, order, what);
	unsigned long how = ITEM(ITEM_DELEGATE, 0, window);
	unsigned long to = CRD(CRD_MEM, MEM_R | MEM_W, order, window);

	MEASURE(give_name, SAMPLES, SUCCESS, , give_item(SEL_ROOT_PD, item, how, to),
		(void)!revoke(crd));
	settle();
	MEASURE(revoke_name, SAMPLES, SUCCESS, SETUP(give_memory(SEL_ROOT_PD, what, window, order)),
		revoke(crd), );
	settle();
}

/* Not RAM: how much of that there is differs. */
static unsigned long take_nobodys(unsigned order)
{
	unsigned long at = page_number((void *)free_pages(order));

	SETUP(take(CRD(CRD_MEM, MEM_R | MEM_W, order, NOBODYS / PAGE_SIZE), 0,
		   CRD(CRD_MEM, MEM_R | MEM_W, order, at)));
	NEED(look(CRD(CRD_MEM, 0, 0, at)));
	return at;
}

#define MEASURE_MANY(name, make, crd)                                                \
	do {                                                                         \
		MEASURE("delegate_" name, FEW, SUCCESS, , make, (void)!revoke(crd)); \
		settle();                                                            \
		MEASURE("revoke_" name, FEW, SUCCESS, SETUP(make), revoke(crd), );   \
		settle();                                                            \
	} while (0)

void bench_memory(void)
{
	unsigned long what = page_number(page[0]);
	unsigned long crd = CRD(CRD_MEM, RIGHTS_ALL, 0, what);
	struct frame *servant;

	pd = make_pd_quota(SEL_ROOT_PD, BIG_QUOTA);
	window = page_number((void *)free_pages(ORDER_1G));
	servant = make_servant(pd);

	/* What only says that it delegates would look fast. */
	page[0][0] = 42;
	SETUP(give_memory(SEL_ROOT_PD, what, window, 0));
	EQUAL(ask(servant, OP_READ, window * PAGE_SIZE, 0), 0);
	EQUAL(my_utcb->word[1] & 0xff, 42);
	SETUP(revoke(crd));
	EQUAL(ask(servant, OP_READ, window * PAGE_SIZE, 0), FAULT(VECTOR_PF));

	measure_memory("delegate_4k", "revoke_4k", what, 0);
	MEASURE("revoke_nothing", SAMPLES, SUCCESS, , revoke(crd), );
	measure_memory("delegate_2m", "revoke_2m", take_nobodys(ORDER_2M), ORDER_2M);
	if (hip->page_sizes >> (ORDER_1G + 12) & 1)
		measure_memory("delegate_1g", "revoke_1g", take_nobodys(ORDER_1G), ORDER_1G);
	else
		report_skipped("delegate_1g", "no pages of 1 GiB");
	if (tracing())
		return; /* of what is above, many times */
	MEASURE_MANY("chain_64", give_chain(what), crd);
	MEASURE_MANY("fan_256", give_fan(what, FAN), crd);
	MEASURE_MANY("fan_1024", give_fan(what, WIDE_FAN), crd);
}
