/*
 * What processors say of themselves by CPUID: in each of its ways, and one that lies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "x86/insn.h"

#define cpuid(leaf, subleaf) fake_cpuid(leaf, subleaf)
static struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf);
#include "../../hypervisor/src/x86/topology.c"

enum { THREAD = 1 << 8, CORE = 2 << 8, INTEL = 0x756e6547, AMD = 0x68747541 };

static struct {
	uint32_t vendor, signature, apic_id, threads, cores, hybrid;
	uint32_t levels[3][2]; /* of leaf 0BH: shift, type; of more the last again */
	bool endless;
} p;

static struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf)
{
	static unsigned looks;
	unsigned level = subleaf < 3 || !p.endless ? subleaf : 2;

	assert_true(looks++ < 1000);
	if (leaf == 0)
		return (struct cpuid){.ebx = p.vendor};
	if (leaf == 1)
		return (struct cpuid){p.signature, p.apic_id << 24 | p.threads << 16, 0,
				      p.threads ? CPUID_HTT : 0};
	if (leaf == LEAF_CACHES)
		return (struct cpuid){.eax = p.cores ? (p.cores - 1) << 26 : 0};
	if (leaf == LEAF_HYBRID)
		return (struct cpuid){.eax = p.hybrid << 24};
	if (leaf == LEAF_TOPOLOGY && level < 3)
		return (struct cpuid){p.levels[level][0], p.levels[level][1] != 0,
				      p.levels[level][1] | subleaf, p.apic_id};
	return (struct cpuid){0};
}

static void check(uint32_t thread, uint32_t core, uint32_t package)
{
	struct hip_cpu c = topology_of_this_cpu();

	assert_int_equal(c.thread, thread);
	assert_int_equal(c.core, core);
	assert_int_equal(c.package, package);
}

static void test_levels(void **state)
{
	(void)state;
	__builtin_memset(&p, 0, sizeof(p));
	p.vendor = INTEL;
	p.apic_id = 0x5b; /* package 5, core 5, thread 1 */
	p.levels[0][0] = 1, p.levels[0][1] = THREAD;
	p.levels[1][0] = 4, p.levels[1][1] = CORE;
	check(1, 5, 5);
	/* It has something at every level, for ever. */
	p.levels[2][0] = 4, p.levels[2][1] = 3 << 8;
	p.endless = true;
	check(1, 5, 5);
}

static void test_old(void **state)
{
	(void)state;
	__builtin_memset(&p, 0, sizeof(p));
	p.vendor = INTEL;
	p.apic_id = 0x2d; /* of 8 numbers a package, 4 are cores: 5, 2, 1 */
	p.threads = 8;
	p.cores = 4;
	check(1, 2, 5);
	p.cores = 64; /* more than there are numbers */
	check(0, 5, 5);
	p.vendor = AMD;
	p.cores = 0;
	check(0, 5, 5);
	p.threads = 0;
	check(0, 0, 0x2d);
}

static void test_model(void **state)
{
	struct hip_cpu c;

	(void)state;
	__builtin_memset(&p, 0, sizeof(p));
	p.vendor = INTEL;
	p.signature = 0x000906ea; /* family 6, model 9e, stepping 10 */
	p.hybrid = HYBRID_ATOM;
	c = topology_of_this_cpu();
	assert_int_equal(c.family, 6);
	assert_int_equal(c.model, 0x9e);
	assert_int_equal(c.stepping_platform & 15, 10);
	assert_int_equal(c.flags, HIP_CPU_EFFICIENCY);
	p.vendor = AMD;
	p.signature = 0x00870f10; /* family 17, model 71 */
	c = topology_of_this_cpu();
	assert_int_equal(c.family, 0x17);
	assert_int_equal(c.model, 0x71);
	assert_int_equal(c.flags, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_old),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
