/*
 * The pool is one block of available RAM above 1 MiB that the image and the
 * modules leave free: the highest below 4 GiB, where every structure of
 * every processor may lie, else the highest; a sixteenth of RAM, smaller if no
 * block is that large.
 */
#include "pool.h"

#include <abi/hip.h>

#include "../panic.h"
#include "boot.h"
#include "kmem.h"

#define MIB	 (1ul << 20)
#define STEP	 (2 * MIB)
#define POOL_MIN (16 * MIB)
#define POOL_MAX (1024 * MIB)
#define RAM_PART 16

static uint64_t ram_size(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < boot_info.ranges; i++)
		if (boot_info.range[i].type == HIP_MEM_AVAILABLE)
			sum += boot_info.range[i].size;
	return sum;
}

/* The start of what the range overlaps and must not, or 0. */
static uint64_t conflict(uint64_t start, uint64_t end)
{
	if (start < kmem_image_phys(image_end) && IMAGE_PHYS < end)
		return IMAGE_PHYS;
	for (uint32_t i = 0; i < boot_info.modules; i++) {
		const struct boot_module *m = &boot_info.module[i];

		if (start < m->phys + m->size && m->phys < end)
			return m->phys;
	}
	for (uint32_t i = 0; i < boot_info.ranges; i++) {
		const struct boot_range *r = &boot_info.range[i];

		if (r->type != HIP_MEM_AVAILABLE && start < r->address + r->size &&
		    r->address < end)
			return r->address;
	}
	return 0;
}

/* The highest block of this size in a range, or 0. */
static uint64_t highest_in(const struct boot_range *r, uint64_t size, uint64_t limit)
{
	uint64_t end = r->address + r->size, start, obstacle;

	end = end < limit ? end : limit;
	while (end >= size) {
		start = (end - size) & ~(STEP - 1);
		if (start < r->address || start < MIB)
			break;
		obstacle = conflict(start, start + size);
		if (!obstacle)
			return start;
		end = obstacle;
	}
	return 0;
}

static uint64_t highest(uint64_t size, uint64_t limit)
{
	uint64_t best = 0;

	for (uint32_t i = 0; i < boot_info.ranges; i++) {
		if (boot_info.range[i].type == HIP_MEM_AVAILABLE) {
			uint64_t start = highest_in(&boot_info.range[i], size, limit);

			best = start > best ? start : best;
		}
	}
	return best;
}

void pool_choose(uint64_t *phys, uint64_t *size)
{
	uint64_t want = (ram_size() / RAM_PART + STEP - 1) & ~(STEP - 1);

	want = want < POOL_MIN ? POOL_MIN : want > POOL_MAX ? POOL_MAX : want;
	for (; want >= STEP; want = want / 2 & ~(STEP - 1)) {
		*phys = highest(want, 1ul << 32);
		if (!*phys)
			*phys = highest(want, ~0ul);
		if (*phys) {
			*size = want;
			return;
		}
	}
	panic("no free RAM for the kernel");
}
