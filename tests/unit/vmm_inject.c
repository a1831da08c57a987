/*
 * What is injected into a vCPU when: interrupts with and without windows,
 * shadows of STI and MOV SS, NMIs, events that an exit interrupted, exceptions.
 * With the real local APIC and PIC.
 */
#include "vmm_fixture.h"

#include "../../vmm/src/vcpu.h"
#include "../../vmm/src/vm.h"

enum { RFLAGS_IF = 1 << 9, BIT_TPR = 0x808, SVR = 0x80f };

const struct vendor vmx = {.nmi_window = INJECT_NMI_WINDOW};
const struct vendor svm = {.ctrl = {1, 2}, .iret = 1 << 20};

static struct fixture f;
static struct vm vm;
static struct utcb u;
static struct vcpu *const v = &vm.vcpu[0];
static struct irq_line intr;

static void lint(void *opaque, unsigned pin, bool level)
{
	(void)opaque;
	lapic_lint_set(&v->lapic, pin, level);
}

static void kick(void *opaque)
{
	(void)opaque;
}

static void start(const struct vendor *vendor)
{
	struct lapic_config config = {
		.bsp = true,
		.all = &vm.machine.lapics,
		.timers = &f.timers,
		.timer_hz = FIXTURE_HZ,
		.hooks = {.kick = kick},
	};

	memset(&vm, 0, sizeof(vm));
	memset(&u, 0, sizeof(u));
	fixture_init(&f);
	vm.vendor = vendor;
	v->vm = &vm;
	v->utcb = &u;
	assert_true(lapic_init(&v->lapic, &config));
	assert_true(lapic_msr_write(&v->lapic, MSR_APIC_BASE, LAPIC_BASE_DEFAULT | 0xd00));
	assert_true(lapic_msr_write(&v->lapic, SVR, 0x1ff));
	intr = (struct irq_line){.to = {{lint, NULL, 0}}};
	pic_init(&vm.machine.pic, &intr);
	u.rflags = RFLAGS_IF | 2;
}

static void send(uint8_t vector, enum apic_mode mode)
{
	const struct apic_message message = {
		.vector = vector,
		.mode = (uint8_t)mode,
		.x2apic = true,
	};

	assert_true(lapics_deliver(&vm.machine.lapics, &message));
}

/* An exit, at which this was being delivered. */
static void exit_with(uint32_t interrupted, uint32_t error)
{
	v->mtd = 0;
	u.inject = interrupted;
	u.inject_error = error;
}

#define INTERRUPT(vector) (INJECT_VALID | INJECT_INTERRUPT | (vector))

static void expect(uint32_t info)
{
	vcpu_inject(v);
	assert_int_equal(v->mtd & MTD_INJ, MTD_INJ);
	assert_int_equal(u.inject, info);
}

static void expect_nothing(void)
{
	vcpu_inject(v);
	assert_int_equal(v->mtd & MTD_INJ, 0);
}

static void test_interrupts(void **state)
{
	(void)state;
	start(&vmx);
	exit_with(0, 0);
	expect_nothing();
	send(0x41, APIC_FIXED);
	send(0x82, APIC_FIXED);
	exit_with(0, 0);
	expect(INTERRUPT(0x82)); /* the other is below it now */
	assert_true(lapic_msr_write(&v->lapic, 0x80b, 0));
	exit_with(0, 0);
	expect(INTERRUPT(0x41));
	exit_with(0, 0);
	expect_nothing();
	/* One that may follow at once wants a window. */
	send(0x55, APIC_FIXED);
	exit_with(INTERRUPT(0x41), 0);
	expect(INTERRUPT(0x41) | INJECT_INTERRUPT_WINDOW);
}

static void test_windows(void **state)
{
	static const uint32_t shadows[] = {SHADOW_STI, SHADOW_MOV_SS};

	(void)state;
	start(&vmx);
	send(0x41, APIC_FIXED);
	u.rflags = 2;
	exit_with(0, 0);
	expect(INJECT_INTERRUPT_WINDOW);
	assert_false(vcpu_is_woken(v));
	u.rflags |= RFLAGS_IF;
	assert_true(vcpu_is_woken(v));
	for (unsigned i = 0; i < 2; i++) {
		u.interruptibility = shadows[i];
		exit_with(0, 0);
		expect(INJECT_INTERRUPT_WINDOW);
	}
	u.interruptibility = 0;
	exit_with(0, 0);
	expect(INTERRUPT(0x41));
	/* A request that has become pointless is taken back, once. */
	assert_true(lapic_msr_write(&v->lapic, 0x80b, 0));
	send(0x42, APIC_FIXED);
	u.rflags = 2;
	exit_with(0, 0);
	expect(INJECT_INTERRUPT_WINDOW);
	assert_true(lapic_msr_write(&v->lapic, BIT_TPR, 0xf0));
	exit_with(0, 0);
	expect(0);
	exit_with(0, 0);
	expect_nothing();
}

