/*
 * What a processor says of itself: SDM 2A, CPUID leaves 01H, 04H, 0BH and 1AH;
 * SDM 3A 8.9; APM 3 appendix E.
 */
#include "hip.h"
#include "insn.h"

enum { LEAF_CACHES = 4, LEAF_TOPOLOGY = 0x0b, LEVELS = 8, LEVEL_THREAD = 1 };
enum { LEAF_HYBRID = 0x1a, HYBRID_CORE = 0x40, HYBRID_ATOM = 0x20 };
enum { CPUID_HTT = 1 << 28 };	 /* 1, EDX */
#define VENDOR_INTEL 0x756e6547u /* "Genu", leaf 0 EBX */

/* Bits that number `count` things. */
static unsigned bits_for(uint32_t count)
{
	return count > 1 ? 32u - (unsigned)__builtin_clz(count - 1) : 0;
}

/* An APIC ID is package, core, thread: where the parts begin. The ID. */
static uint32_t split(bool intel, unsigned *core_at, unsigned *package_at)
{
	struct cpuid r = cpuid(1, 0), t = cpuid(LEAF_TOPOLOGY, 0);
	uint32_t threads = r.edx & CPUID_HTT ? r.ebx >> 16 & 0xff : 1;
	unsigned cores = bits_for((cpuid(LEAF_CACHES, 0).eax >> 26) + 1);

	if (t.ebx) {
		uint32_t id = t.edx;

		/* A subleaf for each level, with the bits of it and those below. */
		for (uint32_t level = 0; t.ecx >> 8 & 0xff && level < LEVELS;
		     t = cpuid(LEAF_TOPOLOGY, ++level)) {
			*package_at = t.eax & 31;
			if ((t.ecx >> 8 & 0xff) == LEVEL_THREAD)
				*core_at = t.eax & 31;
		}
		return id;
	}
	*package_at = bits_for(threads);
	if (intel && cores < *package_at)
		*core_at = *package_at - cores;
	return r.ebx >> 24;
}

struct hip_cpu topology_of_this_cpu(void)
{
	uint32_t signature = cpuid(1, 0).eax;
	uint32_t family = signature >> 8 & 15, model = signature >> 4 & 15;
	bool intel = cpuid(0, 0).ebx == VENDOR_INTEL;
	uint32_t kind = intel ? cpuid(LEAF_HYBRID, 0).eax >> 24 : 0;
	unsigned core_at = 0, package_at = 0;
	uint32_t id = split(intel, &core_at, &package_at);

	if (family == 6 || family == 15)
		model |= signature >> 12 & 0xf0;
	if (family == 15)
		family += signature >> 20 & 0xff;
	return (struct hip_cpu){
		.flags = kind == HYBRID_CORE   ? HIP_CPU_PERFORMANCE
			 : kind == HYBRID_ATOM ? HIP_CPU_EFFICIENCY
					       : 0,
		.thread = (uint8_t)(id & ((1u << core_at) - 1)),
		.core = (uint8_t)((id & ((1u << package_at) - 1)) >> core_at),
		.package = (uint8_t)(id >> package_at),
		.family = (uint8_t)family,
		.model = (uint8_t)model,
		.stepping_platform = signature & 15,
	};
}
