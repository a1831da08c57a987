/*
 * Scheduling contexts, and the scheduler of one CPU: the SC of highest priority
 * that is ready runs; among equals each runs for its quantum. Time is accounted
 * here and nowhere else: a call is paid for by whoever calls.
 *
 * An SC and its EC refer to each other until one of them ends.
 */
#include "sc.h"

#include "fpu.h"
#include "syscall.h"
#include "x86/insn.h"
#include "x86/irq.h"
#include "x86/vcpu.h"

struct sc *sc_create(struct pd *owner, struct ec *ec, unsigned priority, uint64_t us)
{
	struct sc *sc = object_alloc(owner, OBJECT_SC);

	if (!sc)
		return NULL;
	object_get(&ec->object);
	sc->ec = ec;
	sc->leaf = ec;
	list_init(&sc->queue);
	sc->quantum = sc->left = tsc_of_us(us);
	sc->since = sc->time = sc->waits = 0;
	sc->cpu = ec->cpu;
	sc->priority = (uint8_t)priority;
	sc->odd = 0;
	sc->guest = ec_is_vcpu(ec);
	return sc;
}

void sc_start(struct sc *sc)
{
	object_get(&sc->object);
	ec_post(sc->ec, PENDING_START);
}

/*
 * If the EC was killed while it was bound, it waits for its SC. Here this is read after
 * that was written, in kill() the other way round: one of the two ends the EC.
 */
void sc_cancel(struct sc *sc)
{
	__atomic_store_n(&sc->ec->own_sc, NULL, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&sc->ec->dead, __ATOMIC_SEQ_CST))
		ec_post(sc->ec, PENDING_KILL);
}

/*
 * On its CPU, out of every queue: it and its EC part. Of a call that the EC was in nothing is
 * kept, since it may never go on: what it has revoked, itself perhaps, is for others to end.
 */
[[gnu::noinline]] void sc_release(struct sc *sc)
{
	struct ec *ec = sc->ec;

	sc->ec = NULL;
	if (ec->sc == sc)
		ec->sc = NULL;
	ec->own_sc = NULL;
	syscall_drop(ec);
	if (ec->dead)
		ec_end(ec);
	object_put(&ec->object);
	object_put(&sc->object);
}

/*
 * The scheduler drops it when it comes to it. If it runs at the moment, that is
 * to be soon.
 */
void sc_unlink(struct object *o)
{
	struct sc *sc = container_of(o, struct sc, object);

	sc->ended = 1;
	if (__atomic_load_n(&cpus[sc->cpu]->sc, __ATOMIC_RELAXED) == sc)
		ipi_send(sc->cpu);
}

void sc_destroy(struct object *o)
{
	struct sc *sc = container_of(o, struct sc, object);

	if (sc->ec)
		/* Created, but never started. */
		object_put(&sc->ec->object);
	__atomic_add_fetch(&cpus[sc->cpu]->killed_time, sc->time, __ATOMIC_RELAXED);
	slab_free(sc);
}

uint64_t sc_time(const struct sc *sc)
{
	const struct cpu *cpu = cpus[sc->cpu];
	struct sc *running = __atomic_load_n(&cpu->sc, __ATOMIC_RELAXED);
	uint64_t time = sc->time;

	if (running == sc)
		time += rdtsc() - sc->since;
	else if (!running && sc == cpu->idle_sc)
		time += rdtsc() - cpu->idle_since;
	return time;
}

static inline void unqueue(struct cpu *cpu, struct sc *sc)
{
	unsigned priority = sc->priority;

	list_unlink(&sc->queue);
	if (list_empty(&cpu->ready[priority]))
		cpu->ready_mask[priority / 64] &= ~(1ul << priority % 64);
}

/* cpu->next, if there is one, comes before all that is queued, and so it stays. */
static void put(struct cpu *cpu, struct sc *sc, bool head)
{
	struct sc *next = cpu->next;

	if (next && (sc->priority > next->priority || (head && sc->priority == next->priority))) {
		cpu->next = sc;
		if (unlikely(next->guest))
			next->waits = next->waits ?: rdtsc();
		sc = next;
		head = true;
	}
	list_append(head ? cpu->ready[sc->priority].next : &cpu->ready[sc->priority], &sc->queue);
	cpu->ready_mask[sc->priority / 64] |= 1ul << sc->priority % 64;
}

static struct sc *dequeue(struct cpu *cpu)
{
	unsigned word = cpu->ready_mask[1] ? 1 : 0;
	uint64_t mask = cpu->ready_mask[word];
	struct sc *sc = cpu->next;

	if (sc) {
		cpu->next = NULL;
		return sc;
	}
	if (!mask)
		return NULL;
	unsigned priority = word * 64 + 63 - (unsigned)__builtin_clzl(mask);

	sc = container_of(cpu->ready[priority].next, struct sc, queue);
	unqueue(cpu, sc);
	return sc;
}

void sc_unqueue(struct sc *sc)
{
	struct cpu *cpu = this_cpu();

	if (cpu->next == sc) {
		cpu->next = NULL;
		cpu->next = dequeue(cpu);
	} else {
		unqueue(cpu, sc);
	}
}

