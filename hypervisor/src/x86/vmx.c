/*
 * vCPUs on VMX: making one, and what stands between two entries of the guest
 * when something changed.
 *
 * A VMCS is written on the CPU that its EC belongs to, when it is first needed
 * there; from then on `vmx_entry.S` enters the guest without looking at it, as
 * long as it is the current one and nothing that vmx_prepare() cares for is
 * different.
 */
#include "vmx.h"

#include <abi/hip.h>

#include "../fpu.h"
#include "../page.h"
#include "../panic.h"
#include "../pd.h"
#include "cr.h"
#include "insn.h"
#include "msr.h"
#include "vmx_insn.h"

enum {
	VMCS_ORDER = 1,		/* and the virtual-APIC page */
	EPTP_WRITE_BACK = 6,
	EPTP_4_LEVELS = 3 << 3,
	VPIDS = 1 << 16,
	EXCEPTIONS = 1 << 1 | 1 << 17 | 1 << 18, /* #DB, #AC, #MC */
};

#define PAT_RESET 0x0007040600070406ul
#define NO_VMCS	  (~0ul)

static uint64_t vmx_phys(const struct vmx *v, const void *field)
{
	return pool_to_phys(v) +
	       (uint64_t)((const char *)field - (const char *)v);
}

static uint64_t eptp(const struct ec *ec)
{
	return pool_to_phys(ec->pd->tables[PTAB_GUEST].root) | EPTP_WRITE_BACK |
	       EPTP_4_LEVELS;
}

static enum status vmx_create(struct ec *ec)
{
	struct pd *owner = ec->object.owner;
	struct vmx *v = page_alloc(owner, 0, true);

	if (!v) {
		return OUT_OF_MEMORY;
	}
	v->vmcs = page_alloc(owner, VMCS_ORDER, true);
	if (!v->vmcs || vcpu_need_root(ec->pd) != SUCCESS) {
		if (v->vmcs) {
			page_free(owner, v->vmcs, VMCS_ORDER);
		}
		page_free(owner, v, 0);
		return OUT_OF_MEMORY;
	}
	v->vmcs_phys = pool_to_phys(v->vmcs);
	*(uint32_t *)v->vmcs = vmx_caps.revision;
	v->host_cr3 = NO_VMCS;
	ec->vcpu = &v->vcpu;
	return SUCCESS;
}

static void vmx_destroy(struct ec *ec)
{
	struct pd *owner = ec->object.owner;
	struct vmx *v = vmx_of(ec);

	page_free(owner, v->vmcs, VMCS_ORDER);
	page_free(owner, v, 0);
	ec->vcpu = NULL;
}

void vmx_unload(struct ec *ec)
{
	struct vmx *v = vmx_of(ec);

	vcpu_leave(ec);
	if (v->active && !vmclear(v->vmcs_phys)) {
		panic("VMCLEAR failed");
	}
	v->active = 0;
	v->launched = 0;
	v->host_cr3 = NO_VMCS;
}

static void write_zeroes(void)
{
	static const uint16_t zero[] = {
#define ZERO(encoding) encoding,
#define SET(encoding)
#define FIELD(name, encoding, start) start(encoding)
#include "vmcs.def"
#undef FIELD
#undef SET
#undef ZERO
	};

	for (unsigned i = 0; i < ARRAY_SIZE(zero); i++) {
		vmwrite((enum vmcs_field)zero[i], 0);
	}
}

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/*
 * SDM 3C 25.5. An exit sets the limits of GDT and IDT to 64 KiB and that of the
 * TSS to 0x67: vmx_entry.S puts the first right, cpu->tss_short tells of the
 * last, and the IDT is full anyway.
 */
static void write_host(struct ec *ec, struct vmx *v)
{
	struct cpu *cpu = this_cpu();
	struct table_register gdtr, idtr;

	__asm__ volatile("sgdt %0" : "=m"(gdtr));
	__asm__ volatile("sidt %0" : "=m"(idtr));
	__builtin_memcpy(v->gdtr, &gdtr, sizeof(gdtr));
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
	if (vmx_caps.exit & EXIT_LOAD_PAT) {
		vmwrite(VMCS_HOST_PAT, rdmsr(MSR_PAT));
	}
	vmwrite(VMCS_HOST_RIP, (uint64_t)vmx_exit_entry);
	/* Exits push the general registers where they belong. */
	vmwrite(VMCS_HOST_RSP, (uint64_t)&ec->regs.vector);
}

static void write_controls(struct vmx *v)
{
	v->primary = vmx_caps.primary;
	v->secondary = vmx_caps.secondary;
	vmwrite(VMCS_PIN_CONTROLS, vmx_caps.pin);
	vmwrite(VMCS_PRIMARY_CONTROLS, v->primary);
	vmwrite(VMCS_SECONDARY_CONTROLS, v->secondary);
	vmwrite(VMCS_EXIT_CONTROLS, vmx_caps.exit);
	vmwrite(VMCS_ENTRY_CONTROLS, vmx_caps.entry);
	vmwrite(VMCS_EXCEPTION_BITMAP, EXCEPTIONS);
	vmwrite(VMCS_CR0_MASK, vmx_caps.cr0_host);
	vmwrite(VMCS_CR4_MASK, vmx_caps.cr4_host);
	vmwrite(VMCS_MSR_BITMAP, pool_to_phys(vmx_caps.msr_bitmap));
	vmwrite(VMCS_VIRTUAL_APIC, pool_to_phys(v->vmcs) + PAGE_SIZE);
	if (vmx_caps.primary_may & PRIMARY_TPR_SHADOW) {
		vmwrite(VMCS_TPR_THRESHOLD, 0);
	}
	if (v->secondary & SECONDARY_XSAVES) {
		vmwrite(VMCS_XSS_EXITING_BITMAP, 0);
	}
}

