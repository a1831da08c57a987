/*
 * What CPUID tells a guest: nothing of the host that the VMM does not do, and
 * what the VMM adds; and the paravirtual clock that it announces.
 */
#include "vmm_fixture.h"

#include "../../vmm/src/cpuid.h"
#include "../../vmm/src/pvclock.h"

enum { CR4_OSXSAVE = 1 << 18, TSC_KHZ = 2345678 };

#define BIT(n) (1u << (n))

static char vendor[13] = "GenuineIntel";
static uint32_t family = 0x000306c3;

/* A processor that has everything. */
static struct cpuid_registers everything(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_registers r = {~0u, ~0u, ~0u, ~0u};

	if (leaf == 0) {
		r.eax = 0x20;
		memcpy(&r.ebx, vendor, 4);
		memcpy(&r.edx, vendor + 4, 4);
		memcpy(&r.ecx, vendor + 8, 4);
	} else if (leaf == 1) {
		r.eax = family;
	} else if (leaf == 0xd && subleaf == 2) {
		r.eax = 256;
		r.ebx = 576;
	} else if (leaf == 0x80000000) {
		r.eax = 0x8000001f;
	} else if (leaf == 0x80000001) {
		r.eax = family;
	} else if (leaf == 0x80000008) {
		r.eax = 0x3930; /* 57 bits, 48 bits */
	}
	return r;
}

/* One of long ago, with the fewest leaves. */
static struct cpuid_registers nothing(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_registers r = {0, 0, 0, 0};

	(void)subleaf;
	if (leaf == 0)
		r.eax = 1;
	else if (leaf == 0x80000000)
		r.eax = 0x80000001;
	return r;
}

static struct cpuid c;

static void init(struct cpuid_registers (*host)(uint32_t, uint32_t), uint64_t xcr0, uint32_t vcpus)
{
	const struct cpuid_config config = {
		.host = host,
		.apic_id = 3,
		.vcpus = vcpus,
		.tsc_khz = TSC_KHZ,
		.xcr0 = xcr0,
	};

	cpuid_init(&c, &config);
}

static struct cpuid_registers get(uint32_t leaf, uint32_t subleaf)
{
	const struct cpuid_state state = {0, 1};

	return cpuid_read(&c, leaf, subleaf, &state);
}

static void test_hidden(void **state)
{
	struct cpuid_registers r;

	(void)state;
	init(everything, 0, 1);
	r = get(1, 0);
	/* DTES64 MONITOR VMX SMX TM2, PCID, DCA, XSAVE OSXSAVE AVX FMA F16C */
	assert_int_equal(r.ecx & (BIT(2) | BIT(3) | BIT(5) | BIT(6) | BIT(8) | BIT(17) | BIT(18) |
				  BIT(26) | BIT(27) | BIT(28) | BIT(12) | BIT(29)),
			 0);
	/* PSN, DS, ACPI, SS, HTT, TM, PBE */
	assert_int_equal(
		r.edx & (BIT(18) | BIT(21) | BIT(22) | BIT(27) | BIT(28) | BIT(29) | BIT(31)), 0);
	/* x2APIC, TSC deadline, hypervisor; APIC, MTRR */
	assert_int_equal(~r.ecx & (BIT(21) | BIT(24) | BIT(31)), 0);
	assert_int_equal(~r.edx & (BIT(9) | BIT(12)), 0);
	assert_int_equal(r.ebx >> 24, 3);
	r = get(7, 0);
	/* TSC_ADJUST SGX HLE AVX2 INVPCID RTM PQM MPX PQE AVX512... PT */
	assert_int_equal(r.ebx & (BIT(1) | BIT(2) | BIT(4) | BIT(5) | BIT(10) | BIT(11) | BIT(12) |
				  BIT(14) | BIT(15) | BIT(16) | BIT(17) | BIT(21) | BIT(25) |
				  BIT(30) | BIT(31)),
			 0);
	/* PKU OSPKE WAITPKG CET LA57 */
	assert_int_equal(r.ecx & (BIT(3) | BIT(4) | BIT(5) | BIT(7) | BIT(16)), 0);
	/* IBRS STIBP L1D_FLUSH ARCH_CAPABILITIES SSBD, AMX, hybrid */
	assert_int_equal(r.edx & (BIT(26) | BIT(27) | BIT(28) | BIT(29) | BIT(31) | BIT(22) |
				  BIT(24) | BIT(25) | BIT(15)),
			 0);
	r = get(7, 1);
	assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
	r = get(0x80000001, 0);
	/* SVM OSVW IBS SKINIT WDT PERFCTR MONITORX */
	assert_int_equal(r.ecx & (BIT(2) | BIT(9) | BIT(10) | BIT(12) | BIT(13) | BIT(23) |
				  BIT(24) | BIT(28) | BIT(29)),
			 0);
	assert_int_equal(get(0x80000007, 0).edx, BIT(8));
	assert_int_equal(get(0x80000008, 0).eax, 0x3030);
	assert_int_equal(cpuid_address_bits(&c), 48);
	assert_int_equal(get(0x80000000, 0).eax, 0x80000008);
	/* MONITOR, PMU, XSAVE, RDT, SGX, PT; SVM; what is beyond */
	static const uint32_t empty[] = {5,    0xa,  0xd,  0xf,	       0x10,	   0x12,
					 0x14, 0x17, 0x20, 0x8000000a, 0x8000001f, 0xffffffff};

	for (unsigned i = 0; i < sizeof(empty) / sizeof(*empty); i++) {
		r = get(empty[i], 0);
		assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
	}
	assert_int_equal(cpuid_xcr0(&c), 0);
}

