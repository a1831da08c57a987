/*
 * What vCPUs of both vendors need: their memory, identifiers of their TLB
 * entries, the registers that guest mode does not switch.
 */
#include "vcpu.h"

#include "../fpu.h"
#include "../pd.h"
#include "cpu.h"
#include "insn.h"
#include "mitigate.h"

const struct vcpu_ops *vcpu_ops;

/* Guest page tables of its PD, from now on there. */
static bool need_root(struct pd *pd)
{
	uint64_t *root = page_alloc(pd, 0, true);

	if (!root)
		return false;
	lock(&mdb_lock);
	if (!pd->tables[PTAB_GUEST].root) {
		pd->tables[PTAB_GUEST].root = root;
		root = NULL;
	}
	unlock(&mdb_lock);
	if (root)
		page_free(pd, root, 0);
	return true;
}

enum status vcpu_create(struct ec *ec)
{
	struct pd *owner = ec->object.owner;
	struct vcpu *v = page_alloc(owner, 0, true);

	if (!v)
		return OUT_OF_MEMORY;
	ec->vcpu = v;
	v->block = page_alloc(owner, vcpu_ops->block_order, true);
	if (!v->block || !need_root(ec->pd)) {
		vcpu_destroy(ec);
		return OUT_OF_MEMORY;
	}
	v->block_phys = pool_to_phys(v->block);
	vcpu_ops->init(ec);
	return SUCCESS;
}

void vcpu_destroy(struct ec *ec)
{
	struct pd *owner = ec->object.owner;

	if (ec->vcpu->block)
		page_free(owner, ec->vcpu->block, vcpu_ops->block_order);
	page_free(owner, ec->vcpu, 0);
	ec->vcpu = NULL;
}

/*
 * Identifiers are given in turn and never given back. When they are used up a
 * new generation begins: every vCPU takes another when it is loaded next.
 */
bool vcpu_take_asid(struct vcpu *vcpu, uint32_t limit)
{
	struct cpu *cpu = this_cpu();
	bool flush = false;

	if (vcpu->asid && vcpu->asid_generation == cpu->asid_generation)
		return false;
	if (cpu->asid_next == 0 || cpu->asid_next >= limit) {
		cpu->asid_next = 1; /* 0 is the host's */
		cpu->asid_generation++;
		flush = true;
	}
	vcpu->asid = cpu->asid_next++;
	vcpu->asid_generation = cpu->asid_generation;
	return flush;
}

#define DR_READ(n, to)	  __asm__ volatile("mov %%dr" #n ", %0" : "=r"(to))
#define DR_WRITE(n, from) __asm__ volatile("mov %0, %%dr" #n : : "r"(from))

static void save_debug(struct vcpu *v)
{
	DR_READ(0, v->dr[0]);
	DR_READ(1, v->dr[1]);
	DR_READ(2, v->dr[2]);
	DR_READ(3, v->dr[3]);
	DR_READ(6, v->dr6);
}

/*
 * Exits leave these registers alone, and the kernel has no use for them: they
 * move from vCPU to vCPU. Breakpoints are off in the host, because exits reset
 * DR7.
 */
void vcpu_take_debug(struct ec *ec)
{
	struct cpu *cpu = this_cpu();
	struct vcpu *v = ec->vcpu;

	v->debugs = 1;
	if (cpu->debug_owner == ec)
		return;
	if (cpu->debug_owner)
		save_debug(cpu->debug_owner->vcpu);
	DR_WRITE(0, v->dr[0]);
	DR_WRITE(1, v->dr[1]);
	DR_WRITE(2, v->dr[2]);
	DR_WRITE(3, v->dr[3]);
	DR_WRITE(6, v->dr6);
	cpu->debug_owner = ec;
}

void vcpu_set_loaded(struct ec *ec)
{
	struct cpu *cpu = this_cpu();

	cpu->vcpu_loaded = ec;
	/* Before the generation is read: tlb.c. */
	__atomic_store_n(&cpu->vcpu_running, ec, __ATOMIC_SEQ_CST);
}

void vcpu_prepare(struct ec *ec)
{
	if (this_cpu()->fpu_owner != ec) {
		fpu_switch(ec);
		mitigate_guest();
	}
	if (ec->vcpu->debugs)
		vcpu_take_debug(ec);
}

void vcpu_hide(struct cpu *cpu)
{
	if (cpu->tsc_aux != cpu->tsc_aux_host) {
		cpu->tsc_aux = cpu->tsc_aux_host;
		cpu->vcpu_loaded = NULL;
		wrmsr(MSR_TSC_AUX, cpu->tsc_aux);
	}
}

void vcpu_leave(struct ec *ec)
{
	struct cpu *cpu = this_cpu();

	vcpu_hide(cpu);
	if (cpu->debug_owner == ec) {
		save_debug(ec->vcpu);
		cpu->debug_owner = NULL;
	}
	if (cpu->vcpu_loaded == ec)
		cpu->vcpu_loaded = NULL;
	if (cpu->vcpu_running == ec)
		__atomic_store_n(&cpu->vcpu_running, NULL, __ATOMIC_RELEASE);
}

void vcpu_leave_all(struct cpu *cpu)
{
	while (!list_empty(&cpu->vcpus))
		vcpu_ops->unload(container_of(cpu->vcpus.next, struct vcpu, cached)->ec);
	if (cpu->vcpu_loaded)
		vcpu_ops->unload(cpu->vcpu_loaded);
	if (cpu->debug_owner)
		vcpu_leave(cpu->debug_owner);
	cpu->asid_next = 0;
}

/* Bits of XCR0, and groups that go together: SDM 1 13.3. */
enum {
	XCR0_X87 = 1 << 0,
	XCR0_SSE = 1 << 1,
	XCR0_AVX = 1 << 2,
	XCR0_MPX = 3 << 3,
	XCR0_AVX512 = 7 << 5,
};

static bool all_or_none(uint64_t value, uint64_t group)
{
	return (value & group) == 0 || (value & group) == group;
}

/* Would XSETBV take it, and does the kernel keep its state? */
static bool xcr0_valid(uint64_t xcr0)
{
	return (xcr0 & ~fpu_xcr0) == 0 && (xcr0 & XCR0_X87) &&
	       (!(xcr0 & XCR0_AVX) || (xcr0 & XCR0_SSE)) &&
	       (!(xcr0 & XCR0_AVX512) || (xcr0 & XCR0_AVX)) && all_or_none(xcr0, XCR0_MPX) &&
	       all_or_none(xcr0, XCR0_AVX512);
}

void vcpu_load_xsave(struct ec *ec, const struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_XSAVE) {
		if (xcr0_valid(u->xcr0))
			ec->xcr0 = u->xcr0;
		if (!(u->xss & ~fpu_xss))
			ec->xss = u->xss;
		if (this_cpu()->fpu_owner == ec)
			fpu_switch(ec);
	}
	if (mtd & MTD_FPU)
		fpu_load(ec, u);
}

struct ec *vcpu_machine_check(struct ec *ec)
{
	__asm__ volatile("int $18" : : : "memory");
	return vcpu_interrupted(ec);
}
