/*
 * Scheduling contexts as objects. An SC and its EC refer to each other until
 * one of them ends.
 */
#include "sc.h"

#include "ec.h"
#include "pd.h"
#include "time.h"
#include "x86/cpu.h"
#include "x86/insn.h"
#include "x86/irq.h"

enum status sc_create(struct sc **out, struct pd *owner, struct ec *ec, unsigned priority,
		      uint64_t quantum)
{
	struct sc *sc = slab_alloc(owner, SLAB_SC);

	if (!sc)
		return OUT_OF_MEMORY;
	object_init(&sc->object, OBJECT_SC, owner);
	object_get(&ec->object);
	sc->ec = ec;
	sc->leaf = ec;
	list_init(&sc->queue);
	sc->quantum = tsc_of_us(quantum);
	sc->left = sc->quantum;
	sc->since = 0;
	sc->time = 0;
	sc->cpu = ec->cpu;
	sc->priority = (uint8_t)priority;
	sc->ended = 0;
	*out = sc;
	return SUCCESS;
}

void sc_start(struct sc *sc)
{
	object_get(&sc->object);
	ec_post(sc->ec, PENDING_START);
}

/* On its CPU, out of every queue: it and its EC part. */
void sc_release(struct sc *sc)
{
	struct ec *ec = sc->ec;

	sc->ec = NULL;
	if (ec->sc == sc)
		ec->sc = NULL;
	ec->own_sc = NULL;
	if (ec->dead)
		ec_end(ec);
	object_put(&ec->object);
	object_put(&sc->object);
}

/*
 * The scheduler drops it when it comes to it. If it runs at the moment, that is
 * to be soon.
 */
void sc_unlink(struct sc *sc)
{
	struct cpu *cpu = cpus[sc->cpu];

	sc->ended = 1;
	if (__atomic_load_n(&cpu->sc, __ATOMIC_RELAXED) == sc) {
		if (cpu == this_cpu())
			cpu->resched = 1;
		else
			ipi_send(sc->cpu);
	}
}

void sc_destroy(struct sc *sc)
{
	if (sc->ec) {
		/* Created, but never started. */
		object_put(&sc->ec->object);
	}
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
