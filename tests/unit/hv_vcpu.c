/*
 * What vCPUs of both vendors share: identifiers of TLB entries, and which XCR0
 * a guest may have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fpu.h"
#include "hv_changing.h"
#include "log.h"
#include "mapping.h"
#include "page.h"
#include "tree.h"
#include "x86/cpu.h"
#include "x86/mitigate.h"
#include "x86/vcpu.h"

enum { LIMIT = 16 }; /* of identifiers */

static struct cpu cpu;
static unsigned switches;

uint64_t pool_phys;

struct lock mdb_lock;
uint64_t fpu_xcr0 = 0xe7, fpu_xss = 0x1800;

struct cpu *this_cpu(void)
{
	return &cpu;
}

void log(const char *format, ...)
{
	(void)format;
}

void *page_alloc(struct pd *payer, unsigned order, bool zero)
{
	(void)payer, (void)order, (void)zero;
	return NULL;
}

void page_free(struct pd *payer, void *page, unsigned order)
{
	(void)payer, (void)page, (void)order;
}

uint64_t *tree_table(struct tree *t, struct pd *payer, unsigned level)
{
	(void)t, (void)payer, (void)level;
	return NULL;
}

void fpu_drop(struct ec *ec)
{
	(void)ec;
}

void fpu_switch(struct ec *ec)
{
	(void)ec;
	switches++;
}

void fpu_load(struct ec *ec, const struct utcb *u)
{
	(void)ec, (void)u;
}

void mitigate_switch(bool guest)
{
	(void)guest;
}

struct ec *preempt(struct ec *ec)
{
	return ec;
}

/* Nobody has another's, until all are taken away at once. */
static void identifiers(void **state)
{
	enum { VCPUS = 40 };
	static struct vcpu v[VCPUS];

	(void)state;
	for (unsigned i = 0; i < VCPUS; i++) {
		bool flush = vcpu_take_asid(&v[i], LIMIT);

		assert_int_equal(flush, i % (LIMIT - 1) == 0);
		assert_in_range(v[i].asid, 1, LIMIT - 1);
		for (unsigned j = 0; j < i; j++) {
			assert_false(v[j].asid == v[i].asid &&
				     v[j].asid_generation == v[i].asid_generation);
		}
	}
	assert_int_equal(cpu.asid_generation, (VCPUS - 1) / (LIMIT - 1) + 1);
}

/* In sleep a CPU forgets them all, also those of vCPUs that were not loaded. */
static void sleep_forgets(void **state)
{
	struct vcpu v[2] = {0};

	(void)state;
	memset(&cpu, 0, sizeof(cpu));
	list_init(&cpu.vcpus);
	for (unsigned i = 0; i < 2; i++) {
		assert_false(vcpu_known(&v[i]));
		(void)vcpu_take_asid(&v[i], LIMIT);
		assert_true(vcpu_known(&v[i]));
	}
	vcpu_leave_all(&cpu);
	assert_true(vcpu_take_asid(&v[0], LIMIT));
	assert_false(vcpu_known(&v[1]));
	assert_false(vcpu_take_asid(&v[1], LIMIT));
	assert_int_not_equal(v[0].asid, v[1].asid);
	/* Nor was it known before the first was. */
	vcpu_leave_all(&cpu);
	assert_false(vcpu_known(&v[0]) || vcpu_known(&v[1]));
}

static bool taken(uint64_t xcr0, uint64_t xss, uint64_t offered)
{
	static struct utcb u;
	struct ec ec = {.xcr0 = ~0ul, .xss = ~0ul};

	fpu_xcr0 = offered;
	u.xcr0 = xcr0;
	u.xss = xss;
	vcpu_load_xsave(&ec, &u, MTD_XSAVE);
	return ec.xcr0 == xcr0 && ec.xss == xss;
}

/* SDM 1 13.3. */
static void xcr0(void **state)
{
	static const uint64_t good[] = {1, 3, 7, 0xe7};
	static const uint64_t bad[] = {
		0, 2, 5, 6, 0x67, 0xe3, 0xe1, 0x1f, 0x27, 0x207, 1ul << 63 | 7,
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(taken(good[i], 0, 0xe7));
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(taken(bad[i], 0, 0xe7));
	assert_false(taken(7, 0, 3));
	assert_true(taken(0x1f, 0, 0x1f));
	assert_false(taken(0xf, 0, 0x1f));
	assert_true(taken(0x207, 0, 0x207));
	assert_true(taken(3, 0x1800, 3));
	assert_false(taken(3, 0x100, 3));
}

static struct ec other = {.xcr0 = 1};
static struct utcb changing_u;

static void load_xsave(void)
{
	vcpu_load_xsave(&other, &changing_u, MTD_XSAVE);
}

static void change(void)
{
	changing_u.xcr0 = (unsigned)rand() & 0xff;
	changing_u.xss = (unsigned)rand() & 0x1900;
}

/* It is what was looked at that is taken. */
static void xcr0_changes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		run_changing(load_xsave, change);
		assert_true(taken(other.xcr0, other.xss, 0xe7));
	}
}

/* The registers take it at once if they are the vCPU's. */
static void owner_is_switched(void **state)
{
	static struct ec ec = {.xcr0 = 1};
	static struct utcb u = {.xcr0 = 3};

	(void)state;
	switches = 0;
	vcpu_load_xsave(&ec, &u, MTD_FPU);
	assert_int_equal(ec.xcr0, 1);
	vcpu_load_xsave(&ec, &u, MTD_XSAVE);
	assert_int_equal(ec.xcr0, 3);
	assert_int_equal(switches, 0);
	cpu.fpu_owner = &ec;
	vcpu_load_xsave(&ec, &u, MTD_XSAVE);
	assert_int_equal(switches, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identifiers),
		cmocka_unit_test(sleep_forgets),
		cmocka_unit_test(xcr0),
		cmocka_unit_test(xcr0_changes),
		cmocka_unit_test(owner_is_switched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
