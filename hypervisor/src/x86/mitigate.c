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
#include "msr.h"

enum {
	MSR_SPEC_CTRL = 0x48,
	MSR_PRED_CMD = 0x49,
	MSR_ARCH_CAPABILITIES = 0x10a,
	MSR_FLUSH_CMD = 0x10b,

	SPEC_CTRL_IBRS = 1 << 0,
	SPEC_CTRL_STIBP = 1 << 1,
	SPEC_CTRL_BHI_DIS_S = 1 << 10,

	/* IA32_ARCH_CAPABILITIES */
	RDCL_NO = 1 << 0,
	IBRS_ALL = 1 << 1,
	SKIP_L1DFL = 1 << 3,
	MDS_NO = 1 << 5,
	TAA_NO = 1 << 8,
	FB_CLEAR = 1 << 17,
	BHI_NO = 1 << 20,
	PBRSB_NO = 1 << 24,
	RFDS_CLEAR = 1 << 28,
};

/* entry.S */
uint32_t mitigate_on; /* enum mitigation */
uint32_t mitigate_spec_ctrl;
const uint16_t mitigate_selector = SEL_KERNEL_DATA;

static bool chosen;
static bool automatic; /* AMD's IBRS, in EFER */
static bool meltdown;

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

static struct cpuid extended(uint32_t leaf)
{
	return cpuid(leaf & 0x80000000, 0).eax >= leaf ? cpuid(leaf, 0) : (struct cpuid){0};
}

#define BIT(word, bit) ((word) >> (bit)&1)

/*
 * all: what is offered, needed or not, and of MSRs that emulators take without
 * telling so.
 */
static uint32_t choose(bool all)
{
	enum { INTEL = 0x756e6547 }; /* the first letters of its name */
	struct cpuid c = extended(7), amd = extended(0x80000008);
	bool ibrs = BIT(c.edx, 26) || BIT(amd.ebx, 14) ||
		    (all && wrmsr_safe(MSR_SPEC_CTRL, SPEC_CTRL_IBRS));
	bool ibpb = BIT(c.edx, 26) || BIT(amd.ebx, 12) || (all && wrmsr_safe(MSR_PRED_CMD, 1));
	bool flush = BIT(c.edx, 28) || (all && wrmsr_safe(MSR_FLUSH_CMD, 1));
	bool always, taa;
	uint64_t arch = 0;
	uint32_t what = 0;

	if (!BIT(c.edx, 29) || !rdmsr_safe(MSR_ARCH_CAPABILITIES, &arch))
		arch = 0;
	automatic = BIT(extended(0x80000021).eax, 8);
	meltdown = cpuid(0, 0).ebx == INTEL && !(arch & RDCL_NO);
	always = (automatic || arch & IBRS_ALL) && !all;
	taa = BIT(c.ebx, 11) && !(arch & TAA_NO);

	const struct {
		uint32_t what;
		bool is;
	} rows[] = {
		{MITIGATE_IBRS, always},
		{MITIGATE_ENTRY, ibrs && !always},
		{MITIGATE_STIBP, ibrs && (BIT(c.edx, 27) || BIT(amd.ebx, 15))},
		{MITIGATE_IBPB, ibpb},
		{MITIGATE_RETURNS,
		 all || (ibrs && !always) || (arch & IBRS_ALL && !(arch & PBRSB_NO))},
		{MITIGATE_CLEAR, all || arch & (FB_CLEAR | RFDS_CLEAR) ||
					 (BIT(c.edx, 10) && (taa || !(arch & MDS_NO)))},
		{MITIGATE_L1D, flush && (all || !(arch & (RDCL_NO | SKIP_L1DFL)))},
		{MITIGATE_BHI, ibrs && c.eax >= 2 && !(arch & BHI_NO) && BIT(cpuid(7, 2).edx, 4)},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		what |= rows[i].is ? rows[i].what : 0;
	return what;
}

static bool is_option(const char *is, const char *what)
{
	while (is && *is && *is == *what) {
		is++;
		what++;
	}
	return is && *is == *what;
}

static void choose_and_say(void)
{
	const char *option = boot_option("mitigations");
	bool off = is_option(option, "off");
	uint32_t on = off ? 0 : choose(is_option(option, "all"));

	mitigate_on = on;
	if (on & MITIGATE_ENTRY || (on & MITIGATE_IBRS && !automatic))
		mitigate_spec_ctrl |= SPEC_CTRL_IBRS;
	if (on & MITIGATE_STIBP)
		mitigate_spec_ctrl |= SPEC_CTRL_STIBP;
	if (on & MITIGATE_BHI)
		mitigate_spec_ctrl |= SPEC_CTRL_BHI_DIS_S;
	patch();
	log("mitigations:%s%s%s%s%s%s%s%s%s%s\n",
	    off	 ? " off"
	    : on ? ""
		 : " none offered",
	    on & MITIGATE_IBRS ? " IBRS" : "", on & MITIGATE_ENTRY ? " IBRS at each entry" : "",
	    on & MITIGATE_STIBP ? " STIBP" : "", on & MITIGATE_IBPB ? " IBPB" : "",
	    on & MITIGATE_RETURNS ? " RSB" : "", on & MITIGATE_CLEAR ? " VERW" : "",
	    on & MITIGATE_L1D ? " L1D" : "", on & MITIGATE_BHI ? " BHI_DIS_S" : "",
	    meltdown ? "; open to Meltdown" : "");
}

void mitigate_init(void)
{
	if (!chosen) {
		chosen = true;
		choose_and_say();
	}
	if (automatic && mitigate_on & MITIGATE_IBRS)
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_AUTOIBRS);
	if (mitigate_spec_ctrl)
		wrmsr(MSR_SPEC_CTRL, mitigate_spec_ctrl);
}

void mitigate_switch(void)
{
	if (mitigate_on & MITIGATE_IBPB)
		wrmsr(MSR_PRED_CMD, 1);
	if (mitigate_on & MITIGATE_RETURNS)
		stuff_returns();
}

void mitigate_guest(void)
{
	mitigate_switch();
	if (mitigate_on & MITIGATE_L1D)
		wrmsr(MSR_FLUSH_CMD, 1);
}
