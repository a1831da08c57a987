/*
 * The heap under random allocations and frees: blocks are aligned, inside of
 * the memory, do not overlap (each is filled with its own byte), and after all
 * are freed the whole memory is one block again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <lib/heap.h>

enum { SIZE = 1 << 16, BLOCKS = 64, STEPS = 20000 };

static uint8_t memory[SIZE] __attribute__((aligned(4096)));

static int add_memory(void **state)
{
	(void)state;
	heap_add(memory, SIZE);
	return 0;
}

static struct {
	uint8_t *at;
	size_t size;
	uint8_t fill;
} blocks[BLOCKS];

static void check_fill(unsigned i)
{
	for (size_t n = 0; n < blocks[i].size; n++)
		assert_int_equal(blocks[i].at[n], blocks[i].fill);
}

static void allocate(unsigned i)
{
	size_t alignment = 16ul << rand() % 8;
	size_t size = (size_t)rand() % 3000;
	uint8_t *at = heap_alloc_aligned(size, alignment);

	if (at) {
		assert_int_equal((uintptr_t)at % alignment, 0);
		assert_true(at >= memory && at + size <= memory + SIZE);
		blocks[i].at = at;
		blocks[i].size = size;
		blocks[i].fill = (uint8_t)rand();
		memset(at, blocks[i].fill, size);
	}
}

static void release(unsigned i)
{
	check_fill(i);
	heap_free(blocks[i].at);
	blocks[i].at = NULL;
}

static void random_use(void **state)
{
	(void)state;
	srand(1);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = (unsigned)rand() % BLOCKS;

		if (blocks[i].at)
			release(i);
		else
			allocate(i);
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		if (blocks[i].at)
			release(i);
	assert_int_equal(heap_left(), SIZE);
	heap_free(heap_alloc(SIZE - 16));
	assert_int_equal(heap_left(), SIZE);
}

static void limits(void **state)
{
	uint8_t *zero;

	(void)state;
	assert_null(heap_alloc(SIZE));
	assert_null(heap_alloc(SIZE_MAX));
	assert_null(heap_alloc(SIZE_MAX - 15));
	assert_null(heap_alloc_zero(SIZE_MAX / 2, 4));
	assert_null(heap_alloc_aligned(16, SIZE_MAX / 2 + 1));
	heap_free(NULL);
	zero = heap_alloc_zero(10, 10);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(zero[i], 0);
	heap_free(zero);
	assert_int_equal(heap_left(), SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_use),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, add_memory, NULL);
}
