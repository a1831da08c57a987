/*
 * The handlers of exits that both vendors share. All follow one pattern:
 * begin() takes the VM's lock, the device or the vCPU is changed, end() looks
 * for interrupts, acts on the VM's end and releases the lock. Those that touch
 * nothing shared (CPUID) do without.
 */
#include "exit.h"

#include <stddef.h>

#include <lib/log.h>
#include <lib/syscall.h>
#include <lib/time.h>

#include "ahead.h"
#include "emulate.h"
#include "linux.h"
#include "vcpu.h"
#include "vm.h"

enum {
	CR0_ET = 1 << 4,
	CR0_NE = 1 << 5,
	RFLAGS_FIXED = 1 << 1,
	DR7_RESET = 0x400,

	CODE_64 = 0xa9b,   /* accessed, readable code, P, L, G */
	DATA_FLAT = 0xc93, /* accessed, writable data, P, D, G */
	LDT = 0x82,
	TSS_BUSY = 0x8b,

	XCR0_X87 = 1,
	XCR0_SSE = 2,
	XCR0_AVX = 4,
};

/*
 * An exit that touches devices: the lock is held from begin() to end(), which
 * looks for interrupts and acts when the VM has come to its end.
 */

static void begin(struct vcpu *v)
{
	vm_lock(v->vm);
	v->place = VCPU_EXITED;
}

static void end(struct vcpu *v)
{
	if (v->vm->end != VM_RUNS)
		vm_finish(v->vm);
	vcpu_inject(v);
	v->place = VCPU_RUNNING;
	vm_unlock(v->vm);
}

/*
 * The kernel takes from the guest's TSC the time that the vCPU waited for its
 * CPU, and adds what we give it. We put that back: the guest's TSC is the host's
 * and a constant, so that it agrees with all other clocks and with deadlines.
 */
static void correct_tsc(struct vcpu *v)
{
	if (v->utcb->tsc_offset != v->msrs.tsc_offset) {
		v->utcb->tsc_offset = v->msrs.tsc_offset - v->utcb->tsc_offset;
		v->mtd |= MTD_TSC;
	}
}

/* Start and stop. */

static struct segment flat(uint16_t selector, uint16_t rights)
{
	return (struct segment){selector, rights, 0xffffffff, 0};
}

static void start_segments(struct utcb *u)
{
	u->cs = flat(LINUX_CS, CODE_64);
	u->ds = u->es = u->ss = u->fs = u->gs = flat(LINUX_DS, DATA_FLAT);
	u->ldtr = (struct segment){0, LDT, 0xffff, 0};
	u->tr = (struct segment){0, TSS_BUSY, 0xffff, 0};
	u->gdtr = (struct segment){0, 0, LINUX_GDT_BYTES - 1, LINUX_GDT};
	u->idtr = (struct segment){0, 0, 0, 0};
}

static void start_control(struct vcpu *v, const struct linux_entry *entry)
{
	struct utcb *u = v->utcb;

	u->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	u->cr2 = 0;
	u->cr3 = entry->cr3;
	u->cr4 = CR4_PAE;
	u->cr8 = 0;
	v->msrs.efer = EFER_LME;
	u->efer = EFER_LME | EFER_LMA | v->vm->vendor->efer;
	u->dr7 = DR7_RESET;
	u->ctrl[0] = v->vm->vendor->ctrl[0];
	u->ctrl[1] = v->vm->vendor->ctrl[1];
}

/* By the 64-bit boot protocol: linux.h. */
void exit_startup(struct vcpu *v)
{
	struct utcb *u = v->utcb;
	const struct linux_entry *entry = &v->vm->entry;

	u->rax = u->rcx = u->rdx = u->rbx = 0;
	u->rbp = u->rdi = 0;
	u->r8 = u->r9 = u->r10 = u->r11 = 0;
	u->r12 = u->r13 = u->r14 = u->r15 = 0;
	u->rsi = entry->boot_params;
	u->rsp = LINUX_STACK;
	u->rip = entry->rip;
	u->length = 0;
	u->rflags = RFLAGS_FIXED;
	u->inject = u->inject_error = 0;
	u->interruptibility = 0;
	u->activity = ACTIVITY_ACTIVE;
	start_segments(u);
	start_control(v, entry);
	v->mtd = (MTD_REPORT | MTD_CTRL) & ~(uint64_t)(MTD_QUAL | MTD_SYSENTER);
}

void exit_shutdown(struct vcpu *v)
{
	vm_fail(v, "triple fault");
}

void exit_invalid_state(struct vcpu *v)
{
	vm_fail(v, "the processor refuses the vCPU's state");
}

void exit_task_switch(struct vcpu *v)
{
	vm_fail(v, "hardware task switches are not supported");
}

/* Interrupts. */

