/*
 * VMX on a processor: what it offers (SDM 3D appendix A), what of that we need,
 * and turning it on (SDM 3C 24.7).
 *
 * We need little, and take the rest as found, because the processor may be a
 * hypervisor's. All CPUs must offer what the first one does.
 */
#include "vmx.h"

#include "../fpu.h"
#include "../log.h"

enum { MSR_FEATURE_CONTROL = 0x3a, MSR_VMX_BASIC = 0x480, MSR_VMX_MISC = 0x485 };
enum { MSR_VMX_CR0_FIXED0 = 0x486, MSR_VMX_CR4_FIXED0 = 0x488, MSR_VMX_EPT_VPID_CAP = 0x48c };
enum { FEATURE_CONTROL_LOCK = 1 << 0, FEATURE_CONTROL_VMX = 1 << 2 /* outside SMX */ };
enum { TIMER_MS = 2, MISC_TIMER_RATE = 0x1f };
enum { GUEST_MSRS = 7 /* FS_BASE, GS_BASE and KERNEL_GS_BASE, from the first on */ };

#define BASIC_TRUE_CONTROLS (1ul << 55)

/* Of MSR_VMX_EPT_VPID_CAP, SDM 3D A.10: 4 levels, write-back, 2 MiB, INVEPT, of a context. */
#define EPT_NEEDED  (1ul << 6 | 1ul << 14 | 1ul << 16 | 1ul << 20 | 1ul << 25)
#define EPT_1G	    (1ul << 17)
#define VPID_NEEDED (1ul << 32 | 1ul << 42) /* INVVPID, of all contexts */

/* Keys and user interrupts: state that no exit and no XSAVE takes along. */
#define CR4_NOT_KEPT (CR4_KL | CR4_UINTR)

struct vmx_caps vmx_caps;

/* SDM 3C 29.3.2. */
struct ptab_format ptab_ept = {
	.table = 7,
	.large = 1 << 7,
	.r = 1,
	.w = 2,
	.x = 4,
	.type =
		{
			/* WB, whatever the guest's PAT says. */
			[MEMORY_CACHED] = 6 << 3 | 1 << 6,
			[MEMORY_COMBINING] = 1 << 3,
		},
	.present = 7,
	.levels_large = 1,
};

