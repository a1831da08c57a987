/*
 * How a vCPU comes to be: its handler, a portal for each event at the MTD of
 * the vendor's table, its EC and SC; the way of its exits to their handlers;
 * and its view of the buses, which differs from others' by its local APIC.
 */
#include "vcpu.h"

#include <stddef.h>
#include <string.h>

#include <lib/info.h>
#include <lib/message.h>
#include <lib/sel.h>
#include <lib/thread.h>
#include <lib/time.h>

#include "emulate.h"
#include "report.h"
#include "vm.h"

enum {
	EVENTS_ORDER = 8,
	SHADOWS = SHADOW_STI | SHADOW_MOV_SS,
};

_Static_assert(EVENTS_VCPU == 1 << EVENTS_ORDER, "portals are delegated so");
_Static_assert(offsetof(struct thread, argument) == 16, "vcpu_entry.S");

void vcpu_entry(void);

/* Exits. */

/* One that nobody expects is reported with all the state there is. */
static uint64_t exit_mtd(const struct exit *exit)
{
	return exit->handler != NULL ? exit->mtd : MTD_REPORT;
}

void vcpu_exit(unsigned long event, struct vcpu *v)
{
	const struct exit *exit = &v->vm->vendor->exits[event];

	v->have = exit_mtd(exit);
	v->mtd = 0;
	v->reason = exit->reason;
	if (exit->handler != NULL) {
		exit->handler(v);
	} else {
		vm_fail(v, "unexpected exit 0x%lx, qualification %llx %llx", event,
			(unsigned long long)v->utcb->qual[0], (unsigned long long)v->utcb->qual[1]);
	}
	++*v->counts[v->reason];
	++*v->exits;
	v->utcb->mtd = v->mtd;
	v->utcb->items = 0;
}

void vcpu_advance(struct vcpu *v)
{
	struct utcb *u = v->utcb;

	u->rip += u->length;
	v->mtd |= MTD_RIP_LEN;
	if ((v->have & MTD_STA) && (u->interruptibility & SHADOWS)) {
		u->interruptibility &= ~(uint32_t)SHADOWS;
		v->mtd |= MTD_STA;
	}
}

/*
 * The state goes into the UTCB beside what is there. The kernel also recalls the
 * vCPU, which is taken back: whoever wanted it recalled meanwhile left something
 * that the end of this exit looks for.
 */
void vcpu_ask(struct vcpu *v, uint64_t mtd)
{
	uint64_t asked = mtd & ~(v->mtd | MTD_EFER);

	if (asked != 0) {
		(void)vcpu_get_state(v->ec, asked);
		v->utcb->mtd = 0;
		(void)vcpu_set_state(v->ec, false);
		++*v->asked;
	}
	if (mtd & MTD_EFER)
		v->utcb->efer = msr_efer(v);
	v->have |= mtd;
}

static void need(void *vcpu, uint64_t mtd)
{
	vcpu_need(vcpu, mtd);
}

void vcpu_emulation(struct vcpu *v, struct emulation *e)
{
	vcpu_need(v, MTD_EMULATION | MTD_EFER);
	emulate_init(e, v->utcb, &v->vm->machine.mem, &v->memory, &v->ports,
		     cpuid_address_bits(&v->cpuid));
	e->need = need;
	e->opaque = v;
}

uint64_t vcpu_tsc(const struct vcpu *v)
{
	return time_tsc() + v->msrs.tsc_offset;
}

/* Attention. */

void vcpu_kick(void *vcpu)
{
	struct vcpu *v = vcpu;

	switch (v->place) {
	case VCPU_RUNNING:
		(void)ec_recall(v->ec);
		break;
	case VCPU_HALTED:
		(void)sm_up(v->sm);
		break;
	case VCPU_EXITED:
		break;
	}
}

/* Devices as this vCPU sees them: each has its own local APIC. */

static uint64_t read_memory(void *vcpu, uint64_t gpa, unsigned bytes)
{
	struct vcpu *v = vcpu;

	if (lapic_mapped(&v->lapic, gpa))
		return lapic_mmio_read(&v->lapic, gpa % LAPIC_SIZE, bytes);
	return bus_read(&v->vm->machine.memory, gpa, bytes);
}

static void write_memory(void *vcpu, uint64_t gpa, unsigned bytes, uint64_t value)
{
	struct vcpu *v = vcpu;

	if (lapic_mapped(&v->lapic, gpa)) {
		lapic_mmio_write(&v->lapic, gpa % LAPIC_SIZE, bytes, value);
		return;
	}
	bus_write(&v->vm->machine.memory, gpa, bytes, value);
}

static uint64_t read_port(void *vcpu, uint64_t port, unsigned bytes)
{
	struct vcpu *v = vcpu;

	return bus_read(&v->vm->machine.ports, port, bytes);
}

