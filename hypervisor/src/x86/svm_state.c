/*
 * A vCPU's state on SVM, to and from a handler's UTCB. All of it is in memory;
 * what the processor may have cached of the VMCB and is changed here loses its
 * clean bit.
 */
#include "svm.h"

#include <abi/event.h>

#include "../fpu.h"
#include "insn.h"
#include "msr.h"

/* What most exits need. */
#define MTD_HOT                                                       \
	(MTD_GPR_ACDB | MTD_GPR_BSD | MTD_GPR_R8_R15 | MTD_RSP |      \
	 MTD_RIP_LEN | MTD_RFLAGS | MTD_QUAL | MTD_INJ | MTD_STA)
#define MTD_NOT_SVM ((uint64_t)(MTD_PDPTE | MTD_TPR))

/* APM 2 15.20: as in the UTCB, but for what follows. */
#define EVENT_INFO \
	(INJECT_VALID | INJECT_ERROR_CODE | INJECT_TYPE | INJECT_VECTOR)
enum { EVENT_ERROR_SHIFT = 32 };

enum { SHADOW = 1 << 0 };

/*
 * What the kernel must know of: what ends guest mode for the host's sake, and
 * what would reach the host's memory, caches, ports, MSRs or identifiers.
 */
#define KERNEL_INTERCEPT0                                                 \
	(INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_INIT |                \
	 INTERCEPT_RDPMC | INTERCEPT_INVD | INTERCEPT_HLT |               \
	 INTERCEPT_INVLPGA | INTERCEPT_IO | INTERCEPT_MSR |               \
	 INTERCEPT_SHUTDOWN)
#define KERNEL_INTERCEPT1                                                 \
	(INTERCEPT_VMLOAD | INTERCEPT_VMSAVE | INTERCEPT_STGI |           \
	 INTERCEPT_CLGI | INTERCEPT_SKINIT | INTERCEPT_XSETBV |           \
	 INTERCEPT_RDPRU)

static inline void dirty(struct vmcb *b, uint32_t what)
{
	b->clean &= ~what;
}

/*
 * The event is none that the guest ran into: what was to be injected at the
 * next entry still is.
 */
static inline bool not_entered(const struct ec *ec)
{
	return ec->event >= EVENT_SVM_INVALID;
}

/*
 * A window is asked for as a virtual interrupt that exits when it would be
 * taken. One emulator falls over MOV to CR8 meanwhile; it is among those that
 * leave the decoding to us, so that the VMM gets to emulate it there.
 */
void svm_set_intercepts(struct svm *v)
{
	struct vmcb *b = v->vmcb;

	b->intercept[0] = v->asked[0] | KERNEL_INTERCEPT0;
	b->intercept[1] = v->asked[1] | KERNEL_INTERCEPT1;
	b->vintr &= (uint64_t) ~(VINTR_IRQ | VINTR_PRIORITY |
				 VINTR_IGNORE_TPR);
	b->intercept_cr = 0;
	if (v->window) {
		b->intercept[0] |= INTERCEPT_VINTR;
		b->vintr |= VINTR_IRQ | VINTR_PRIORITY | VINTR_IGNORE_TPR;
		if (!svm_decode_assists) {
			b->intercept_cr = INTERCEPT_CR8_WRITE;
		}
	}
	dirty(b, CLEAN_INTERCEPTS | CLEAN_TPR);
}

static void save_injection(const struct ec *ec, const struct vmcb *b,
			   struct utcb *u)
{
	uint64_t info = not_entered(ec) ? b->event : b->exit_int_info;

	u->inject = (uint32_t)info & EVENT_INFO;
	u->inject_error = (uint32_t)(info >> EVENT_ERROR_SHIFT);
}

/* A segment that is not present cannot be used: it says so on VMX. */
static inline void save_segment(struct segment *to, const struct segment *from)
{
	*to = *from;
	if (unlikely(!(to->rights & SEGMENT_P))) {
		to->rights |= SEGMENT_UNUSABLE;
	}
}

static inline void load_segment(struct segment *to, const struct segment *from)
{
	*to = *from;
	if (unlikely(to->rights & SEGMENT_UNUSABLE)) {
		to->rights = 0;
	}
}

static void save_segments(const struct vmcb *b, struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_DS_ES) {
		save_segment(&u->ds, &b->ds);
		save_segment(&u->es, &b->es);
	}
	if (mtd & MTD_FS_GS) {
		save_segment(&u->fs, &b->fs);
		save_segment(&u->gs, &b->gs);
	}
	if (mtd & MTD_CS_SS) {
		save_segment(&u->cs, &b->cs);
		save_segment(&u->ss, &b->ss);
		/* The CPL of record, APM 2 15.5.1; on VMX SS has it. */
		u->ss.rights = (uint16_t)((u->ss.rights & ~SEGMENT_DPL) |
					  b->cpl << 5);
	}
	if (mtd & MTD_TR) {
		save_segment(&u->tr, &b->tr);
	}
	if (mtd & MTD_LDTR) {
		save_segment(&u->ldtr, &b->ldtr);
	}
	if (mtd & MTD_GDTR) {
		u->gdtr.limit = b->gdtr.limit;
		u->gdtr.base = b->gdtr.base;
	}
	if (mtd & MTD_IDTR) {
		u->idtr.limit = b->idtr.limit;
		u->idtr.base = b->idtr.base;
	}
}

