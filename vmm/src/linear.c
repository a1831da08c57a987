/*
 * Locating splits an access at a page boundary; the places then are pointers
 * into RAM or addresses of devices, and reading and writing cannot fail any
 * more.
 */
#include "linear.h"

#include <string.h>

enum { PAGE = 4096 };

static enum outcome translate(struct linear *l, uint64_t gva, unsigned access, uint64_t *gpa)
{
	struct linear_cache *cache = &l->cache[(access & ACCESS_WRITE) != 0];
	uint64_t offset = gva & (PAGE - 1);
	struct translation to;

	if (cache->valid && cache->page == gva - offset) {
		*gpa = cache->gpa + offset;
		return OUTCOME_DONE;
	}
	if (!walk(l->mem, &l->paging, gva, access | l->access, &to)) {
		l->fault = (struct exception){VECTOR_PF, true, to.error, gva};
		return OUTCOME_FAULT;
	}
	if (!(access & ACCESS_FETCH))
		*cache = (struct linear_cache){true, gva - offset, to.gpa - offset};
	*gpa = to.gpa;
	return OUTCOME_DONE;
}

/* Linear addresses wrap at 4 GiB outside of long mode. */
static uint64_t wrap(const struct linear *l, uint64_t gva)
{
	return l->paging.efer & EFER_LMA ? gva : gva & 0xffffffff;
}

enum outcome linear_locate(struct linear *l, uint64_t gva, unsigned bytes, unsigned access,
			   struct place *place)
{
	unsigned here = PAGE - (unsigned)(gva & (PAGE - 1));

	place->pieces = 0;
	gva = wrap(l, gva);
	if (here > bytes)
		here = bytes;
	while (bytes > 0) {
		struct piece *p = &place->piece[place->pieces++];
		enum outcome out = translate(l, gva, access, &p->gpa);

		if (out != OUTCOME_DONE)
			return out;
		p->bytes = here;
		p->ram = gmem_at(l->mem, p->gpa, here);
		gva = wrap(l, gva + here);
		bytes -= here;
		here = bytes;
	}
	return OUTCOME_DONE;
}

static bool is_power_of_two(unsigned n)
{
	return (n & (n - 1)) == 0;
}

static uint64_t cut(uint64_t value, unsigned bytes)
{
	return bytes < 8 ? value & ((1ull << 8 * bytes) - 1) : value;
}

static uint64_t piece_read(const struct linear *l, const struct piece *p)
{
	uint64_t value = 0;

	if (p->ram != NULL) {
		memcpy(&value, p->ram, p->bytes);
		return value;
	}
	if (is_power_of_two(p->bytes))
		return cut(l->mmio->read(l->mmio->opaque, p->gpa, p->bytes), p->bytes);
	for (unsigned i = 0; i < p->bytes; i++)
		value |= (l->mmio->read(l->mmio->opaque, p->gpa + i, 1) & 0xff) << 8 * i;
	return value;
}

static void piece_write(const struct linear *l, const struct piece *p, uint64_t value)
{
	if (p->ram != NULL) {
		memcpy(p->ram, &value, p->bytes);
		return;
	}
	if (is_power_of_two(p->bytes)) {
		l->mmio->write(l->mmio->opaque, p->gpa, p->bytes, cut(value, p->bytes));
		return;
	}
	for (unsigned i = 0; i < p->bytes; i++)
		l->mmio->write(l->mmio->opaque, p->gpa + i, 1, value >> 8 * i & 0xff);
}

uint64_t place_read(const struct linear *l, const struct place *place)
{
	uint64_t value = piece_read(l, &place->piece[0]);

	if (place->pieces == 2)
		value |= piece_read(l, &place->piece[1]) << 8 * place->piece[0].bytes;
	return value;
}

void place_write(const struct linear *l, const struct place *place, uint64_t value)
{
	piece_write(l, &place->piece[0], value);
	if (place->pieces == 2)
		piece_write(l, &place->piece[1], value >> 8 * place->piece[0].bytes);
}

enum outcome linear_fetch(struct linear *l, uint64_t gva, uint8_t *to, unsigned most, unsigned *got)
{
	uint64_t gpa;
	unsigned here = PAGE - (unsigned)(gva & (PAGE - 1));

	gva = wrap(l, gva);
	if (here > most)
		here = most;

	enum outcome out = translate(l, gva, ACCESS_FETCH, &gpa);

	if (out != OUTCOME_DONE)
		return out;
	/* Code in a device's memory is not fetched: its reads have effects. */
	if (!gmem_read(l->mem, gpa, to, here))
		return OUTCOME_UNKNOWN;
	*got = here;
	return OUTCOME_DONE;
}
