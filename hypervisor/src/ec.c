/*
 * Life and death of ECs.
 *
 * An EC keeps a reference to itself as long as it lives: from its creation to
 * ec_end(). A dead EC in the middle of a chain stays there until it is replied
 * to; at the end of a chain it ends at once, and its caller is told.
 */
#include "ec.h"

#include "fpu.h"
#include "ipc.h"
#include "sc.h"
#include "x86/insn.h"
#include "x86/irq.h"
#include "x86/vcpu.h"

void ec_set_work(struct ec *ec, struct ec *(*work)(struct ec *))
{
	if (work != syscall_retry)
		syscall_drop(ec);
	ec->resume = resume_work;
	ec->work = work;
}

struct ec *ec_alloc(struct pd *pd, uint32_t cpu)
{
	struct ec *ec = slab_alloc(pd, OBJECT_EC);

	if (!ec)
		return NULL;
	__builtin_memset(ec, 0, sizeof(*ec));
	object_init(&ec->object, OBJECT_EC, pd);
	ec->pd = pd;
	ec->cpu = cpu;
	ec->idle_on = IDLE_NOWHERE;
	ec->regs.cs = SEL_USER_CODE;
	ec->regs.ss = SEL_USER_DATA;
	ec->regs.rflags = RFLAGS_USER;
	list_init(&ec->queue);
	list_init(&ec->parked);
	return ec;
}

struct pt *pt_create(struct pd *owner, struct ec *ec, uint64_t mtd, uint64_t ip)
{
	struct pt *pt = object_alloc(owner, OBJECT_PT);

	if (!pt)
		return NULL;
	object_get(&ec->object);
	pt->ec = ec;
	pt->id = 0;
	pt->ip = ip;
	pt->mtd = mtd;
	return pt;
}

void pt_destroy(struct object *o)
{
	struct pt *pt = container_of(o, struct pt, object);

	object_put(&pt->ec->object);
	slab_free(pt);
}

static enum status make_thread(struct ec *ec, const struct ec_parameters *p)
{
	ec->utcb = page_alloc(p->pd, 0, true);
	if (!ec->utcb)
		return OUT_OF_MEMORY;
	ec->regs.rsp = p->sp;
	if (!p->global) {
		ec->resume = resume_sysret;
		ec->idle_on = p->cpu;
	}
	return mapping_fix(p->pd, p->utcb >> PAGE_BITS, pool_to_phys(ec->utcb) >> PAGE_BITS,
			   MEM_R | MEM_W, &ec->utcb_mapping);
}

enum status ec_create(struct ec **out, const struct ec_parameters *p)
{
	struct ec *ec = ec_alloc(p->pd, p->cpu);
	enum status s = OUT_OF_MEMORY;

	if (!ec)
		return s;
	ec->global = ec->odd_reply = p->global;
	ec->events = p->events;
	ec->fpu_used = !p->utcb;
	ec->xcr0 = 1;
	ec->event = p->utcb ? EVENT_THREAD_STARTUP : EVENT_VCPU_STARTUP;
	ec_set_work(ec, ipc_report);
	ec->fpu = fpu_alloc(p->pd);
	if (ec->fpu)
		s = p->utcb ? make_thread(ec, p) : vcpu_create(ec);
	object_get(&ec->object); /* as long as it lives */
	if (s != SUCCESS) {
		ec_end(ec);
		object_put(&ec->object);
	}
	*out = ec;
	return s;
}

void ec_destroy(struct object *o)
{
	struct ec *ec = container_of(o, struct ec, object);
	struct pd *owner = ec->object.owner;

	ec_set_oom(ec, NULL);
	if (ec->proxy) {
		object_put(&ec->proxy->own_sc->object);
		object_put(&ec->proxy->object);
	}
	if (ec->utcb && !ec->home)
		page_free(owner, ec->utcb, 0);
	__atomic_add_fetch(&cpus[ec->cpu]->killed_ec_time, ec->time, __ATOMIC_RELAXED);
	if (ec->vcpu)
		vcpu_destroy(ec);
	if (ec->fpu)
		page_free(owner, ec->fpu, 0);
	slab_free(ec);
}

