/*
 * Chains of calls, one step at a time: what each party sees when one of them
 * dies, sleeps, or is helped; and objects that go while somebody uses them.
 */
#include "hv_machine.h"

#include <abi/event.h>

#include "object.h"
#include "x86/vcpu.h"

enum {
	PAGES = 4096,
	QUOTA = 1000,

	/* Root's selectors. */
	PORTAL = 0,
	SM = 64,
	EC = 100,
	SC = 200,
	PD = 300,

	DEPTH = 4,
};

/* Root's capability, and with it the object. */
static void revoke_own(uint64_t selector)
{
	struct revocation r = {0};

	assert_true(mapping_revoke(&r, pd_root, CRD(CRD_OBJ, 31, 0, selector), true, false));
}

static struct ec *must(struct ec *ec, enum status s)
{
	assert_non_null(ec);
	assert_int_equal(status_of(ec), s);
	return ec;
}

static void make_sm(unsigned i, uint64_t count)
{
	must(hypercall(CALL_CREATE_SM, 0, SM + i, SEL_PD, count, 0, 0), SUCCESS);
}

static struct ec *make_ec(unsigned i, uint64_t pd, bool global, unsigned cpu)
{
	must(hypercall(CALL_CREATE_EC, global, EC + i, pd, (0x100000 + i * PAGE_SIZE) | cpu, 0,
		       0x100),
	     SUCCESS);
	return root_ec(EC + i);
}

/* A handler with a portal of the same number. */
static struct ec *make_handler(unsigned i)
{
	struct ec *ec = make_ec(i, SEL_PD, false, 0);

	must(hypercall(CALL_CREATE_PT, 0, PORTAL + i, SEL_PD, EC + i, 0, 0x1000), SUCCESS);
	return ec;
}

/* What runs after its SC was made, without a startup exception. */
static struct ec *start(unsigned i, unsigned priority)
{
	root_ec(EC + i)->resume = resume_iret;
	return hypercall(CALL_CREATE_SC, 0, SC + i, SEL_PD, EC + i, QPD(priority, 1000), 0);
}

static struct ec *make_thread(unsigned i, unsigned priority)
{
	make_ec(i, SEL_PD, true, 0);
	return start(i, priority);
}

static struct ec *call(unsigned i)
{
	return hypercall(CALL_CALL, 0, PORTAL + i, 0, 0, 0, 0);
}

static struct ec *reply(uint64_t sm)
{
	return hypercall(CALL_REPLY, 0, sm, 0, 0, 0, 0);
}

static struct ec *up(unsigned i)
{
	return hypercall(CALL_SM_CTRL, SM_UP, SM + i, 0, 0, 0, 0);
}

static struct ec *down(unsigned i, uint64_t deadline)
{
	return hypercall(CALL_SM_CTRL, SM_DOWN, SM + i, deadline >> 32, deadline & 0xffffffff, 0,
			 0);
}

static struct ec *revoke(uint64_t selector)
{
	return hypercall(CALL_REVOKE, FLAG_REVOKE_SELF, 0, CRD(CRD_OBJ, RIGHTS_ALL, 0, selector), 0,
			 0, 0);
}

/*
 * Root calls handler 0, that calls 1, and so on; then the last kills number
 * `who`, and they reply as far as there is somebody to reply to.
 */
static void chain_with_death(unsigned who, bool last_sleeps)
{
	struct ec *root = machine_start(PAGES, 1, QUOTA), *ec;
	unsigned before;

	make_sm(0, 0);
	for (unsigned i = 0; i < DEPTH; i++)
		make_handler(i);
	if (last_sleeps) {
		/* It kills when the last handler sleeps. */
		ec = make_thread(DEPTH, 3);
		assert_ptr_equal(ec, root_ec(EC + DEPTH));
		assert_ptr_equal(down(0, tsc_now + 10000), root);
	}
	before = slab_live[OBJECT_EC];
	for (unsigned i = 0; i < DEPTH; i++) {
		ec = call(i);
		assert_ptr_equal(ec, root_ec(EC + i));
	}
	if (last_sleeps) {
		assert_null(down(0, 0));
		ec = must(tick(20000), TIMEOUT);
		assert_ptr_equal(ec, root_ec(EC + DEPTH));
	}
	ec = revoke(EC + who);
	if (last_sleeps) {
		assert_int_equal(status_of(ec), SUCCESS);
		ec = revoke(EC + DEPTH);
		if (who != DEPTH - 1) {
			/* Only then does the last one go on. */
			assert_null(ec);
			sm_up(container_of(root_object(SM), struct sm, object));
			ec = interrupts();
		}
	}
	for (unsigned i = DEPTH; i-- > who + 1;) {
		assert_ptr_equal(ec, root_ec(EC + i));
		ec = reply(0);
	}
	if (who > 0)
		assert_ptr_equal(ec, root_ec(EC + who - 1));
	else
		assert_ptr_equal(ec, root);
	must(ec, ABORTED);
	while (ec != root)
		ec = must(reply(0), SUCCESS);
	must(call(who), TIMEOUT);
	must(revoke(PORTAL + who), SUCCESS);
	for (unsigned i = 0; i < 4; i++)
		interrupts();
	assert_int_equal(slab_live[OBJECT_EC], before - 1 - last_sleeps);
	machine_finish();
}

