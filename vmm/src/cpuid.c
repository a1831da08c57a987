/*
 * All leaves are computed at the start and kept in one array, subleaves behind
 * their leaf; an index finds the leaves that are asked for often. What depends
 * on the vCPU's state (OSXSAVE, the size of XSAVE's area) is put in when read.
 */
#include "cpuid.h"

#include <stddef.h>
#include <string.h>

enum {
	LEAF_FEATURES = 1,
	LEAF_CACHES = 4,
	LEAF_EXTENDED_FEATURES = 7,
	LEAF_TOPOLOGY = 0xb,
	LEAF_XSAVE = 0xd,
	LEAF_TSC = 0x15,
	LEAF_FREQUENCY = 0x16,
	BASIC_MAX = 0x16,

	OSXSAVE = 1 << 27, /* leaf 1 ECX, and CR4's bit: */
	CR4_OSXSAVE = 1 << 18,
	/* The family in EAX of leaf 1: 11..8, and 27..20 to be added. */
	FAMILY = 0x0ff00f00,
	FAMILY_F = 0x00000f00,
	FAMILY_14 = 0x00500f00,

	CRYSTAL_KHZ_MAX = 4000000,
	XSAVE_HEADER = 576, /* bytes: legacy area and header */
};

#define LEAF_HYPERVISOR 0x40000000u
#define LEAF_PVCLOCK	0x40000100u
#define LEAF_EXTENDED	0x80000000u
#define LEAF_EXT_MAX	0x80000008u

#define BIT(n) (1u << (n))

/* Leaf 1. */
enum {
	ECX1_X2APIC = 1 << 21,
	ECX1_TSC_DEADLINE = 1 << 24,
	ECX1_XSAVE = (1 << 26),
	EDX1_APIC = 1 << 9,
	EDX1_MTRR = 1 << 12,
	EDX1_HTT = 1 << 28,
};
#define ECX1_HYPERVISOR BIT(31)
/* What needs the state of AVX: FMA, AVX, F16C. */
#define ECX1_OF_AVX (BIT(12) | BIT(28) | BIT(29))
/* In leaf 7: EBX AVX2; ECX VAES, VPCLMULQDQ. */
#define EBX7_OF_AVX BIT(5)
#define ECX7_OF_AVX (BIT(9) | BIT(10))
/* In leaf 0x80000001 ECX: XOP, FMA4. */
#define ECX81_OF_AVX (BIT(11) | BIT(16))

/*
 * Leaves that come from the host: which bits of EAX, EBX, ECX, EDX pass. What
 * is not here reads as 0. Not passed, among others: VMX, SVM, MONITOR, the
 * performance counters, PCID and INVPCID, speculation control (its MSRs are
 * not there), TSC_ADJUST, SGX, RDT, MPX, AVX-512, LA57, protection keys, CET.
 */
