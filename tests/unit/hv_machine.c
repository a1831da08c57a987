/*
 * The parts of the kernel that are in assembly or in exception.c, and checks
 * of what must hold whenever a CPU is in user mode.
 */
#include "hv_machine.h"

#include <sanitizer/asan_interface.h>

#include "ipc.h"
#include "tlb.h"
#include "x86/vcpu.h"

static const char resume_guest[1];
static uint64_t free_before;

static void guest_save(struct ec *ec, struct utcb *utcb, uint64_t mtd)
{
	(void)ec;
	utcb->mtd = mtd;
}

static void guest_load(struct ec *ec, const struct utcb *utcb, uint64_t mtd)
{
	(void)ec, (void)utcb, (void)mtd;
}

/* Only time that has passed is taken from a guest. */
static void guest_add_tsc(struct ec *ec, uint64_t ticks)
{
	assert_true(ec_is_vcpu(ec) && !ec->ended);
	assert_true(-ticks <= tsc_now);
}

void (*unload_hook)(void);

static void guest_unload(struct ec *ec)
{
	(void)ec;
	if (unload_hook)
		unload_hook();
}

static const struct vcpu_ops ops = {
	.guest = &ptab_host,
	.resume = resume_guest,
	.save = guest_save,
	.load = guest_load,
	.add_tsc = guest_add_tsc,
	.unload = guest_unload,
};

/* The root of what is loaded is a page in use, and its kernel half is there. */
static void check_loaded(void)
{
	const uint64_t *root;

	if (!fake_read_cr3())
		return; /* nothing was ever loaded */
	root = phys_to_pool(fake_read_cr3());
	assert_false(__asan_address_is_poisoned(&root[510]));
	assert_int_equal(root[510], 1);
}

static void check_chain(struct ec *ec)
{
	assert_null(ec->callee);
	assert_false(ec->blocked);
	assert_int_equal(ec->cpu, cpu_now);
	for (; ec->caller; ec = ec->caller) {
		assert_ptr_equal(ec->caller->callee, ec);
		assert_ptr_equal(ec->caller->sc, ec->sc);
		assert_int_equal(ec->idle_on, IDLE_NOWHERE);
	}
	assert_ptr_equal(ec->own_sc, ec->sc);
	assert_ptr_equal(ec->sc->ec, ec);
}

static void check_queues(const struct cpu *cpu)
{
	for (unsigned i = 0; i < PRIORITIES; i++) {
		const struct list *queue = &cpu->ready[i];

		assert_int_equal(cpu->ready_mask[i / 64] >> i % 64 & 1, !list_empty(queue));
		for (struct list *l = queue->next; l != queue; l = l->next) {
			struct sc *sc = container_of(l, struct sc, queue);

			assert_int_equal(sc->priority, i);
			assert_int_equal(sc->cpu, cpu->id);
			assert_ptr_not_equal(sc, cpu->sc);
			assert_non_null(sc->ec);
			/* What runs is no less urgent; what is to run before all others neither. */
			assert_true(!cpu->sc || i <= cpu->sc->priority);
			assert_true(!cpu->next || i <= cpu->next->priority);
			assert_ptr_equal(sc->leaf->sc, sc);
			assert_ptr_equal(l->next->prev, l);
		}
	}
}

static void enter_idle(struct cpu *cpu)
{
	rcu_run(cpu);
	if (cpu->pd != &pd_kernel)
		pd_load(&pd_kernel);
	rcu_idle_enter(cpu);
}

/* As switch_to, until something is in user mode. */
static struct ec *go(struct ec *ec)
{
	struct cpu *cpu = this_cpu();

	check_loaded();
	for (unsigned n = 0;; n++) {
		cpu->current = ec;
		if (ec->resume != resume_work)
			break;
		if (n % 8 == 7) {
			/* Two may help each other for ever. */
			tsc_now += 100;
			timeout_run(cpu);
		}
		if (ipi_sent >> cpu->id & 1)
			interrupt_kernel();
		ec = cpu->resched ? preempt(ec) : ec->work(ec);
		check_loaded();
		if (n > 1000)
			return ec; /* and do, but not here */
	}
	if (ec == cpu->idle) {
		enter_idle(cpu);
	} else {
		if (ec->resume != resume_guest && cpu->pd != ec->pd)
			pd_load(ec->pd);
		check_chain(ec);
	}
	check_queues(cpu);
	check_loaded();
	return running();
}

struct ec *running(void)
{
	struct ec *ec = this_cpu()->current;

	return ec == this_cpu()->idle ? NULL : ec;
}

struct ec *on_cpu(unsigned cpu)
{
	cpu_now = cpu;
	return running();
}

static bool in_kernel(const struct ec *ec)
{
	return ec->resume == resume_work;
}