void exit_recall(struct vcpu *v)
{
	begin(v);
	correct_tsc(v);
	end(v);
}

void exit_window(struct vcpu *v)
{
	begin(v);
	end(v);
}

/* Sleep until something may have come: an interrupt, or a timer's time. */
static void sleep(struct vcpu *v)
{
	struct timer_queue *timers = &v->vm->machine.timers;
	uint64_t until = timer_queue_next(timers);

	v->place = VCPU_HALTED;
	vm_unlock_asleep(v->vm);
	(void)sm_down_all(v->sm, until == TIMER_NEVER ? 0 : until);
	vm_lock(v->vm);
	v->place = VCPU_EXITED;
	timer_queue_run(timers);
}

static void warn_of_halt(const struct vcpu *v)
{
	static struct log_rate rate = LOG_RATE(3, 60 * NS_PER_S);

	if (!(v->utcb->rflags & RFLAGS_IF) && log_allowed(&rate))
		log_warning("vcpu %u: halted with interrupts off", v->id);
}

/*
 * The end of an NMI, where the processor does not tell whether one is going on.
 * The next may come after IRET: with the next exit.
 */
void exit_iret(struct vcpu *v)
{
	v->utcb->ctrl[0] = v->vm->vendor->ctrl[0];
	v->utcb->ctrl[1] = v->vm->vendor->ctrl[1];
	v->mtd |= MTD_CTRL;
	begin(v);
	end(v);
	v->in_nmi = false;
}

void exit_hlt(struct vcpu *v)
{
	vcpu_advance(v);
	begin(v);
	warn_of_halt(v);
	while (!vcpu_is_woken(v) && v->vm->end == VM_RUNS)
		sleep(v);
	correct_tsc(v);
	end(v);
}

/* Instructions. */

void exit_cpuid(struct vcpu *v)
{
	struct utcb *u = v->utcb;
	struct cpuid_state state = {u->cr4, v->msrs.xcr0};
	struct cpuid_registers r = cpuid_read(&v->cpuid, (uint32_t)u->rax, (uint32_t)u->rcx,
					      &state);

	u->rax = r.eax;
	u->rbx = r.ebx;
	u->rcx = r.ecx;
	u->rdx = r.edx;
	v->mtd |= MTD_GPR_ACDB;
	vcpu_advance(v);
}

void exit_rdmsr(struct vcpu *v)
{
	struct utcb *u = v->utcb;
	uint64_t value;

	begin(v);
	vcpu_need(v, msr_mtd((uint32_t)u->rcx));
	if (msr_read(v, (uint32_t)u->rcx, &value)) {
		u->rax = value & 0xffffffff;
		u->rdx = value >> 32;
		v->mtd |= MTD_GPR_ACDB;
		vcpu_advance(v);
	} else {
		vcpu_general_protection(v);
	}
	end(v);
}

void exit_wrmsr(struct vcpu *v)
{
	struct utcb *u = v->utcb;
	uint64_t value = (u->rdx & 0xffffffff) << 32 | (u->rax & 0xffffffff);

	begin(v);
	vcpu_need(v, msr_mtd((uint32_t)u->rcx));
	if (msr_write(v, (uint32_t)u->rcx, value))
		vcpu_advance(v);
	else
		vcpu_general_protection(v);
	correct_tsc(v); /* which may have been written */
	end(v);
}

/* SDM 3A 13.3: x87 always, AVX only with SSE, nothing that is not there. */
static bool is_valid_xcr0(const struct vcpu *v, uint64_t value)
{
	return (value & XCR0_X87) && !(value & ~cpuid_xcr0(&v->cpuid)) &&
	       (!(value & XCR0_AVX) || (value & XCR0_SSE));
}

void exit_xsetbv(struct vcpu *v)
{
	struct utcb *u = v->utcb;
	uint64_t value = (u->rdx & 0xffffffff) << 32 | (u->rax & 0xffffffff);

	begin(v);
	if ((uint32_t)u->rcx == 0 && is_valid_xcr0(v, value)) {
		v->msrs.xcr0 = value;
		u->xcr0 = value;
		u->xss = 0;
		v->mtd |= MTD_XSAVE;
		vcpu_advance(v);
	} else {
		vcpu_general_protection(v);
	}
	end(v);
}

void exit_nothing(struct vcpu *v)
{
	begin(v);
	vcpu_advance(v);
	end(v);
}

void exit_invalid_opcode(struct vcpu *v)
{
	begin(v);
	vcpu_exception(v, &(struct exception){VECTOR_UD, false, 0, 0});
	end(v);
}

static uint64_t *gpr(struct utcb *u, unsigned reg)
{
	uint64_t *all[16] = {
		&u->rax, &u->rcx, &u->rdx, &u->rbx, &u->rsp, &u->rbp, &u->rsi, &u->rdi,
		&u->r8,	 &u->r9,  &u->r10, &u->r11, &u->r12, &u->r13, &u->r14, &u->r15,
	};

	return all[reg & 15];
}

