/*
 * SVM: turning it on (APM 2 15.4), making vCPUs, what stands between two
 * entries of a guest when something changed, and where #VMEXITs arrive.
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

enum { CPUID_FEATURES = 0x80000001, CPUID_SVM = 0x8000000a };
enum { FEATURES_EDX_1G = 1 << 26, FEATURES_EDX_RDTSCP = 1 << 27 };
enum { SVM_EDX_NP = 1 << 0, SVM_EDX_NRIP = 1 << 3, SVM_EDX_DECODE = 1 << 7 };
enum { MSR_VM_HSAVE_PA = 0xc0010117 };

/*
 * The MSR bitmap has two bits for each, those from 0xc0000000 on at HIGH_MSRS:
 * APM 2 15.11. FS_BASE, GS_BASE and KERNEL_GS_BASE are the guest's.
 */
enum { HIGH_MSRS = 0x800, GUEST_MSRS = 0x3f };

static uint32_t asids, exceptions;
static bool have_tsc_aux;
bool svm_decode_assists;

/* The first CPU; the others have the same. NULL: all is there. */
static const char *find_features(void)
{
	struct cpuid f = cpuid(CPUID_FEATURES, 0), s = cpuid(CPUID_SVM, 0);

	if (!(s.edx & SVM_EDX_NP))
		return "nested paging";
	if (s.ebx < 2)
		return "address space identifiers";
	asids = s.ebx;
	exceptions = 1 << VECTOR_AC | 1 << VECTOR_MC;
	/* A hypervisor below takes care of it, and emulators do not report it as processors do. */
	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR))
		exceptions |= 1 << VECTOR_DB;
	svm_decode_assists = s.edx & SVM_EDX_DECODE;
	have_tsc_aux = f.edx & FEATURES_EDX_RDTSCP;
	vcpu_msr_bitmap[HIGH_MSRS + (MSR_FS_BASE & 0x1fff) / 4] = (uint8_t)~GUEST_MSRS;
	log("svm: nested paging%s%s%s, %u ASIDs\n",
	    f.edx & FEATURES_EDX_1G ? " with 1 GiB pages" : "",
	    s.edx & SVM_EDX_NRIP ? ", NRIP save" : "", svm_decode_assists ? ", decode assists" : "",
	    asids);
	return NULL;
}

/* With VM_CR.SVMDIS the bit is reserved: APM 2 15.30.1. */
static const char *turn_on(struct cpu *cpu, bool first)
{
	if (!wrmsr_safe(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME))
		return "the firmware's permission";
	wrmsr(MSR_VM_HSAVE_PA, cpu->vcpu_host_phys);
	__asm__ volatile("vmsave %0" : : "a"(cpu->vcpu_host_phys + PAGE_SIZE) : "memory");
	return first ? find_features() : NULL;
}

