/*
 * CPUs that are real threads, on the same PDs: they make objects, delegate,
 * revoke, sleep and wake at the same time. Who uses what another has freed is
 * found by the poison; and at the end all is back.
 */
#include "hv_fixture.h"

#include <pthread.h>
#include <sched.h>

#include "tlb.h"
#include "x86/irq.h"
#include "x86/vcpu.h"

enum {
	PAGES = 16384,
	CPUS = 3,
	STEPS = 30000,
	PDS = 3,
	SELECTORS_USED = 24,
	NUMBERS = 64,
	PAGE_NUMBERS = 1024,
};

static struct pd *pds[PDS];
static unsigned going;

/* What a CPU does between two entries to the kernel. */
static void outside(void)
{
	struct cpu *cpu = this_cpu();

	tlb_flush_requested(cpu);
	ec_inbox(cpu);
	rcu_run(cpu);
	cpu->resched = 0;
	if (cpu->waiting) {
		/* Here may be fewer processors than there are CPUs. */
		sched_yield();
	}
}

static uint64_t any(uint8_t type)
{
	return rnd(type == CRD_MEM ? PAGE_NUMBERS : type == CRD_PIO ? NUMBERS : SELECTORS_USED);
}

static void step_create(void)
{
	struct pd *pd = pds[rnd(PDS)], *new;
	uint64_t selector = rnd(SELECTORS_USED);
	struct object *o = NULL;
	struct sm *sm;

	if (rnd(3)) {
		sm = sm_create(pds[rnd(PDS)], 0, NULL);
		if (sm)
			o = &sm->object;
	} else if (pd_create(&new, pd, 8) == SUCCESS) {
		o = &new->object;
	}
	if (o && mapping_create(pd, selector, o) != SUCCESS)
		object_put(o);
}

/* To a PD that is found by a capability, as a hypercall would, or to ours. */
static void step_delegate(void)
{
	struct pd *from = pds[rnd(PDS)], *to = pds[rnd(PDS)];
	uint8_t type = (uint8_t)(CRD_MEM + rnd(3));
	struct object *o = pd_object(from, rnd(SELECTORS_USED), OBJECT_PD, 0);
	unsigned order = (unsigned)rnd(type == CRD_MEM ? 12 : 4);
	uint64_t low = (1ul << order) - 1;
	struct transfer t = {
		.from = from,
		.to = to,
		.type = type,
		.order = (uint8_t)order,
		.source = any(type) & ~low,
		.target = any(type) & ~low,
		.rights = (uint8_t)rnd(32),
		.kernel = rnd(4) == 0,
		.flags = rnd(3) ? 0 : MAPPING_GUEST,
		.left = TRANSFER_STEPS,
	};

	if (o)
		t.to = container_of(o, struct pd, object);
	if (t.kernel && type == CRD_OBJ)
		t.kernel = false;
	if (type == CRD_PIO)
		t.target = t.source;
	(void)!mapping_delegate(&t);
	tlb_shootdown();
}

static void step_revoke(void)
{
	uint8_t type = (uint8_t)(CRD_MEM + rnd(3));
	uint64_t crd = CRD(type, rnd(2) ? RIGHTS_ALL : rnd(32), rnd(7), any(type));

	/* A PD that keeps its own last capability would never go. */
	bool keep = type != CRD_OBJ && rnd(8) == 0;
	struct pd *pd = pds[rnd(PDS)];

	struct revocation r = {0};
	bool self = rnd(2);

	while (!mapping_revoke(&r, pd, crd, self, keep)) {
		outside();
		if (rnd(16) == 0) {
			mapping_revoke_drop(&r);
			return;
		}
	}
}

static void step_up(void)
{
	struct object *o = pd_object(pds[rnd(PDS)], rnd(SELECTORS_USED), OBJECT_SM, 0);

	if (o)
		sm_up(container_of(o, struct sm, object));
}

/* A portal holds an EC, an EC its PD: references across CPUs. */
static void step_refer(void)
{
	struct object *o = pd_object(pds[rnd(PDS)], rnd(SELECTORS_USED), OBJECT_PD, 0);

	if (o) {
		object_get(o);
		if (rnd(2))
			outside();
		assert_int_equal(o->type, OBJECT_PD);
		object_put(o);
	}
}

static void *run(void *argument)
{
	static void (*const steps[])(void) = {
		step_create, step_delegate, step_delegate, step_revoke,
		step_revoke, step_up,	    step_refer,
	};
	uint64_t *start = argument;

	cpu_now = (unsigned)(start[0]);
	fixture_reseed(start[1]);
	for (unsigned n = 0; n < STEPS; n++) {
		steps[rnd(ARRAY_SIZE(steps))]();
		outside();
	}
	__atomic_sub_fetch(&going, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&going, __ATOMIC_SEQ_CST))
		outside();
	return NULL;
}

static void test_threads(void **state)
{
	uint64_t starts[CPUS][2], free_before;
	pthread_t threads[CPUS];

	(void)state;
	fixture_init(PAGES, CPUS);
	free_before = pages_free();
	cpus_are_threads = true;
	for (unsigned i = 0; i < PDS; i++)
		assert_int_equal(pd_create(&pds[i], &pd_kernel, 3000), SUCCESS);
	going = CPUS;
	for (unsigned i = 0; i < CPUS; i++) {
		starts[i][0] = i;
		starts[i][1] = rnd(1ul << 50);
		assert_int_equal(pthread_create(&threads[i], NULL, run, starts[i]), 0);
	}
	for (unsigned i = 0; i < CPUS; i++)
		pthread_join(threads[i], NULL);
	cpus_are_threads = false;
	cpu_now = 0;
	for (unsigned i = 0; i < PDS; i++)
		clear_pd(pds[i]);
	for (unsigned i = 0; i < PDS; i++)
		object_put(&pds[i]->object);
	run_grace_periods();
	assert_int_equal(slab_live[OBJECT_PD], 0);
	assert_int_equal(slab_live[OBJECT_SM], 0);
	assert_int_equal(slab_live[SLAB_MAPPING], 0);
	assert_int_equal(pages_free(), free_before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
