/*
 * A call that is interrupted, or that another CPU overtakes, finds something else when it goes
 * on: what was looked up, counted or translated before is not to be believed any more.
 */
#include "hv_machine.h"

#include "object.h"

enum {
	PAGES = 4096,
	QUOTA = 1000,

	/* Root's selectors. */
	PORTAL = 0,
	SM = 64,
	EC = 100,
	SC = 200,
	PD = 300,
	MANY = 600,

	HIGH = 9,     /* of ECs: what interrupts the others */
	LATER = 5000, /* ticks, until it does */
};

static struct ec *must(struct ec *ec, enum status s)
{
	assert_non_null(ec);
	assert_int_equal(status_of(ec), s);
	return ec;
}

static struct sm *make_sm(unsigned i)
{
	must(hypercall(CALL_CREATE_SM, 0, SM + i, SEL_PD, 0, 0, 0), SUCCESS);
	return container_of(root_object(SM + i), struct sm, object);
}

static struct pd *make_pd(unsigned i)
{
	must(hypercall(CALL_CREATE_PD, 0, PD + i, SEL_PD, 0, 100ul << 32, 0), SUCCESS);
	return container_of(root_object(PD + i), struct pd, object);
}

static struct ec *make_ec(unsigned i, uint64_t pd, bool global)
{
	must(hypercall(CALL_CREATE_EC, global, EC + i, pd, 0x100000 + i * PAGE_SIZE, 0, 0x100),
	     SUCCESS);
	return root_ec(EC + i);
}

/* It sleeps, and LATER preempts root. */
static struct ec *make_high(void)
{
	struct ec *high = make_ec(HIGH, SEL_PD, true), *root = running();

	make_sm(HIGH);
	high->resume = resume_iret;
	assert_ptr_equal(
		hypercall(CALL_CREATE_SC, 0, SC + HIGH, SEL_PD, EC + HIGH, QPD(4, 1000), 0), high);
	assert_ptr_equal(hypercall(CALL_SM_CTRL, SM_DOWN, SM + HIGH, 0, tsc_now + LATER, 0, 0),
			 root);
	return high;
}

static struct ec *sleep_again(void)
{
	return hypercall(CALL_SM_CTRL, SM_DOWN, SM + HIGH, 0, 0, 0, 0);
}

/* One capability goes; on this CPU, whatever that does. */
static void take(struct pd *pd, uint64_t selector)
{
	struct revocation r = {0};

	assert_true(mapping_revoke(&r, pd, CRD(CRD_OBJ, 31, 0, selector), true, false));
}

static void delegate(struct pd *from, uint64_t source, struct pd *to, uint64_t target)
{
	struct transfer t = {
		.from = from,
		.to = to,
		.source = source,
		.target = target,
		.type = CRD_OBJ,
		.rights = RIGHTS_ALL,
		.left = TRANSFER_STEPS,
	};

	assert_int_equal(mapping_delegate(&t), SUCCESS);
	assert_int_equal(t.got, RIGHTS_ALL);
}

/* An SC that is bound to an EC, until its creation fails on another CPU. */
static struct sc *bound;

static bool unbind(enum object_type kind)
{
	if (kind == SLAB_MAPPING) {
		slab_hook = NULL;
		sc_cancel(bound);
	}
	return false;
}

/* What is not started, and may never be, does not move. */
static void test_unbound_migrates(void **state)
{
	struct ec *ec;

	(void)state;
	machine_start(PAGES, 2, QUOTA);
	ec = make_ec(0, SEL_PD, true);
	ec->own_sc = bound = sc_create(pd_root, ec, 1, 1000);
	slab_hook = unbind;
	must(hypercall(CALL_EC_CTRL, EC_MIGRATE, EC, 1, CRD(CRD_OBJ, RIGHTS_ALL, 0, EC + 1), 0, 0),
	     BAD_CAPABILITY);
	if (slab_hook)
		unbind(SLAB_MAPPING);
	object_put(&bound->object);
	machine_finish();
}

