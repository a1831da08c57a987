/*
 * vCPUs: events that a VMM injects, interrupt windows, HLT.
 */
#include "vm.h"

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
	EQUAL(*(volatile uint16_t *)(page[2] + GUEST_STACK - 6 - GUEST_DATA), guest_ip(guest_sti));
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

/*
 * The vector table is not there: what was being delivered is told, with the fault, and given
 * back it comes.
 */
static void no_table(struct utcb *u, unsigned event)
{
	inject_start(u, event);
	u->idtr.base = GUEST_NONE;
}

static void in_delivery(struct utcb *u, unsigned event)
{
	if (vm.count == 1) {
		at_handler(u, event);
		return;
	}
	EQUAL(event, number(MEMORY));
	EQUAL(u->qual[1] & ~3ul, GUEST_NONE + 4 * VECTOR);
	EQUAL(u->inject, VECTOR | INJECT_INTERRUPT | INJECT_VALID);
	EQUAL(u->rip, guest_ip(guest_sti));
	EQUAL(u->rsp, GUEST_STACK);
	u->idtr.base = 0;
	u->mtd = MTD_INJ | MTD_IDTR;
	vm.sleep = false;
}

static void inject_interrupted(void)
{
	make_vm(boot_cpu, MTD_ALL);
	set_vector(VECTOR, guest_handler);
	run(guest_sti, in_delivery, no_table);
	EQUAL(vm.count, 2);
}

/* Recalled before its entry: what was to be injected is told, and still is to be. */
static void recall_first(struct utcb *u, unsigned event)
{
	if (vm.count == 0) {
		EQUAL(event, number(HLT));
		u->rip = guest_ip(guest_sti);
		u->length = 0;
		u->rflags |= RFLAGS_IF;
		u->inject = VECTOR | INJECT_INTERRUPT | INJECT_VALID;
		u->mtd = MTD_RIP_LEN | MTD_RFLAGS | MTD_INJ;
	} else if (vm.count == 1) {
		EQUAL(event, EVENT_VCPU_RECALL);
		EQUAL(u->inject, VECTOR | INJECT_INTERRUPT | INJECT_VALID);
		EQUAL(u->rip, guest_ip(guest_sti));
		vm.sleep = false;
	} else {
		at_handler(u, event);
	}
}

static void inject_recalled(void)
{
	make_vm(boot_cpu, MTD_ALL);
	set_vector(VECTOR, guest_handler);
	run(guest_hlt, recall_first, NULL);
	EQUAL(vm.count, 1);
	my_utcb->inject = 0;
	EQUAL(ec_recall(vm.ec), SUCCESS);
	wake_vm();
	EQUAL(vm.count, 3);
}

/* The same where the entry was refused. */
static void refuse_first(struct utcb *u, unsigned event)
{
	inject_start(u, event);
	u->efer = 0;
	u->mtd |= is_svm() ? MTD_EFER : 0;
	if (!is_svm())
		u->cs.rights = 0;
}

static void was_refused(struct utcb *u, unsigned event)
{
	if (vm.count > 0) {
		at_handler(u, event);
		return;
	}
	EQUAL(event, number(INVALID));
	EQUAL(u->inject & INJECT_VALID, INJECT_VALID);
	EQUAL(u->inject & 0xff, VECTOR);
	set_reset_state(u);
	u->efer = is_svm() ? EFER_SVME : 0;
	u->rflags |= RFLAGS_IF;
	u->mtd = (u->mtd | MTD_EFER) & ~(uint64_t)MTD_INJ;
	vm.sleep = false;
}

static void inject_refused(void)
{
	if (is_svm() && !in_hypervisor())
		test_skip("Bochs' SVM drops it");
	make_vm(boot_cpu, MTD_ALL);
	set_vector(VECTOR, guest_handler);
	run(guest_sti, was_refused, refuse_first);
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
	quiesce();
	EQUAL(vm.count, 1);
	wake_vm();
	EQUAL(vm.count, 2);
	EQUAL(vm.rip[1], guest_ip(guest_handler));
}

enum { TICK_PRIORITY = 9, TICK_US = 20, TICK_EXITS = 500000 };

static volatile uint64_t ticks;

static void tick(struct frame *f)
{
	(void)f;
	for (ticks = 0;; ticks = ticks + 1)
		(void)sm_down(SEL_FOREVER, in_us(TICK_US));
}

/* It exits at the same instruction again. */
static void at_same(struct utcb *u, unsigned event)
{
	EQUAL(event, number((struct event){10, 0x72}));
	u->mtd = 0;
	vm.sleep = vm.count + 1 == (is_svm() && in_hypervisor() ? TICK_EXITS : TICK_EXITS / 100);
}

/*
 * A timer goes off all the time while a vCPU that waits for a window comes and
 * goes. QEMU forgets some of those interrupts.
 */
static void window_ticks(void)
{
	uint64_t before, end;

	make_vm(boot_cpu, MTD_RIP_LEN);
	(void)make_thread(SEL_ROOT_PD, boot_cpu, TICK_PRIORITY, tick, 0);
	run(guest_cpuid, at_same, window_start);
	before = ticks;
	end = in_us(LONG_US);
	while (ticks == before && rdtsc() < end)
		;
	CHECK(ticks != before);
}

const struct test vcpu_inject_tests[] = {
	{"vcpu.window_ticks", window_ticks, 0},
	{"vcpu.inject", inject, 0},
	{"vcpu.inject_nmi", inject_nmi, 0},
	{"vcpu.inject_exception", inject_exception, 0},
	{"vcpu.inject_interrupted", inject_interrupted, 0},
	{"vcpu.inject_recalled", inject_recalled, 0},
	{"vcpu.inject_refused", inject_refused, 0},
	{"vcpu.window", window, 0},
	{"vcpu.halted", halted, 0},
	{0},
};
