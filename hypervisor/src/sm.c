/*
 * Semaphores. Whoever takes an EC out of the queue, under the lock, has decided
 * how its sleep ends, and is the one to wake it.
 */
#include "syscall.h"

#include <abi/hip.h>

#include "log.h"
#include "sc.h"
#include "x86/irq.h"

enum { WAKES = 4 }; /* at once, of more */

static struct sm *gsi_sm[GSIS];

struct sm *sm_create(struct pd *owner, uint64_t count, struct sm *chain)
{
	struct sm *sm = object_alloc(owner, OBJECT_SM);

	if (!sm)
		return NULL;
	sm->lock.held = chain != NULL;
	sm->count = count;
	list_init(&sm->waiters);
	list_init(&sm->signals);
	sm->gsi = chain ? SM_SIGNAL : SM_NO_GSI;
	sm->chain = chain;
	sm->ups = sm->notices = sm->wait.left = sm->interrupts = 0;
	if (chain) {
		object_get(&chain->object);
		chain->gsi = SM_CHAINED;
	}
	return sm;
}

void sm_destroy(struct object *o)
{
	struct sm *sm = container_of(o, struct sm, object);

	if (sm->chain)
		object_put(&sm->chain->object);
	slab_free(sm);
}

/* The EC that has slept, or not had to, in sm_ctrl is told of the signal. */
static void receive(struct ec *ec, struct sm *signal)
{
	if (ec->sleeps) {
		ec->regs.rsi = signal->count;
		ec->regs.rdx = signal->ups;
	}
	signal->ups = 0;
}

/* Out of the queue it sleeps in; the lock is held. */
static void take(struct ec *ec)
{
	list_remove(&ec->queue);
	ec->sm = NULL;
}

static struct ec *first(struct sm *sm)
{
	return container_of(sm->waiters.next, struct ec, queue);
}

/* The lock is held, which this releases, and somebody sleeps. */
static inline void wake_first(struct sm *sm)
{
	struct ec *ec = first(sm);

	take(ec);
	unlock(&sm->lock);
	ec_post(ec, PENDING_WAKE);
}

void sm_up(struct sm *sm)
{
	struct sm *signal = NULL;

	if (unlikely(sm->gsi == SM_SIGNAL)) {
		signal = sm;
		sm = signal->chain;
	}
	lock(&sm->lock);
	if (unlikely(signal && (signal->ups++ || signal->object.dying))) {
		unlock(&sm->lock);
	} else if (likely(list_empty(&sm->waiters))) {
		if (signal)
			list_append(&sm->signals, &signal->signals);
		sm->count++;
		unlock(&sm->lock);
	} else {
		if (signal)
			receive(first(sm), signal);
		wake_first(sm);
	}
}

/*
 * What is freed may let go of more. When there is nothing more to free, or
 * always something new, that is enough; in the latter case not for those who
 * came meanwhile.
 */
static void notice(struct deferred *d)
{
	struct sm *sm = container_of(d, struct sm, notify);
	bool more = rcu_hurry(&sm->wait);
	uint64_t due = more ? sm->due : __atomic_load_n(&sm->notices, __ATOMIC_ACQUIRE), left, n;

	if (!sm->wait.left || !more) {
		n = due < WAKES ? due : WAKES;
		sm->wait.left = due > n;
		left = __atomic_sub_fetch(&sm->notices, n, __ATOMIC_ACQ_REL);
		due -= n;
		while (n--)
			sm_up(sm);
		if (!left) {
			object_put(&sm->object);
			return;
		}
		sm->due = due ?: left;
	}
	rcu_defer(d, notice);
}

void sm_notify(struct sm *sm)
{
	if (__atomic_fetch_add(&sm->notices, 1, __ATOMIC_ACQ_REL) == 0) {
		sm->due = 1;
		object_get(&sm->object);
		rcu_defer(&sm->notify, notice);
	}
}

/* In sm_ctrl, unlike after a reply, the sleep's end is the call's. */
static void set_status(struct ec *ec, enum status s)
{
	if (ec->sleeps)
		ec->regs.rdi = s;
}

static void expire(struct timeout *t)
{
	struct ec *ec = container_of(t, struct ec, timeout);

	if (sm_dequeue(ec)) {
		set_status(ec, TIMEOUT);
		ec_wake(ec);
	}
}

/*
 * The lock is held, which this releases, and the count is 0. The sleep succeeds
 * unless whoever ends it says otherwise. Who slept on one that is gone has been
 * woken, and nobody else will be.
 */
static inline enum status sleep(struct sm *sm, struct ec *ec, uint64_t deadline)
{
	if (unlikely(sm->object.dying)) {
		unlock(&sm->lock);
		return BAD_CAPABILITY;
	}
	set_status(ec, SUCCESS);
	ec->blocked = 1;
	ec->sm = sm;
	list_append(&sm->waiters, &ec->queue);
	unlock(&sm->lock);
	if (deadline) {
		ec->timeout.deadline = deadline;
		ec->timeout.fire = expire;
		timeout_add(this_cpu(), &ec->timeout);
	}
	return SUCCESS;
}

