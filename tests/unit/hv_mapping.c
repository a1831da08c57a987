/*
 * Capabilities and mappings of several PDs under long random sequences of
 * everything that changes them, compared with the model after each step: the
 * spaces, who derived what from whom, the page tables of threads and guests,
 * the I/O bitmaps, the objects' counts. In the end all is revoked, and every
 * page and object must be back.
 */
#include "hv_model.h"

#include "x86/vcpu.h"

#ifndef PAGES
#define PAGES 32768
#endif

enum {
	STEPS = 2500,
	QUOTA = 3000,
	SELECTORS_USED = 64,
	SELECTOR_ROOT = 511, /* root's capability of itself */
};

/* Another format for guests than for threads. */
static const struct ptab_format guest_format = {
	.table = 7,
	.page = 0,
	.large = 1 << 7,
	.r = 1,
	.w = 2,
	.x = 4,
	.type = {6 << 3 | 1 << 6, 0, 1 << 3},
	.present = 7,
	.levels_large = 2,
};

static const struct vcpu_ops ops = {.guest = &guest_format};

static bool without_memory; /* then the model is not used */

static struct pd *any_pd(void)
{
	struct pd *pd;

	do {
		pd = model_pds[rnd(MODEL_PDS)];
	} while (!pd);
	return pd;
}

/* Objects whose last capability went are gone; PDs with all they had. */
static void follow_ends(void)
{
	bool again = true;

	while (again) {
		again = false;
		for (unsigned i = 0; i < MODEL_PDS; i++) {
			struct pd *pd = model_pds[i];

			if (pd && !(without_memory ? pd->object.caps : model_caps(&pd->object))) {
				model_pds[i] = NULL;
				model_clear(pd);
				again = true;
			}
		}
	}
}

/* Of some PDs each time, of all sometimes. */
static void check_some(void)
{
	bool all = rnd(32) == 0;

	for (unsigned i = 0; i < MODEL_PDS; i++) {
		if (model_pds[i] && (all || rnd(2 * MODEL_PDS) == 0)) {
			check_tables(model_pds[i]);
			if (!without_memory)
				check_spaces(model_pds[i]);
		}
	}
}

static void check_counts(void)
{
	for (int i = 0; i < model_end; i++) {
		if (model[i].live && model[i].type == CRD_OBJ) {
			const struct object *o = (const struct object *)model[i].frame;

			assert_int_equal(o->caps, model_caps(o));
		}
	}
}

static void add_object(struct pd *pd, uint64_t selector, struct object *o)
{
	model_add(&(struct record){
		.pd = pd,
		.type = CRD_OBJ,
		.rights = RIGHTS_ALL,
		.base = selector,
		.frame = (uint64_t)o,
		.parent = -1,
	});
}

/* False: the selector is taken, or no memory. */
static bool create(struct pd *pd, uint64_t selector, struct object *o)
{
	bool taken = space_object(&pd->obj, selector);
	enum status s = mapping_create(pd, selector, o);

	if (s != SUCCESS) {
		assert_int_equal(s, taken ? BAD_CAPABILITY : OUT_OF_MEMORY);
		object_put(o);
		return false;
	}
	add_object(pd, selector, o);
	return true;
}

static void step_create_sm(void)
{
	struct pd *pd = any_pd();
	struct sm *sm = sm_create(any_pd(), 0, NULL);

	if (sm)
		create(pd, rnd(SELECTORS_USED), &sm->object);
}

static void step_create_pd(void)
{
	unsigned i = (unsigned)rnd(MODEL_PDS);
	struct pd *holder = any_pd(), *owner = pd_root, *pd;
	uint64_t quota = QUOTA;

	if (without_memory) {
		owner = any_pd();
		quota = rnd(60);
	}

	if (!model_pds[i] && pd_create(&pd, owner, quota) == SUCCESS &&
	    create(holder, rnd(SELECTORS_USED), &pd->object))
		model_pds[i] = pd;
}

static unsigned any_order(unsigned max)
{
	static const unsigned often[] = {0, 0, 1, 3, 4, 9, 10, 18};

	return rnd(4) ? often[rnd(ARRAY_SIZE(often))] % (max + 1) : (unsigned)rnd(max + 1);
}

static uint64_t aligned(uint64_t n, unsigned order)
{
	return n & ~((1ul << order) - 1);
}

