/*
 * State of a vCPU on SVM: what an MTD bit moves, what it marks as changed, and
 * which intercepts a VMM cannot take away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <abi/event.h>

#include "ec.h"
#include "fpu.h"
#include "hv_changing.h"
#include "hv_parts.h"
#include "x86/insn.h"
#include "x86/svm.h"
#include "x86/vcpu_state.h"

enum { ROUNDS = 200 };
#define MTD_SVM_WHOLE (MTD_WHOLE & ~(uint64_t)(MTD_PDPTE | MTD_TPR))

static struct cpu cpu;
static struct ec vcpu;
static struct svm svm;
static struct vmcb vmcb;
static struct utcb utcb;

bool svm_decode_assists;

struct cpu *this_cpu(void)
{
	return &cpu;
}

uint64_t fake_rdtsc(void)
{
	return 1234;
}

void vcpu_load_xsave(struct ec *ec, const struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_XSAVE) {
		ec->xcr0 = u->xcr0;
		ec->xss = u->xss;
	}
}

struct ec *svm_use_debug(struct ec *ec)
{
	ec->vcpu->debugs = 1;
	return ec;
}

void fpu_save(struct ec *ec, struct utcb *u)
{
	(void)ec, (void)u;
}

static int setup(void **state)
{
	(void)state;
	memset(&vmcb, 0, sizeof(vmcb));
	memset(&svm, 0, sizeof(svm));
	memset(&vcpu, 0, sizeof(vcpu));
	memset(&utcb, 0, sizeof(utcb));
	svm.vmcb = &vmcb;
	vcpu.vcpu = &svm.vcpu;
	vmcb.vintr = VINTR_MASKING;
	svm_set_intercepts(&svm);
	vmcb.clean = CLEAN_ALL;
	svm_decode_assists = false;
	return 0;
}

static void randomize(struct utcb *u)
{
	for (unsigned i = 0; i < UTCB_WORDS; i++)
		u->word[i] = (uint64_t)rand() << 33 ^ (uint64_t)rand();
	u->interruptibility &= SHADOW_STI;
	u->activity = 0;
	u->inject = 0;
	u->tsc_aux &= 0xffffffff;
	u->cr8 &= 15;
}

static void loaded_is_saved(uint64_t mtd)
{
	static const struct {
		uint64_t bit;
		size_t from, to;
	} parts[] = {
#define PART(bit, first, last) \
	{bit, offsetof(struct utcb, first), offsetof(struct utcb, last) + sizeof(utcb.last)}
		PART(MTD_GDTR, gdtr, gdtr), PART(MTD_IDTR, idtr, idtr), PART(MTD_CR, cr8, cr8),
		PART(MTD_XSAVE, xcr0, xss), PARTS(PART)
#undef PART
	};
	static struct utcb in, out;

	randomize(&in);
	vcpu.event = EVENT_VCPU_STARTUP;
	svm_load(&vcpu, &in, mtd);
	memset(&out, 0xa5, sizeof(out));
	vcpu.event = 0x72;
	svm_save(&vcpu, &out, mtd);
	assert_int_equal(out.mtd, mtd & ~(uint64_t)(MTD_PDPTE | MTD_TPR));
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		if (mtd & parts[i].bit) {
			assert_memory_equal((char *)&in + parts[i].from,
					    (char *)&out + parts[i].from,
					    parts[i].to - parts[i].from);
		}
	}
}

static void round_trip(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 27; bit++)
		loaded_is_saved(1ul << bit);
	for (unsigned i = 0; i < ROUNDS; i++) {
		loaded_is_saved((uint64_t)rand() & 0x7ffffff);
		loaded_is_saved(MTD_WHOLE);
	}
}

/* Each bit moves what it says, to and from the UTCB, and nothing else. */
static void bits_alone(void **state)
{
	static struct utcb u[4];

	for (unsigned bit = 0; bit < 27; bit++) {
		setup(state);
		randomize(&u[0]);
		vcpu.event = EVENT_VCPU_STARTUP;
		svm_load(&vcpu, &u[0], MTD_SVM_WHOLE);
		vcpu.event = 0x72;
		svm_save(&vcpu, &u[0], MTD_SVM_WHOLE);
		randomize(&u[1]);
		svm_load(&vcpu, &u[1], 1ul << bit);
		svm_save(&vcpu, &u[2], MTD_SVM_WHOLE);
		memset(&u[3], 0xa5, sizeof(u[3]));
		svm_save(&vcpu, &u[3], 1ul << bit);
		only_moved(1ul << bit, MTD_SVM_WHOLE, &u[0], &u[1], &u[2], &u[3]);
	}
}

/* Not asked for: nothing of the message changes but its head. */
static void nothing_asked_nothing_moved(void **state)
{
	static struct utcb before;

	(void)state;
	randomize(&utcb);
	before = utcb;
	svm_save(&vcpu, &utcb, 0);
	before.mtd = 0;
	before.exit_reason = 0;
	assert_memory_equal(&before, &utcb, sizeof(utcb));
}

