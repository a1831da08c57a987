/*
 * vCPUs: exits, state, injection, and guests that are up to something.
 *
 * A VM is a PD with guest memory, 256 portals at its event base 0, a handler in
 * root's PD, and one vCPU of higher priority than the main thread: it runs in
 * create_sc or sm_up until its handler lets it sleep. What a test does at an
 * exit is a function; the handler sets up the state of reset at the first
 * event.
 */
#include <lib/string.h>

#include "test.h"

enum {
	PRIORITY = 5,
	GUEST_CODE = 0x1000,
	GUEST_DATA = 0x2000,
	GUEST_STACK = 0x2ff0,
	GUEST_NONE = 0x8000,
	VECTOR = 0x40,
	MAX_EXITS = 64,

	MSR_APIC_BASE = 0x1b,
	PORT = 0x300,

	RFLAGS_1 = 1 << 1, RFLAGS_IF = 1 << 9,
	CR0_ET = 1 << 4, CR0_NE = 1 << 5,
	CR4_SOME = 0x3ff,
	EFER_SVME = 1 << 12,
	EFER_SOME = EFER_SVME | 1 << 11 | 1,

	/* Intercepts of SVM's words. */
	INTERCEPT_CPUID = 1 << 18,
	INTERCEPT_VMRUN = 1 << 0,
	INTERCEPT_VMMCALL = 1 << 1,

	MTD_SEGMENTS = MTD_DS_ES | MTD_FS_GS | MTD_CS_SS,
	MTD_TABLES = MTD_TR | MTD_LDTR | MTD_GDTR | MTD_IDTR,
	MTD_GPR = MTD_GPR_ACDB | MTD_GPR_BSD | MTD_GPR_R8_R15,
	MTD_ALL = MTD_GPR | MTD_RSP | MTD_RIP_LEN | MTD_RFLAGS |
		  MTD_SEGMENTS | MTD_TABLES | MTD_CR | MTD_DR | MTD_SYSENTER |
		  MTD_QUAL | MTD_INJ | MTD_STA | MTD_TSC | MTD_EFER |
		  MTD_SYSCALL | MTD_TSC_AUX,
};

extern char guest_page[], guest_cpuid[], guest_hlt[], guest_vmcall[],
	guest_vmmcall[], guest_in[], guest_out_imm[], guest_rdmsr[],
	guest_wrmsr[], guest_read[], guest_write[], guest_compute[],
	guest_spin[], guest_spin_end[], guest_read_loop[], guest_sti[],
	guest_sti_shadow[], guest_sti_open[], guest_handler[], guest_rdtsc[],
	guest_ports[], guest_ports_exit[], guest_triple[], guest_fpu[];

#define CR0_ALL 0xe005003ful

/* Events: VMX's and SVM's numbers. */
struct event {
	uint8_t vmx, svm;
};

static const struct event HLT = {12, 0x78}, IO = {30, 0x7b},
			  MEMORY = {48, 0xfc}, WINDOW = {7, 0x64},
			  INVALID = {33, 0xfd}, TRIPLE = {2, 0x7f};

static bool is_svm(void)
{
	return hip->features & HIP_SVM;
}

static unsigned number(struct event e)
{
	return is_svm() ? e.svm : e.vmx;
}

typedef void exit_function(struct utcb *u, unsigned event);

static struct {
	struct frame *h;
	unsigned long pd, ec, sc, wake;
	unsigned cpu;
	const char *entry;
	exit_function *exit;	/* not for startup */
	exit_function *reset;	/* after the state of reset is set; or NULL */
	volatile bool sleep;	/* the handler lets it sleep: vm.wake */
	volatile unsigned count;	/* exits */
	volatile unsigned last;		/* event */
	unsigned event[MAX_EXITS];
	uint64_t rip[MAX_EXITS];
} vm;

static uint64_t guest_ip(const char *code)
{
	return GUEST_CODE + (uint64_t)(code - guest_page);
}

static void set_segment(struct segment *s, unsigned rights, uint32_t limit)
{
	*s = (struct segment){0, (uint16_t)rights, limit, 0};
}

