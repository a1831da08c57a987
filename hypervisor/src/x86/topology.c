/*
 * SDM 2A, CPUID leaves 01H, 04H, 0BH and 1AH; SDM 3A 8.9; APM 3 appendix E.
 */
#include "topology.h"

#include "insn.h"

enum {
	LEAF_TOPOLOGY = 0x0b,
	LEVEL_THREAD = 1,
	LEAF_HYBRID = 0x1a,
	HYBRID_CORE = 0x40,
	HYBRID_ATOM = 0x20,

	CPUID_HTT = 1 << 28, /* 1, EDX */
};
#define VENDOR_INTEL 0x756e6547 /* "Genu", leaf 0 EBX */

static bool intel(void)
{
	return cpuid(0, 0).ebx == VENDOR_INTEL;
}

/* Bits that number `count` things. */
static unsigned bits_for(uint32_t count)
{
	return count > 1 ? 32u - (unsigned)__builtin_clz(count - 1) : 0;
}

/* Leaf 0BH: a subleaf for each level, with the bits of it and those below. */
static void split_by_levels(uint32_t *id, unsigned *core_at, unsigned *package_at)
{
	struct cpuid r = cpuid(LEAF_TOPOLOGY, 0);

	*id = r.edx;
	*core_at = *package_at = 0;
	for (uint32_t level = 0; r.ecx >> 8 & 0xff;) {
		*package_at = r.eax & 31;
		if ((r.ecx >> 8 & 0xff) == LEVEL_THREAD)
			*core_at = r.eax & 31;
		r = cpuid(LEAF_TOPOLOGY, ++level);
	}
}

/* An APIC ID is package, core, thread: where the parts begin. */
static void split(uint32_t *id, unsigned *core_at, unsigned *package_at)
{
	struct cpuid r;
	uint32_t threads;

	if (cpuid(0, 0).eax >= LEAF_TOPOLOGY && cpuid(LEAF_TOPOLOGY, 0).ebx != 0) {
		split_by_levels(id, core_at, package_at);
		return;
	}
	r = cpuid(1, 0);
	*id = r.ebx >> 24;
	threads = r.edx & CPUID_HTT ? r.ebx >> 16 & 0xff : 1;
	*package_at = bits_for(threads);
	*core_at = 0;
	if (intel() && cpuid(0, 0).eax >= 4 && threads > 1)
		*core_at = *package_at - bits_for((cpuid(4, 0).eax >> 26) + 1);
}

static uint8_t core_kind(void)
{
	if (!intel() || cpuid(0, 0).eax < LEAF_HYBRID)
		return 0;
	switch (cpuid(LEAF_HYBRID, 0).eax >> 24) {
	case HYBRID_CORE:
		return HIP_CPU_PERFORMANCE;
	case HYBRID_ATOM:
		return HIP_CPU_EFFICIENCY;
	default:
		return 0;
	}
}

struct hip_cpu topology_of_this_cpu(void)
{
	uint32_t id, signature = cpuid(1, 0).eax;
	unsigned core_at, package_at;
	uint32_t family = signature >> 8 & 15;
	uint32_t model = signature >> 4 & 15;

	split(&id, &core_at, &package_at);
	if (family == 6 || family == 15)
		model |= signature >> 12 & 0xf0;
	if (family == 15)
		family += signature >> 20 & 0xff;
	return (struct hip_cpu){
		.flags = core_kind(),
		.thread = (uint8_t)(id & ((1u << core_at) - 1)),
		.core = (uint8_t)((id & ((1u << package_at) - 1)) >> core_at),
		.package = (uint8_t)(id >> package_at),
		.family = (uint8_t)family,
		.model = (uint8_t)model,
		.stepping_platform = signature & 15,
	};
}
