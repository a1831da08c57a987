/*
 * The VMM's bus: overlaps are refused, accesses find their region and are cut
 * up as the widths say, what nobody answers is all ones and reported once.
 * Compared with a naive model under random registrations and accesses.
 */

#include "vmm_fixture.h"

/* A device that remembers bytes, and how it was accessed. */
struct memory {
	uint8_t byte[64];
	unsigned accesses, last_bytes;
};

static uint64_t memory_read(void *device, uint64_t offset, unsigned bytes)
{
	struct memory *memory = device;
	uint64_t value = 0;

	assert_true(offset + bytes <= sizeof(memory->byte));
	memory->accesses++;
	memory->last_bytes = bytes;
	memcpy(&value, &memory->byte[offset], bytes);
	return value | (bytes < 8 ? UINT64_MAX << 8 * bytes : 0);
}

static void memory_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct memory *memory = device;

	assert_true(offset + bytes <= sizeof(memory->byte));
	assert_true(bytes == 8 || value >> 8 * bytes == 0);
	memory->accesses++;
	memory->last_bytes = bytes;
	memcpy(&memory->byte[offset], &value, bytes);
}

static enum bus_status add(struct bus *bus, uint64_t base, uint64_t size, uint8_t widths,
			   struct memory *memory)
{
	return bus_add(bus, &(struct bus_region){
				    .base = base,
				    .size = size,
				    .widths = widths,
				    .read = memory_read,
				    .write = memory_write,
				    .device = memory,
				    .name = "test",
			    });
}

static void test_overlap(void **state)
{
	struct fixture f;
	struct memory m = {0};

	(void)state;
	fixture_init(&f);
	assert_int_equal(add(&f.ports, 0x100, 8, 1, &m), BUS_OK);
	assert_int_equal(add(&f.ports, 0x100, 8, 1, &m), BUS_OVERLAP);
	assert_int_equal(add(&f.ports, 0xff, 2, 1, &m), BUS_OVERLAP);
	assert_int_equal(add(&f.ports, 0x107, 1, 1, &m), BUS_OVERLAP);
	assert_int_equal(add(&f.ports, 0x0, 0x200, 1, &m), BUS_OVERLAP);
	assert_int_equal(add(&f.ports, 0x108, 1, 1, &m), BUS_OK);
	assert_int_equal(add(&f.ports, 0xff, 1, 1, &m), BUS_OK);
	assert_true(bus_remove(&f.ports, 0x100));
	assert_false(bus_remove(&f.ports, 0x100));
	assert_false(bus_remove(&f.ports, 0x10000));
	assert_int_equal(add(&f.ports, 0x101, 7, 1, &m), BUS_OK);
}

static void test_invalid(void **state)
{
	struct fixture f;
	struct memory m = {0};

	(void)state;
	fixture_init(&f);
	assert_int_equal(add(&f.ports, 0x100, 0, 1, &m), BUS_INVALID);
	assert_int_equal(add(&f.ports, 0xffff, 2, 1, &m), BUS_INVALID);
	assert_int_equal(add(&f.ports, 0xffff, 1, 1, &m), BUS_OK);
	assert_int_equal(add(&f.ports, 0x100, 1, 0, &m), BUS_INVALID);
	assert_int_equal(add(&f.memory, UINT64_MAX, 2, 1, &m), BUS_INVALID);
	assert_int_equal(add(&f.memory, 16, UINT64_MAX, 1, &m), BUS_INVALID);
	assert_int_equal(add(&f.memory, UINT64_MAX, 1, 1, &m), BUS_OK);
	for (unsigned i = 0; i + 1 < BUS_REGIONS_MAX; i++)
		assert_int_equal(add(&f.ports, i, 1, 1, &m), BUS_OK);
	assert_int_equal(add(&f.ports, 0x8000, 1, 1, &m), BUS_FULL);
}

