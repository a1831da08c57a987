/*
 * The HIP (docs/abi.md, "Boot"): a header, the CPU array, the memory array,
 * all in one page.
 *
 * The modules' command lines and the kernel's log lie in RAM that the loader
 * calls available, and root must leave it alone: the range that holds them is
 * listed without them, and they are listed as reserved and as the log.
 */
#include "hip.h"

#include "../log.h"
#include "../space.h"
#include "acpi.h"
#include "apic.h"
#include "boot.h"
#include "cpu.h"
#include "iommu.h"
#include "irq.h"
#include "kmem.h"
#include "tsc.h"
#include "vcpu.h"

enum {
	CPU_OFFSET = sizeof(struct hip),
	MEM_OFFSET = CPU_OFFSET + HIP_CPUS * sizeof(struct hip_cpu),
	MEM_MAX = (PAGE_SIZE - MEM_OFFSET) / sizeof(struct hip_mem),

	HIP_MEM_RESERVED = 2,
};

/* Loader's map, strings, modules, image, pool, RSDT, XSDT, screen, log, EFI. */
static_assert((int)BOOT_RANGES + 2 + BOOT_MODULES + 7 <= MEM_MAX);

struct hip *hip_page;

static struct {
	uint64_t start, end;
} taken[3 + MAX_IOAPICS + MAX_IOMMUS];
static uint32_t takens;

void hip_take(uint64_t start, uint64_t size)
{
	taken[takens].start = start;
	taken[takens++].end = start + size;
}

bool hip_is_kernel(uint64_t phys, uint64_t size)
{
	for (uint32_t i = 0; i < takens; i++)
		if (phys < taken[i].end && taken[i].start < phys + size)
			return true;
	return false;
}

bool hip_is_ram(uint64_t phys)
{
	for (uint32_t i = 0; i < boot_info.ranges; i++) {
		const struct boot_range *r = &boot_info.range[i];

		if (r->type == HIP_MEM_AVAILABLE && phys - r->address < r->size)
			return true;
	}
	return false;
}

static void add(uint64_t address, uint64_t size, uint32_t type, uint64_t aux)
{
	struct hip *h = hip_page;
	struct hip_mem *m = (struct hip_mem *)((char *)h + h->length);

	*m = (struct hip_mem){address, size, type, (uint32_t)aux};
	h->length = (uint16_t)(h->length + sizeof(*m));
}

static void add_range(const struct boot_range *r)
{
	uint64_t shared = kmem_image_phys(boot_strings);
	uint64_t behind = kmem_image_phys(image_end);
	uint64_t end = r->address + r->size;

	if (shared < r->address || behind > end) {
		add(r->address, r->size, r->type, 0);
		return;
	}
	add(r->address, shared - r->address, r->type, 0);
	add(shared, PAGE_SIZE, HIP_MEM_RESERVED, 0);
	if (end > behind)
		add(behind, end - behind, r->type, 0);
}

static void add_memory(void)
{
	const struct boot_info *b = &boot_info;
	uint64_t image = kmem_image_phys(boot_strings) - IMAGE_PHYS;

	for (uint32_t i = 0; i < b->ranges; i++)
		add_range(&b->range[i]);
	hip_take(IMAGE_PHYS, image);
	add(IMAGE_PHYS, image, (uint32_t)HIP_MEM_KERNEL, 0);
	hip_take(pool_phys, pool_size);
	add(pool_phys, pool_size, (uint32_t)HIP_MEM_KERNEL, 0);
	for (uint32_t i = 0; i < b->modules; i++) {
		add(b->module[i].phys, b->module[i].size, (uint32_t)HIP_MEM_MODULE,
		    b->module[i].string);
	}
	for (unsigned i = 0; i < 2; i++)
		if (acpi_root[i].size)
			add(acpi_root[i].phys, acpi_root[i].size,
			    (uint32_t)(i ? HIP_MEM_XSDT : HIP_MEM_RSDT), 0);
	if (b->framebuffer.address) {
		add(b->framebuffer.address,
		    (uint64_t)b->framebuffer.width << 40 | (uint64_t)b->framebuffer.height << 16 |
			    (uint64_t)b->framebuffer.type << 8 | b->framebuffer.bits,
		    (uint32_t)HIP_MEM_FRAMEBUFFER, b->framebuffer.pitch);
	}
	add(kmem_image_phys(log_ring), LOG_SIZE, (uint32_t)HIP_MEM_LOG, 0);
	if (b->efi)
		add(b->efi, 0, (uint32_t)HIP_MEM_EFI, 0);
}

static uint32_t page_sizes(void)
{
	uint32_t sizes = 1u << 12 | 1u << 21;

	return ptab_host.levels_large == 2 ? sizes | 1u << 30 : sizes;
}

void hip_init(void)
{
	struct hip *h = page_alloc(NULL, 0, true);

	*h = (struct hip){
		.signature = HIP_SIGNATURE,
		.length = MEM_OFFSET,
		.cpu_offset = CPU_OFFSET,
		.cpu_size = sizeof(struct hip_cpu),
		.mem_offset = MEM_OFFSET,
		.mem_size = sizeof(struct hip_mem),
		.api_version = HIP_API_VERSION,
		.selectors = 1 << SELECTOR_BITS,
		.events_thread = EVENTS_THREAD,
		.events_vcpu = EVENTS_VCPU,
		.gsis = GSIS,
		.page_sizes = page_sizes(),
		.utcb_sizes = 1 << 12,
		.tsc_khz = tsc_khz,
	};
	hip_page = h;
	add_memory();
	hip_take(APIC_PHYS, APIC_SIZE);
}

void hip_add_cpu(const struct cpu *cpu)
{
	struct hip_cpu *array = (struct hip_cpu *)((char *)hip_page + CPU_OFFSET);

	array[cpu->id] = topology_of_this_cpu();
	array[cpu->id].flags |= HIP_CPU_ENABLED;
	array[cpu->id].acpi_id = cpu->acpi_id;
}

void hip_finish(void)
{
	struct hip *h = hip_page;
	const uint16_t *word = (const uint16_t *)h;
	uint16_t sum = 0;

	h->features = (vcpu_ops ? vcpu_ops->feature : 0u) |
		      (iommu.vendor && iommu.complete ? HIP_IOMMU : 0u);
	for (unsigned i = 0; i < h->length / 2; i++)
		sum = (uint16_t)(sum + word[i]);
	h->checksum = (uint16_t)-sum;
}
