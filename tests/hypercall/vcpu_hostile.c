/*
 * vCPUs: state that no processor enters with, or that nobody would think of.
 */
#include "random.h"
#include "vm.h"

#include <abi/call.h>

extern char guest_modes[], guest_modes_end[];

enum { EXIT_CR4_WRITE = 0x14 };
enum { CR0_PG_PE = 1u << 31 | 1, CR4_PAE = 1 << 5, EFER_LONG = 5 << 8 };

/* State that no processor enters with is an event of its own. */
static void bad_cr0(struct utcb *u, unsigned event)
{
	(void)event;
	u->cr0 = 1ul << 31 | CR0_NE | CR0_ET; /* PG without PE */
}

static void bad_segment(struct utcb *u, unsigned event)
{
	(void)event;
	u->cs.rights = 0;
}

static void bad_intercept(struct utcb *u, unsigned event)
{
	(void)event;
	u->ctrl[1] = 0; /* VMRUN is not intercepted */
}

static void bad_efer(struct utcb *u, unsigned event)
{
	(void)event;
	u->efer = 0; /* without SVME */
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
	exit_function *const bad[2][2] = {{bad_cr0, bad_segment}, {bad_intercept, bad_efer}};

	for (unsigned i = 0; i < 2; i++) {
		make_vm(boot_cpu, MTD_RIP_LEN);
		run(guest_hlt, is_invalid, bad[is_svm()][i]);
		EQUAL(vm.event[0], number(INVALID));
		EQUAL(vm.count, 2);
		EQUAL(vm.event[1], number(HLT));
	}
}

static void bad_cr4(struct utcb *u, unsigned event)
{
	(void)event;
	u->cr4 = 1ul << 30;
}

/*
 * What is refused is as it was, or gone: nothing of the kernel's, which some
 * processors have in their registers then. Put right, it goes on.
 */
static void shows_nothing(struct utcb *u, unsigned event)
{
	if (vm.count > 0)
		return;
	EQUAL(event, number(INVALID));
	/* QEMU may put VMRUN's offset into the guest's page. */
	CHECK(!u->rip || u->rip >> 12 == guest_ip(vm.entry) >> 12);
	CHECK(!u->rsp || u->rsp == GUEST_STACK);
	EQUAL(u->cr3, 0);
	EQUAL(u->rax, 0);
	EQUAL(u->rdi, 0);
	EQUAL(u->gdtr.base, 0);
	EQUAL(u->idtr.base, 0);
	EQUAL(u->tr.base, 0);
	EQUAL(u->gs.base, 0);
	EQUAL(u->lstar, 0);
	EQUAL(u->efer & ~(uint64_t)EFER_SVME, 0);
	set_reset_state(u);
	u->efer = is_svm() ? EFER_SVME : 0;
	u->mtd |= MTD_EFER;
	interruptible(u, event);
	vm.sleep = false;
}

/* And what the kernel has set up is as it was: interrupts end the guest. */
static void refused_state(void)
{
	exit_function *const bad[2][3] = {{bad_cr0, bad_segment, bad_cr4},
					  {bad_intercept, bad_efer, bad_cr4}};

	for (unsigned i = 0; i < 3; i++) {
		make_vm(boot_cpu, MTD_ALL);
		*data(0) = 0;
		vm.entry = guest_spin;
		vm.exit = shows_nothing;
		vm.reset = bad[is_svm()][i];
		vm.sc = sel();
		SETUP(create_sc(vm.sc, SEL_ROOT_PD, vm.ec, QPD(1, 1000)));
		WAIT(*data(0) > 100);
		EQUAL(vm.count, 1);
		SETUP(ec_recall(vm.ec));
		WAIT(vm.count == 2);
		EQUAL(vm.event[1], EVENT_VCPU_RECALL);
	}
}

/*
 * A guest leaves long mode and turns PAE off, but not LME, from which one
 * emulator does not come back into its host: emulators ask the VMM. Whatever
 * else happens to CR0 and CR4 is the guest's own business.
 */
static void long_mode(struct utcb *u, unsigned event)
{
	enum { CS_32 = 0xc9b };

	(void)event;
	u->cs.rights = CS_32;
	u->cs.limit = ~0u;
	u->cr0 |= CR0_PG_PE;
	u->cr3 = GUEST_DATA;
	u->cr4 |= CR4_PAE;
	u->efer = EFER_LONG | (is_svm() ? EFER_SVME : 0);
	u->mtd |= MTD_EFER;
}

static void leaves_long_mode(struct utcb *u, unsigned event)
{
	if (event == number(HLT))
		return;
	EQUAL(event, EXIT_CR4_WRITE);
	EQUAL(u->rip, guest_ip(guest_modes_end));
	EQUAL(u->cr0 >> 31, 0);
	u->efer = EFER_SVME;
	u->mtd = MTD_EFER;
	vm.sleep = false;
}

