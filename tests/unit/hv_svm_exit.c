/*
 * #VMEXITs of SVM: which event the VMM is told, and what the kernel keeps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv_fake.h"

#include "fpu.h"
#include "log.h"
#include "page.h"
#include "x86/insn.h"
#include "x86/svm.h"

enum { NOBODY = ~0u, CODES = 0x500 };

static struct cpu cpu;
static struct pd pd;
static struct ec vcpu;
static struct svm svm;
static struct vmcb vmcb;
static uint32_t event; /* told to the VMM */
static unsigned let_in, machine_checks, debugs;

uint64_t pool_phys;
uint8_t *vcpu_io_bitmap, *vcpu_msr_bitmap;
struct ptab_format ptab_host;
const char svm_resume[1], svm_vmrun[1];

struct cpu *this_cpu(void)
{
	return &cpu;
}

void log(const char *format, ...)
{
	(void)format;
}

struct ec *ipc_event(struct ec *ec, uint32_t number)
{
	(void)ec;
	event = number;
	return NULL;
}

void vcpu_take_debug(struct ec *ec)
{
	(void)ec;
	debugs++;
}

struct ec *vcpu_let_in(struct ec *ec)
{
	let_in++;
	return ec;
}

struct ec *vcpu_machine_check(struct ec *ec)
{
	machine_checks++;
	return ec;
}

void vcpu_set_loaded(struct ec *ec)
{
	(void)ec;
}

unsigned vcpu_prepare(struct ec *ec)
{
	(void)ec;
	return 0;
}

bool vcpu_take_asid(struct vcpu *v, uint32_t limit)
{
	(void)v, (void)limit;
	return false;
}

void vcpu_leave(struct ec *ec)
{
	(void)ec;
}

void fpu_enable(struct cpu *c, bool yes)
{
	(void)c, (void)yes;
}

void svm_save(struct ec *ec, struct utcb *utcb, uint64_t mtd)
{
	(void)ec, (void)utcb, (void)mtd;
}

void svm_load(struct ec *ec, const struct utcb *utcb, uint64_t mtd)
{
	(void)ec, (void)utcb, (void)mtd;
}

void svm_add_tsc(struct ec *ec, uint64_t ticks)
{
	(void)ec, (void)ticks;
}

void svm_set_intercepts(struct svm *v)
{
	(void)v;
}

bool svm_illegal(const struct vmcb *b)
{
	(void)b;
	return false;
}

static int setup(void **state)
{
	(void)state;
	memset(&vmcb, 0, sizeof(vmcb));
	memset(&svm, 0, sizeof(svm));
	svm.vmcb = svm.vcpu.block = &vmcb;
	vcpu.vcpu = &svm.vcpu;
	vcpu.pd = &pd;
	pd.tables[PTAB_GUEST].root = (uint64_t *)&pd;
	event = NOBODY;
	let_in = machine_checks = debugs = 0;
	return 0;
}

static void told(uint64_t code, uint32_t number)
{
	vmcb.exit_code = code;
	event = NOBODY;
	assert_null(svm_exit(&vcpu));
	assert_int_equal(event, number);
}

static void kept(uint64_t code)
{
	vmcb.exit_code = code;
	event = NOBODY;
	assert_ptr_equal(svm_exit(&vcpu), &vcpu);
	assert_int_equal(event, NOBODY);
}

static bool is_kept(uint64_t code)
{
	return (code >= EXIT_DR_FIRST && code <= EXIT_DR_LAST) || code == EXIT_INTR ||
	       code == EXIT_NMI || code == EXIT_INIT || code == EXIT_EXCEPTION + VECTOR_DB ||
	       code == EXIT_EXCEPTION + VECTOR_AC || code == EXIT_EXCEPTION + VECTOR_MC ||
	       code == EXIT_CR4_WRITE || code == EXIT_CR0_CHANGE;
}

/* The exit code is the event, as far as there are numbers for them. */
static void numbers(void **state)
{
	(void)state;
	for (uint64_t code = 0; code < CODES; code++)
		if (is_kept(code))
			kept(code);
		else if (code != EXIT_NPF)
			told(code, code < EVENT_SVM_OTHER ? (uint32_t)code : EVENT_SVM_OTHER);
	assert_int_equal(let_in, 3);
	assert_int_equal(machine_checks, 1);
	assert_int_equal(debugs, EXIT_DR_LAST - EXIT_DR_FIRST + 1);
	told(-2ul, EVENT_SVM_OTHER);
}

/* A nested page fault's address is where its reply may map something. */
static void page_fault(void **state)
{
	(void)state;
	vmcb.exit_info[1] = 0x123456789000;
	told(EXIT_NPF, EVENT_SVM_NPF);
	assert_int_equal(vcpu.fault_address, 0x123456789000);
	assert_int_equal(vmcb.clean, CLEAN_ALL);
}

/* Refused: nothing of it is known to the processor, and what was to come still is. */
static void invalid(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		setup(NULL);
		vmcb.rip = 0x1000;
		vmcb.event = i & 1 ? INJECT_VALID | 0x20 : 0;
		vmcb.exit_int_info = i & 2 ? INJECT_VALID | 0x30 : 0;
		cpu.vcpu_loaded = &vcpu;
		told(i & 1 ? 0xfffffffful : ~0ul, EVENT_SVM_INVALID);
		assert_int_equal(vmcb.clean, 0);
		assert_null(cpu.vcpu_loaded);
		assert_int_equal(vmcb.rip, 0x1000);
		assert_int_equal(vmcb.event, i & 1   ? INJECT_VALID | 0x20
					     : i & 2 ? INJECT_VALID | 0x30
						     : 0);
	}
}

/* The kernel's own registers where the guest's should be: it begins anew. */
static void kernel_registers(void **state)
{
	(void)state;
	vmcb.rip = (uint64_t)svm_vmrun;
	vmcb.cr3 = vmcb.lstar = vmcb.gs.base = 0x5ec2e7;
	told(~0ul, EVENT_SVM_INVALID);
	assert_int_equal(vmcb.rip | vmcb.cr3 | vmcb.lstar | vmcb.gs.base, 0);
	assert_true(vmcb.vintr & VINTR_MASKING);
}

/* Exceptions that come without end go back in. */
static void exceptions(void **state)
{
	uint64_t exception = INJECT_VALID | INJECT_EXCEPTION;

	(void)state;
	kept(EXIT_EXCEPTION + VECTOR_DB);
	assert_int_equal(vmcb.event, exception | VECTOR_DB);
	kept(EXIT_EXCEPTION + VECTOR_AC);
	assert_int_equal(vmcb.event, exception | INJECT_ERROR_CODE | VECTOR_AC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(numbers, setup),
		cmocka_unit_test_setup(page_fault, setup),
		cmocka_unit_test_setup(invalid, setup),
		cmocka_unit_test_setup(kernel_registers, setup),
		cmocka_unit_test_setup(exceptions, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
