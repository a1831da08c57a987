/*
 * The radix tree of all three spaces against an array of what was put in:
 * every order, the ends of the space, tables left empty that something larger
 * takes the place of, tables that go back, and no memory in the middle.
 */
#include "hv_fixture.h"

#include "tree.h"

enum { PAGES = 8192, MAPPINGS = 150, STEPS = 12000, QUOTA = 4000 };

struct test_space {
	enum crd_type type;
	unsigned order_max;
	uint64_t end; /* first number that there is not */
};

static const struct test_space spaces[] = {
	{CRD_MEM, 31, 1ul << 36},
	{CRD_PIO, 16, PORTS},
	{CRD_OBJ, 8, SELECTORS}, /* capabilities have order 0 */
};

static struct {
	struct mapping m;
	bool in;
} held[MAPPINGS];

static struct pd *pd;

static uint64_t last_of(const struct mapping *m)
{
	return m->base + (1ul << m->order) - 1;
}

/* The first held that overlaps, by looking at all. */
static struct mapping *naive_next(uint64_t first, uint64_t last)
{
	struct mapping *best = NULL;

	for (unsigned i = 0; i < MAPPINGS; i++) {
		struct mapping *m = &held[i].m;

		if (held[i].in && m->base <= last && last_of(m) >= first &&
		    (!best || m->base < best->base))
			best = m;
	}
	return best;
}

/* Numbers that are near to each other, to tables' ends and to the space's. */
static uint64_t number(const struct test_space *t)
{
	uint64_t n = rnd(t->end);

	switch (rnd(4)) {
	case 0:
		n = rnd(2048);
		break;
	case 1:
		n = t->end - 1 - rnd(2048);
		break;
	case 2:
		n = (n & ~0x3fffful) + rnd(4) * 512 - rnd(2);
		break;
	}
	return n % t->end;
}

static unsigned order(const struct test_space *t)
{
	unsigned n = (unsigned)rnd(t->order_max + 1);

	return rnd(2) ? n : n % 10;
}

static void check_next(struct tree *s, uint64_t first, uint64_t last)
{
	struct mapping *expected = naive_next(first, last);

	if (first > last)
		return;
	assert_ptr_equal(find_next(s, first, last), expected);
}

static void look(const struct test_space *t, struct tree *s)
{
	uint64_t a = number(t), b = number(t);

	check_next(s, a, a);
	check_next(s, a, b);
	check_next(s, a, a + rnd(1000));
	check_next(s, a, ~0ul);
	check_next(s, 0, ~0ul);
	check_next(s, t->end - 1, t->end + 5);
	check_next(s, 1ul << s->levels * TABLE_BITS, ~0ul);
	check_next(s, ~0ul - 1, ~0ul);
	assert_ptr_equal(space_find(s, a), naive_next(a, a));
	if (t->type == CRD_OBJ) {
		assert_ptr_equal(space_object(s, a), naive_next(a, a));
		assert_null(space_object(s, SELECTORS + a));
	}
}

static enum status space_insert(struct tree *s, struct mapping *m)
{
	return tree_set(s, m->pd, m->base, m->order, (uint64_t)m, 0);
}

static void space_remove(struct tree *s, const struct mapping *m)
{
	assert_int_equal(tree_set(s, m->pd, m->base, m->order, 0, 0), SUCCESS);
}

static enum status put(const struct test_space *t, struct tree *s, unsigned i)
{
	struct mapping *m = &held[i].m;
	enum status status;

	m->order = (uint8_t)order(t);
	m->base = number(t) & ~((1ul << m->order) - 1);
	m->type = (uint8_t)t->type;
	m->pd = pd;
	if (naive_next(m->base, last_of(m)))
		return SUCCESS;
	status = space_insert(s, m);
	held[i].in = status == SUCCESS;
	return status;
}

static void take(struct tree *s, unsigned i)
{
	space_remove(s, &held[i].m);
	held[i].in = false;
}

static void take_all(struct tree *s)
{
	for (unsigned i = 0; i < MAPPINGS; i++)
		if (held[i].in)
			take(s, i);
}