static void modes(void)
{
	enum { PRESENT_WRITE = 3 };

	make_vm(boot_cpu, MTD_ALL);
	/* A table of each level: what is at 0 is itself, behind it the code. */
	*data(0) = GUEST_DATA | PRESENT_WRITE;
	*data(4) = 0;
	*data(8) = GUEST_CODE | PRESENT_WRITE;
	*data(12) = 0;
	run(guest_modes, leaves_long_mode, long_mode);
	EQUAL(vm.last, number(HLT));
	CHECK(vm.count == 1 || (is_svm() && vm.event[0] == EXIT_CR4_WRITE));
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

static uint64_t random_state;

static uint64_t random(void)
{
	return next_random(&random_state);
}

/* Entries of a VM, each VM with a seed of its own. */
enum { VMS = 60, ENTRIES = 50 };

#define SEED 0x9e3779b97f4a7c15ul

static unsigned long entries, refused;

/* Some words of the state are overwritten, and all of it, or some, is taken. */
static void random_reset(struct utcb *u, unsigned event)
{
	uint64_t *words = &u->length;
	unsigned n = (unsigned)((uint64_t *)&u->exit_reason - words);

	(void)event;
	for (unsigned i = 0; i < 1 + random() % 8; i++) {
		uint64_t r = random();

		words[r % n] = r >> 60 < 8    ? random()
			       : r >> 60 < 12 ? 1ul << (random() & 63)
					      : words[r % n] ^ 1ul << (random() & 63);
	}
	/* Bits of modes, which chance seldom finds; Bochs' VMX ends at some. */
	if (is_svm() && random() % 4 == 0) {
		u->cr0 ^= random() & CR0_PG_PE;
		u->cr4 ^= random() & CR4_PAE;
		u->efer ^= random() & EFER_LONG;
	}
	u->mtd = random() & 3 ? 0x7ffffff : random() & 0x7ffffff;
	interruptible(u, event);
	if (is_svm()) {
		/* Without it nothing is entered. */
		u->ctrl[1] |= INTERCEPT_VMRUN;
		u->efer |= EFER_SVME;
	}
	entries++;
}

static void hostile_exit(struct utcb *u, unsigned event)
{
	refused += event == number(INVALID);
	if (vm.count < ENTRIES) {
		set_reset_state(u);
		random_reset(u, event);
		vm.sleep = false;
	}
}

/*
 * Whatever state a VMM gives its guest: an event, or it runs, until it is
 * recalled; a number of times, so that the test ends.
 */
static void hostile_state(void)
{
	stops_bochs();
	entries = refused = 0;
	for (unsigned i = 0; i < VMS; i++) {
		unsigned cpu = i % cpus;

		random_state = SEED + i;
		make_vm(cpu, MTD_ALL);
		vm.entry = guest_compute;
		vm.exit = hostile_exit;
		vm.reset = random_reset;
		vm.sc = sel();
		SETUP(create_sc(vm.sc, SEL_ROOT_PD, vm.ec, QPD(1, 1000)));
		for (unsigned n = 0; n < 6 && vm.count < ENTRIES; n++) {
			take_turn(cpu);
			SETUP(ec_recall(vm.ec));
		}
		take_turn(cpu);
		clean();
	}
	say("# seed %lx: %lu entries, %lu refused\n", SEED, entries, refused);
	CHECK(entries > 1000);
	CHECK(refused > 100);
}

/*
 * An entry fails: the host's state is what it was. Threads go on with their
 * registers, their FPU state and their address space, and so does a guest.
 */
static void host_is_restored(void)
{
	static struct registers before, after;
	unsigned long sm = make_sm(0);

	before.rbx = 0x1111, before.rbp = 0x2222, before.r12 = 0x3333;
	before.r13 = 0x4444, before.r14 = 0x5555, before.r15 = 0x6666;
	before.rdi = sm << 8 | CALL_SM_CTRL;
	fpu_fill(0x4242424242424242);
	for (unsigned i = 0; i < 50; i++) {
		make_vm(boot_cpu, MTD_RIP_LEN);
		run(guest_hlt, is_invalid, is_svm() ? bad_efer : bad_cr0);
		EQUAL(vm.event[0], number(INVALID));
		EQUAL(vm.event[1], number(HLT));
		EQUAL(fpu_compare(0x4242424242424242), 0);
		fpu_fill(0x4242424242424242);
		after = before;
		syscall_registers(&after);
		EQUAL(after.rbx, before.rbx);
		EQUAL(after.r15, before.r15);
		EQUAL(probe_segments(0), 0);
		EQUAL(probe_ud(), FAULT(VECTOR_UD));
		clean();
		sm = make_sm(0);
		before.rdi = sm << 8 | CALL_SM_CTRL;
	}
}

/* VMX loads MSRs last, and says which reason: SDM 3C 27.8. */
static void bad_msr(struct utcb *u, unsigned event)
{
	(void)event;
	u->kernel_gs_base = 1ul << 62;
	u->efer = 1;
	u->mtd |= MTD_EFER;
}

static void msr_loading(void)
{
	enum { REASON_MSR_LOADING = 34 };

	if (is_svm())
		test_skip("VMLOAD makes addresses canonical");
	make_vm(boot_cpu, MTD_RIP_LEN);
	run(guest_hlt, nothing, bad_msr);
	EQUAL(vm.event[0], REASON_MSR_LOADING);
	EQUAL(vm.count, 1);
}

const struct test vcpu_hostile_tests[] = {
	{"vcpu.invalid_state", invalid_state, 0},
	{"vcpu.refused_state", refused_state, 0},
	{"vcpu.modes", modes, 0},
	{"vcpu.activity", activity, 0},
	{"vcpu.host_is_restored", host_is_restored, 0},
	{"vcpu.msr_loading", msr_loading, 0},
	{"vcpu.hostile_state", hostile_state, 0},
	{0},
};
