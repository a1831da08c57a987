/*
 * Nothing of one EC is in another's registers: each is filled with a value that
 * occurs nowhere else, and looked for in other PDs, other threads, handlers
 * and guests.
 *
 * XRSTOR and XSAVE fill and read all that there is of x87, SSE, AVX, AVX-512
 * and PKRU. Calls and exceptions check general registers elsewhere.
 */
#include <lib/string.h>

#include "vm.h"

enum {
	WORDS = PAGE_SIZE / 8,
	AT_CONTROL = 0, /* in the XSAVE area, bytes */
	AT_TAGS = 4,
	AT_MXCSR = 24,
	AT_REGISTERS = 32,
	AT_XMM_END = 416,
	AT_HEADER = 512,

	XCR0_MPX = 3 << 3, /* has bits that must be 0 */
	XCR0_PKRU = 1 << 9,
	PKRU = 9,
	CR4_OSXSAVE = 1 << 18,
	CR4_OSFXSR = 1 << 9,
	SECRET_AUX = 0x5ec0a0c5,
	RDTSCP_EDX = 1 << 27,
	EFER_SCE = 1 << 0,
};

#define SECRET 0x5ec2e7005ec2e700ul

extern char guest_xrstor[], guest_xsave[], guest_fill_dr[], guest_read_dr[], guest_rdtscp[],
	guest_read_bases[];

static uint8_t area[3][PAGE_SIZE] __attribute__((aligned(64)));
static uint32_t pkru_at;

static void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	__asm__("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}

static bool have_xsave(void)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	return r[2] >> 27 & 1;
}

static bool have_rdtscp(void)
{
	uint32_t r[4];

	cpuid(0x80000001, 0, r);
	return r[3] & RDTSCP_EDX;
}

static uint64_t xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

/* QEMU's XRSTOR and XSAVE do not raise #NM, by which the kernel learns. */
static void use_fpu(void)
{
	__asm__ volatile("movaps %xmm0, %xmm0");
}

static void xrstor(const void *from)
{
	use_fpu();
	if (have_xsave())
		__asm__ volatile("xrstor64 (%0)" : : "r"(from), "a"(-1), "d"(-1) : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(from) : "memory");
}

static void xsave(void *to)
{
	use_fpu();
	if (have_xsave())
		__asm__ volatile("xsave64 (%0)" : : "r"(to), "a"(-1), "d"(-1) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(to) : "memory");
}

/* An image with the secret in every register; components of its XSTATE_BV. */
static uint64_t make_image(uint8_t *image)
{
	uint64_t *words = (uint64_t *)image, components = 3;
	uint32_t r[4];

	memset(image, 0, PAGE_SIZE);
	for (unsigned i = AT_REGISTERS / 8; i < AT_XMM_END / 8; i++)
		words[i] = SECRET;
	for (unsigned i = AT_REGISTERS + 8; i < 160; i += 16)
		words[i / 8] = 0x3fff; /* exponents */
	*(uint16_t *)(image + AT_CONTROL) = 0x37f;
	image[AT_TAGS] = 0xff;
	*(uint32_t *)(image + AT_MXCSR) = 0x7f80;
	if (!have_xsave())
		return components;
	components = xcr0() & ~(uint64_t)XCR0_MPX;
	for (unsigned i = 2; i < 10; i++) {
		cpuid(0xd, i, r);
		/* Bochs does not tell the place of all. */
		if (!(components >> i & 1) || i == PKRU || r[1] < AT_HEADER + 64)
			continue;
		for (unsigned w = 0; w < r[0] / 8; w++)
			words[r[1] / 8 + w] = SECRET;
	}
	if (components & XCR0_PKRU) {
		cpuid(0xd, PKRU, r);
		pkru_at = r[1];
		*(uint32_t *)(image + pkru_at) = (uint32_t)SECRET;
	}
	words[AT_HEADER / 8] = components;
	return components;
}

/* Of an area that XSAVE has written: how many registers have the secret. */
static unsigned secrets(const uint8_t *image)
{
	const uint64_t *words = (const uint64_t *)image;
	unsigned n = 0;

	for (unsigned i = AT_REGISTERS / 8; i < WORDS; i++)
		n += words[i] == SECRET;
	n += pkru_at && *(const uint32_t *)(image + pkru_at) == (uint32_t)SECRET;
	return n + (*(const uint32_t *)(image + AT_MXCSR) == 0x7f80);
}

static uint32_t tsc_aux(void)
{
	uint32_t low, high, aux = 0;

	if (have_rdtscp())
		__asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
	return aux;
}

