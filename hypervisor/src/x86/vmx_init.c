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
#include "insn.h"
#include "tsc.h"
#include "vmx_insn.h"

enum {
	CPUID_1_ECX_VMX = 1 << 5,
	TIMER_MS = 2,

	MSR_FEATURE_CONTROL = 0x3a,
	MSR_VMX_BASIC = 0x480,
	MSR_VMX_MISC = 0x485,
	MSR_VMX_CR0_FIXED0 = 0x486,
	MSR_VMX_CR4_FIXED0 = 0x488,
	MSR_VMX_EPT_VPID_CAP = 0x48c,

	MISC_TIMER_RATE = 0x1f,

	FEATURE_CONTROL_LOCK = 1 << 0,
	FEATURE_CONTROL_VMX = 1 << 2, /* outside SMX */
};

#define BASIC_TRUE_CONTROLS (1ul << 55)

/* MSR_VMX_EPT_VPID_CAP: SDM 3D A.10 */
#define EPT_4_LEVELS	  (1ul << 6)
#define EPT_WRITE_BACK	  (1ul << 14)
#define EPT_2M		  (1ul << 16)
#define EPT_1G		  (1ul << 17)
#define EPT_INVEPT	  (1ul << 20)
#define EPT_INVEPT_SINGLE (1ul << 25)
#define EPT_INVVPID	  (1ul << 32)
#define EPT_INVVPID_ALL	  (1ul << 42)

#define EPT_NEEDED  (EPT_4_LEVELS | EPT_WRITE_BACK | EPT_2M | EPT_INVEPT | EPT_INVEPT_SINGLE)
#define VPID_NEEDED (EPT_INVVPID | EPT_INVVPID_ALL)

/*
 * Without exits on CR8 the guest would change the priority of the host's local
 * APIC, and without those on debug registers what other vCPUs have in them.
 */
#define PRIMARY_NEEDED                                                             \
	(PRIMARY_HLT_EXITING | PRIMARY_RDPMC_EXITING | PRIMARY_CR8_LOAD_EXITING |  \
	 PRIMARY_CR8_STORE_EXITING | PRIMARY_MOV_DR_EXITING | PRIMARY_IO_BITMAPS | \
	 PRIMARY_MSR_BITMAPS | PRIMARY_SECONDARY)
/* What must be possible to turn off. */
#define PRIMARY_UNWANTED (PRIMARY_CR3_LOAD_EXITING | PRIMARY_CR3_STORE_EXITING)

/* Keys and user interrupts: state that no exit and no XSAVE takes along. */
#define CR4_NOT_KEPT (CR4_KL | CR4_UINTR)

enum { MSR_BITMAP_SIZE = 4096, IO_BITMAP_ORDER = 1 };

struct vmx_caps vmx_caps;

/* SDM 3C 29.3.2. */
struct ptab_format ptab_ept = {
	.table = 7,
	.page = 0,
	.large = 1 << 7,
	.r = 1,
	.w = 2,
	.x = 4,
	.no_x = 0,
	.type =
		{
			/* WB, whatever the guest's PAT says. */
			[MEMORY_CACHED] = 6 << 3 | 1 << 6,
			[MEMORY_COMBINING] = 1 << 3,
			[MEMORY_UNCACHED] = 0,
		},
	.present = 7,
	.levels_large = 1,
};

/*
 * Kinds of controls: the capability MSR, and the one that tells the truth, what
 * must be possible, and what is set from the start if it is.
 */
static const struct {
	uint32_t msr, true_msr, need, want;
} controls[VMX_CONTROLS] = {
	[VMX_PIN] = {0x481, 0x48d, PIN_INTERRUPT_EXITING | PIN_NMI_EXITING,
		     PIN_VIRTUAL_NMIS | PIN_PREEMPTION_TIMER},
	[VMX_PRIMARY] = {0x482, 0x48e, PRIMARY_NEEDED, PRIMARY_TSC_OFFSETTING},
	[VMX_EXIT] = {0x483, 0x48f,
		      EXIT_HOST_64 | EXIT_ACKNOWLEDGE | EXIT_SAVE_EFER | EXIT_LOAD_EFER,
		      EXIT_SAVE_DEBUG | EXIT_LOAD_PAT},
	[VMX_ENTRY] = {0x484, 0x490, ENTRY_LOAD_EFER, ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT},
	[VMX_SECONDARY] = {0x48b, 0x48b, SECONDARY_EPT | SECONDARY_UNRESTRICTED_GUEST,
			   SECONDARY_VPID | SECONDARY_RDTSCP | SECONDARY_INVPCID |
				   SECONDARY_XSAVES},
};

/* The first thing that is missing, or NULL; `capability` is what there is. */
static const char *find_missing(const uint64_t *capability, uint64_t ept_vpid)
{
	static const char *const name[VMX_CONTROLS] = {
		"a pin-based control", "a primary processor-based control",
		"an exit control",     "an entry control",
		"unrestricted guest",
	};

	if (vmx_missing(capability[VMX_SECONDARY], SECONDARY_EPT))
		return "extended page tables";
	if (EPT_NEEDED & ~ept_vpid)
		return "a feature of EPT";
	for (unsigned i = 0; i < VMX_CONTROLS; i++)
		if (vmx_missing(capability[i], controls[i].need))
			return name[i];
	if (vmx_missing(capability[VMX_PRIMARY], PRIMARY_INTERRUPT_WINDOW))
		return "the interrupt window";
	return capability[VMX_PRIMARY] & PRIMARY_UNWANTED ? "CR3 access without exit" : NULL;
}

/*
 * The timer ends a guest that nothing else does: Bochs holds back interrupts if
 * the guest was entered with IF = 0. Hypervisors need no such help, and would
 * have to arm a timer of theirs at each entry.
 */