/* From CPU 1: another PD is where the one was. */
static void swap_pds(void)
{
	poll_hook = NULL;
	poll_period = 0;
	cpu_now = 1;
	take(pd_root, PD);
	delegate(pd_root, PD + 1, pd_root, PD);
	cpu_now = 0;
	poll_period = 1;
}

/* What is revoked is beyond what the other PD can have: nothing stays in the tree. */
static void test_other_pd(void **state)
{
	const uint64_t high = SELECTORS_LOW;
	struct ec *root = machine_start(PAGES, 2, QUOTA);
	struct pd *pd;

	(void)state;
	make_sm(0);
	pd = make_pd(0);
	make_pd(1);
	delegate(pd_root, PD, pd_root, PD + 2);
	delegate(pd_root, SM, pd, high);
	for (unsigned i = 0; i < 100; i++)
		delegate(pd, high, pd_root, MANY + i);
	poll_hook = swap_pds;
	poll_period = 1;
	must(hypercall(CALL_REVOKE, FLAG_REVOKE_REMOTE, 0, CRD(CRD_OBJ, RIGHTS_ALL, 0, high), PD, 0,
		       0),
	     SUCCESS);
	assert_null(poll_hook);
	assert_null(root->revocation.cursor.parent);
	machine_finish();
}

static struct pd *ending;
static struct revocation ender;

/* Who revokes in it has come to what was made in it: then it is preempted. */
static void preempt_there(void)
{
	if (root_ec(SEL_EC)->revocation.top != &ending->made)
		return;
	poll_hook = NULL;
	poll_period = 1;
	tsc_now += LATER;
	interrupt_kernel();
}

/* Another CPU ends the PD, as far as its objects. */
static void end_until_objects(void)
{
	poll_hook = NULL;
	poll_period = 1;
	cpu_now = 1;
	while (ending->clearing != CRD_OBJ)
		assert_false(mapping_revoke(&ender, pd_root, CRD(CRD_OBJ, 31, 0, PD), true, false));
	cpu_now = 0;
	poll_period = 0;
	poll_hook = preempt_there;
}

/* Whoever revokes in a PD while that ends leaves nothing in it, and may be late. */
static void test_pd_ends(void **state)
{
	struct ec *root = machine_start(PAGES, 2, QUOTA), *high = make_high(), *ec;

	(void)state;
	ending = make_pd(0);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(mapping_create(ending, i, &sm_create(pd_root, 0, NULL)->object),
				 SUCCESS);
	for (unsigned i = 0; i < 100; i++)
		delegate(ending, 0, pd_root, MANY + i);
	__builtin_memset(&ender, 0, sizeof(ender));
	poll_hook = end_until_objects;
	ec = hypercall(CALL_REVOKE, FLAG_REVOKE_REMOTE, 0, CRD(CRD_OBJ, RIGHTS_ALL, 0, 0), PD, 0,
		       0);
	poll_period = 0;
	if (ec == root) {
		/* It had nothing to do with that. */
		poll_hook = NULL;
		must(root, SUCCESS);
		tick(LATER);
	}
	assert_null(poll_hook);
	assert_ptr_equal(running(), high);
	cpu_now = 1;
	assert_true(mapping_revoke(&ender, pd_root, CRD(CRD_OBJ, 31, 0, PD), true, false));
	for (unsigned n = 0; n < 60; n++) {
		on_cpu(n % 2);
		interrupts();
	}
	on_cpu(0);
	assert_int_equal(slab_live[OBJECT_PD], 1);
	assert_ptr_equal(sleep_again(), root);
	machine_finish();
}

static bool any;

/* On another CPU somebody wants memory. */
static void look(void)
{
	struct rcu_wait wait = {0};

	unload_hook = NULL;
	cpu_now = 0;
	any = rcu_hurry(&wait);
	cpu_now = 1;
}

static void look_and_free(struct deferred *d)
{
	(void)d;
	look();
}

