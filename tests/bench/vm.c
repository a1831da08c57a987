/*
 * VM exits: a vCPU loops in real mode over an instruction that exits, and the
 * handler, in root, steps it over that. One vCPU for each set of state that is
 * transferred both ways.
 */
#include "../hypercall/reset.h"
#include "bench.h"

#include <lib/print.h>
#include <lib/string.h>

enum {
	PORT = 0x300,
	MSR_APIC_BASE = 0x1b,
	NAME = 40,

	/* All but controls and FPU; what a vendor has not is ignored. */
	MTD_ALL = MTD_GPR | MTD_RSP | MTD_RIP_LEN | MTD_RFLAGS | MTD_SEGMENTS | MTD_TABLES |
		  MTD_CR | MTD_DR | MTD_SYSENTER | MTD_QUAL | MTD_INJ | MTD_STA | MTD_TSC |
		  MTD_EFER | MTD_PDPTE | MTD_SYSCALL | MTD_TPR | MTD_TSC_AUX | MTD_XSAVE,
};

static const struct transfer {
	const char *name;
	unsigned long mtd;
} transfers[] = {
	{"rip", MTD_RIP_LEN},
	{"gpr", MTD_RIP_LEN | MTD_GPR},
	{"all", MTD_ALL},
	{"all_fpu", MTD_ALL | MTD_FPU},
};

/* The VM that runs: one at a time. */
static struct {
	struct frame *handler;
	const struct transfer *transfer;
	unsigned long ec;
	unsigned long done; /* SM */
	unsigned kind;
	unsigned round;
} vm;

/* The guest takes interrupts: the window is open when it runs. */
static void ask_for_window(struct utcb *u)
{
	u->inject = INJECT_INTERRUPT_WINDOW;
	u->mtd |= MTD_INJ;
}

static void recall(struct utcb *u)
{
	(void)u;
	SETUP(ec_recall(vm.ec));
}

static const struct kind {
	const char *name;
	const char *vmx, *svm; /* the loop */
	uint8_t vmx_event, svm_event;
	uint8_t length; /* SVM does not tell it */
	/* What the handler does for the next exit to come. */
	void (*provoke)(struct utcb *u);
} kinds[] = {
	{"cpuid", vm_cpuid, vm_cpuid, 10, 0x72, 2, NULL},
	{"hypercall", vm_vmcall, vm_vmmcall, 18, 0x81, 3, NULL},
	{"in", vm_in, vm_in, 30, 0x7b, 1, NULL},
	{"out", vm_out, vm_out, 30, 0x7b, 1, NULL},
	{"string_in", vm_ins, vm_ins, 30, 0x7b, 1, NULL},
	{"hlt", vm_hlt, vm_hlt, 12, 0x78, 1, NULL},
	{"rdmsr", vm_rdmsr, vm_rdmsr, 31, 0x7c, 2, NULL},
	{"wrmsr", vm_wrmsr, vm_wrmsr, 32, 0x7c, 2, NULL},
	{"mmio_read", vm_read, vm_read, 48, EVENT_SVM_NPF, 3, NULL},
	{"mmio_write", vm_write, vm_write, 48, EVENT_SVM_NPF, 3, NULL},
	{"interrupt_window", vm_spin, vm_spin, 7, 0x64, 0, ask_for_window},
	{"recall", vm_spin, vm_spin, EVENT_VCPU_RECALL, EVENT_VCPU_RECALL, 0, recall},
};

enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

/* stubs.S calls it. */
void vm_exit(unsigned long event, uint64_t now);

static bool is_svm(void)
{
	return hip->features & HIP_SVM;
}

static uint64_t loop(unsigned kind)
{
	return (uint64_t)((is_svm() ? kinds[kind].svm : kinds[kind].vmx) - vm_page);
}

