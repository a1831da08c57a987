/*
 * Rings of bytes in shared memory. The other side's index may be anything: the
 * number of bytes it implies is cut to what the ring can hold.
 */
#include <lib/console.h>

#include <lib/string.h>

static uint32_t load(const uint32_t *index)
{
	return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *index, uint32_t value)
{
	__atomic_store_n(index, value, __ATOMIC_RELEASE);
}

uint32_t ring_used(const struct ring *ring, uint32_t size)
{
	uint32_t used = load(&ring->head) - load(&ring->tail);

	return used < size ? used : size;
}

static uint32_t least(uint32_t a, size_t b)
{
	return a < b ? a : (uint32_t)b;
}

size_t ring_write(struct ring *ring, uint8_t *data, uint32_t size, const void *from, size_t n)
{
	uint32_t head = load(&ring->head);
	uint32_t count = least(size - ring_used(ring, size), n);
	uint32_t at = head & (size - 1), before_end = least(count, size - at);

	memcpy(data + at, from, before_end);
	memcpy(data, (const uint8_t *)from + before_end, count - before_end);
	store(&ring->head, head + count);
	return count;
}

size_t ring_read(struct ring *ring, const uint8_t *data, uint32_t size, void *to, size_t n)
{
	uint32_t tail = load(&ring->tail);
	uint32_t count = least(ring_used(ring, size), n);
	uint32_t at = tail & (size - 1), before_end = least(count, size - at);

	memcpy(to, data + at, before_end);
	memcpy((uint8_t *)to + before_end, data, count - before_end);
	store(&ring->tail, tail + count);
	return count;
}
