/*
 * A hostile guest: it runs random instructions with random registers in kernel
 * mode, most of them such as exit or touch devices. Faults go on with the next;
 * an NMI from the PIT gets it out of loops and HLT. Sooner or later it
 * destroys itself: its VM must end then, with a report, and nothing else.
 */
#include "guest.h"

#define IOAPIC_INDEX ((volatile uint32_t *)0xfec00000)
#define IOAPIC_DATA  ((volatile uint32_t *)0xfec00010)

enum {
	CODE = 32, /* bytes of random code */
	ROUNDS = 20000,
	IST_STACK = 8192,
	TSS_SEGMENT = 0x20,

};

static uint64_t seed;
uint8_t code[CODE + 16] __attribute__((aligned(64)));
static uint8_t ist_stack[IST_STACK] __attribute__((aligned(16)));
static uint32_t tss[26];
static uint64_t gdt[6];
uint64_t registers[16], saved;

static uint32_t random32(void)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(seed >> 33) ^ (uint32_t)(seed >> 5);
}

static uint64_t pick(const uint64_t *from, unsigned count)
{
	return from[random32() % count];
}

/* Devices' addresses, MSRs, ports, leaves, and what lies beside them. */
static uint64_t random_value(void)
{
	static const uint64_t interesting[] = {
		0xfec00000, 0xfec00010, 0xfee00000, 0xfee00080, 0xfee00300, 0xfed00000, 0xa0000,
		0xb8000,    0xe0000,	0xc0000000, 0xfffff000, 0x10,	    0x1b,	0x3a,
		0x8b,	    0x174,	0x1a0,	    0x200,	0x277,	    0x2ff,	0x6e0,
		0x802,	    0x808,	0x80b,	    0x80f,	0x830,	    0x832,	0x83e,
		0x83f,	    0xc0000080, 0xc0000081, 0xc0000103, 0x4b564d00, 0x4b564d01, 0x20,
		0x21,	    0x40,	0x43,	    0x60,	0x61,	    0x64,	0x70,
		0x71,	    0x80,	0xcf8,	    0xcfc,	0x3f8,	    0x3fd,	0x600,
		0x604,	    0x608,	0x1234,	    0x40000000, 0x80000001, 0xd,	7,
		1,	    0,		~0ul,	    0x7fffffff,
	};

	switch (random32() % 8) {
	case 0:
		return (uint64_t)random32() << 32 | random32();
	case 1:
		return random32();
	case 2:
		return 0x100000 + random32() % 0x3f00000;
	default:
		return pick(interesting, sizeof(interesting) / 8) +
		       (random32() % 4 ? 0 : random32() % 16);
	}
}

/* Opcodes that exit, or access memory by ModRM. */
static unsigned put_interesting(uint8_t *to)
{
	static const uint64_t plain[] = {
		0xa20f,	  0x300f,   0x320f,   0x090f,	0x080f,	  0x330f, 0x310f, 0xc1010f,
		0xd9010f, 0xd8010f, 0xc8010f, 0xd1010f, 0xd0010f, 0xec,	  0xed,	  0xee,
		0xef,	  0x6c,	    0x6d,     0x6e,	0x6f,	  0x6cf3, 0x6df3, 0x6ef3,
		0x6ff3,	  0xa4,	    0xa5,     0xaa,	0xab,	  0xa4f3, 0xa5f3, 0xaaf3,
		0xabf3,	  0xac,	    0xae,     0xa6f3,	0xaff2,	  0xfb,	  0xfa,	  0xf4,
		0xf4fb,	  0xcd,	    0xcc,     0x060f,	0x220f,	  0x200f, 0x230f,
	};
	uint64_t bytes;
	unsigned n = 0;

	if (random32() % 4 == 0)
		to[n++] = 0x66;
	if (random32() % 4 == 0)
		to[n++] = (uint8_t)(0x40 | random32() % 16);
	if (random32() % 2 == 0) {
		bytes = pick(plain, sizeof(plain) / 8);
		for (; bytes != 0; bytes >>= 8)
			to[n++] = (uint8_t)bytes;
		return n;
	}
	if (random32() % 3 == 0)
		to[n++] = 0x0f;
	to[n++] = (uint8_t)random32();
	to[n++] = (uint8_t)(random32() % 192); /* ModRM: memory */
	return n;
}

static void make_traps(void)
{
	for (unsigned i = 0; i < sizeof(code); i++)
		code[i] = 0xcc; /* INT3 */
}

static void make_code(void)
{
	unsigned n = 0;

	make_traps();
	while (n < CODE - 12)
		if (random32() % 8 == 0)
			code[n++] = (uint8_t)random32();
		else
			n += put_interesting(code + n);
	for (unsigned i = 0; i < 16; i++)
		registers[i] = random_value();
}

/* Every trap gets here, on a stack of its own, and returns to the loop. */
static void load_segments(void)
{
	uint64_t base = (uint64_t)tss, stack = (uint64_t)ist_stack + IST_STACK;
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdtr = {sizeof(gdt) - 1, (uint64_t)gdt};

	gdt[2] = 0x00af9b000000ffff;
	gdt[3] = 0x00cf93000000ffff;
	gdt[4] = 0x0000890000000067 | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
	gdt[5] = base >> 32;
	tss[9] = (uint32_t)stack; /* IST1 */
	tss[10] = (uint32_t)(stack >> 32);
	__asm__ volatile("lgdt %0; ltr %w1" : : "m"(gdtr), "r"(TSS_SEGMENT));
}

static void start_watchdog(void)
{
	wrmsr(MSR_APIC_BASE, 0xfee00d00);
	wrmsr(MSR_SVR, 0x1ff);
	out8(0x43, 0x34);
	out8(0x40, 0xa9);
	out8(0x40, 0x04);
	*IOAPIC_INDEX = 0x10 + 2 * 2;
	*IOAPIC_DATA = 4 << 8; /* the PIT's pin: NMI */
}

static void run(void)
{
	__asm__ volatile("push %%rbx; push %%rbp\n\t"
			 "mov %%rsp, saved(%%rip)\n\t"
			 "lea 1f(%%rip), %%rax\n\t"
			 "mov %%rax, recover(%%rip)\n\t"
			 "mov registers+8(%%rip), %%rcx\n\t"
			 "mov registers+16(%%rip), %%rdx\n\t"
			 "mov registers+24(%%rip), %%rbx\n\t"
			 "mov registers+40(%%rip), %%rbp\n\t"
			 "mov registers+48(%%rip), %%rsi\n\t"
			 "mov registers+56(%%rip), %%rdi\n\t"
			 "mov registers+64(%%rip), %%r8\n\t"
			 "mov registers+72(%%rip), %%r9\n\t"
			 "mov registers(%%rip), %%rax\n\t"
			 "jmp code\n"
			 "1:\tmov saved(%%rip), %%rsp\n\t"
			 "pop %%rbp; pop %%rbx; cld\n\t"
			 :
			 :
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
			   "r13", "r14", "r15", "memory");
}

void guest_main(void)
{
	init_traps();
	load_segments();
	use_ist();
	seed = rdtsc();
	put_string("guest: seed 0x");
	put_number(seed);
	put_string("\n");
	make_traps();
	run(); /* sets where traps go on */
	for (unsigned i = 0; i < ROUNDS; i++) {
		start_watchdog();
		make_code();
		run();
	}
	check("survived", true);
	end();
}