/* What a CPU is just about to give up is not given up yet. */
static void test_about_to_free(void **state)
{
	struct deferred d;
	struct ec *ec;

	(void)state;
	machine_start(PAGES, 2, QUOTA);
	must(hypercall(CALL_CREATE_EC, 1, EC, SEL_PD, 1, 0, 0x100), SUCCESS);
	ec = root_ec(EC);
	run_grace_periods();
	any = false;
	unload_hook = look;
	ec_post(ec, PENDING_KILL);
	cpu_now = 1;
	interrupts();
	assert_null(unload_hook);
	assert_true(any);
	run_grace_periods();
	any = false;
	cpu_now = 1;
	rcu_defer(&d, look_and_free);
	run_grace_periods();
	assert_true(any);
	cpu_now = 0;
	machine_finish();
}

static unsigned polls;

static void count_poll(void)
{
	polls++;
}

/* Where there is nothing to take, too, interrupts come in. */
static void test_nothing_to_take(void **state)
{
	(void)state;
	machine_start(PAGES, 1, QUOTA);
	make_sm(0);
	for (unsigned i = 0; i < 2048; i++)
		delegate(pd_root, SM, pd_root, 4096 + i);
	poll_hook = count_poll;
	for (unsigned rights = 0; rights <= RIGHTS_ALL; rights += RIGHTS_ALL) {
		polls = 0;
		must(hypercall(CALL_REVOKE, 0, 0, CRD(CRD_OBJ, rights, 11, 4096), 0, 0, 0),
		     SUCCESS);
		assert_in_range(polls, 3, 2048);
	}
	machine_finish();
}

/* Memory, of which all is delegated. */
static uint8_t give_memory(struct pd *from, uint64_t source, struct pd *to, uint64_t target,
			   unsigned order)
{
	struct transfer t = {
		.from = from,
		.to = to,
		.source = source,
		.target = target,
		.order = (uint8_t)order,
		.type = CRD_MEM,
		.rights = MEM_R | MEM_W,
		.flags = MAPPING_HOST,
		.kernel = !from,
	};
	enum status s;

	do {
		t.left = TRANSFER_STEPS;
		s = mapping_delegate(&t);
	} while (s == AGAIN);
	assert_int_equal(s, SUCCESS);
	return t.got;
}

enum { EMPTY = 3200 };

/* Nor does it take long to find nothing, in tables that were not yet empty a moment ago. */
static void test_empty_tables(void **state)
{
	const uint64_t last = CRD(CRD_MEM, 0, 0, TABLE_ENTRIES * (EMPTY - 1) + 2);
	struct pd *pd;

	(void)state;
	machine_start(2 * PAGES, 1, 2 * PAGES);
	poll_hook = count_poll;
	for (unsigned i = 0; i < EMPTY; i++)
		assert_true(give_memory(NULL, 0x10000, pd_root, TABLE_ENTRIES * i + 1, 0));
	for (unsigned i = 0; i < 2; i++) {
		polls = 0;
		must(hypercall(CALL_REVOKE, FLAG_REVOKE_SELF, 0, CRD(CRD_MEM, 31, 21, 0), 0, 0, 0),
		     SUCCESS);
		assert_in_range(polls, 1, EMPTY);
	}
	/* It ends after a bounded number of steps, and then goes on. */
	assert_true(give_memory(NULL, 0x10000, pd_root, TABLE_ENTRIES * (EMPTY - 1) + 2, 0));
	pd = make_pd(0);
	assert_true(give_memory(pd_root, 0, pd, 0, 21));
	assert_int_not_equal(mapping_lookup(pd, last), 0);
	machine_finish();
}

enum { RANGE = 0x1000, OLDEST = 0x2000, OTHER = 0x4000 };

static struct pd *x, *y;

/* Who is revoked from gives its part up, and gets another of the same memory. */
static void get_again(void)
{
	struct revocation r = {0};

	poll_hook = NULL;
	cpu_now = 1;
	assert_true(mapping_revoke(&r, x, CRD(CRD_MEM, 31, 3, RANGE), true, true));
	assert_int_equal(give_memory(y, OLDEST, x, OTHER, 3), MEM_R | MEM_W);
	cpu_now = 0;
}