enum status sm_down(struct sm *sm, struct ec *ec, bool zero, uint64_t deadline)
{
	lock(&sm->lock);
	if (!list_empty(&sm->signals)) {
		struct sm *signal = container_of(sm->signals.next, struct sm, signals);

		list_remove(&signal->signals);
		receive(ec, signal);
		zero = false; /* the others are to be told of, too */
	} else if (!sm->count) {
		return sleep(sm, ec, deadline);
	}
	/* It has no count if the first signal came during entry.S's down. */
	sm->count = zero || !sm->count ? 0 : sm->count - 1;
	unlock(&sm->lock);
	return SUCCESS;
}

bool sm_dequeue(struct ec *ec)
{
	struct sm *sm = __atomic_load_n(&ec->sm, __ATOMIC_ACQUIRE);

	if (!sm)
		return false;
	guard(&sm->lock);
	if (ec->sm != sm)
		return false;
	take(ec);
	return true;
}

/* Nobody can up it any more: who sleeps on it is told, a few at a time. */
void sm_unlink(struct object *o)
{
	struct sm *sm = container_of(o, struct sm, object);

	if (sm->gsi == SM_SIGNAL) {
		for (unsigned i = 0; sm->interrupts && i < GSIS; i++)
			(void)atomic_replace(&gsi_sm[i]->chain, sm, NULL);
		guard(&sm->chain->lock);
		list_remove(&sm->signals);
		return;
	}
	guard(&sm->lock);
	for (unsigned n = 0; !list_empty(&sm->waiters); n++) {
		struct ec *ec = first(sm);

		if (n == WAKES) {
			object_get(o);
			object_unlinked(o);
			break;
		}
		take(ec);
		set_status(ec, BAD_CAPABILITY);
		ec_post(ec, PENDING_WAKE);
	}
}

static inline uint64_t deadline(const struct ec *self)
{
	return self->regs.rsi << 32 | (self->regs.rdx & 0xffffffff);
}

static inline struct ec *down_done(struct ec *self, enum status s)
{
	return self->blocked ? ec_block(self) : syscall_done(self, s);
}

/* entry.S holds the lock: somebody sleeps, or is to, since the count was 0. */
struct ec *sys_sm_locked(struct sm *sm, struct ec *self)
{
	if (!(syscall_flags(self->regs.rdi) & SM_DOWN)) {
		wake_first(sm);
		return syscall_done(self, SUCCESS);
	}
	sm->count = 0; /* which entry.S has lowered */
	self->sleeps = 1;
	return down_done(self, sleep(sm, self, deadline(self)));
}

/* What entry.S does not know: a contended lock, interrupts, flags. */
struct ec *sys_sm_ctrl(uint64_t id, struct ec *self)
{
	unsigned flags = syscall_flags(id);
	struct sm *sm = pd_object(self->pd, syscall_selector(id), OBJECT_SM,
				  flags & SM_DOWN ? SM_RIGHT_DOWN : SM_RIGHT_UP);

	if (!sm || (flags & SM_DOWN && sm->gsi == SM_SIGNAL))
		return syscall_done(self, BAD_CAPABILITY);
	if (!(flags & SM_DOWN)) {
		sm_up(sm);
		return syscall_done(self, SUCCESS);
	}
	if (sm->gsi < GSIS) {
		gsi_mask(sm->gsi, false, true);
		if (sm->chain)
			return syscall_done(self, SUCCESS);
	}
	self->sleeps = 1;
	return down_done(self, sm_down(sm, self, flags & FLAG_SM_ZERO, deadline(self)));
}

void sm_init_gsis(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct sm *sm = sm_create(&pd_kernel, 0, NULL);

		if (!sm || mapping_create(&pd_kernel, KERNEL_SEL_GSI + i, &sm->object) != SUCCESS)
			panic("no memory for interrupt semaphores");
		sm->gsi = i;
		gsi_sm[i] = sm;
	}
}

void sm_set_signal(struct sm *sm, struct sm *signal)
{
	if (signal)
		__atomic_store_n(&signal->interrupts, true, __ATOMIC_SEQ_CST);
	__atomic_store_n(&sm->chain, signal, __ATOMIC_SEQ_CST);
	/* It may have looked for its interrupts before this was one. */
	if (signal && __atomic_load_n(&signal->object.dying, __ATOMIC_SEQ_CST))
		__atomic_store_n(&sm->chain, NULL, __ATOMIC_RELEASE);
}

/* A signal that goes meanwhile is there until we are back. */
void gsi_fired(unsigned gsi)
{
	struct sm *signal = __atomic_load_n(&gsi_sm[gsi]->chain, __ATOMIC_ACQUIRE);

	sm_up(signal ? signal : gsi_sm[gsi]);
}