static void test_deaths(void **state)
{
	(void)state;
	for (unsigned who = 0; who < DEPTH; who++) {
		chain_with_death(who, false);
		chain_with_death(who, true);
	}
}

/*
 * A thread that is ready dies at once, though somebody more urgent never lets
 * it run again: its memory comes back.
 */
static void test_ready_dies(void **state)
{
	unsigned ecs, scs;

	(void)state;
	machine_start(PAGES, 1, QUOTA);
	make_sm(0, 0);
	make_thread(2, 4);
	down(0, 0);
	ecs = slab_live[OBJECT_EC];
	scs = slab_live[OBJECT_SC];
	for (unsigned by = 0; by < 3; by++) {
		make_thread(1, 2);
		assert_ptr_equal(up(0), root_ec(EC + 2));
		if (by != 1)
			must(revoke(EC + 1), SUCCESS);
		if (by != 0)
			must(revoke(SC + 1), SUCCESS);
		if (by == 1)
			must(revoke(EC + 1), SUCCESS);
		interrupts();
		interrupts();
		interrupts();
		assert_int_equal(slab_live[OBJECT_EC], ecs);
		if (by == 0)
			must(revoke(SC + 1), SUCCESS);
		interrupts();
		interrupts();
		interrupts();
		assert_int_equal(slab_live[OBJECT_SC], scs);
		down(0, 0);
	}
	machine_finish();
}

/* The caller dies while its call is handled: the handler does not notice. */
static void test_caller_dies(void **state)
{
	struct ec *root = machine_start(PAGES, 1, QUOTA);
	unsigned before = slab_live[OBJECT_EC];

	(void)state;
	make_handler(0);
	make_thread(1, 2);
	call(0);
	must(revoke(EC + 1), SUCCESS);
	assert_ptr_equal(reply(0), root);
	interrupts();
	interrupts();
	assert_int_equal(slab_live[OBJECT_EC], before + 1);
	call(0);
	must(reply(0), SUCCESS);
	machine_finish();
}

/* The same, and the handler wants the dead caller to sleep. */
static void test_dead_caller_sleeps_not(void **state)
{
	struct ec *root = machine_start(PAGES, 1, QUOTA);
	unsigned before = slab_live[OBJECT_EC];

	(void)state;
	make_sm(0, 0);
	make_handler(0);
	make_thread(1, 2);
	call(0);
	must(revoke(EC + 1), SUCCESS);
	assert_ptr_equal(reply(SM), root);
	interrupts();
	interrupts();
	assert_int_equal(slab_live[OBJECT_EC], before + 1);
	machine_finish();
}

/* A handler that sleeps is killed while its CPU has nothing to do. */
static void test_handler_dies_idle(void **state)
{
	struct ec *root = machine_start(PAGES, 2, QUOTA), *caller;

	(void)state;
	make_sm(0, 0);
	make_ec(0, SEL_PD, false, 1);
	must(hypercall(CALL_CREATE_PT, 0, PORTAL, SEL_PD, EC, 0, 0x1000), SUCCESS);
	caller = make_ec(1, SEL_PD, true, 1);
	assert_ptr_equal(start(1, 2), root);
	on_cpu(1);
	assert_ptr_equal(interrupts(), caller);
	assert_ptr_equal(call(0), root_ec(EC));
	assert_null(down(0, 0));
	on_cpu(0);
	must(revoke(EC), SUCCESS);
	on_cpu(1);
	assert_ptr_equal(must(interrupts(), ABORTED), caller);
	machine_finish();
}

/*
 * A high thread wants a handler that is busy for a low one: it helps, until the
 * handler is free, and is served then.
 */
static void test_help(void **state)
{
	struct ec *root = machine_start(PAGES, 1, QUOTA), *high, *low;

	(void)state;
	make_sm(0, 0);
	make_handler(0);
	high = make_thread(2, 4);
	assert_ptr_equal(down(0, 0), root);
	low = make_thread(1, 2);
	assert_ptr_equal(call(0), root_ec(EC));
	assert_ptr_equal(up(0), high);
	assert_ptr_equal(call(0), root_ec(EC)); /* for low */
	assert_ptr_equal(this_cpu()->sc, high->own_sc);
	assert_ptr_equal(root_ec(EC)->sc, low->own_sc);
	assert_ptr_equal(reply(0), root_ec(EC)); /* for high */
	assert_ptr_equal(root_ec(EC)->sc, high->own_sc);
	assert_ptr_equal(must(reply(0), SUCCESS), high);
	assert_ptr_equal(must(down(0, 0), SUCCESS), low);
	machine_finish();
}

