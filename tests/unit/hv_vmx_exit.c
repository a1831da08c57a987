/*
 * VM exits of VMX that the kernel keeps: what goes back into the guest, what it
 * leaves in the VMCS and in DR6, and what is the VMM's.
 */
#include "hv_vmcs.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include "ec.h"
#include "x86/irq.h"
#include "x86/vmx.h"

#define FIELDS 0x3800u

enum { NOBODY = ~0u, OTHERS = 64 };

static uint64_t vmcs[FIELDS], dr6;
static struct cpu cpu;
static struct ec vcpu;
static struct vmx vmx;
static uint32_t event, interrupt; /* told to the VMM; to the kernel */
static unsigned nmis, machine_checks, let_in, unloaded;

struct vmx_caps vmx_caps;

struct cpu *this_cpu(void)
{
	return &cpu;
}

uint64_t fake_vmread(unsigned field)
{
	assert_in_range(field, 0, FIELDS - 1);
	return vmcs[field];
}

void fake_vmwrite(unsigned field, uint64_t value)
{
	assert_in_range(field, 0, FIELDS - 1);
	vmcs[field] = value;
}

struct ec *ipc_event(struct ec *ec, uint32_t number)
{
	(void)ec;
	event = number;
	return NULL;
}

void vcpu_take_debug(struct ec *ec)
{
	ec->vcpu->debugs = 1;
}

struct ec *vcpu_nmi(struct ec *ec)
{
	nmis++;
	return ec;
}

struct ec *vcpu_machine_check(struct ec *ec)
{
	machine_checks++;
	return ec;
}

struct ec *vcpu_let_in(struct ec *ec)
{
	let_in++;
	return ec;
}

void irq_handle(unsigned vector)
{
	interrupt = vector;
}

struct ec *preempt(struct ec *ec)
{
	return ec;
}

void vmx_unload(struct ec *ec)
{
	(void)ec;
	unloaded++;
}

/* MOV from and to DR6, which a program must not. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	static const int reg[8] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX,
				   REG_RSP, REG_RBP, REG_RSI, REG_RDI};
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	const uint8_t *rip = (const uint8_t *)r[REG_RIP];
	bool high = *rip == 0x41;
	greg_t *operand;

	(void)signal, (void)info;
	rip += high;
	if (rip[0] != 0x0f || (rip[1] & 0xfd) != 0x21 || (rip[2] & 0xf8) != 0xf0)
		abort();
	operand = &r[high ? REG_R8 + (rip[2] & 7) : reg[rip[2] & 7]];
	if (rip[1] == 0x21)
		*operand = (greg_t)dr6;
	else
		dr6 = (uint64_t)*operand;
	r[REG_RIP] = (greg_t)(rip + 3);
}

static int setup(void **state)
{
	(void)state;
	memset(vmcs, 0, sizeof(vmcs));
	memset(&vmx, 0, sizeof(vmx));
	memset(&vcpu, 0, sizeof(vcpu));
	vcpu.vcpu = &vmx.vcpu;
	vmx.primary = PRIMARY_MOV_DR_EXITING;
	vmcs[VMCS_GUEST_CR0] = CR0_PE;
	vmx_caps.cr0_host = CR0_NW | CR0_CD | CR0_NE;
	vmx_caps.cr4_host = CR4_VMXE | CR4_MCE;
	dr6 = 0xffff0ff0;
	event = interrupt = NOBODY;
	nmis = machine_checks = let_in = unloaded = 0;
	return 0;
}

/* The guest goes on, and the VMM hears nothing. */
static void kept(uint32_t reason)
{
	const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	struct sigaction before;

	sigaction(SIGSEGV, &action, &before);
	vmcs[VMCS_EXIT_REASON] = reason;
	assert_ptr_equal(vmx_exit(&vcpu), &vcpu);
	assert_int_equal(event, NOBODY);
	sigaction(SIGSEGV, &before, NULL);
}

static void told(uint32_t reason, uint32_t number)
{
	vmcs[VMCS_EXIT_REASON] = reason;
	event = NOBODY;
	assert_null(vmx_exit(&vcpu));
	assert_int_equal(event, number);
	assert_int_equal(vmcs[VMCS_ENTRY_INTERRUPTION], 0);
}

