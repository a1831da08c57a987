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

const struct test vcpu_inject_tests[] = {
	{"vcpu.inject", inject, 0},
	{"vcpu.inject_nmi", inject_nmi, 0},
	{"vcpu.inject_exception", inject_exception, 0},
	{"vcpu.window", window, 0},
	{"vcpu.halted", halted, 0},
	{0},
};
