/*
 * How the kernel starts: one list of steps, in the order that they need each
 * other. start.S comes here with the boot page tables (4 GiB mapped to
 * themselves, and again at KERNEL_BASE), a stack, and GS base.
 */
#include "boot.h"

#include "../kernel.h"
#include "../log.h"
#include "../panic.h"
#include "acpi.h"
#include "apic.h"
#include "desc.h"
#include "hip.h"
#include "iommu.h"
#include "irq.h"
#include "kmem.h"
#include "madt.h"
#include "multiboot.h"
#include "pool.h"
#include "ptab_format.h"
#include "setup.h"
#include "smp.h"
#include "suspend.h"
#include "tsc.h"

struct cpu boot_cpu = {.self = &boot_cpu};

const struct boot_module *boot_root(void)
{
	if (boot_info.modules == 0)
		panic("the boot loader gave no module to be the root task");
	return &boot_info.module[0];
}

static void pool_init(void)
{
	uint64_t phys, size;

	pool_choose(&phys, &size);
	kmem_init(phys, size);
	page_init(phys, size);
	log("pool: %lu MiB at 0x%lx\n", size >> 20, phys);
}

/* The MADT names it with the others. */
static uint8_t boot_acpi_id(void)
{
	for (uint32_t i = 0; i < machine.cpus; i++)
		if (machine.cpu[i].apic_id == apic_id())
			return machine.cpu[i].acpi_id;
	return 0;
}

void boot_main(uint32_t magic, uint32_t info)
{
	log_init();
	log("Micronova 0.1 (x86_64)\n");
	idt_init();
	if (!multiboot_parse(magic, info))
		panic("not started by a Multiboot loader");

	ptab_host_init();
	pool_init();   /* the final page tables, and memory */
	kernel_init(); /* the objects that are there from the start */
	acpi_init();
	madt_init();

	irq_reset();
	tsc_init();
	apic_init(); /* whose timer the TSC measures */

	hip_init();
	if (!setup_window(&boot_cpu))
		panic("no memory for the boot CPU");
	boot_cpu.acpi_id = boot_acpi_id();
	setup_cpu(&boot_cpu);
	suspend_init();
	iommu_init(); /* from here on no device can do DMA */
	smp_init();
	hip_finish();

	kmem_load(); /* low memory is gone from here on */
	smp_release();
	kernel_start(&boot_cpu);
}