void ec_end(struct ec *ec)
{
	if (ec->ended)
		return;
	ec->ended = 1;
	if (ec->utcb_mapping)
		mapping_unfix(ec->utcb_mapping);
	fpu_drop(ec);
	if (ec_is_vcpu(ec))
		vcpu_ops->unload(ec);
	object_put(&ec->object);
}

/* As ec_post, through the inbox in any case. */
static ALWAYS_INLINE void post(struct ec *ec, uint32_t what)
{
	struct cpu *cpu = cpus[ec->cpu];

	if (__atomic_fetch_or(&ec->pending, what, __ATOMIC_ACQ_REL))
		return;
	object_get(&ec->object);
	ec->inbox_next = __atomic_load_n(&cpu->inbox, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&cpu->inbox, &ec->inbox_next, ec, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
	}
	ipi_send(cpu->id);
}

/*
 * Its parked SCs run again, those that go on with it are parked anew. One at a time: the
 * others wait at the idle EC, which never sleeps, lest they wait for what it does next.
 */
static inline void unpark(struct ec *ec)
{
	struct sc *sc = container_of(ec->parked.next, struct sc, queue);
	struct ec *idle = this_cpu()->idle;

	if (list_empty(&ec->parked))
		return;
	list_unlink(&sc->queue);
	sc_ready(sc, true);
	if (likely(list_empty(&ec->parked)))
		return;
	if (ec != idle)
		list_move(&idle->parked, &ec->parked);
	post(idle, PENDING_UNPARK);
}

/* Its caller, which is returned, goes on without it. */
static struct ec *abort_caller(struct ec *ec)
{
	struct ec *caller = ec->caller;

	ec->caller = NULL;
	caller->callee = NULL;
	ec_end(ec);
	if (caller->waits == WAITS_MESSAGE) {
		caller->regs.rdi = ABORTED;
	} else if (caller->waits == WAITS_STATE && !caller->dead) {
		/* Nobody knows how it should go on from its event. */
		caller->dead = 1;
		ec_set_work(caller, ec_die);
	}
	return caller;
}

/*
 * A dead EC at the end of its chain that does not run now. Its memory is missed
 * by whoever killed it, and that one may be more urgent: its end does not wait
 * for its turn. Nor does that of its callers, as far as they are dead.
 */
static void end_early(struct ec *ec)
{
	const struct cpu *cpu = this_cpu();
	struct sc *sc = ec->sc;

	if (!sc || ec->blocked || ec->callee || cpu->current == ec || cpu->sc == sc)
		return;
	sc_unqueue(sc);
	if (ec->caller) {
		ec = sc->leaf = abort_caller(ec);
		sc_ready(sc, false);
		if (ec->dead)
			post(ec, PENDING_KILL);
	} else {
		ec->home ? remote_cancel(ec) : sc_release(sc);
	}
}

/*
 * On its CPU. What it waits for that is no reply is over: a semaphore, a busy
 * handler. Those who wait for it learn that it is dead.
 */
[[gnu::noinline]] static void kill(struct ec *ec)
{
	struct ec *callee = __atomic_load_n(&ec->callee, __ATOMIC_RELAXED);
	struct cpu *cpu = this_cpu();

	if (!ec->dead) {
		/* Before `own_sc` is read: sc_cancel() */
		__atomic_store_n(&ec->dead, 1, __ATOMIC_SEQ_CST);
		ec->idle_on = IDLE_NOWHERE;
		cpu->resched |= ec == cpu->current;
		/* Nor does the end of the one that runs, on a time of its own. */
		if (ec == cpu->current && cpu->sc == ec->own_sc)
			cpu->sc->priority = PRIORITY_MAX;
		ec_set_work(ec, ec->home ? remote_return : ec_die);
		/* A proxy, which comes back at any time. */
		if (callee && callee->home == ec)
			ec_post(callee, PENDING_KILL);
		if (ec->blocked && sm_dequeue(ec))
			ec_wake(ec);
		unpark(ec);
	}
	if (!ec->caller && !ec->callee && !ec->own_sc)
		ec_end(ec);
	else
		end_early(ec);
}

struct ec *ec_die(struct ec *ec)
{
	ec->dead = 1;
	ec->idle_on = IDLE_NOWHERE;
	if (ec->caller)
		return ipc_return(abort_caller(ec));
	/* The scheduler drops its SC, now or, if a helper ran it, in its turn. */
	ec_set_work(ec, ec_die);
	ec->own_sc->ended = 1;
	this_cpu()->resched = 1;
	return preempt(ec);
}

