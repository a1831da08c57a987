/*
 * What vCPUs of both vendors need: identifiers of their TLB entries, the debug
 * registers, XCR0, roots of guest page tables.
 */
#include "vcpu.h"

#include "../fpu.h"
#include "../mapping.h"
#include "../page.h"
#include "../pd.h"
#include "cpu.h"
#include "insn.h"

const struct vcpu_ops *vcpu_ops;

enum status vcpu_need_root(struct pd *pd)
{
	uint64_t *root = page_alloc(pd, 0, true);

	if (!root) {
		return OUT_OF_MEMORY;
	}
	lock(&mdb_lock);
	if (!pd->tables[PTAB_GUEST].root) {
		pd->tables[PTAB_GUEST].root = root;
		root = NULL;
	}
	unlock(&mdb_lock);
	if (root) {
		page_free(pd, root, 0);
	}
	return SUCCESS;
}

/*
 * Identifiers are given in turn and never given back. When they are used up a
 * new generation begins: every vCPU takes another when it is loaded next.
 */
bool vcpu_take_asid(struct vcpu *vcpu, uint32_t limit)
{
	struct cpu *cpu = this_cpu();
	bool flush = false;

	if (cpu->asid_next == 0 || cpu->asid_next >= limit) {
		cpu->asid_next = 1;	/* 0 is the host's */
		cpu->asid_generation++;
		flush = true;
	}
	vcpu->asid = cpu->asid_next++;
	vcpu->asid_generation = cpu->asid_generation;
	return flush;
}

#define DR_READ(n, to) __asm__ volatile("mov %%dr" #n ", %0" : "=r"(to))
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

	if (cpu->debug_owner == ec) {
		return;
	}
	if (cpu->debug_owner) {
		save_debug(cpu->debug_owner->vcpu);
	}
	DR_WRITE(0, v->dr[0]);
	DR_WRITE(1, v->dr[1]);
	DR_WRITE(2, v->dr[2]);
	DR_WRITE(3, v->dr[3]);
	DR_WRITE(6, v->dr6);
	cpu->debug_owner = ec;
}

/* B0 to B3 are what is so now; the others stay until software clears them. */
void vcpu_set_dr6(uint64_t causes)
{
	uint64_t dr6;

	DR_READ(6, dr6);
	DR_WRITE(6, (dr6 & ~15ul) | causes);
}

void vcpu_leave(struct ec *ec)
{
	struct cpu *cpu = this_cpu();

	if (cpu->debug_owner == ec) {
		save_debug(ec->vcpu);
		cpu->debug_owner = NULL;
	}
	if (cpu->vcpu_loaded == ec) {
		cpu->vcpu_loaded = NULL;
	}
	if (cpu->vcpu_running == ec) {
		__atomic_store_n(&cpu->vcpu_running, NULL, __ATOMIC_RELEASE);
	}
}

/* Bits of XCR0, and groups that go together: SDM 1 13.3. */
enum {
	XCR0_X87 = 1 << 0,
	XCR0_SSE = 1 << 1,
	XCR0_AVX = 1 << 2,
	XCR0_MPX = 3 << 3,
	XCR0_AVX512 = 7 << 5,
	XCR0_AMX = 3 << 17,
};

static bool all_or_none(uint64_t value, uint64_t group)
{
	return (value & group) == 0 || (value & group) == group;
}

bool vcpu_xcr0_valid(uint64_t xcr0, uint64_t offered)
{
	return (xcr0 & ~offered) == 0 && (xcr0 & XCR0_X87) &&
	       (!(xcr0 & XCR0_AVX) || (xcr0 & XCR0_SSE)) &&
	       (!(xcr0 & XCR0_AVX512) || (xcr0 & XCR0_AVX)) &&
	       all_or_none(xcr0, XCR0_MPX) &&
	       all_or_none(xcr0, XCR0_AVX512) && all_or_none(xcr0, XCR0_AMX);
}

void vcpu_load_xcr0(struct ec *ec, uint64_t xcr0)
{
	if (xcr0 == ec->xcr0 || !vcpu_xcr0_valid(xcr0, fpu_xcr0)) {
		return;
	}
	ec->xcr0 = xcr0;
	if (this_cpu()->fpu_owner == ec) {
		fpu_switch(ec);
	}
}
