/*
 * Life and death of ECs.
 *
 * An EC keeps a reference to itself as long as it lives: from its creation to
 * ec_end(). A dead EC in the middle of a chain stays there until it is replied
 * to; at the end of a chain it ends at once, and its caller is told.
 */
#include "ec.h"

#include <abi/event.h>

#include "fpu.h"
#include "ipc.h"
#include "page.h"
#include "panic.h"
#include "pd.h"
#include "sc.h"
#include "sm.h"
#include "syscall.h"
#include "x86/cpu.h"
#include "x86/irq.h"
#include "x86/vcpu.h"

void ec_set_work(struct ec *ec, struct ec *(*work)(struct ec *))
{
	if (work != syscall_retry) {
		syscall_drop(ec);
	}
	ec->resume = resume_work;
	ec->work = work;
}

static void init(struct ec *ec, struct pd *owner, struct pd *pd, uint32_t cpu)
{
	__builtin_memset(ec, 0, sizeof(*ec));
	object_init(&ec->object, OBJECT_EC, owner);
	object_get(&pd->object);
	ec->pd = pd;
	ec->cpu = cpu;
	ec->idle_on = IDLE_NOWHERE;
	ec->regs.cs = SEL_USER_CODE;
	ec->regs.ss = SEL_USER_DATA;
	ec->regs.rflags = RFLAGS_USER;
	list_init(&ec->queue);
	list_init(&ec->parked);
}

struct ec *ec_create_idle(uint32_t cpu)
{
	struct ec *ec = slab_alloc(&pd_kernel, SLAB_EC);

	if (!ec) {
		panic("no memory for an idle EC");
	}
	init(ec, &pd_kernel, &pd_kernel, cpu);
	ec->resume = resume_idle;
	return ec;
}

static struct ec *startup(struct ec *ec)
{
	return ipc_event(ec, ec_is_vcpu(ec) ? EVENT_VCPU_STARTUP
					    : EVENT_THREAD_STARTUP);
}

static enum status make_thread(struct ec *ec, const struct ec_parameters *p)
{
	ec->utcb = page_alloc(ec->object.owner, 0, true);
	if (!ec->utcb) {
		return OUT_OF_MEMORY;
	}
	ec->regs.rsp = p->sp;
	if (p->global) {
		ec_set_work(ec, startup);
	} else {
		ec->resume = resume_sysret;
		ec->idle_on = p->cpu;
	}
	return mapping_fix(p->pd, p->utcb >> PAGE_BITS,
			   pool_to_phys(ec->utcb) >> PAGE_BITS, MEM_R | MEM_W,
			   &ec->utcb_mapping);
}

static enum status make_vcpu(struct ec *ec)
{
	ec->fpu_used = 1;
	ec->xcr0 = 1;
	ec_set_work(ec, startup);
	return vcpu_create(ec);
}

enum status ec_create(struct ec **out, struct pd *owner,
		      const struct ec_parameters *p)
{
	struct ec *ec = slab_alloc(owner, SLAB_EC);
	enum status s = OUT_OF_MEMORY;

	if (!ec) {
		return s;
	}
	init(ec, owner, p->pd, p->cpu);
	ec->global = p->global;
	ec->events = p->events;
	ec->fpu = fpu_alloc(owner);
	if (ec->fpu) {
		s = p->utcb ? make_thread(ec, p) : make_vcpu(ec);
	}
	object_get(&ec->object);	/* as long as it lives */
	if (s != SUCCESS) {
		ec_end(ec);
		object_put(&ec->object);
		return s;
	}
	*out = ec;
	return SUCCESS;
}

void ec_destroy(struct ec *ec)
{
	struct pd *owner = ec->object.owner;

	if (ec->utcb) {
		page_free(owner, ec->utcb, 0);
	}
	if (ec->vcpu) {
		vcpu_destroy(ec);
	}
	if (ec->fpu) {
		fpu_free(owner, ec->fpu);
	}
	object_put(&ec->pd->object);
	slab_free(ec);
}

void ec_end(struct ec *ec)
{
	struct cpu *cpu = this_cpu();

	if (ec->ended) {
		return;
	}
	ec->ended = 1;
	if (ec->utcb_mapping) {
		mapping_unfix(ec->utcb_mapping);
	}
	if (cpu->fpu_owner == ec) {
		fpu_forget(cpu);
	}
	if (ec_is_vcpu(ec)) {
		vcpu_ops->unload(ec);
	}
	object_put(&ec->object);
}

static bool in_chain(const struct ec *ec)
{
	return ec->caller || ec->callee || ec->own_sc;
}

/* Nothing of it runs, nor sleeps: its SC is in the queue of its priority. */
static bool waits_for_turn(const struct ec *ec)
{
	const struct cpu *cpu = this_cpu();
	const struct sc *sc = ec->own_sc;

	return sc && ec->sc == sc && sc->leaf == ec && !ec->callee &&
	       !ec->blocked && cpu->current != ec && cpu->sc != sc &&
	       cpu->next != sc;
}