/*
 * What is more urgent than the current SC is more urgent than all that is
 * queued: the first such does not go through a queue.
 */
void sc_ready(struct sc *sc, bool head)
{
	struct cpu *cpu = this_cpu();

	if (!cpu->sc || sc->priority > cpu->sc->priority) {
		cpu->resched = 1;
		if (likely(!cpu->next)) {
			cpu->next = sc;
			return;
		}
		head = false;
	}
	if (unlikely(sc->guest))
		sc->waits = sc->waits ?: rdtsc(); /* it will not run at once */
	put(cpu, sc, head);
}

static void account(struct cpu *cpu, uint64_t now)
{
	struct sc *sc = cpu->sc;
	uint64_t ran;

	if (!sc) {
		cpu->idle_sc->time += now - cpu->idle_since;
		return;
	}
	ran = now - sc->since;
	sc->time += ran;
	cpu->current->time += ran;
	sc->left = ran < sc->left ? sc->left - ran : 0;
}

/* What is to be done with it before it goes on. False: it does not, here. */
static bool settle(struct sc *sc)
{
	struct ec *ec = sc->leaf;
	bool own = ec == sc->ec && !ec->callee;

	if (own && sc->ended) {
		sc_release(sc);
		return false;
	}
	if (sc->guest && sc->waits) {
		/* The guest's TSC stood still. */
		vcpu_ops->add_tsc(sc->ec, sc->waits - rdtsc());
		sc->waits = 0;
	}
	if (ec->blocked) {
		list_append(&ec->parked, &sc->queue);
		return false;
	}
	if (!own || !sc->moves)
		return true;
	/* With its EC, which goes on on the other CPU. */
	fpu_drop(ec);
	if (sc->guest)
		vcpu_ops->unload(ec);
	sc->cpu = sc->moves - 1u;
	sc->moves = 0;
	ec->sc = NULL; /* which is in no queue: who kills it before it starts leaves that alone */
	__atomic_store_n(&ec->cpu, sc->cpu, __ATOMIC_RELEASE);
	ec_post(ec, PENDING_START);
	return false;
}

/* Some may not be run. After many, interrupts come in before the next is looked at. */
[[gnu::noinline]] static struct sc *pick_odd(struct cpu *cpu, struct sc *sc)
{
	for (unsigned n = 0; sc && n < AT_ONCE; n++, sc = dequeue(cpu))
		if (settle(sc))
			return sc;
	if (sc)
		ipi_send(cpu->id);
	cpu->next = sc;
	return NULL;
}

/* `sc`, if not NULL, or the best that can run; what its chain goes on with. */
static struct ec *pick(struct cpu *cpu, uint64_t now, struct sc *sc)
{
	sc = sc ?: dequeue(cpu);
	if (unlikely(sc && (sc->odd || sc->leaf->blocked)))
		sc = pick_odd(cpu, sc);
	cpu->sc = sc;
	if (unlikely(!sc)) {
		cpu->idle_since = now;
		return cpu->idle;
	}
	if (!sc->left)
		sc->left = sc->quantum;
	sc->since = now;
	timeout_arm(cpu, now + sc->left);
	return sc->leaf;
}

struct ec *schedule_blocked(void)
{
	struct cpu *cpu = this_cpu();
	uint64_t now = rdtsc();

	cpu->resched = 0;
	account(cpu, now);
	return pick(cpu, now, NULL);
}

struct ec *ec_block(struct ec *ec)
{
	ec->blocked = 1;
	ec->sc->leaf = ec;
	list_append(&ec->parked, &this_cpu()->sc->queue);
	return schedule_blocked();
}

struct ec *schedule_away(struct ec *ec)
{
	struct cpu *cpu = this_cpu();
	uint64_t now = rdtsc();
	struct sc *sc = cpu->sc, *next = cpu->next;

	cpu->resched = 0;
	account(cpu, now);
	if (ec->sc)
		ec->sc->leaf = ec;
	if (!sc)
		return pick(cpu, now, NULL);
	sc->waits = now;
	if (next && next->priority > sc->priority && sc->left &&
	    !(cpu->ready_mask[0] | cpu->ready_mask[1])) {
		/* It is the next after that. */
		cpu->next = sc;
		return pick(cpu, now, next);
	}
	put(cpu, sc, sc->left != 0);
	return pick(cpu, now, NULL);
}

struct ec *preempt(struct ec *ec)
{
	struct cpu *cpu = this_cpu();

	if (likely(!cpu->resched))
		return ec;
	if (unlikely(rcu_busy(cpu) || cpu->quiescent != rcu_epoch))
		rcu_run(cpu);
	return ec_is_vcpu(ec) ? vcpu_part(ec, schedule_away(ec)) : schedule_away(ec);
}

void sc_tick(struct cpu *cpu, uint64_t now)
{
	struct sc *sc = cpu->sc;

	if (rcu_busy(cpu))
		cpu->resched = 1;
	if (!sc)
		return;
	if (now - sc->since >= sc->left)
		cpu->resched = 1;
	else
		timeout_arm(cpu, sc->since + sc->left);
}
