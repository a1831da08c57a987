/*
 * A guest that reaches devices in memory by all ways that the VMM's emulator has
 * to know more for than an exit tells: segments with bases in 64-, 32- and 16-bit
 * code, in and out of long mode, strings, user mode, accesses and instructions
 * across pages. The results must be those of the processor.
 */
#include "modes.h"

#include "guest.h"

enum {
	PF = 14,
	PAGE = 4096,
	MSR_FS_BASE = 0xc0000100,
	ENTRY_ALL = 7, /* present, writable, for users */
	SEGMENTS = 5,
};

/* A range of 2 MiB without memory, for pages of ours. */
#define WINDOW		 0x3fe00000ul
#define WINDOW_ENTRY	 (WINDOW >> 21)
#define AT(page, offset) ((void *)(WINDOW + (page)*PAGE + (offset)))

/* Its pages. */
enum { RAM_PAGE, DEVICE_PAGE, IOAPIC_PAGE, ABSENT_PAGE, CODE_PAGE, CODE_END_PAGE, PAGES };

#define IOAPIC_INDEX_AT ((volatile uint32_t *)IOAPIC)
#define IOAPIC_DATA_AT	((volatile uint32_t *)(IOAPIC + 0x10))

extern const char back[], segments_32[], strings_32[], unpaged_32[], code_16[];
extern const char segments_16_offset[];

uint32_t run_mode(uint64_t selector, const void *offset);
uint32_t run_user(const void *rip, const void *argument);

static uint8_t page[4][PAGE] __attribute__((aligned(PAGE)));
static uint64_t window[512] __attribute__((aligned(PAGE)));
static uint8_t buffer[64];

static uint64_t gdt[] = {
	[CODE_64 / 8] = 0x00af9b000000ffff,
	[FLAT_DATA / 8] = 0x00cf93000000ffff,
	[CODE_32 / 8] = 0x00cf9b000000ffff,
	[CODE_16 / 8] = 0x000f9b000000ffff,
	[IOAPIC_DATA_SEGMENT / 8] = 0x00cf93000000ffff,
	[BUFFER_SEGMENT / 8] = 0x00cf93000000ffff,
	[USER_DATA / 8] = 0x00cff3000000ffff,
	[USER_CODE / 8] = 0x00affb000000ffff,
};

