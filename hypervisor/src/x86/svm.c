/*
 * SVM: turning it on (APM 2 15.4), making vCPUs, and what stands between two
 * entries of a guest when something changed.
 *
 * VMRUN and #VMEXIT switch some of the state, VMLOAD and VMSAVE the rest; of
 * the kernel's part of the latter there is one copy for each CPU, which never
 * changes.
 */
#include "svm.h"

#include <abi/hip.h>

#include "../fpu.h"
#include "../log.h"
#include "../pd.h"
#include "insn.h"

enum {
	CPUID_FEATURES = 0x80000001,
	CPUID_FEATURES_ECX_SVM = 1 << 2,
	CPUID_FEATURES_EDX_1G = 1 << 26,
	CPUID_FEATURES_EDX_RDTSCP = 1 << 27,
	CPUID_SVM = 0x8000000a,
	CPUID_SVM_EDX_NP = 1 << 0,
	CPUID_SVM_EDX_NRIP = 1 << 3,
	CPUID_SVM_EDX_DECODE = 1 << 7,

	MSR_VM_HSAVE_PA = 0xc0010117,

	HOST_ORDER = 1, /* VMRUN's save area, then VMLOAD's */
	IOPM_ORDER = 2,
	MSRPM_ORDER = 1,
};

#define PAT_RESET 0x0007040600070406ul

static uint8_t *iopm, *msrpm; /* everything exits; almost */
static uint32_t asids, exceptions;
static bool have_tsc_aux;
bool svm_decode_assists;

static void vmsave(uint64_t phys)
{
	__asm__ volatile("vmsave %0" : : "a"(phys) : "memory");
}

/*
 * FS_BASE, GS_BASE and KERNEL_GS_BASE are the guest's. Two bits an MSR, those
 * from 0xc0000000 on in the second 2 KiB: APM 2 15.11.
 */
static bool make_bitmaps(void)
{
	enum { HIGH = 0x800 };

	iopm = page_alloc(NULL, IOPM_ORDER, false);
	msrpm = page_alloc(NULL, MSRPM_ORDER, false);
	if (!iopm || !msrpm)
		return false;
	__builtin_memset(iopm, 0xff, PAGE_SIZE << IOPM_ORDER);
	__builtin_memset(msrpm, 0xff, PAGE_SIZE << MSRPM_ORDER);
	msrpm[HIGH + (MSR_FS_BASE & 0x1fff) / 4] = 0xc0;
	return true;
}

/*
 * What a guest can raise without end (svm_exit.c). A hypervisor below us takes
 * care of #DB itself, and emulators do not report it as processors do.
 */
static uint32_t choose_exceptions(void)
{
	enum { VECTOR_DB = 1, VECTOR_AC = 17, VECTOR_MC = 18 };
	uint32_t vectors = 1 << VECTOR_AC | 1 << VECTOR_MC;

	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR))
		vectors |= 1 << VECTOR_DB;
	return vectors;
}

/* The first CPU; the others have the same. NULL: all is there. */
static const char *find_features(void)
{
	struct cpuid f = cpuid(CPUID_FEATURES, 0), s = cpuid(CPUID_SVM, 0);

	if (!(s.edx & CPUID_SVM_EDX_NP))
		return "nested paging";
	if (s.ebx < 2)
		return "address space identifiers";
	if (!make_bitmaps())
		return "memory";
	asids = s.ebx;
	exceptions = choose_exceptions();
	svm_decode_assists = s.edx & CPUID_SVM_EDX_DECODE;
	have_tsc_aux = f.edx & CPUID_FEATURES_EDX_RDTSCP;
	log("svm: nested paging%s%s%s, %u ASIDs\n",
	    f.edx & CPUID_FEATURES_EDX_1G ? " with 1 GiB pages" : "",
	    s.edx & CPUID_SVM_EDX_NRIP ? ", NRIP save" : "",
	    svm_decode_assists ? ", decode assists" : "", asids);
	return NULL;
}