/* As after reset, but at the code's address and with a stack. */
static void set_reset_state(struct utcb *u)
{
	memset(u->word, 0, (uint64_t)((char *)u->fpu - (char *)u->word));
	set_segment(&u->cs, 0x9b, 0xffff);
	set_segment(&u->ss, 0x93, 0xffff);
	set_segment(&u->ds, 0x93, 0xffff);
	set_segment(&u->es, 0x93, 0xffff);
	set_segment(&u->fs, 0x93, 0xffff);
	set_segment(&u->gs, 0x93, 0xffff);
	set_segment(&u->ldtr, 0x82, 0xffff);
	set_segment(&u->tr, 0x8b, 0xffff);
	set_segment(&u->gdtr, 0, 0xffff);
	set_segment(&u->idtr, 0, 0xffff);
	u->rip = guest_ip(vm.entry);
	u->rsp = GUEST_STACK;
	u->rflags = RFLAGS_1;
	u->cr0 = CR0_ET | CR0_NE;
	u->dr7 = 0x400;
	u->rcx = MSR_APIC_BASE;
	u->rdx = PORT;
	u->ctrl[0] = is_svm() ? INTERCEPT_CPUID : 0;
	u->ctrl[1] = is_svm() ? INTERCEPT_VMRUN | INTERCEPT_VMMCALL : 0;
	u->mtd = MTD_GPR | MTD_RSP | MTD_RIP_LEN | MTD_RFLAGS | MTD_SEGMENTS |
		 MTD_TABLES | MTD_CR | MTD_DR | MTD_CTRL | MTD_INJ | MTD_STA |
		 MTD_SYSENTER | MTD_SYSCALL;
}

static void on_exit(struct frame *f)
{
	struct utcb *u = f->utcb;
	unsigned event = (unsigned)f->id;

	if (event == EVENT_VCPU_STARTUP) {
		set_reset_state(u);
		if (vm.reset) {
			vm.reset(u, event);
		}
		return;
	}
	if (vm.count < MAX_EXITS) {
		vm.event[vm.count] = event;
		vm.rip[vm.count] = u->rip;
	}
	vm.last = event;
	vm.sleep = true;
	u->mtd = 0;
	vm.exit(u, event);
	vm.count++;
	if (vm.sleep) {
		f->reply = vm.wake;
	}
}

/* The PD, its memory, its portals, its vCPU without an SC. */
static void make_vm(unsigned cpu, unsigned long mtd)
{
	unsigned long first = sel_range(8);

	if (!(hip->features & (HIP_VMX | HIP_SVM))) {
		test_skip("no virtualisation");
	}
	memset(&vm, 0, sizeof(vm));
	vm.cpu = cpu;
	vm.pd = make_empty_pd(QUOTA);
	vm.wake = make_sm(0);
	vm.h = make_handler(SEL_ROOT_PD, cpu, on_exit);
	for (unsigned i = 0; i < EVENTS_VCPU; i++) {
		SETUP(create_pt(first + i, SEL_ROOT_PD, vm.h->ec,
				i == EVENT_VCPU_STARTUP ? 0 : mtd,
				(unsigned long)entry_portal));
		SETUP(pt_ctrl(first + i, i));
	}
	SETUP(give_at(vm.pd, CRD(CRD_OBJ, RIGHTS_ALL, 8, first),
		      ITEM_DELEGATE, CRD(CRD_OBJ, RIGHTS_ALL, 8, 0)));
	SETUP(give_at(vm.pd, CRD(CRD_MEM, RIGHTS_ALL, 0,
				 page_number(guest_page)),
		      ITEM_DELEGATE | ITEM_GUEST,
		      CRD(CRD_MEM, RIGHTS_ALL, 0, 1)));
	SETUP(give_at(vm.pd, CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page[0])),
		      ITEM_DELEGATE | ITEM_GUEST,
		      CRD(CRD_MEM, RIGHTS_ALL, 0, 0)));
	SETUP(give_at(vm.pd, CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page[2])),
		      ITEM_DELEGATE | ITEM_GUEST,
		      CRD(CRD_MEM, RIGHTS_ALL, 0, 2)));
	vm.ec = sel();
	SETUP(create_vcpu(vm.ec, vm.pd, cpu, 0));
}

static void run(const char *entry, exit_function *at_exit, exit_function *reset)
{
	vm.entry = entry;
	vm.exit = at_exit;
	vm.reset = reset;
	vm.sc = sel();
	SETUP(create_sc(vm.sc, SEL_ROOT_PD, vm.ec, QPD(PRIORITY, 1000)));
}

/* It goes on after its sleep; on another CPU, wait. */
static void wake_vm(void)
{
	SETUP(sm_up(vm.wake));
}

static volatile uint32_t *data(unsigned offset)
{
	return (volatile uint32_t *)(page[2] + offset);
}

/* Entry of a real-mode interrupt. */
static void set_vector(unsigned vector, const char *code)
{
	volatile uint16_t *entry = (volatile uint16_t *)(page[0] + 4 * vector);

	entry[0] = (uint16_t)guest_ip(code);
	entry[1] = 0;
}

static void nothing(struct utcb *u, unsigned event)
{
	(void)u, (void)event;
}

static bool in_hypervisor(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c >> 31;
}

/*
 * For a guest that runs until it is interrupted, which happens whatever its
 * interrupt flag. Bochs' SVM, unlike others, does not see to that.
 */