static void save_msrs(const struct vmcb *b, struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_SYSENTER) {
		u->sysenter_cs = b->sysenter_cs;
		u->sysenter_rsp = b->sysenter_rsp;
		u->sysenter_rip = b->sysenter_rip;
	}
	if (mtd & MTD_EFER) {
		u->efer = b->efer;
	}
	if (mtd & MTD_SYSCALL) {
		u->star = b->star;
		u->lstar = b->lstar;
		u->cstar = b->cstar;
		u->sfmask = b->sfmask;
		u->kernel_gs_base = b->kernel_gs_base;
	}
}

__attribute__((noinline)) static void
save_rest(struct ec *ec, const struct svm *v, struct utcb *u, uint64_t mtd)
{
	const struct vmcb *b = v->vmcb;

	save_segments(b, u, mtd);
	save_msrs(b, u, mtd);
	if (mtd & MTD_CR) {
		u->cr0 = b->cr0;
		u->cr2 = b->cr2;
		u->cr3 = b->cr3;
		u->cr4 = b->cr4;
		u->cr8 = b->vintr & VINTR_TPR;
	}
	if (mtd & MTD_DR) {
		u->dr7 = b->dr7;
	}
	if (mtd & MTD_TSC) {
		u->tsc = rdtsc();
		u->tsc_offset = v->vcpu.tsc_offset;
	}
	if (mtd & MTD_TSC_AUX) {
		u->tsc_aux = v->vcpu.tsc_aux;
	}
	if (mtd & MTD_XSAVE) {
		u->xcr0 = ec->xcr0;
		u->xss = 0;
	}
	if (mtd & MTD_FPU) {
		fpu_save(ec, u);
	}
}

void svm_save(struct ec *ec, struct utcb *u, uint64_t mtd)
{
	const struct regs *r = &ec->regs;
	const struct svm *v = svm_of(ec);
	const struct vmcb *b = v->vmcb;

	u->mtd = mtd & ~MTD_NOT_SVM;
	u->exit_reason = b->exit_code;
	if (mtd & MTD_GPR_ACDB) {
		u->rax = b->rax;
		u->rcx = r->rcx;
		u->rdx = r->rdx;
		u->rbx = r->rbx;
	}
	if (mtd & MTD_GPR_BSD) {
		u->rbp = r->rbp;
		u->rsi = r->rsi;
		u->rdi = r->rdi;
	}
	if (mtd & MTD_GPR_R8_R15) {
		u->r8 = r->r8;
		u->r9 = r->r9;
		u->r10 = r->r10;
		u->r11 = r->r11;
		u->r12 = r->r12;
		u->r13 = r->r13;
		u->r14 = r->r14;
		u->r15 = r->r15;
	}
	if (mtd & MTD_RIP_LEN) {
		/* 0 where the processor or this exit has none. */
		u->length = b->nrip ? b->nrip - b->rip : 0;
		u->rip = b->rip;
	}
	if (mtd & MTD_RSP) {
		u->rsp = b->rsp;
	}
	if (mtd & MTD_RFLAGS) {
		u->rflags = b->rflags;
	}
	if (mtd & MTD_QUAL) {
		u->qual[0] = b->exit_info[0];
		u->qual[1] = b->exit_info[1];
	}
	if (mtd & MTD_INJ) {
		save_injection(ec, b, u);
	}
	if (mtd & MTD_STA) {
		u->interruptibility = b->interrupt_shadow & SHADOW;
		u->activity = ACTIVITY_ACTIVE;
	}
	if (mtd & ~(uint64_t)MTD_HOT) {
		save_rest(ec, v, u, mtd);
	}
}

/* Types 5 and 6 do not exist here: they are exceptions like others. */
static void load_injection(struct ec *ec, struct svm *v, const struct utcb *u)
{
	uint32_t info = u->inject;
	uint8_t window = (info & INJECT_INTERRUPT_WINDOW) != 0;
	struct vmcb *b = v->vmcb;

	if (v->window != window) {
		v->window = window;
		svm_set_intercepts(v);
	}
	if (likely(!(info & INJECT_VALID))) {
		if (unlikely(not_entered(ec))) {
			b->event = 0;
		}
		return;
	}
	if ((info & INJECT_TYPE) > INJECT_SOFT_INTERRUPT) {
		info = (info & ~(uint32_t)INJECT_TYPE) | INJECT_EXCEPTION;
	}
	b->event = (info & EVENT_INFO) |
		   (uint64_t)u->inject_error << EVENT_ERROR_SHIFT;
}

