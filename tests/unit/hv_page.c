/*
 * The buddy allocator against a map of who has which page; quotas.
 */
#include "hv_fixture.h"

enum { PAGES = 4096, BLOCKS = 200, STEPS = 20000, ORDER_MAX = 9 };

struct block {
	char *p;
	unsigned order;
	unsigned char tag; /* what its pages are filled with */
};

static unsigned char owner[PAGES]; /* 0: nobody; else a block's tag */

static uint64_t index_of(const void *p)
{
	return ((uint64_t)p - POOL_BASE) / PAGE_SIZE;
}

static void claim(const struct block *b, unsigned char from, unsigned char to)
{
	uint64_t first = index_of(b->p);

	assert_true(first % (1ul << b->order) == 0);
	assert_true(first >= page_overhead());
	for (uint64_t i = first; i < first + (1ul << b->order); i++) {
		char *page = b->p + (i - first) * PAGE_SIZE;

		assert_true(i < PAGES);
		assert_int_equal(owner[i], from);
		if (from) {
			assert_int_equal((unsigned char)page[0], from);
			assert_int_equal((unsigned char)page[4095], from);
		}
		owner[i] = to;
		__builtin_memset(page, to, PAGE_SIZE);
	}
}

static bool allocate(struct block *b, unsigned char tag)
{
	bool zero = rnd(2);

	b->order = (unsigned)rnd(ORDER_MAX + 1);
	b->p = page_alloc(&pd_kernel, b->order, zero);
	if (!b->p)
		return false;
	if (zero)
		for (unsigned i = 0; i < PAGE_SIZE << b->order; i += 61)
			assert_int_equal(b->p[i], 0);
	b->tag = tag;
	claim(b, 0, tag);
	return true;
}

static void release(struct block *b)
{
	claim(b, b->tag, 0);
	page_free(&pd_kernel, b->p, b->order);
	b->p = NULL;
}

static void test_random(void **state)
{
	struct block blocks[BLOCKS] = {0};
	unsigned failures = 0;
	uint64_t free_before, used_before;

	(void)state;
	fixture_init(PAGES, 1);
	__builtin_memset(owner, 0, sizeof(owner));
	free_before = pages_free();
	used_before = pd_kernel.quota.used;
	assert_true(free_before + used_before + page_overhead() == PAGES);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = (unsigned)rnd(BLOCKS);

		if (blocks[i].p)
			release(&blocks[i]);
		else if (!allocate(&blocks[i], (unsigned char)(i + 1)))
			failures++;
	}
	assert_true(failures > 0); /* or the pool was too large to test */
	for (unsigned i = 0; i < BLOCKS; i++)
		if (blocks[i].p)
			release(&blocks[i]);
	assert_int_equal(pages_free(), free_before);
	assert_int_equal(pd_kernel.quota.used, used_before);
}

/* All of it can be had in large blocks again: everything was joined. */
static void test_joined(void **state)
{
	void *p[PAGES / 1024];
	unsigned n = 0;

	(void)state;
	fixture_init(PAGES, 1);
	while (n < PAGES / 1024 && (p[n] = page_alloc(NULL, 10, false)))
		n++;
	assert_int_equal(n, PAGES / 1024 - 1);
	while (n--)
		page_free(NULL, p[n], 10);
	p[0] = page_alloc(NULL, 11, false);
	assert_non_null(p[0]);
	page_free(NULL, p[0], 11);
}

static void test_quota(void **state)
{
	struct pd *pd;
	void *a, *b;

	(void)state;
	fixture_init(PAGES, 1);
	assert_int_equal(pd_create(&pd, &pd_kernel, 10), SUCCESS);
	assert_int_equal(pd->quota.used, 2);
	a = page_alloc(pd, 3, true);
	assert_non_null(a);
	assert_null(page_alloc(pd, 0, true));
	assert_int_equal(pd->quota.used, 10);
	page_free(pd, a, 3);
	b = page_alloc(pd, 2, true);
	assert_non_null(b);
	assert_null(page_alloc(pd, 3, true));
	assert_int_equal(pd->quota.used, 6);
	page_free(pd, b, 2);
	object_put(&pd->object);
	run_grace_periods();
	assert_int_equal(slab_live[OBJECT_PD], 0);
}

/* No number of pages moves a limit out of its range. */
static void test_quota_pass(void **state)
{
	static const uint64_t far[] = {~0ul, ~0ul - 5, ~0ul - 50, 1ul << 63, 101, 95};
	struct quota q = {.limit = 100, .used = 10};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(far); i++) {
		assert_false(quota_pass(&q, far[i]));
		assert_int_equal(q.limit, 100);
		assert_int_equal(q.used, 10);
	}
	assert_true(quota_pass(&q, 90));
	assert_int_equal(q.limit, 10);
	assert_false(quota_pass(&q, 1));
	assert_true(quota_pass(&q, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_quota_pass),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