static void interruptible(struct utcb *u, unsigned event)
{
	(void)event;
	if (is_svm() && !in_hypervisor()) {
		u->rflags |= RFLAGS_IF;
	}
}

/* Started in round robin with the main thread. */
static void run_on(const char *entry, exit_function *at_exit)
{
	vm.entry = entry;
	vm.exit = at_exit;
	vm.reset = interruptible;
	vm.sc = sel();
	SETUP(create_sc(vm.sc, SEL_ROOT_PD, vm.ec, QPD(1, 1000)));
}

/* The first event is that of startup; without a portal it is the last. */
static void startup(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN);
	run(guest_hlt, nothing, NULL);
	EQUAL(vm.count, 1);
	EQUAL(vm.event[0], number(HLT));
	EQUAL(vm.rip[0], guest_ip(guest_hlt));

	unsigned long ec = sel();

	SETUP(create_vcpu(ec, vm.pd, boot_cpu, 0x1000));
	EQUAL(create_sc(sel(), SEL_ROOT_PD, ec, QPD(PRIORITY, 1000)), SUCCESS);
	EQUAL(vm.count, 1);
}

/* Instructions, and where they end up. */
static const struct {
	const char *code;
	struct event event;	/* 0: not on this vendor */
	unsigned length;
} kinds[] = {
	{guest_cpuid, {10, 0x72}, 2},	{guest_hlt, {12, 0x78}, 1},
	{guest_vmcall, {18, 0}, 3},	{guest_vmmcall, {0, 0x81}, 3},
	{guest_in, {30, 0x7b}, 1},	{guest_out_imm, {30, 0x7b}, 2},
	{guest_rdmsr, {31, 0x7c}, 2},	{guest_wrmsr, {32, 0x7c}, 2},
	{guest_read, {48, 0xfc}, 0},	{guest_write, {48, 0xfc}, 0},
};

enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

static unsigned kind;

static void next_kind(void)
{
	do {
		kind++;
	} while (kind < KINDS && !number(kinds[kind].event));
}

static void check_kind(struct utcb *u, unsigned event)
{
	EQUAL(event, number(kinds[kind].event));
	EQUAL(u->rip, guest_ip(kinds[kind].code));
	if (!is_svm() && kinds[kind].length) {
		EQUAL(u->length, kinds[kind].length);
	}
	if (event == number(MEMORY)) {
		EQUAL(u->qual[1] & ~0xfful, GUEST_NONE);
	}
	next_kind();
	if (kind < KINDS) {
		u->rip = guest_ip(kinds[kind].code);
		u->length = 0;
		u->mtd = MTD_RIP_LEN;
		vm.sleep = false;
	}
}

static void exits(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_QUAL);
	kind = 0;
	run(kinds[0].code, check_kind, NULL);
	EQUAL(kind, KINDS);
	EQUAL(vm.count, KINDS - 1);
}

/* General registers go in and come out; only those that the MTD names. */
static void compute_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->rax = 0x1111222233334444, u->rbx = 0x5555, u->rcx = 0x4001;
	u->rdx = 0xf0f0, u->rsi = 0x1234, u->rdi = 0x5678, u->rbp = 0x9abc;
	u->r8 = 8, u->r15 = 0x1515151515151515;
}

static void compute_check(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	if (vm.count == 0) {
		EQUAL(u->rax, 0x1111222233334445);
		EQUAL(u->rbx, 0x5557);
		EQUAL(u->rcx, 0x8002);
		EQUAL(u->rdx, 0x0f0f);
		EQUAL(u->rsi, 0x1234);
		EQUAL(u->rdi, 0x5678);
		EQUAL(u->rbp, 0x9abc);
		EQUAL(u->rsp, GUEST_STACK);
		EQUAL(u->r8, 8);
		EQUAL(u->r15, 0x1515151515151515);
		/* Of these only RBP to RDI are taken back. */
		u->rax = u->rbx = u->rcx = u->rdx = 0;
		u->rsi = 1, u->rdi = 2, u->rbp = 3;
		u->rip = guest_ip(guest_compute);
		u->length = 0;
		u->mtd = MTD_RIP_LEN | MTD_GPR_BSD;
		vm.sleep = false;
	} else {
		EQUAL(u->rax, 0x1111222233334446);
		EQUAL(u->rbx, 0x5559);
		EQUAL(u->rcx, 0x0004);
		EQUAL(u->rsi, 1);
		EQUAL(u->rdi, 2);
		EQUAL(u->rbp, 3);
	}
}

static void registers(void)
{
	make_vm(boot_cpu, MTD_GPR | MTD_RSP | MTD_RIP_LEN);
	run(guest_compute, compute_check, compute_start);
	EQUAL(vm.count, 2);
}