/* What must be possible and is not, or NULL. */
static const char *find_missing(const struct vmx_caps *c)
{
#define CONTROL(kind, name, bit, use)                                          \
	if (((NEED | MAY) & (use) && !(c->may[VMX_##kind] & kind##_##name)) || \
	    (OFF & (use) && c->set[VMX_##kind] & kind##_##name))               \
		return "a choice of " #kind " control " #name;
	VMX_CONTROL_TABLE(CONTROL)
#undef CONTROL
	return EPT_NEEDED & ~c->ept_vpid ? "a feature of EPT" : NULL;
}

/*
 * The timer ends a guest that nothing else does: Bochs holds back interrupts if
 * the guest was entered with IF = 0. Hypervisors need no such help, and would
 * have to arm a timer of theirs at each entry.
 */
static void choose_timer(struct vmx_caps *c)
{
	if (cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR) {
		c->set[VMX_PIN] &= ~PIN_PREEMPTION_TIMER;
	} else if (c->set[VMX_PIN] & PIN_PREEMPTION_TIMER) {
		c->timer = (uint32_t)(TIMER_MS * tsc_khz >>
				      (rdmsr(MSR_VMX_MISC) & MISC_TIMER_RATE));
	}
}

/*
 * The capability MSR of a kind of control has the bits that must be 1 in its
 * low half, those that may be in its high half (SDM 3D A.3 to A.5). If the
 * processor says so there are others, which tell the truth; but not of the
 * secondary controls.
 */
static const char *choose(struct vmx_caps *c)
{
	enum { CONTROL_CAPS = 0x481, TRUE_CONTROL_CAPS = 0x48d, SECONDARY_CAPS = 0x48b };
	uint64_t basic = rdmsr(MSR_VMX_BASIC), capability;
	uint32_t first = basic & BASIC_TRUE_CONTROLS ? TRUE_CONTROL_CAPS : CONTROL_CAPS;
	const char *missing;

	c->revision = (uint32_t)basic & 0x7fffffff;
	for (uint32_t i = 0; i < VMX_CONTROLS; i++) {
		(void)rdmsr_safe(i == VMX_SECONDARY ? SECONDARY_CAPS : first + i, &capability);
		c->may[i] = (uint32_t)(capability >> 32);
		c->set[i] = (vmx_controls(i, NEED | WANT) | (uint32_t)capability) & c->may[i];
	}
	(void)rdmsr_safe(MSR_VMX_EPT_VPID_CAP, &c->ept_vpid);
	missing = find_missing(c);
	if (missing)
		return missing;
	if (VPID_NEEDED & ~c->ept_vpid)
		c->set[VMX_SECONDARY] &= ~SECONDARY_VPID;
	if (!(c->set[VMX_PIN] & PIN_VIRTUAL_NMIS))
		c->may[VMX_PRIMARY] &= ~PRIMARY_NMI_WINDOW;
	choose_timer(c);
	/* With an unrestricted guest PE and PG may be 0 (SDM 3C 24.8). */
	c->cr0_host = (rdmsr(MSR_VMX_CR0_FIXED0) & ~(CR0_PE | CR0_PG)) | CR0_CD | CR0_NW;
	c->cr0_fixed = c->cr0_host & ~(CR0_CD | CR0_NW);
	c->cr4_fixed = rdmsr(MSR_VMX_CR4_FIXED0) | CR4_MCE;
	c->cr4_host = c->cr4_fixed | CR4_NOT_KEPT | (fpu_xss ? 0 : CR4_CET);
	return NULL;
}

/* Firmware may leave this to us, and a hypervisor does. */
static bool permitted(void)
{
	uint64_t control;

	if (!rdmsr_safe(MSR_FEATURE_CONTROL, &control))
		return true;
	if (control & FEATURE_CONTROL_LOCK)
		return control & FEATURE_CONTROL_VMX;
	return wrmsr_safe(MSR_FEATURE_CONTROL,
			  control | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);
}

/* The first CPU says what all have; of MSRs some are the guest's (SDM 3C 25.6.9). */
static const char *accept(const struct vmx_caps *c, bool first)
{
	enum { READ_HIGH = 0x400, WRITE_HIGH = 0xc00, BYTE = (MSR_FS_BASE & 0x1fff) / 8 };

	if (!first)
		return __builtin_memcmp(c, &vmx_caps, sizeof(*c)) ? "what the first CPU has" : NULL;
	vmx_caps = *c;
	ptab_ept.levels_large = c->ept_vpid & EPT_1G ? 2 : 1;
	vcpu_msr_bitmap[READ_HIGH + BYTE] = vcpu_msr_bitmap[WRITE_HIGH + BYTE] = 0xff & ~GUEST_MSRS;
	log("vmx: EPT%s%s, unrestricted guest%s%s\n",
	    c->ept_vpid & EPT_1G ? " with 1 GiB pages" : "",
	    c->set[VMX_SECONDARY] & SECONDARY_VPID ? ", VPID" : "",
	    c->set[VMX_PIN] & PIN_VIRTUAL_NMIS ? ", virtual NMIs" : "",
	    c->set[VMX_SECONDARY] & SECONDARY_XSAVES ? ", XSAVES" : "");
	return NULL;
}

const char *vmx_turn_on(struct cpu *cpu, bool first)
{
	struct vmx_caps c = {0};
	const char *missing = permitted() ? choose(&c) : "the firmware's permission";

	if (!missing)
		missing = accept(&c, first);
	if (missing)
		return missing;
	*(uint32_t *)cpu->vcpu_host = c.revision;
	write_cr0(read_cr0() | CR0_NE);
	write_cr4(read_cr4() | CR4_VMXE);
	return vmxon(cpu->vcpu_host_phys) ? NULL : "a VMXON that works";
}