static void changes_are_marked(void **state)
{
	static const struct {
		uint64_t mtd;
		uint32_t clean;
	} marks[] = {
		{MTD_CS_SS, CLEAN_SEGMENTS},  {MTD_DS_ES, CLEAN_SEGMENTS}, {MTD_GDTR, CLEAN_TABLES},
		{MTD_IDTR, CLEAN_TABLES},     {MTD_CR, CLEAN_CR},	   {MTD_CR, CLEAN_CR2},
		{MTD_CR, CLEAN_TPR},	      {MTD_EFER, CLEAN_CR},	   {MTD_DR, CLEAN_DR},
		{MTD_CTRL, CLEAN_INTERCEPTS}, {MTD_TSC, CLEAN_INTERCEPTS},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(marks); i++) {
		setup(NULL);
		utcb.tsc_offset = 1;
		svm_load(&vcpu, &utcb, marks[i].mtd);
		assert_int_equal(vmcb.clean & marks[i].clean, 0);
	}
	setup(NULL);
	svm_load(&vcpu, &utcb, MTD_RIP_LEN | MTD_GPR_ACDB | MTD_STA);
	assert_int_equal(vmcb.clean, CLEAN_ALL);
}

static void intercepts_stay(void **state)
{
	(void)state;
	svm_load(&vcpu, &utcb, MTD_CTRL);
	assert_true(vmcb.intercept[0] & INTERCEPT_INTR);
	assert_true(vmcb.intercept[0] & INTERCEPT_SHUTDOWN);
	assert_true(vmcb.intercept[0] & INTERCEPT_IO);
	assert_true(vmcb.intercept[1] & INTERCEPT_VMLOAD);
	assert_false(vmcb.intercept[1] & 1); /* VMRUN: the VMM's */
	utcb.ctrl[0] = 1 << 18;
	utcb.ctrl[1] = 3;
	svm_load(&vcpu, &utcb, MTD_CTRL);
	assert_true(vmcb.intercept[0] & 1 << 18);
	assert_int_equal(vmcb.intercept[1] & 3, 3);
}

static void window_is_a_virtual_interrupt(void **state)
{
	(void)state;
	vcpu.event = 0x78;
	utcb.inject = INJECT_INTERRUPT_WINDOW;
	svm_load(&vcpu, &utcb, MTD_INJ);
	assert_true(vmcb.vintr & VINTR_IRQ);
	assert_true(vmcb.vintr & VINTR_MASKING);
	assert_true(vmcb.intercept[0] & INTERCEPT_VINTR);
	assert_true(vmcb.intercept_cr & INTERCEPT_CR8_WRITE);
	utcb.ctrl[1] = 1;
	svm_load(&vcpu, &utcb, MTD_CTRL);
	assert_true(vmcb.intercept[0] & INTERCEPT_VINTR);
	utcb.inject = 0;
	svm_load(&vcpu, &utcb, MTD_INJ);
	assert_false(vmcb.vintr & VINTR_IRQ);
	assert_false(vmcb.intercept[0] & INTERCEPT_VINTR);
	assert_int_equal(vmcb.intercept_cr, 0);
}