uint64_t ec_time(const struct ec *ec)
{
	const struct cpu *cpu = cpus[ec->cpu];
	struct sc *sc = __atomic_load_n(&cpu->sc, __ATOMIC_RELAXED);

	return ec->time + (cpu->current == ec && sc ? rdtsc() - sc->since : 0);
}

void ec_wake(struct ec *ec)
{
	struct cpu *cpu = this_cpu();

	if (unlikely(ec->timeout.rank))
		timeout_cancel(cpu, &ec->timeout);
	ec->blocked = 0;
	unpark(ec);
}

/* As `work`: report the state it stopped in. */
static struct ec *recalled(struct ec *ec)
{
	return ipc_event(ec, ec_is_vcpu(ec) ? EVENT_VCPU_RECALL : EVENT_THREAD_RECALL);
}

void ec_set_oom(struct ec *ec, struct pt *pt)
{
	struct pt *old = ec->oom;

	if (pt)
		object_get(&pt->object);
	ec->oom = pt;
	if (old)
		object_put(&old->object);
}

void ec_recall(struct ec *ec, bool yes)
{
	bool works = ec->resume == resume_work;

	if (ec->dead)
		return;
	if (!yes) {
		/* A vCPU, which has no calls to make again. */
		if (works && ec->work == recalled)
			ec->resume = vcpu_ops->resume;
		return;
	}
	if (works && ec->work != syscall_retry)
		return; /* it is about to report in any case */
	if (works)
		ec->regs.rip -= SYSCALL_LENGTH; /* it makes its call anew after that */
	if (works || ec->resume == resume_sysret)
		ec->regs.rflags = RFLAGS_USER; /* as after a call */
	ec_set_work(ec, recalled);
	this_cpu()->resched |= ec == this_cpu()->current;
}

static void start(struct ec *ec)
{
	struct sc *sc = ec->own_sc;

	if (sc && ec->ended) {
		/* It died while the SC was made on another CPU. */
		sc_release(sc);
	} else if (sc) {
		ec->sc = sc;
		sc_ready(sc, false);
	}
}

static inline void handle(struct ec *ec, uint32_t what)
{
	if (likely(what == PENDING_WAKE)) {
		ec_wake(ec);
		return;
	}
	if (what & PENDING_START)
		start(ec);
	if (what & PENDING_WAKE)
		ec_wake(ec);
	if (what & PENDING_UNPARK)
		unpark(ec);
	if (what & PENDING_KILL)
		kill(ec);
	if (what & PENDING_RECALL)
		ec_recall(ec, true);
}

void ec_post(struct ec *ec, uint32_t what)
{
	if (likely(ec->cpu == this_cpu()->id))
		handle(ec, what);
	else
		post(ec, what);
}

void ec_unlink(struct object *o)
{
	struct ec *ec = container_of(o, struct ec, object);

	likely(ec->cpu == this_cpu()->id) ? kill(ec) : post(ec, PENDING_KILL);
}

void ec_inbox(struct cpu *cpu)
{
	struct ec *ec;

	if (!cpu->asked) {
		cpu->asked_epoch = __atomic_load_n(&rcu_epoch, __ATOMIC_SEQ_CST);
		/* Until it is done it can be seen here or there. */
		__atomic_store_n(&cpu->asked, cpu->inbox, __ATOMIC_SEQ_CST);
		cpu->asked = __atomic_exchange_n(&cpu->inbox, NULL, __ATOMIC_SEQ_CST);
	}
	ec = cpu->asked;
	for (unsigned n = 0; ec && n < AT_ONCE; n++) {
		struct ec *next = ec->inbox_next;

		/* It may be elsewhere meanwhile. */
		ec_post(ec, __atomic_exchange_n(&ec->pending, 0, __ATOMIC_ACQ_REL));
		object_put(&ec->object);
		ec = next;
	}
	__atomic_store_n(&cpu->asked, ec, __ATOMIC_RELEASE);
	if (unlikely(ec || cpu->inbox))
		ipi_send(cpu->id); /* for these, or what has come meanwhile */
}
