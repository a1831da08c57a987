/*
 * The kernel's half of every address space.
 *
 *   POOL_BASE    the pool, 2 MiB pages, RW
 *   KERNEL_BASE  the image, 4 KiB pages: text RX, rodata R, data RW
 *   CPU_BASE     for each CPU its TSS and stacks, with holes below the stacks
 *   DEVICE_BASE  registers of devices, uncached, and what sleep needs (suspend.c)
 *
 * All else is not mapped. The tables are static and the same for all PDs, whose
 * roots copy two entries of the kernel's.
 */
#pragma once

#include "../tree.h"

#define CPU_BASE    0xffffffffc0000000ul
#define DEVICE_BASE 0xffffffffc0400000ul

/*
 * Entries, of threads' page tables as well: SDM 3A 4.5. With the kernel's PAT,
 * PTE_PWT is write-combining, with PTE_PCD uncached.
 */
enum { PTE_P = 1 << 0, PTE_W = 1 << 1, PTE_U = 1 << 2, PTE_PWT = 1 << 3, PTE_PCD = 1 << 4 };
enum { PTE_A = 1 << 5, PTE_D = 1 << 6, PTE_PS = 1 << 7, PTE_G = 1 << 8 };
#define PTE_NX (1ul << 63)

#define IMAGE_PHYS 0x200000ul /* where the image is loaded */

/* hypervisor.ld */
extern const char image_text[], image_text_end[];
extern const char image_rodata[], image_rodata_end[];
extern char image_data[], boot_strings[], log_ring[], image_end[]; /* in this order */
extern const char boot_stack_end[];				   /* start.S */

/* Pages of a CPU's window; the pages between them are not mapped. */
enum {
	CPU_TSS = 0,
	CPU_IO_BITMAP = 1, /* two pages */
	CPU_IO_END = 3,	   /* begins with a byte of ones */
	CPU_STACK = 5,	   /* two pages */
	CPU_NMI_STACK = 8,
	CPU_DF_STACK = 10,
	CPU_MC_STACK = 12,
	CPU_PAGES = 16,
	CPU_STACKS = 3 << CPU_STACK | 1 << CPU_NMI_STACK | 1 << CPU_DF_STACK | 1 << CPU_MC_STACK,
};

/* Of the image, CPU windows excluded. */
static inline uint64_t kmem_image_phys(const void *p)
{
	return (uint64_t)p - KERNEL_BASE;
}

/*
 * Boot: the tables of all this, with the image and the pool mapped; they take
 * the place of the boot page tables' higher half.
 */
void kmem_init(uint64_t pool_start, uint64_t pool_length);
/*
 * On each CPU, at the end of boot: leave the boot page tables, which nobody loads
 * but CPUs on their way here.
 */
void kmem_load(void);

/* Enter the kernel's half into a PD's root table. */
void kmem_share(uint64_t *root);

/* Registers of a device, or memory that is not the kernel's: one page, for ever. */
void *kmem_map(uint64_t phys, enum memory_type type);

static inline uint64_t kmem_cpu_page(uint32_t cpu, unsigned page)
{
	return CPU_BASE + (cpu * (uint64_t)CPU_PAGES + page) * PAGE_SIZE;
}

/* Map a page of a CPU's window; the old translation here is flushed. */
void kmem_cpu_map(uint32_t cpu, unsigned page, uint64_t phys, bool writable);

/* The end of the stack that an address is in; if it is in none, none above it. */
uint64_t kmem_stack_end(uint64_t address);
