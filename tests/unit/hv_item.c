/*
 * Typed items: what arrives where, compared with the rules page by page; and
 * counts, windows and items that are garbage.
 */
#include "hv_fixture.h"

#include <abi/hip.h>

#include "item.h"

enum { NUMBERS = 128, ORDER_MAX = 6, STEPS = 8000, PAGES = 4096 };

static struct pd *from, *to;
static struct utcb sender, receiver;
static struct ec self = {.utcb = &sender}; /* who sends it all */

/* As often as it is to be made again. */
static enum status send(struct pd *source, struct pd *target, struct utcb *windows, uint64_t window,
			uint64_t items, bool all)
{
	enum status s;

	self.pd = source;
	items = (uint32_t)items | (all ? ITEMS_ALL : 0);
	while ((s = items_send(&self, source, target, windows, window, items)) == AGAIN)
		assert_non_null(self.progress);
	assert_true(s == OUT_OF_MEMORY || !self.progress);
	if (self.progress)
		items_drop(&self);
	return s;
}

/* What the receiver is to have at a number: the sender's number + 1, or 0. */
static uint64_t expected[NUMBERS];

static uint64_t bits(uint64_t n, unsigned low, unsigned high)
{
	return n & ((1ul << high) - (1ul << low));
}

/*
 * The rule: the larger range is cut to the smaller at the hotspot. Ports go
 * where they are.
 */
static void expect(uint64_t crd, uint64_t window, uint64_t hotspot)
{
	unsigned s = CRD_ORDER(crd), r = CRD_ORDER(window);

	__builtin_memset(expected, 0, sizeof(expected));
	for (uint64_t a = 0; a < NUMBERS; a++) {
		for (uint64_t b = 0; b < NUMBERS; b++) {
			bool sent = a >> s == CRD_BASE(crd) >> s;
			bool room = b >> r == CRD_BASE(window) >> r;
			bool fit;

			if (CRD_TYPE(crd) == CRD_PIO) {
				fit = a == b;
			} else if (s <= r) {
				fit = bits(a, 0, s) == bits(b, 0, s) &&
				      bits(b, s, r) == bits(hotspot, s, r);
			} else {
				fit = bits(a, 0, r) == bits(b, 0, r) &&
				      bits(a, r, s) == bits(hotspot, r, s);
			}
			if (sent && room && fit)
				expected[b] = a + 1;
		}
	}
}

static uint64_t source_of(const struct mapping *m, uint8_t type)
{
	if (type == CRD_OBJ)
		return container_of(m->object, struct sm, object)->count;
	return m->frame - (type == CRD_MEM ? 1000 : 0);
}

static uint64_t rights_of_type(uint8_t type)
{
	return type == CRD_MEM ? 7 : type == CRD_PIO ? 1 : 31;
}

static void check(uint8_t type, uint64_t rights)
{
	for (uint64_t b = 0; b < NUMBERS; b++) {
		const struct mapping *m = space_find(pd_space(to, type), b);

		if (!expected[b] || !rights) {
			assert_null(m);
			continue;
		}
		assert_non_null(m);
		assert_int_equal(source_of(m, type) + 1, expected[b]);
		assert_int_equal(m->rights, rights);
	}
}

/* The CRD of all that may have arrived. */
static void check_crd(uint64_t got, uint8_t type, uint64_t rights, unsigned order)
{
	uint64_t first = 0;

	while (first < NUMBERS && !expected[first])
		first++;
	if (first == NUMBERS || !rights) {
		assert_int_equal(got, 0);
		return;
	}
	assert_int_equal(got, CRD(type, rights, order, first));
}

static uint64_t any_crd(uint8_t type)
{
	return CRD(type, rnd(4) ? RIGHTS_ALL : rnd(32), rnd(ORDER_MAX + 1), rnd(NUMBERS));
}

static void clear(void)
{
	while (!mapping_clear(to)) {
	}
	if (rnd(16) == 0)
		run_grace_periods();
}

static void step(void)
{
	uint8_t type = (uint8_t)(CRD_MEM + rnd(3));
	uint64_t crd = any_crd(type), window = any_crd(type);
	uint64_t hotspot = rnd(2) ? rnd(NUMBERS) : rnd(1ul << 52);
	uint64_t rights = CRD_RIGHTS(crd) & CRD_RIGHTS(window) & rights_of_type(type);
	unsigned order = CRD_ORDER(crd) < CRD_ORDER(window) ? CRD_ORDER(crd) : CRD_ORDER(window);

	expect(crd, window, hotspot);
	receiver.delegate = window;
	sender.word[utcb_item_word(0)] = crd;
	sender.word[utcb_item_word(0) + 1] = ITEM(ITEM_DELEGATE, 0, hotspot);
	sender.items = UTCB_ITEMS(0, 1);
	assert_int_equal(send(from, to, &receiver, 0, sender.items, false), SUCCESS);
	check(type, rights);
	check_crd(receiver.word[utcb_item_word(0)], type, rights, order);
	clear();
	assert_int_equal(send(from, to, NULL, window, sender.items, false), SUCCESS);
	check(type, rights);
	clear();
}