/* The rest of the state: what was put in comes out. */
static struct utcb state;

static void state_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->cr2 = 0x12345678, u->cr3 = 0x5000, u->cr4 = 0;
	u->ds = (struct segment){0x123, 0x93, 0xffff, 0x1230};
	u->es = (struct segment){0x234, 0x93, 0xffff, 0x2340};
	u->fs = (struct segment){0x345, 0x93, 0xffff, 0x3450};
	u->gs = (struct segment){0x456, 0x93, 0xffff, 0x4560};
	u->gdtr.base = 0x10000, u->gdtr.limit = 0x7f;
	u->idtr.base = 0x20000, u->idtr.limit = 0x3ff;
	u->tr.base = 0x3000, u->tr.selector = 0x28, u->tr.limit = 0x67;
	u->dr7 = 0x400;
	u->sysenter_cs = 0x10, u->sysenter_rsp = 0x1000;
	u->sysenter_rip = 0x2000;
	u->star = 0x0023001000000000, u->lstar = 0x1234567;
	u->cstar = 0x7654321, u->sfmask = 0x700;
	u->kernel_gs_base = 0x123456789000;
	u->mtd |= MTD_SYSENTER | MTD_SYSCALL;
	state = *u;
}

static void check_segment(const struct segment *is, const struct segment *was)
{
	EQUAL(is->selector, was->selector);
	EQUAL(is->base, was->base);
	EQUAL(is->limit, was->limit);
	/* The type is the processor's own affair in real mode. */
	EQUAL(is->rights & 0xf0, was->rights & 0xf0);
}

static void state_check(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	EQUAL(u->cr0, state.cr0);
	EQUAL(u->cr2, state.cr2);
	EQUAL(u->cr3, state.cr3);
	EQUAL(u->cr4, state.cr4);
	EQUAL(u->rflags, state.rflags);
	EQUAL(u->dr7, state.dr7);
	EQUAL(u->gdtr.base, state.gdtr.base);
	EQUAL(u->gdtr.limit, state.gdtr.limit);
	EQUAL(u->idtr.base, state.idtr.base);
	EQUAL(u->idtr.limit, state.idtr.limit);
	check_segment(&u->cs, &state.cs);
	check_segment(&u->ss, &state.ss);
	check_segment(&u->ds, &state.ds);
	check_segment(&u->es, &state.es);
	check_segment(&u->fs, &state.fs);
	check_segment(&u->gs, &state.gs);
	check_segment(&u->tr, &state.tr);
	EQUAL(u->sysenter_cs, state.sysenter_cs);
	EQUAL(u->sysenter_rsp, state.sysenter_rsp);
	EQUAL(u->sysenter_rip, state.sysenter_rip);
	EQUAL(u->star, state.star);
	EQUAL(u->lstar, state.lstar);
	EQUAL(u->cstar, state.cstar);
	EQUAL(u->sfmask, state.sfmask);
	EQUAL(u->kernel_gs_base, state.kernel_gs_base);
	EQUAL(u->inject & INJECT_VALID, 0);
	EQUAL(u->interruptibility, 0);
}

static void all_state(void)
{
	make_vm(boot_cpu, MTD_ALL);
	run(guest_hlt, state_check, state_start);
	EQUAL(vm.count, 1);
}

/* What a portal's MTD does not name is not told. */
static void poison(struct utcb *u, unsigned event)
{
	(void)event;
	EQUAL(u->mtd, 0);
	EQUAL(u->rax, 0xeeeeeeeeeeeeeeee);
	EQUAL(u->rflags, 0xeeeeeeeeeeeeeeee);
	EQUAL(u->cr0, 0xeeeeeeeeeeeeeeee);
}

static void poison_start(struct utcb *u, unsigned event)
{
	(void)event;
	/* The handler's next message is in this UTCB; this one is copied. */
	vm.rip[MAX_EXITS - 1] = u->mtd;
}

static void no_state(void)
{
	make_vm(boot_cpu, 0);
	vm.entry = guest_hlt;
	vm.exit = nothing;
	vm.reset = poison_start;
	/* Sleeps at its first HLT; then the UTCB is overwritten. */
	run(guest_hlt, nothing, poison_start);
	EQUAL(vm.count, 1);
	memset(vm.h->utcb->word, 0xee, sizeof(vm.h->utcb->word));
	vm.exit = poison;
	wake_vm();
	EQUAL(vm.count, 2);
}

/* An interrupt is delivered through the guest's vector table. */
static void inject_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->rflags |= RFLAGS_IF;
	u->inject = VECTOR | INJECT_INTERRUPT | INJECT_VALID;
}

static void at_handler(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	EQUAL(u->rip, guest_ip(guest_handler));
	EQUAL(u->rflags & RFLAGS_IF, 0);
	EQUAL(u->rsp, GUEST_STACK - 6);
	EQUAL(u->inject & INJECT_VALID, 0);
}

