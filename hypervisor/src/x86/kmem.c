/*
 * The kernel's page tables. Built once at boot; after that only entries of CPU
 * windows (I/O bitmaps) and of the peek window change.
 *
 * All kernel pages are global: they are the same in every address space.
 */
#include "kmem.h"

#include "../log.h"
#include "../panic.h"
#include "boot.h"
#include "cpu.h"
#include "insn.h"
#include "ptab_format.h"

enum {
	ENTRIES = 512,
	SLOT_POOL = 510,   /* POOL_BASE in the root table */
	SLOT_KERNEL = 511, /* KERNEL_BASE and the windows */
	SLOT_IMAGE = 510,  /* below that */
	SLOT_WINDOWS = 511,
};

#define LARGE_SIZE (1ul << 21)

#define PTE_TABLE  (PTE_P | PTE_W | PTE_A)
#define PTE_KERNEL (PTE_P | PTE_A | PTE_D | PTE_G)
#define PTE_UC	   (PTE_PCD | PTE_PWT)

typedef uint64_t table[ENTRIES] aligned_to(PAGE_SIZE);

static table kernel_root, pdpt_pool, pdpt_kernel, pd_pool, pd_image, pd_windows, pt_image,
	pt_cpu[2], pt_device;

extern table boot_pml4, boot_pdpt;
extern const char boot_stack[], boot_stack_end[];

static unsigned devices;

static_assert(MAX_CPUS * CPU_PAGES * PAGE_SIZE == 2 * LARGE_SIZE);
static_assert(STACK_SIZE == 2 * PAGE_SIZE);
static_assert(DEVICE_BASE == CPU_BASE + 2 * LARGE_SIZE);
static_assert(PEEK_BASE == DEVICE_BASE + LARGE_SIZE - PAGE_SIZE);

static uint64_t entry_of(const table t)
{
	return kmem_image_phys(t) | PTE_TABLE;
}

static void map_image(const char *from, const char *to, uint64_t bits)
{
	for (const char *p = from; p < to; p += PAGE_SIZE) {
		pt_image[(uint64_t)p / PAGE_SIZE % ENTRIES] = kmem_image_phys(p) | PTE_KERNEL |
							      bits;
	}
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
	map_image(image_data, image_data_end, PTE_W | PTE_NX);
	map_image(log_ring, image_end, PTE_W | PTE_NX);
	for (uint64_t i = 0; i < pool_length / LARGE_SIZE; i++)
		pd_pool[i] = (pool_start + i * LARGE_SIZE) | PTE_KERNEL | PTE_PS | PTE_W | PTE_NX;
	kmem_share(boot_pml4);
	write_cr3(kmem_image_phys(boot_pml4));
}

void kmem_load(void)
{
	write_cr3(kmem_image_phys(kernel_root));
}

void kmem_identity(bool on)
{
	boot_pml4[0] = on ? entry_of(boot_pdpt) : 0;
}

void kmem_share(uint64_t *root)
{
	root[SLOT_POOL] = kernel_root[SLOT_POOL];
	root[SLOT_KERNEL] = kernel_root[SLOT_KERNEL];
}

static char *map_foreign(uint64_t phys, uint64_t type)
{
	assert(devices < ENTRIES - 1);
	pt_device[devices] = (phys & ~PAGE_MASK) | PTE_KERNEL | PTE_W | PTE_NX | type;
	return (char *)DEVICE_BASE + devices++ * PAGE_SIZE + (phys & PAGE_MASK);
}

volatile void *kmem_device(uint64_t phys)
{
	return map_foreign(phys, PTE_UC);
}

void *kmem_memory(uint64_t phys)
{
	return map_foreign(phys, 0);
}

const void *kmem_peek(uint64_t phys)
{
	pt_device[ENTRIES - 1] = (phys & ~PAGE_MASK) | PTE_KERNEL | PTE_NX;
	invlpg(PEEK_BASE);
	return (const char *)PEEK_BASE + (phys & PAGE_MASK);
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
	if (address >= (uint64_t)boot_stack && address < (uint64_t)boot_stack_end)
		return (uint64_t)boot_stack_end;
	if (address < CPU_BASE || address >= DEVICE_BASE)
		return 0;
	switch ((address - CPU_BASE) / PAGE_SIZE % CPU_PAGES) {
	case CPU_STACK:
		return (address & ~PAGE_MASK) + 2 * PAGE_SIZE;
	case CPU_STACK + 1:
	case CPU_NMI_STACK:
	case CPU_DF_STACK:
	case CPU_MC_STACK:
		return (address & ~PAGE_MASK) + PAGE_SIZE;
	default:
		return 0;
	}
}

/* The identity map of the boot page tables (start.S): 4 GiB, or 512. */
void *boot_memory(uint64_t phys, uint64_t size)
{
	enum { PAGES_1G = 1 << 26 }; /* CPUID 0x80000001, EDX */
	uint64_t limit = cpuid(0x80000001, 0).edx & PAGES_1G ? 1ul << 39 : 1ul << 32;

	if (phys == 0 || phys >= limit || size > limit - phys)
		return NULL;
	return (void *)phys;
}