/* With VM_CR.SVMDIS the bit is reserved: APM 2 15.30.1. */
static bool permitted(void)
{
	return wrmsr_safe(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
}

static bool turn_on(struct cpu *cpu)
{
	if (!cpu->vcpu_host)
		cpu->vcpu_host = page_alloc(NULL, HOST_ORDER, true);
	if (!cpu->vcpu_host)
		return false;
	cpu->vcpu_host_phys = pool_to_phys(cpu->vcpu_host);
	wrmsr(MSR_VM_HSAVE_PA, cpu->vcpu_host_phys);
	return true;
}

bool svm_init(struct cpu *cpu)
{
	const char *missing = NULL;
	bool first = !vcpu_ops;

	if (!(cpuid(CPUID_FEATURES, 0).ecx & CPUID_FEATURES_ECX_SVM))
		return false;
	if (!permitted())
		missing = "the firmware's permission";
	else if (first)
		missing = find_features();
	if (!missing && !turn_on(cpu))
		missing = "memory";
	if (missing) {
		log("svm: not used, for want of %s\n", missing);
		return false;
	}
	if (first)
		vcpu_ops = &svm_ops;
	return true;
}

/* After reset, as far as the VMM does not say. */
static void svm_init_vcpu(struct ec *ec)
{
	struct svm *v = svm_of(ec);
	struct vmcb *b = v->vcpu.block;

	v->vmcb = b;
	b->intercept_dr = INTERCEPT_DR_ALL;
	b->intercept_exception = exceptions;
	b->msrpm = pool_to_phys(msrpm);
	b->vintr = VINTR_MASKING;
	b->np_enable = 1;
	b->ncr3 = pool_to_phys(ec->pd->tables[PTAB_GUEST].root);
	b->pat = PAT_RESET;
	b->efer = EFER_SVME;
	b->rflags = RFLAGS_FIXED;
	b->dr7 = DR7_FIXED;
	b->dr6 = 0xffff0ff0;
	svm_set_intercepts(v);
}

/*
 * Translations of its address space went away: a new identifier has none yet.
 * The flush of all, when identifiers begin anew, is to happen once. With that
 * of the host the entry fails: what must not be entered gets it.
 */
static void prepare_asid(struct ec *ec, struct svm *v)
{
	struct vmcb *b = v->vmcb;
	struct vcpu *c = &v->vcpu;
	uint64_t now = __atomic_load_n(&ec->pd->guest_generation, __ATOMIC_SEQ_CST);

	if (c->generation != now) {
		c->generation = now;
		c->asid = 0;
	}
	b->tlb_control = 0;
	b->asid = 0;
	b->clean &= ~(uint32_t)CLEAN_ASID;
	if (svm_illegal(b))
		return;
	if (vcpu_take_asid(c, asids)) {
		b->tlb_control = TLB_FLUSH_ALL;
		svm_prepare_again();
	}
	b->asid = c->asid;
}

void svm_prepare(struct ec *ec)
{
	struct cpu *cpu = this_cpu();
	struct svm *v = svm_of(ec);
	uint8_t *map = ec->pd->guest_io ? ec->pd->guest_io : iopm;

	if (!v->vcpu.made) {
		v->vcpu.made = 1;
		v->host_phys = cpu->vcpu_host_phys + PAGE_SIZE;
		vmsave(v->host_phys);
	}
	vcpu_set_loaded(ec);
	vcpu_prepare(ec);
	/* CR0.TS comes back from the guest as it is now. */
	fpu_enable(cpu, false);
	prepare_asid(ec, v);
	if (v->vcpu.guest_io != map) {
		v->vcpu.guest_io = map;
		v->vmcb->iopm = pool_to_phys(map);
		v->vmcb->clean &= ~(uint32_t)CLEAN_IOPM;
	}
	/* No part of the VMCB: vcpu_hide() takes it back. */
	if (have_tsc_aux && cpu->tsc_aux != v->vcpu.tsc_aux) {
		cpu->tsc_aux = v->vcpu.tsc_aux;
		wrmsr(MSR_TSC_AUX, cpu->tsc_aux);
	}
	/* VMRUN loads it, but not in every emulator. */
	write_cr2(v->vmcb->cr2);
}

const struct vcpu_ops svm_ops = {
	.name = "SVM",
	.feature = HIP_SVM,
	.event_invalid = EVENT_SVM_INVALID,
	.guest = &ptab_host,
	.resume = svm_resume,
	.init = svm_init_vcpu,
	.save = svm_save,
	.load = svm_load,
	.unload = vcpu_leave,
};
