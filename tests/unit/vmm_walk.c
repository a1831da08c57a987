/*
 * The walk of the guest's page tables against a model that reads like the
 * manual: one function for each mode, no tables shared with the subject. Random
 * tables, addresses, accesses and control bits; accessed and dirty bits too.
 * And guest memory itself: what is RAM, and what is not.
 */
#include "vmm_fixture.h"

#include "../../vmm/src/walk.h"

enum { RAM = 0x200000, ROUNDS = 400000, BITS = 40 };

static uint8_t ram[RAM] __attribute__((aligned(4096)));
static uint8_t copy[RAM];
static struct gmem mem;
static uint32_t seed = 3;

/* The model's result. */
struct model {
	bool ok;
	uint64_t gpa, page;
	uint32_t error;
	uint64_t entry[5]; /* addresses of entries, root first */
	unsigned entries;
	unsigned entry_bytes;
	bool no_a[5]; /* PDPTEs of PAE: no accessed bit */
};

static uint64_t entry_at(uint64_t gpa, unsigned bytes)
{
	uint64_t value = 0;

	if (gpa + bytes <= RAM && !(gpa >= 0xa0000 && gpa < 0xc0000))
		memcpy(&value, copy + gpa, bytes);
	return value;
}

struct rights {
	bool write, user, nx;
};

static void note(struct model *m, uint64_t at, bool no_a)
{
	m->no_a[m->entries] = no_a;
	m->entry[m->entries++] = at;
}

static void refuse(struct model *m, unsigned error)
{
	m->ok = false;
	m->error = error;
}

static void found(struct model *m, uint64_t gpa, uint64_t page)
{
	m->ok = true;
	m->gpa = gpa;
	m->page = page;
}

/* Two levels of 1024 entries of 4 bytes. */
static void model_32(struct model *m, const struct paging *p, uint32_t gva, struct rights *r)
{
	uint64_t at = (p->cr3 & 0xfffff000) + (gva >> 22) * 4;
	uint64_t pde = entry_at(at, 4), pte;

	m->entry_bytes = 4;
	if (!(pde & 1)) {
		refuse(m, 0);
		return;
	}
	note(m, at, false);
	r->write = r->write && (pde & 2);
	r->user = r->user && (pde & 4);
	if ((pde & 0x80) && (p->cr4 & CR4_PSE)) {
		if (pde & 0x200000) {
			refuse(m, 9);
			return;
		}
		found(m, (pde & 0xffc00000) | (pde & 0x1fe000) << 19 | (gva & 0x3fffff), 1 << 22);
		return;
	}
	at = (pde & 0xfffff000) + (gva >> 12 & 1023) * 4;
	pte = entry_at(at, 4);
	if (!(pte & 1)) {
		refuse(m, 0);
		return;
	}
	note(m, at, false);
	r->write = r->write && (pte & 2);
	r->user = r->user && (pte & 4);
	found(m, (pte & 0xfffff000) | (gva & 0xfff), 4096);
}

/* Tables of 512 entries of 8 bytes, from that level down. */
static void model_64(struct model *m, const struct paging *p, uint64_t gva, int level,
		     uint64_t table, bool is_pae, struct rights *r)
{
	const uint64_t high = 0x000fffffffffffff & ~((1ull << BITS) - 1);

	for (;; level--) {
		unsigned shift = 12 + 9 * (unsigned)level;
		uint64_t at = table + (gva >> shift & 511) * 8;
		uint64_t entry = entry_at(at, 8);
		bool pdpte = is_pae && level == 2;
		bool large = !pdpte && (level == 1 || level == 2) && (entry & 0x80);
		uint64_t zero = high;

		if (!(entry & 1)) {
			refuse(m, 0);
			return;
		}
		zero |= (p->efer & EFER_NXE) && !pdpte ? 0 : 1ull << 63;
		zero |= is_pae ? 0x7ff0000000000000 : 0;
		zero |= pdpte ? 0x1e6 : 0;
		zero |= level > 2 ? 0x80 : 0;
		zero |= large && level == 1 ? 0x1fe000 : 0;
		zero |= large && level == 2 ? 0x3fffe000 : 0;
		if (entry & zero) {
			refuse(m, 9);
			return;
		}
		note(m, at, pdpte);
		if (!pdpte) {
			r->write = r->write && (entry & 2);
			r->user = r->user && (entry & 4);
			r->nx = r->nx || entry >> 63;
		}
		if (large || level == 0) {
			uint64_t page = 1ull << shift;

			found(m, (entry & 0x000ffffffffff000 & ~(page - 1)) | (gva & (page - 1)),
			      page);
			return;
		}
		table = entry & 0x000ffffffffff000;
	}
}