static void exception(uint32_t info)
{
	vmcs[VMCS_EXIT_INTERRUPTION] = info | INJECT_VALID;
	kept(REASON_EXCEPTION_NMI);
}

static void alignment_check(void **state)
{
	(void)state;
	vmcs[VMCS_EXIT_ERROR_CODE] = 1;
	exception(VECTOR_AC | INJECT_EXCEPTION | INJECT_ERROR_CODE);
	assert_int_equal(vmcs[VMCS_ENTRY_INTERRUPTION],
			 INJECT_VALID | INJECT_ERROR_CODE | INJECT_EXCEPTION | VECTOR_AC);
	assert_int_equal(vmcs[VMCS_ENTRY_ERROR_CODE], 1);
	assert_int_equal(vmcs[VMCS_GUEST_INTERRUPTIBILITY], 0);

	/* In real mode there is no error code; and IRET, which faulted, will unblock NMIs again. */
	vmcs[VMCS_GUEST_CR0] = 0;
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = SHADOW_STI;
	exception(VECTOR_AC | INJECT_EXCEPTION | NMI_UNBLOCKED);
	assert_int_equal(vmcs[VMCS_ENTRY_INTERRUPTION],
			 INJECT_VALID | INJECT_EXCEPTION | VECTOR_AC);
	assert_int_equal(vmcs[VMCS_GUEST_INTERRUPTIBILITY], SHADOW_STI | BLOCKED_BY_NMI);

	/* While an event was delivered there was no IRET, and the bit says nothing. */
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = 0;
	vmcs[VMCS_IDT_VECTORING] = INJECT_VALID | INJECT_SOFT_INTERRUPT | VECTOR_AC;
	exception(VECTOR_AC | INJECT_EXCEPTION | NMI_UNBLOCKED);
	assert_int_equal(vmcs[VMCS_GUEST_INTERRUPTIBILITY], 0);
}

static void debug(uint64_t qualification, uint32_t type)
{
	vmcs[VMCS_EXIT_QUALIFICATION] = qualification;
	exception(VECTOR_DB | type);
	assert_int_equal(vmcs[VMCS_ENTRY_INTERRUPTION], INJECT_VALID | type | VECTOR_DB);
	assert_true(vmx.vcpu.debugs);
	assert_int_equal(vmcs[VMCS_PRIMARY_CONTROLS], 0);
}

static void debug_exception(void **state)
{
	(void)state;
	vmcs[VMCS_GUEST_DR7] = 0x400 | DR7_GD;
	vmcs[VMCS_EXIT_INSTRUCTION_LENGTH] = 7;
	dr6 |= 3; /* breakpoints of before */
	debug(DR6_BS | 4 | 1ul << 40, INJECT_EXCEPTION);
	assert_int_equal(dr6, 0xffff0ff0 | DR6_BS | 4);
	assert_int_equal(vmcs[VMCS_GUEST_DR7], 0x400 | DR7_GD);
	assert_int_equal(vmcs[VMCS_ENTRY_INSTRUCTION_LENGTH], 0);
	/* A single step that was stays in DR6 until the guest clears it. */
	debug(DR6_BD, INJECT_EXCEPTION);
	assert_int_equal(dr6, 0xffff0ff0 | DR6_BS | DR6_BD);
	assert_int_equal(vmcs[VMCS_GUEST_DR7], 0x400);
	debug(0, INJECT_PRIVILEGED_EXCEPTION);
	assert_int_equal(vmcs[VMCS_ENTRY_INSTRUCTION_LENGTH], 7);
}

