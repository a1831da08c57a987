/*
 * A guest that looks at what the VMM and the kernel make of exits: what CPUID
 * and MSRs say, faults they must give, ports and memory without a device,
 * string I/O, the emulator, and above all interrupts: windows, shadows, HLT,
 * NMI, the PIC's, priorities. On any vendor the same must happen.
 */
#include "guest.h"

#define DEVICE	     ((volatile uint32_t *)0xfed80000) /* nobody's */
#define IOAPIC_INDEX ((volatile uint32_t *)0xfec00000)
#define IOAPIC_DATA  ((volatile uint32_t *)0xfec00010)
#define UNMAPPED     0x100000000000ul

enum {
	NMI = 2,
	UD = 6,
	GP = 13,
	PF = 14,
	TIMER = 0x40,
	PIC = 0x50,
	IPI = 0x60,
};

static void look_at_cpuid(void)
{
	uint32_t r[4];
	uint64_t best = ~0ul;

	cpuid(0x40000000, r);
	check("hypervisor signature", r[1] == 0x7263694d && r[2] == 0x766f6e6f);
	cpuid(1, r);
	check_equal("hypervisor bit", r[2] >> 31, 1);
	check_equal("no VMX", r[2] >> 5 & 1, 0);
	check_equal("x2APIC", r[2] >> 21 & 1, 1);
	check_equal("TSC deadline", r[2] >> 24 & 1, 1);
	for (unsigned i = 0; i < 64; i++) {
		uint64_t start = rdtsc();

		cpuid(0, r);
		start = rdtsc() - start;
		best = start < best ? start : best;
	}
	put_string("guest: a CPUID takes 0x");
	put_number(best);
	put_string(" ticks\n");
}

#define RDMSR(msr)	      TRY("rdmsr", : "c"(msr) : "rax", "rdx", "r11", "memory")
#define WRMSR(msr, low, high) TRY("wrmsr", : "c"(msr), "a"(low), "d"(high) : "r11", "memory")

static void look_at_msrs(void)
{
	uint64_t before, late = 0;

	check_equal("rdmsr of nothing", (uint64_t)RDMSR(0x12345678), GP);
	check_equal("wrmsr of nothing", (uint64_t)WRMSR(0x12345678, 0, 0), GP);
	check_equal("reserved bits of EFER", (uint64_t)WRMSR(MSR_EFER, 0x80000501, 0), GP);
	check_equal("SVME", (uint64_t)WRMSR(MSR_EFER, 0x1501, 0), GP);
	check_equal("EFER", rdmsr(MSR_EFER), 0x500);
	wrmsr(MSR_EFER, 0xd01);
	check_equal("EFER written", rdmsr(MSR_EFER), 0xd01);
	check_equal("LSTAR not canonical", (uint64_t)WRMSR(MSR_LSTAR, 0, 0x00800000), GP);
	wrmsr(MSR_KERNEL_GS_BASE, 0x1122334455);
	wrmsr(MSR_STAR, 0x0008001000000000);
	wrmsr(MSR_LSTAR, 0xffffffff81000000);
	check_equal("LSTAR", rdmsr(MSR_LSTAR), 0xffffffff81000000);
	check_equal("STAR", rdmsr(MSR_STAR), 0x0008001000000000);
	check_equal("kernel GS base", rdmsr(MSR_KERNEL_GS_BASE), 0x1122334455);
	wrmsr(MSR_GS_BASE, 0x5000);
	check_equal("GS base", rdmsr(MSR_GS_BASE), 0x5000);
	before = rdtsc();
	wrmsr(MSR_TSC, before + 0x1000000000000);
	check_equal("TSC written", rdtsc() >> 48, 1);
	wrmsr(MSR_TSC, rdtsc() - 0x1000000000000);
	check("TSC written back", rdtsc() >= before && rdtsc() >> 48 == 0);
	/* Whatever the guest has waited; but for a wait in the middle of the write. */
	for (unsigned i = 0; i < 1000; i++) {
		before = rdtsc();
		wrmsr(MSR_TSC, before);
		late += rdtsc() < before;
	}
	check("TSC that goes back", late < 100);
}

#define UD_OF(instruction) (uint64_t) TRY(instruction, : : "rax", "rcx", "rdx", "r11", "memory")