/* What an EC sees that has never used them, and whose PD has not. */
static void look_around(struct frame *f)
{
	xsave(area[2]);
	f->value[0] += secrets(area[2]);
	f->value[1] += tsc_aux() == SECRET_AUX;
	f->value[2]++;
}

/* Look in another PD and in another thread of this one. */
static void look_elsewhere(void)
{
	struct frame *h = make_handler(make_pd(), boot_cpu, look_around);
	unsigned long pt = make_portal(h, 0, 0);
	struct frame *t;

	memset(area[2], 0, PAGE_SIZE);
	SETUP(call(pt));
	t = make_thread(SEL_ROOT_PD, boot_cpu, 5, look_around, 0);
	WAIT(t->value[2]);
	EQUAL(t->value[0], 0);
	EQUAL(t->value[1], 0);
	t = make_thread(make_pd(), boot_cpu, 5, look_around, 0);
	WAIT(t->value[2]);
	SETUP(call(pt));
	EQUAL(h->value[0], 0);
	EQUAL(h->value[1], 0);
	EQUAL(t->value[0], 0);
	EQUAL(t->value[1], 0);
}

static void reset_fpu(void)
{
	memset(area[1], 0, PAGE_SIZE);
	*(uint16_t *)(area[1] + AT_CONTROL) = 0x37f;
	*(uint32_t *)(area[1] + AT_MXCSR) = 0x1f80;
	xrstor(area[1]);
}

static void threads(void)
{
	unsigned all;

	make_image(area[0]);
	all = secrets(area[0]);
	CHECK(all > 30);
	for (unsigned i = 0; i < 5; i++) {
		xrstor(area[0]);
		look_elsewhere();
		memset(area[1], 0, PAGE_SIZE);
		xsave(area[1]);
		/* The thread's own are all there. */
		EQUAL(secrets(area[1]), all);
		clean();
	}
	reset_fpu();
}

/* A second vCPU of the VM, with the same portals. */
static void run_another(const char *entry, exit_function *reset)
{
	unsigned long ec = sel();

	vm.entry = entry;
	vm.reset = reset;
	SETUP(create_vcpu(ec, vm.pd, boot_cpu, 0));
	SETUP(create_sc(sel(), SEL_ROOT_PD, ec, QPD(5, 1000)));
}

static void with_xsave(struct utcb *u, unsigned event)
{
	(void)event;
	u->cr4 = CR4_OSXSAVE | CR4_OSFXSR;
	u->xcr0 = xcr0() & ~(uint64_t)XCR0_MPX;
	u->xss = 0;
	u->mtd |= MTD_XSAVE;
}

/* A guest fills its registers; other guests and all threads look for them. */
static void guests(void)
{
	unsigned all;

	if (!have_xsave())
		test_skip("no XSAVE");
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_GPR_ACDB);
	make_image(area[0]);
	all = secrets(area[0]);
	memcpy(page[2], area[0], PAGE_SIZE);
	run(guest_xrstor, nothing, with_xsave);
	EQUAL(vm.count, 1);
	EQUAL(vm.event[0], number(HLT));
	look_elsewhere();
	memset(page[2], 0, PAGE_SIZE);
	run_another(guest_xsave, with_xsave);
	EQUAL(vm.count, 2);
	EQUAL(secrets(page[2]), 0);
	/* Threads' registers are none of the guest's business. */
	xrstor(area[0]);
	memset(page[2], 0, PAGE_SIZE);
	run_another(guest_xsave, with_xsave);
	EQUAL(vm.count, 3);
	EQUAL(secrets(page[2]), 0);
	memset(area[1], 0, PAGE_SIZE);
	xsave(area[1]);
	EQUAL(secrets(area[1]), all);
	reset_fpu();
}

/* Whether a segment register holds what a program may load. */
static bool selects(void)
{
	uint16_t ds, es, fs, gs;

	__asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
			 : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
	return ds | es | fs | gs;
}

static void look_at_segments(struct frame *f)
{
	f->value[0] += selects();
	f->value[1]++;
}

static void segments(void)
{
	struct frame *h = make_handler(make_pd(), boot_cpu, look_at_segments), *t;
	unsigned long pt = make_portal(h, 0, 0), pd = make_pd();

	for (unsigned selector = 0; selector < 0x40; selector++) {
		if (probe_segments(selector))
			continue;
		SETUP(call(pt));
		(void)probe_segments(selector);
		t = make_thread(pd, boot_cpu, 5, look_at_segments, 0);
		WAIT(t->value[1]);
		EQUAL(t->value[0], 0);
	}
	EQUAL(h->value[0], 0);
	EQUAL(probe_segments(0), 0);
}

static void with_secret(struct utcb *u, unsigned event)
{
	(void)event;
	u->rbx = (uint32_t)SECRET;
}

