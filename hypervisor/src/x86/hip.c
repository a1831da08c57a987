/*
 * The HIP (docs/abi.md, "Boot"): a header, the CPU array, the memory array,
 * all in one page.
 */
#include "hip.h"

#include "../log.h"
#include "../tree.h"
#include "acpi.h"
#include "boot.h"
#include "iommu.h"
#include "irq.h"
#include "kmem.h"
#include "vcpu.h"

struct hip *hip_page;

/* Of what is added after hip_init(): registers. */
static_assert(1 + MAX_IOAPICS + MAX_IOMMUS <= ARRAY_SIZE(boot_info.mem) - HIP_MEMS);

void hip_add(uint64_t phys, uint64_t size, int type)
{
	assert(boot_info.mems < ARRAY_SIZE(boot_info.mem));
	boot_info.mem[boot_info.mems++] = (struct hip_mem){phys, size, (uint32_t)type, 0};
}

static bool overlap(const struct hip_mem *m, uint64_t phys, uint64_t size)
{
	return phys < m->address + m->size && m->address < phys + size;
}

bool hip_has(int type, uint64_t phys, uint64_t size)
{
	for (uint32_t i = 0; i < boot_info.mems; i++)
		if (boot_info.mem[i].type == (uint32_t)type &&
		    overlap(&boot_info.mem[i], phys, size))
			return true;
	return false;
}

bool hip_is_free(uint64_t phys, uint64_t size)
{
	bool available = false;

	for (const struct hip_mem *m = boot_info.mem; m < boot_info.mem + boot_info.mems; m++)
		if (m->type == HIP_MEM_AVAILABLE)
			available |= phys >= m->address && phys + size <= m->address + m->size;
		else if ((int)m->type >= HIP_MEM_MODULE && overlap(m, phys, size))
			return false;
	return available;
}

void hip_init(void)
{
	hip_add(kmem_image_phys(log_ring), LOG_SIZE, HIP_MEM_LOG);

	hip_page = page_alloc(NULL, 0, true);
	*hip_page = (struct hip){
		.signature = HIP_SIGNATURE,
		.length = (uint16_t)(HIP_HEAD + boot_info.mems * sizeof(struct hip_mem)),
		.cpu_offset = sizeof(struct hip),
		.cpu_size = sizeof(struct hip_cpu),
		.mem_offset = HIP_HEAD,
		.mem_size = sizeof(struct hip_mem),
		.api_version = HIP_API_VERSION,
		.selectors = 1 << SELECTOR_BITS,
		.events_thread = EVENTS_THREAD,
		.events_vcpu = EVENTS_VCPU,
		.gsis = GSIS,
		.page_sizes = 1u << 12 | 1u << 21 | (ptab_host.levels_large == 2 ? 1u << 30 : 0),
		.utcb_sizes = 1 << 12,
	};
	__builtin_memcpy((char *)hip_page + HIP_HEAD, boot_info.mem,
			 boot_info.mems * sizeof(struct hip_mem));
}

void hip_add_cpu(const struct cpu *cpu)
{
	struct hip_cpu *entry = (struct hip_cpu *)(hip_page + 1) + cpu->id;

	*entry = topology_of_this_cpu();
	entry->flags |= HIP_CPU_ENABLED;
	for (uint32_t i = 0; i < machine.cpus; i++)
		if (machine.cpu[i].apic_id == cpu->apic_id)
			entry->acpi_id = machine.cpu[i].acpi_id;
}

void hip_finish(void)
{
	const uint16_t *word = (const uint16_t *)hip_page;
	uint16_t sum = 0;

	hip_page->tsc_khz = tsc_khz;
	hip_page->features = (vcpu_ops ? vcpu_ops->feature : 0u) |
			     (iommu.vendor && iommu.complete ? HIP_IOMMU : 0u);
	for (unsigned i = 0; i < hip_page->length / 2; i++)
		sum = (uint16_t)(sum + word[i]);
	hip_page->checksum = (uint16_t)-sum;
}
