/*
 * What is set on a processor once: control registers, system calls, memory
 * types, descriptor tables, its local APIC, virtualisation.
 *
 * The FS and GS bases of user code are 0 for ever, so FSGSBASE stays off.
 */
#include "setup.h"

#include "../fpu.h"
#include "../kernel.h"
#include "../log.h"
#include "apic.h"
#include "cpu.h"
#include "desc.h"
#include "hip.h"
#include "insn.h"
#include "kmem.h"
#include "mitigate.h"
#include "tsc.h"
#include "vcpu.h"

extern const char entry_syscall[]; /* entry.S */

/*
 * Memory types by PAT entry, SDM 3A 11.12: what ptab_format.h calls write-back
 * 0, write-combining 1 (PWT), uncached 3 (PWT, PCD); the same again with PAT.
 */
#define PAT_TYPES 0x0007010600070106ul

/* All flags that user code could set. */
#define SFMASK_FLAGS 0x257fd5ul

/* CR4 bits by the CPUID bit that says they exist. */
enum cpuid_register { EBX, ECX, EDX };

static const struct {
	uint64_t cr4;
	uint32_t leaf;
	enum cpuid_register in;
	uint8_t bit;
} cr4_features[] = {
	{CR4_MCE, 1, EDX, 7},  {CR4_PGE, 1, EDX, 13},  {CR4_OSXSAVE, 1, ECX, 26},
	{CR4_SMEP, 7, EBX, 7}, {CR4_SMAP, 7, EBX, 20}, {CR4_UMIP, 7, ECX, 2},
};

static bool has(uint32_t leaf, enum cpuid_register in, uint8_t bit)
{
	struct cpuid r;

	if (cpuid(0, 0).eax < leaf)
		return false;
	r = cpuid(leaf, 0);
	return (in == EBX ? r.ebx : in == ECX ? r.ecx : r.edx) >> bit & 1;
}

static void set_control(void)
{
	uint64_t cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	for (unsigned i = 0; i < ARRAY_SIZE(cr4_features); i++)
		if (has(cr4_features[i].leaf, cr4_features[i].in, cr4_features[i].bit))
			cr4 |= cr4_features[i].cr4;
	write_cr0(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
	write_cr4(cr4);
}

static void set_msrs(void)
{
	wrmsr(MSR_PAT, PAT_TYPES);
	wrmsr(MSR_EFER, EFER_NXE | EFER_LMA | EFER_LME | EFER_SCE);
	wrmsr(MSR_STAR, (uint64_t)(SEL_USER_BASE | 3) << 48 | (uint64_t)SEL_KERNEL_CODE << 32);
	wrmsr(MSR_LSTAR, (uint64_t)entry_syscall);
	wrmsr(MSR_SFMASK, SFMASK_FLAGS);
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
}

/* VMX or SVM; the line about it is theirs, once for all CPUs. */
static bool init_vcpu(struct cpu *cpu)
{
	enum { CPUID_VMX = 5, CPUID_SVM = 2 };

	if (has(1, ECX, CPUID_VMX))
		return vmx_init(cpu);
	if (cpuid(0x80000000, 0).eax > 0x80000000 && cpuid(0x80000001, 0).ecx >> CPUID_SVM & 1)
		return svm_init(cpu);
	if (cpu->id == 0)
		log("vcpu: none, the processor has neither VMX nor SVM\n");
	return false;
}

bool setup_window(struct cpu *cpu)
{
	static const uint8_t pages[] = {CPU_TSS,       CPU_STACK,    CPU_STACK + 1,
					CPU_NMI_STACK, CPU_DF_STACK, CPU_MC_STACK};

	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		void *page = page_alloc(NULL, 0, true);

		if (!page)
			return false;
		kmem_cpu_map(cpu->id, pages[i], pool_to_phys(page), true);
	}
	cpu->stack = kmem_cpu_page(cpu->id, CPU_STACK) + STACK_SIZE;
	cpu->start_sp = cpu->stack;
	return true;
}

void setup_cpu(struct cpu *cpu)
{
	tsc_adjust();
	set_control();
	set_msrs();
	mitigate_init();
	desc_init(cpu);
	apic_init();
	cpu->apic_id = apic_id();
	if (!cpu->idle) {
		kernel_init_cpu(cpu);
		hip_add_cpu(cpu);
	}
	fpu_init(cpu);
	cpu->has_vcpu = init_vcpu(cpu);
}
