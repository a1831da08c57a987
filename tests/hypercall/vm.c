/*
 * Virtual machines: see vm.h.
 */
#include "vm.h"

#include <lib/string.h>

const struct event HLT = {12, 0x78}, IO = {30, 0x7b}, MEMORY = {48, 0xfc}, WINDOW = {7, 0x64},
		   INVALID = {33, 0xfd}, TRIPLE = {2, 0x7f};

bool is_svm(void)
{
	return hip->features & HIP_SVM;
}

unsigned number(struct event e)
{
	return is_svm() ? e.svm : e.vmx;
}

struct vm vm;

uint64_t guest_ip(const char *code)
{
	return GUEST_CODE + (uint64_t)(code - guest_page);
}

void set_reset_state(struct utcb *u)
{
	reset_state(u);
	u->rip = guest_ip(vm.entry);
	u->rsp = GUEST_STACK;
	u->rcx = MSR_APIC_BASE;
	u->rdx = PORT;
	u->ctrl[0] = is_svm() ? INTERCEPT_CPUID : 0;
	u->ctrl[1] = is_svm() ? INTERCEPT_VMRUN | INTERCEPT_VMMCALL : 0;
	u->mtd = MTD_GPR | MTD_RSP | MTD_RIP_LEN | MTD_RFLAGS | MTD_SEGMENTS | MTD_TABLES | MTD_CR |
		 MTD_DR | MTD_CTRL | MTD_INJ | MTD_STA | MTD_SYSENTER | MTD_SYSCALL;
}

static void on_exit(struct frame *f)
{
	struct utcb *u = f->utcb;
	unsigned event = (unsigned)f->id;

	EQUAL(u->exit_reason, event);
	if (event == EVENT_VCPU_STARTUP) {
		set_reset_state(u);
		if (vm.reset)
			vm.reset(u, event);
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
	if (vm.sleep)
		f->reply = vm.wake;
}

unsigned long make_exits(unsigned cpu)
{
	unsigned long first = sel_range(8);

	vm.h = make_handler(SEL_ROOT_PD, cpu, on_exit);
	for (unsigned i = 0; i < EVENTS_VCPU; i++) {
		SETUP(create_pt(first + i, SEL_ROOT_PD, vm.h->ec,
				i == EVENT_VCPU_STARTUP ? 0 : vm.mtd, (unsigned long)entry_portal));
		SETUP(pt_ctrl(first + i, i));
	}
	return first;
}

void make_vm(unsigned cpu, unsigned long mtd)
{
	unsigned long first;

	if (!(hip->features & (HIP_VMX | HIP_SVM)))
		test_skip("no virtualisation");
	memset(&vm, 0, sizeof(vm));
	vm.cpu = cpu;
	vm.mtd = mtd;
	/* They have the first selectors, so that at the end they go first. */
	first = make_exits(cpu);
	vm.pd = make_empty_pd(QUOTA);
	vm.wake = make_sm(0);
	SETUP(give_at(vm.pd, CRD(CRD_OBJ, RIGHTS_ALL, 8, first), ITEM_DELEGATE,
		      CRD(CRD_OBJ, RIGHTS_ALL, 8, 0)));
	SETUP(give_at(vm.pd, CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(guest_page)),
		      ITEM_DELEGATE | ITEM_GUEST, CRD(CRD_MEM, RIGHTS_ALL, 0, 1)));
	SETUP(give_at(vm.pd, CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page[0])),
		      ITEM_DELEGATE | ITEM_GUEST, CRD(CRD_MEM, RIGHTS_ALL, 0, 0)));
	SETUP(give_at(vm.pd, CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page[2])),
		      ITEM_DELEGATE | ITEM_GUEST, CRD(CRD_MEM, RIGHTS_ALL, 0, 2)));
	vm.ec = sel();
	SETUP(create_vcpu(vm.ec, vm.pd, cpu, 0));
}

void run(const char *entry, exit_function *at_exit, exit_function *reset)
{
	vm.entry = entry;
	vm.exit = at_exit;
	vm.reset = reset;
	vm.sc = sel();
	SETUP(create_sc(vm.sc, SEL_ROOT_PD, vm.ec, QPD(PRIORITY, 1000)));
}

void wake_vm(void)
{
	SETUP(sm_up(vm.wake));
}

volatile uint32_t *data(unsigned offset)
{
	return (volatile uint32_t *)(page[2] + offset);
}

void set_vector(unsigned vector, const char *code)
{
	volatile uint16_t *entry = (volatile uint16_t *)(page[0] + 4 * vector);

	entry[0] = (uint16_t)guest_ip(code);
	entry[1] = 0;
}

void nothing(struct utcb *u, unsigned event)
{
	(void)u, (void)event;
}

bool in_hypervisor(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c >> 31;
}

void interruptible(struct utcb *u, unsigned event)
{
	(void)event;
	if (is_svm() && !in_hypervisor())
		u->rflags |= RFLAGS_IF;
}

void run_on(const char *entry, exit_function *at_exit)
{
	vm.entry = entry;
	vm.exit = at_exit;
	vm.reset = interruptible;
	vm.sc = sel();
	SETUP(create_sc(vm.sc, SEL_ROOT_PD, vm.ec, QPD(1, 1000)));
}

void stops_bochs(void)
{
	if (is_svm() && !in_hypervisor())
		test_skip("a triple fault of a guest stops Bochs");
}