/* The handler sleeps: the helper waits for it, and the low thread as well. */
static void test_help_sleeper(void **state)
{
	struct ec *root = machine_start(PAGES, 1, QUOTA), *high, *low;

	(void)state;
	make_sm(0, 0);
	make_sm(1, 0);
	make_handler(0);
	high = make_thread(2, 4);
	assert_ptr_equal(down(0, tsc_now + 100), root);
	low = make_thread(1, 2);
	call(0);
	assert_ptr_equal(down(1, 0), root);
	assert_ptr_equal(must(tick(200), TIMEOUT), high);
	assert_ptr_equal(call(0), root);
	assert_ptr_equal(must(up(1), SUCCESS), root_ec(EC));
	assert_ptr_equal(interrupts(), root_ec(EC)); /* by which the second comes */
	assert_ptr_equal(root_ec(EC)->sc, low->own_sc);
	assert_ptr_equal(this_cpu()->sc, high->own_sc);
	assert_ptr_equal(reply(0), root_ec(EC));
	assert_ptr_equal(must(reply(0), SUCCESS), high);
	machine_finish();
}

/*
 * Who sleeps at the end of a chain is woken, the chain ends, and then it sleeps for somebody
 * else, all before the interrupt by which the second of those who waited for it comes: that one
 * goes on, since what it wanted is free.
 */
static void test_help_sleeper_again(void **state)
{
	struct ec *root = machine_start(PAGES, 1, QUOTA), *high, *low;

	(void)state;
	make_sm(0, 0);
	make_sm(1, 0);
	make_handler(0);
	make_handler(1);
	high = make_thread(3, 4);
	assert_ptr_equal(down(0, tsc_now + 100), root);
	low = make_thread(2, 2);
	assert_ptr_equal(call(0), root_ec(EC));
	assert_ptr_equal(call(1), root_ec(EC + 1));
	assert_ptr_equal(down(1, 0), root);
	assert_ptr_equal(must(tick(200), TIMEOUT), high);
	assert_ptr_equal(call(0), root);
	assert_ptr_equal(must(up(1), SUCCESS), root_ec(EC + 1));
	assert_ptr_equal(reply(0), root_ec(EC));
	assert_ptr_equal(must(reply(0), SUCCESS), low);
	assert_ptr_equal(call(1), root_ec(EC + 1));
	assert_ptr_equal(down(1, 0), root);
	assert_ptr_equal(interrupts(), root_ec(EC));
	assert_ptr_equal(root_ec(EC)->sc, high->own_sc);
	assert_ptr_equal(must(reply(0), SUCCESS), high);
	machine_finish();
}

/* Its time context goes while it sleeps, and then it dies. */
static void test_sleeper_without_sc(void **state)
{
	struct ec *root = machine_start(PAGES, 1, QUOTA), *high;

	(void)state;
	make_sm(0, 0);
	make_sm(1, 0);
	make_handler(0);
	high = make_thread(2, 4);
	assert_ptr_equal(down(1, 0), root);
	make_thread(1, 2);
	call(0);
	assert_ptr_equal(up(1), high);
	assert_ptr_equal(call(0), root_ec(EC)); /* helped by high */
	reply(SM);				/* EC 1 sleeps, its SC is ready */
	assert_ptr_equal(must(reply(0), SUCCESS), high);
	must(revoke(SC + 1), SUCCESS);
	assert_ptr_equal(down(1, 0), root);
	assert_null(root_ec(EC + 1)->own_sc);
	must(revoke(EC + 1), SUCCESS);
	interrupts();
	interrupts();
	must(up(0), SUCCESS);
	machine_finish();
}

/* Waiters learn that their semaphore is gone; timeouts; order. */
static void test_semaphore(void **state)
{
	struct ec *root = machine_start(PAGES, 1, QUOTA), *a, *b;

	(void)state;
	make_sm(0, 0);
	a = make_thread(1, 3);
	assert_ptr_equal(down(0, 0), root);
	b = make_thread(2, 3);
	assert_ptr_equal(down(0, 0), root);
	assert_ptr_equal(must(up(0), SUCCESS), a);
	assert_ptr_equal(must(down(0, tsc_now + 50), SUCCESS), root);
	assert_ptr_equal(must(up(0), SUCCESS), b);
	assert_ptr_equal(must(down(0, 0), SUCCESS), root);
	assert_ptr_equal(must(tick(50), TIMEOUT), a);
	assert_null(this_cpu()->timeouts);
	assert_ptr_equal(down(0, tsc_now + 50), root);
	must(revoke(SM), BAD_CAPABILITY);
	assert_true(running() == a || running() == b);
	assert_null(this_cpu()->timeouts);
	must(down(0, 0), BAD_CAPABILITY);
	machine_finish();
}

/* Whoever has found it just before it goes does not sleep for ever. */
static void test_semaphore_race(void **state)
{
	struct ec *root = machine_start(PAGES, 2, QUOTA);
	struct sm *sm;

	(void)state;
	make_sm(0, 0);
	sm = container_of(root_object(SM), struct sm, object);
	cpu_now = 1;
	revoke_own(SM);
	cpu_now = 0;
	assert_true(sm_down(sm, root, false, 0));
	machine_finish();
}

/* A portal made for an EC whose last capability went a moment before. */
static void test_reference_race(void **state)
{
	struct ec *ec;
	struct pt *pt;

	(void)state;
	machine_start(PAGES, 2, QUOTA);
	ec = make_ec(0, SEL_PD, false, 1);
	cpu_now = 1;
	revoke_own(EC);
	cpu_now = 0;
	pt = pt_create(pd_root, ec, 0, 0);
	assert_non_null(pt);
	run_grace_periods();
	assert_int_equal(slab_live[OBJECT_EC], 2 + 2);
	object_put(&pt->object);
	run_grace_periods();
	assert_int_equal(slab_live[OBJECT_EC], 2 + 1);
	machine_finish();
}