static bool permits(const struct paging *p, const struct rights *r, unsigned access)
{
	bool user = access & ACCESS_USER;

	if (access & ACCESS_FETCH) {
		if (r->nx || (user && !r->user))
			return false;
		return user || !r->user || !(p->cr4 & CR4_SMEP);
	}
	if (user)
		return r->user && (r->write || !(access & ACCESS_WRITE));
	if (r->user && (p->cr4 & CR4_SMAP) && !(p->rflags & 1 << 18))
		return false;
	return r->write || !(access & ACCESS_WRITE) || !(p->cr0 & CR0_WP);
}

static struct model model(const struct paging *p, uint64_t gva, unsigned access)
{
	struct model m = {.entry_bytes = 8};
	struct rights r = {true, true, false};

	if (!(p->cr0 & CR0_PG)) {
		found(&m, gva & 0xffffffff, 4096);
		return m;
	}
	if (p->efer & EFER_LMA) {
		model_64(&m, p, gva, p->cr4 & CR4_LA57 ? 4 : 3, p->cr3 & 0xffffffffff000, false,
			 &r);
	} else if (p->cr4 & CR4_PAE) {
		model_64(&m, p, gva & 0xffffffff, 2, p->cr3 & 0xffffffe0, true, &r);
	} else {
		model_32(&m, p, (uint32_t)gva, &r);
	}
	if (m.ok && !permits(p, &r, access))
		refuse(&m, ACCESS_PRESENT);
	if (!m.ok) {
		bool fetch = (p->cr4 & CR4_SMEP) || ((p->cr4 & CR4_PAE) && (p->efer & EFER_NXE));

		m.error |= access & (ACCESS_WRITE | ACCESS_USER);
		m.error |= fetch ? access & ACCESS_FETCH : 0;
	}
	return m;
}

/* What the walk is to leave in the tables. */
static void mark(const struct model *m, unsigned access)
{
	for (unsigned i = 0; m->ok && i < m->entries; i++) {
		if (!m->no_a[i])
			copy[m->entry[i]] |= 0x20;
		if (i + 1 == m->entries && (access & ACCESS_WRITE))
			copy[m->entry[i]] |= 0x40;
	}
}

static uint64_t random64(void)
{
	return (uint64_t)random32(&seed) << 32 | random32(&seed);
}

/* Entries that mostly lead somewhere; few bits besides. */
static void random_tables(void)
{
	for (unsigned i = 0; i < RAM; i += 8) {
		uint64_t entry = random64() & 0x1ff000;

		entry |= 0x27 & ~(random32(&seed) & random32(&seed) & random32(&seed));
		entry |= random64() & random64() & random64() & random64() & random64() &
			 0x80000000000001ff;
		if (random32(&seed) % 64 == 0)
			entry ^= 1ull << random32(&seed) % 64;
		memcpy(ram + i, &entry, 8);
	}
	memcpy(copy, ram, RAM);
}