static void test_xsave(void **state)
{
	struct cpuid_registers r;
	struct cpuid_state all = {CR4_OSXSAVE, 7};

	(void)state;
	init(everything, 0xe7, 1);
	assert_int_equal(~get(1, 0).ecx & (BIT(26) | BIT(28)), 0);
	assert_int_equal(get(1, 0).ecx & BIT(27), 0);
	assert_int_equal(cpuid_read(&c, 1, 0, &all).ecx & BIT(27), BIT(27));
	assert_int_equal(get(7, 0).ebx & BIT(5), BIT(5));
	assert_int_equal(cpuid_xcr0(&c), 7);
	r = get(0xd, 0);
	assert_int_equal(r.eax, 7);
	assert_int_equal(r.ebx, 576);
	assert_int_equal(r.ecx, 832);
	assert_int_equal(cpuid_read(&c, 0xd, 0, &all).ebx, 832);
	assert_int_equal(get(0xd, 1).eax & ~1u, 0);
	assert_int_equal(get(0xd, 2).ebx, 576);
	r = get(0xd, 3);
	assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
	init(everything, 3, 1); /* no AVX */
	assert_int_equal(get(1, 0).ecx & (BIT(26) | BIT(28)), BIT(26));
	assert_int_equal(get(7, 0).ebx & BIT(5), 0);
	assert_int_equal(get(0xd, 0).ecx, 576);
	assert_int_equal(cpuid_xcr0(&c), 3);
}

static void test_added(void **state)
{
	struct cpuid_registers r;

	(void)state;
	init(everything, 0, 6);
	r = get(0x40000000, 0);
	assert_memory_equal(&r.ebx, "MicronovaHv\0", 12);
	assert_int_equal(get(r.eax, 0).eax, TSC_KHZ);
	r = get(0x40000100, 0);
	assert_memory_equal(&r.ebx, "KVMKVMKVM\0\0\0", 12);
	assert_int_equal(get(0x40000101, 0).eax, BIT(3) | BIT(24));
	r = get(0x15, 0);
	assert_int_equal(r.ebx / r.eax * (uint64_t)r.ecx, TSC_KHZ * 1000ull);
	assert_int_equal(cpuid_timer_hz(&c), r.ecx);
	assert_int_equal(get(0x16, 0).eax, TSC_KHZ / 1000);
	assert_int_equal(get(6, 0).eax, BIT(2));
	assert_int_equal(get(1, 0).edx & BIT(28), BIT(28));
	r = get(0xb, 1);
	assert_int_equal(r.eax, 3);
	assert_int_equal(r.ebx, 6);
	assert_int_equal(r.edx, 3);
	assert_true(get(0, 0).eax >= 0x16);
	/* The subleaf matters only where there are any. */
	assert_int_equal(get(1, 99).ecx, get(1, 0).ecx);
}

static void test_vendors(void **state)
{
	(void)state;
	init(everything, 0, 1);
	assert_true(cpuid_is_intel(&c));
	assert_int_equal(get(1, 0).eax, 0x000306c3);
	memcpy(vendor, "AuthenticAMD", 12);
	family = 0x00060fb1; /* an emulator's K8 */
	init(everything, 0, 1);
	assert_false(cpuid_is_intel(&c));
	assert_int_equal(get(1, 0).eax, 0x00560fb1);
	assert_int_equal(get(0x80000001, 0).eax, 0x00560fb1);
	family = 0x00a20f10;
	init(everything, 0, 1);
	assert_int_equal(get(1, 0).eax, 0x00a20f10);
	init(nothing, 0xe7, 1);
	assert_int_equal(cpuid_address_bits(&c), 36);
	assert_int_equal(cpuid_xcr0(&c), 0);
}

static void test_clock(void **state)
{
	static const uint32_t khz[] = {100000,	999999,	 1000000, 1000001,
				       2345678, 4200000, 10000000};
	static uint8_t ram[0x100000];
	struct gmem mem;

	(void)state;
	gmem_init(&mem, ram, sizeof(ram));
	for (unsigned i = 0; i < sizeof(khz) / sizeof(*khz); i++) {
		uint64_t tsc = khz[i] * 1000ull * 3600, ns;
		uint32_t mul;
		int8_t shift;

		memset(ram, 0, sizeof(ram));
		assert_true(pvclock_write_system(&mem, 0x1001, khz[i]));
		memcpy(&mul, ram + 0x1018, 4);
		memcpy(&shift, ram + 0x101c, 1);
		assert_int_equal(ram[0x101d], 1);
		tsc = shift < 0 ? tsc >> -shift : tsc << shift;
		ns = (uint64_t)((unsigned __int128)tsc * mul >> 32);
		/* An hour, to a part in a million. */
		assert_in_range(ns, 3600000000000 - 3600000, 3600000000000);
	}
	memset(ram, 0, sizeof(ram));
	assert_true(pvclock_write_system(&mem, 0x1000, 1000000));
	assert_int_equal(ram[0x1000], 0); /* not enabled */
	assert_false(pvclock_write_system(&mem, 0xa0001, 1000000));
	assert_false(pvclock_write_system(&mem, ~0ull, 1000000));
	assert_true(pvclock_write_wall(&mem, 0x2000, 1704067200));
	assert_false(pvclock_write_wall(&mem, sizeof(ram) - 8, 1704067200));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hidden), cmocka_unit_test(test_xsave),
		cmocka_unit_test(test_added),  cmocka_unit_test(test_vendors),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
