/*
 * State of a vCPU on VMX: what an MTD bit moves, and which fields of the VMCS it
 * touches. Under KVM a field is free or dear: the list of the free ones is that
 * of its arch/x86/kvm/vmx/vmcs_shadow_fields.h.
 */
#include "hv_vmcs.h"

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
#include "x86/vmx.h"

enum { RANDOM_ROUNDS = 200 };
/* Segments as VMX numbers them. */
enum { CS = 1, SS = 2, DS = 3, GDTR = 8 };
#define FIELDS 0x3800u

static uint64_t vmcs[FIELDS];
static unsigned reads, writes, dear;
static uint16_t touched[1024];
static unsigned touches;

static struct cpu cpu;
static struct ec vcpu;
static struct vmx vmx;
static uint8_t pages[2 * PAGE_SIZE];
static struct utcb utcb;
static unsigned fpu_moves;

struct vmx_caps vmx_caps;
uint64_t fpu_xcr0 = 7;

struct cpu *this_cpu(void)
{
	return &cpu;
}

uint64_t fake_rdtsc(void)
{
	return 1234;
}

void vmx_make_current(struct ec *ec)
{
	cpu.vcpu_loaded = ec;
}

void vcpu_load_xsave(struct ec *ec, const struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_XSAVE) {
		ec->xcr0 = u->xcr0;
		ec->xss = u->xss;
	}
	if (mtd & MTD_FPU)
		fpu_load(ec, u);
}

void vmx_use_debug(struct ec *ec)
{
	ec->vcpu->debugs = 1;
}

void fpu_save(struct ec *ec, struct utcb *u)
{
	(void)ec, (void)u;
	fpu_moves++;
}

void fpu_load(struct ec *ec, const struct utcb *u)
{
	(void)ec, (void)u;
	fpu_moves++;
}

static bool is_shadowed(unsigned field)
{
	static const uint16_t shadowed[] = {
		VMCS_EXIT_REASON,
		VMCS_EXIT_INTERRUPTION,
		VMCS_EXIT_ERROR_CODE,
		VMCS_EXIT_INSTRUCTION_LENGTH,
		VMCS_IDT_VECTORING,
		VMCS_IDT_VECTORING_ERROR,
		VMCS_EXIT_QUALIFICATION,
		VMCS_GUEST_PHYSICAL_ADDRESS,
		VMCS_PRIMARY_CONTROLS,
		VMCS_EXCEPTION_BITMAP,
		VMCS_ENTRY_ERROR_CODE,
		VMCS_ENTRY_INTERRUPTION,
		VMCS_ENTRY_INSTRUCTION_LENGTH,
		VMCS_TPR_THRESHOLD,
		VMCS_GUEST_INTERRUPTIBILITY,
		VMCS_GUEST_RIP,
		VMCS_GUEST_RSP,
		VMCS_GUEST_RFLAGS,
		VMCS_GUEST_CR0,
		VMCS_GUEST_CR3,
		VMCS_GUEST_CR4,
		VMCS_CR0_SHADOW,
		VMCS_CR4_SHADOW,
		VMCS_GUEST_RIGHTS + CS,
		VMCS_GUEST_RIGHTS + SS,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(shadowed); i++)
		if (shadowed[i] == field)
			return true;
	return false;
}

static void touch(unsigned field)
{
	assert_in_range(field, 0, FIELDS - 1);
	assert_true(touches < ARRAY_SIZE(touched));
	touched[touches++] = (uint16_t)field;
	dear += !is_shadowed(field);
}

uint64_t fake_vmread(unsigned field)
{
	touch(field);
	reads++;
	return vmcs[field];
}

void fake_vmwrite(unsigned field, uint64_t value)
{
	touch(field);
	writes++;
	vmcs[field] = value;
}

static void forget(void)
{
	reads = writes = dear = touches = 0;
}

/* What vmx_exit() does first. */
static void exit_for(uint32_t event)
{
	vcpu.event = event;
	vmx.seen_mtd = 0;
	forget();
}