static void load_segments(struct vmcb *b, const struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_DS_ES) {
		load_segment(&b->ds, &u->ds);
		load_segment(&b->es, &u->es);
		dirty(b, CLEAN_SEGMENTS);
	}
	if (mtd & MTD_FS_GS) {
		load_segment(&b->fs, &u->fs);
		load_segment(&b->gs, &u->gs);
	}
	if (mtd & MTD_CS_SS) {
		load_segment(&b->cs, &u->cs);
		load_segment(&b->ss, &u->ss);
		b->cpl = (u->ss.rights & SEGMENT_DPL) >> 5;
		dirty(b, CLEAN_SEGMENTS);
	}
	if (mtd & MTD_TR) {
		load_segment(&b->tr, &u->tr);
	}
	if (mtd & MTD_LDTR) {
		load_segment(&b->ldtr, &u->ldtr);
	}
	if (mtd & MTD_GDTR) {
		b->gdtr.limit = u->gdtr.limit;
		b->gdtr.base = u->gdtr.base;
		dirty(b, CLEAN_TABLES);
	}
	if (mtd & MTD_IDTR) {
		b->idtr.limit = u->idtr.limit;
		b->idtr.base = u->idtr.base;
		dirty(b, CLEAN_TABLES);
	}
}

static void load_msrs(struct vmcb *b, const struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_SYSENTER) {
		b->sysenter_cs = u->sysenter_cs;
		b->sysenter_rsp = u->sysenter_rsp;
		b->sysenter_rip = u->sysenter_rip;
	}
	if (mtd & MTD_EFER) {
		b->efer = u->efer;
		dirty(b, CLEAN_CR);
	}
	if (mtd & MTD_SYSCALL) {
		b->star = u->star;
		b->lstar = u->lstar;
		b->cstar = u->cstar;
		b->sfmask = u->sfmask;
		b->kernel_gs_base = u->kernel_gs_base;
	}
}

static void load_cr(struct vmcb *b, const struct utcb *u)
{
	b->cr0 = u->cr0;
	b->cr2 = u->cr2;
	b->cr3 = u->cr3;
	b->cr4 = u->cr4;
	b->vintr = (b->vintr & ~(uint64_t)VINTR_TPR) | (u->cr8 & VINTR_TPR);
	dirty(b, CLEAN_CR | CLEAN_CR2 | CLEAN_TPR);
}

static void load_tsc(struct svm *v, const struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_TSC && u->tsc_offset) {
		v->vcpu.tsc_offset += u->tsc_offset;
		v->vmcb->tsc_offset = v->vcpu.tsc_offset;
		dirty(v->vmcb, CLEAN_INTERCEPTS);
	}
	if (mtd & MTD_TSC_AUX && u->tsc_aux != v->vcpu.tsc_aux) {
		v->vcpu.tsc_aux = (uint32_t)u->tsc_aux;
		svm_prepare_again();
	}
}

__attribute__((noinline)) static void
load_rest(struct ec *ec, struct svm *v, const struct utcb *u, uint64_t mtd)
{
	struct vmcb *b = v->vmcb;

	load_segments(b, u, mtd);
	load_msrs(b, u, mtd);
	load_tsc(v, u, mtd);
	if (mtd & MTD_CR) {
		load_cr(b, u);
	}
	if (mtd & MTD_DR) {
		b->dr7 = u->dr7;
		dirty(b, CLEAN_DR);
	}
	if (mtd & MTD_CTRL) {
		v->asked[0] = u->ctrl[0];
		v->asked[1] = u->ctrl[1];
		svm_set_intercepts(v);
	}
	if (mtd & MTD_XSAVE) {
		vcpu_load_xcr0(ec, u->xcr0);
	}
	if (mtd & MTD_FPU) {
		fpu_load(ec, u);
	}
}

void svm_load(struct ec *ec, const struct utcb *u, uint64_t mtd)
{
	struct regs *r = &ec->regs;
	struct svm *v = svm_of(ec);
	struct vmcb *b = v->vmcb;

	if (mtd & MTD_GPR_ACDB) {
		b->rax = u->rax;
		r->rcx = u->rcx;
		r->rdx = u->rdx;
		r->rbx = u->rbx;
	}
	if (mtd & MTD_GPR_BSD) {
		r->rbp = u->rbp;
		r->rsi = u->rsi;
		r->rdi = u->rdi;
	}
	if (mtd & MTD_GPR_R8_R15) {
		r->r8 = u->r8;
		r->r9 = u->r9;
		r->r10 = u->r10;
		r->r11 = u->r11;
		r->r12 = u->r12;
		r->r13 = u->r13;
		r->r14 = u->r14;
		r->r15 = u->r15;
	}
	if (mtd & MTD_RIP_LEN) {
		b->rip = u->rip;
	}
	if (mtd & MTD_RSP) {
		b->rsp = u->rsp;
	}
	if (mtd & MTD_RFLAGS) {
		b->rflags = u->rflags;
	}
	if (mtd & MTD_INJ) {
		load_injection(ec, v, u);
	}
	if (mtd & MTD_STA) {
		b->interrupt_shadow =
			(u->interruptibility & (SHADOW_STI | SHADOW_MOV_SS)) !=
			0;
	}
	if (mtd & ~(uint64_t)MTD_HOT) {
		load_rest(ec, v, u, mtd);
	}
}
