/*
 * What vCPUs of both vendors need: their memory, identifiers of their TLB
 * entries, the registers that guest mode does not switch.
 */
#include "vcpu.h"

#include "../fpu.h"
#include "../log.h"
#include "../pd.h"
#include "insn.h"
#include "mitigate.h"

const struct vcpu_ops *vcpu_ops;
uint8_t *vcpu_io_bitmap, *vcpu_msr_bitmap;

/* As large as the vendor's is that needs more: SVM. The bitmap for MSRs follows that for I/O. */
enum { BITMAPS_ORDER = 3, IO_BYTES = PAGE_SIZE << 2, HOST_ORDER = 1 };

bool vcpu_init(struct cpu *cpu, const struct vcpu_ops *ops)
{
	const char *missing = "memory";

	if (!cpu->vcpu_host)
		cpu->vcpu_host = page_alloc(NULL, HOST_ORDER, true);
	if (!vcpu_io_bitmap)
		vcpu_io_bitmap = page_alloc(NULL, BITMAPS_ORDER, false);
	if (cpu->vcpu_host && vcpu_io_bitmap) {
		if (!vcpu_ops) {
			__builtin_memset(vcpu_io_bitmap, 0xff, PAGE_SIZE << BITMAPS_ORDER);
			vcpu_msr_bitmap = vcpu_io_bitmap + IO_BYTES;
		}
		cpu->vcpu_host_phys = pool_to_phys(cpu->vcpu_host);
		missing = ops->turn_on(cpu, !vcpu_ops);
	}
	if (missing)
		log("%s: not used, for want of %s\n", ops->name, missing);
	else
		vcpu_ops = ops;
	return !missing;
}

/* Its PD has guest page tables from now on: 4 levels, as both vendors use them. */
enum status vcpu_create(struct ec *ec)
{
	struct pd *owner = ec->object.owner;
	struct vcpu *v = page_alloc(owner, 0, true);
	bool complete;

	if (!v)
		return OUT_OF_MEMORY;
	ec->vcpu = v;
	v->block = page_alloc(owner, vcpu_ops->block_order, true);
	lock(&mdb_lock);
	complete = v->block && tree_table(&ec->pd->tables[PTAB_GUEST], ec->pd, 4);
	unlock(&mdb_lock);
	if (!complete) {
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
	bool all_used = cpu->asid_next == 0 || cpu->asid_next >= limit;

	if (vcpu_known(vcpu))
		return false;
	if (all_used) {
		cpu->asid_next = 1; /* 0 is the host's */
		cpu->asid_generation++;
	}
	vcpu->asid = cpu->asid_next++;
	vcpu->asid_generation = cpu->asid_generation;
	return all_used;
}

/* Those that exits leave alone, and entries do not load: X(where it is kept, number). */
#define DEBUG_REGISTERS(X) X(dr[0], 0) X(dr[1], 1) X(dr[2], 2) X(dr[3], 3) X(dr6, 6)

static void save_debug(struct vcpu *v)
{
#define SAVE(to, n) __asm__ volatile("mov %%dr" #n ", %0" : "=r"(v->to));
	DEBUG_REGISTERS(SAVE)
#undef SAVE
}

/*
 * Exits leave these registers alone, and the kernel has no use for them: they
 * move from vCPU to vCPU. Breakpoints are off in the host, because exits reset
 * DR7. One that is not ready to run waits for vcpu_prepare(): another may be, and would
 * run on with what is loaded here.
 */
void vcpu_take_debug(struct ec *ec)
{
	struct cpu *cpu = this_cpu();
	struct vcpu *v = ec->vcpu;

	v->debugs = 1;
	if (cpu->debug_owner == ec || cpu->fpu_owner != ec)
		return;
	if (cpu->debug_owner)
		save_debug(cpu->debug_owner->vcpu);
#define LOAD(from, n) __asm__ volatile("mov %0, %%dr" #n : : "r"(v->from));
	DEBUG_REGISTERS(LOAD)
#undef LOAD
	cpu->debug_owner = ec;
}

void vcpu_set_loaded(struct ec *ec)
{
	struct cpu *cpu = this_cpu();

	cpu->vcpu_loaded = ec;
	/* Before the generation is read: tlb.c. */
	__atomic_store_n(&cpu->vcpu_running, ec, __ATOMIC_SEQ_CST);
}

unsigned vcpu_prepare(struct ec *ec)
{
	struct vcpu *v = ec->vcpu;
	uint8_t *map = ec->pd->guest_io ? ec->pd->guest_io : vcpu_io_bitmap;
	uint64_t now = __atomic_load_n(&ec->pd->guest_generation, __ATOMIC_SEQ_CST);
	unsigned changes = (v->guest_io != map ? VCPU_NEW_IO : 0) |
			   (v->generation != now ? VCPU_NEW_TABLES : 0);

	v->guest_io = map;
	v->generation = now;
	if (this_cpu()->fpu_owner != ec) {
		fpu_switch(ec);
		mitigate_switch(true);
	}
	if (v->debugs)
		vcpu_take_debug(ec);
	return changes;
}

void vcpu_hide(struct cpu *cpu)
{
	if (cpu->tsc_aux != cpu->tsc_aux_host) {
		cpu->tsc_aux = cpu->tsc_aux_host;
		cpu->vcpu_loaded = NULL;
		wrmsr(MSR_TSC_AUX, cpu->tsc_aux);
	}
}

/* The PD that handles its recall may see what is left of it. */
struct ec *vcpu_part(struct ec *ec, struct ec *next)
{
	uint64_t recall = ec->events + (uint64_t)EVENT_VCPU_RECALL;
	const struct pt *pt = pd_object(ec->pd, recall, OBJECT_PT, 0);