/* A processor after reset, but at the first loop. */
static void set_reset_state(struct utcb *u)
{
	reset_state(u);
	u->rip = loop(0);
	u->rcx = MSR_APIC_BASE;
	u->rdx = PORT;
	u->ctrl[0] = is_svm() ? INTERCEPT_CPUID : 0;
	u->ctrl[1] = is_svm() ? INTERCEPT_VMRUN | INTERCEPT_VMMCALL : 0;
	u->rflags |= RFLAGS_IF;
	u->mtd = MTD_GPR | MTD_RSP | MTD_RIP_LEN | MTD_RFLAGS | MTD_SEGMENTS | MTD_TABLES | MTD_CR |
		 MTD_DR | MTD_SYSENTER | MTD_SYSCALL | MTD_CTRL | MTD_INJ | MTD_STA;
	u->items = 0;
}

/* Behind the next reply the vCPU sleeps. */
static _Noreturn void stop(void)
{
	SETUP(sm_up(vm.done));
	for (;;)
		SETUP(sm_down(SEL_FOREVER, 0));
}

static void next_kind(struct utcb *u)
{
	char name[NAME];

	snprintf(name, sizeof(name), "vmexit_%s_%s", kinds[vm.kind].name, vm.transfer->name);
	report(name);
	vm.round = 0;
	if (++vm.kind == KINDS)
		stop();
	u->rip = loop(vm.kind);
	u->mtd |= MTD_INJ; /* no window any more */
	if (kinds[vm.kind].provoke)
		kinds[vm.kind].provoke(u);
}

void vm_exit(unsigned long event, uint64_t now)
{
	struct utcb *u = vm.handler->utcb;
	const struct kind *k = &kinds[vm.kind];

	if (event == EVENT_VCPU_STARTUP) {
		set_reset_state(u);
		return;
	}
	if (event != (is_svm() ? k->svm_event : k->vmx_event)) {
		report_failed("vmexit, event", event);
		stop();
	}
	/* The first exit has no one before it. */
	if (vm.round > 0) {
		if (traced(vm.round - 1, SAMPLES))
			trace_mark();
		record(vm.round - 1, now - vm_left);
	}
	u->inject = 0;	   /* nothing was being delivered */
	u->tsc_offset = 0; /* is added */
	u->items = 0;
	if (vm.round++ == rounds(SAMPLES)) {
		next_kind(u);
		return;
	}
	u->rip += k->length;
	if (k->provoke)
		k->provoke(u);
	if (traced(vm.round - 1, SAMPLES))
		trace_mark();
}

static void run(const struct transfer *transfer)
{
	unsigned long first = sel_range(8), sc = sel();
	unsigned long pd = make_empty_pd(BIG_QUOTA);

	vm.handler = make_handler(SEL_ROOT_PD, boot_cpu, NULL);
	vm.transfer = transfer;
	vm.ec = sel();
	vm.done = make_sm(0);
	vm.kind = vm.round = 0;
	for (unsigned i = 0; i < EVENTS_VCPU; i++) {
		SETUP(create_pt(first + i, SEL_ROOT_PD, vm.handler->ec, transfer->mtd,
				(unsigned long)stub_vm));
		SETUP(pt_ctrl(first + i, i));
	}
	SETUP(give_at(pd, CRD(CRD_OBJ, RIGHTS_ALL, 8, first), ITEM_DELEGATE,
		      CRD(CRD_OBJ, RIGHTS_ALL, 8, 0)));
	SETUP(give_at(pd, CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(vm_page)),
		      ITEM_DELEGATE | ITEM_GUEST, CRD(CRD_MEM, RIGHTS_ALL, 0, 0)));
	SETUP(create_vcpu(vm.ec, pd, boot_cpu, 0));
	SETUP(create_sc(sc, SEL_ROOT_PD, vm.ec, QPD(PRIORITY_PEER, 10000)));
	SETUP(sm_down(vm.done, in_us(10000000)));
	clean();
}

void bench_vm(void)
{
	if (!(hip->features & (HIP_VMX | HIP_SVM))) {
		report_skipped("vmexit", "no virtualisation");
		return;
	}
	for (unsigned i = 0; i < sizeof(transfers) / sizeof(*transfers); i++)
		run(&transfers[i]);
}