/* What one does not take from is this mapping, not whatever is made where it was. */
static void test_spared(void **state)
{
	(void)state;
	machine_start(PAGES, 2, QUOTA);
	x = make_pd(0);
	y = make_pd(1);
	assert_int_equal(give_memory(NULL, 0x10000, pd_root, RANGE, 4), MEM_R | MEM_W);
	give_memory(pd_root, RANGE, x, RANGE, 4);
	for (unsigned i = 0; i < 100; i++)
		give_memory(x, RANGE, y, OLDEST + 8 * i, 3);
	must(hypercall(CALL_REVOKE, FLAG_REVOKE_REMOTE | FLAG_REVOKE_SELF, 0,
		       CRD(CRD_MEM, 31, 0, RANGE + 15), PD, 0, 0),
	     SUCCESS);
	poll_hook = get_again;
	must(hypercall(CALL_REVOKE, FLAG_REVOKE_REMOTE | FLAG_REVOKE_SELF, 0,
		       CRD(CRD_MEM, 31, 3, RANGE), PD, 0, 0),
	     SUCCESS);
	assert_null(poll_hook);
	assert_int_equal(mapping_lookup(y, CRD(CRD_MEM, 0, 0, OLDEST)), 0);
	assert_int_equal(mapping_lookup(x, CRD(CRD_MEM, 0, 0, RANGE)), 0);
	assert_int_equal(mapping_lookup(x, CRD(CRD_MEM, 0, 0, OTHER)), 0);
	machine_finish();
}

/* In an hour one can ask for so many ups that 32 bits do not count them. */
static void test_many_notices(void **state)
{
	struct sm *sm;

	(void)state;
	machine_start(PAGES, 1, QUOTA);
	sm = make_sm(0);
	sm_notify(sm);
	sm->notices += ~0u - 1;
	assert_int_equal(sm->notices, ~0u);
	sm_notify(sm);
	assert_int_equal(sm->notices, 1ul << 32);
	sm->notices = sm->due = 1;
	run_grace_periods();
	machine_finish();
}

enum { SECRET = 0x123, ITEMS_MANY = 1 };

static unsigned items_left;

/* When some of many items have arrived. */
static bool preempt_sender(enum object_type kind)
{
	if (kind == SLAB_MAPPING && --items_left == 0) {
		slab_hook = NULL;
		tsc_now += LATER;
		ipi_sent |= 1;
	}
	return false;
}

/*
 * A server's handler with a portal, and what root has from it: a capability that the server
 * knows again by its own, SECRET. Root sends it, and much more, and is preempted meanwhile.
 */
static struct ec *send_much(struct pd **server)
{
	struct ec *root = machine_start(PAGES, 1, QUOTA), *high = make_high(), *handler;
	struct utcb *u = root->utcb;

	*server = make_pd(0);
	make_sm(0);
	delegate(pd_root, SM, *server, SECRET);
	delegate(*server, SECRET, pd_root, SM + 1);
	for (unsigned i = 0; i < 64; i++)
		delegate(pd_root, SM, pd_root, MANY / 64 * 64 + i);
	handler = make_ec(0, PD, false);
	handler->utcb->translate = CRD(CRD_OBJ, RIGHTS_ALL, SELECTOR_BITS, 0);
	handler->utcb->delegate = CRD(CRD_OBJ, RIGHTS_ALL, 6, 0x1000);
	must(hypercall(CALL_CREATE_PT, 0, PORTAL, SEL_PD, EC, 0, 0x1000), SUCCESS);
	u->items = UTCB_ITEMS(0, 2);
	u->word[utcb_item_word(0)] = CRD(CRD_OBJ, RIGHTS_ALL, 0, SM + 1);
	u->word[utcb_item_word(0) + 1] = ITEM_TRANSLATE;
	u->word[utcb_item_word(ITEMS_MANY)] = CRD(CRD_OBJ, RIGHTS_ALL, 6, MANY / 64 * 64);
	u->word[utcb_item_word(ITEMS_MANY) + 1] = ITEM_DELEGATE;
	items_left = 10;
	slab_hook = preempt_sender;
	assert_ptr_equal(hypercall(CALL_CALL, 0, PORTAL, 0, 0, 0, 0), high);
	assert_null(slab_hook);
	return handler;
}