static int setup(void **state)
{
	(void)state;
	memset(vmcs, 0, sizeof(vmcs));
	memset(&vmx, 0, sizeof(vmx));
	memset(&utcb, 0, sizeof(utcb));
	memset(&vcpu, 0, sizeof(vcpu));
	memset(pages, 0, sizeof(pages));
	vmx_caps = (struct vmx_caps){
		.set[VMX_PRIMARY] = PRIMARY_HLT_EXITING | PRIMARY_CR8_LOAD_EXITING |
				    PRIMARY_CR8_STORE_EXITING | PRIMARY_MOV_DR_EXITING,
		.set[VMX_SECONDARY] = SECONDARY_EPT | SECONDARY_RDTSCP,
		.may = {~0u, ~0u, ~0u, ~0u, ~0u},
		.cr0_host = CR0_NE | CR0_NW | CR0_CD,
		.cr0_fixed = CR0_NE,
		.cr4_host = CR4_VMXE | CR4_MCE | CR4_KL,
		.cr4_fixed = CR4_VMXE | CR4_MCE,
	};
	vmx.vcpu.block = pages;
	vmx.primary = vmx_caps.set[VMX_PRIMARY];
	vmx.secondary = vmx_caps.set[VMX_SECONDARY];
	vmx.msr_count = 1;
	vcpu.vcpu = &vmx.vcpu;
	vcpu.xcr0 = 1;
	cpu.vcpu_loaded = &vcpu;
	fpu_moves = 0;
	forget();
	return 0;
}

static uint64_t random64(void)
{
	return (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
}

static void randomize(struct utcb *u)
{
	for (unsigned i = 0; i < UTCB_WORDS; i++)
		u->word[i] = random64();
	for (unsigned i = 0; i < 8; i++)
		(&u->es)[i].rights &= 0x1fff;
	u->tpr &= 0xff;
	u->tsc_aux &= 0xffffffff;
	u->inject = 0;
	u->tsc_offset = 0;
	u->activity = 0;
}

/* Exits that are many, with what their handlers need. */
static void hot_exits_are_free(void **state)
{
	uint64_t mtd = MTD_RIP_LEN | MTD_RFLAGS | MTD_RSP | MTD_GPR_ACDB | MTD_GPR_BSD |
		       MTD_GPR_R8_R15 | MTD_STA | MTD_INJ | MTD_QUAL | MTD_CR;

	(void)state;
	exit_for(10);
	vmx_save(&vcpu, &utcb, mtd);
	utcb.inject = INJECT_VALID | INJECT_INTERRUPT_WINDOW | 0x30;
	vmx_load(&vcpu, &utcb, mtd);
	assert_int_equal(dear, 0);
	assert_true(reads && writes);
}

static void nothing_asked_nothing_touched(void **state)
{
	(void)state;
	exit_for(10);
	vmx_save(&vcpu, &utcb, 0);
	vmx_load(&vcpu, &utcb, 0);
	vmx_save(&vcpu, &utcb, MTD_GPR_ACDB | MTD_GPR_BSD | MTD_GPR_R8_R15);
	vmx_load(&vcpu, &utcb, MTD_GPR_ACDB | MTD_GPR_BSD | MTD_GPR_R8_R15);
	assert_int_equal(touches, 0);
}

/* Given back as it was shown: none of the dear fields is written. */
static void unchanged_is_not_written(void **state)
{
	uint64_t mtd = (MTD_XSAVE << 1) - 1 - MTD_CTRL;
	unsigned dear_reads;

	(void)state;
	for (unsigned i = 0; i < FIELDS; i++)
		vmcs[i] = random64() & 0x1f0ff;
	for (uint64_t m = mtd; m; m = (m - 1) & mtd & random64()) {
		exit_for(10);
		vmx_save(&vcpu, &utcb, m);
		utcb.inject = 0;
		utcb.tsc_offset = 0;
		dear_reads = dear;
		vmx_load(&vcpu, &utcb, m);
		assert_int_equal(dear, dear_reads);
	}
}

/* Every bit alone, and all: what is loaded is what is saved. */
static void compare(const struct utcb *a, const struct utcb *b, uint64_t mtd)
{
	static const struct {
		uint64_t bit;
		size_t from, to;
	} parts[] = {
#define PART(bit, first, last) \
	{bit, offsetof(struct utcb, first), offsetof(struct utcb, last) + sizeof(a->last)}
		PART(MTD_GDTR, gdtr.limit, gdtr.base), PART(MTD_IDTR, idtr.limit, idtr.base),
		PART(MTD_TPR, tpr, tpr_threshold), PART(MTD_XSAVE, xcr0, xcr0), PARTS(PART)
#undef PART
	};

	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		if (mtd & parts[i].bit) {
			assert_memory_equal((const char *)a + parts[i].from,
					    (const char *)b + parts[i].from,
					    parts[i].to - parts[i].from);
		}
	}
}