static void look_at_refusals(void)
{
	check_equal("UD2", UD_OF("ud2"), UD);
	check_equal("VMCALL", UD_OF("vmcall"), UD);
	check_equal("VMMCALL", UD_OF("vmmcall"), UD);
	check_equal("VMRUN", UD_OF("xor %%eax, %%eax; vmrun"), UD);
	check_equal("MONITOR",
		    UD_OF("xor %%eax, %%eax; xor %%ecx, %%ecx;"
			  "xor %%edx, %%edx; monitor"),
		    UD);
	check_equal("XGETBV", UD_OF("xor %%ecx, %%ecx; xgetbv"), UD);
	check_equal("WBINVD", UD_OF("wbinvd"), ~0ul);
	check_equal("page fault",
		    (uint64_t)TRY("mov (%%rax), %%ecx",
				  : "a"(UNMAPPED)
				  : "rcx", "r11", "memory"),
		    PF);
	check_equal("its address", trap_address, UNMAPPED);
}

static uint8_t buffer[5000];

static void look_at_ports(void)
{
	uint64_t count = 100, to = (uint64_t)buffer;
	uint32_t value = 0;
	unsigned good = 0;

	check_equal("no port", in8(NOWHERE_PORT), 0xff);
	__asm__ volatile("inl %w1, %0" : "=a"(value) : "d"(NOWHERE_PORT));
	check_equal("no wide port", value, 0xffffffff);
	__asm__ volatile("rep insb" : "+c"(count), "+D"(to) : "d"(NOWHERE_PORT) : "memory");
	for (unsigned i = 0; i < sizeof(buffer); i++)
		good += (buffer[i] == 0xff) == (i < 100);
	check_equal("rep insb", good, sizeof(buffer));
	check_equal("its end", to, (uint64_t)buffer + 100);
	check_equal("its count", count, 0);
	count = 5000; /* more than the VMM does at once */
	to = (uint64_t)buffer;
	__asm__ volatile("rep insb" : "+c"(count), "+D"(to) : "d"(NOWHERE_PORT) : "memory");
	check("long rep insb", count == 0 && buffer[4999] == 0xff);
	check_equal("insb to nowhere",
		    (uint64_t)TRY("insb",
				  : "D"(UNMAPPED), "d"(NOWHERE_PORT)
				  : "r11", "memory"),
		    PF);
	check_equal("its error", trap_error, 2);
	to = (uint64_t) "guest: rep outsb";
	count = 16;
	__asm__ volatile("rep outsb" : "+c"(count), "+S"(to) : "d"(COM1));
	put_string(" ok\n");
}

static void look_at_memory(void)
{
	uint64_t count = 3000, to = (uint64_t)DEVICE, value = 7;

	check_equal("no device", *DEVICE, 0xffffffff);
	*DEVICE = 0;
	__asm__ volatile("lock xaddl %k0, %1" : "+r"(value), "+m"(*DEVICE));
	check_equal("read, modify, write", value, 0xffffffff);
	__asm__ volatile("movzbl %1, %k0" : "=r"(value) : "m"(*DEVICE));
	check_equal("movzx", value, 0xff);
	__asm__ volatile("rep stosl" : "+c"(count), "+D"(to) : "a"(0) : "memory");
	check_equal("long rep stosl", to, (uint64_t)DEVICE + 12000);
	*IOAPIC_INDEX = 0x10 + 2 * 5;
	*IOAPIC_DATA = 0x10055;
	check_equal("IOAPIC", *IOAPIC_DATA, 0x10055);
	__asm__ volatile("btrl $16, %0" : "+m"(*IOAPIC_DATA));
	check_equal("btr", *IOAPIC_DATA, 0x55);
	__asm__ volatile("orl $0x10000, %0" : "+m"(*IOAPIC_DATA));
	check_equal("or", *IOAPIC_DATA, 0x10055);
	__asm__ volatile("movq %1, %0" : "=r"(value) : "m"(*(volatile uint64_t *)(0xfed80fff)));
	check_equal("across pages", value, ~0ul);
}

/* Interrupts. */

static volatile uint64_t interrupted_at;
static volatile uint8_t order[8];
static volatile unsigned orders;

static void take(unsigned vector)
{
	interrupted_at = rdtsc();
	if (orders < sizeof(order))
		order[orders++] = (uint8_t)vector;
	if (vector >= TIMER && vector != NMI)
		wrmsr(MSR_EOI, 0);
}

static void start_apic(void)
{
	out8(0x21, 0xff);
	out8(0xa1, 0xff);
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 0xc00);
	wrmsr(MSR_SVR, 0x1ff);
	on_interrupt = take;
}

