/*
 * RAM is one area of ours in two runs of the guest's: gmem.h.
 */
#include "gmem.h"

#include <string.h>

void gmem_init(struct gmem *mem, void *base, uint64_t size)
{
	mem->base = base;
	mem->low = size < GMEM_HOLE ? size : GMEM_HOLE;
	mem->high = size - mem->low;
}

/* Where a run of RAM that starts at gpa ends, or gpa if that is no RAM. */
static uint64_t run_end(const struct gmem *mem, uint64_t gpa)
{
	if (gpa < GMEM_VGA)
		return GMEM_VGA;
	if (gpa >= GMEM_VGA_END && gpa < mem->low)
		return mem->low;
	if (gpa >= GMEM_HIGH && gpa - GMEM_HIGH < mem->high)
		return GMEM_HIGH + mem->high;
	return gpa;
}

static uint8_t *pointer(const struct gmem *mem, uint64_t gpa)
{
	return gpa < GMEM_HIGH ? mem->base + gpa : mem->base + mem->low + (gpa - GMEM_HIGH);
}

void *gmem_at_any(const struct gmem *mem, uint64_t gpa, uint64_t bytes)
{
	if (bytes == 0 || bytes > run_end(mem, gpa) - gpa)
		return NULL;
	return pointer(mem, gpa);
}

bool gmem_read(const struct gmem *mem, uint64_t gpa, void *to, size_t bytes)
{
	const void *from = gmem_at(mem, gpa, bytes);

	if (from != NULL)
		memcpy(to, from, bytes);
	return from != NULL;
}

bool gmem_write(const struct gmem *mem, uint64_t gpa, const void *from, size_t bytes)
{
	void *to = gmem_at(mem, gpa, bytes);

	if (to != NULL)
		memcpy(to, from, bytes);
	return to != NULL;
}

bool gmem_run(const struct gmem *mem, unsigned index, struct gmem_run *run)
{
	const uint64_t start[] = {0, GMEM_VGA_END, GMEM_HIGH};

	for (unsigned i = 0; i < sizeof(start) / sizeof(*start); i++) {
		uint64_t end = run_end(mem, start[i]);

		if (end > start[i] && index-- == 0) {
			run->gpa = start[i];
			run->bytes = end - start[i];
			run->offset = (uint64_t)(pointer(mem, start[i]) - mem->base);
			return true;
		}
	}
	return false;
}