static void loaded_is_saved(uint64_t mtd)
{
	static struct utcb in, out;

	randomize(&in);
	exit_for(EVENT_VCPU_STARTUP);
	vmx_load(&vcpu, &in, mtd);
	exit_for(10);
	memset(&out, 0xa5, sizeof(out));
	vmx_save(&vcpu, &out, mtd);
	assert_int_equal(out.mtd, mtd);
	compare(&in, &out, mtd);
}

static void round_trip(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 27; bit++)
		loaded_is_saved(1ul << bit);
	for (unsigned i = 0; i < RANDOM_ROUNDS; i++) {
		loaded_is_saved((uint64_t)rand() & 0x7ffffff);
		loaded_is_saved(0x7ffffff & ~(uint64_t)MTD_CTRL);
	}
}

/* Each bit moves what it says, to and from the UTCB, and nothing else. */
static void bits_alone(void **state)
{
	static struct utcb u[4];
	const uint64_t whole = (MTD_XSAVE << 1) - 1 - MTD_CTRL;

	for (unsigned bit = 0; bit < 28; bit++) {
		setup(state);
		randomize(&u[0]);
		exit_for(EVENT_VCPU_STARTUP);
		vmx_load(&vcpu, &u[0], whole);
		exit_for(10);
		vmx_save(&vcpu, &u[0], whole);
		exit_for(10);
		randomize(&u[1]);
		vmx_load(&vcpu, &u[1], 1ul << bit);
		exit_for(10);
		vmx_save(&vcpu, &u[2], whole);
		exit_for(10);
		memset(&u[3], 0xa5, sizeof(u[3]));
		vmx_save(&vcpu, &u[3], 1ul << bit);
		only_moved(1ul << bit, whole, &u[0], &u[1], &u[2], &u[3]);
	}
}

/* A change after it was shown, and one that was not shown. */
static void changed_is_written(void **state)
{
	(void)state;
	exit_for(10);
	vmx_save(&vcpu, &utcb, MTD_DS_ES | MTD_EFER | MTD_DR | MTD_GDTR);
	utcb.ds.base = 0x1000;
	utcb.es.rights = SEGMENT_UNUSABLE;
	utcb.gdtr.limit = 7;
	utcb.dr7 = 0x401;
	utcb.efer = EFER_LME | EFER_LMA;
	vmx_load(&vcpu, &utcb, MTD_DS_ES | MTD_EFER | MTD_DR | MTD_GDTR);
	assert_int_equal(vmcs[VMCS_GUEST_BASE + DS], 0x1000);
	assert_int_equal(vmcs[VMCS_GUEST_RIGHTS], 0x10000);
	assert_int_equal(vmcs[VMCS_GUEST_LIMIT + GDTR], 7);
	assert_int_equal(vmcs[VMCS_GUEST_DR7], 0x401);
	assert_int_equal(vmcs[VMCS_GUEST_EFER], EFER_LME | EFER_LMA);
	assert_true(vmcs[VMCS_ENTRY_CONTROLS] & ENTRY_GUEST_64);

	/* The guest changed it since: the same value must be written. */
	vmcs[VMCS_GUEST_BASE + DS] = 0x2000;
	exit_for(10);
	vmx_load(&vcpu, &utcb, MTD_DS_ES);
	assert_int_equal(vmcs[VMCS_GUEST_BASE + DS], 0x1000);
}

