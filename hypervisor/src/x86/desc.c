/*
 * Descriptor tables. The IDT is one for all CPUs, and read-only after boot;
 * GDT and TSS are each CPU's own. Segments do nothing in 64-bit mode but say
 * which privilege level it is.
 */
#include "cpu.h"

#include "kmem.h"

enum { VECTORS = 256, IST_NMI = 1, IST_DF = 2, IST_MC = 3, IO_BITMAP_PAGES = 2 };
enum { TSS_LIMIT = CPU_IO_END * PAGE_SIZE }; /* the byte of ones is in it */

static_assert(TSS_BITMAP == CPU_IO_BITMAP * PAGE_SIZE);

/* SDM 3A 6.14.1: the low and the high half of a gate. */
enum { GATE_IST = 32, GATE_TYPE = 40, TYPE_INTERRUPT = 0x8e, TYPE_DPL3 = 0x60 };

/* Segment descriptors, SDM 3A 3.4.5; accessed, so that nobody writes them. */
#define TSS_AVAILABLE 0x0000890000000000ul
#define TSS_BUSY      0x0000020000000000ul

static const uint64_t segments[SEL_TSS / 8] = {
	[SEL_KERNEL_CODE / 8] = 0x00af9b000000ffff,
	[SEL_KERNEL_DATA / 8] = 0x00cf93000000ffff,
	[SEL_USER_DATA / 8] = 0x00cff3000000ffff,
	[SEL_USER_CODE / 8] = 0x00affb000000ffff,
};

/* entry.S: where each vector goes. */
extern const char entries[VECTORS][16];

__attribute__((section(".ro_boot"))) static uint64_t idt[VECTORS][2] aligned_to(PAGE_SIZE);

/* What is not in a PD's I/O bitmap: ones. */
static uint8_t ones[PAGE_SIZE] aligned_to(PAGE_SIZE);

#define LOAD_TABLE(instruction, table)                                                \
	do {                                                                          \
		struct {                                                              \
			uint16_t limit;                                               \
			uint64_t base;                                                \
		} __attribute__((packed)) p = {sizeof(table) - 1, (uint64_t)(table)}; \
		__asm__ volatile(instruction " %0" : : "m"(p) : "memory");            \
	} while (0)

void idt_init(void)
{
	static const uint8_t ist[VECTORS] = {
		[VECTOR_DB] = IST_DF, /* see exception_own_stack() */
		[VECTOR_NMI] = IST_NMI,
		[VECTOR_DF] = IST_DF,
		[VECTOR_MC] = IST_MC,
	};

	for (unsigned v = 0; v < VECTORS; v++) {
		uint64_t to = (uint64_t)entries[v], type = TYPE_INTERRUPT;

		if (v == VECTOR_BP || v == VECTOR_OF)
			type |= TYPE_DPL3;
		idt[v][0] = (to & 0xffff) | SEL_KERNEL_CODE << 16 | (uint64_t)ist[v] << GATE_IST |
			    type << GATE_TYPE | (to & 0xffff0000) << 32;
		idt[v][1] = to >> 32;
	}
	LOAD_TABLE("lidt", idt);
	__builtin_memset(ones, 0xff, sizeof(ones));
}

/* LTR faults on a busy TSS. */
static void load_tss(struct cpu *cpu)
{
	cpu->gdt[SEL_TSS / 8] &= ~TSS_BUSY;
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS) : "memory");
}

void desc_init(struct cpu *cpu)
{
	uint64_t tss = kmem_cpu_page(cpu->id, CPU_TSS);

	__builtin_memcpy(cpu->gdt, segments, sizeof(segments));
	cpu->gdt[SEL_TSS / 8] = TSS_AVAILABLE | TSS_LIMIT | (tss & 0xffffff) << 16 |
				(tss >> 24 & 0xff) << 56;
	cpu->gdt[SEL_TSS / 8 + 1] = tss >> 32;
	cpu->tss = (struct tss *)tss;
	cpu->tss->ist[IST_NMI - 1] = kmem_cpu_page(cpu->id, CPU_NMI_STACK + 1);
	cpu->tss->ist[IST_DF - 1] = kmem_cpu_page(cpu->id, CPU_DF_STACK + 1);
	cpu->tss->ist[IST_MC - 1] = kmem_cpu_page(cpu->id, CPU_MC_STACK + 1);
	cpu->tss->io_base = TSS_NO_BITMAP;
	kmem_cpu_map(cpu->id, CPU_IO_END, kmem_image_phys(ones), false);
	LOAD_TABLE("lgdt", cpu->gdt);
	LOAD_TABLE("lidt", idt);
	load_tss(cpu);
}

bool tss_set_io(struct cpu *cpu, const uint8_t *bitmap)
{
	uint16_t base = bitmap ? TSS_BITMAP : TSS_NO_BITMAP;
	bool news = cpu->tss->io_base != base || cpu->tss_short;

	cpu->tss->io_base = base;
	if (bitmap && cpu->io_bitmap != bitmap) {
		cpu->io_bitmap = bitmap;
		for (unsigned i = 0; i < IO_BITMAP_PAGES; i++)
			kmem_cpu_map(cpu->id, CPU_IO_BITMAP + i,
				     pool_to_phys(bitmap) + i * PAGE_SIZE, false);
	}
	if (bitmap && cpu->tss_short) {
		cpu->tss_short = 0;
		load_tss(cpu);
	}
	return news;
}