/* What a new PD was to get is let go when it cannot be created. */
static void test_create_pd_fails(void **state)
{
	uint64_t free_before;

	(void)state;
	machine_start(PAGES, 1, QUOTA);
	make_sm(0, 0);
	make_sm(1, 0);
	interrupts();
	interrupts();
	free_before = pages_free();
	for (uint64_t quota = 0; quota < 9; quota++) {
		hypercall(CALL_CREATE_PD, 0, SM, SEL_PD, CRD(CRD_OBJ, RIGHTS_ALL, 9, 0),
			  quota << 32, 0);
		assert_int_equal(status_of(running()), quota < 4 ? OUT_OF_MEMORY : BAD_CAPABILITY);
		for (unsigned i = 0; i < 4; i++)
			interrupts();
		assert_int_equal(pages_free(), free_before);
	}
	machine_finish();
}

/* From CPU 1, while the thread is in the middle of a call on CPU 0. */
static void kill_from_afar(void)
{
	poll_hook = NULL;
	cpu_now = 1;
	revoke_own(EC + 1);
	cpu_now = 0;
	interrupt_kernel();
}

/* While an SC is made its EC is killed; its CPU learns of it, and then the SC fails. */
static bool kill_unstarted(enum object_type kind)
{
	if (kind == OBJECT_SC)
		revoke_own(EC + 2);
	if (kind != SLAB_MAPPING)
		return false;
	slab_hook = NULL;
	cpu_now = 1;
	interrupt_kernel();
	cpu_now = 0;
	return true;
}

/* What is bound to an SC that cannot be created is free again, and may die. */
static void test_create_sc_fails(void **state)
{
	unsigned before;

	(void)state;
	machine_start(PAGES, 2, QUOTA);
	make_sm(0, 0);
	before = slab_live[OBJECT_EC];
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		make_ec(cpu, SEL_PD, true, cpu);
		must(hypercall(CALL_CREATE_SC, 0, SM, SEL_PD, EC + cpu, QPD(1, 1000), 0),
		     BAD_CAPABILITY);
		must(hypercall(CALL_CREATE_SC, 0, SC, SEL_PD, EC + cpu, QPD(1, 1000), 0), SUCCESS);
		must(revoke(SC), SUCCESS);
		must(revoke(EC + cpu), SUCCESS);
	}
	on_cpu(1);
	interrupts();
	on_cpu(0);
	make_ec(2, SEL_PD, true, 1);
	slab_hook = kill_unstarted;
	hypercall(CALL_CREATE_SC, 0, SC, SEL_PD, EC + 2, QPD(1, 1000), 0);
	assert_null(slab_hook);
	assert_int_not_equal(status_of(running()), SUCCESS);
	for (unsigned n = 0; n < 8; n++) {
		on_cpu(n % 2);
		tick(1000);
		interrupts();
	}
	assert_int_equal(slab_live[OBJECT_EC], before);
	machine_finish();
}

/* Its death comes in a call that fails: it is not back in user mode. */
static void test_dies_in_call(void **state)
{
	(void)state;
	for (uint64_t quota = 3; quota < 9; quota++) {
		struct ec *root = machine_start(PAGES, 2, QUOTA), *thread, *ec;

		make_sm(0, 0);
		thread = make_thread(1, 2);
		poll_hook = kill_from_afar;
		ec = hypercall(CALL_CREATE_PD, 0, SM, SEL_PD, CRD(CRD_OBJ, RIGHTS_ALL, 9, 0),
			       quota << 32, 0);
		assert_ptr_equal(ec, poll_hook ? thread : root);
		machine_finish();
	}
}

/* On a CPU that is never idle, until no more PDs are left than these. */
static void busy_until_gone(struct ec *busy, unsigned pds)
{
	for (unsigned n = 0; n < 100 && slab_live[OBJECT_PD] != pds; n++)
		assert_ptr_equal(tick(50), busy);
	assert_int_equal(slab_live[OBJECT_PD], pds);
}

/* A PD with many objects; interrupts are wanted after each step from now on. */
static void make_large_pd(void)
{
	for (unsigned i = 0; i < 128; i++)
		make_sm(512 - SM + i, 0);
	must(hypercall(CALL_CREATE_PD, 0, PD, SEL_PD, CRD(CRD_OBJ, RIGHTS_ALL, 7, 512), 100ul << 32,
		       0),
	     SUCCESS);
	poll_period = 1;
}

/*
 * A PD whose quota does not suffice for what it is handed, which takes several times: its
 * creator does not get one with the rest of it.
 */
