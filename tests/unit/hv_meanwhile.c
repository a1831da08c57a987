/*
 * A call that is interrupted, or that another CPU overtakes, finds something else when it goes
 * on: what was looked up before is not to be believed any more.
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

static bool unbind(enum slab_kind kind)
{
	if (kind == SLAB_MAPPING) {
		slab_hook = NULL;
		sc_cancel(bound);
	}
	return false;
}

static void test_unbound_migrates(void **state)
{
	struct ec *ec;

	(void)state;
	machine_start(PAGES, 2, QUOTA);
	ec = make_ec(0, SEL_PD, true);
	ec->own_sc = bound = sc_create(pd_root, ec, 1, 1000);
	slab_hook = unbind;
	hypercall(CALL_EC_CTRL, EC_MIGRATE, EC, 1, CRD(CRD_OBJ, RIGHTS_ALL, 0, EC + 1), 0, 0);
	assert_null(slab_hook);
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
	assert_int_equal(slab_live[SLAB_PD], 1);
	assert_ptr_equal(sleep_again(), root);
	machine_finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unbound_migrates),
		cmocka_unit_test(test_other_pd),
		cmocka_unit_test(test_pd_ends),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