static void take(uint8_t type, uint64_t source, uint64_t target)
{
	struct transfer t = {
		.to = from,
		.type = type,
		.kernel = true,
		.source = source,
		.target = target,
		.rights = RIGHTS_ALL,
		.left = TRANSFER_STEPS,
	};

	assert_int_equal(mapping_delegate(&t), SUCCESS);
	assert_int_equal(t.got, rights_of_type(type));
}

/* The sender has each number, each as a mapping of its own. */
static void start(void)
{
	fixture_init(PAGES, 1);
	assert_int_equal(pd_create(&from, &pd_kernel, 1000), SUCCESS);
	assert_int_equal(pd_create(&to, &pd_kernel, 1000), SUCCESS);
	for (uint64_t i = 0; i < NUMBERS; i++) {
		struct sm *sm = sm_create(from, i, NULL);

		take(CRD_MEM, 1000 + i, i);
		take(CRD_PIO, i, i);
		assert_non_null(sm);
		assert_int_equal(mapping_create(from, i, &sm->object), SUCCESS);
	}
}

static void finish(void)
{
	clear_pd(from);
	clear();
	object_put(&from->object);
	object_put(&to->object);
	run_grace_periods();
	assert_int_equal(slab_live[OBJECT_PD], 0);
	assert_int_equal(slab_live[SLAB_MAPPING], 0);
}

static void test_hotspot(void **state)
{
	(void)state;
	start();
	for (unsigned n = 0; n < STEPS; n++)
		step();
	finish();
}

/* A fault's reply: the 2^31 pages around it, wherever it was. */
static void test_map(void **state)
{
	(void)state;
	start();
	/* Each may need three page tables, which stay. */
	for (unsigned n = 0; n < 300; n++) {
		uint64_t page = rnd((USER_END >> PAGE_BITS) - (1ul << 31));
		uint64_t source = rnd(NUMBERS);

		sender.word[utcb_item_word(0)] = CRD(CRD_MEM, RIGHTS_ALL, 0, source);
		sender.word[utcb_item_word(0) + 1] = ITEM(ITEM_DELEGATE, 0, page);
		page = page << PAGE_BITS | rnd(4096);
		assert_int_equal(send(from, to, NULL,
				      CRD(CRD_MEM, RIGHTS_ALL, 31, page >> PAGE_BITS),
				      UTCB_ITEMS(rnd(100), 1), true),
				 SUCCESS);
		page >>= PAGE_BITS;
		assert_non_null(space_find(&to->mem, page));
		assert_int_equal(space_find(&to->mem, page)->frame, 1000 + source);
		clear();
	}
	finish();
}

static void garbage(struct utcb *u)
{
	uint64_t *w = (uint64_t *)u;

	for (unsigned i = 0; i < UTCB_SIZE / 8; i++) {
		w[i] = rnd(1ul << 32) << 32 | rnd(1ul << 32);
		if (rnd(2)) {
			/* Something that may well be a CRD of something. */
			w[i] = CRD(rnd(4), rnd(32), rnd(2) ? rnd(7) : rnd(32),
				   rnd(2) ? rnd(NUMBERS) : rnd(1ul << 52));
		}
	}
}

static uint64_t any_header(void)
{
	return rnd(2) ? UTCB_ITEMS(rnd(600), rnd(300)) : rnd(1ul << 32) << 32 | rnd(1ul << 32);
}

/* Whatever is sent, nothing is read or written beside the UTCBs. */
static void test_garbage(void **state)
{
	(void)state;
	start();
	for (unsigned n = 0; n < 3000; n++) {
		uint64_t items = any_header(), cut = items_header(items);
		struct pd *other = rnd(4) ? to : from;

		assert_true(cut >> 32 == 0);
		assert_true((cut & 0xffff) + 2 * (cut >> 16) <= UTCB_WORDS);
		assert_true((cut & 0xffff) <= (items & 0xffff));
		assert_true(cut >> 16 <= (items >> 16 & 0xffff));
		garbage(&sender);
		garbage(&receiver);
		sender.items = items;
		pd_root = rnd(2) ? from : NULL;
		(void)send(from, other, rnd(2) ? &receiver : NULL, sender.word[5], items, rnd(2));
		pd_root = NULL;
		clear();
		run_grace_periods();
	}
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hotspot),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_garbage),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