static void random_paging(struct paging *p)
{
	*p = (struct paging){
		.cr0 = CR0_PE | CR0_PG,
		.cr3 = random64() & 0x1fffff,
		.cr4 = random64(),
		.efer = random64() & (EFER_NXE | EFER_LMA),
		.rflags = random32(&seed),
		.address_bits = BITS,
	};
	if (random32(&seed) & 1)
		p->cr0 |= CR0_WP;
	if (random32(&seed) % 16 == 0)
		p->cr0 &= ~(uint64_t)CR0_PG;
	if (p->efer & EFER_LMA)
		p->cr4 |= CR4_PAE;
}

static void test_against_model(void **state)
{
	unsigned ok = 0;

	(void)state;
	gmem_init(&mem, ram, RAM);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct paging p;
		uint64_t gva = random64();
		unsigned access = random32(&seed) & (ACCESS_USER | ACCESS_WRITE | ACCESS_FETCH);
		struct translation to = {0};

		if (access & ACCESS_FETCH)
			access &= ~(unsigned)ACCESS_WRITE;
		if (i % 10000 == 0)
			random_tables();
		random_paging(&p);

		struct model m = model(&p, gva, access);

		assert_int_equal(walk(&mem, &p, gva, access, &to), m.ok);
		if (m.ok) {
			ok++;
			assert_int_equal(to.gpa, m.gpa);
			assert_int_equal(to.page, m.page);
			mark(&m, access);
		} else {
			assert_int_equal(to.error, m.error);
		}
		if (i % 1000 == 0)
			assert_memory_equal(ram, copy, RAM);
	}
	print_message("%u of %u translate\n", ok, ROUNDS);
	assert_true(ok > ROUNDS / 50);
}

static void test_memory(void **state)
{
	struct gmem m;
	struct gmem_run r;
	uint8_t *base = (uint8_t *)0x40000000; /* never touched */

	(void)state;
	gmem_init(&m, base, 5ull << 30);
	assert_ptr_equal(gmem_at(&m, 0, 0xa0000), base);
	assert_null(gmem_at(&m, 0, 0xa0001));
	assert_null(gmem_at(&m, 0x9ffff, 2));
	assert_null(gmem_at(&m, 0xa0000, 1));
	assert_null(gmem_at(&m, 0xbffff, 1));
	assert_ptr_equal(gmem_at(&m, 0xc0000, 1), base + 0xc0000);
	assert_ptr_equal(gmem_at(&m, 0xbfffffff, 1), base + 0xbfffffff);
	assert_null(gmem_at(&m, 0xbfffffff, 2));
	assert_null(gmem_at(&m, 0xc0000000, 1));
	assert_null(gmem_at(&m, 0xffffffff, 1));
	assert_ptr_equal(gmem_at(&m, 0x100000000, 1), base + 0xc0000000);
	assert_ptr_equal(gmem_at(&m, 0x17fffffff, 1), base + 0x13fffffff);
	assert_null(gmem_at(&m, 0x17fffffff, 2));
	assert_null(gmem_at(&m, 0x180000000, 1));
	assert_null(gmem_at(&m, ~0ull, 1));
	assert_null(gmem_at(&m, 0, ~0ull));
	assert_null(gmem_at(&m, 0x1000, 0));

	assert_true(gmem_run(&m, 0, &r));
	assert_true(r.gpa == 0 && r.bytes == 0xa0000 && r.offset == 0);
	assert_true(gmem_run(&m, 1, &r));
	assert_true(r.gpa == 0xc0000 && r.bytes == 0xbff40000 && r.offset == 0xc0000);
	assert_true(gmem_run(&m, 2, &r));
	assert_true(r.gpa == 0x100000000 && r.bytes == 2ull << 30 && r.offset == 0xc0000000);
	assert_false(gmem_run(&m, 3, &r));
	gmem_init(&m, base, 64 << 20);
	assert_true(gmem_run(&m, 1, &r));
	assert_int_equal(r.gpa + r.bytes, 64 << 20);
	assert_false(gmem_run(&m, 2, &r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