	if (next != ec && (!pt || pt->ec->pd != this_cpu()->pd)) {
		fpu_drop(ec);
		mitigate_switch(false);
	}
	return next;
}

void vcpu_leave(struct ec *ec)
{
	struct cpu *cpu = this_cpu();

	vcpu_hide(cpu);
	ec->vcpu->asid = 0;
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
	cpu->asid_generation++;
}

/*
 * Would XSETBV take it, and does the kernel keep its state? x87 is always on;
 * AVX-512 and MPX are there in whole or not, and the vectors need the shorter
 * ones: SDM 1 13.3.
 */
static bool xcr0_valid(uint64_t xcr0)
{
	enum { X87 = 1 << 0, SSE = 1 << 1, AVX = 1 << 2, MPX = 3 << 3, AVX512 = 7 << 5 };
	uint64_t mpx = xcr0 & MPX, avx512 = xcr0 & AVX512;

	return !(xcr0 & ~fpu_xcr0) && xcr0 & X87 && (xcr0 & SSE || !(xcr0 & AVX)) &&
	       (mpx == MPX || !mpx) && ((avx512 == AVX512 && xcr0 & AVX) || !avx512);
}

void vcpu_load_xsave(struct ec *ec, const struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_XSAVE) {
		uint64_t xcr0 = ONCE(u->xcr0), xss = ONCE(u->xss);

		if (xcr0_valid(xcr0))
			ec->xcr0 = xcr0;
		if (!(xss & ~fpu_xss))
			ec->xss = xss;
		if (this_cpu()->fpu_owner == ec)
			fpu_switch(ec);
	}
	if (mtd & MTD_FPU)
		fpu_load(ec, u);
}

#define LET_IN(name, instructions)                             \
	struct ec *name(struct ec *ec)                         \
	{                                                      \
		__asm__ volatile(instructions : : : "memory"); \
		return preempt(ec);                            \
	}
LET_IN(vcpu_let_in, "sti; nop; cli")
LET_IN(vcpu_nmi, "int $2") /* the handler's IRET lets the next one in */
LET_IN(vcpu_machine_check, "int $18")