static void write_msrs(struct vmx *v)
{
	static const uint32_t index[VMX_MSRS] = {
		[VMX_KERNEL_GS_BASE] = MSR_KERNEL_GS_BASE,
		[VMX_STAR] = MSR_STAR,
		[VMX_LSTAR] = MSR_LSTAR,
		[VMX_SFMASK] = MSR_SFMASK,
		[VMX_TSC_AUX] = MSR_TSC_AUX,
	};

	for (unsigned i = 0; i < VMX_MSRS; i++) {
		v->guest_msr[i].index = v->host_msr[i].index = index[i];
	}
	v->host_msr[VMX_STAR].value = rdmsr(MSR_STAR);
	v->host_msr[VMX_LSTAR].value = rdmsr(MSR_LSTAR);
	v->host_msr[VMX_SFMASK].value = rdmsr(MSR_SFMASK);
	v->msr_count = 1;
	vmwrite(VMCS_EXIT_MSR_STORE, vmx_phys(v, v->guest_msr));
	vmwrite(VMCS_ENTRY_MSR_LOAD, vmx_phys(v, v->guest_msr));
	vmwrite(VMCS_EXIT_MSR_LOAD, vmx_phys(v, v->host_msr));
	vmwrite(VMCS_EXIT_MSR_STORE_COUNT, 1);
	vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, v->msr_count);
	vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, v->msr_count);
}

static void write_guest(struct vmx *v)
{
	vmwrite(VMCS_VMCS_LINK_POINTER, NO_VMCS);
	vmwrite(VMCS_GUEST_CR0, vmx_caps.cr0_fixed);
	vmwrite(VMCS_GUEST_CR4, vmx_caps.cr4_host);
	vmwrite(VMCS_CR0_SHADOW, 0);
	vmwrite(VMCS_CR4_SHADOW, 0);
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
	vmwrite(VMCS_GUEST_DR7, DR7_FIXED);
	if (vmx_caps.entry & ENTRY_LOAD_PAT) {
		vmwrite(VMCS_GUEST_PAT, PAT_RESET);
	}
	v->cr0_shadow = v->cr4_shadow = 0;
}

void vmx_make_current(struct ec *ec)
{
	struct cpu *cpu = this_cpu();
	struct vmx *v = vmx_of(ec);

	if ((!v->active && !vmclear(v->vmcs_phys)) || !vmptrld(v->vmcs_phys)) {
		panic("VMCLEAR or VMPTRLD failed");
	}
	v->active = 1;
	cpu->vcpu_loaded = ec;
	/* Before the generation is read: tlb.c. */
	__atomic_store_n(&cpu->vcpu_running, ec, __ATOMIC_SEQ_CST);
	if (!v->made) {
		v->made = 1;
		write_zeroes();
		write_controls(v);
		write_host(ec, v);
		write_guest(v);
		write_msrs(v);
		vmwrite(VMCS_EPTP, eptp(ec));
	}
}

/* Its linear translations must not be another vCPU's. */
static void prepare_vpid(struct vmx *v)
{
	struct vcpu *c = &v->vcpu;

	if (!(v->secondary & SECONDARY_VPID) ||
	    (c->asid && c->asid_generation == this_cpu()->asid_generation)) {
		return;
	}
	if (vcpu_take_asid(c, VPIDS)) {
		(void)invvpid(INVVPID_ALL, 0);
	}
	vmwrite(VMCS_VPID, c->asid);
}

/* SDM 3C 29.4.3.3: EPT entries went away or lost rights. */
static void prepare_ept(struct ec *ec, struct vmx *v)
{
	uint64_t now = __atomic_load_n(&ec->pd->guest_generation,
				       __ATOMIC_SEQ_CST);

	if (v->vcpu.generation != now || !v->launched) {
		v->vcpu.generation = now;
		(void)invept(INVEPT_SINGLE, eptp(ec));
	}
}

static void prepare_io(struct ec *ec, struct vmx *v)
{
	uint8_t *bitmap = ec->pd->guest_io;

	if (!bitmap) {
		bitmap = vmx_caps.io_bitmap;
	}
	if (v->guest_io != bitmap) {
		v->guest_io = bitmap;
		vmwrite(VMCS_IO_BITMAP_A, pool_to_phys(bitmap));
		vmwrite(VMCS_IO_BITMAP_B, pool_to_phys(bitmap) + PAGE_SIZE);
	}
}

static void prepare_cr3(struct vmx *v)
{
	uint64_t now = read_cr3();

	if (v->host_cr3 != now) {
		v->host_cr3 = now;
		vmwrite(VMCS_HOST_CR3, now);
	}
}

bool vmx_prepare(struct ec *ec)
{
	struct cpu *cpu = this_cpu();
	struct vmx *v = vmx_of(ec);
	bool launch;

	if (!vmx_is_current(ec)) {
		vmx_make_current(ec);
	}
	if (cpu->fpu_owner != ec) {
		fpu_switch(ec);
	}
	prepare_cr3(v);
	prepare_ept(ec, v);
	prepare_vpid(v);
	prepare_io(ec, v);
	if (v->vcpu.debugs) {
		vcpu_take_debug(ec);
	}
	if (read_cr2() != v->cr2) {
		write_cr2(v->cr2);
	}
	launch = !v->launched;
	v->launched = 1;
	return launch;
}

const struct vcpu_ops vmx_ops = {
	.name = "VMX",
	.feature = HIP_VMX,
	.event_invalid = REASON_INVALID_STATE,
	.guest = &ptab_ept,
	.resume = vmx_resume,
	.create = vmx_create,
	.destroy = vmx_destroy,
	.save = vmx_save,
	.load = vmx_load,
	.unload = vmx_unload,
};
