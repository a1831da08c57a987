/*
 * Descriptor tables. The IDT is one for all CPUs, and read-only after boot;
 * GDT and TSS are each CPU's own. Segments do nothing in 64-bit mode but say
 * which privilege level it is.
 */
#include "desc.h"

#include "cpu.h"
#include "kmem.h"

enum {
	VECTORS = 256,

	IST_NMI = 1,
	IST_DF = 2,
	IST_MC = 3,

	TSS_LIMIT = CPU_IO_END * PAGE_SIZE, /* the byte of ones is in it */
};

static_assert(TSS_BITMAP == CPU_IO_BITMAP * PAGE_SIZE);

/* SDM 3A 6.14.1 */
struct gate {
	uint16_t offset0;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset1;
	uint32_t offset2;
	uint32_t reserved;
};

static_assert(sizeof(struct gate) == 16);

enum { GATE_INTERRUPT = 0x8e, GATE_DPL3 = 0x60 };

/* Segment descriptors, SDM 3A 3.4.5; accessed, so that nobody writes them. */
#define KERNEL_CODE   0x00af9b000000fffful
#define KERNEL_DATA   0x00cf93000000fffful
#define USER_DATA     0x00cff3000000fffful
#define USER_CODE     0x00affb000000fffful
#define TSS_AVAILABLE 0x0000890000000000ul
#define TSS_BUSY      0x0000020000000000ul

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* entry.S: where each vector goes. */
extern const char entries[VECTORS][16];

__attribute__((section(".ro_boot"))) static struct gate idt[VECTORS] aligned_to(PAGE_SIZE);

/* What is not in a PD's I/O bitmap: ones. */
static uint8_t ones[PAGE_SIZE] aligned_to(PAGE_SIZE);

static void load_idt(void)
{
	struct table_pointer p = {sizeof(idt) - 1, (uint64_t)idt};

	__asm__ volatile("lidt %0" : : "m"(p));
}

static void set_gate(unsigned vector, uint8_t ist, uint8_t dpl)
{
	uint64_t to = (uint64_t)entries[vector];

	idt[vector] = (struct gate){
		.offset0 = (uint16_t)to,
		.offset1 = (uint16_t)(to >> 16),
		.offset2 = (uint32_t)(to >> 32),
		.selector = SEL_KERNEL_CODE,
		.ist = ist,
		.type = GATE_INTERRUPT | dpl,
	};
}

void idt_init(void)
{
	for (unsigned v = 0; v < VECTORS; v++)
		set_gate(v, 0, 0);
	set_gate(VECTOR_BP, 0, GATE_DPL3);
	set_gate(VECTOR_OF, 0, GATE_DPL3);
	set_gate(VECTOR_DB, IST_DF, 0); /* see exception_own_stack() */
	set_gate(VECTOR_NMI, IST_NMI, 0);
	set_gate(VECTOR_DF, IST_DF, 0);
	set_gate(VECTOR_MC, IST_MC, 0);
	load_idt();
	__builtin_memset(ones, 0xff, sizeof(ones));
}

static void load_gdt(struct cpu *cpu)
{
	struct table_pointer p = {sizeof(cpu->gdt) - 1, (uint64_t)cpu->gdt};

	__asm__ volatile("lgdt %0" : : "m"(p) : "memory");
}

/* LTR faults on a busy TSS. */
static void load_tss(struct cpu *cpu)
{
	cpu->gdt[SEL_TSS / 8] &= ~TSS_BUSY;
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS) : "memory");
}

static void fill_gdt(struct cpu *cpu)
{
	uint64_t tss = (uint64_t)cpu->tss;

	cpu->gdt[SEL_KERNEL_CODE / 8] = KERNEL_CODE;
	cpu->gdt[SEL_KERNEL_DATA / 8] = KERNEL_DATA;
	cpu->gdt[SEL_USER_DATA / 8] = USER_DATA;
	cpu->gdt[SEL_USER_CODE / 8] = USER_CODE;
	cpu->gdt[SEL_TSS / 8] = TSS_AVAILABLE | TSS_LIMIT | (tss & 0xffffff) << 16 |
				(tss >> 24 & 0xff) << 56;
	cpu->gdt[SEL_TSS / 8 + 1] = tss >> 32;
}

static uint64_t stack_top(struct cpu *cpu, unsigned page)
{
	return kmem_cpu_page(cpu->id, page + 1);
}

void desc_init(struct cpu *cpu)
{
	cpu->tss = (struct tss *)kmem_cpu_page(cpu->id, CPU_TSS);
	cpu->tss->ist[IST_NMI - 1] = stack_top(cpu, CPU_NMI_STACK);
	cpu->tss->ist[IST_DF - 1] = stack_top(cpu, CPU_DF_STACK);
	cpu->tss->ist[IST_MC - 1] = stack_top(cpu, CPU_MC_STACK);
	cpu->tss->io_base = TSS_NO_BITMAP;
	kmem_cpu_map(cpu->id, CPU_IO_END, kmem_image_phys(ones), false);
	fill_gdt(cpu);
	load_gdt(cpu);
	load_tss(cpu);
	load_idt();
}

void tss_map_io(struct cpu *cpu, uint64_t phys0, uint64_t phys1)
{
	kmem_cpu_map(cpu->id, CPU_IO_BITMAP, phys0, false);
	kmem_cpu_map(cpu->id, CPU_IO_BITMAP + 1, phys1, false);
}

void tss_enable_io(struct cpu *cpu, bool on)
{
	cpu->tss->io_base = on ? TSS_BITMAP : TSS_NO_BITMAP;
}

bool tss_io_enabled(const struct cpu *cpu)
{
	return cpu->tss->io_base == TSS_BITMAP;
}

void tss_reload(struct cpu *cpu)
{
	cpu->tss_short = 0;
	load_tss(cpu);
}
