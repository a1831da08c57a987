/*
 * The structure is written once, when the guest tells its address: the TSC is
 * constant, so nothing in it changes afterwards.
 */
#include "pvclock.h"

#include <stddef.h>

enum { ENABLE = 1 << 0, FLAG_TSC_STABLE = 1 << 0 };

struct system_time {
	uint32_t version; /* odd while it changes */
	uint32_t pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time;	    /* ns at tsc_timestamp */
	uint32_t tsc_to_system_mul; /* ns = (tsc << shift) * mul >> 32 */
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t pad1[2];
};

struct wall_clock {
	uint32_t version, sec, nsec;
};

_Static_assert(sizeof(struct system_time) == 32, "layout");
_Static_assert(sizeof(struct wall_clock) == 12, "layout");

bool pvclock_write_system(const struct gmem *mem, uint64_t value, uint32_t tsc_khz)
{
	/* mul = 10^6 / khz as a fraction of 2^32, which must be below 1. */
	struct system_time time = {.version = 2, .flags = FLAG_TSC_STABLE};
	uint64_t khz = tsc_khz;

	if (!(value & ENABLE))
		return true;
	while (khz <= 1000000) {
		khz <<= 1;
		time.tsc_shift++;
	}
	time.tsc_to_system_mul = (uint32_t)((1000000ull << 32) / khz);
	return gmem_write(mem, value & ~(uint64_t)3, &time, sizeof(time));
}

bool pvclock_write_wall(const struct gmem *mem, uint64_t gpa, uint64_t boot)
{
	struct wall_clock wall = {.version = 2, .sec = (uint32_t)boot};

	return gmem_write(mem, gpa, &wall, sizeof(wall));
}