static void inject(void)
{
	make_vm(boot_cpu, MTD_ALL);
	set_vector(VECTOR, guest_handler);
	run(guest_sti, at_handler, inject_start);
	EQUAL(vm.count, 1);
	/* The return address: nothing was executed before. */
	EQUAL(*(volatile uint16_t *)(page[2] + GUEST_STACK - 6 - GUEST_DATA),
	      guest_ip(guest_sti));
}

static void inject_nmi_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->inject = 2 | INJECT_NMI | INJECT_VALID;
}

/* An NMI needs no interrupt flag. */
static void inject_nmi(void)
{
	make_vm(boot_cpu, MTD_ALL);
	set_vector(2, guest_handler);
	run(guest_sti, at_handler, inject_nmi_start);
	EQUAL(vm.count, 1);
}

static void inject_exception_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->inject = VECTOR_UD | INJECT_EXCEPTION | INJECT_VALID;
}

static void inject_exception(void)
{
	make_vm(boot_cpu, MTD_ALL);
	set_vector(VECTOR_UD, guest_handler);
	run(guest_sti, at_handler, inject_exception_start);
	EQUAL(vm.count, 1);
}

/* An exit as soon as the guest can take an interrupt, and not before. */
static void window_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->inject = INJECT_INTERRUPT_WINDOW;
}

static void at_window(struct utcb *u, unsigned event)
{
	if (vm.count == 0) {
		EQUAL(event, number(WINDOW));
		/* Behind STI's shadow. QEMU's SVM does not know of that. */
		if (is_svm()) {
			CHECK(u->rip == guest_ip(guest_sti_shadow) ||
			      u->rip == guest_ip(guest_sti_open));
		} else {
			EQUAL(u->rip, guest_ip(guest_sti_open));
		}
		CHECK(u->rflags & RFLAGS_IF);
		u->inject = VECTOR | INJECT_INTERRUPT | INJECT_VALID;
		u->mtd = MTD_INJ;
		vm.sleep = false;
	} else {
		at_handler(u, event);
	}
}

static void window(void)
{
	make_vm(boot_cpu, MTD_ALL);
	set_vector(VECTOR, guest_handler);
	run(guest_sti, at_window, window_start);
	EQUAL(vm.count, 2);
}

/* HLT exits; the handler sleeps for it, and it goes on when woken. */
static void hlt_twice(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	EQUAL(u->rip, guest_ip(vm.count ? guest_handler : guest_hlt));
	u->rip = guest_ip(guest_handler);
	u->length = 0;
	u->mtd = MTD_RIP_LEN;
}

static void halted(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN);
	run(guest_hlt, hlt_twice, NULL);
	EQUAL(vm.count, 1);
	sleep_us(3000);
	EQUAL(vm.count, 1);
	wake_vm();
	EQUAL(vm.count, 2);
	EQUAL(vm.rip[1], guest_ip(guest_handler));
}

static void recalled(struct utcb *u, unsigned event)
{
	EQUAL(event, EVENT_VCPU_RECALL);
	CHECK(u->rip >= guest_ip(guest_spin) &&
	      u->rip < guest_ip(guest_spin_end));
	vm.sleep = false;
}

/*
 * A guest that runs on and on is stopped by a recall, from whichever CPU; not
 * having done anything, it runs on.
 */
static void recall_on(unsigned cpu)
{
	make_vm(cpu, MTD_RIP_LEN);
	run_on(guest_spin, recalled);
	for (unsigned i = 0; i < 20; i++) {
		uint32_t before;

		WAIT(*data(0) > 100);
		EQUAL(ec_recall(vm.ec), SUCCESS);
		WAIT(vm.count == i + 1);
		EQUAL(vm.last, EVENT_VCPU_RECALL);
		before = *data(0);
		WAIT(*data(0) != before);
	}
}

static void recall(void)
{
	recall_on(boot_cpu);
}

static void recall_other_cpu(void)
{
	recall_on(boot_cpu ? 0 : 1);
}

static void slept_recall(struct utcb *u, unsigned event)
{
	(void)u;
	if (vm.count == 0) {
		EQUAL(event, number(HLT));
	} else {
		EQUAL(event, EVENT_VCPU_RECALL);
	}
}

/* One whose handler sleeps for it is recalled before it runs again. */
static void recall_halted(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN);
	run(guest_hlt, slept_recall, NULL);
	EQUAL(vm.count, 1);
	EQUAL(ec_recall(vm.ec), SUCCESS);
	wake_vm();
	EQUAL(vm.count, 2);
}