static uint64_t told(const struct ec *handler, unsigned item)
{
	return handler->utcb->word[utcb_item_word(item)];
}

static void finish_call(void)
{
	running()->utcb->items = 0;
	must(hypercall(CALL_REPLY, 0, 0, 0, 0, 0, 0), SUCCESS);
	machine_finish();
}

/* Nothing has changed: all arrives. */
static void test_sent(void **state)
{
	struct pd *server;
	struct ec *handler = send_much(&server);

	(void)state;
	assert_ptr_equal(sleep_again(), handler);
	assert_int_equal(told(handler, 0), CRD(CRD_OBJ, RIGHTS_ALL, 0, SECRET));
	assert_int_equal(told(handler, ITEMS_MANY), CRD(CRD_OBJ, RIGHTS_ALL, 6, 0x1000));
	finish_call();
}

/* Another server is called in the end: it is not told what the first was. */
static void test_other_receiver(void **state)
{
	struct pd *server, *victim;
	struct ec *handler;

	(void)state;
	send_much(&server);
	victim = make_pd(1);
	handler = make_ec(1, PD + 1, false);
	handler->utcb->translate = CRD(CRD_OBJ, RIGHTS_ALL, SELECTOR_BITS, 0);
	handler->utcb->delegate = CRD(CRD_OBJ, RIGHTS_ALL, 6, 0x2000);
	take(pd_root, PORTAL);
	must(hypercall(CALL_CREATE_PT, 0, PORTAL, SEL_PD, EC + 1, 0, 0x1000), SUCCESS);
	assert_ptr_equal(sleep_again(), handler);
	assert_int_equal(told(handler, 0), 0);
	assert_int_equal(told(handler, ITEMS_MANY), CRD(CRD_OBJ, RIGHTS_ALL, 6, 0x2000));
	for (unsigned i = 0; i < 64; i++)
		assert_non_null(space_object(&victim->obj, 0x2000 + i));
	finish_call();
}

/* The server has taken back what the sender refers to, and uses its selector for others. */
static void test_other_meaning(void **state)
{
	struct pd *server;
	struct ec *handler = send_much(&server);

	(void)state;
	take(server, SECRET);
	make_sm(2);
	delegate(pd_root, SM + 2, server, SECRET);
	assert_ptr_equal(sleep_again(), handler);
	assert_int_equal(told(handler, 0), 0);
	assert_int_equal(told(handler, ITEMS_MANY), CRD(CRD_OBJ, RIGHTS_ALL, 6, 0x1000));
	finish_call();
}

/* Something else was taken: what was translated is still so. */
static void test_same_meaning(void **state)
{
	struct pd *server;
	struct ec *handler = send_much(&server);

	(void)state;
	make_sm(2);
	delegate(pd_root, SM + 2, server, SECRET + 1);
	take(server, SECRET + 1);
	assert_ptr_equal(sleep_again(), handler);
	assert_int_equal(told(handler, 0), CRD(CRD_OBJ, RIGHTS_ALL, 0, SECRET));
	assert_int_equal(told(handler, ITEMS_MANY), CRD(CRD_OBJ, RIGHTS_ALL, 6, 0x1000));
	finish_call();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unbound_migrates),
		cmocka_unit_test(test_other_pd),
		cmocka_unit_test(test_pd_ends),
		cmocka_unit_test(test_about_to_free),
		cmocka_unit_test(test_nothing_to_take),
		cmocka_unit_test(test_empty_tables),
		cmocka_unit_test(test_spared),
		cmocka_unit_test(test_many_notices),
		cmocka_unit_test(test_sent),
		cmocka_unit_test(test_other_receiver),
		cmocka_unit_test(test_other_meaning),
		cmocka_unit_test(test_same_meaning),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