/* Breakpoints are switched on by the VMM, before the guest has touched them. */
static void with_breakpoints(struct utcb *u, unsigned event)
{
	(void)event;
	u->dr7 = 0x400 | 3;
}

static void debug_registers(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN);
	run(guest_fill_dr, nothing, with_secret);
	EQUAL(vm.event[0], number(HLT));
	for (unsigned i = 0; i < 2; i++) {
		memset(page[2], 0xee, 20);
		run_another(guest_read_dr, i ? with_breakpoints : NULL);
		EQUAL(vm.event[i + 1], number(HLT));
		for (unsigned n = 0; n < 4; n++)
			EQUAL(*data(4 * n), 0);
		EQUAL(*data(16) & 0xf, 0);
	}
}

#define SECRET_BASE 0x5ec2e7005ec0ul /* canonical */

static void with_msrs(struct utcb *u, unsigned event)
{
	(void)event;
	u->star = u->sfmask = SECRET;
	u->lstar = u->kernel_gs_base = SECRET_BASE;
	u->sysenter_cs = (uint32_t)SECRET;
	u->sysenter_rsp = u->sysenter_rip = SECRET_BASE;
	u->fs.base = u->gs.base = SECRET_BASE;
	u->efer = EFER_SCE | (is_svm() ? EFER_SVME : 0);
	u->mtd |= MTD_SYSCALL | MTD_SYSENTER | MTD_FS_GS | MTD_EFER;
}

static void msrs_are_secret(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	EQUAL(u->star, SECRET);
	EQUAL(u->lstar, SECRET_BASE);
	EQUAL(u->kernel_gs_base, SECRET_BASE);
	EQUAL(u->sysenter_cs, (uint32_t)SECRET);
	EQUAL(u->sysenter_rip, SECRET_BASE);
	for (unsigned i = 0; i < 3; i++)
		EQUAL(*(volatile uint64_t *)data(8 * i), SECRET_BASE);
	u->rip = guest_ip(guest_read_bases);
	u->length = 0;
	u->mtd = MTD_RIP_LEN;
}

static void msrs_are_0(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	EQUAL(u->star | u->lstar | u->sfmask | u->kernel_gs_base, 0);
	EQUAL(u->sysenter_cs | u->sysenter_rsp | u->sysenter_rip, 0);
	for (unsigned i = 0; i < 3; i++)
		EQUAL(*(volatile uint64_t *)data(8 * i), 0);
}

/* A guest's are told to nobody else, and are there again when it goes on. */
static void msrs(void)
{
	make_vm(boot_cpu, MTD_ALL);
	run(guest_read_bases, msrs_are_secret, with_msrs);
	vm.exit = msrs_are_0;
	run_another(guest_read_bases, NULL);
	vm.exit = msrs_are_secret;
	wake_vm();
	EQUAL(vm.count, 3);
	for (unsigned i = 0; i < vm.count; i++)
		EQUAL(vm.event[i], number(HLT));
}

static void with_aux(struct utcb *u, unsigned event)
{
	(void)event;
	u->tsc_aux = SECRET_AUX;
	u->mtd |= MTD_TSC_AUX;
}

static void aux_is_secret(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	EQUAL((uint32_t)u->rcx, SECRET_AUX);
	u->rip = guest_ip(guest_rdtscp);
	u->length = 0;
	u->mtd = MTD_RIP_LEN;
}

static void aux_is_0(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	EQUAL((uint32_t)u->rcx, 0);
}

/* TSC_AUX: a thread's is the number of its CPU, a vCPU's its own, 0 at first. */
static void cpu_number(struct frame *f)
{
	f->value[1] = tsc_aux();
	f->value[0] = 1;
}

static void aux_of_cpus(void)
{
	if (!have_rdtscp())
		test_skip("no RDTSCP");
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		struct frame *t = make_thread(SEL_ROOT_PD, cpu, 5, cpu_number, 0);

		WAIT(t->value[0]);
		EQUAL(t->value[1], cpu);
	}
	make_vm(cpus - 1, MTD_RIP_LEN | MTD_GPR_ACDB);
	run(guest_rdtscp, aux_is_0, NULL);
	WAIT(vm.count);
}

static void aux(void)
{
	if (!have_rdtscp())
		test_skip("no RDTSCP");
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_GPR_ACDB);
	run(guest_rdtscp, aux_is_secret, with_aux);
	EQUAL(vm.count, 1);
	look_elsewhere();
	wake_vm(); /* its own is there again */
	EQUAL(vm.count, 2);
	vm.exit = aux_is_0;
	run_another(guest_rdtscp, NULL);
	EQUAL(vm.count, 3);
}

static unsigned long seen;

