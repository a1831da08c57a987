/*
 * How the kernel starts: one list of steps, in the order that they need each
 * other. start.S comes here with the boot page tables (4 GiB mapped to
 * themselves, or 512, and again at KERNEL_BASE), a stack, and GS base.
 *
 * And what is set on a processor once: control registers, system calls, memory
 * types, descriptor tables, its local APIC, virtualisation. The FS and GS bases
 * of user code are 0 for ever, so FSGSBASE stays off.
 */
#include "boot.h"

#include "../fpu.h"
#include "../kernel.h"
#include "../log.h"
#include "../pd.h"
#include "../sm.h"
#include "acpi.h"
#include "apic.h"
#include "hip.h"
#include "insn.h"
#include "iommu.h"
#include "irq.h"
#include "kmem.h"
#include "mitigate.h"
#include "suspend.h"
#include "vcpu.h"

struct cpu boot_cpu = {.self = &boot_cpu, .start_sp = (uint64_t)boot_stack_end};

extern const char entry_syscall[]; /* entry.S */

/*
 * Memory types by PAT entry, SDM 3A 11.12: what kmem.h calls write-back
 * 0, write-combining 1 (PWT), uncached 3 (PWT, PCD); the same again with PAT.
 */
#define PAT_TYPES 0x0007010600070106ul

/* All flags that user code could set. */
#define SFMASK_FLAGS 0x257fd5ul

/* Registers of CPUID, as they are in struct cpuid. */
enum { EBX = 1, ECX, EDX };

static bool has(uint32_t leaf, unsigned word, unsigned bit)
{
	struct cpuid r = cpuid(leaf, 0);

	return ((uint32_t *)&r)[word] >> bit & 1;
}

/* The identity map of the boot page tables. */
void *boot_memory(uint64_t phys, uint64_t size)
{
	uint64_t limit = 1ul << (ptab_host.levels_large == 2 ? 39 : 32), end = physical_end();

	limit = limit < end ? limit : end;
	return phys == 0 || phys >= limit || size > limit - phys ? NULL : (void *)phys;
}

void setup_window(struct cpu *cpu)
{
	char *page = page_alloc(NULL, 3, true);

	if (!page)
		panic("no memory for CPU %u", cpu->id);
	for (unsigned i = 0; i < CPU_PAGES; i++)
		if ((CPU_STACKS | 1 << CPU_TSS) >> i & 1) {
			kmem_cpu_map(cpu->id, i, pool_to_phys(page), true);
			page += PAGE_SIZE;
		}
	cpu->start_sp = cpu->stack = kmem_cpu_page(cpu->id, CPU_STACK) + STACK_SIZE;
}