/* After reset, as far as the VMM does not say. */
static void init(struct ec *ec)
{
	struct svm *v = svm_of(ec);
	struct vmcb *b = v->vcpu.block;

	v->vmcb = b;
	b->intercept_dr = INTERCEPT_DR_ALL;
	b->intercept_exception = exceptions;
	b->msrpm = pool_to_phys(vcpu_msr_bitmap);
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
static void prepare_asid(struct svm *v, unsigned changes)
{
	struct vmcb *b = v->vmcb;

	if (changes & VCPU_NEW_TABLES)
		v->vcpu.asid = 0;
	b->tlb_control = 0;
	b->asid = 0;
	svm_dirty(b, CLEAN_ASID);
	if (svm_illegal(b))
		return;
	if (vcpu_take_asid(&v->vcpu, asids)) {
		b->tlb_control = TLB_FLUSH_ALL;
		svm_prepare_again();
	}
	b->asid = v->vcpu.asid;
}

void svm_prepare(struct ec *ec)
{
	struct cpu *cpu = this_cpu();
	struct svm *v = svm_of(ec);
	unsigned changes;

	v->host_phys = cpu->vcpu_host_phys + PAGE_SIZE;
	/* What it has cached of it may be another's, or lost in sleep: APM 2 15.15.4. */
	if (!vcpu_known(&v->vcpu))
		v->vmcb->clean = 0;
	vcpu_set_loaded(ec);
	changes = vcpu_prepare(ec);
	/* CR0.TS comes back from the guest as it is now. */
	fpu_enable(cpu, false);
	prepare_asid(v, changes);
	if (changes & VCPU_NEW_IO) {
		v->vmcb->iopm = pool_to_phys(v->vcpu.guest_io);
		svm_dirty(v->vmcb, CLEAN_IOPM);
	}
	/* No part of the VMCB: vcpu_hide() takes it back. */
	if (have_tsc_aux && cpu->tsc_aux != v->vcpu.tsc_aux) {
		cpu->tsc_aux = v->vcpu.tsc_aux;
		wrmsr(MSR_TSC_AUX, cpu->tsc_aux);
	}
	/* VMRUN loads it, but not in every emulator. */
	write_cr2(v->vmcb->cr2);
}

/*
 * #AC and #DB exit only because a guest can arrange that delivering them raises
 * them again without end, and with no instruction between: they go back in,
 * and interrupts get their turn. DR6 is in the VMCB, and up to date.
 */
static struct ec *reflect(struct ec *ec)
{
	struct vmcb *b = svm_of(ec)->vmcb;
	uint32_t vector = (uint32_t)b->exit_code - EXIT_EXCEPTION;

	b->event = vector | INJECT_EXCEPTION | INJECT_VALID |
		   (vector == VECTOR_AC ? INJECT_ERROR_CODE : 0);
	return ec;
}

struct ec *svm_use_debug(struct ec *ec)
{
	struct vmcb *b = svm_of(ec)->vmcb;

	vcpu_take_debug(ec);
	b->intercept_dr = 0;
	svm_dirty(b, CLEAN_INTERCEPTS);
	return ec;
}

/*
 * QEMU, which has no decode assists, does not find back to its host from LME
 * without PAE and paging. So where LME is set, either CR4 is not written without
 * an exit, or there is paging and it is not turned off without one. The
 * instruction then runs while the other register is watched; but what would lead
 * there is the VMM's.
 */
static struct ec *change_cr(struct ec *ec)
{
	struct svm *v = svm_of(ec);
	struct vmcb *b = v->vmcb;
	bool cr0 = b->exit_code == EXIT_CR0_CHANGE;

	if ((cr0 && v->asked[0] & INTERCEPT_CR0_CHANGE) ||
	    (b->efer & EFER_LME && !(cr0 ? b->cr4 & CR4_PAE : b->cr0 & CR0_PG)))
		return ipc_event(ec, (uint32_t)b->exit_code);
	v->watch_cr4 = cr0;
	svm_set_intercepts(v);
	return ec;
}

/*
 * What the kernel keeps for itself (abi.md): interrupts, NMIs, machine checks,
 * exceptions that could come without end, and the first use of a debug
 * register. All else goes to the VMM.
 */
static struct ec *(*const kept[])(struct ec *) = {
	[EXIT_DR_FIRST... EXIT_DR_LAST] = svm_use_debug,
	[EXIT_EXCEPTION + VECTOR_DB] = reflect,
	[EXIT_EXCEPTION + VECTOR_AC] = reflect,
	[EXIT_EXCEPTION + VECTOR_MC] = vcpu_machine_check,
	[EXIT_INTR] = vcpu_let_in,
	[EXIT_NMI] = vcpu_let_in,
	[EXIT_INIT] = vcpu_let_in,
	[EXIT_CR4_WRITE] = change_cr,
	[EXIT_CR0_CHANGE] = change_cr,
};

/*
 * QEMU refuses most before it has loaded anything of the guest, and saves what
 * it has: the kernel's registers, which the VMM must not see nor the guest have,
 * and no V_INTR_MASKING, without which no interrupt ends a guest that wants none.
 * It is an exit also in that the event is taken: that is given back.
 */
static NOINLINE struct ec *refused(struct ec *ec, struct vmcb *b)
{
	if (b->rip == (uint64_t)svm_vmrun) {
		__builtin_memset(&b->es, 0, sizeof(*b) - offsetof(struct vmcb, es));
		init(ec);
	}
	b->event = b->event & INJECT_VALID ? b->event : b->exit_int_info;
	b->clean = 0;
	svm_prepare_again();
	if (b->tlb_control)
		this_cpu()->asid_next = 0; /* flush again */
	return ipc_event(ec, EVENT_SVM_INVALID);
}

/* The codes are negative numbers above some; emulators store 32 bits of them. */
static struct ec *other(struct ec *ec, struct vmcb *b)
{
	if ((int32_t)b->exit_code == EXIT_INVALID)
		return refused(ec, b);
	if ((int32_t)b->exit_code != EXIT_NPF)
		return ipc_event(ec, EVENT_SVM_OTHER);
	ec->fault_address = b->exit_info[1];
	return ipc_event(ec, EVENT_SVM_NPF);
}

struct ec *svm_exit(struct ec *ec)
{
	struct vmcb *b = svm_of(ec)->vmcb;
	uint64_t code = b->exit_code;

	b->clean = CLEAN_ALL;
	if (unlikely(code >= EVENT_SVM_OTHER))
		return other(ec, b);
	if (code < ARRAY_SIZE(kept) && kept[code])
		return kept[code](ec);
	return ipc_event(ec, (uint32_t)code);
}

const struct vcpu_ops svm_ops = {
	.name = "svm",
	.feature = HIP_SVM,
	.guest = &ptab_host,
	.resume = svm_resume,
	.turn_on = turn_on,
	.init = init,
	.save = svm_save,
	.load = svm_load,
	.add_tsc = svm_add_tsc,
	.unload = vcpu_leave,
};