/* Nothing is at the address: the reply brings the page. */
static void map_and_go(struct utcb *u, unsigned event)
{
	if (vm.count == 0) {
		EQUAL(event, number(MEMORY));
		put_item(u, 0, CRD(CRD_MEM, MEM_R | MEM_W, 0,
				   page_number(page[5])),
			 ITEM(ITEM_DELEGATE, ITEM_GUEST,
			      u->qual[1] / PAGE_SIZE));
		u->items = UTCB_ITEMS(0, 1);
		vm.sleep = false;
	} else {
		/* Behind the write is the next code. */
		EQUAL(event, number(HLT));
		EQUAL(page[5][0x10], 0x77);
	}
}

static void map_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->rax = 0x77;
}

static void map(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_QUAL);
	run(guest_write, map_and_go, map_start);
	EQUAL(vm.count, 2);
}

/* Memory that is not for guests is not there for this one. */
static void not_guest_memory(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_QUAL);
	SETUP(give_at(vm.pd, CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page[5])),
		      ITEM_DELEGATE,
		      CRD(CRD_MEM, RIGHTS_ALL, 0, GUEST_NONE / PAGE_SIZE)));
	run(guest_read, nothing, NULL);
	EQUAL(vm.event[0], number(MEMORY));
}

/* Nor may it write what its PD may only read. */
static void read_only(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_QUAL);
	SETUP(give_at(vm.pd, CRD(CRD_MEM, MEM_R, 0, page_number(page[5])),
		      ITEM_DELEGATE | ITEM_GUEST,
		      CRD(CRD_MEM, RIGHTS_ALL, 0, GUEST_NONE / PAGE_SIZE)));
	run(guest_read, nothing, NULL);
	EQUAL(vm.event[0], number(MEMORY));
	EQUAL(vm.rip[0], guest_ip(guest_write));
}

/* Memory goes while the guest uses it: it exits, and sees nothing new. */
static void revoke_on(unsigned cpu)
{
	make_vm(cpu, MTD_RIP_LEN | MTD_QUAL);
	*data(0) = 1;
	run_on(guest_read_loop, nothing);
	WAIT(*(volatile uint32_t *)(page[0] + 0x1c) == 1);
	EQUAL(vm.count, 0);
	EQUAL(revoke(CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page[2]))),
	      SUCCESS);
	*data(0) = 2;
	WAIT(vm.count == 1);
	EQUAL(vm.event[0], number(MEMORY));
	EQUAL(*(volatile uint32_t *)(page[0] + 0x1c), 1);
}

static void revoke_memory(void)
{
	revoke_on(boot_cpu);
}

static void revoke_other_cpu(void)
{
	revoke_on(boot_cpu ? 0 : 1);
}

/* Ports with G are the guest's own, the others exit. */
static void ports(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_QUAL);
	SETUP(give_at(vm.pd, CRD(CRD_PIO, PIO_ACCESS, 0, 0x3ff),
		      ITEM_DELEGATE | ITEM_GUEST,
		      CRD(CRD_PIO, PIO_ACCESS, 16, 0)));
	run(guest_ports, nothing, NULL);
	EQUAL(vm.count, 1);
	EQUAL(vm.event[0], number(IO));
	EQUAL(vm.rip[0], guest_ip(guest_ports_exit));
}

/* Its SVM does not know of the intercept of shutdown. */
static void stops_bochs(void)
{
	if (is_svm() && !in_hypervisor()) {
		test_skip("a triple fault of a guest stops Bochs");
	}
}

/* An exception that the guest cannot take at all. */
static void triple_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->idtr.limit = 0;
}

static void triple_fault(void)
{
	stops_bochs();
	make_vm(boot_cpu, MTD_RIP_LEN);
	run(guest_triple, nothing, triple_start);
	EQUAL(vm.count, 1);
	EQUAL(vm.event[0], number(TRIPLE));
}

/* The TSC's offset is added to, and reads as it is. */
static uint64_t host_before;

static void tsc_check(struct utcb *u, unsigned event)
{
	uint64_t guest = u->rdx << 32 | (u->rax & 0xffffffff);

	EQUAL(event, number(HLT));
	if (vm.count == 0) {
		CHECK(guest >= host_before && guest <= rdtsc());
		u->tsc_offset = 1ul << 50;
		u->rip = guest_ip(guest_rdtsc);
		u->length = 0;
		u->mtd = MTD_TSC | MTD_RIP_LEN;
		vm.sleep = false;
	} else {
		CHECK(u->tsc_offset <= 1ul << 50);
		CHECK(u->tsc_offset > (1ul << 50) - tsc_of_us(1000000));
		CHECK(guest > 1ul << 50);
	}
}

static void tsc(void)
{
	make_vm(boot_cpu, MTD_GPR_ACDB | MTD_TSC | MTD_RIP_LEN);
	host_before = rdtsc();
	run(guest_rdtsc, tsc_check, NULL);
	EQUAL(vm.count, 2);
}

