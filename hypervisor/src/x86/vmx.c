/*
 * vCPUs on VMX: making one, and what stands between two entries of the guest
 * when something changed.
 *
 * A VMCS is written when it is first needed, the host's part on each CPU that its
 * EC comes to; from then on `vmx_entry.S` enters the guest without looking at it, as
 * long as it is the current one and nothing that vmx_prepare() cares for is
 * different.
 */
#include "vmx.h"

#include <abi/hip.h>

#include "../log.h"
#include "../pd.h"

enum { VMCS_ORDER = 1 /* and the virtual-APIC page */, VPIDS = 1 << 16 };
enum { EPTP_WRITE_BACK = 6, EPTP_4_LEVELS = 3 << 3 };
enum { EXCEPTIONS = 1 << VECTOR_DB | 1 << VECTOR_AC | 1 << VECTOR_MC };

#define NO_VMCS (~0ul)

static uint64_t eptp(const struct ec *ec)
{
	return pool_to_phys(ec->pd->tables[PTAB_GUEST].root) | EPTP_WRITE_BACK | EPTP_4_LEVELS;
}

static void init(struct ec *ec)
{
	struct vmx *v = vmx_of(ec);

	*(uint32_t *)v->vcpu.block = vmx_caps.revision;
	v->host_cr3 = NO_VMCS;
}

void vmx_unload(struct ec *ec)
{
	struct vmx *v = vmx_of(ec);

	vcpu_leave(ec);
	if (!v->active)
		return;
	if (!vmclear(v->vcpu.block_phys))
		panic("VMCLEAR failed");
	list_remove(&v->vcpu.cached);
	v->active = 0;
	v->host_cr3 = NO_VMCS;
}

/* A clear VMCS has anything in its fields. Those that are always there. */
static void write_zeroes(void)
{
	static const struct {
		uint16_t first, last;
	} zero[] = {
		{0x0800, 0x080e}, {0x0c00, 0x0c0c}, {0x200c, 0x200c}, {0x2010, 0x2010},
		{0x2802, 0x2802}, {0x2806, 0x2806}, {0x280a, 0x2810}, {0x4006, 0x400a},
		{0x4016, 0x401a}, {0x4800, 0x482a}, {0x4c00, 0x4c00}, {0x6004, 0x6006},
		{0x6800, 0x6826}, {0x6c06, 0x6c06}, {0x6c10, 0x6c12},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(zero); i++)
		for (unsigned f = zero[i].first; f <= zero[i].last; f += 2)
			vmwrite(f / 2, 0);
}

/*
 * SDM 3C 25.5. An exit sets the limits of GDT and IDT to 64 KiB and that of the
 * TSS to 0x67: vmx_entry.S puts the first right, cpu->tss_short tells of the
 * last, and the IDT is full anyway.
 */
static void write_host(struct ec *ec, struct vmx *v)
{
	struct cpu *cpu = this_cpu();
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} gdtr, idtr;

	__asm__ volatile("sgdt %0; sidt %1" : "=m"(gdtr), "=m"(idtr));
	__builtin_memcpy(v->host_gdtr, &gdtr, sizeof(gdtr));
	vmwrite(VMCS_HOST_CS_SELECTOR, SEL_KERNEL_CODE);
	vmwrite(VMCS_HOST_SS_SELECTOR, SEL_KERNEL_DATA);
	vmwrite(VMCS_HOST_TR_SELECTOR, SEL_TSS);
	vmwrite(VMCS_HOST_TR_BASE, (uint64_t)cpu->tss);
	vmwrite(VMCS_HOST_GDTR_BASE, gdtr.base);
	vmwrite(VMCS_HOST_IDTR_BASE, idtr.base);
	vmwrite(VMCS_HOST_GS_BASE, (uint64_t)cpu);
	vmwrite(VMCS_HOST_CR0, read_cr0() | CR0_TS);
	vmwrite(VMCS_HOST_CR3, read_cr3());
	vmwrite(VMCS_HOST_CR4, read_cr4());
	vmwrite(VMCS_HOST_EFER, rdmsr(MSR_EFER));
	if (vmx_caps.set[VMX_EXIT] & EXIT_LOAD_PAT)
		vmwrite(VMCS_HOST_PAT, rdmsr(MSR_PAT));
	vmwrite(VMCS_HOST_RIP, (uint64_t)vmx_exit_entry);
	/* Exits push the general registers where they belong. */
	vmwrite(VMCS_HOST_RSP, (uint64_t)&ec->regs.vector);
	v->host_msr[VMX_TSC_AUX].value = cpu->tsc_aux_host;
	vmx_count_msrs(v);
}