static void test_redelivery(void **state)
{
	static const uint32_t again[] = {
		INTERRUPT(0x30),
		INJECT_VALID | INJECT_EXCEPTION | INJECT_ERROR_CODE | 14,
		INJECT_VALID | INJECT_EXCEPTION | 1,
		INJECT_VALID | INJECT_NMI | 2,
	};
	static const uint32_t dropped[] = {
		INJECT_VALID | INJECT_SOFT_INTERRUPT | 0x80,
		INJECT_VALID | INJECT_SOFT_EXCEPTION | 3,
		INJECT_VALID | INJECT_PRIVILEGED_EXCEPTION | 1,
		INJECT_VALID | INJECT_EXCEPTION | 3,
		INJECT_VALID | INJECT_EXCEPTION | 4,
		INJECT_EXCEPTION | 14, /* not valid */
	};

	(void)state;
	start(&vmx);
	for (unsigned i = 0; i < 4; i++) {
		exit_with(again[i], 0x1234);
		expect(again[i]);
		assert_int_equal(u.inject_error, 0x1234);
	}
	for (unsigned i = 0; i < 6; i++) {
		exit_with(dropped[i], 0);
		expect_nothing();
	}
	/* What is pending waits for it, and is not taken. */
	send(0x41, APIC_FIXED);
	exit_with(again[1], 6);
	expect(again[1] | INJECT_INTERRUPT_WINDOW);
	assert_int_equal(lapic_pending(&v->lapic), 0x41);
	/* It takes the place of one that runs again. */
	exit_with(dropped[0], 0);
	expect(INTERRUPT(0x41));
}

static void test_nmi(void **state)
{
	(void)state;
	start(&vmx);
	send(0, APIC_NMI);
	u.rflags = 2; /* IF does not matter */
	assert_true(vcpu_is_woken(v));
	exit_with(0, 0);
	expect(INJECT_VALID | INJECT_NMI | 2);
	exit_with(0, 0);
	expect_nothing();
	send(0, APIC_NMI);
	u.interruptibility = BLOCKED_BY_NMI;
	exit_with(0, 0);
	expect(INJECT_NMI_WINDOW);
	u.interruptibility = SHADOW_MOV_SS;
	exit_with(0, 0);
	expect(INJECT_NMI_WINDOW);
	/* One that was interrupted blocked itself: that must be undone. */
	u.interruptibility = BLOCKED_BY_NMI;
	exit_with(INJECT_VALID | INJECT_NMI | 2, 0);
	expect(INJECT_VALID | INJECT_NMI | 2 | INJECT_NMI_WINDOW);
	assert_int_equal(u.interruptibility, 0);
	assert_int_equal(v->mtd & MTD_STA, MTD_STA);
	start(&svm); /* has no such window */
	send(0, APIC_NMI);
	u.interruptibility = BLOCKED_BY_NMI;
	exit_with(0, 0);
	expect_nothing();
	u.interruptibility = 0; /* and does not block */
	exit_with(0, 0);
	expect(INJECT_VALID | INJECT_NMI | 2);
	assert_int_equal(v->mtd & MTD_CTRL, MTD_CTRL);
	assert_int_equal(u.ctrl[0], 1 | 1 << 20);
	assert_int_equal(u.ctrl[1], 2);
	send(0, APIC_NMI);
	exit_with(0, 0);
	expect_nothing();
	v->in_nmi = false; /* IRET */
	exit_with(0, 0);
	expect(INJECT_VALID | INJECT_NMI | 2);
}

static void test_exceptions(void **state)
{
	(void)state;
	start(&vmx);
	send(0x41, APIC_FIXED);
	exit_with(0, 0);
	vcpu_general_protection(v);
	expect(INJECT_VALID | INJECT_EXCEPTION | INJECT_ERROR_CODE | 13 | INJECT_INTERRUPT_WINDOW);
	assert_int_equal(lapic_pending(&v->lapic), 0x41);
	exit_with(0, 0);
	vcpu_exception(v, &(struct exception){VECTOR_UD, false, 0, 0});
	expect(INJECT_VALID | INJECT_EXCEPTION | 6 | INJECT_INTERRUPT_WINDOW);
	exit_with(0, 0);
	vcpu_exception(v, &(struct exception){VECTOR_PF, true, 5, 0xabcd});
	expect(INJECT_VALID | INJECT_EXCEPTION | INJECT_ERROR_CODE | 14 | INJECT_INTERRUPT_WINDOW);
	assert_int_equal(u.inject_error, 5);
	assert_int_equal(u.cr2, 0xabcd);
	assert_int_equal(v->mtd & MTD_CR, MTD_CR);
}

/* The PIC by LINT0: its vector comes from the acknowledge cycle. */
static void test_pic(void **state)
{
	struct bus *ports = &f.ports;

	(void)state;
	start(&svm);
	assert_int_equal(pic_attach(&vm.machine.pic, ports), BUS_OK);
	bus_write(ports, 0x20, 1, 0x11);
	bus_write(ports, 0x21, 1, 0x30);
	bus_write(ports, 0x21, 1, 0x04);
	bus_write(ports, 0x21, 1, 0x01);
	bus_write(ports, 0x21, 1, 0x00);
	assert_true(lapic_msr_write(&v->lapic, 0x835, 0x700)); /* ExtINT */
	pic_set(&vm.machine.pic, 4, true);
	u.rflags = 2;
	exit_with(0, 0);
	expect(INJECT_INTERRUPT_WINDOW);
	u.rflags |= RFLAGS_IF;
	assert_true(vcpu_is_woken(v));
	exit_with(0, 0);
	expect(INTERRUPT(0x34));
	exit_with(0, 0);
	expect_nothing();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interrupts), cmocka_unit_test(test_windows),
		cmocka_unit_test(test_redelivery), cmocka_unit_test(test_nmi),
		cmocka_unit_test(test_exceptions), cmocka_unit_test(test_pic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
