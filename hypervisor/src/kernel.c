/*
 * From a machine that is set up to the first program.
 */
#include "kernel.h"

#include "log.h"
#include "sc.h"
#include "syscall.h"
#include "x86/boot.h"
#include "x86/hip.h"
#include "x86/insn.h"

/* The quantum in us; pages that root does not get. */
enum { ROOT_PRIORITY = 1, ROOT_QUANTUM = 10000, QUOTA_RESERVE = 64 };

struct sm *sm_suspend;

extern const char switch_to[];

static void must(bool done)
{
	if (!done)
		panic("the first objects cannot be created");
}

/* Root's segments are mapped where they are, in the module. */
static void map_root(uint64_t phys, uint64_t address, unsigned rights)
{
	struct transfer t = {.to = pd_root,
			     .source = phys >> PAGE_BITS,
			     .target = address >> PAGE_BITS,
			     .type = CRD_MEM,
			     .rights = (uint8_t)rights,
			     .kernel = true,
			     .left = TRANSFER_STEPS};

	if (mapping_delegate(&t) != SUCCESS || !t.got)
		panic("root: cannot map its image");
}

/* Both of these stay, whatever root does with its capability. */
static void give(uint64_t selector, struct object *o)
{
	must(mapping_create(pd_root, selector, o) == SUCCESS);
	object_get(o);
}

static struct sm *give_authority(uint64_t selector)
{
	struct sm *sm = sm_create(&pd_kernel, 0, NULL);

	must(sm);
	give(selector, &sm->object);
	return sm;
}

/* The first instruction of root finds what abi/hip.h says. */
void kernel_create_root(void)
{
	const struct hip_mem *m = boot_info.mem;
	uint64_t used = pd_kernel.quota.used + page_overhead() + QUOTA_RESERVE;
	uint64_t all = pool_size >> PAGE_BITS;
	struct ec_parameters p = {
		.utcb = ROOT_UTCB, .sp = ROOT_HIP, .cpu = this_cpu()->id, .global = true};
	struct mapping *hip;
	struct ec *ec;
	struct sc *sc;

	must(pd_create(&pd_root, &pd_kernel, all > used ? all - used : 0) == SUCCESS);
	p.pd = pd_root;
	must(ec_create(&ec, &p) == SUCCESS);
	sc = sc_create(pd_root, ec, ROOT_PRIORITY, ROOT_QUANTUM);
	must(sc);
	/* Its UTCB is memory that it may map elsewhere. */
	ec->utcb_mapping->flags &= ~(uint32_t)MAPPING_FIXED;
	ec->utcb_mapping->rights = MEM_R | MEM_W;
	ec->utcb_mapping = NULL;
	must(mapping_fix(pd_root, ROOT_HIP >> PAGE_BITS, pool_to_phys(hip_page) >> PAGE_BITS, MEM_R,
			 &hip) == SUCCESS);
	give(SEL_ROOT_PD, &pd_root->object);
	give(SEL_ROOT_EC, &ec->object);
	must(mapping_create(pd_root, SEL_ROOT_SC, &sc->object) == SUCCESS);
	sm_suspend = give_authority(SEL_SUSPEND);
	msr_authority = give_authority(SEL_MSR);

	while (m->type != (uint32_t)HIP_MEM_MODULE)
		if (++m == boot_info.mem + boot_info.mems)
			panic("the boot loader gave no module to be the root task");
	ec->regs.rip = elf_load(m->address, m->size, map_root);
	ec->regs.rdi = p.cpu;
	ec->resume = resume_iret;
	ec->own_sc = sc;
	sc_start(sc);
}

void kernel_init_cpu(struct cpu *cpu)
{
	for (unsigned i = 0; i < PRIORITIES; i++)
		list_init(&cpu->ready[i]);
	list_init(&cpu->vcpus);
	cpu->timer_armed = ~0ul;
	cpu->idle_since = rdtsc();
	cpu->idle = ec_alloc(&pd_kernel, cpu->id);
	must(cpu->idle);
	cpu->idle->resume = resume_idle;
	cpu->idle_sc = sc_create(&pd_kernel, cpu->idle, 0, 0);
	must(cpu->idle_sc);
	must(mapping_create(&pd_kernel, KERNEL_SEL_IDLE_SC + cpu->id, &cpu->idle_sc->object) ==
	     SUCCESS);
	cpu->current = cpu->idle;
	cpu->pd = &pd_kernel;
}

void kernel_start(struct cpu *cpu)
{
	pd_load(&pd_kernel);
	cpu->resched = 1;
	__asm__ volatile("jmp *%0" : : "r"(switch_to), "a"(preempt(cpu->idle)) : "memory");
	__builtin_unreachable();
}
