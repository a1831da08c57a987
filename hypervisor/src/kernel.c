/*
 * From a machine that is set up to the first program.
 */
#include "kernel.h"

#include "elf.h"
#include "panic.h"
#include "sc.h"
#include "syscall.h"
#include "x86/boot.h"
#include "x86/cpu.h"
#include "x86/irq.h"
#include "x86/hip.h"
#include "x86/insn.h"

enum {
	ROOT_PRIORITY = 1,
	ROOT_QUANTUM = 10000, /* us */
	QUOTA_RESERVE = 64,   /* pages that root does not get */
};

struct sm *sm_suspend;

extern const char switch_to[];

/* Root's segments are mapped where they are, in the module. */
static void map_segment(struct pd *pd, uint64_t phys, const struct elf_segment *s)
{
	for (uint64_t at = 0; at < s->size; at += PAGE_SIZE) {
		struct transfer t = {
			.from = NULL,
			.to = pd,
			.source = (phys + s->offset + at) >> PAGE_BITS,
			.target = (s->address + at) >> PAGE_BITS,
			.type = CRD_MEM,
			.rights = (uint8_t)s->rights,
			.kernel = true,
			.left = TRANSFER_STEPS,
		};

		if (mapping_delegate(&t) != SUCCESS || !t.got)
			panic("root: cannot map its image");
	}
}

static uint64_t load_root(struct pd *pd)
{
	const struct boot_module *m = boot_root();
	struct elf_segment s;
	struct elf elf;

	if (m->phys & PAGE_MASK || !elf_open(&elf, m->phys, m->size))
		panic("root: not a static ELF64 image");
	for (unsigned i = 0; elf_segment(&elf, i, &s); i++)
		map_segment(pd, m->phys, &s);
	return elf.entry;
}

static void give(struct pd *pd, uint64_t selector, struct object *o)
{
	if (mapping_create(pd, selector, o) != SUCCESS)
		panic("root: no memory for its first capabilities");
}

static void must(bool ok)
{
	if (!ok)
		panic("root: cannot be created");
}

static struct sm *create_authority(struct pd *pd, uint64_t selector)
{
	struct sm *sm = sm_create(&pd_kernel, 0, NULL);

	must(sm);
	give(pd, selector, &sm->object);
	return sm;
}

static uint64_t free_pages(void)
{
	uint64_t all = pool_size >> PAGE_BITS;
	uint64_t used = pd_kernel.quota.used + page_overhead() + QUOTA_RESERVE;

	return all > used ? all - used : 0;
}

/* The first instruction of root finds what abi/hip.h says. */
static void start_root(void)
{
	struct ec_parameters p = {
		.utcb = ROOT_UTCB,
		.sp = ROOT_HIP,
		.cpu = this_cpu()->id,
		.global = true,
	};
	struct mapping *hip;
	struct ec *ec;
	struct sc *sc;

	must(pd_create(&pd_root, &pd_kernel, free_pages()) == SUCCESS);
	p.pd = pd_root;
	must(ec_create(&ec, &p) == SUCCESS);
	sc = sc_create(pd_root, ec, ROOT_PRIORITY, ROOT_QUANTUM);
	must(sc);
	object_get(&pd_root->object); /* it stays, and the HIP in it */
	object_get(&ec->object);      /* so does its UTCB, which it may map */
	ec->utcb_mapping->flags &= ~(uint32_t)MAPPING_FIXED;
	ec->utcb_mapping->rights = MEM_R | MEM_W;
	ec->utcb_mapping = NULL;
	must(mapping_fix(pd_root, ROOT_HIP >> PAGE_BITS, pool_to_phys(hip_page) >> PAGE_BITS, MEM_R,
			 &hip) == SUCCESS);
	give(pd_root, SEL_ROOT_PD, &pd_root->object);
	give(pd_root, SEL_ROOT_EC, &ec->object);
	give(pd_root, SEL_ROOT_SC, &sc->object);
	sm_suspend = create_authority(pd_root, SEL_SUSPEND);
	object_get(&sm_suspend->object);
	msr_authority = create_authority(pd_root, SEL_MSR);
	object_get(&msr_authority->object);

	ec->regs.rip = load_root(pd_root);
	ec->regs.rdi = p.cpu;
	ec->resume = resume_iret;
	ec->own_sc = sc;
	sc_start(sc);
}

void kernel_init(void)
{
	pd_init_kernel();
	sm_init_gsis(GSIS);
}

static void init_queues(struct cpu *cpu)
{
	for (unsigned i = 0; i < PRIORITIES; i++)
		list_init(&cpu->ready[i]);
	list_init(&cpu->vcpus);
	cpu->timer_armed = ~0ul;
	cpu->idle_since = rdtsc();
}

void kernel_init_cpu(struct cpu *cpu)
{
	init_queues(cpu);
	cpu->idle = ec_alloc(&pd_kernel, cpu->id);
	must(cpu->idle);
	cpu->idle->resume = resume_idle;
	cpu->idle_sc = sc_create(&pd_kernel, cpu->idle, 0, 0);
	must(cpu->idle_sc);
	give(&pd_kernel, KERNEL_SEL_IDLE_SC + cpu->id, &cpu->idle_sc->object);
	cpu->current = cpu->idle;
	cpu->pd = &pd_kernel;
}

void kernel_start(struct cpu *cpu)
{
	if (cpu->id == 0)
		start_root();
	pd_load(&pd_kernel);
	cpu->resched = 1;
	__asm__ volatile("jmp *%0" : : "r"(switch_to), "a"(preempt(cpu->idle)) : "memory");
	__builtin_unreachable();
}