/*
 * On its CPU. Its memory is missed by whoever kills it, and that one may be
 * more urgent: its end does not wait for its turn.
 */
static void kill(struct ec *ec)
{
	if (ec->dead) {
		return;
	}
	ec->dead = 1;
	ec->idle_on = IDLE_NOWHERE;
	ec_set_work(ec, ec_die);
	if (ec->blocked && sm_dequeue(ec)) {
		ec_wake(ec);
	}
	if (!in_chain(ec)) {
		ec_end(ec);
	} else if (waits_for_turn(ec)) {
		sc_drop(ec->own_sc);
	}
}

void ec_unlink(struct ec *ec)
{
	ec_post(ec, PENDING_KILL);
}

/* Its caller goes on without it. */
static struct ec *abort_caller(struct ec *ec)
{
	struct ec *caller = ec->caller;

	ec->caller = NULL;
	caller->callee = NULL;
	ec_end(ec);
	if (caller->waits == WAITS_MESSAGE) {
		caller->regs.rdi = ABORTED;
	} else if (!caller->dead) {
		/* Nobody knows how it should go on from its event. */
		caller->dead = 1;
		ec_set_work(caller, ec_die);
	}
	return ipc_return(caller);
}

struct ec *ec_die(struct ec *ec)
{
	struct cpu *cpu = this_cpu();
	struct sc *sc = ec->own_sc;

	ec->dead = 1;
	ec->idle_on = IDLE_NOWHERE;
	if (ec->caller) {
		return abort_caller(ec);
	}
	ec_set_work(ec, ec_die);
	sc->ended = 1;
	sc->leaf = ec;
	if (cpu->sc != sc) {
		/* A helper ran it; its own SC is dropped in its turn. */
		return cpu->sc->leaf;
	}
	struct ec *next = schedule_blocked();

	sc_release(sc);
	return next;
}

void ec_wake(struct ec *ec)
{
	struct cpu *cpu = this_cpu();

	timeout_cancel(cpu, &ec->timeout);
	ec->blocked = 0;
	if (ec->sleeps) {
		ec->sleeps = 0;
		ec->regs.rdi = ec->wake_status;
	}
	while (!list_empty(&ec->parked)) {
		struct sc *sc =
			container_of(ec->parked.next, struct sc, queue);

		list_unlink(&sc->queue);
		sc_ready(sc, true);
	}
}

/* As `work`: report the state it stopped in. */
static struct ec *recalled(struct ec *ec)
{
	return ipc_event(ec, ec_is_vcpu(ec) ? EVENT_VCPU_RECALL
					    : EVENT_THREAD_RECALL);
}

static void recall(struct ec *ec)
{
	if (ec->dead) {
		return;
	}
	if (ec->resume == resume_work) {
		if (ec->work != syscall_retry) {
			/* It is about to report in any case. */
			return;
		}
		/* It makes its call anew after it was recalled. */
		ec->regs.rip -= SYSCALL_LENGTH;
	}
	ec_set_work(ec, recalled);
}

static void start(struct ec *ec)
{
	struct sc *sc = ec->own_sc;

	if (!sc) {
		return;
	}
	if (ec->ended) {
		/* It died while the SC was made on another CPU. */
		sc_release(sc);
		return;
	}
	ec->sc = sc;
	sc_ready(sc, false);
}

static inline void handle(struct ec *ec, uint32_t what)
{
	if (likely(what == PENDING_WAKE)) {
		ec_wake(ec);
		return;
	}
	if (what & PENDING_START) {
		start(ec);
	}
	if (what & PENDING_KILL) {
		kill(ec);
	}
	if (what & PENDING_RECALL) {
		recall(ec);
	}
	if (what & PENDING_WAKE) {
		ec_wake(ec);
	}
}

static void push(struct cpu *cpu, struct ec *ec)
{
	struct ec *first = __atomic_load_n(&cpu->inbox, __ATOMIC_RELAXED);

	do {
		ec->inbox_next = first;
	} while (!__atomic_compare_exchange_n(&cpu->inbox, &first, ec, true,
					      __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

void ec_post(struct ec *ec, uint32_t what)
{
	if (likely(ec->cpu == this_cpu()->id)) {
		handle(ec, what);
		return;
	}
	object_get(&ec->object);
	if (__atomic_fetch_or(&ec->pending, what, __ATOMIC_ACQ_REL)) {
		object_put(&ec->object);
		return;
	}
	push(cpus[ec->cpu], ec);
	ipi_send(ec->cpu);
}

void ec_inbox(struct cpu *cpu)
{
	struct ec *ec = __atomic_exchange_n(&cpu->inbox, NULL,
					    __ATOMIC_ACQUIRE);

	while (ec) {
		struct ec *next = ec->inbox_next;

		handle(ec, __atomic_exchange_n(&ec->pending, 0,
					       __ATOMIC_ACQ_REL));
		object_put(&ec->object);
		ec = next;
	}
}