struct ec *hypercall(enum call call, unsigned flags, uint64_t selector, uint64_t rsi, uint64_t rdx,
		     uint64_t rax, uint64_t r8)
{
	struct ec *self = running(), *next;
	uint64_t id = CALL_ID(call, flags, selector);

	if (in_kernel(self))
		return go(self);
	self->regs.rdi = id;
	self->regs.rsi = rsi;
	self->regs.rdx = rdx;
	self->regs.rax = rax;
	self->regs.r8 = r8;
	self->resume = resume_sysret;
	next = syscall_table[call](id, self);
	if (!next) {
		assert_ptr_equal(self->resume, resume_sysret);
		next = self;
	}
	return go(next);
}

struct ec *event(uint32_t number)
{
	struct ec *self = running();

	if (in_kernel(self))
		return go(self);
	if (!ec_is_vcpu(self))
		self->resume = resume_iret;
	return go(ipc_event(self, number));
}

/* The interrupt has been handled: leave idle, or go on. */
static struct ec *leave(void)
{
	struct cpu *cpu = this_cpu();
	struct ec *self = running();

	if (!self)
		return go(preempt(cpu->idle));
	if (!in_kernel(self) && !ec_is_vcpu(self))
		self->resume = resume_iret;
	return go(preempt(self));
}

/* As irq_handle() begins. */
static void arrive(void)
{
	if (!running())
		rcu_idle_leave(this_cpu());
}

struct ec *tick(uint64_t ticks)
{
	tsc_now += ticks;
	arrive();
	timeout_run(this_cpu());
	return leave();
}

void interrupt_kernel(void)
{
	struct cpu *cpu = this_cpu();

	arrive();
	ipi_sent &= ~(1ul << cpu->id);
	tlb_flush_requested(cpu);
	ec_inbox(cpu);
	cpu->resched = 1;
	timeout_run(cpu);
}

struct ec *interrupts(void)
{
	interrupt_kernel();
	return leave();
}

struct object *root_object(uint64_t selector)
{
	struct mapping *m = space_object(&pd_root->obj, selector);

	return m ? m->object : NULL;
}

struct ec *root_ec(uint64_t selector)
{
	return container_of(root_object(selector), struct ec, object);
}

void share(struct pd *to, uint64_t selector)
{
	struct transfer t = {
		.from = pd_root,
		.to = to,
		.type = CRD_OBJ,
		.source = selector,
		.target = selector,
		.rights = RIGHTS_ALL,
		.left = TRANSFER_STEPS,
	};

	(void)!mapping_delegate(&t);
}

static void must(enum status s)
{
	assert_int_equal(s, SUCCESS);
}

struct ec *machine_start(unsigned pages, unsigned cpu_number, uint64_t quota)
{
	struct ec_parameters p = {.utcb = 0x7000000, .global = true};
	struct ec *ec;
	struct sc *sc;

	vcpu_ops = &ops;
	fixture_init(pages, cpu_number);
	free_before = pages_free();
	for (cpu_now = cpu_number; cpu_now-- > 0;) {
		cpus[cpu_now]->has_vcpu = 1;
		pd_load(&pd_kernel);
		enter_idle(this_cpu());
	}
	cpu_now = 0;
	must(pd_create(&pd_root, &pd_kernel, quota));
	p.pd = pd_root;
	must(ec_create(&ec, &p));
	sc = sc_create(pd_root, ec, 1, 1000);
	assert_non_null(sc);
	must(mapping_create(pd_root, SEL_PD, &pd_root->object));
	must(mapping_create(pd_root, SEL_EC, &ec->object));
	must(mapping_create(pd_root, SEL_SC, &sc->object));
	ec->resume = resume_iret;
	ec->own_sc = sc;
	sc_start(sc);
	return leave();
}

static bool quiet(void)
{
	for (unsigned i = 0; i < cpu_count; i++)
		if (cpus[i]->current != cpus[i]->idle || cpus[i]->deferred || cpus[i]->waiting ||
		    cpus[i]->timeouts || cpus[i]->inbox || cpus[i]->asked)
			return false;
	return true;
}

void machine_finish(void)
{
	poll_period = 0;
	poll_hook = NULL;
	object_get(&pd_root->object);
	clear_pd(pd_root);
	object_put(&pd_root->object);
	for (unsigned n = 0; n < 1000 && !quiet(); n++) {
		for (unsigned i = 0; i < cpu_count; i++) {
			on_cpu(i);
			interrupts();
			tick(1000);
		}
	}
	assert_true(quiet());
	for (unsigned i = 0; i < SLABS; i++) {
		bool idles = i == OBJECT_EC || i == OBJECT_SC;

		assert_int_equal(slab_live[i], idles ? cpu_count : 0);
	}
	assert_int_equal(pages_free(), free_before);
}
