/*
 * Semaphores. Whoever takes an EC out of the queue, under the lock, has decided
 * how its sleep ends, and is the one to wake it.
 */
#include "sm.h"

#include <abi/hip.h>

#include "ec.h"
#include "panic.h"
#include "pd.h"
#include "x86/cpu.h"
#include "x86/irq.h"

static struct sm *gsi_sm[GSIS];

enum status sm_create(struct sm **out, struct pd *owner, uint64_t count)
{
	struct sm *sm = slab_alloc(owner, SLAB_SM);

	if (!sm)
		return OUT_OF_MEMORY;
	object_init(&sm->object, OBJECT_SM, owner);
	sm->lock = (struct lock){0};
	sm->count = count;
	list_init(&sm->waiters);
	list_init(&sm->signals);
	sm->gsi = SM_NO_GSI;
	sm->chain = NULL;
	sm->notices = 0;
	*out = sm;
	return SUCCESS;
}

enum status sm_create_signal(struct sm **out, struct pd *owner, uint64_t value, struct sm *sm)
{
	enum status s = sm_create(out, owner, 0);
	struct sm *signal = *out;

	if (s == SUCCESS) {
		signal->lock.held = 1;
		signal->gsi = SM_SIGNAL;
		signal->chain = sm;
		signal->value = value;
		signal->ups = 0;
		object_get(&sm->object);
		sm->gsi = SM_CHAINED;
	}
	return s;
}

void sm_destroy(struct sm *sm)
{
	if (sm->chain)
		object_put(&sm->chain->object);
	slab_free(sm);
}

/* The EC that has slept, or not had to, in sm_ctrl is told of the signal. */
static void receive(struct ec *ec, struct sm *signal)
{
	if (ec->sleeps) {
		ec->regs.rsi = signal->value;
		ec->regs.rdx = signal->ups;
	}
	signal->ups = 0;
}

static struct ec *take_first(struct sm *sm)
{
	struct ec *ec = container_of(sm->waiters.next, struct ec, queue);

	list_remove(&ec->queue);
	ec->sm = NULL;
	return ec;
}

void sm_wake_first(struct sm *sm)
{
	struct ec *ec = take_first(sm);

	unlock(&sm->lock);
	ec_post(ec, PENDING_WAKE);
}

static void up_signal(struct sm *signal)
{
	struct sm *sm = signal->chain;

	lock(&sm->lock);
	if (signal->ups++ || signal->object.dying) {
		unlock(&sm->lock);
	} else if (list_empty(&sm->waiters)) {
		list_append(&sm->signals, &signal->signals);
		sm->count++;
		unlock(&sm->lock);
	} else {
		receive(container_of(sm->waiters.next, struct ec, queue), signal);
		sm_wake_first(sm);
	}
}

void sm_up(struct sm *sm)
{
	if (unlikely(sm->gsi == SM_SIGNAL)) {
		up_signal(sm);
		return;
	}
	lock(&sm->lock);
	if (likely(list_empty(&sm->waiters))) {
		sm->count++;
		unlock(&sm->lock);
	} else {
		sm_wake_first(sm);
	}
}

/*
 * What is freed may let go of more. When there is nothing more to free, or
 * always something new, that is enough.
 */
static void notice(struct deferred *d)
{
	struct sm *sm = container_of(d, struct sm, notify);

	if (--sm->rounds && rcu_hurry()) {
		rcu_defer(d, notice);
		return;
	}
	for (uint32_t n = __atomic_exchange_n(&sm->notices, 0, __ATOMIC_ACQ_REL); n > 0; n--)
		sm_up(sm);
	object_put(&sm->object);
}

void sm_notify(struct sm *sm)
{
	sm->rounds = GRACE_PERIODS;
	if (__atomic_fetch_add(&sm->notices, 1, __ATOMIC_ACQ_REL) == 0) {
		object_get(&sm->object);
		rcu_defer(&sm->notify, notice);
	}
}

static void expire(struct timeout *t)
{
	struct ec *ec = container_of(t, struct ec, timeout);

	if (sm_dequeue(ec)) {
		ec->wake_status = TIMEOUT;
		ec_wake(ec);
	}
}

/* The sleep succeeds unless whoever ends it says otherwise. */
bool sm_sleep(struct sm *sm, struct ec *ec, uint64_t deadline)
{
	if (unlikely(sm->object.dying)) {
		/* Those who slept have been woken for good. */
		unlock(&sm->lock);
		return false;
	}
	ec->blocked = 1;
	ec->wake_status = SUCCESS;
	ec->sm = sm;
	list_append(&sm->waiters, &ec->queue);
	unlock(&sm->lock);
	if (deadline) {
		ec->timeout.deadline = deadline;
		ec->timeout.fire = expire;
		timeout_add(this_cpu(), &ec->timeout);
	}
	return true;
}

bool sm_down(struct sm *sm, struct ec *ec, bool zero, uint64_t deadline)
{
	lock(&sm->lock);
	if (!list_empty(&sm->signals)) {
		struct sm *signal = container_of(sm->signals.next, struct sm, signals);

		list_remove(&signal->signals);
		receive(ec, signal);
		zero = false; /* the others are to be told of, too */
	} else if (!sm->count) {
		return !sm_sleep(sm, ec, deadline);
	}
	/* It has no count if the first signal came during entry.S's down. */
	sm->count = zero || !sm->count ? 0 : sm->count - 1;
	unlock(&sm->lock);
	return true;
}

bool sm_dequeue(struct ec *ec)
{
	struct sm *sm = __atomic_load_n(&ec->sm, __ATOMIC_ACQUIRE);
	bool queued = false;

	if (sm) {
		lock(&sm->lock);
		queued = ec->sm == sm;
		if (queued) {
			list_remove(&ec->queue);
			ec->sm = NULL;
		}
		unlock(&sm->lock);
	}
	return queued;
}

/* Nobody can up it any more: who sleeps on it is told. */
void sm_unlink(struct sm *sm)
{
	if (sm->gsi == SM_SIGNAL) {
		lock(&sm->chain->lock);
		list_remove(&sm->signals);
		unlock(&sm->chain->lock);
		return;
	}
	lock(&sm->lock);
	while (!list_empty(&sm->waiters)) {
		struct ec *ec = take_first(sm);

		ec->wake_status = BAD_CAPABILITY;
		ec_post(ec, PENDING_WAKE);
	}
	unlock(&sm->lock);
}

void sm_init_gsis(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct sm *sm;

		if (sm_create(&sm, &pd_kernel, 0) != SUCCESS ||
		    mapping_create(&pd_kernel, KERNEL_SEL_GSI + i, &sm->object) != SUCCESS)
			panic("no memory for interrupt semaphores");
		sm->gsi = i;
		gsi_sm[i] = sm;
	}
}

void sm_set_signal(struct sm *sm, struct sm *signal)
{
	if (signal)
		object_get(&signal->object);
	signal = __atomic_exchange_n(&sm->chain, signal, __ATOMIC_ACQ_REL);
	if (signal)
		object_put(&signal->object);
}

/* A signal that was taken from it meanwhile is there until we are back. */
void gsi_fired(unsigned gsi)
{
	struct sm *signal = __atomic_load_n(&gsi_sm[gsi]->chain, __ATOMIC_ACQUIRE);

	sm_up(signal ? signal : gsi_sm[gsi]);
}
