/*
 * A ring whose other side sets its index to anything, at any time.
 */
#include <assert.h>
#include <stdlib.h>

#include <lib/console.h>

#include "input.h"

enum { SIZE = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The sanitizers watch their edges. */
	uint8_t *bytes = calloc(1, SIZE), *buffer = calloc(1, SIZE);
	struct ring ring = {0};

	input_set(data, size);
	while (!input_empty()) {
		uint64_t what = input_take(1);
		size_t n = what >> 2;

		switch (what & 3) {
		case 0:
			assert(ring_write(&ring, bytes, SIZE, buffer, n) <= n);
			break;
		case 1:
			assert(ring_read(&ring, bytes, SIZE, buffer, n) <= n);
			break;
		case 2:
			ring.head = (uint32_t)input_take(4);
			break;
		default:
			ring.tail = (uint32_t)input_take(4);
			break;
		}
		assert(ring_used(&ring, SIZE) <= SIZE);
	}
	free(bytes);
	free(buffer);
	return 0;
}