static void choose_timer(struct vmx_caps *c)
{
	if (cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR) {
		c->set[VMX_PIN] &= ~(uint32_t)PIN_PREEMPTION_TIMER;
	} else if (c->set[VMX_PIN] & PIN_PREEMPTION_TIMER) {
		c->timer = (uint32_t)(TIMER_MS * tsc_khz >>
				      (rdmsr(MSR_VMX_MISC) & MISC_TIMER_RATE));
	}
}

static const char *choose(struct vmx_caps *c)
{
	uint64_t basic = rdmsr(MSR_VMX_BASIC), capability[VMX_CONTROLS] = {0};
	const char *missing;

	c->revision = (uint32_t)basic & 0x7fffffff;
	for (unsigned i = 0; i < VMX_CONTROLS; i++) {
		if (i == VMX_SECONDARY && vmx_missing(capability[VMX_PRIMARY], PRIMARY_SECONDARY))
			break;
		capability[i] = rdmsr(basic & BASIC_TRUE_CONTROLS ? controls[i].true_msr
								  : controls[i].msr);
		c->set[i] = vmx_controls(capability[i], controls[i].need | controls[i].want);
		c->may[i] = (uint32_t)(capability[i] >> 32);
	}
	if (c->may[VMX_SECONDARY] & SECONDARY_EPT)
		c->ept_vpid = rdmsr(MSR_VMX_EPT_VPID_CAP);
	missing = find_missing(capability, c->ept_vpid);
	if (missing)
		return missing;
	if (VPID_NEEDED & ~c->ept_vpid)
		c->set[VMX_SECONDARY] &= ~(uint32_t)SECONDARY_VPID;
	if (!(c->set[VMX_PIN] & PIN_VIRTUAL_NMIS))
		c->may[VMX_PRIMARY] &= ~(uint32_t)PRIMARY_NMI_WINDOW;
	choose_timer(c);
	/* With an unrestricted guest PE and PG may be 0 (SDM 3C 24.8). */
	c->cr0_host = (rdmsr(MSR_VMX_CR0_FIXED0) & ~(CR0_PE | CR0_PG)) | CR0_CD | CR0_NW;
	c->cr0_fixed = c->cr0_host & ~(CR0_CD | CR0_NW);
	c->cr4_fixed = rdmsr(MSR_VMX_CR4_FIXED0) | CR4_MCE;
	c->cr4_host = c->cr4_fixed | CR4_NOT_KEPT | (fpu_xss ? 0 : CR4_CET);
	return NULL;
}

/* FS_BASE, GS_BASE and KERNEL_GS_BASE are the guest's. SDM 3C 25.6.9. */
static bool make_bitmaps(struct vmx_caps *c)
{
	enum { READ_HIGH = 0x400, WRITE_HIGH = 0xc00 };
	uint32_t byte = (MSR_FS_BASE & 0x1fff) / 8;

	c->io_bitmap = page_alloc(NULL, IO_BITMAP_ORDER, false);
	c->msr_bitmap = page_alloc(NULL, 0, false);
	if (!c->io_bitmap || !c->msr_bitmap)
		return false;
	__builtin_memset(c->io_bitmap, 0xff, PAGE_SIZE << IO_BITMAP_ORDER);
	__builtin_memset(c->msr_bitmap, 0xff, MSR_BITMAP_SIZE);
	c->msr_bitmap[READ_HIGH + byte] = 0xf8;
	c->msr_bitmap[WRITE_HIGH + byte] = 0xf8;
	return true;
}

static void say(const struct vmx_caps *c)
{
	log("vmx: EPT%s%s, unrestricted guest%s%s\n",
	    c->ept_vpid & EPT_1G ? " with 1 GiB pages" : "",
	    c->set[VMX_SECONDARY] & SECONDARY_VPID ? ", VPID" : "",
	    c->set[VMX_PIN] & PIN_VIRTUAL_NMIS ? ", virtual NMIs" : "",
	    c->set[VMX_SECONDARY] & SECONDARY_XSAVES ? ", XSAVES" : "");
}

/* The first CPU says what all have. */
static const char *find_caps(bool first)
{
	struct vmx_caps c = {0};
	const char *missing = choose(&c);

	if (missing)
		return missing;
	if (first) {
		if (!make_bitmaps(&c))
			return "memory";
		vmx_caps = c;
		ptab_ept.levels_large = c.ept_vpid & EPT_1G ? 2 : 1;
		return NULL;
	}
	c.io_bitmap = vmx_caps.io_bitmap;
	c.msr_bitmap = vmx_caps.msr_bitmap;
	return __builtin_memcmp(&c, &vmx_caps, sizeof(c)) ? "what the first CPU has" : NULL;
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

static bool turn_on(struct cpu *cpu)
{
	uint32_t *region = cpu->vcpu_host;

	if (!region)
		region = page_alloc(NULL, 0, true);
	if (!region)
		return false;
	*region = vmx_caps.revision;
	cpu->vcpu_host = region;
	cpu->vcpu_host_phys = pool_to_phys(region);
	write_cr0(read_cr0() | CR0_NE);
	write_cr4(read_cr4() | CR4_VMXE);
	return vmxon(cpu->vcpu_host_phys);
}

bool vmx_init(struct cpu *cpu)
{
	const char *missing = NULL;
	bool first = !vcpu_ops;

	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_VMX))
		return false;
	if (!permitted())
		missing = "the firmware's permission";
	else
		missing = find_caps(first);
	if (!missing && !turn_on(cpu))
		missing = "a VMXON that works";
	if (missing) {
		log("vmx: not used, for want of %s\n", missing);
		return false;
	}
	if (first) {
		vcpu_ops = &vmx_ops;
		say(&vmx_caps);
	}
	return true;
}