static void test_poor_pd(void **state)
{
	(void)state;
	machine_start(PAGES, 1, QUOTA);
	for (unsigned i = 0; i < 128; i++)
		make_sm(512 - SM + i, 0);
	poll_period = 1;
	for (uint64_t quota = 3; quota < 12; quota++) {
		struct ec *ec = hypercall(CALL_CREATE_PD, 0, PD, SEL_PD,
					  CRD(CRD_OBJ, RIGHTS_ALL, 7, 512), quota << 32, 0);
		unsigned found = 0;

		while (ec->resume == resume_work)
			ec = tick(100);
		if (status_of(ec) == OUT_OF_MEMORY)
			continue;
		must(ec, SUCCESS);
		for (unsigned i = 0; i < 128; i++) {
			const struct pd *pd = container_of(root_object(PD), struct pd, object);

			found += space_object(&pd->obj, i) != NULL;
		}
		assert_int_equal(found, 128);
		must(revoke(PD), SUCCESS);
	}
	machine_finish();
}

/* Who ends a PD is killed meanwhile: the PD ends, though nobody else revokes anything. */
static void test_dies_in_revoke(void **state)
{
	struct ec *root = machine_start(PAGES, 2, QUOTA);

	(void)state;
	make_large_pd();
	make_thread(1, 2);
	poll_hook = kill_from_afar;
	assert_ptr_equal(revoke(PD), root);
	assert_null(poll_hook);
	assert_int_equal(slab_live[OBJECT_PD], 2);
	busy_until_gone(root, 1);
	machine_finish();
}

/* How many of the objects are not ended yet. */
static unsigned left(const struct dying *dying)
{
	unsigned n = 0;

	for (const struct object *o = dying->first; o; o = o->next)
		n++;
	return n;
}

/*
 * A thread revokes itself, and in the same call wakes one that is more urgent and does not
 * sleep again: it ends all the same, though its SC is kept.
 */
static void test_dies_unseen(void **state)
{
	struct ec *root = machine_start(PAGES, 1, QUOTA), *urgent, *self;
	unsigned before = slab_live[OBJECT_EC] + 1;

	(void)state;
	must(hypercall(CALL_CREATE_SM, 0, EC + 2, SEL_PD, 0, 0, 0), SUCCESS);
	urgent = make_thread(4, 4);
	assert_ptr_equal(hypercall(CALL_SM_CTRL, SM_DOWN, EC + 2, 0, 0, 0, 0), root);
	self = make_thread(1, 3);
	assert_ptr_equal(self, running());
	assert_ptr_equal(hypercall(CALL_REVOKE, FLAG_REVOKE_SELF, 0,
				   CRD(CRD_OBJ, RIGHTS_ALL, 2, EC), 0, 0, 0),
			 urgent);
	assert_int_equal(status_of(urgent), BAD_CAPABILITY);
	for (unsigned n = 0; n < 20; n++) {
		assert_ptr_equal(interrupts(), urgent);
		assert_ptr_equal(tick(10), urgent);
	}
	assert_int_equal(slab_live[OBJECT_EC], before);
	machine_finish();
}

/* Many objects end in steps, between which interrupts come in. */
static void test_many_end(void **state)
{
	struct dying dying = {NULL, NULL};

	(void)state;
	machine_start(PAGES, 1, QUOTA);
	this_cpu()->dying = &dying;
	for (unsigned i = 0; i < 200; i++)
		object_unlinked(&sm_create(pd_root, 0, NULL)->object);
	poll_period = 1;
	for (unsigned before = 200, now; !object_reap(); before = now) {
		now = left(&dying);
		assert_true(now < before && before - now <= 16);
	}
	machine_finish();
}

/* Those who wait for one that ends wake up in steps, and so they do on another CPU. */
static void test_many_wake(void **state)
{
	(void)state;
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		struct ec *root = machine_start(PAGES, 2, QUOTA);
		struct dying dying = {NULL, NULL};
		unsigned awake = 0, before;

		make_sm(0, 0);
		for (unsigned i = 0; i < 160; i++) {
			struct ec *ec = make_ec(i, SEL_PD, true, cpu);

			ec->sleeps = 1;
			assert_int_equal(sm_down(container_of(root_object(SM), struct sm, object),
						 ec, false, 0),
					 SUCCESS);
		}
		poll_period = 1;
		this_cpu()->dying = &dying;
		object_get(root_object(SM));
		object_get(root_object(SM));
		object_unlinked(root_object(SM));
		for (bool done = false; !done;) {
			done = object_reap();
			before = awake;
			awake = 0;
			for (unsigned i = 0; i < 160; i++)
				awake += status_of(root_ec(EC + i)) == BAD_CAPABILITY;
			assert_true(awake > before && awake - before <= 68);
		}
		awake = 0;
		on_cpu(cpu);
		for (unsigned n = 0; awake < 160 && n < 100; n++) {
			before = awake;
			if (cpu)
				ec_inbox(this_cpu());
			awake = 0;
			for (unsigned i = 0; i < 160; i++)
				awake += !root_ec(EC + i)->blocked;
			assert_true(!cpu || awake - before <= 16);
			assert_true(!cpu || awake == 160 || ipi_sent >> 1 & 1);
		}
		assert_int_equal(awake, 160);
		on_cpu(0);
		assert_ptr_equal(running(), root);
		object_put(root_object(SM));
		machine_finish();
	}
}