static const struct cpuid_entry passed[] = {
	{0, 0, {0, ~0u, ~0u, ~0u}},
	{LEAF_FEATURES,
	 0,
	 {0x0fff3fff, 0x0000ff00, /* CLFLUSH line size */
	  /* SSE3 PCLMULQDQ SSSE3 FMA CX16 */
	  BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) |
		  /* SSE4.1 SSE4.2 MOVBE POPCNT AES */
		  BIT(19) | BIT(20) | BIT(22) | BIT(23) | BIT(25) |
		  /* XSAVE AVX F16C RDRAND */
		  BIT(26) | BIT(28) | BIT(29) | BIT(30),
	  /* FPU VME DE PSE TSC MSR PAE MCE CX8 SEP PGE MCA CMOV */
	  BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(11) |
		  BIT(13) | BIT(14) | BIT(15) |
		  /* PAT PSE36 CLFSH MMX FXSR SSE SSE2 */
		  BIT(16) | BIT(17) | BIT(19) | BIT(23) | BIT(24) | BIT(25) | BIT(26)}},
	{2, 0, {~0u, ~0u, ~0u, ~0u}},
	{LEAF_CACHES, 0, {0x00003fff, ~0u, ~0u, ~0u}},
	{LEAF_CACHES, 1, {0x00003fff, ~0u, ~0u, ~0u}},
	{LEAF_CACHES, 2, {0x00003fff, ~0u, ~0u, ~0u}},
	{LEAF_CACHES, 3, {0x00003fff, ~0u, ~0u, ~0u}},
	{LEAF_EXTENDED_FEATURES,
	 0,
	 {0,
	  /* FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS RDSEED ADX SMAP */
	  BIT(0) | BIT(3) | BIT(5) | BIT(7) | BIT(8) | BIT(9) | BIT(18) | BIT(19) | BIT(20) |
		  /* CLFLUSHOPT CLWB SHA */
		  BIT(23) | BIT(24) | BIT(29),
	  /* UMIP GFNI VAES VPCLMULQDQ */
	  BIT(2) | BIT(8) | BIT(9) | BIT(10),
	  /* FSRM, MD_CLEAR: VERW does it also for the guest */
	  BIT(4) | BIT(10)}},
	{LEAF_EXTENDED, 0, {0, ~0u, ~0u, ~0u}},
	{0x80000001,
	 0,
	 {0x0fff3fff, 0,
	  /* LAHF CR8 ABM SSE4A MISALIGNSSE PREFETCHW XOP FMA4 TBM */
	  BIT(0) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(11) | BIT(16) | BIT(21),
	  /* AMD's copies of leaf 1, then SYSCALL NX MMXEXT */
	  BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(11) |
		  BIT(13) | BIT(14) | BIT(15) | BIT(16) | BIT(17) | BIT(20) | BIT(22) | BIT(23) |
		  BIT(24) |
		  /* PDPE1GB RDTSCP LM 3DNOWEXT 3DNOW */
		  BIT(26) | BIT(27) | BIT(29) | BIT(30) | BIT(31)}},
	{0x80000002, 0, {~0u, ~0u, ~0u, ~0u}},
	{0x80000003, 0, {~0u, ~0u, ~0u, ~0u}},
	{0x80000004, 0, {~0u, ~0u, ~0u, ~0u}},
	{0x80000005, 0, {~0u, ~0u, ~0u, ~0u}},
	{0x80000006, 0, {~0u, ~0u, ~0u, ~0u}},
	{0x80000007, 0, {0, 0, 0, 0}},
	{0x80000008,
	 0,
	 {0x0000ffff,
	  /* CLZERO, XSAVEERPTR, WBNOINVD */
	  BIT(0) | BIT(2) | BIT(9), 0, 0}},
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* In all other leaves ECX has no meaning. */
static bool has_subleaves(uint32_t leaf)
{
	return leaf == LEAF_CACHES || leaf == LEAF_EXTENDED_FEATURES || leaf == LEAF_TOPOLOGY ||
	       leaf == LEAF_XSAVE;
}

/* Where the index knows the leaf, or NULL. */
static const uint8_t *indexed(const struct cpuid *c, uint32_t leaf)
{
	if (leaf < CPUID_BASIC)
		return &c->basic[leaf];
	return leaf - LEAF_EXTENDED < CPUID_EXTENDED ? &c->extended[leaf - LEAF_EXTENDED] : NULL;
}

static void add(struct cpuid *c, uint32_t leaf, uint32_t subleaf, struct cpuid_registers out)
{
	if (c->count == CPUID_ENTRIES)
		return;
	c->entry[c->count++] = (struct cpuid_entry){leaf, subleaf, out};
	if (subleaf == 0 && leaf < CPUID_BASIC)
		c->basic[leaf] = (uint8_t)c->count;
	else if (subleaf == 0 && leaf - LEAF_EXTENDED < CPUID_EXTENDED)
		c->extended[leaf - LEAF_EXTENDED] = (uint8_t)c->count;
}

/* Entries of a leaf follow its first. */
static const struct cpuid_entry *find(const struct cpuid *c, uint32_t leaf, uint32_t subleaf)
{
	const uint8_t *first = indexed(c, leaf);
	unsigned i = 0;

	if (first != NULL) {
		if (*first == 0)
			return NULL;
		i = *first - 1u;
	}
	for (; i < c->count; i++)
		if (c->entry[i].leaf == leaf && c->entry[i].subleaf == subleaf)
			return &c->entry[i];
	return NULL;
}

static struct cpuid_registers *entry(struct cpuid *c, uint32_t leaf, uint32_t subleaf)
{
	const struct cpuid_entry *e = find(c, leaf, subleaf);

	return e != NULL ? &c->entry[e - c->entry].out : NULL;
}