static void set_registers(struct cpu *cpu)
{
	static const struct {
		uint64_t cr4;
		uint32_t leaf, word, bit;
	} features[] = {
		{CR4_MCE, 1, EDX, 7},  {CR4_PGE, 1, EDX, 13},  {CR4_OSXSAVE, 1, ECX, 26},
		{CR4_SMEP, 7, EBX, 7}, {CR4_SMAP, 7, EBX, 20}, {CR4_UMIP, 7, ECX, 2},
	};
	uint64_t cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	for (unsigned i = 0; i < ARRAY_SIZE(features); i++)
		if (has(features[i].leaf, features[i].word, features[i].bit))
			cr4 |= features[i].cr4;
	write_cr0(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
	write_cr4(cr4);
	wrmsr(MSR_PAT, PAT_TYPES);
	wrmsr(MSR_EFER, EFER_NXE | EFER_LMA | EFER_LME | EFER_SCE);
	wrmsr(MSR_STAR, (uint64_t)(SEL_USER_BASE | 3) << 48 | (uint64_t)SEL_KERNEL_CODE << 32);
	wrmsr(MSR_LSTAR, (uint64_t)entry_syscall);
	wrmsr(MSR_SFMASK, SFMASK_FLAGS);
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	if (has(0x80000001, EDX, 27)) { /* RDTSCP */
		cpu->tsc_aux = cpu->tsc_aux_host = cpu->id;
		wrmsr(MSR_TSC_AUX, cpu->id);
	}
}

void setup_cpu(struct cpu *cpu)
{
	bool vmx = has(1, ECX, 5), svm = has(0x80000001, ECX, 2);

	tsc_adjust(cpu);
	set_registers(cpu);
	mitigate_init();
	desc_init(cpu);
	apic_init();
	cpu->apic_id = apic_id();
	if (!cpu->idle) {
		kernel_init_cpu(cpu);
		hip_add_cpu(cpu);
	}
	fpu_init(cpu);
	/* The line about it is theirs, once for all CPUs. */
	if (vmx || svm)
		cpu->has_vcpu = vcpu_init(cpu, vmx ? &vmx_ops : &svm_ops);
	else if (cpu == &boot_cpu)
		log("vcpu: none, the processor has neither VMX nor SVM\n");
}

#define POOL_ALIGN (2ul << 20)

/*
 * The highest block of RAM that nothing is in, below 4 GiB if there is one, where
 * every structure of every processor may lie. It ends where something begins or
 * ends. 0: there is none.
 */
static uint64_t find_block(uint64_t size, uint64_t limit)
{
	uint64_t best = 0;

	for (uint32_t i = 0; i < 2 * boot_info.mems; i++) {
		const struct hip_mem *m = &boot_info.mem[i / 2];
		uint64_t end = m->address + (i % 2 ? m->size : 0);
		uint64_t start = ((end < limit ? end : limit) - size) & -POOL_ALIGN;

		if (end > size && start > best && hip_is_free(start, size))
			best = start;
	}
	return best || limit == ~0ul ? best : find_block(size, ~0ul);
}

/*
 * The pool is a sixteenth of RAM within limits, less if no block is that large.
 * The pages of the image that root may read are RAM that nobody else may use.
 */
static void pool_init(void)
{
	enum { RAM_PART = 16, MIN = 16 << 20, MAX = 1024 << 20 };
	uint64_t shared = kmem_image_phys(boot_strings), phys, size = 0;

	for (uint32_t i = 0; i < boot_info.mems; i++)
		if (boot_info.mem[i].type == HIP_MEM_AVAILABLE)
			size += boot_info.mem[i].size / RAM_PART;
	hip_add(IMAGE_PHYS, shared - IMAGE_PHYS, HIP_MEM_KERNEL);
	hip_add(shared, kmem_image_phys(log_ring) - shared, HIP_MEM_RESERVED);
	smp_find_page();

	size = size < MIN ? MIN : size > MAX ? MAX : (size + POOL_ALIGN - 1) & -POOL_ALIGN;
	while (!(phys = find_block(size, 1ul << 32))) {
		size = size / 2 & -POOL_ALIGN;
		if (!size)
			panic("no free RAM for the kernel");
	}
	hip_add(phys, size, HIP_MEM_KERNEL);
	kmem_init(phys, size);
	page_init(phys, size);
	log("pool: %lu MiB at 0x%lx\n", size >> 20, phys);
}

void boot_main(uint32_t magic, uint32_t info)
{
	log_init();
	log("Micronova 0.1 (x86_64)\n");
	idt_init();
	if (has(0x80000001, EDX, 26)) /* pages of 1 GiB */
		ptab_host.levels_large = 2;
	if (!multiboot_parse(magic, info))
		panic("not started by a Multiboot loader");

	pool_init(); /* the final page tables, and memory */
	pd_init_kernel();
	sm_init_gsis(GSIS);
	acpi_init();
	hip_init();
	hip_add(APIC_PHYS, APIC_SIZE, HIP_MEM_KERNEL);
	madt_init();

	irq_reset();
	tsc_init();
	apic_init(); /* whose timer the TSC measures */

	setup_window(&boot_cpu);
	setup_cpu(&boot_cpu);
	suspend_init();
	iommu_init(); /* from here on no device can do DMA */
	smp_init();
	hip_finish();
	kernel_create_root();

	kmem_load(); /* low memory is gone from here on */
	smp_release();
	kernel_start(&boot_cpu);
}