static void write_port(void *vcpu, uint64_t port, unsigned bytes, uint64_t value)
{
	struct vcpu *v = vcpu;

	bus_write(&v->vm->machine.ports, port, bytes, value);
}

/* Creation. */

static struct cpuid_registers host_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_registers r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

/* QEMU's emulation of SVM does not intercept XSETBV: it cannot be offered. */
static bool lets_xsetbv_through(void)
{
	const struct cpuid_registers r = host_cpuid(0x40000000, 0);

	return (host_cpuid(1, 0).ecx & 1u << 31) && memcmp(&r.ebx, "TCGTCGTCGTCG", 12) == 0;
}

/* What XCR0 may have, as far as the kernel switches it; 0: no XSAVE. */
static uint64_t host_xcr0(void)
{
	enum { OSXSAVE = 1 << 27 };
	uint32_t low, high;

	if (!(host_cpuid(1, 0).ecx & OSXSAVE) || lets_xsetbv_through())
		return 0;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

static void init_state(struct vcpu *v)
{
	const struct cpuid_config config = {
		.host = host_cpuid,
		.apic_id = v->id,
		.vcpus = VM_VCPUS,
		.tsc_khz = program_info->tsc_khz,
		.xcr0 = host_xcr0(),
	};

	cpuid_init(&v->cpuid, &config);
	msr_reset(v);
}

static bool init_lapic(struct vcpu *v)
{
	struct machine *m = &v->vm->machine;
	const struct lapic_config config = {
		.id = v->id,
		.bsp = v->id == 0,
		.all = &m->lapics,
		.timers = &m->timers,
		.timer_hz = cpuid_timer_hz(&v->cpuid),
		.hooks = {.kick = vcpu_kick, .opaque = v},
		.eoi = ioapic_eoi,
		.ioapic = &m->ioapic,
	};

	if (!lapic_init(&v->lapic, &config))
		return false;
	/* There is no firmware to do it before the guest starts. */
	if (config.bsp)
		lapic_virtual_wire(&v->lapic);
	return true;
}

/* The portals, in our PD and then in the guest's at its event base. */
static enum status create_portals(struct vcpu *v, unsigned long base)
{
	unsigned long first = sel_alloc(EVENTS_ORDER);
	enum status status = first != 0 ? SUCCESS : OUT_OF_MEMORY;

	for (unsigned i = 0; i < EVENTS_VCPU && status == SUCCESS; i++) {
		const struct exit *exit = &v->vm->vendor->exits[i];

		status = create_pt(first + i, SEL_PD, v->handler->ec, exit_mtd(exit),
				   (unsigned long)vcpu_entry);
		if (status == SUCCESS)
			status = pt_ctrl(first + i, i);
	}
	if (status == SUCCESS) {
		status = delegate_range(SEL_PD, CRD_OBJ, first, EVENTS_VCPU, RIGHTS_ALL, 0,
					v->vm->pd, base);
	}
	return status;
}

static const char *create_handler(struct vcpu *v)
{
	enum status status;
	struct thread *handler = handler_create(v->cpu, &status);

	if (handler == NULL)
		return "handler";
	handler->argument = v;
	v->handler = handler;
	v->utcb = handler->utcb;
	return NULL;
}

static const char *create_ec_and_sc(struct vcpu *v, unsigned long base)
{
	v->ec = sel_alloc(0);
	v->sc = sel_alloc(0);
	v->sm = sel_alloc(0);
	if (v->ec == 0 || v->sc == 0 || v->sm == 0)
		return "selectors";
	if (create_sm(v->sm, SEL_PD, 0) != SUCCESS)
		return "semaphore";
	if (create_vcpu(v->ec, v->vm->pd, v->cpu, base) != SUCCESS)
		return "vCPU";
	status_add_thread("vcpu", v->sc, v->cpu);
	return create_sc(v->sc, SEL_PD, v->ec,
			 QPD(program_info->priority, program_info->quantum)) == SUCCESS
		       ? NULL
		       : "scheduling context";
}

const char *vcpu_start(struct vcpu *v, struct vm *vm, unsigned id, unsigned cpu)
{
	unsigned long base = (unsigned long)id * EVENTS_VCPU;
	const char *wrong;

	v->vm = vm;
	v->id = id;
	v->cpu = cpu;
	v->memory = (struct mmio){read_memory, write_memory, v};
	v->ports = (struct mmio){read_port, write_port, v};
	report_count(v);
	ahead_init(v);
	init_state(v);
	if (!init_lapic(v))
		return "local APIC";
	wrong = create_handler(v);
	if (wrong != NULL)
		return wrong;
	if (create_portals(v, base) != SUCCESS)
		return "portals";
	return create_ec_and_sc(v, base);
}