/* With the longest quantum, too, there are interrupts, without which nothing is freed. */
static void test_long_quantum(void **state)
{
	struct ec *thread;

	(void)state;
	machine_start(PAGES, 1, QUOTA);
	make_large_pd();
	thread = make_ec(1, SEL_PD, true, 0);
	thread->resume = resume_iret;
	assert_ptr_equal(
		hypercall(CALL_CREATE_SC, 0, SC + 1, SEL_PD, EC + 1, QPD(2, (1ul << 52) - 1), 0),
		thread);
	poll_period = 0;
	revoke_own(PD);
	for (unsigned n = 0; n < 100 && slab_live[OBJECT_PD] != 1; n++) {
		assert_true(this_cpu()->timer_armed - tsc_now <= 1ul << 34);
		assert_ptr_equal(tick(this_cpu()->timer_armed - tsc_now), thread);
	}
	assert_int_equal(slab_live[OBJECT_PD], 1);
	machine_finish();
}

/* One that is not too long is as long as was asked for. */
static void test_quantum(void **state)
{
	const uint64_t us = 100000000;
	struct ec *thread;
	uint64_t start;

	(void)state;
	machine_start(PAGES, 1, QUOTA);
	make_large_pd();
	thread = make_ec(1, SEL_PD, true, 0);
	thread->resume = resume_iret;
	assert_ptr_equal(hypercall(CALL_CREATE_SC, 0, SC + 1, SEL_PD, EC + 1, QPD(2, us), 0),
			 thread);
	start = tsc_now;
	/* The timer is armed for who ran before, at first. */
	assert_ptr_equal(tick(this_cpu()->timer_armed - tsc_now), thread);
	assert_int_equal(this_cpu()->timer_armed - start, us * tsc_khz / 1000);
	machine_finish();
}

/* From CPU 1: a PD ends, and who revokes what that had passed on. */
static void end_from_afar(void)
{
	poll_hook = NULL;
	cpu_now = 1;
	revoke_own(PD);
	revoke_own(EC + 1);
	cpu_now = 0;
	interrupt_kernel();
}

/*
 * Who revokes is killed when all is revoked, and only the way back up is left: a
 * mapping there keeps the PD that had it.
 */
static void test_dies_on_the_way_back(void **state)
{
	unsigned found = 0;

	(void)state;
	for (unsigned n = 20; n < 40; n++) {
		struct ec *root = machine_start(PAGES, 2, QUOTA);
		struct transfer t = {.to = pd_root, .type = CRD_OBJ, .source = SM};

		make_sm(0, 0);
		must(hypercall(CALL_CREATE_PD, 0, PD, SEL_PD, 0, 100ul << 32, 0), SUCCESS);
		t.from = container_of(root_object(PD), struct pd, object);
		share(t.from, SM);
		t.rights = RIGHTS_ALL;
		for (t.target = 600; t.target < 600 + n; t.target++) {
			t.done = 0;
			t.left = TRANSFER_STEPS;
			assert_int_equal(mapping_delegate(&t), SUCCESS);
		}
		make_thread(1, 2);
		poll_hook = end_from_afar;
		hypercall(CALL_REVOKE, 0, 0, CRD(CRD_OBJ, RIGHTS_ALL, 0, SM), 0, 0, 0);
		if (!poll_hook && !root_object(600)) {
			found++;
			busy_until_gone(root, 1);
		}
		machine_finish();
	}
	assert_int_not_equal(found, 0);
}

/* What a revocation that was not finished has left of a capability is good for nothing. */
static void test_dead_capability(void **state)
{
	struct transfer t = {.type = CRD_OBJ, .source = SM, .rights = RIGHTS_ALL};
	struct ec *root = machine_start(PAGES, 2, QUOTA);

	(void)state;
	make_sm(0, 0);
	t.from = t.to = pd_root;
	for (t.target = 600; t.target < 700; t.target++) {
		t.done = 0;
		t.left = TRANSFER_STEPS;
		assert_int_equal(mapping_delegate(&t), SUCCESS);
	}
	make_thread(1, 2);
	poll_hook = kill_from_afar;
	assert_ptr_equal(revoke(SM), root);
	assert_non_null(root_object(SM));
	assert_non_null(root_object(600));
	must(up(0), BAD_CAPABILITY);
	must(hypercall(CALL_MISC, 15, SM, 0, 0, 0, 0), BAD_PARAMETER);
	must(hypercall(CALL_EC_CTRL, 15, SM, 0, 0, 0, 0), BAD_PARAMETER);
	must(hypercall(CALL_PD_CTRL, 15, SM, 0, 0, 0, 0), BAD_PARAMETER);
	machine_finish();
}

static bool kill_while_delegating(enum object_type kind)
{
	static unsigned more = 50;

	if (kind == SLAB_MAPPING && --more == 0) {
		slab_hook = NULL;
		cpu_now = 1;
		ec_post(root_ec(EC + 1), PENDING_KILL);
		cpu_now = 0;
	}
	return false;
}