static void events(void **state)
{
	uint32_t fault = INJECT_VALID | INJECT_ERROR_CODE | INJECT_EXCEPTION;

	(void)state;
	vcpu.event = EVENT_SVM_NPF;
	vmcb.exit_int_info = 2ul << 32 | fault | 14;
	vmcb.event = INJECT_VALID | 0x20;
	svm_save(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(utcb.inject, fault | 14);
	assert_int_equal(utcb.inject_error, 2);
	svm_load(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(vmcb.event, 2ul << 32 | fault | 14);

	vcpu.event = EVENT_VCPU_RECALL;
	vmcb.event = INJECT_VALID | 0x20;
	svm_save(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(utcb.inject, INJECT_VALID | 0x20);
	utcb.inject = 0;
	svm_load(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(vmcb.event, 0);

	utcb.inject = INJECT_VALID | INJECT_SOFT_EXCEPTION | 3;
	svm_load(&vcpu, &utcb, MTD_INJ);
	assert_int_equal((uint32_t)vmcb.event, INJECT_VALID | INJECT_EXCEPTION | 3);
}

/* The CPL is not SS's DPL here, but for the VMM it is. */
static void cpl_is_in_ss(void **state)
{
	(void)state;
	utcb.ss.rights = 0xf3;
	svm_load(&vcpu, &utcb, MTD_CS_SS);
	assert_int_equal(vmcb.cpl, 3);
	vmcb.cpl = 1;
	svm_save(&vcpu, &utcb, MTD_CS_SS);
	assert_int_equal(utcb.ss.rights, 0xb3);
	utcb.ss.rights = utcb.cs.rights = 0;
	vmcb.cs.rights = 0xa9b;
	svm_save(&vcpu, &utcb, MTD_RIGHTS);
	assert_int_equal(utcb.mtd, MTD_RIGHTS);
	assert_int_equal(utcb.ss.rights, 0xb3);
	assert_int_equal(utcb.cs.rights, 0xa9b);
	utcb.ss.rights = 0xd3;
	svm_load(&vcpu, &utcb, MTD_RIGHTS);
	assert_int_equal(vmcb.cpl, 1);
}

/* APM 2 15.5.1; VMRUN is not asked, and the VMM gets an event. */
static void illegal_is_seen(void **state)
{
	static const struct {
		uint64_t cr0, cr4, efer, dr7;
		uint16_t cs;
		bool illegal, without_assists;
	} all[] = {
		{0, 0, EFER_SVME, 0x400, 0, false, false},
		{CR0_NW, 0, EFER_SVME, 0, 0, true, true},
		{CR0_NW | CR0_CD, 0, EFER_SVME, 0, 0, false, false},
		{1ul << 32, 0, EFER_SVME, 0, 0, true, true},
		{0, 1ul << 32, EFER_SVME, 0, 0, true, true},
		{0, 0, EFER_SVME | 1ul << 32, 0, 0, true, true},
		{0, 0, EFER_SVME, 1ul << 32, 0, true, true},
		{CR0_PE, 0, EFER_SVME | EFER_LME, 0, 0, false, true},
		{CR0_PE | CR0_PG, 0, EFER_LME, 0, 0, true, true},
		{CR0_PE | CR0_PG, CR4_PAE, EFER_LME, 0, SEGMENT_L, false, false},
		{CR0_PE | CR0_PG, CR4_PAE, EFER_LME, 0, SEGMENT_L | SEGMENT_DB, true, true},
		{CR0_PG, CR4_PAE, EFER_LME, 0, 0, true, true},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		utcb.cr0 = all[i].cr0, utcb.cr4 = all[i].cr4;
		utcb.efer = all[i].efer, utcb.dr7 = all[i].dr7;
		utcb.cs.rights = all[i].cs;
		svm_decode_assists = true;
		cpu.vcpu_loaded = &vcpu;
		svm_load(&vcpu, &utcb, MTD_CR | MTD_EFER | MTD_DR | MTD_CS_SS);
		assert_int_equal(svm_illegal(&vmcb), all[i].illegal);
		assert_int_equal(!cpu.vcpu_loaded, all[i].illegal);
		svm_decode_assists = false;
		assert_int_equal(svm_illegal(&vmcb), all[i].without_assists);
	}
}

/* DR0 to DR3 must be its own before breakpoints are on. */
static void breakpoints_take_registers(void **state)
{
	(void)state;
	utcb.dr7 = DR7_FIXED;
	svm_load(&vcpu, &utcb, MTD_DR);
	assert_false(svm.vcpu.debugs);
	utcb.dr7 = DR7_FIXED | 1;
	svm_load(&vcpu, &utcb, MTD_DR);
	assert_true(svm.vcpu.debugs);
}

static void load_debug(void)
{
	svm_load(&vcpu, &utcb, MTD_DR);
}

static void change(void)
{
	utcb.dr7 ^= (unsigned)rand() & 1;
}

/* Whatever else it says a moment later. */
static void breakpoints_change(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		utcb.dr7 = vmcb.dr7 = DR7_FIXED;
		svm.vcpu.debugs = 0;
		run_changing(load_debug, change);
		assert_true(!(vmcb.dr7 & 1) || svm.vcpu.debugs);
	}
}

static void length_where_known(void **state)
{
	(void)state;
	vmcb.rip = 0x1000;
	svm_save(&vcpu, &utcb, MTD_RIP_LEN);
	assert_int_equal(utcb.length, 0);
	vmcb.nrip = 0x1003;
	svm_save(&vcpu, &utcb, MTD_RIP_LEN);
	assert_int_equal(utcb.length, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(round_trip, setup),
		cmocka_unit_test_setup(bits_alone, setup),
		cmocka_unit_test_setup(nothing_asked_nothing_moved, setup),
		cmocka_unit_test_setup(changes_are_marked, setup),
		cmocka_unit_test_setup(intercepts_stay, setup),
		cmocka_unit_test_setup(window_is_a_virtual_interrupt, setup),
		cmocka_unit_test_setup(events, setup),
		cmocka_unit_test_setup(cpl_is_in_ss, setup),
		cmocka_unit_test_setup(illegal_is_seen, setup),
		cmocka_unit_test_setup(breakpoints_take_registers, setup),
		cmocka_unit_test_setup(breakpoints_change, setup),
		cmocka_unit_test_setup(length_where_known, setup),
	};

	srand(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