static void shadows_hide_host_bits(void **state)
{
	(void)state;
	utcb.cr0 = CR0_PE | CR0_CD;
	utcb.cr4 = CR4_PAE | CR4_KL;
	vmx_load(&vcpu, &utcb, MTD_CR);
	assert_int_equal(vmcs[VMCS_GUEST_CR0], CR0_PE | CR0_NE);
	assert_int_equal(vmcs[VMCS_CR0_SHADOW], CR0_CD);
	assert_int_equal(vmcs[VMCS_GUEST_CR4], CR4_PAE | CR4_VMXE | CR4_MCE);
	assert_int_equal(vmcs[VMCS_CR4_SHADOW], CR4_KL);
	exit_for(10);
	vmx_save(&vcpu, &utcb, MTD_CR);
	assert_int_equal(utcb.cr0, CR0_PE | CR0_CD);
	assert_int_equal(utcb.cr4, CR4_PAE | CR4_KL);
}

static void events_come_from_where_they_are(void **state)
{
	(void)state;
	vmcs[VMCS_IDT_VECTORING] = INJECT_VALID | INJECT_ERROR_CODE | INJECT_EXCEPTION | 1 << 12 |
				   14;
	vmcs[VMCS_IDT_VECTORING_ERROR] = 2;
	vmcs[VMCS_ENTRY_INTERRUPTION] = INJECT_VALID | 0x20;
	exit_for(48);
	vmx_save(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(utcb.inject, INJECT_VALID | INJECT_ERROR_CODE | INJECT_EXCEPTION | 14);
	assert_int_equal(utcb.inject_error, 2);
	exit_for(EVENT_VCPU_RECALL);
	vmx_save(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(utcb.inject, INJECT_VALID | 0x20);

	/* Nothing to inject: it is taken back, where there was no entry. */
	utcb.inject = 0;
	vmx_load(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(vmcs[VMCS_ENTRY_INTERRUPTION], 0);
}

static void soft_events_have_a_length(void **state)
{
	(void)state;
	exit_for(48);
	vmcs[VMCS_EXIT_INSTRUCTION_LENGTH] = 2;
	utcb.length = 3;
	utcb.inject = INJECT_VALID | INJECT_SOFT_INTERRUPT | 0x80;
	vmx_load(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(vmcs[VMCS_ENTRY_INSTRUCTION_LENGTH], 2);
	vmx_load(&vcpu, &utcb, MTD_INJ | MTD_RIP_LEN);
	assert_int_equal(vmcs[VMCS_ENTRY_INSTRUCTION_LENGTH], 3);
}

static void windows_are_asked_for_once(void **state)
{
	(void)state;
	exit_for(12);
	utcb.inject = INJECT_INTERRUPT_WINDOW;
	vmx_load(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(vmx.primary, vmx_caps.set[VMX_PRIMARY] | PRIMARY_INTERRUPT_WINDOW);
	assert_int_equal(writes, 1);
	vmx_load(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(writes, 1);
	utcb.inject = INJECT_NMI_WINDOW;
	vmx_load(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(vmx.primary, vmx_caps.set[VMX_PRIMARY] | PRIMARY_NMI_WINDOW);
	utcb.inject = 0;
	vmx_load(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(vmcs[VMCS_PRIMARY_CONTROLS], vmx_caps.set[VMX_PRIMARY]);

	/* A processor without virtual NMIs has no such window. */
	vmx_caps.may[VMX_PRIMARY] &= ~PRIMARY_NMI_WINDOW;
	utcb.inject = INJECT_NMI_WINDOW;
	vmx_load(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(vmx.primary, vmx_caps.set[VMX_PRIMARY]);
}

static void controls_are_the_kernels(void **state)
{
	(void)state;
	utcb.inject = INJECT_INTERRUPT_WINDOW;
	utcb.ctrl[0] = ~0u & ~PRIMARY_TPR_SHADOW;
	utcb.ctrl[1] = ~0u;
	vmx_load(&vcpu, &utcb, MTD_CTRL | MTD_INJ);
	assert_true(vmx.primary & PRIMARY_INTERRUPT_WINDOW);
	assert_false(vmx.primary & PRIMARY_CR3_LOAD_EXITING);
	assert_true(vmx.primary & PRIMARY_MONITOR_TRAP);
	assert_true(vmx.secondary & SECONDARY_TABLE_EXITING);
	assert_false(vmx.secondary & 1); /* APIC accesses */

	utcb.ctrl[0] = utcb.ctrl[1] = 0;
	vmx_load(&vcpu, &utcb, MTD_CTRL);
	assert_int_equal(vmx.primary, vmx_caps.set[VMX_PRIMARY] | PRIMARY_INTERRUPT_WINDOW);
	assert_int_equal(vmx.secondary, vmx_caps.set[VMX_SECONDARY]);

	/* With a TPR shadow the guest may have CR8; without, never. */
	utcb.ctrl[0] = PRIMARY_TPR_SHADOW;
	vmx_load(&vcpu, &utcb, MTD_CTRL);
	assert_false(vmx.primary & PRIMARY_CR8_LOAD_EXITING);
	vmx_caps.may[VMX_PRIMARY] = ~PRIMARY_TPR_SHADOW;
	vmx_load(&vcpu, &utcb, MTD_CTRL);
	assert_true(vmx.primary & PRIMARY_CR8_LOAD_EXITING);
}

static void msr_areas_are_as_long_as_needed(void **state)
{
	(void)state;
	exit_for(31);
	utcb.efer = EFER_SCE;
	vmx_load(&vcpu, &utcb, MTD_EFER);
	assert_int_equal(vmcs[VMCS_ENTRY_MSR_LOAD_COUNT], VMX_SFMASK + 1);
	utcb.tsc_aux = 1;
	vmx_load(&vcpu, &utcb, MTD_TSC_AUX);
	assert_int_equal(vmcs[VMCS_EXIT_MSR_LOAD_COUNT], VMX_MSRS);
	utcb.tsc_aux = 0;
	utcb.efer = 0;
	vmx_load(&vcpu, &utcb, MTD_TSC_AUX | MTD_EFER);
	assert_int_equal(vmcs[VMCS_ENTRY_MSR_LOAD_COUNT], 1);
	assert_int_equal(vmcs[VMCS_EXIT_MSR_LOAD_COUNT], 1);
}

static void offsets_add_up(void **state)
{
	(void)state;
	utcb.tsc_offset = 100;
	vmx_load(&vcpu, &utcb, MTD_TSC);
	utcb.tsc_offset = (uint64_t)-30;
	vmx_load(&vcpu, &utcb, MTD_TSC);
	assert_int_equal(vmcs[VMCS_TSC_OFFSET], 70);
	vmx_save(&vcpu, &utcb, MTD_TSC);
	assert_int_equal(utcb.tsc_offset, 70);
	assert_int_equal(utcb.tsc, 1234);
}

static void pdptes_in_pae_paging_only(void **state)
{
	(void)state;
	utcb.cr0 = CR0_PE | CR0_PG;
	utcb.cr4 = CR4_PAE;
	utcb.pdpte[3] = 0x5001;
	vmx_load(&vcpu, &utcb, MTD_CR | MTD_PDPTE);
	assert_int_equal(vmcs[VMCS_GUEST_PDPTE0 + 3], 0x5001);
	utcb.efer = EFER_LME | EFER_LMA;
	utcb.pdpte[3] = 0x6001;
	vmx_load(&vcpu, &utcb, MTD_EFER | MTD_PDPTE);
	assert_int_equal(vmcs[VMCS_GUEST_PDPTE0 + 3], 0x5001);
}

/* FPU state goes with the whole as with a part. */
static void fpu_goes_along(void **state)
{
	uint64_t whole = (MTD_XSAVE << 1) - 1 - MTD_CTRL;

	(void)state;
	exit_for(10);
	vmx_save(&vcpu, &utcb, MTD_FPU | MTD_RIP_LEN);
	vmx_load(&vcpu, &utcb, MTD_FPU | MTD_RIP_LEN);
	assert_int_equal(fpu_moves, 2);
	vmx_save(&vcpu, &utcb, MTD_FPU | whole);
	vmx_load(&vcpu, &utcb, MTD_FPU | whole);
	assert_int_equal(fpu_moves, 4);
	vmx_save(&vcpu, &utcb, whole);
	vmx_load(&vcpu, &utcb, whole);
	assert_int_equal(fpu_moves, 4);
}

/* SDM 3D appendix B: what the names stand for. */
static void fields_are_encoded(void **state)
{
	(void)state;
	assert_int_equal(2 * VMCS_ENTRY_MSR_LOAD, 0x200a);
	assert_int_equal(2 * VMCS_VIRTUAL_APIC, 0x2012);
	assert_int_equal(2 * VMCS_GUEST_EFER, 0x2806);
	assert_int_equal(2 * VMCS_HOST_EFER, 0x2c02);
	assert_int_equal(2 * VMCS_EXCEPTION_BITMAP, 0x4004);
	assert_int_equal(2 * VMCS_SECONDARY_CONTROLS, 0x401e);
	assert_int_equal(2 * VMCS_EXIT_INSTRUCTION_LENGTH, 0x440c);
	assert_int_equal(2 * (VMCS_GUEST_LIMIT + GDTR), 0x4810);
	assert_int_equal(2 * VMCS_GUEST_ACTIVITY, 0x4826);
	assert_int_equal(2 * VMCS_CR4_SHADOW, 0x6006);
	assert_int_equal(2 * (VMCS_GUEST_BASE + GDTR), 0x6816);
	assert_int_equal(2 * VMCS_GUEST_SYSENTER_RIP, 0x6826);
	assert_int_equal(2 * VMCS_HOST_CR4, 0x6c04);
	assert_int_equal(2 * VMCS_HOST_IDTR_BASE, 0x6c0e);
	assert_int_equal(2 * VMCS_HOST_RIP, 0x6c16);
}

/* What a VMM may choose is none of what the kernel must have its own way. */
static void uses_are_apart(void **state)
{
	(void)state;
	assert_int_equal(vmx_controls(VMX_PIN, NEED), 1 << 0 | 1 << 3);
	assert_int_equal(vmx_controls(VMX_ENTRY, NEED | WANT), 1 << 2 | 1 << 14 | 1 << 15);
	assert_int_equal(vmx_controls(VMX_SECONDARY, NEED), 1 << 1 | 1 << 7);
	assert_int_equal(
		vmx_controls(VMX_SECONDARY, VMM) & vmx_controls(VMX_SECONDARY, NEED | WANT), 0);
	assert_int_equal(vmx_controls(VMX_PRIMARY, OFF), 3 << 15);
	assert_int_equal(
		vmx_controls(VMX_PRIMARY, VMM) & vmx_controls(VMX_PRIMARY, WANT | OFF | MAY), 0);
}

static void rights_convert(void **state)
{
	(void)state;
	assert_int_equal(vmx_rights_from_utcb(0xa9b), 0xa09b);
	for (uint32_t r = 0; r < 0x2000; r++) {
		vmcs[VMCS_GUEST_RIGHTS + DS] = vmx_rights_from_utcb((uint16_t)r);
		touches = 0;
		vmx_save(&vcpu, &utcb, MTD_DS_ES);
		assert_int_equal(utcb.ds.rights, r);
	}
}

/* Those of CS and SS alone, which are free under KVM; never to the guest. */
static void rights_alone(void **state)
{
	struct utcb before;

	(void)state;
	memset(&utcb, 0xa5, sizeof(utcb));
	before = utcb;
	vmcs[VMCS_GUEST_RIGHTS + CS] = 0xa09b;
	vmcs[VMCS_GUEST_RIGHTS + SS] = 0x1c0f3;
	exit_for(10);
	vmx_save(&vcpu, &utcb, MTD_RIGHTS);
	before.mtd = MTD_RIGHTS;
	before.exit_reason = 10;
	before.cs.rights = 0xa9b;
	before.ss.rights = 0x1cf3;
	assert_memory_equal(&before, &utcb, sizeof(utcb));
	assert_int_equal(touches, 2);
	assert_int_equal(dear, 0);
	vmx_load(&vcpu, &utcb, MTD_RIGHTS);
	assert_int_equal(touches, 2);
}

/* Type 7 is refused by all processors, but stops Bochs. */
static void reserved_events(void **state)
{
	(void)state;
	utcb.inject = INJECT_VALID | 7 << 8 | 0x20;
	vmx_load(&vcpu, &utcb, MTD_INJ);
	assert_int_equal(vmcs[VMCS_ENTRY_INTERRUPTION], INJECT_VALID | 1 << 8 | 0x20);
}

/* DR0 to DR3 must be its own before breakpoints are on. */
static void breakpoints_take_registers(void **state)
{
	(void)state;
	utcb.dr7 = DR7_FIXED;
	vmx_load(&vcpu, &utcb, MTD_DR);
	assert_false(vmx.vcpu.debugs);
	utcb.dr7 = DR7_FIXED | 0x80;
	vmx_load(&vcpu, &utcb, MTD_DR);
	assert_true(vmx.vcpu.debugs);
}

static void load_dangerous(void)
{
	vmx_load(&vcpu, &utcb, MTD_DR | MTD_STA | MTD_INJ);
}

static void change(void)
{
	unsigned n = (unsigned)rand();

	utcb.dr7 ^= n & 1;
	utcb.activity = n >> 1 & 3;
	utcb.inject = INJECT_VALID | (n >> 3 & 7 << 8) | 0x30;
}

/* What is dangerous is not loaded, whatever the UTCB says a moment later. */
static void changing_utcb(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		setup(NULL);
		utcb.dr7 = vmx.dr7 = DR7_FIXED;
		run_changing(load_dangerous, change);
		assert_true(!(vmcs[VMCS_GUEST_DR7] & 1) || vmx.vcpu.debugs);
		assert_true(vmcs[VMCS_GUEST_ACTIVITY] <= ACTIVITY_HLT ||
			    vmcs[VMCS_GUEST_ACTIVITY] == 4);
		assert_int_not_equal(vmcs[VMCS_ENTRY_INTERRUPTION] & INJECT_TYPE, 7 << 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(hot_exits_are_free, setup),
		cmocka_unit_test_setup(nothing_asked_nothing_touched, setup),
		cmocka_unit_test_setup(unchanged_is_not_written, setup),
		cmocka_unit_test_setup(round_trip, setup),
		cmocka_unit_test_setup(bits_alone, setup),
		cmocka_unit_test_setup(changed_is_written, setup),
		cmocka_unit_test_setup(shadows_hide_host_bits, setup),
		cmocka_unit_test_setup(events_come_from_where_they_are, setup),
		cmocka_unit_test_setup(soft_events_have_a_length, setup),
		cmocka_unit_test_setup(windows_are_asked_for_once, setup),
		cmocka_unit_test_setup(controls_are_the_kernels, setup),
		cmocka_unit_test_setup(msr_areas_are_as_long_as_needed, setup),
		cmocka_unit_test_setup(offsets_add_up, setup),
		cmocka_unit_test_setup(pdptes_in_pae_paging_only, setup),
		cmocka_unit_test_setup(fpu_goes_along, setup),
		cmocka_unit_test(fields_are_encoded),
		cmocka_unit_test(uses_are_apart),
		cmocka_unit_test_setup(rights_convert, setup),
		cmocka_unit_test_setup(rights_alone, setup),
		cmocka_unit_test_setup(reserved_events, setup),
		cmocka_unit_test_setup(breakpoints_take_registers, setup),
		cmocka_unit_test(changing_utcb),
	};

	srand(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