static void add_host(struct cpuid *c, const struct cpuid_config *config)
{
	uint32_t basic = config->host(0, 0).eax;
	uint32_t extended = config->host(LEAF_EXTENDED, 0).eax;

	for (unsigned i = 0; i < COUNT(passed); i++) {
		const struct cpuid_entry *p = &passed[i];

		if (p->leaf > (p->leaf >= LEAF_EXTENDED ? extended : basic))
			continue;

		struct cpuid_registers host = config->host(p->leaf, p->subleaf);

		add(c, p->leaf, p->subleaf,
		    (struct cpuid_registers){host.eax & p->out.eax, host.ebx & p->out.ebx,
					     host.ecx & p->out.ecx, host.edx & p->out.edx});
	}
	c->extended_max = extended < LEAF_EXT_MAX ? extended : LEAF_EXT_MAX;
	c->basic_max = BASIC_MAX;
}

static void without_avx(struct cpuid *c)
{
	struct cpuid_registers *leaf7 = entry(c, LEAF_EXTENDED_FEATURES, 0);
	struct cpuid_registers *leaf81 = entry(c, 0x80000001, 0);

	entry(c, LEAF_FEATURES, 0)->ecx &= ~ECX1_OF_AVX;
	if (leaf7 != NULL) {
		leaf7->ebx &= ~EBX7_OF_AVX;
		leaf7->ecx &= ~ECX7_OF_AVX;
	}
	if (leaf81 != NULL)
		leaf81->ecx &= ~ECX81_OF_AVX;
}

/*
 * XSAVE of x87, SSE and AVX state, in the standard format only: subleaf 0 what
 * there is, 2 the place of the upper halves of YMM.
 */
static void add_xsave(struct cpuid *c, const struct cpuid_config *config)
{
	struct cpuid_registers all = config->host(LEAF_XSAVE, 0);
	struct cpuid_registers avx = config->host(LEAF_XSAVE, 2);
	uint32_t mask = all.eax & (uint32_t)config->xcr0 & 7;
	uint32_t size = mask & 4 ? avx.ebx + avx.eax : (uint32_t)XSAVE_HEADER;

	if (!(mask & 4))
		without_avx(c);
	if (!(mask & 2)) {
		entry(c, LEAF_FEATURES, 0)->ecx &= ~(uint32_t)ECX1_XSAVE;
		return;
	}
	add(c, LEAF_XSAVE, 0, (struct cpuid_registers){mask, size, size, 0});
	add(c, LEAF_XSAVE, 1, /* XSAVEOPT */
	    (struct cpuid_registers){config->host(LEAF_XSAVE, 1).eax & 1, 0, 0, 0});
	if (mask & 4)
		add(c, LEAF_XSAVE, 2, (struct cpuid_registers){avx.eax, avx.ebx, 0, 0});
}

static void set_features(struct cpuid *c, const struct cpuid_config *config)
{
	struct cpuid_registers *features = entry(c, LEAF_FEATURES, 0);
	struct cpuid_registers *extended = entry(c, 0x80000001, 0);
	struct cpuid_registers *power = entry(c, 0x80000007, 0);
	struct cpuid_registers *sizes = entry(c, 0x80000008, 0);

	features->ebx |= config->apic_id << 24 | config->vcpus << 16;
	features->ecx |= (uint32_t)ECX1_X2APIC | (uint32_t)ECX1_TSC_DEADLINE | ECX1_HYPERVISOR;
	features->edx |= (uint32_t)EDX1_APIC | (uint32_t)EDX1_MTRR;
	if (config->vcpus > 1)
		features->edx |= (uint32_t)EDX1_HTT;
	if (extended != NULL && !cpuid_is_intel(c))
		extended->edx |= (uint32_t)EDX1_APIC | (uint32_t)EDX1_MTRR;
	if (sizes != NULL) {
		/* Without LA57 linear addresses have 48 bits. */
		sizes->eax = (sizes->eax & 0xff) | 48 << 8;
	}
	if (power != NULL)
		power->edx = BIT(8); /* invariant TSC */
	/* The APIC timer never stops (ARAT). */
	add(c, 6, 0, (struct cpuid_registers){BIT(2), 0, 0, 0});
}

/*
 * AMD's family 0xf, which emulators have as their default: kernels then look
 * for its AGP aperture on all 256 PCI buses, twice, and step around bugs of its
 * timer. Family 0x14 is the one without such memories.
 */
static void age_family(struct cpuid *c)
{
	uint32_t *features = &entry(c, LEAF_FEATURES, 0)->eax;
	struct cpuid_registers *extended = entry(c, 0x80000001, 0);

	if (cpuid_is_intel(c) || (*features & FAMILY) != FAMILY_F)
		return;
	*features = (*features & ~(uint32_t)FAMILY) | FAMILY_14;
	if (extended != NULL)
		extended->eax = *features;
}