/* Entry refuses TF in a shadow without a step that is due. */
static void step_in_shadow(void **state)
{
	static const uint32_t shadows[] = {0, SHADOW_STI, SHADOW_MOV_SS};

	(void)state;
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(shadows); i++) {
		bool due = i % 2 && shadows[i / 2];

		vmcs[VMCS_GUEST_PENDING_DEBUG] = 8;
		vmcs[VMCS_GUEST_RFLAGS] = 2 | (i % 2 ? RFLAGS_TF : 0);
		vmcs[VMCS_GUEST_INTERRUPTIBILITY] = shadows[i / 2];
		debug(1, INJECT_EXCEPTION);
		assert_int_equal(vmcs[VMCS_GUEST_PENDING_DEBUG], 8 | (due ? DR6_BS : 0));
	}
}

static void other_exceptions(void **state)
{
	(void)state;
	exception(VECTOR_NMI | INJECT_NMI);
	assert_int_equal(nmis, 1);
	exception(VECTOR_MC | INJECT_EXCEPTION);
	assert_int_equal(machine_checks, 1);
	vmcs[VMCS_EXIT_INTERRUPTION] = INJECT_VALID | INJECT_EXCEPTION | VECTOR_PF;
	told(REASON_EXCEPTION_NMI, REASON_EXCEPTION_NMI);
}

/* MOV to CR0 or CR4 from each register: the host's bits go to the shadow. */
static void control_registers(void **state)
{
	uint64_t *const reg[16] = {
		&vcpu.regs.rax,	       &vcpu.regs.rcx, &vcpu.regs.rdx, &vcpu.regs.rbx,
		&vmcs[VMCS_GUEST_RSP], &vcpu.regs.rbp, &vcpu.regs.rsi, &vcpu.regs.rdi,
		&vcpu.regs.r8,	       &vcpu.regs.r9,  &vcpu.regs.r10, &vcpu.regs.r11,
		&vcpu.regs.r12,	       &vcpu.regs.r13, &vcpu.regs.r14, &vcpu.regs.r15,
	};

	(void)state;
	for (unsigned n = 0; n < 16; n++) {
		setup(NULL);
		*reg[n] = CR0_PE | CR0_CD | CR0_NE | CR0_WP;
		vmcs[VMCS_EXIT_QUALIFICATION] = CR_MOV_TO | n << CR_REGISTER_SHIFT | 0;
		kept(REASON_CR_ACCESS);
		assert_int_equal(vmcs[VMCS_CR0_SHADOW], CR0_CD | CR0_NE);
		assert_int_equal(vmx.cr0_shadow, CR0_CD | CR0_NE);
		*reg[n] = CR4_MCE | CR4_PAE;
		vmcs[VMCS_EXIT_QUALIFICATION] = CR_MOV_TO | n << CR_REGISTER_SHIFT | 4;
		kept(REASON_CR_ACCESS);
		assert_int_equal(vmcs[VMCS_CR4_SHADOW], CR4_MCE);
		assert_int_equal(vmx.cr4_shadow, CR4_MCE);
		assert_int_equal(vmcs[VMCS_ENTRY_INTERRUPTION], 0);
	}
}

static void general_protection(void)
{
	kept(REASON_CR_ACCESS);
	assert_int_equal(vmcs[VMCS_ENTRY_INTERRUPTION],
			 INJECT_VALID | INJECT_ERROR_CODE | INJECT_EXCEPTION | VECTOR_GP);
	assert_int_equal(vmcs[VMCS_ENTRY_ERROR_CODE], 0);
	assert_int_equal(vmcs[VMCS_CR0_SHADOW] | vmcs[VMCS_CR4_SHADOW], 0);
}

/* What a processor refuses, and what is no MOV to these. */
static void control_registers_refused(void **state)
{
	static const unsigned vmm[] = {3, 8, 1 << 4 | 0, 1 << 4 | 3, 2 << 4 | 0, 3 << 4 | 0};

	(void)state;
	vcpu.regs.rax = CR0_PE | CR0_NW;
	vmcs[VMCS_EXIT_QUALIFICATION] = CR_MOV_TO | 0;
	general_protection();
	vcpu.regs.rax = CR4_PAE | CR4_VMXE;
	vmcs[VMCS_EXIT_QUALIFICATION] = CR_MOV_TO | 4;
	general_protection();
	for (unsigned i = 0; i < ARRAY_SIZE(vmm); i++) {
		setup(NULL);
		vmcs[VMCS_EXIT_QUALIFICATION] = vmm[i];
		told(REASON_CR_ACCESS, REASON_CR_ACCESS);
	}
}

