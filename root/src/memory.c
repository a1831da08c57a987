/*
 * The list of free ranges, in order of address. Ranges that were given out
 * before and fresh ones are kept apart, even where they touch.
 *
 * Invariants: ranges are whole pages, not empty, do not overlap.
 * Everything is locked by root_lock (program.h).
 */
#include "memory.h"

#include <lib/layout.h>
#include <lib/log.h>
#include <lib/message.h>
#include <lib/status.h>

enum {
	RANGES = 256,
	LOW_END = 1 << 20, /* what firmware and CPU startup may use */
};

/* Where root sees physical memory: at this distance. */
#define WINDOW	   0x200000000000ul
#define WINDOW_END 0x100000000000ul /* physical addresses below this */

struct range {
	uint64_t begin, end;
	bool fresh;
};

static struct range ranges[RANGES];
static unsigned range_count;
static uint64_t total; /* bytes free at the start */

static void remove(unsigned i)
{
	range_count--;
	for (; i < range_count; i++)
		ranges[i] = ranges[i + 1];
}

static void insert(uint64_t begin, uint64_t end, bool fresh)
{
	unsigned at = 0;

	if (begin >= end)
		return;
	if (range_count == RANGES) {
		log_error("memory: %lu KiB lost, too many free ranges", (end - begin) >> 10);
		return;
	}
	while (at < range_count && ranges[at].begin < begin)
		at++;
	for (unsigned i = range_count++; i > at; i--)
		ranges[i] = ranges[i - 1];
	ranges[at] = (struct range){begin, end, fresh};
}

/* Join range i with its successor if they touch and are alike. */
static void join(unsigned i)
{
	if (i + 1 < range_count && ranges[i].end == ranges[i + 1].begin &&
	    ranges[i].fresh == ranges[i + 1].fresh) {
		ranges[i].end = ranges[i + 1].end;
		remove(i + 1);
	}
}

static void exclude(uint64_t begin, uint64_t end)
{
	for (unsigned i = 0; i < range_count;) {
		struct range r = ranges[i];

		if (r.end <= begin || r.begin >= end) {
			i++;
			continue;
		}
		remove(i);
		insert(r.begin, begin < r.end ? begin : r.end, r.fresh);
		insert(end > r.begin ? end : r.begin, r.end, r.fresh);
		i = 0;
	}
}

static uint64_t page_down(uint64_t address)
{
	return address & -PAGE_SIZE;
}

static uint64_t page_up(uint64_t address)
{
	return page_down(address + PAGE_SIZE - 1);
}

static const struct hip_mem *hip_mem(const struct hip *hip, unsigned i)
{
	uintptr_t at = (uintptr_t)hip + hip->mem_offset + (uintptr_t)i * hip->mem_size;

	return at + sizeof(struct hip_mem) <= (uintptr_t)hip + hip->length
		       ? (const struct hip_mem *)at
		       : NULL;
}

static bool is_range(const struct hip_mem *m)
{
	return (int)m->type != HIP_MEM_FRAMEBUFFER && m->size;
}

void memory_init(const struct hip *hip)
{
	const struct hip_mem *m;

	for (unsigned i = 0; (m = hip_mem(hip, i)); i++) {
		uint64_t end = page_down(m->address + m->size);

		if ((int)m->type == HIP_MEM_AVAILABLE)
			insert(page_up(m->address), end < WINDOW_END ? end : WINDOW_END, true);
	}
	for (unsigned i = 0; (m = hip_mem(hip, i)); i++)
		if ((int)m->type != HIP_MEM_AVAILABLE && is_range(m))
			exclude(page_down(m->address), page_up(m->address + m->size));
	exclude(0, LOW_END);
	total = memory_free_bytes();
}

uint64_t memory_free_bytes(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < range_count; i++)
		sum += ranges[i].end - ranges[i].begin;
	return sum;
}

uint64_t memory_used_bytes(void)
{
	return total - memory_free_bytes();
}

/*
 * Highest place first, so that the large aligned stretches further down stay
 * whole; 0 if it does not fit.
 */
static uint64_t place(const struct range *r, uint64_t size, uint64_t alignment)
{
	uint64_t at;

	if (r->end - r->begin < size)
		return 0;
	at = (r->end - size) & -alignment;
	return at >= r->begin ? at : 0;
}

static void cut(unsigned i, uint64_t at, uint64_t size)
{
	struct range r = ranges[i];

	remove(i);
	insert(r.begin, at, r.fresh);
	insert(at + size, r.end, r.fresh);
}

/* Ranges that were used before come first. */
bool memory_allocate(uint64_t size, uint64_t alignment, struct block *block)
{
	size = page_up(size);
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < range_count; i++) {
			uint64_t at = place(&ranges[i], size, alignment);

			if (at && ranges[i].fresh == (pass == 1)) {
				cut(i, at, size);
				*block = (struct block){at, size, pass == 1};
				return true;
			}
		}
	}
	return false;
}

bool memory_allocate_most(uint64_t size, uint64_t unit, struct block *block)
{
	struct block best = {0, 0, false};
	unsigned best_i = 0;

	for (unsigned i = 0; i < range_count; i++) {
		uint64_t begin = (ranges[i].begin + unit - 1) & -unit;
		uint64_t end = ranges[i].end & -unit;

		if (end > begin && end - begin > best.size) {
			best = (struct block){begin, end - begin, ranges[i].fresh};
			best_i = i;
		}
	}
	best.size = best.size < size ? best.size : size & -unit;
	if (!best.size)
		return false;
	cut(best_i, best.address, best.size);
	*block = best;
	return true;
}

void memory_release(const struct block *block)
{
	insert(block->address, block->address + block->size, false);
	for (unsigned i = range_count; i > 0; i--)
		join(i - 1);
}

void *memory_address(const struct block *block)
{
	return (void *)(WINDOW + block->address);
}

static unsigned long page_in_root(const struct block *block)
{
	return (WINDOW + block->address) / PAGE_SIZE;
}

/* Is what the kernel was to give really there, from begin to end? */
static bool is_held(const struct block *block)
{
	unsigned long first = CRD(CRD_MEM, 0, 0, page_in_root(block));
	unsigned long last = CRD(CRD_MEM, 0, 0, page_in_root(block) + block->size / PAGE_SIZE - 1);

	return lookup(&first) == SUCCESS && first && lookup(&last) == SUCCESS && last;
}

enum status memory_take(const struct block *block, unsigned rights, void **address)
{
	enum status status;

	if (block->address + block->size > WINDOW_END)
		return BAD_PARAMETER;
	status = delegate_range(SEL_PD, CRD_MEM, block->address / PAGE_SIZE,
				block->size / PAGE_SIZE, rights, ITEM_KERNEL, SEL_PD,
				page_in_root(block));
	*address = memory_address(block);
	if (status == SUCCESS && !is_held(block))
		status = BAD_PARAMETER;
	return status;
}

enum status memory_give(const struct block *block, unsigned rights, unsigned flags,
			unsigned long pd, uint64_t to)
{
	return delegate_range(SEL_PD, CRD_MEM, page_in_root(block), block->size / PAGE_SIZE, rights,
			      flags, pd, to / PAGE_SIZE);
}

void memory_drop(const struct block *block)
{
	enum status status = revoke_range(CRD_MEM, page_in_root(block), block->size / PAGE_SIZE,
					  RIGHTS_ALL, true);

	if (status != SUCCESS)
		log_error("memory: revoke of %#lx: %s", block->address, status_name(status));
}