/* Numbers close together, so that ranges meet. */
static uint64_t any_number(uint8_t type)
{
	switch (type) {
	case CRD_MEM:
		return rnd(3) ? rnd(1 << 12) : rnd(1ul << 33);
	case CRD_PIO:
		return rnd(2) ? rnd(64) : rnd(PORTS);
	default:
		return rnd(SELECTORS_USED);
	}
}

static unsigned order_max(uint8_t type)
{
	return type == CRD_MEM ? 31 : type == CRD_PIO ? 16 : 6;
}

static void delegate(struct transfer *t)
{
	uint8_t expected;
	enum status s;

	do {
		t->left = rnd(2) ? TRANSFER_STEPS : 1 + (int)rnd(50);
		s = mapping_delegate(t);
	} while (s == AGAIN);

	if (without_memory) {
		assert_true(s == SUCCESS || s == OUT_OF_MEMORY);
		return;
	}
	assert_int_equal(s, SUCCESS);
	model_delegate(t, &expected);
	assert_int_equal(t->got, expected);
}

static uint32_t any_flags(void)
{
	return (rnd(3) == 0 ? MAPPING_GUEST : 0u) | (rnd(10) == 0 ? MAPPING_DMA : 0u) |
	       (rnd(4) == 0 ? MAPPING_COMBINE : 0u);
}

static void step_delegate(void)
{
	uint8_t type = (uint8_t)(CRD_MEM + rnd(3));
	struct transfer t = {
		.from = any_pd(),
		.to = any_pd(),
		.type = type,
		.order = (uint8_t)any_order(order_max(type)),
		.rights = (uint8_t)(rnd(2) ? RIGHTS_ALL : rnd(32)),
		.flags = any_flags() & ~(uint32_t)MAPPING_COMBINE,
	};

	t.source = aligned(any_number(type), t.order);
	t.target = aligned(any_number(type), t.order);
	if (type == CRD_PIO)
		t.target = t.source;
	delegate(&t);
}

/* Memory, ports and objects that the kernel has. Large only if aligned. */
static void step_take(void)
{
	uint8_t type = (uint8_t)(CRD_MEM + rnd(3));
	struct transfer t = {
		.to = any_pd(),
		.type = type,
		.kernel = true,
		.order = (uint8_t)any_order(order_max(type)),
		.rights = (uint8_t)(rnd(8) ? RIGHTS_ALL : rnd(32)),
		.flags = any_flags(),
	};

	t.target = aligned(any_number(type), t.order);
	t.source = t.target;
	if (type == CRD_MEM)
		t.source = aligned(rnd(2) ? rnd(1 << 20) : rnd(1ul << 40), t.order);
	else if (type == CRD_OBJ)
		t.source = aligned(rnd(SELECTORS_USED), t.order);
	delegate(&t);
}

/* None of those that are there goes, until it is let go. */
static void hold_all(struct pd **pds)
{
	for (unsigned i = 0; i < MODEL_PDS; i++) {
		pds[i] = model_pds[i];
		if (pds[i])
			object_get(&pds[i]->object);
	}
}

static void let_go(struct pd **pds)
{
	for (unsigned i = 0; i < MODEL_PDS; i++)
		if (pds[i])
			object_put(&pds[i]->object);
}

/* What had lost its last capability until then ends in time. */
static void end_dropped(void)
{
	struct pd *pds[MODEL_PDS];

	poll_period = 0;
	hold_all(pds);
	run_grace_periods();
	if (without_memory)
		follow_ends();
	let_go(pds);
}

static void revoke(struct pd *pd, uint64_t crd, bool self, bool keep)
{
	struct revocation r = {0};
	uint64_t again = rnd(3);
	bool dropped = false;

	object_get(&pd->object);
	while (!mapping_revoke(&r, pd, crd, self, keep)) {
		if (again && rnd(4) == 0) {
			/* It begins anew. */
			mapping_revoke_drop(&r);
			again--;
			dropped = true;
			/* Or never more: its thread was killed. */
			if (without_memory && again)
				break;
		}
	}
	if (dropped)
		end_dropped();
	object_put(&pd->object);
	if (!without_memory)
		model_revoke(pd, crd, self, keep);
	follow_ends();
}