/* Every vCPU is a core of one package. */
static void add_topology(struct cpuid *c, const struct cpuid_config *config)
{
	uint32_t shift = 0;

	while (1u << shift < config->vcpus)
		shift++;
	add(c, LEAF_TOPOLOGY, 0, (struct cpuid_registers){0, 1, 1 << 8, config->apic_id});
	add(c, LEAF_TOPOLOGY, 1,
	    (struct cpuid_registers){shift, config->vcpus, 1 | 2 << 8, config->apic_id});
}

/* The TSC runs at ECX (the crystal, in Hz; it clocks the APIC) * EBX / EAX. */
static void add_frequency(struct cpuid *c, const struct cpuid_config *config)
{
	uint32_t mhz = config->tsc_khz / 1000;
	uint32_t ratio = (uint32_t)(config->tsc_khz / CRYSTAL_KHZ_MAX + 1);

	add(c, LEAF_TSC, 0, (struct cpuid_registers){1, ratio, config->tsc_khz / ratio * 1000, 0});
	add(c, LEAF_FREQUENCY, 0, (struct cpuid_registers){mhz, mhz, 100, 0});
}

static struct cpuid_registers signature(uint32_t max, const char *name)
{
	struct cpuid_registers r = {.eax = max};

	memcpy(&r.ebx, name, 4);
	memcpy(&r.ecx, name + 4, 4);
	memcpy(&r.edx, name + 8, 4);
	return r;
}

static void add_hypervisor(struct cpuid *c, const struct cpuid_config *config)
{
	/* Bits: 3 the clock at its MSRs, 24 it is stable across vCPUs. */
	static const uint32_t pvclock = BIT(3) | BIT(24);

	add(c, LEAF_HYPERVISOR, 0, signature(LEAF_HYPERVISOR + 0x10, "MicronovaHv"));
	add(c, LEAF_HYPERVISOR + 0x10, 0, (struct cpuid_registers){config->tsc_khz, 0, 0, 0});
	add(c, LEAF_PVCLOCK, 0, signature(LEAF_PVCLOCK + 1, "KVMKVMKVM\0\0"));
	add(c, LEAF_PVCLOCK + 1, 0, (struct cpuid_registers){pvclock, 0, 0, 0});
}

void cpuid_init(struct cpuid *c, const struct cpuid_config *config)
{
	memset(c, 0, sizeof(*c));
	add_host(c, config);
	set_features(c, config);
	age_family(c);
	add_xsave(c, config);
	add_topology(c, config);
	add_frequency(c, config);
	add_hypervisor(c, config);
	entry(c, 0, 0)->eax = c->basic_max;
	entry(c, LEAF_EXTENDED, 0)->eax = c->extended_max;
}

struct cpuid_registers cpuid_read(const struct cpuid *c, uint32_t leaf, uint32_t subleaf,
				  const struct cpuid_state *state)
{
	if (!has_subleaves(leaf))
		subleaf = 0;

	const struct cpuid_entry *e = find(c, leaf, subleaf);
	struct cpuid_registers r = {0, 0, 0, 0};

	if (e != NULL)
		r = e->out;
	if (leaf == LEAF_FEATURES && (state->cr4 & CR4_OSXSAVE))
		r.ecx |= (uint32_t)OSXSAVE;
	else if (leaf == LEAF_XSAVE && subleaf == 0 && e != NULL && !(state->xcr0 & 4))
		r.ebx = XSAVE_HEADER;
	return r;
}

unsigned cpuid_address_bits(const struct cpuid *c)
{
	const struct cpuid_entry *e = find(c, 0x80000008, 0);

	return e != NULL ? e->out.eax & 0xff : 36;
}

uint64_t cpuid_timer_hz(const struct cpuid *c)
{
	return find(c, LEAF_TSC, 0)->out.ecx;
}

uint64_t cpuid_xcr0(const struct cpuid *c)
{
	const struct cpuid_entry *e = find(c, LEAF_XSAVE, 0);

	return e != NULL ? e->out.eax : 0;
}

bool cpuid_is_intel(const struct cpuid *c)
{
	const struct cpuid_entry *e = find(c, 0, 0);

	return memcmp(&e->out.ebx, "Genu", 4) == 0;
}
