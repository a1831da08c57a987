/*
 * Objects of all kinds for several PDs: they do not overlap, the PD that pays
 * is charged for exactly the pages there are, and in the end for none.
 */
#include "hv_fixture.h"

enum { PAGES = 4096, PDS = 3, OBJECTS = 2000, STEPS = 40000 };

struct held {
	unsigned char *p;
	struct pd *pd;
	enum object_type kind;
	unsigned char tag;
};

static struct held held[OBJECTS];

static unsigned size_of(const struct held *h)
{
	return slab_size(h->kind);
}

static void check(const struct held *h)
{
	for (unsigned i = 0; i < size_of(h); i++)
		assert_int_equal(h->p[i], h->tag);
}

static void take(struct held *h, struct pd **pds)
{
	h->pd = pds[rnd(PDS)];
	h->kind = (enum object_type)rnd(SLABS);
	h->p = slab_alloc(h->pd, h->kind);
	assert_non_null(h->p);
	assert_int_equal((uint64_t)h->p % 16, 0);
	h->tag = (unsigned char)rnd(256);
	__builtin_memset(h->p, h->tag, size_of(h));
}

static void give(struct held *h)
{
	check(h);
	slab_free(h->p);
	h->p = NULL;
}

/* As many pages as the objects of each kind need at least, and a bound. */
static void check_usage(struct pd **pds)
{
	for (unsigned i = 0; i < PDS; i++) {
		uint64_t pages = 2, n = 0;

		for (unsigned j = 0; j < OBJECTS; j++)
			n += held[j].p && held[j].pd == pds[i];
		assert_true(pds[i]->quota.used >= pages);
		assert_true(pds[i]->quota.used <= pages + n);
	}
}

static void test_random(void **state)
{
	struct pd *pds[PDS];

	(void)state;
	fixture_init(PAGES, 1);
	for (unsigned i = 0; i < PDS; i++)
		assert_int_equal(pd_create(&pds[i], &pd_kernel, 1000), SUCCESS);
	for (unsigned step = 0; step < STEPS; step++) {
		struct held *h = &held[rnd(OBJECTS)];

		if (h->p)
			give(h);
		else
			take(h, pds);
		if (step % 1000 == 0)
			check_usage(pds);
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		if (held[i].p)
			give(&held[i]);
	for (unsigned i = 0; i < PDS; i++) {
		assert_int_equal(pds[i]->quota.used, 2);
		object_put(&pds[i]->object);
	}
	run_grace_periods();
	assert_int_equal(slab_live[OBJECT_PD], 0);
}

/* So many has one slab. */
static unsigned room_for(enum object_type kind)
{
	return (unsigned)((PAGE_SIZE - 64) / slab_size(kind));
}

/* A slab is full before a second page is taken, and goes when it is empty. */
static void test_exact(void **state)
{
	struct pd *pd;

	(void)state;
	fixture_init(PAGES, 1);
	assert_int_equal(pd_create(&pd, &pd_kernel, 1000), SUCCESS);
	for (enum object_type kind = 0; kind < SLABS; kind++) {
		unsigned room = room_for(kind);
		void *p[64 + 1];

		assert_true(room <= 64);
		for (unsigned i = 0; i <= room; i++) {
			p[i] = slab_alloc(pd, kind);
			assert_int_equal(pd->quota.used, 2 + 1 + (i == room));
		}
		for (unsigned i = 0; i <= room; i++)
			slab_free(p[i]);
		assert_int_equal(pd->quota.used, 2);
	}
	object_put(&pd->object);
	run_grace_periods();
}

/* Used up, it says so, and works again when something was given back. */
static void test_quota(void **state)
{
	struct pd *pd;
	void *p[200];
	unsigned n = 0;

	(void)state;
	fixture_init(PAGES, 1);
	assert_int_equal(pd_create(&pd, &pd_kernel, 4), SUCCESS);
	while ((p[n] = slab_alloc(pd, SLAB_MAPPING)))
		n++;
	assert_int_equal(n, 2 * 63);
	assert_int_equal(pd->quota.used, 4);
	slab_free(p[--n]);
	p[n] = slab_alloc(pd, SLAB_MAPPING);
	assert_non_null(p[n]);
	for (unsigned i = 0; i <= n; i++)
		slab_free(p[i]);
	assert_int_equal(pd->quota.used, 2);
	object_put(&pd->object);
	run_grace_periods();
}

static void *full;

static void free_full(void)
{
	unlock_hook = NULL;
	slab_free(full);
}

/* While there was no room another CPU makes some: what is new is used nevertheless, or goes. */
static void test_meanwhile(void **state)
{
	struct pd *pd;
	void *p[64];

	(void)state;
	fixture_init(PAGES, 1);
	assert_int_equal(pd_create(&pd, &pd_kernel, 1000), SUCCESS);
	for (enum object_type kind = 0; kind < SLABS; kind++) {
		unsigned n = 0;

		while (n < room_for(kind))
			p[n++] = slab_alloc(pd, kind);
		full = p[0];
		unlock_hook = free_full;
		p[0] = slab_alloc(pd, kind);
		assert_null(unlock_hook);
		while (n)
			slab_free(p[--n]);
		assert_int_equal(pd->quota.used, 2);
	}
	object_put(&pd->object);
	run_grace_periods();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_meanwhile),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