static void step_revoke(void)
{
	uint8_t type = (uint8_t)(CRD_MEM + rnd(3));
	unsigned order = any_order(order_max(type));
	uint8_t rights = (uint8_t)(rnd(2) ? RIGHTS_ALL : rnd(32));
	uint64_t base = aligned(any_number(type), order);
	struct pd *pd = any_pd();

	/* Root stays to the end. */
	revoke(pd, CRD(type, rights, order, base), rnd(3) == 0, rnd(6) == 0);
}

static void step_look(void)
{
	uint8_t type = (uint8_t)(CRD_MEM + rnd(3));
	struct pd *from = any_pd(), *to = any_pd();
	unsigned order = order_max(type) - (unsigned)rnd(4);
	uint64_t base = any_number(type);
	uint64_t window = CRD(type, rnd(32), order, aligned(any_number(type), order));
	uint64_t crd = CRD(type, rnd(32), rnd(4), base);
	int i = model_find(from, type, base);
	const struct record *r = &model[i < 0 ? 0 : i];

	if (without_memory)
		return;
	struct transfer t = {.from = from, .to = to};
	uint64_t found = mapping_lookup(from, crd);

	assert_int_equal(mapping_translate(&t, crd, window),
			 model_translate(from, crd, to, window));
	if (i < 0 || r->flags & MAPPING_FIXED) {
		assert_int_equal(found, 0);
		return;
	}
	assert_int_equal(CRD_TYPE(found), r->type);
	assert_int_equal(CRD_RIGHTS(found), r->rights);
	assert_int_equal(CRD_BASE(found) >> CRD_ORDER(found), r->base >> CRD_ORDER(found));
}

static struct {
	struct mapping *mapping;
	struct pd *pd;
	int index;
} fixed;

static void unfix(void)
{
	if (fixed.mapping) {
		mapping_unfix(fixed.mapping);
		model_drop(fixed.index);
		fixed.mapping = NULL;
		object_put(&fixed.pd->object);
	}
}

/* As the UTCB of an EC that lives for a few steps. */
static void step_fix(void)
{
	uint64_t page = any_number(CRD_MEM);
	struct pd *pd = any_pd();
	enum status s;
	bool taken;

	unfix();
	taken = space_find(&pd->mem, page);
	s = mapping_fix(pd, page, 4711, MEM_R | MEM_W, &fixed.mapping);
	if (s != SUCCESS) {
		assert_true(taken ? s == BAD_PARAMETER : without_memory);
		return;
	}
	assert_false(taken);
	object_get(&pd->object);
	fixed.pd = pd;
	fixed.index = model_add(&(struct record){
		.pd = pd,
		.type = CRD_MEM,
		.base = page,
		.frame = 4711,
		.flags = MAPPING_FIXED,
		.parent = -1,
	});
}

static const struct {
	unsigned weight;
	void (*run)(void);
} steps[] = {
	{10, step_create_sm}, {3, step_create_pd}, {30, step_delegate}, {15, step_take},
	{12, step_revoke},    {20, step_look},	   {5, step_fix},
};

static void step(void)
{
	unsigned total = 0, i = 0;
	uint64_t n;

	for (unsigned k = 0; k < ARRAY_SIZE(steps); k++)
		total += steps[k].weight;
	for (n = rnd(total); n >= steps[i].weight; i++)
		n -= steps[i].weight;
	steps[i].run();
	if (rnd(20) == 0)
		run_grace_periods();
}

static uint64_t free_before;

static void start(uint64_t quota)
{
	vcpu_ops = &ops;
	ptab_host.levels_large = without_memory ? 1 + (unsigned)rnd(2) : 2;
	model_reset();
	fixed.mapping = NULL;
	fixture_init(PAGES, 1);
	free_before = pages_free();
	for (unsigned i = 0; i < SELECTORS_USED / 2; i++) {
		struct sm *sm = sm_create(&pd_kernel, 0, NULL);

		assert_non_null(sm);
		assert_int_equal(mapping_create(&pd_kernel, i, &sm->object), SUCCESS);
		add_object(&pd_kernel, i, &sm->object);
	}
	assert_int_equal(pd_create(&pd_root, &pd_kernel, quota), SUCCESS);
	assert_true(create(pd_root, SELECTOR_ROOT, &pd_root->object));
	model_pds[0] = pd_root;
}

