/*
 * Which PD has which device: an IOMMU that only notes what it is told, and
 * random assignments and ends of PDs against an array of who has what.
 */
#include "hv_fixture.h"

#include <string.h>

#define __builtin_ia32_pause fake_pause
static void fake_pause(void);
#include "../../hypervisor/src/x86/iommu.c"

enum {
	PDS = 12,
	RIDS = 40,
	STEPS = 20000,
	CONFIG = 0x40000, /* page frame of bus 0 */
	FIRST = 0x100,	  /* RIDs that are covered: bus 1 */
	NUMBERS = 32,	  /* of domains */
	UNIT = 0xfed90000,
};

enum { QUEUE_END = 0x40, MESSAGE = 0x10 };

/* The units' tables: by RID, by GSI. */
static struct {
	uint64_t root, domain;
} attached[1 << 16];
static uint64_t pins[GSIS][2];
static unsigned flushed[DOMAINS];
static bool attach_fails, interrupt_fails, enable_fails;
static unsigned head; /* of the unit's queue: what it has done */

bool irq_sources_known(void)
{
	return true;
}

const struct acpi_table *acpi_find(const char signature[4])
{
	/* Length; address, segment 0, buses 0 to 3. */
	static const uint32_t mcfg[15] = {
		[1] = 60,
		[11] = CONFIG << 12,
		[13] = 3 << 24,
	};

	return memcmp(signature, "NONE", 4) ? (const void *)mcfg : NULL;
}

void *kmem_map(uint64_t phys, enum memory_type type)
{
	static uint64_t registers[PAGE_SIZE / 8];

	(void)phys, (void)type;
	return registers;
}

void hip_add(uint64_t phys, uint64_t size, int type)
{
	assert_int_equal(phys, UNIT);
	(void)size, (void)type;
}

bool acpi_parse(const struct acpi_table *t, uint32_t first, const struct records *records)
{
	(void)t, (void)first, (void)records;
	iommu_found(UNIT, true, 0);
	iommu_found(UNIT, true, 0);
	assert_int_equal(unit_count, 1);
	iommu_cover(FIRST, FIRST + 0xff);
	return true;
}

/* It takes all commands there are, and then it looks at the tables again. Time passes. */
static void fake_pause(void)
{
	tsc_now += tsc_khz;
	for (; head != units[0].next; head = (head + 1) % IOMMU_QUEUE) {
		const uint64_t *c = units[0].queue[head];

		switch (c[0] & 0xf) {
		case 1 + CACHED_PAGES:
			assert_in_range(c[0] >> 16, 1, NUMBERS - 1);
			flushed[c[0] >> 16]++;
			break;
		case 0xf:
			units[0].done[0] = (uint32_t)c[1];
			break;
		}
	}
	assert_int_equal(*units[0].tail, head * 16);
}

static bool check(struct iommu_unit *u, const struct acpi_table *t)
{
	(void)u;
	assert_non_null(t);
	iommu.format = &ptab_host;
	iommu.levels = 3;
	iommu.domains = NUMBERS;
	iommu.max_apic_id = 1000;
	return true;
}

static bool enable(struct iommu_unit *u)
{
	head = 0; /* as its register, once the queue is on */
	return !enable_fails && iommu_run(u, NULL);
}

/* A number is used for one device at a time. */
static struct iommu_entry device(uint16_t rid, unsigned domain)
{
	assert_in_range(domain, 1, NUMBERS - 1);
	if (attached[rid].root)
		assert_int_equal(attached[rid].domain, domain);
	else if (attach_fails)
		return (struct iommu_entry){0};
	for (unsigned i = 0; i < 1 << 16; i++)
		assert_true(i == rid || !attached[i].root || attached[i].domain != domain);
	return (struct iommu_entry){.at = &attached[rid].root, .low = 1, .high = domain};
}

static struct iommu_entry interrupt(unsigned gsi, uint32_t source, uint32_t apic_id, bool level)
{
	return (struct iommu_entry){
		.at = interrupt_fails ? NULL : pins[gsi],
		.low = source,
		.high = apic_id << 1 | level,
		.message = MESSAGE,
	};
}

static void faults(struct iommu_unit *u)
{
	assert_ptr_equal(u, units);
}

const struct iommu_vendor vtd = {
	.signature = "TEST",
	.check = check,
	.enable = enable,
	.device = device,
	.faults = faults,
	.interrupt = interrupt,
	.tail = QUEUE_END,
	.wait = {0xf, 1},
	.forget = {{{1}, 0}, {{2}, 1 << 16}, {{3}, 0}},
};
const struct iommu_vendor amdvi = {.signature = "NONE"};

static struct pd *pds[PDS];

static struct pd *new_pd(void)
{
	struct pd *pd;

	assert_int_equal(pd_create(&pd, &pd_kernel, 20), SUCCESS);
	return pd;
}

static void start(void)
{
	static bool started;
	static iommu_command queue[2 * IOMMU_QUEUE];

	for (unsigned i = 0; started && i < PDS; i++)
		iommu_release(pds[i]);
	fixture_init(2048, 1);
	if (!started) {
		iommu_init();
		started = true;
		/* Not in the pool, which begins anew. */
		units[0].queue = queue;
	}
	assert_ptr_equal(iommu.vendor, &vtd);
	assert_true(iommu.complete && iommu.remap_interrupts);
	for (unsigned i = 0; i < PDS; i++)
		pds[i] = new_pd();
}