/* And what of the guest is not 0 before the VMM says otherwise. */
static void write_controls(struct vmx *v)
{
	const uint32_t *set = vmx_caps.set;

	v->primary = set[VMX_PRIMARY];
	v->secondary = set[VMX_SECONDARY];
	vmwrite(VMCS_PIN_CONTROLS, set[VMX_PIN]);
	vmwrite(VMCS_PRIMARY_CONTROLS, v->primary);
	vmwrite(VMCS_SECONDARY_CONTROLS, v->secondary);
	vmwrite(VMCS_EXIT_CONTROLS, set[VMX_EXIT]);
	vmwrite(VMCS_ENTRY_CONTROLS, set[VMX_ENTRY]);
	vmwrite(VMCS_EXCEPTION_BITMAP, EXCEPTIONS);
	vmwrite(VMCS_CR0_MASK, vmx_caps.cr0_host);
	vmwrite(VMCS_CR4_MASK, vmx_caps.cr4_host);
	vmwrite(VMCS_MSR_BITMAP, pool_to_phys(vcpu_msr_bitmap));
	vmwrite(VMCS_VIRTUAL_APIC, v->vcpu.block_phys + PAGE_SIZE);
	if (vmx_caps.may[VMX_PRIMARY] & PRIMARY_TPR_SHADOW)
		vmwrite(VMCS_TPR_THRESHOLD, 0);
	if (v->secondary & SECONDARY_XSAVES)
		vmwrite(VMCS_XSS_EXITING_BITMAP, 0);
	if (vmx_caps.timer)
		vmwrite(VMCS_PREEMPTION_TIMER, vmx_caps.timer);
	vmwrite(VMCS_LINK_POINTER, NO_VMCS);
	vmwrite(VMCS_GUEST_CR0, vmx_caps.cr0_fixed);
	vmwrite(VMCS_GUEST_CR4, vmx_caps.cr4_fixed);
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
	vmwrite(VMCS_GUEST_DR7, DR7_FIXED);
	if (set[VMX_ENTRY] & ENTRY_LOAD_PAT)
		vmwrite(VMCS_GUEST_PAT, PAT_RESET);
}

static void write_msrs(struct vmx *v)
{
	/* VMX_KERNEL_GS_BASE and so on */
	static const uint32_t index[VMX_MSRS] = {MSR_KERNEL_GS_BASE, MSR_STAR, MSR_LSTAR,
						 MSR_SFMASK, MSR_TSC_AUX};

	for (unsigned i = 0; i < VMX_MSRS; i++) {
		v->guest_msr[i].index = v->host_msr[i].index = index[i];
		if (i >= VMX_STAR && i <= VMX_SFMASK)
			v->host_msr[i].value = rdmsr(index[i]);
	}
	vmwrite(VMCS_EXIT_MSR_STORE, pool_to_phys(v->guest_msr));
	vmwrite(VMCS_ENTRY_MSR_LOAD, pool_to_phys(v->guest_msr));
	vmwrite(VMCS_EXIT_MSR_LOAD, pool_to_phys(v->host_msr));
	vmwrite(VMCS_EXIT_MSR_STORE_COUNT, 1);
}

void vmx_make_current(struct ec *ec)
{
	struct vmx *v = vmx_of(ec);

	if ((!v->active && !vmclear(v->vcpu.block_phys)) || !vmptrld(v->vcpu.block_phys))
		panic("VMCLEAR or VMPTRLD failed");
	vcpu_set_loaded(ec);
	if (!v->made) {
		v->made = 1;
		write_zeroes();
		write_controls(v);
		write_msrs(v);
		vmwrite(VMCS_EPTP, eptp(ec));
	}
	if (!v->active) {
		v->active = 1;
		v->vcpu.ec = ec;
		list_append(&this_cpu()->vcpus, &v->vcpu.cached);
		write_host(ec, v);
	}
}

/* Its linear translations must not be another vCPU's. */
static void prepare_vpid(struct vmx *v)
{
	uint32_t old = v->vcpu.asid;

	if (!(v->secondary & SECONDARY_VPID))
		return;
	if (vcpu_take_asid(&v->vcpu, VPIDS))
		invvpid(INVVPID_ALL, 0);
	if (v->vcpu.asid != old)
		vmwrite(VMCS_VPID, v->vcpu.asid);
}

bool vmx_prepare(struct ec *ec)
{
	struct vmx *v = vmx_of(ec);
	bool launch = v->host_cr3 == NO_VMCS;
	unsigned changes;

	vmx_need_current(ec);
	changes = vcpu_prepare(ec);
	if (v->host_cr3 != read_cr3()) {
		v->host_cr3 = read_cr3();
		vmwrite(VMCS_HOST_CR3, v->host_cr3);
	}
	/* EPT entries went away or lost rights: SDM 3C 29.4.3.3. */
	if (changes & VCPU_NEW_TABLES || launch)
		invept(INVEPT_SINGLE, eptp(ec));
	prepare_vpid(v);
	if (changes & VCPU_NEW_IO) {
		vmwrite(VMCS_IO_BITMAP_A, pool_to_phys(v->vcpu.guest_io));
		vmwrite(VMCS_IO_BITMAP_B, pool_to_phys(v->vcpu.guest_io) + PAGE_SIZE);
	}
	if (read_cr2() != v->cr2)
		write_cr2(v->cr2);
	return launch;
}

const struct vcpu_ops vmx_ops = {
	.name = "vmx",
	.feature = HIP_VMX,
	.block_order = VMCS_ORDER,
	.guest = &ptab_ept,
	.resume = vmx_resume,
	.turn_on = vmx_turn_on,
	.init = init,
	.save = vmx_save,
	.load = vmx_load,
	.add_tsc = vmx_add_tsc,
	.unload = vmx_unload,
};
