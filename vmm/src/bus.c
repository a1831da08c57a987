/*
 * Lookup is by a small direct-mapped cache first (a guest hammers few ports),
 * then by binary search. The cache holds indices into the sorted array, so it
 * is cleared whenever the array changes.
 */

#include "bus.h"

#include <stddef.h>

#define BUS_NO_ENTRY 0xff /* in the cache: not an index */

_Static_assert(BUS_REGIONS_MAX < BUS_NO_ENTRY, "an index is a byte");

static void cache_clear(struct bus *bus)
{
	for (unsigned i = 0; i < BUS_CACHE_SIZE; i++)
		bus->cache[i] = BUS_NO_ENTRY;
}

void bus_init(struct bus *bus, uint64_t last,
	      void (*report)(void *opaque, const struct bus_miss *miss), void *opaque)
{
	bus->count = 0;
	bus->last = last;
	bus->report = report;
	bus->opaque = opaque;
	bus->misses = 0;
	cache_clear(bus);
}

/* The index of the first region that starts above the address. */
static unsigned upper_bound(const struct bus *bus, uint64_t address)
{
	unsigned low = 0, high = bus->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (bus->region[middle].base <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum bus_status bus_add(struct bus *bus, const struct bus_region *region)
{
	uint64_t end = region->base + (region->size - 1);

	if (region->size == 0 || end < region->base || end > bus->last ||
	    (region->widths & (BUS_WORDS_ALL | BUS_QWORD)) == 0)
		return BUS_INVALID;

	unsigned at = upper_bound(bus, region->base);
	const struct bus_region *before = &bus->region[at] - 1;

	if ((at > 0 && region->base - before->base < before->size) ||
	    (at < bus->count && bus->region[at].base <= end))
		return BUS_OVERLAP;
	if (bus->count == BUS_REGIONS_MAX)
		return BUS_FULL;

	for (unsigned i = bus->count; i > at; i--)
		bus->region[i] = bus->region[i - 1];
	bus->region[at] = *region;
	bus->count++;
	cache_clear(bus);
	return BUS_OK;
}

bool bus_remove(struct bus *bus, uint64_t base)
{
	unsigned at = upper_bound(bus, base);

	if (at == 0 || bus->region[at - 1].base != base)
		return false;
	for (unsigned i = at; i < bus->count; i++)
		bus->region[i - 1] = bus->region[i];
	bus->count--;
	cache_clear(bus);
	return true;
}

const struct bus_region *bus_find(struct bus *bus, uint64_t address)
{
	uint8_t *entry = &bus->cache[(address ^ address >> 5) % BUS_CACHE_SIZE];

	if (*entry != BUS_NO_ENTRY) {
		const struct bus_region *region = &bus->region[*entry];

		if (address - region->base < region->size)
			return region;
	}

	unsigned at = upper_bound(bus, address);

	if (at == 0)
		return NULL;

	const struct bus_region *region = &bus->region[at - 1];

	if (address - region->base >= region->size)
		return NULL;
	*entry = (uint8_t)(at - 1);
	return region;
}

static void miss(struct bus *bus, const struct bus_miss *access)
{
	uint64_t key = access->address << 1 | access->write;

	for (unsigned i = 0; i < bus->misses; i++)
		if (bus->missed[i] == key)
			return;
	if (bus->misses == BUS_MISSES_MAX)
		return;
	bus->missed[bus->misses++] = key;
	if (bus->report != NULL)
		bus->report(bus->opaque, access);
}

/* All ones in the low bytes of a value; bytes is 1..8. */
static uint64_t ones(unsigned bytes)
{
	return UINT64_MAX >> (64 - 8 * bytes);
}

static bool is_width(unsigned bytes)
{
	return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

/* Is this access one call of the region's handler? */
static bool fits(const struct bus_region *region, uint64_t address, unsigned bytes)
{
	return region != NULL && (region->widths & bytes) != 0 &&
	       region->size - (address - region->base) >= bytes;
}

static uint64_t region_read(const struct bus_region *region, uint64_t address, unsigned bytes)
{
	if (region->read == NULL)
		return ones(bytes);
	return region->read(region->device, address - region->base, bytes) & ones(bytes);
}

static void region_write(const struct bus_region *region, uint64_t address, unsigned bytes,
			 uint64_t value)
{
	if (region->write != NULL)
		region->write(region->device, address - region->base, bytes, value & ones(bytes));
}

/*
 * One step of an access that is cut up: the size of the next piece, and its
 * region, NULL if nobody takes it (then the piece is one byte).
 */
static unsigned next_piece(struct bus *bus, uint64_t address, unsigned left,
			   const struct bus_region **region)
{
	*region = address <= bus->last ? bus_find(bus, address) : NULL;

	for (unsigned bytes = 8; bytes > 0; bytes /= 2)
		if (bytes <= left && fits(*region, address, bytes))
			return bytes;
	*region = NULL;
	return 1;
}

static uint64_t read_pieces(struct bus *bus, uint64_t address, unsigned bytes)
{
	uint64_t value = 0;
	bool answered = false;

	for (unsigned at = 0; at < bytes;) {
		const struct bus_region *region;
		unsigned piece = next_piece(bus, address + at, bytes - at, &region);
		uint64_t part = 0xff;

		if (region != NULL) {
			part = region_read(region, address + at, piece);
			answered = true;
		}
		value |= part << (8 * at);
		at += piece;
	}

	if (!answered) {
		miss(bus, &(struct bus_miss){
				  .address = address,
				  .bytes = bytes,
			  });
	}
	return value;
}

static void write_pieces(struct bus *bus, uint64_t address, unsigned bytes, uint64_t value)
{
	bool answered = false;

	for (unsigned at = 0; at < bytes;) {
		const struct bus_region *region;
		unsigned piece = next_piece(bus, address + at, bytes - at, &region);

		if (region != NULL) {
			region_write(region, address + at, piece, value >> (8 * at));
			answered = true;
		}
		at += piece;
	}

	if (!answered) {
		miss(bus, &(struct bus_miss){
				  .address = address,
				  .bytes = bytes,
				  .value = value & ones(bytes),
				  .write = true,
			  });
	}
}

uint64_t bus_read(struct bus *bus, uint64_t address, unsigned bytes)
{
	if (!is_width(bytes))
		return UINT64_MAX;

	const struct bus_region *region = bus_find(bus, address);

	if (fits(region, address, bytes))
		return region_read(region, address, bytes);
	return read_pieces(bus, address, bytes);
}

void bus_write(struct bus *bus, uint64_t address, unsigned bytes, uint64_t value)
{
	if (!is_width(bytes))
		return;

	const struct bus_region *region = bus_find(bus, address);

	if (fits(region, address, bytes))
		region_write(region, address, bytes, value);
	else
		write_pieces(bus, address, bytes, value);
}