static uint64_t frame(unsigned n)
{
	return CONFIG + FIRST + n;
}

static void test_model(void **state)
{
	unsigned owner[RIDS] = {0}; /* PD's number + 1 */

	(void)state;
	start();
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned p = (unsigned)rnd(PDS), n = (unsigned)rnd(RIDS);
		unsigned held = 0;

		for (unsigned i = 0; i < RIDS; i++)
			held += owner[i] && i != n;
		if (rnd(8) == 0) {
			iommu_release(pds[p]);
			for (unsigned i = 0; i < RIDS; i++)
				owner[i] = owner[i] == p + 1 ? 0 : owner[i];
		} else {
			attach_fails = rnd(10) == 0;
			enum status s = iommu_assign(pds[p], frame(n));
			bool good = !attach_fails && held < NUMBERS - 1;

			assert_int_equal(s, good ? SUCCESS : OUT_OF_MEMORY);
			owner[n] = good ? p + 1 : 0;
		}
		memset(flushed, 0, sizeof(flushed));
		iommu_flush(pds[p]);
		for (unsigned i = 0; i < RIDS; i++) {
			uint64_t root = attached[FIRST + i].root;

			assert_int_equal(!!root, !!owner[i]);
			if (root) {
				assert_int_equal(flushed[attached[FIRST + i].domain],
						 owner[i] == p + 1);
			}
		}
	}
}

/* Its tables' pages are not given back while a device may walk them. */
static void test_end(void **state)
{
	(void)state;
	start();
	attach_fails = false;
	assert_int_equal(iommu_assign(pds[0], frame(0)), SUCCESS);
	assert_int_equal(iommu_assign(pds[1], frame(1)), SUCCESS);
	object_put(&pds[0]->object);
	run_grace_periods();
	assert_int_equal(attached[FIRST].root, 0);
	assert_int_not_equal(attached[FIRST + 1].root, 0);
	iommu_release(pds[1]);
}

static void test_refused(void **state)
{
	struct pd *poor;
	uint32_t rid;

	(void)state;
	start();
	/* Not covered, no bus that there is, below the first. */
	assert_int_equal(iommu_assign(pds[0], CONFIG + 0xff), BAD_DEVICE);
	assert_int_equal(iommu_assign(pds[0], CONFIG + 0x200), BAD_DEVICE);
	assert_int_equal(iommu_assign(pds[0], CONFIG + 0x400), BAD_DEVICE);
	assert_int_equal(iommu_assign(pds[0], CONFIG - 1), BAD_DEVICE);
	assert_int_equal(iommu_assign(pds[0], 0), BAD_DEVICE);
	assert_int_equal(iommu_assign(pds[0], ~0ul), BAD_DEVICE);
	assert_true(iommu_device(CONFIG + 0x3ff, &rid));
	assert_int_equal(rid, 0x3ff);
	assert_false(iommu_device(CONFIG + 0x400, &rid));
	/* Of another segment are others with the same numbers. */
	config.segment = 1;
	assert_int_equal(iommu_assign(pds[0], frame(0)), BAD_DEVICE);
	config.segment = 0;
	/* No quota for the tables. */
	assert_int_equal(pd_create(&poor, &pd_kernel, 3), SUCCESS);
	assert_int_equal(iommu_assign(poor, frame(0)), OUT_OF_MEMORY);
	assert_int_equal(attached[FIRST].root, 0);
	iommu.complete = false;
	assert_int_equal(iommu_assign(pds[0], frame(0)), BAD_DEVICE);
	iommu.complete = true;
}

/* After sleep its device would reach all memory. */
static void test_lost(void **state)
{
	jmp_buf here;

	(void)state;
	start();
	/* Also where its queue stood at the place to which its first command brings it. */
	assert_int_equal(iommu_assign(pds[0], frame(0)), SUCCESS);
	while (units[0].next != 1)
		iommu_flush(pds[0]);
	iommu_start(true);
	assert_true(iommu.complete);
	enable_fails = true;
	panic_expected = &here;
	if (!setjmp(here)) {
		iommu_start(true);
		fail();
	}
	panic_expected = NULL;
	enable_fails = false;
	assert_non_null(units[0].tail);
}

static void test_interrupts(void **state)
{
	uint64_t address;

	(void)state;
	start();
	assert_int_equal(iommu_interrupt(1, 2, 300, true, &address), SUCCESS);
	assert_int_equal(address, 0xfee00000 | MESSAGE);
	assert_int_equal(pins[1][0], 2);
	assert_int_equal(pins[1][1], 601);
	interrupt_fails = true;
	assert_int_equal(iommu_interrupt(1, 3, 300, true, &address), OUT_OF_MEMORY);
	assert_int_equal(pins[1][0], 2);
	interrupt_fails = false;
	assert_int_equal(iommu_interrupt(1, 2, 1001, true, &address), BAD_CPU);
	iommu.remap_interrupts = false;
	assert_int_equal(iommu_interrupt(1, 2, 255, true, &address), BAD_CPU);
	assert_int_equal(iommu_interrupt(1, 2, 3, true, &address), SUCCESS);
	assert_int_equal(address, 0xfee03000);
	iommu.remap_interrupts = true;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),	   cmocka_unit_test(test_end),
		cmocka_unit_test(test_refused),	   cmocka_unit_test(test_lost),
		cmocka_unit_test(test_interrupts),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