/* Who makes a PD is killed before it has handed all over. */
static void test_dies_in_create_pd(void **state)
{
	struct ec *root = machine_start(PAGES, 2, QUOTA);

	(void)state;
	make_large_pd();
	make_thread(1, 2);
	slab_hook = kill_while_delegating;
	assert_ptr_equal(hypercall(CALL_CREATE_PD, 0, PD + 1, SEL_PD,
				   CRD(CRD_OBJ, RIGHTS_ALL, 7, 512), 100ul << 32, 0),
			 root);
	assert_null(slab_hook);
	assert_int_equal(slab_live[OBJECT_PD], 3);
	busy_until_gone(root, 2);
	machine_finish();
}

static void recall_from_afar(void)
{
	poll_hook = NULL;
	cpu_now = 1;
	ec_post(root_ec(EC + 1), PENDING_RECALL);
	cpu_now = 0;
	interrupt_kernel();
}

/* Recalled in a call that is to be made again: it makes it after that. */
static void test_recalled_in_call(void **state)
{
	struct ec *thread, *handler;

	(void)state;
	machine_start(PAGES, 2, QUOTA);
	for (unsigned i = 0; i < 64; i++)
		make_sm(512 - SM + i, 0);
	handler = make_handler(0);
	must(hypercall(CALL_CREATE_PT, 0, 0x100 + EVENT_THREAD_RECALL, SEL_PD, EC, MTD_RIP_LEN,
		       0x1000),
	     SUCCESS);
	thread = make_thread(1, 2);
	thread->regs.rip = 0x1002;
	poll_hook = recall_from_afar;
	poll_period = 1;
	assert_ptr_equal(
		hypercall(CALL_REVOKE, FLAG_REVOKE_SELF, 0, CRD(CRD_OBJ, 31, 6, 512), 0, 0, 0),
		handler);
	assert_int_equal(handler->utcb->rip, 0x1000);
	assert_non_null(root_object(512 + 63));
	assert_false(thread->revocation.active);
	handler->utcb->mtd = 0;
	assert_ptr_equal(reply(0), thread);
	assert_int_equal(thread->regs.rip, 0x1000);
	machine_finish();
}

/*
 * The tables of a PD that has ended stay loaded while a guest runs after its
 * last thread: they must not be freed under it.
 */
static void test_loaded_tables(void **state)
{
	struct ec *thread, *guest;

	(void)state;
	machine_start(PAGES, 1, QUOTA);
	make_sm(0, 0);
	must(hypercall(CALL_CREATE_PD, 0, PD, SEL_PD, CRD(CRD_OBJ, RIGHTS_ALL, 0, SM), 100ul << 32,
		       0),
	     SUCCESS);
	thread = make_ec(1, PD, true, 0);
	assert_ptr_equal(start(1, 3), thread);
	hypercall(CALL_SM_CTRL, SM_DOWN, 0, 0, tsc_now + 100, 0, 0);
	must(revoke(PD), SUCCESS);
	must(hypercall(CALL_CREATE_EC, 1, EC + 2, SEL_PD, 0, 0, 0x100), SUCCESS);
	guest = root_ec(EC + 2);
	guest->resume = vcpu_ops->resume;
	must(hypercall(CALL_CREATE_SC, 0, SC + 2, SEL_PD, EC + 2, QPD(1, 1000), 0), SUCCESS);
	assert_ptr_equal(hypercall(CALL_EC_CTRL, EC_YIELD, 0, 0, 0, 0, 0), guest);
	assert_ptr_equal(tick(150), thread);
	assert_ptr_equal(event(14), guest);
	revoke_own(EC + 1);
	assert_int_equal(slab_live[OBJECT_PD], 2);
	for (unsigned i = 0; i < 10; i++)
		assert_ptr_equal(tick(50), guest);
	assert_int_equal(slab_live[OBJECT_PD], 1);
	machine_finish();
}

/* There is always something new to be freed. */
static bool stop;

static void again(struct deferred *d)
{
	if (!stop)
		rcu_defer(d, again);
}

/* Who revokes on and on is told of what was first, and of all in the end. */
static void test_notices(void **state)
{
	enum { CALLS_MADE = 500 };
	struct deferred endless;
	const struct sm *sm;

	(void)state;
	machine_start(PAGES, 1, QUOTA);
	stop = false;
	again(&endless);
	make_sm(0, 0);
	sm = container_of(root_object(SM), struct sm, object);
	for (unsigned i = 0; i < CALLS_MADE; i++) {
		make_sm(1, 0);
		must(hypercall(CALL_REVOKE, FLAG_REVOKE_SELF, SM,
			       CRD(CRD_OBJ, RIGHTS_ALL, 0, SM + 1), 0, 0, 0),
		     SUCCESS);
		rcu_run(this_cpu());
	}
	assert_true(sm->count > CALLS_MADE - 50);
	stop = true;
	run_grace_periods();
	assert_int_equal(sm->count, CALLS_MADE);
	machine_finish();
}

static void nothing(struct deferred *d)
{
	(void)d;
}

/* Until the call is over, all CPUs are interrupted in turn. */
static void all_take_part(struct ec *caller)
{
	for (unsigned i = 0; i < 30 && caller->resume == resume_work; i++) {
		on_cpu(i % cpu_count);
		interrupts();
	}
	cpu_now = 0;
}