/* Needs all general registers. */
void exit_cr8(struct vcpu *v, unsigned reg, bool write)
{
	uint64_t *value = gpr(v->utcb, reg);

	begin(v);
	if (!write) {
		*value = lapic_cr8_read(&v->lapic);
		v->mtd |= MTD_GPR_ACDB | MTD_GPR_BSD | MTD_RSP | MTD_GPR_R8_R15;
		vcpu_advance(v);
	} else if (*value <= 15) {
		lapic_cr8_write(&v->lapic, (uint8_t)*value);
		vcpu_advance(v);
	} else {
		vcpu_general_protection(v);
	}
	end(v);
}

/*
 * MOV to CR0 or CR4: kernels may leave to us what their hardware does not let
 * the guest set, CD and NW for example. Needs MTD_CR.
 */
void exit_mov_to_cr(struct vcpu *v, unsigned cr, unsigned reg)
{
	struct utcb *u = v->utcb;
	uint64_t value = *gpr(u, reg);

	begin(v);
	if (cr == 4) {
		u->cr4 = value;
	} else {
		if ((value ^ u->cr0) & CR0_PG && (v->msrs.efer & EFER_LME))
			v->mtd |= MTD_EFER;
		u->cr0 = value;
		u->efer = msr_efer(v);
	}
	v->mtd |= MTD_CR;
	vcpu_advance(v);
	end(v);
}

/* The emulator: devices in memory, string I/O. */

/* ports: for INS and OUTS, or NULL. */
static void run_emulator(struct vcpu *v, const struct mmio *ports)
{
	struct emulation e;

	vcpu_emulation(v, &e);
	e.ports = ports;
	switch (emulate(&e)) {
	case OUTCOME_DONE:
		v->mtd |= e.mtd;
		if (v->utcb->interruptibility & (SHADOW_STI | SHADOW_MOV_SS)) {
			v->utcb->interruptibility &= ~(uint32_t)(SHADOW_STI | SHADOW_MOV_SS);
			v->mtd |= MTD_STA;
		}
		break;
	case OUTCOME_AGAIN:
		v->mtd |= e.mtd;
		break;
	case OUTCOME_FAULT:
		v->mtd |= e.mtd;
		vcpu_exception(v, &e.linear.fault);
		break;
	case OUTCOME_UNKNOWN:
		vm_fail(v,
			"an instruction that cannot be emulated, at device "
			"memory 0x%llx",
			(unsigned long long)v->utcb->qual[1]);
	}
}

/*
 * The exit at rip is done but for its reply; shall the guest be run ahead? An
 * event that is due goes in first.
 */
static void consider_ahead(struct vcpu *v, uint64_t rip)
{
	if (!v->ahead.on || !ahead_pays(v, rip) || (v->mtd & MTD_INJ) || vcpu_is_woken(v))
		return;
	vcpu_need(v, MTD_AHEAD);
	correct_tsc(v);
	ahead_run(v);
}

void exit_memory(struct vcpu *v)
{
	uint64_t rip = v->utcb->rip;

	if (v->utcb->inject & INJECT_VALID) {
		vm_fail(v,
			"an interrupt or exception is delivered through "
			"device memory 0x%llx",
			(unsigned long long)v->utcb->qual[1]);
	}
	begin(v);
	run_emulator(v, NULL);
	consider_ahead(v, rip);
	end(v);
}

static void read_port(struct vcpu *v, const struct port_access *a)
{
	struct utcb *u = v->utcb;
	uint64_t value = bus_read(&v->vm->machine.ports, a->port, a->bytes);

	switch (a->bytes) {
	case 1:
		u->rax = (u->rax & ~0xffull) | (value & 0xff);
		break;
	case 2:
		u->rax = (u->rax & ~0xffffull) | (value & 0xffff);
		break;
	default:
		u->rax = value & 0xffffffff;
	}
	v->mtd |= MTD_GPR_ACDB;
}

static void access_port(struct vcpu *v, const struct port_access *a)
{
	uint64_t rip = v->utcb->rip;

	if (a->in) {
		read_port(v, a);
	} else {
		bus_write(&v->vm->machine.ports, a->port, a->bytes,
			  a->bytes == 4 ? v->utcb->rax & 0xffffffff
					: v->utcb->rax & ((1u << 8 * a->bytes) - 1));
	}
	vcpu_advance(v);
	consider_ahead(v, rip);
}

void exit_port(struct vcpu *v, const struct port_access *a)
{
	begin(v);
	if (a->string)
		run_emulator(v, &v->ports);
	else
		access_port(v, a);
	end(v);
}
