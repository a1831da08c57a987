/*
 * One walk for all paging modes: a struct shape has what differs. SDM 3A 4.3
 * to 4.6. Entries are read once, whole; accessed and dirty bits are set at the
 * end, when the access is known to be allowed, atomically.
 */
#include "walk.h"

#include <stddef.h>

enum {
	ENTRY_P = 1 << 0,
	ENTRY_RW = 1 << 1,
	ENTRY_US = 1 << 2,
	ENTRY_A = 1 << 5,
	ENTRY_D = 1 << 6,
	ENTRY_PS = 1 << 7,

	RFLAGS_AC = 1 << 18,
	LEVELS = 5,
};
#define ENTRY_NX (1ull << 63)

/* A paging mode: the shape of its tables. */
struct shape {
	unsigned levels;
	unsigned bits; /* of an address, that index a table */
	unsigned entry_bytes;
	uint64_t root; /* the part of CR3 that is an address */
};

/* A walk under way. */
struct state {
	const struct gmem *mem;
	const struct paging *paging;
	struct shape shape;
	uint8_t *entry[LEVELS]; /* those passed, for their A and D bits */
	unsigned entries;
	uint64_t rights;   /* RW and US that all entries give, and A */
	bool nx;	   /* one of them forbids to execute */
	uint64_t reserved; /* bits that are so in all entries */
};

static const struct shape legacy = {2, 10, 4, 0xfffff000};
static const struct shape pae = {3, 9, 8, 0xffffffe0};
static const struct shape long4 = {4, 9, 8, 0xffffffffff000};
static const struct shape long5 = {5, 9, 8, 0xffffffffff000};

static struct shape shape_of(const struct paging *p)
{
	if (p->efer & EFER_LMA)
		return p->cr4 & CR4_LA57 ? long5 : long4;
	return p->cr4 & CR4_PAE ? pae : legacy;
}

static uint64_t load(const uint8_t *entry, unsigned bytes)
{
	/* Another vCPU may change it: one read, of its whole size. */
	if (bytes == 4)
		return __atomic_load_n((const uint32_t *)(const void *)entry, __ATOMIC_RELAXED);
	return __atomic_load_n((const uint64_t *)(const void *)entry, __ATOMIC_RELAXED);
}

/* PDPTEs of PAE paging carry no rights, and no accessed bit. */
static bool is_pdpte(const struct state *s, unsigned level)
{
	return s->shape.levels == 3 && level == 2;
}

static bool is_leaf(const struct state *s, unsigned level, uint64_t entry)
{
	if (level == 0)
		return true;
	if (level > 2 || is_pdpte(s, level) || !(entry & ENTRY_PS))
		return false;
	return s->shape.bits == 9 || (s->paging->cr4 & CR4_PSE) != 0;
}

static unsigned level_shift(const struct state *s, unsigned level)
{
	return 12 + level * s->shape.bits;
}

/* Bits that must be 0. SDM 3A tables 4-4 to 4-20. */
static bool is_reserved(const struct state *s, unsigned level, uint64_t entry, bool leaf)
{
	uint64_t bits = s->reserved;

	if (s->shape.bits == 10) /* 4-MiB pages: PSE-36, 40 bits */
		return leaf && level == 1 && (entry & 1 << 21) != 0;
	if (is_pdpte(s, level))
		bits |= ENTRY_NX | 0x1e6;
	else if (leaf && level > 0)
		bits |= ((1ull << level_shift(s, level)) - 1) & ~0x1fffull;
	else if (level > 2)
		bits |= ENTRY_PS;
	return (entry & bits) != 0;
}

/* Those of every level. */
static uint64_t always_reserved(const struct state *s)
{
	uint64_t bits = 0x000fffffffffffffull & ~((1ull << s->paging->address_bits) - 1);

	if (!(s->paging->efer & EFER_NXE))
		bits |= ENTRY_NX;
	if (s->shape.levels == 3)
		bits |= 0x7ff0000000000000ull;
	return bits;
}

static uint64_t leaf_address(const struct state *s, unsigned level, uint64_t entry)
{
	uint64_t page = 1ull << level_shift(s, level);

	if (s->shape.bits == 10 && level == 1)
		return (entry & 0xffc00000) | (entry >> 13 & 0xff) << 32;
	return entry & 0x000ffffffffff000ull & ~(page - 1);
}