static void debug_registers(void **state)
{
	(void)state;
	kept(REASON_MOV_DR);
	assert_true(vmx.vcpu.debugs);
	assert_int_equal(vmx.primary, 0);
	/* The VMM wants to hear of it. */
	setup(NULL);
	vmx.asked = PRIMARY_MOV_DR_EXITING;
	told(REASON_MOV_DR, REASON_MOV_DR);
	assert_false(vmx.vcpu.debugs);
	assert_int_equal(vmx.primary, PRIMARY_MOV_DR_EXITING);
	vmcs[VMCS_PRIMARY_CONTROLS] = vmx.primary;
	vmcs[VMCS_EXIT_INTERRUPTION] = INJECT_VALID | INJECT_EXCEPTION | VECTOR_DB;
	event = NOBODY;
	kept(REASON_EXCEPTION_NMI);
	assert_int_equal(vmx.primary, PRIMARY_MOV_DR_EXITING);
}

static void violation(void **state)
{
	(void)state;
	vmcs[VMCS_GUEST_PHYSICAL_ADDRESS] = 0x12345678;
	for (unsigned i = 0; i < 4; i++) {
		vmcs[VMCS_GUEST_INTERRUPTIBILITY] = 0;
		vmcs[VMCS_EXIT_QUALIFICATION] = i & 1 ? NMI_UNBLOCKED : 0;
		vmcs[VMCS_IDT_VECTORING] = i & 2 ? INJECT_VALID | INJECT_NMI | VECTOR_NMI : 0;
		told(REASON_EPT_VIOLATION, REASON_EPT_VIOLATION);
		assert_int_equal(vcpu.fault_address, 0x12345678);
		assert_int_equal(vmcs[VMCS_GUEST_INTERRUPTIBILITY], i == 1 ? BLOCKED_BY_NMI : 0);
	}
}

static void interrupts(void **state)
{
	(void)state;
	vmcs[VMCS_EXIT_INTERRUPTION] = INJECT_VALID | 0xec;
	kept(REASON_EXTERNAL_INTERRUPT);
	assert_int_equal(interrupt, 0xec);
	kept(REASON_PREEMPTION_TIMER);
	assert_int_equal(let_in, 1);
}

static void all_others(void **state)
{
	static const uint32_t mine[] = {REASON_EXCEPTION_NMI, REASON_EXTERNAL_INTERRUPT,
					REASON_CR_ACCESS,     REASON_MOV_DR,
					REASON_EPT_VIOLATION, REASON_PREEMPTION_TIMER};

	(void)state;
	for (uint32_t reason = 0; reason < OTHERS + 16; reason++) {
		bool is_mine = false;

		for (unsigned i = 0; i < ARRAY_SIZE(mine); i++)
			is_mine |= reason == mine[i];
		vmx.seen_mtd = ~0u;
		if (!is_mine)
			told(reason, reason);
	}
	assert_int_equal(vmx.seen_mtd, 0);
	/* An entry that failed: the next one launches. */
	assert_int_equal(unloaded, 0);
	told(REASON_ENTRY_FAILED | REASON_INVALID_STATE, REASON_INVALID_STATE);
	assert_int_equal(unloaded, 1);
	event = NOBODY;
	kept(REASON_ENTRY_FAILED | REASON_MACHINE_CHECK);
	assert_int_equal(machine_checks, 1);
	assert_int_equal(unloaded, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(alignment_check, setup),
		cmocka_unit_test_setup(debug_exception, setup),
		cmocka_unit_test_setup(step_in_shadow, setup),
		cmocka_unit_test_setup(other_exceptions, setup),
		cmocka_unit_test_setup(control_registers, setup),
		cmocka_unit_test_setup(control_registers_refused, setup),
		cmocka_unit_test_setup(debug_registers, setup),
		cmocka_unit_test_setup(violation, setup),
		cmocka_unit_test_setup(interrupts, setup),
		cmocka_unit_test_setup(all_others, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