/*
 * A PD's quota is there again when the CPU on which it was revoked has freed it. However late
 * that is, and however many grace periods others have meanwhile: a call that needs it waits.
 */
static void test_late_cpu(void **state)
{
	const uint64_t all = 900ul << 32;
	struct ec *root = machine_start(PAGES, 3, QUOTA);
	struct deferred d, endless;

	(void)state;
	must(hypercall(CALL_CREATE_PD, 0, PD, SEL_PD, 0, all, 0), SUCCESS);
	cpu_now = 1;
	revoke_own(PD);
	cpu_now = 0;
	for (unsigned i = 0; i < 100; i++) {
		assert_ptr_equal(hypercall(CALL_CREATE_PD, 0, PD + 1, SEL_PD, 0, all, 0), root);
		assert_int_equal(slab_live[OBJECT_PD], 2);
		assert_ptr_equal(root->resume, resume_work);
		cpu_now = 2;
		if (!rcu_busy(this_cpu()))
			rcu_defer(&d, nothing);
		rcu_run(this_cpu());
		cpu_now = 0;
	}
	all_take_part(root);
	must(root, SUCCESS);
	/* And if somebody always has something, not for ever. */
	stop = false;
	again(&endless);
	hypercall(CALL_CREATE_PD, 0, PD + 2, SEL_PD, 0, all, 0);
	all_take_part(root);
	must(root, BAD_PARAMETER);
	stop = true;
	machine_finish();
}

/* The same for an EC's memory, as long as its CPU has not seen that it is dead. */
static void test_late_death(void **state)
{
	const uint64_t quota = 20;
	struct ec *root = machine_start(PAGES, 2, QUOTA);
	unsigned made = 0;

	(void)state;
	must(hypercall(CALL_CREATE_PD, 0, PD, SEL_PD, 0, quota << 32, 0), SUCCESS);
	do
		hypercall(CALL_CREATE_EC, 1, EC + made, PD, (0x100000 + made * PAGE_SIZE) | 1, 0,
			  0);
	while (status_of(root) == SUCCESS && ++made < quota);
	assert_in_range(made, 1, quota - 1);
	must(root, OUT_OF_MEMORY);
	must(revoke(EC), SUCCESS);
	hypercall(CALL_CREATE_EC, 1, EC, PD, 0x100000 + quota * PAGE_SIZE, 0, 0);
	all_take_part(root);
	must(root, SUCCESS);
	machine_finish();
}

static void check_time(uint64_t high, uint64_t low, uint64_t ticks)
{
	assert_int_equal(low >> 32, 0);
	assert_int_equal(high << 32 | low, (unsigned __int128)ticks * 1000 / tsc_khz);
}

/* Of who has run for years: microseconds in two halves. */
static void test_long_times(void **state)
{
	struct ec *root = machine_start(PAGES, 1, QUOTA);
	const struct regs *r = &root->regs;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		tsc_khz = i % 2 ? 1000 : 2399987;
		tick(rnd(1ul << (3 * i)) + 1);
		must(hypercall(CALL_SC_CTRL, SC_TIME, SEL_SC, 0, 0, 0, 0), SUCCESS);
		check_time(r->rsi, r->rdx, sc_time(root->sc));
		must(hypercall(CALL_EC_CTRL, EC_TIME, SEL_EC, 0, 0, 0, 0), SUCCESS);
		check_time(r->rsi, r->rdx, ec_time(root));
		must(hypercall(CALL_SC_CTRL, SC_TIME_EC, SEL_SC, SEL_EC, 0, 0, 0), SUCCESS);
		check_time(r->rsi, r->rdx, sc_time(root->sc));
		check_time(r->rax, r->r8, ec_time(root));
	}
	assert_true(ec_time(root) >> 50);
	tsc_khz = 1000;
	machine_finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_ready_dies),
		cmocka_unit_test(test_caller_dies),
		cmocka_unit_test(test_dead_caller_sleeps_not),
		cmocka_unit_test(test_handler_dies_idle),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_help_sleeper),
		cmocka_unit_test(test_help_sleeper_again),
		cmocka_unit_test(test_sleeper_without_sc),
		cmocka_unit_test(test_semaphore),
		cmocka_unit_test(test_semaphore_race),
		cmocka_unit_test(test_reference_race),
		cmocka_unit_test(test_create_pd_fails),
		cmocka_unit_test(test_create_sc_fails),
		cmocka_unit_test(test_poor_pd),
		cmocka_unit_test(test_dies_in_call),
		cmocka_unit_test(test_dies_in_revoke),
		cmocka_unit_test(test_dies_unseen),
		cmocka_unit_test(test_dies_on_the_way_back),
		cmocka_unit_test(test_long_quantum),
		cmocka_unit_test(test_quantum),
		cmocka_unit_test(test_dead_capability),
		cmocka_unit_test(test_dies_in_create_pd),
		cmocka_unit_test(test_recalled_in_call),
		cmocka_unit_test(test_loaded_tables),
		cmocka_unit_test(test_many_end),
		cmocka_unit_test(test_many_wake),
		cmocka_unit_test(test_notices),
		cmocka_unit_test(test_late_cpu),
		cmocka_unit_test(test_late_death),
		cmocka_unit_test(test_long_times),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