static void test_widths(void **state)
{
	struct fixture f;
	struct memory m = {.byte = {1, 2, 3, 4, 5, 6, 7, 8}};

	(void)state;
	fixture_init(&f);
	assert_int_equal(add(&f.memory, 0x1000, 8, BUS_DWORD, &m), BUS_OK);

	assert_int_equal(bus_read(&f.memory, 0x1000, 4), 0x04030201);
	assert_int_equal(m.accesses, 1);
	/* Wider: two pieces. */
	assert_true(bus_read(&f.memory, 0x1000, 8) == 0x0807060504030201ull);
	assert_int_equal(m.accesses, 3);
	assert_int_equal(m.last_bytes, 4);
	/* Narrower: nobody takes it. */
	assert_int_equal(bus_read(&f.memory, 0x1000, 2), 0xffff);
	bus_write(&f.memory, 0x1000, 1, 0x55);
	assert_int_equal(m.byte[0], 1);
	assert_int_equal(m.accesses, 3);
	/* Over the end: nothing fits, then nobody is there. */
	assert_int_equal(bus_read(&f.memory, 0x1006, 4), 0xffffffff);
	/* Sizes that no instruction has. */
	assert_true(bus_read(&f.memory, 0x1000, 3) == UINT64_MAX);
	assert_true(bus_read(&f.memory, 0x1000, 0) == UINT64_MAX);
	bus_write(&f.memory, 0x1000, 16, 0);
	assert_int_equal(m.accesses, 3);
}

static void test_across(void **state)
{
	struct fixture f;
	struct memory a = {.byte = {1, 2}}, b = {.byte = {3, 4}};

	(void)state;
	fixture_init(&f);
	assert_int_equal(add(&f.ports, 0x60, 2, BUS_BYTE, &a), BUS_OK);
	assert_int_equal(add(&f.ports, 0x63, 2, BUS_WORD | 1, &b), BUS_OK);
	assert_int_equal(bus_read(&f.ports, 0x61, 4), 0x0403ff02);
	assert_int_equal(b.last_bytes, 2);
	bus_write(&f.ports, 0x61, 4, 0xaabbccdd);
	assert_int_equal(a.byte[1], 0xdd);
	assert_int_equal(b.byte[0], 0xbb);
	assert_int_equal(b.byte[1], 0xaa);
	assert_int_equal(f.misses, 0);
	/* At the end of the bus there is no wrap. */
	assert_int_equal(add(&f.ports, 0, 1, BUS_BYTE, &a), BUS_OK);
	assert_int_equal(bus_read(&f.ports, 0xffff, 2), 0xffff);
}

static void test_misses(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(bus_read(&f.ports, 0x80, 1), 0xff);
	assert_int_equal(bus_read(&f.ports, 0x80, 4), 0xffffffff);
	assert_int_equal(f.misses, 1);
	bus_write(&f.ports, 0x80, 1, 0);
	bus_write(&f.ports, 0x80, 1, 0);
	assert_int_equal(f.misses, 2);
	for (unsigned port = 0; port < 0x1000; port++)
		assert_int_equal(bus_read(&f.ports, port, 1), 0xff);
	assert_int_equal(f.misses, BUS_MISSES_MAX);
	assert_true(bus_read(&f.memory, UINT64_MAX, 8) == UINT64_MAX);
}

/* Byte by byte: owner of each of 256 ports, in a plain array. */
static void test_random(void **state)
{
	static struct memory owner_memory[256];
	struct memory *owner[256] = {NULL};
	unsigned first[256] = {0}, size[256] = {0};
	uint32_t seed = 1;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned base = random32(&seed) % 256;
		unsigned n = 1 + random32(&seed) % 8;
		unsigned what = random32(&seed) % 8;
		bool free = base + n <= 256;

		if (what == 0) {
			for (unsigned j = base; free && j < base + n; j++)
				free = owner[j] == NULL;
			if (base + n <= 256) {
				assert_int_equal(add(&f.ports, base, n, 1, &owner_memory[base]),
						 free ? BUS_OK : BUS_OVERLAP);
			}
			for (unsigned j = base; free && j < base + n; j++) {
				owner[j] = &owner_memory[base];
				first[j] = base;
				size[j] = n;
			}
		} else if (what == 1) {
			bool is_base = owner[base] && first[base] == base;

			n = size[base];
			assert_int_equal(bus_remove(&f.ports, base), is_base);
			for (unsigned j = base; is_base && j < base + n; j++)
				owner[j] = NULL;
		} else if (what == 2) {
			uint8_t value = (uint8_t)random32(&seed);

			out8(&f, (uint16_t)base, value);
			if (owner[base] != NULL)
				assert_int_equal(owner[base]->byte[base - first[base]], value);
		} else {
			assert_int_equal(
				in8(&f, (uint16_t)base),
				owner[base] == NULL ? 0xff : owner[base]->byte[base - first[base]]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlap), cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_widths),	cmocka_unit_test(test_across),
		cmocka_unit_test(test_misses),	cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("vmm bus", tests, NULL, NULL);
}
