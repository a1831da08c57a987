/*
 * Rings: random reads and writes against a plain queue, and the other side's
 * index set to anything, which must never lead outside of the ring.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <lib/console.h>

enum { SIZE = 64, STEPS = 100000 };

static void random_use(void **state)
{
	struct ring ring = {.head = 0xffffff00, .tail = 0xffffff00};
	uint8_t data[SIZE], buffer[2 * SIZE];
	uint8_t next_in = 0, next_out = 0;
	size_t used = 0;

	(void)state;
	srand(2);
	for (unsigned step = 0; step < STEPS; step++) {
		size_t n = (size_t)rand() % (2 * SIZE), done;

		if (rand() % 2) {
			for (size_t i = 0; i < n; i++)
				buffer[i] = (uint8_t)(next_in + i);
			done = ring_write(&ring, data, SIZE, buffer, n);
			assert_int_equal(done, n < SIZE - used ? n : SIZE - used);
			next_in = (uint8_t)(next_in + done);
			used += done;
		} else {
			done = ring_read(&ring, data, SIZE, buffer, n);
			assert_int_equal(done, n < used ? n : used);
			for (size_t i = 0; i < done; i++)
				assert_int_equal(buffer[i], (uint8_t)(next_out + i));
			next_out = (uint8_t)(next_out + done);
			used -= done;
		}
		assert_int_equal(ring_used(&ring, SIZE), used);
	}
}

/* The sanitizers watch the edges of data and buffer. */
static void hostile_index(void **state)
{
	uint8_t *data = malloc(SIZE), *buffer = malloc(SIZE);

	(void)state;
	memset(data, 0, SIZE);
	memset(buffer, 0, SIZE);
	for (unsigned step = 0; step < STEPS; step++) {
		struct ring ring = {
			.head = (uint32_t)rand() << 1 ^ (uint32_t)rand(),
			.tail = (uint32_t)rand() << 1 ^ (uint32_t)rand(),
		};

		assert_true(ring_used(&ring, SIZE) <= SIZE);
		assert_true(ring_read(&ring, data, SIZE, buffer, SIZE) <= SIZE);
		assert_true(ring_write(&ring, data, SIZE, buffer, SIZE) <= SIZE);
	}
	free(data);
	free(buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_use),
		cmocka_unit_test(hostile_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