/* Its FPU is full: now it runs until it is interrupted. */
static void spin_on(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	u->rip = guest_ip(guest_spin);
	u->length = 0;
	u->tsc_aux = SECRET_AUX;
	u->mtd = MTD_RIP_LEN | MTD_TSC_AUX;
	vm.sleep = false;
}

static void full_and_interruptible(struct utcb *u, unsigned event)
{
	with_xsave(u, event);
	interruptible(u, event);
}

/* Whenever the guest has run, which the scheduler interrupted for this thread. */
static void look_after_guest(struct frame *f)
{
	uint32_t last = *data(0);

	while (f->value[2] < 20) {
		if (*data(0) == last)
			continue;
		last = *data(0);
		f->value[2]++;
		f->value[0] += tsc_aux() == SECRET_AUX;
		/* That an instruction which uses it raises #NM is not enough here. */
		__asm__ volatile("xsave64 (%0)" : : "r"(area[2]), "a"(-1), "d"(-1) : "memory");
		f->value[1] += secrets(area[2]);
	}
	SETUP(sm_up(seen));
}

/*
 * A thread of a PD that has nothing to do with a VM comes right after its guest,
 * and its PD is the one that ran last but for the guest.
 */
static void preempted(void)
{
	unsigned long pd = make_pd();
	struct frame *t;

	if (!have_xsave())
		test_skip("no XSAVE");
	make_vm(boot_cpu, MTD_RIP_LEN);
	make_image(area[0]);
	memset(area[2], 0, PAGE_SIZE);
	memcpy(page[2], area[0], PAGE_SIZE);
	seen = make_sm(0);
	SETUP(give_at(pd, CRD(CRD_OBJ, SM_RIGHT_UP, 0, seen), ITEM_DELEGATE,
		      CRD(CRD_OBJ, SM_RIGHT_UP, 0, seen)));
	vm.entry = guest_xrstor;
	vm.exit = spin_on;
	vm.reset = full_and_interruptible;
	SETUP(create_sc(sel(), SEL_ROOT_PD, vm.ec, QPD(1, 1000)));
	t = make_thread(pd, boot_cpu, 1, look_after_guest, 0);
	SETUP(sm_down(seen, 0));
	EQUAL(t->value[2], 20);
	EQUAL(t->value[0], 0);
	EQUAL(t->value[1], 0);
}

static void with_fs_base(struct utcb *u, unsigned event)
{
	(void)event;
	u->fs.base = SECRET_BASE;
	u->mtd |= MTD_FS_GS;
}

static unsigned long looks;

/* The guest is run, which exits to a busy handler: that one's callee goes on. */
static void look_while_helped(struct frame *f)
{
	SETUP(sm_up(seen));
	f->value[2] = *data(0);
	f->value[0] = tsc_aux();
}

/* The guest's first exit; root's call; the guest's second. */
static void busy(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	if (vm.count == 1) {
		EQUAL(call(looks), SUCCESS);
		vm.sleep = false;
		return;
	}
	if (!vm.count)
		*data(0) = 0;
	u->rip = guest_ip(guest_read_bases);
	u->length = 0;
	u->tsc_aux = SECRET_AUX;
	u->mtd = MTD_RIP_LEN | MTD_TSC_AUX;
}

/* A guest waits for its handler, and pays for a thread that has nothing to do with it. */
static void helped(void)
{
	unsigned long pd = make_pd();
	struct frame *h = make_handler(pd, boot_cpu, look_while_helped);

	if (!have_rdtscp())
		test_skip("no RDTSCP");
	make_vm(boot_cpu, MTD_RIP_LEN);
	looks = make_portal(h, 0, 0);
	seen = vm.wake;
	SETUP(give_at(pd, CRD(CRD_OBJ, SM_RIGHT_UP, 0, seen), ITEM_DELEGATE,
		      CRD(CRD_OBJ, SM_RIGHT_UP, 0, seen)));
	run(guest_rdtscp, busy, with_fs_base);
	SETUP(call(make_portal(vm.h, 0, number(HLT))));
	EQUAL(h->value[2], (uint32_t)SECRET_BASE);
	EQUAL(h->value[0], boot_cpu);
	EQUAL(vm.count, 3);
}

const struct test leak_tests[] = {
	{"leak.threads", threads, 0},
	{"leak.guests", guests, 0},
	{"leak.preempted", preempted, 0},
	{"leak.helped", helped, 0},
	{"leak.segments", segments, 0},
	{"leak.msrs", msrs, 0},
	{"leak.debug_registers", debug_registers, 0},
	{"leak.tsc_aux", aux, 0},
	{"leak.tsc_aux_of_cpus", aux_of_cpus, 0},
	{0},
};
