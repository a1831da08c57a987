/*
 * A bus: who answers at which address. There are two in a machine, one for I/O
 * ports and one for guest-physical memory that is not RAM; both have this one
 * interface, so that a device does not care on which it sits.
 *
 * Regions never overlap: adding one that does is refused. What nobody answers
 * reads as all ones, swallows writes, and is reported once for each address.
 *
 * Nothing here takes a lock: the caller holds the VM's.
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	BUS_REGIONS_MAX = 96,
	BUS_CACHE_SIZE = 32, /* a power of two */
	BUS_MISSES_MAX = 128,
};

/* Sizes that a region's handlers take, to be or-ed: a size is its own bit. */
enum bus_width {
	BUS_BYTE = 1,
	BUS_WORD = 2,
	BUS_DWORD = 4,
	BUS_QWORD = 8,
	BUS_WORDS_ALL = BUS_BYTE | BUS_WORD | BUS_DWORD,
};

enum bus_status {
	BUS_OK,
	BUS_OVERLAP, /* some address has an owner: bus_find() */
	BUS_INVALID, /* empty, wraps, beyond the bus, no widths */
	BUS_FULL,
};

struct bus_region {
	uint64_t base; /* first port or guest-physical address */
	uint64_t size; /* in bytes */

	/*
	 * Offset is relative to base; bytes is one of the widths, and offset
	 * + bytes <= size. No alignment is promised. What read returns above
	 * bytes is cut off; value holds nothing above bytes.
	 * read may be NULL (all ones), write may be NULL (ignored).
	 */
	uint64_t (*read)(void *device, uint64_t offset, unsigned bytes);
	void (*write)(void *device, uint64_t offset, unsigned bytes, uint64_t value);
	void *device;
	const char *name; /* for messages; kept by reference */

	/*
	 * enum bus_width, or-ed. An access wider than that comes as several,
	 * lowest address first, each of the widest size that is taken. One
	 * narrower than all of them is dropped, and reads as all ones.
	 */
	uint8_t widths;
};

/* An access that nobody answered: once for each address and direction. */
struct bus_miss {
	uint64_t address;
	uint64_t value; /* of a write */
	unsigned bytes;
	bool write;
};

struct bus {
	struct bus_region region[BUS_REGIONS_MAX]; /* sorted by base */
	unsigned count;
	uint64_t last;		       /* the highest address */
	uint8_t cache[BUS_CACHE_SIZE]; /* by hash of the address: an index */

	void (*report)(void *opaque, const struct bus_miss *miss);
	void *opaque;
	uint64_t missed[BUS_MISSES_MAX]; /* address << 1 | write */
	unsigned misses;
};

/* last: highest address, 0xffff for ports. report may be NULL. */
void bus_init(struct bus *bus, uint64_t last,
	      void (*report)(void *opaque, const struct bus_miss *miss), void *opaque);

/* The region is copied. */
[[nodiscard]] enum bus_status bus_add(struct bus *bus, const struct bus_region *region);

/* Remove the region that starts at base; false: there is none. */
bool bus_remove(struct bus *bus, uint64_t base);

/* The region that owns an address, or NULL. Valid until the next add/remove. */
const struct bus_region *bus_find(struct bus *bus, uint64_t address);

/* bytes is 1, 2, 4 or 8; any other reads as all ones and writes nothing. */
uint64_t bus_read(struct bus *bus, uint64_t address, unsigned bytes);
void bus_write(struct bus *bus, uint64_t address, unsigned bytes, uint64_t value);
