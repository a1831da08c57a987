/*
 * Which mitigations are on.
 *
 * The kernel's address space has nothing of programs but UTCBs and FPU state
 * (kmem.h), which makes most attacks on it pointless. What is done beyond that
 * is what CPUID and IA32_ARCH_CAPABILITIES ask for, at these borders:
 *
 * - branches: enhanced or automatic IBRS once, else IBRS at each entry to the
 *   kernel; it stays set in programs and guests, so that leaving costs nothing;
 * - another PD or guest: IBPB, and the return stack filled; L1 flushed for a
 *   guest that comes after somebody else;
 * - return to user mode and to a guest: VERW.
 *
 * Store bypass (SSBD) is left alone: it lets code read what its own address
 * space has. Nothing helps against Meltdown but other page tables: a line at
 * boot says so.
 */
#include "mitigate.h"

#include "../log.h"
#include "boot.h"
#include "cpu.h"
#include "insn.h"
#include "kmem.h"

enum { MSR_SPEC_CTRL = 0x48, MSR_PRED_CMD = 0x49, MSR_FLUSH_CMD = 0x10b };
enum { MSR_ARCH_CAPABILITIES = 0x10a };
enum { SPEC_CTRL_IBRS = 1 << 0, SPEC_CTRL_STIBP = 1 << 1, SPEC_CTRL_BHI_DIS_S = 1 << 10 };

/* IA32_ARCH_CAPABILITIES */
enum { RDCL_NO = 1 << 0, IBRS_ALL = 1 << 1, SKIP_L1DFL = 1 << 3, MDS_NO = 1 << 5, TAA_NO = 1 << 8 };
enum { FB_CLEAR = 1 << 17, BHI_NO = 1 << 20, PBRSB_NO = 1 << 24, RFDS_CLEAR = 1 << 28 };

/* entry.S */
uint32_t mitigate_on; /* enum mitigation */
uint32_t mitigate_spec_ctrl;
const uint16_t mitigate_selector = SEL_KERNEL_DATA;

static bool automatic_ibrs; /* AMD's, in EFER */

extern const struct {
	uint8_t *at;
	const uint8_t *target;
	uint64_t mitigation;
} patch_start[], patch_end[];

/* Text is read-only by now, but for the identity map of boot. */
static void patch(void)
{
	enum { CALL = 0xe8, JUMP = 0xe9, SIZE = 5 };

	for (__typeof__(&patch_start[0]) p = patch_start; p < patch_end; p++) {
		uint8_t *code = (uint8_t *)kmem_image_phys(p->at);
		int32_t distance = (int32_t)(p->target - (p->at + SIZE));

		if (mitigate_on & p->mitigation) {
			*code = *code == CALL ? CALL : JUMP;
			__builtin_memcpy(code + 1, &distance, 4);
		}
	}
}

#define BIT(word, bit) ((word) >> (bit)&1)

/*
 * all: what is offered, needed or not, and of MSRs that emulators take without
 * telling so.
 */
static void choose(bool all)
{
	enum { INTEL = 0x756e6547 }; /* the first letters of its name */
	struct cpuid c = cpuid(7, 0), amd = cpuid(0x80000008, 0);
	bool ibrs = BIT(c.edx, 26) || BIT(amd.ebx, 14) ||
		    (all && wrmsr_safe(MSR_SPEC_CTRL, SPEC_CTRL_IBRS));
	bool ibpb = BIT(c.edx, 26) || BIT(amd.ebx, 12) || (all && wrmsr_safe(MSR_PRED_CMD, 1));
	bool flush = BIT(c.edx, 28) || (all && wrmsr_safe(MSR_FLUSH_CMD, 1));
	uint64_t arch;
	char line[96] = "", *end = line;

	if (!BIT(c.edx, 29) || !rdmsr_safe(MSR_ARCH_CAPABILITIES, &arch))
		arch = 0;

	bool taa = BIT(c.ebx, 11) && !(arch & TAA_NO);
	bool automatic = BIT(cpuid(0x80000021, 0).eax, 8) && !all;
	bool always = automatic || (arch & IBRS_ALL && !all);
	const struct {
		const char *name;
		uint32_t paths, spec_ctrl;
		bool on;
	} table[] = {
		{" IBRS", 0, automatic ? 0 : SPEC_CTRL_IBRS, always},
		{" IBRS at each entry", MITIGATE_ENTRY, SPEC_CTRL_IBRS, ibrs && !always},
		{" STIBP", 0, SPEC_CTRL_STIBP, ibrs && (BIT(c.edx, 27) || BIT(amd.ebx, 15))},
		{" IBPB", MITIGATE_IBPB, 0, ibpb},
		{" RSB", MITIGATE_RETURNS, 0,
		 all || (ibrs && !always) || (arch & IBRS_ALL && !(arch & PBRSB_NO))},
		{" VERW", MITIGATE_CLEAR, 0,
		 all || arch & (FB_CLEAR | RFDS_CLEAR) ||
			 (BIT(c.edx, 10) && (taa || !(arch & MDS_NO)))},
		{" L1D", MITIGATE_L1D, 0, flush && (all || !(arch & (RDCL_NO | SKIP_L1DFL)))},
		{" BHI_DIS_S", 0, SPEC_CTRL_BHI_DIS_S,
		 ibrs && c.eax >= 2 && !(arch & BHI_NO) && BIT(cpuid(7, 2).edx, 4)},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		if (!table[i].on)
			continue;
		mitigate_on |= table[i].paths;
		mitigate_spec_ctrl |= table[i].spec_ctrl;
		for (const char *p = table[i].name; *p; p++)
			*end++ = *p;
	}
	automatic_ibrs = automatic;
	log("mitigations:%s%s\n", *line ? line : " none offered",
	    cpuid(0, 0).ebx == INTEL && !(arch & RDCL_NO) ? "; open to Meltdown" : "");
	patch();
}

void mitigate_init(void)
{
	static bool chosen;

	if (!chosen) {
		chosen = true;
		if (boot_option("mitigations=off"))
			log("mitigations: off\n");
		else
			choose(boot_option("mitigations=all"));
	}
	if (automatic_ibrs)
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_AUTOIBRS);
	if (mitigate_spec_ctrl)
		wrmsr(MSR_SPEC_CTRL, mitigate_spec_ctrl);
}

void mitigate_switch(bool guest)
{
	if (mitigate_on & MITIGATE_IBPB)
		wrmsr(MSR_PRED_CMD, 1);
	if (mitigate_on & MITIGATE_RETURNS)
		stuff_returns();
	if (guest && mitigate_on & MITIGATE_L1D)
		wrmsr(MSR_FLUSH_CMD, 1);
}