static bool fault(struct translation *to, unsigned access, unsigned why)
{
	to->error = access | why;
	return false;
}

/* SDM 3A 4.6.1: does the page allow the access? */
static bool is_allowed(const struct state *s, unsigned access)
{
	const struct paging *p = s->paging;
	bool user_page = (s->rights & ENTRY_US) != 0;
	bool user = (access & ACCESS_USER) != 0;

	if (user && !user_page)
		return false;
	if (access & ACCESS_FETCH)
		return !s->nx && (user || !user_page || !(p->cr4 & CR4_SMEP));
	if (!user && user_page && (p->cr4 & CR4_SMAP) && !(p->rflags & RFLAGS_AC))
		return false;
	return !(access & ACCESS_WRITE) || (s->rights & ENTRY_RW) || (!user && !(p->cr0 & CR0_WP));
}

/*
 * The low byte of an entry has both bits, on either size of entry. false: one
 * would have to be set, and must not.
 */
static bool mark(const struct state *s, unsigned access)
{
	for (unsigned i = 0; i < s->entries; i++) {
		bool leaf = i + 1 == s->entries;
		uint8_t bits = leaf && (access & ACCESS_WRITE) ? ENTRY_A | ENTRY_D : ENTRY_A;

		if (s->entry[i] != NULL && (*s->entry[i] & bits) != bits) {
			if (access & ACCESS_PROBE)
				return false;
			__atomic_or_fetch(s->entry[i], bits, __ATOMIC_RELAXED);
		}
	}
	return true;
}

/* With these in all entries, mark() has nothing to do. */
static uint64_t wanted_marks(unsigned access)
{
	return access & ACCESS_WRITE ? ENTRY_A | ENTRY_D : ENTRY_A;
}

static bool walk_tables(struct state *s, uint64_t gva, unsigned access, struct translation *to)
{
	uint64_t table = s->paging->cr3 & s->shape.root;

	for (unsigned level = s->shape.levels - 1;; level--) {
		unsigned shift = level_shift(s, level);
		uint64_t index = gva >> shift & ((1u << s->shape.bits) - 1);
		uint8_t *at = gmem_at(s->mem, table + index * s->shape.entry_bytes,
				      s->shape.entry_bytes);
		uint64_t entry = at ? load(at, s->shape.entry_bytes) : 0;
		bool leaf = is_leaf(s, level, entry);

		if (!(entry & ENTRY_P))
			return fault(to, access, 0);
		if (is_reserved(s, level, entry, leaf))
			return fault(to, access, ACCESS_PRESENT | ACCESS_RESERVED);
		if (is_pdpte(s, level)) {
			at = NULL;
		} else {
			s->rights &= entry;
			s->nx |= (entry & ENTRY_NX) != 0;
		}
		s->entry[s->entries++] = at;
		if (leaf) {
			to->page = 1ull << shift;
			to->gpa = leaf_address(s, level, entry) | (gva & (to->page - 1));
			break;
		}
		table = entry & 0x000ffffffffff000ull;
	}
	if (!is_allowed(s, access))
		return fault(to, access, ACCESS_PRESENT);
	return (s->rights & wanted_marks(access)) == wanted_marks(access) || mark(s, access);
}

bool walk(const struct gmem *mem, const struct paging *paging, uint64_t gva, unsigned access,
	  struct translation *to)
{
	if (!(paging->cr0 & CR0_PG)) {
		to->gpa = gva & 0xffffffff;
		to->page = 1ull << 12;
		return true;
	}
	/* The error code has the fetch bit only where it can matter. */
	unsigned reported = access;

	if (!(paging->cr4 & CR4_SMEP) && !((paging->cr4 & CR4_PAE) && (paging->efer & EFER_NXE)))
		reported &= ~(unsigned)ACCESS_FETCH;

	struct state s = {
		.mem = mem,
		.paging = paging,
		.shape = shape_of(paging),
		.rights = ENTRY_RW | ENTRY_US | ENTRY_A | ENTRY_D,
	};

	s.reserved = always_reserved(&s);

	if (s.shape.levels < 4)
		gva &= 0xffffffff;
	if (!walk_tables(&s, gva, access, to)) {
		to->error &= reported | ACCESS_PRESENT | ACCESS_RESERVED;
		return false;
	}
	return true;
}
