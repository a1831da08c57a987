/*
 * The kernel's page tables. Built once at boot; after that only entries of CPU
 * windows (I/O bitmaps) change.
 *
 * All kernel pages are global: they are the same in every address space.
 */
#include "kmem.h"

#include "../log.h"
#include "boot.h"
#include "cpu.h"
#include "insn.h"

/* In the root table POOL_BASE, and KERNEL_BASE with the windows; below that these. */
enum { ENTRIES = 512, SLOT_POOL = 510, SLOT_KERNEL = 511, SLOT_IMAGE = 510, SLOT_WINDOWS = 511 };

#define LARGE_SIZE (1ul << 21)

#define PTE_TABLE  (PTE_P | PTE_W | PTE_A)
#define PTE_KERNEL (PTE_P | PTE_A | PTE_D | PTE_G)

typedef uint64_t table[ENTRIES] aligned_to(PAGE_SIZE);

static table kernel_root, pdpt_pool, pdpt_kernel, pd_pool, pd_image, pd_windows, pt_image,
	pt_cpu[2], pt_device;

extern table boot_pml4; /* start.S */

static_assert(MAX_CPUS * CPU_PAGES * PAGE_SIZE == 2 * LARGE_SIZE);
static_assert(DEVICE_BASE == CPU_BASE + 2 * LARGE_SIZE);

static uint64_t entry_of(const table t)
{
	return kmem_image_phys(t) | PTE_TABLE;
}

static void map_image(const char *from, const char *to, uint64_t bits)
{
	for (const char *p = from; p < to; p += PAGE_SIZE)
		pt_image[(uint64_t)p / PAGE_SIZE % ENTRIES] = kmem_image_phys(p) | PTE_KERNEL |
							      bits;
}

void kmem_init(uint64_t pool_start, uint64_t pool_length)
{
	kernel_root[SLOT_POOL] = entry_of(pdpt_pool);
	kernel_root[SLOT_KERNEL] = entry_of(pdpt_kernel);
	pdpt_pool[0] = entry_of(pd_pool);
	pdpt_kernel[SLOT_IMAGE] = entry_of(pd_image);
	pdpt_kernel[SLOT_WINDOWS] = entry_of(pd_windows);
	pd_image[1] = entry_of(pt_image);
	pd_windows[0] = entry_of(pt_cpu[0]);
	pd_windows[1] = entry_of(pt_cpu[1]);
	pd_windows[2] = entry_of(pt_device);

	map_image(image_text, image_text_end, 0);
	map_image(image_rodata, image_rodata_end, PTE_NX);
	map_image(image_data, image_end, PTE_W | PTE_NX);
	for (uint64_t i = 0; i < pool_length / LARGE_SIZE; i++)
		pd_pool[i] = (pool_start + i * LARGE_SIZE) | PTE_KERNEL | PTE_PS | PTE_W | PTE_NX;
	kmem_share(boot_pml4);
	write_cr3(kmem_image_phys(boot_pml4));
}

void kmem_load(void)
{
	write_cr3(kmem_image_phys(kernel_root));
}

void kmem_share(uint64_t *root)
{
	root[SLOT_POOL] = kernel_root[SLOT_POOL];
	root[SLOT_KERNEL] = kernel_root[SLOT_KERNEL];
}

void *kmem_map(uint64_t phys, enum memory_type type)
{
	static unsigned used;

	assert(used < ENTRIES);
	pt_device[used] = (phys & ~PAGE_MASK) | PTE_KERNEL | PTE_W | PTE_NX | ptab_host.type[type];
	return (char *)DEVICE_BASE + used++ * PAGE_SIZE + (phys & PAGE_MASK);
}

void kmem_cpu_map(uint32_t cpu, unsigned page, uint64_t phys, bool writable)
{
	uint64_t index = cpu * (uint64_t)CPU_PAGES + page;

	pt_cpu[index / ENTRIES][index % ENTRIES] = phys | PTE_KERNEL | PTE_NX |
						   (writable ? PTE_W : 0);
	invlpg(kmem_cpu_page(cpu, page));
}

uint64_t kmem_stack_end(uint64_t address)
{
	uint64_t end = address & ~PAGE_MASK;

	if ((uint64_t)boot_stack_end - address <= STACK_SIZE)
		return (uint64_t)boot_stack_end;
	while (end >= CPU_BASE && end < DEVICE_BASE &&
	       CPU_STACKS >> end / PAGE_SIZE % CPU_PAGES & 1)
		end += PAGE_SIZE;
	return end;
}