/* A guest's FPU registers are its own. */

static void fpu_check(struct utcb *u, unsigned event)
{
	static const uint8_t one[10] = {0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f};

	EQUAL(event, number(HLT));
	/* ST0 in the FXSAVE image. */
	CHECK(memcmp(u->fpu + 32, one, sizeof(one)) == 0);
	for (unsigned i = 160; i < 416; i++) {
		EQUAL(u->fpu[i], 0);
	}
}

static void fpu(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_FPU);
	fpu_fill(0x4242424242424242);
	run(guest_fpu, fpu_check, NULL);
	EQUAL(vm.count, 1);
	EQUAL(fpu_compare(0x4242424242424242), 0);
}

/* State that no processor enters with is an event of its own. */
static void bad_cr0(struct utcb *u, unsigned event)
{
	(void)event;
	u->cr0 = 1ul << 31 | CR0_NE | CR0_ET;	/* PG without PE */
}

static void bad_segment(struct utcb *u, unsigned event)
{
	(void)event;
	u->cs.rights = 0;
}

static void bad_intercept(struct utcb *u, unsigned event)
{
	(void)event;
	u->ctrl[1] = 0;		/* VMRUN is not intercepted */
}

static void bad_efer(struct utcb *u, unsigned event)
{
	(void)event;
	u->efer = 0;		/* without SVME */
	u->mtd |= MTD_EFER;
}

static void is_invalid(struct utcb *u, unsigned event)
{
	EQUAL(event, number(INVALID));
	if (vm.count == 0) {
		/* Put right, it runs. */
		set_reset_state(u);
		u->efer = is_svm() ? EFER_SVME : 0;
		u->mtd |= MTD_EFER;
		vm.sleep = false;
		vm.exit = nothing;
	}
}

static void invalid_state(void)
{
	exit_function *const bad[2][2] = {{bad_cr0, bad_segment},
					  {bad_intercept, bad_efer}};

	for (unsigned i = 0; i < 2; i++) {
		make_vm(boot_cpu, MTD_RIP_LEN);
		run(guest_hlt, is_invalid, bad[is_svm()][i]);
		EQUAL(vm.event[0], number(INVALID));
		EQUAL(vm.count, 2);
		EQUAL(vm.event[1], number(HLT));
	}
}

/*
 * In some activity states of VMX nothing ends a guest that the kernel could
 * rely on: only active and halted are there.
 */
static uint32_t bad_activity;

static void inactive(struct utcb *u, unsigned event)
{
	(void)event;
	u->activity = bad_activity;
}

static void activity(void)
{
	static const uint32_t bad[] = {2, 3, 4, 1u << 31, ~0u};

	for (unsigned i = 0; i < 5 && !is_svm(); i++) {
		bad_activity = bad[i];
		make_vm(boot_cpu, MTD_RIP_LEN);
		run(guest_hlt, is_invalid, inactive);
		EQUAL(vm.event[0], number(INVALID));
		EQUAL(vm.count, 2);
		EQUAL(vm.event[1], number(HLT));
	}
}

/* A guest is destroyed while it runs, by its EC, SC or PD. */
static void destroy_on(unsigned cpu)
{
	for (unsigned i = 0; i < 6; i++) {
		uint32_t before;

		make_vm(cpu, MTD_RIP_LEN);
		*data(0) = 0;
		run_on(guest_spin, nothing);
		WAIT(*data(0) > 1000);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0,
				      i % 3 == 0   ? vm.ec
				      : i % 3 == 1 ? vm.sc
						   : vm.pd)));
		sleep_us(3000);
		before = *data(0);
		sleep_us(3000);
		EQUAL(*data(0), before);
		clean();
	}
}

static void destroyed(void)
{
	destroy_on(boot_cpu);
}

static void destroyed_other_cpu(void)
{
	destroy_on(boot_cpu ? 0 : 1);
}

/* Thousands of vCPUs one after the other; their memory comes back. */
static void churn(void)
{
	unsigned long s, before = 0;

	make_vm(boot_cpu, 0);
	s = sel();
	for (unsigned i = 0; i < 1000; i++) {
		EQUAL(create_vcpu(s, vm.pd, boot_cpu, 0), SUCCESS);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, s)));
		if (i % 16 == 15) {
			sleep_us(2000);
		}
		if (i == 100) {
			sleep_us(20000);
			before = usage(vm.pd);
		}
	}
	wait_usage(vm.pd, before);
}

