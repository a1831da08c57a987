/*
 * The policy of running ahead: where it begins, how long it goes on, what it
 * learns. The VM's lock is held for all of a run.
 *
 * A site's `wait` counts down with its exits; 0 is worth a run. A run that
 * finds nothing behind its first access, or repeatedly nothing behind a later
 * one, sets it to 2 << failures; another access behind it forgets the
 * failures.
 */
#include "ahead.h"

#include <string.h>

#include <lib/info.h>

#include "emulate.h"
#include "vcpu.h"
#include "vm.h"

enum {
	FAILURES_MAX = 12,
	MISSES_MAX = 3, /* in a row, behind one that is not the first */
};

static struct ahead_site *site_of(struct ahead *a, uint64_t rip)
{
	struct ahead_site *s = &a->site[(rip ^ rip >> 6) % AHEAD_SITES];

	if (s->rip != rip) {
		/* Nothing is known of it: the second time is tried. */
		*s = (struct ahead_site){.rip = rip, .wait = 1};
	}
	return s;
}

static bool is_due(struct ahead_site *s)
{
	if (s->wait > 0) {
		s->wait--;
		return false;
	}
	return true;
}

bool ahead_pays(struct vcpu *v, uint64_t rip)
{
	struct ahead *a = &v->ahead;

	a->last = site_of(a, rip);
	return is_due(a->last);
}

static void let_be(struct ahead_site *s)
{
	s->wait = (uint16_t)(2u << s->failures);
	if (s->failures < FAILURES_MAX)
		s->failures++;
	s->misses = 0;
}

/* No access came behind the last one. */
static void missed(struct ahead *a)
{
	if (a->accesses == 0 || a->last->misses == MISSES_MAX)
		let_be(a->last);
	else
		a->last->misses++;
}

/* struct quick_hooks */

static bool pending(void *vcpu)
{
	return vcpu_has_interrupt(vcpu);
}

static bool must_end(struct vcpu *v)
{
	return v->vm->end != VM_RUNS || lapic_nmi_pending(&v->lapic) ||
	       ((v->ahead.quick.rflags & RFLAGS_IF) && vcpu_has_interrupt(v));
}

/* Instructions until the next access. */
static unsigned grant(struct ahead *a)
{
	unsigned gap = a->left < AHEAD_GAP ? a->left : (unsigned)AHEAD_GAP;

	a->left -= gap;
	return gap;
}

static unsigned accessed(void *vcpu, uint64_t rip)
{
	struct vcpu *v = vcpu;
	struct ahead *a = &v->ahead;

	a->left += a->quick.left;
	a->last->failures = a->last->misses = 0;
	a->last = site_of(a, rip);
	a->accesses++;
	if (must_end(v) || !is_due(a->last) || a->left == 0) {
		a->ends = true;
		return 1;
	}
	return grant(a);
}

static void run_cpuid(void *vcpu, uint64_t *reg)
{
	struct vcpu *v = vcpu;
	struct cpuid_state state = {v->utcb->cr4, v->msrs.xcr0};
	struct cpuid_registers r = cpuid_read(&v->cpuid, (uint32_t)reg[REG_RAX],
					      (uint32_t)reg[REG_RCX], &state);

	reg[REG_RAX] = r.eax;
	reg[REG_RBX] = r.ebx;
	reg[REG_RCX] = r.ecx;
	reg[REG_RDX] = r.edx;
}

void ahead_init(struct vcpu *v)
{
	struct ahead *a = &v->ahead;

	a->on = VM_VCPUS == 1 && strstr(program_info->arguments, "run-ahead=off") == NULL;
	a->runs = status_add_counter("runs");
	a->instructions = status_add_counter("run-insns");
	a->saved = status_add_counter("run-exits");
}

/*
 * One that is not for quick_run(): perhaps the emulator's, which may find a
 * device as well. false: it is the processor's.
 */
static bool emulate_one(struct vcpu *v)
{
	struct ahead *a = &v->ahead;
	struct emulation e;

	if (a->quick.left <= AHEAD_EMULATED)
		return false;
	vcpu_emulation(v, &e);
	e.ports = NULL;
	if (emulate(&e) != OUTCOME_DONE)
		return false;
	quick_load(&a->quick, v->utcb);
	a->quick.left -= AHEAD_EMULATED;
	if (e.place.pieces > 0 && e.place.piece[0].ram == NULL)
		a->quick.left = accessed(v, v->utcb->rip);
	return true;
}

void ahead_run(struct vcpu *v)
{
	struct ahead *a = &v->ahead;
	struct quick *q = &a->quick;
	const struct quick_hooks hooks = {&v->ports, run_cpuid, accessed, pending, v};
	bool more;

	if (!quick_can(v->utcb)) {
		let_be(a->last);
		return;
	}
	a->left = AHEAD_ALL;
	a->accesses = 0;
	a->ends = false;
	quick_begin(q, v->utcb, &v->vm->machine.mem, cpuid_address_bits(&v->cpuid), &hooks);
	q->left = grant(a);
	do {
		more = !quick_run(q);
		quick_save(q, v->utcb);
	} while (more && emulate_one(v));
	if (!a->ends)
		missed(a);
	++*a->runs;
	*a->instructions += AHEAD_ALL - a->left - q->left;
	*a->saved += a->accesses;
	v->mtd |= MTD_GPR_ACDB | MTD_GPR_BSD | MTD_RSP | MTD_GPR_R8_R15 | MTD_RIP_LEN | MTD_RFLAGS;
}
