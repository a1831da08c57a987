/*
 * What vCPUs of both vendors share: identifiers of TLB entries, and which XCR0
 * a guest may have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fpu.h"
#include "log.h"
#include "mapping.h"
#include "page.h"
#include "x86/cpu.h"
#include "x86/vcpu.h"

static struct cpu cpu;
static unsigned switches;

struct lock mdb_lock;
uint64_t fpu_xcr0 = 0xe7;

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

void fpu_switch(struct ec *ec)
{
	(void)ec;
	switches++;
}

bool vmx_init(struct cpu *c)
{
	(void)c;
	return false;
}

bool svm_init(struct cpu *c)
{
	(void)c;
	return false;
}

/* Nobody has another's, until all are taken away at once. */
static void identifiers(void **state)
{
	enum { LIMIT = 16, VCPUS = 40 };
	static struct vcpu v[VCPUS];

	(void)state;
	for (unsigned i = 0; i < VCPUS; i++) {
		bool flush = vcpu_take_asid(&v[i], LIMIT);

		assert_int_equal(flush, i % (LIMIT - 1) == 0);
		assert_in_range(v[i].asid, 1, LIMIT - 1);
		for (unsigned j = 0; j < i; j++) {
			assert_false(v[j].asid == v[i].asid &&
				     v[j].asid_generation ==
					     v[i].asid_generation);
		}
	}
	assert_int_equal(cpu.asid_generation, (VCPUS - 1) / (LIMIT - 1) + 1);
}

/* SDM 1 13.3. */
static void xcr0(void **state)
{
	static const uint64_t good[] = {1, 3, 7, 0xe7};
	static const uint64_t bad[] = {
		0, 2, 5, 6, 0x67, 0xe3, 0xe1, 0x1f, 0x27, 0x207, 1ul << 63 | 7,
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(vcpu_xcr0_valid(good[i], fpu_xcr0));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(vcpu_xcr0_valid(bad[i], fpu_xcr0));
	}
	assert_false(vcpu_xcr0_valid(7, 3));
	assert_true(vcpu_xcr0_valid(0x1f, 0x1f));
	assert_false(vcpu_xcr0_valid(0xf, 0x1f));
}

static void bad_xcr0_is_not_taken(void **state)
{
	static struct ec ec = {.xcr0 = 1};

	(void)state;
	vcpu_load_xcr0(&ec, 6);
	assert_int_equal(ec.xcr0, 1);
	vcpu_load_xcr0(&ec, 7);
	assert_int_equal(ec.xcr0, 7);
	assert_int_equal(switches, 0);
	cpu.fpu_owner = &ec;
	vcpu_load_xcr0(&ec, 3);
	assert_int_equal(switches, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identifiers),
		cmocka_unit_test(xcr0),
		cmocka_unit_test(bad_xcr0_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