/* Many vCPUs of one VM, which take turns. */
static void many(void)
{
	enum { N = 12 };
	unsigned long ec[N];

	make_vm(boot_cpu, MTD_RIP_LEN);
	vm.entry = guest_hlt;
	vm.exit = nothing;
	for (unsigned i = 0; i < N; i++) {
		ec[i] = sel();
		EQUAL(create_vcpu(ec[i], vm.pd, boot_cpu, 0), SUCCESS);
		EQUAL(create_sc(sel(), SEL_ROOT_PD, ec[i],
				QPD(PRIORITY, 1000)), SUCCESS);
		EQUAL(vm.count, i + 1);
	}
	for (unsigned i = 0; i < N; i++) {
		wake_vm();
		EQUAL(vm.count, N + i + 1);
	}
}

static uint64_t random_state;

static uint64_t random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1d;
}

/* Some words of the state are overwritten, and all of it is taken. */
static void random_reset(struct utcb *u, unsigned event)
{
	uint64_t *words = &u->length;
	unsigned n = (unsigned)((uint64_t *)&u->exit_reason - words);

	(void)event;
	for (unsigned i = 0; i < 1 + random() % 8; i++) {
		uint64_t r = random();

		words[r % n] = r >> 60 < 8 ? random()
			       : r >> 60 < 12 ? 1ul << (random() & 63)
					      : words[r % n] ^
							1ul << (random() & 63);
	}
	u->mtd = 0x7ffffff;
	interruptible(u, event);
	if ((u->inject & INJECT_TYPE) == INJECT_TYPE) {
		/* No event of this kind is known to Bochs, which stops. */
		u->inject &= ~INJECT_VALID;
	}
	if (is_svm()) {
		u->ctrl[1] |= INTERCEPT_VMRUN;
		/*
		 * QEMU's emulated processor does not find back to its host
		 * from LME without PAE, and with some reserved bits.
		 */
		u->cr0 &= CR0_ALL;
		u->cr4 &= CR4_SOME;
		u->efer &= EFER_SOME;
	}
}

static void hostile_exit(struct utcb *u, unsigned event)
{
	(void)event;
	if (vm.count < 20) {
		set_reset_state(u);
		random_reset(u, event);
		vm.sleep = false;
	}
}

/* Whatever state a VMM gives its guest: an event, or it runs. */
static void hostile_state(void)
{
	stops_bochs();
	for (unsigned i = 0; i < 60; i++) {
		random_state = 0x9e3779b97f4a7c15 + i;
		make_vm(boot_cpu, MTD_ALL);
		vm.entry = guest_compute;
		vm.exit = hostile_exit;
		vm.reset = random_reset;
		vm.sc = sel();
		SETUP(create_sc(vm.sc, SEL_ROOT_PD, vm.ec, QPD(1, 1000)));
		sleep_us(1000);
		SETUP(ec_recall(vm.ec));
		sleep_us(1000);
		clean();
	}
}

/* A guest that computes does so on, in the state that it was in. */
void suspend_vcpu(void)
{
	make_vm(cpus - 1, MTD_RIP_LEN);
	run_on(guest_spin, nothing);
	WAIT(*data(0));
	suspend_twice();
	uint32_t before = *data(0);

	WAIT(*data(0) != before);
	EQUAL(vm.count, 0);
}

const struct test vcpu_tests[] = {
	{"vcpu.startup", startup, 0},
	{"vcpu.exits", exits, 0},
	{"vcpu.registers", registers, 0},
	{"vcpu.all_state", all_state, 0},
	{"vcpu.no_state", no_state, 0},
	{"vcpu.inject", inject, 0},
	{"vcpu.inject_nmi", inject_nmi, 0},
	{"vcpu.inject_exception", inject_exception, 0},
	{"vcpu.window", window, 0},
	{"vcpu.halted", halted, 0},
	{"vcpu.recall", recall, 0},
	{"vcpu.recall_halted", recall_halted, 0},
	{"vcpu.recall_other_cpu", recall_other_cpu, 2},
	{"vcpu.map", map, 0},
	{"vcpu.not_guest_memory", not_guest_memory, 0},
	{"vcpu.read_only", read_only, 0},
	{"vcpu.revoke_memory", revoke_memory, 0},
	{"vcpu.revoke_other_cpu", revoke_other_cpu, 2},
	{"vcpu.ports", ports, 0},
	{"vcpu.triple_fault", triple_fault, 0},
	{"vcpu.tsc", tsc, 0},
	{"vcpu.fpu", fpu, 0},
	{"vcpu.invalid_state", invalid_state, 0},
	{"vcpu.activity", activity, 0},
	{"vcpu.destroyed", destroyed, 0},
	{"vcpu.destroyed_other_cpu", destroyed_other_cpu, 2},
	{"vcpu.churn", churn, 0},
	{"vcpu.many", many, 0},
	{"vcpu.hostile_state", hostile_state, 0},
	{0},
};