static void set_base(unsigned selector, uint64_t base)
{
	gdt[selector / 8] |= (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
}

static void load_gdt(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdtr = {sizeof(gdt) - 1, (uint64_t)gdt};

	set_base(CODE_16, (uint64_t)code_16);
	set_base(IOAPIC_DATA_SEGMENT, IOAPIC - NEAR);
	set_base(BUFFER_SEGMENT, (uint64_t)buffer - NEAR);
	__asm__ volatile("lgdt %0" : : "m"(gdtr));
}

/* The next lower table of page tables that are mapped one to one. */
static uint64_t *below(uint64_t *entry)
{
	*entry |= ENTRY_ALL;
	return (uint64_t *)(*entry & ~0xffful);
}

static void map_window(void)
{
	uint64_t *root, cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	root = (uint64_t *)(cr3 & ~0xffful);
	below(below(root))[WINDOW_ENTRY] = (uint64_t)window | ENTRY_ALL;
	window[RAM_PAGE] = (uint64_t)page[0] | ENTRY_ALL;
	window[DEVICE_PAGE] = NOTHING | ENTRY_ALL;
	window[IOAPIC_PAGE] = IOAPIC | ENTRY_ALL;
	window[CODE_PAGE] = (uint64_t)page[1] | ENTRY_ALL;
	window[CODE_END_PAGE] = (uint64_t)page[3] | ENTRY_ALL;
	__asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

static void set_register(void)
{
	*IOAPIC_INDEX_AT = INDEX;
	*IOAPIC_DATA_AT = VALUE;
}

/* 64-bit code: FS and GS alone have bases. */
static void look_at_bases(void)
{
	uint64_t count = 4, from = (uint64_t)-8, to = (uint64_t)buffer;
	uint32_t value;
	unsigned good = 0;

	wrmsr(MSR_FS_BASE, IOAPIC - NEAR);
	wrmsr(MSR_GS_BASE, NOTHING + 8);
	set_register();
	__asm__ volatile("mov %%fs:%c1, %0" : "=r"(value) : "i"(NEAR + 0x10));
	check_equal("FS", value, VALUE);
	__asm__ volatile("movl %0, %%fs:(%q1)" : : "i"(VALUE + 1), "r"(NEAR + 0x10ul) : "memory");
	check_equal("write by FS", *IOAPIC_DATA_AT, VALUE + 1);
	__asm__ volatile("rep movsl %%gs:(%%rsi), %%es:(%%rdi)"
			 : "+c"(count), "+S"(from), "+D"(to)
			 :
			 : "memory");
	for (unsigned i = 0; i < sizeof(buffer); i++)
		good += (buffer[i] == 0xff) == (i < 16);
	check_equal("string by GS", good, sizeof(buffer));
	check_equal("its end", from, 8);
	__asm__ volatile("lock; andl $0xffff, %%fs:(%q0)" : : "r"(NEAR + 0x10ul) : "memory");
	check_equal("atomically by FS", *IOAPIC_DATA_AT, (VALUE + 1) & 0xffff);
}

static void look_at_segments(bool amd)
{
	unsigned good = 0;

	check_equal("32-bit segments", run_mode(CODE_32, segments_32), SEGMENTS);
	check_equal("16-bit segments", run_mode(CODE_16, segments_16_offset), SEGMENTS);
	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] = 0;
	check_equal("32-bit strings", run_mode(CODE_32, strings_32), NEAR + 24);
	for (unsigned i = 0; i < sizeof(buffer); i++)
		good += (buffer[i] == 0xff) == (i < 24);
	check_equal("what they moved", good, sizeof(buffer));
	/* Where SVM leaves decoding to the VMM, a guest cannot leave long mode. */
	if (!amd)
		check_equal("without paging", run_mode(CODE_32, unpaged_32), SEGMENTS + 1);
}

static void look_at_pages(bool amd)
{
	volatile uint64_t *across = AT(RAM_PAGE, PAGE - 4);
	uint32_t (*code)(volatile uint32_t *) = AT(CODE_PAGE, PAGE - 1);

	*(volatile uint32_t *)across = 0x11223344;
	check_equal("from RAM to a device", *across, 0xffffffff11223344);
	*across = 0x5566778899aabbcc;
	check_equal("write there", *(volatile uint32_t *)across, 0x99aabbcc);
	check_equal("from a device to nothing",
		    (uint64_t)TRY("movq $0, (%%rdi)",
				  : "D"(AT(IOAPIC_PAGE, PAGE - 4))
				  : "r11", "memory"),
		    PF);
	/* Bochs' VMRUN does not load CR2. */
	if (!amd)
		check_equal("its address", trap_address, (uint64_t)AT(ABSENT_PAGE, 0));
	check_equal("its error", trap_error, 2);

	/* mov (%rdi), %eax; ret */
	page[1][PAGE - 1] = 0x8b;
	page[3][0] = 0x07;
	page[3][1] = 0xc3;
	set_register();
	check_equal("code across pages", code(IOAPIC_DATA_AT), VALUE);
}

static void look_at_user(void)
{
	static const uint8_t code[] = {0x8b, 0x07, 0x0f, 0x05}; /* mov (%rdi), %eax; syscall */

	for (unsigned i = 0; i < sizeof(code); i++)
		page[1][i] = code[i];
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1);
	wrmsr(MSR_STAR, (uint64_t)CODE_64 << 32);
	wrmsr(MSR_LSTAR, (uint64_t)back);
	set_register();
	check_equal("user mode", run_user(AT(CODE_PAGE, 0), AT(IOAPIC_PAGE, 0x10)), VALUE);
}

void guest_main(void)
{
	uint32_t r[4];
	bool amd;

	init_traps();
	load_gdt();
	map_window();
	cpuid(0, r);
	amd = r[1] == 0x68747541; /* "Auth" */
	look_at_bases();
	look_at_segments(amd);
	look_at_pages(amd);
	look_at_user();
	end();
}