static void look_at_timer(void)
{
	uint64_t deadline;

	wrmsr(MSR_LVT_TIMER, TIMER | 2 << 17);
	deadline = rdtsc() + 10000000;
	wrmsr(MSR_TSC_DEADLINE, deadline);
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	check_equal("deadline ends HLT", trap_count[TIMER], 1);
	check("not before its time", interrupted_at >= deadline);
	check_equal("and is over", rdmsr(MSR_TSC_DEADLINE), 0);

	/* While busy: the vCPU has to be recalled. */
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + 10000000);
	interrupts_on();
	while (trap_count[TIMER] == 1) {
	}
	interrupts_off();
	check_equal("deadline while busy", trap_count[TIMER], 2);

	/* Due while interrupts are off: waits for the window. */
	deadline = rdtsc() + 5000000;
	wrmsr(MSR_TSC_DEADLINE, deadline);
	while (rdtsc() < deadline + 10000000) {
	}
	check_equal("nothing while off", trap_count[TIMER], 2);
	interrupts_on();
	interrupts_off();
	check_equal("window", trap_count[TIMER], 3);

	wrmsr(MSR_DIVIDE, 0xb);
	wrmsr(MSR_LVT_TIMER, TIMER | 1 << 17);
	wrmsr(MSR_INITIAL_COUNT, 3000000);
	while (trap_count[TIMER] < 8)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	wrmsr(MSR_INITIAL_COUNT, 0);
	wrmsr(MSR_LVT_TIMER, 1 << 16);
	/* One more may have become pending. */
	__asm__ volatile("sti; nop; cli" : : : "memory");
	check("periodic timer", true);
}

static void look_at_ipis(void)
{
	const uint64_t self = 1 << 18;

	orders = 0;
	wrmsr(MSR_ICR, self | IPI);
	wrmsr(MSR_ICR, self | (IPI + 0x20));
	wrmsr(MSR_ICR, self | (IPI + 0x10));
	check_equal("none while off", orders, 0);
	interrupts_on();
	for (unsigned i = 0; i < 1000 && orders < 3; i++)
		__asm__ volatile("pause");
	interrupts_off();
	check_equal("all come", orders, 3);
	check("highest first", order[0] == IPI + 0x20 && order[1] == IPI + 0x10 && order[2] == IPI);
	/* After STI one instruction goes by, here CLI: no interrupt. */
	wrmsr(MSR_ICR, self | IPI);
	__asm__ volatile("sti; cli" : : : "memory");
	check_equal("shadow of STI", orders, 3);
	__asm__ volatile("sti; nop; cli" : : : "memory");
	check_equal("and behind it", orders, 4);
	/* A software interrupt and a breakpoint with one pending. */
	wrmsr(MSR_ICR, self | IPI);
	__asm__ volatile("sti; int $0x30; int3; cli" : : : "memory");
	check_equal("int n", trap_count[0x30], 1);
	check_equal("int3", trap_count[3], 1);
	check_equal("interrupt beside them", trap_count[IPI], 3);
}

static volatile unsigned nested;

static void take_nmi(unsigned vector)
{
	if (vector == NMI && nested++ == 0) {
		wrmsr(MSR_ICR, 1 << 18 | 4 << 8);
		for (unsigned i = 0; i < 100; i++) {
			uint32_t r[4];

			cpuid(0, r); /* exits: none may let it in */
		}
		order[0] = (uint8_t)nested;
	}
}

static void look_at_nmi(void)
{
	on_interrupt = take_nmi;
	wrmsr(MSR_ICR, 1 << 18 | 4 << 8);
	for (unsigned i = 0; i < 1000 && nested < 2; i++)
		in8(0x80);
	check_equal("NMI", nested > 0, 1);
	check_equal("not within itself", order[0], 1);
	check_equal("but behind", nested, 2);
	on_interrupt = take;
}

static void take_pic(unsigned vector)
{
	(void)vector;
	interrupted_at = rdtsc();
	out8(0x20, 0x20);
}

static void look_at_pic(void)
{
	static const uint8_t words[] = {PIC, 0x04, 0x01, 0xfe};

	on_interrupt = take_pic;
	wrmsr(MSR_LVT_LINT0, 0x700);
	out8(0x20, 0x11);
	for (unsigned i = 0; i < sizeof(words); i++)
		out8(0x21, words[i]);
	out8(0x43, 0x34); /* channel 0, 1 kHz */
	out8(0x40, 0xa9);
	out8(0x40, 0x04);
	while (trap_count[PIC] < 3)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	out8(0x21, 0xff);
	check("PIT through the PIC", true);
}

void guest_main(void)
{
	init_traps();
	look_at_cpuid();
	look_at_msrs();
	look_at_refusals();
	look_at_ports();
	look_at_memory();
	start_apic();
	look_at_timer();
	look_at_ipis();
	look_at_nmi();
	look_at_pic();
	end();
}