static void start(uint64_t quota)
{
	fixture_init(PAGES, 1);
	assert_int_equal(pd_create(&pd, &pd_kernel, quota), SUCCESS);
}

/* All that the tree took goes back: pd_destroy() looks at the usage. */
static void finish(uint64_t pages_before)
{
	object_put(&pd->object);
	run_grace_periods();
	assert_int_equal(slab_live[OBJECT_PD], 0);
	assert_int_equal(pages_free(), pages_before);
}

/* Without memory now and then, if the quota is small. */
static void random_steps(const struct test_space *t, uint64_t quota)
{
	uint64_t free_before;
	unsigned failures = 0;
	struct tree *s;

	fixture_init(PAGES, 1);
	free_before = pages_free();
	assert_int_equal(pd_create(&pd, &pd_kernel, quota), SUCCESS);
	s = pd_space(pd, t->type);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = (unsigned)rnd(MAPPINGS);

		if (held[i].in)
			take(s, i);
		else
			failures += put(t, s, i) != SUCCESS;
		if (rnd(50) == 0)
			run_grace_periods();
		look(t, s);
	}
	if (quota < QUOTA)
		assert_true(failures > 0);
	else
		assert_int_equal(failures, 0);
	take_all(s);
	run_grace_periods();
	assert_true(pd->quota.used <= 3); /* roots stay */
	finish(free_before);
}

static void test_random(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(spaces); i++)
		random_steps(&spaces[i], QUOTA);
}

static void test_random_small(void **state)
{
	(void)state;
	random_steps(&spaces[0], 40);
	random_steps(&spaces[1], 10);
	random_steps(&spaces[2], 20);
}

static void set(unsigned i, uint64_t base, unsigned n)
{
	held[i].m.base = base;
	held[i].m.order = (uint8_t)n;
	held[i].m.type = CRD_MEM;
	held[i].m.pd = pd;
}

/* Where empty tables wait to be trimmed, something larger is put. */
static void test_large_over_empty(void **state)
{
	static const unsigned orders[] = {9, 13, 18, 20, 27, 31};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++) {
		uint64_t base = 3ul << 31;

		start(QUOTA);
		for (unsigned n = 0; n < 4; n++) {
			set(n, base + n * (1ul << orders[i]) / 4, 0);
			assert_int_equal(space_insert(&pd->mem, &held[n].m), SUCCESS);
		}
		for (unsigned n = 0; n < 4; n++)
			space_remove(&pd->mem, &held[n].m);
		set(5, base, orders[i]);
		assert_int_equal(space_insert(&pd->mem, &held[5].m), SUCCESS);
		assert_ptr_equal(space_find(&pd->mem, base + 5), &held[5].m);
		run_grace_periods();
		assert_ptr_equal(space_find(&pd->mem, base + 5), &held[5].m);
		space_remove(&pd->mem, &held[5].m);
		/* And again something small, before the grace period. */
		set(6, base, 0);
		assert_int_equal(space_insert(&pd->mem, &held[6].m), SUCCESS);
		run_grace_periods();
		assert_ptr_equal(space_find(&pd->mem, base), &held[6].m);
		space_remove(&pd->mem, &held[6].m);
		run_grace_periods();
		assert_int_equal(pd->quota.used, 3);
		object_put(&pd->object);
		run_grace_periods();
	}
}

/* No memory for the second of two tables: the first is not lost. */
static void test_no_memory(void **state)
{
	(void)state;
	for (uint64_t quota = 2; quota <= 6; quota++) {
		uint64_t free_before;

		fixture_init(PAGES, 1);
		free_before = pages_free();
		assert_int_equal(pd_create(&pd, &pd_kernel, quota), SUCCESS);
		set(0, 12345678, 0);
		assert_int_equal(space_insert(&pd->mem, &held[0].m),
				 quota < 6 ? OUT_OF_MEMORY : SUCCESS);
		assert_ptr_equal(space_find(&pd->mem, 12345678), quota < 6 ? NULL : &held[0].m);
		if (quota == 6)
			space_remove(&pd->mem, &held[0].m);
		finish(free_before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_large_over_empty),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_random_small),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