/*
 * All that anybody has goes. Then there is nothing but what was there in the
 * beginning.
 */
static void finish(void)
{
	struct pd *pds[MODEL_PDS];

	poll_period = 0;
	unfix();
	hold_all(pds);
	for (unsigned i = 0; i < MODEL_PDS; i++)
		if (pds[i])
			clear_pd(pds[i]);
	clear_pd(&pd_kernel);
	let_go(pds);
	run_grace_periods();
	assert_int_equal(slab_live[OBJECT_PD], 0);
	assert_int_equal(slab_live[OBJECT_SM], 0);
	assert_int_equal(slab_live[SLAB_MAPPING], 0);
	assert_int_equal(pages_free(), free_before);
}

static void run(void)
{
	for (unsigned n = 0; n < STEPS; n++) {
		poll_period = rnd(2) ? 0 : 3;
		step();
		check_some();
		if (n % 64 == 0)
			check_counts();
	}
}

static void test_model(void **state)
{
	(void)state;
	without_memory = false;
	start(PAGES / 4 * 3);
	run();
	finish();
}

/* PDs that run out of memory at any point of anything. */
static void test_without_memory(void **state)
{
	(void)state;
	without_memory = true;
	for (unsigned i = 0; i < 10; i++) {
		start(100 + rnd(300));
		for (unsigned n = 0; n < STEPS / 5; n++) {
			poll_period = (unsigned)rnd(2);
			step();
			check_some();
		}
		finish();
	}
}

/* A PD outlives its last mapping, whose memory it paid for. */
static void test_last_mapping(void **state)
{
	struct transfer t = {.type = CRD_PIO,
			     .order = 16,
			     .kernel = true,
			     .rights = RIGHTS_ALL,
			     .left = TRANSFER_STEPS};
	struct revocation r = {0};

	(void)state;
	without_memory = true;
	start(1000);
	assert_int_equal(pd_create(&t.to, pd_root, 20), SUCCESS);
	assert_true(create(pd_root, 5, &t.to->object));
	run_grace_periods();
	assert_int_equal(mapping_delegate(&t), SUCCESS);
	assert_int_equal(t.got, PIO_ACCESS);
	assert_true(mapping_revoke(&r, pd_root, CRD(CRD_OBJ, RIGHTS_ALL, 0, 5), true, false));
	finish();
}

/*
 * A revocation is dropped when it has taken the rights of what it begins with: that stays,
 * in no page table. Then a page is taken out of it.
 */
static void test_split_without_rights(void **state)
{
	const uint64_t base = 1ul << 18, frame = 3ul << 18, other = 1ul << 20;
	struct transfer take = {.type = CRD_MEM,
				.kernel = true,
				.source = frame,
				.target = base,
				.order = 18,
				.rights = RIGHTS_ALL,
				.left = TRANSFER_STEPS};
	struct revocation r = {0};

	(void)state;
	without_memory = true;
	start(1000);
	ptab_host.levels_large = 2;
	take.to = pd_root;
	take.flags = MAPPING_GUEST;
	assert_int_equal(mapping_delegate(&take), SUCCESS);
	for (unsigned i = 0; i < 64; i++) {
		struct transfer t = {.from = pd_root,
				     .to = pd_root,
				     .type = CRD_MEM,
				     .source = base + i,
				     .target = other + i,
				     .rights = RIGHTS_ALL,
				     .left = TRANSFER_STEPS};

		assert_int_equal(mapping_delegate(&t), SUCCESS);
	}
	poll_period = 1;
	assert_false(mapping_revoke(&r, pd_root, CRD(CRD_MEM, RIGHTS_ALL, 18, base), true, false));
	mapping_revoke_drop(&r);
	assert_int_equal(mapping_lookup(pd_root, CRD(CRD_MEM, RIGHTS_ALL, 0, base)), 0);
	assert_non_null(space_find(&pd_root->mem, base));
	poll_period = 0;
	assert_true(mapping_revoke(&r, pd_root, CRD(CRD_MEM, RIGHTS_ALL, 0, base), true, false));
	check_tables(pd_root);
	assert_true(mapping_revoke(&r, pd_root, CRD(CRD_MEM, RIGHTS_ALL, 18, base), true, false));
	run_grace_periods();
	check_tables(pd_root);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_last_mapping),
		cmocka_unit_test(test_split_without_rights),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
