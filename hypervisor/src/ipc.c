/*
 * Calls, replies, and events.
 *
 * The fast path of a call: the capability, the handler idle on this CPU, no
 * typed items. The caller lends its SC; the handler starts at the portal's
 * entry. No lock, no reference, no time stamp: what a call touches cannot go
 * away under it, since the kernel is left before any grace period ends.
 */
#include "ipc.h"

#include "item.h"
#include "sc.h"
#include "state.h"
#include "x86/vcpu.h"

enum { UNTYPED_MAX = 0xffff }; /* of word 0: typed items are above */
enum { FAULT_ORDER = 31 };     /* pages of an event's window, around the fault address */

/* The message of a call or a reply. items: the sender's word 0, read once. */
static inline void copy_message(struct utcb *to, const struct utcb *from, uint64_t items)
{
	uint64_t n = items & 0xffff, *d = to->word;
	const uint64_t *s = from->word;

	if (unlikely(n > UTCB_WORDS))
		n = UTCB_WORDS;
	to->items = n;
	if (n)
		__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
}

static inline uint64_t items_of(const struct utcb *u)
{
	return __atomic_load_n(&u->items, __ATOMIC_RELAXED);
}

/* `self` waits for `handler`, which runs on its SC. */
static inline void join_chain(struct ec *self, struct ec *handler)
{
	self->callee = handler;
	handler->caller = self;
	handler->sc = self->sc;
	handler->idle_on = IDLE_NOWHERE;
}

static inline void enter_portal(struct ec *handler, const struct pt *pt)
{
	handler->regs.rip = pt->ip;
	handler->regs.rdi = pt->id;
}

/*
 * The handler is busy. Whoever is at the end of its chain gets this CPU's SC,
 * and `self` tries again when it runs next.
 */
static struct ec *help(struct ec *self, struct ec *handler)
{
	struct ec *leaf = handler->sc->leaf;

	self->sc->leaf = self;
	if (leaf->blocked) {
		list_append(&leaf->parked, &this_cpu()->sc->queue);
		return schedule_blocked();
	}
	return leaf;
}

static struct ec *fail(struct ec *self, enum status s)
{
	self->regs.rdi = s;
	return NULL;
}

/* Those that give time away: to whoever is next, or to an EC, if it still has the TLS word. */
struct ec *sys_ec_ctrl(uint64_t id, struct ec *self)
{
	unsigned operation = syscall_flags(id);
	struct ec *ec;

	if (operation == EC_YIELD || operation == EC_RESCHEDULE) {
		self->regs.rdi = SUCCESS;
		self->sc->left = 0;
		return schedule_away(self);
	}
	if (operation != EC_HELP)
		return sys_control(id, self);
	ec = pd_object(self->pd, syscall_selector(id), OBJECT_EC, 0);
	if (!ec)
		return fail(self, BAD_CAPABILITY);
	if (ec->cpu != self->cpu)
		return fail(self, BAD_CPU);
	self->regs.rdi = SUCCESS;
	if (ec->dead || (!ec->global && ec->idle_on != IDLE_NOWHERE) || !ec->sc ||
	    ec->sc == self->sc || !ec->utcb || ec->utcb->tls != self->regs.rsi)
		return NULL;
	return help(self, ec);
}

/* Whom `ec` can ask for memory, or NULL. */
static struct pt *oom_portal(const struct ec *ec)
{
	struct pt *pt = ec->home ? ec->home->oom : ec->oom;

	return pt && !pt->object.dying && !pt->ec->dead ? pt : NULL;
}

/* Who sends, as who is asked for the receiver's memory knows it. */
static uint64_t oom_source(const struct ec *self)
{
	const struct ec *ec = self->home ? self->home : self;

	if (ec->oom)
		return ec->oom->id;
	return ec->pd == pd_root ? ~0ul : 0;
}

static void oom_enter(struct pt *pt, uint64_t source, uint64_t reason)
{
	enter_portal(pt->ec, pt);
	pt->ec->regs.rsi = source;
	pt->ec->regs.rdx = reason;
}

/* No message goes either way; then `self` does `work`. */
static struct ec *ask(struct ec *self, struct pt *pt, uint64_t source, uint64_t reason,
		      struct ec *(*work)(struct ec *))
{
	struct ec *handler = pt->ec;

	if (handler->idle_on != self->cpu)
		return help(self, handler);
	ec_set_work(self, work);
	self->waits = WAITS_MEMORY;
	handler->utcb->items = 0;
	handler->odd_reply = 1;
	join_chain(self, handler);
	oom_enter(pt, source, reason);
	return handler;
}

/* As `work` of a proxy, which has what to ask for in its registers. */
static struct ec *ask_here(struct ec *proxy)
{
	struct pt *pt = proxy->oom;

	if (pt->object.dying || pt->ec->dead)
		return remote_return(proxy);
	return ask(proxy, pt, proxy->regs.rsi, proxy->regs.rdx, remote_return);
}

struct ec *oom_call(struct ec *self, struct ec *receiver, enum oom_reason reason)
{
	const struct pd *starved = this_cpu()->starved;
	struct ec *ec = receiver && receiver->pd == starved ? receiver : self;
	struct pt *pt = ec->pd == starved ? oom_portal(ec) : NULL;

	if (!pt || self->resume == resume_work)
		return NULL;
	if (pt->ec == self && reason == OOM_REPLY) {
		/* Its next reply is the same. */
		syscall_drop(self);
		oom_enter(pt, oom_source(self), reason | OOM_SELF);
		return self;
	}
	if (pt->ec->cpu == self->cpu) {
		if (pt->ec->idle_on != self->cpu && pt->ec->sc == self->sc)
			return NULL;
		ec_set_work(self, syscall_retry);
		return ask(self, pt, oom_source(self), reason, syscall_retry);
	}
	if (self->home || !remote_proxy(self))
		return NULL;
	ec_set_oom(self->proxy, pt);
	self->proxy->regs.rsi = oom_source(self);
	self->proxy->regs.rdx = reason;
	ec_set_work(self, syscall_retry);
	return remote_send(self, pt->ec->cpu, ask_here);
}

[[gnu::noinline]] static struct ec *call_slow(uint64_t id, struct ec *self, const struct mapping *m)
{
	struct ec *handler = container_of(m->object, struct pt, object)->ec;

	if (handler->cpu != self->cpu) {
		if (!(m->rights & PT_CALL_REMOTE) || self->home)
			return fail(self, BAD_CPU);
		if (!remote_proxy(self))
			return syscall_done(self, OUT_OF_MEMORY);
		self->retry.left = 0;
		return remote_send(self, handler->cpu, syscall_retry);
	}
	if (handler->dead || handler->sc == self->sc || syscall_flags(id) & FLAG_CALL_NONBLOCK)
		return fail(self, TIMEOUT);
	ec_set_work(self, syscall_retry);
	return help(self, handler);
}

[[gnu::noinline]] static struct ec *call_typed(struct ec *self, struct pt *pt, uint64_t items)
{
	enum status s = items_send(self, self->pd, pt->ec->pd, pt->ec->utcb, 0, (uint32_t)items);

	if (s != SUCCESS)
		return syscall_wait(self, s, pt->ec, OOM_SEND);
	self->retry.left = 0;
	copy_message(pt->ec->utcb, self->utcb, items);
	pt->ec->utcb->items = items_header(items);
	join_chain(self, pt->ec);
	enter_portal(pt->ec, pt);
	return pt->ec;
}

struct ec *sys_call(uint64_t id, struct ec *self)
{
	const struct mapping *m = pd_capability(self->pd, syscall_selector(id), OBJECT_PT);
	struct ec *handler;
	uint64_t items;
	struct pt *pt;

	if (unlikely(!m || !(m->rights & PT_CALL)))
		return fail(self, BAD_CAPABILITY);
	pt = container_of(m->object, struct pt, object);
	handler = pt->ec;
	if (unlikely(handler->idle_on != self->cpu))
		return call_slow(id, self, m);
	self->waits = WAITS_MESSAGE;
	items = items_of(self->utcb);
	if (unlikely(items > UNTYPED_MAX))
		return call_typed(self, pt, items);
	copy_message(handler->utcb, self->utcb, items);
	join_chain(self, handler);
	enter_portal(handler, pt);
	return handler;
}

/* The chain of `caller` may not be the one that pays now. */
struct ec *ipc_return(struct ec *caller)
{
	struct cpu *cpu = this_cpu();

	if (likely(caller->sc == cpu->sc))
		return caller;
	caller->sc->leaf = caller;
	return cpu->sc ? cpu->sc->leaf : cpu->idle;
}

/*
 * What is delegated with a reply. Where nobody can be asked for memory, it goes
 * as far as there is some.
 */
static enum status reply_items(struct ec *self, struct ec *caller, struct utcb *receiver,
			       uint64_t window, uint64_t items)
{
	enum status s;

	items = (uint32_t)items;
	if (self->retry.left == RETRY_NO_MORE || !oom_portal(caller))
		items |= ITEMS_ALL;
	s = items_send(self, self->pd, caller->pd, receiver, window, items);
	if (s == SUCCESS)
		self->retry.left = 0;
	return s;
}

/* The reply to an exception or VM exit: what is delegated, and the state. */
static inline enum status load_state(struct ec *self, struct ec *caller)
{
	uint64_t items = items_of(self->utcb), at = caller->fault_address >> PAGE_BITS;
	enum status s = SUCCESS;

	if (unlikely(items > UNTYPED_MAX))
		s = reply_items(self, caller, NULL, CRD(CRD_MEM, RIGHTS_ALL, FAULT_ORDER, at),
				items);
	if (unlikely(s != SUCCESS))
		return s;
	if (ec_is_vcpu(caller))
		vcpu_ops->load(caller, self->utcb, self->utcb->mtd);
	else
		state_load(caller, self->utcb, self->utcb->mtd);
	return SUCCESS;
}

/* The items were too much for one time, or for the caller's memory. */
static struct ec *reply_again(struct ec *self, struct ec *caller, enum status s)
{
	self->idle_on = IDLE_NOWHERE;
	self->caller = caller;
	caller->callee = self;
	return syscall_wait(self, s, caller, OOM_REPLY);
}

[[gnu::noinline]] static struct ec *reply_state(struct ec *self, struct ec *caller)
{
	enum status s = load_state(self, caller);

	return likely(s == SUCCESS) ? ipc_return(caller) : reply_again(self, caller, s);
}

/* The caller's chain is without `self`, who is ready for the next. */
static inline struct ec *leave_chain(struct ec *self)
{
	struct ec *caller = self->caller;

	self->idle_on = self->cpu;
	self->caller = NULL;
	caller->callee = NULL;
	return caller;
}

/*
 * Typed items; or who was asked for memory, so that the message is nothing; or
 * the caller was sent to another CPU, which it is not to leave unseen; or
 * the caller is to sleep on a semaphore before it goes on: it makes its call
 * again then, or if this was an event, just runs.
 */
[[gnu::noinline]] static struct ec *reply_slow(uint64_t id, struct ec *self)
{
	uint64_t items, at = syscall_selector(id);
	struct sm *sm = at ? pd_object(self->pd, at, OBJECT_SM, SM_RIGHT_DOWN) : NULL;
	struct ec *caller;
	enum status s = SUCCESS;

	if (self->global)
		return fail(self, BAD_HYPERCALL);
	if (sm && sm->gsi == SM_SIGNAL)
		sm = NULL;
	self->odd_reply = 0;
	caller = leave_chain(self);
	if (caller->waits == WAITS_STATE) {
		s = load_state(self, caller);
	} else if (caller->waits == WAITS_MESSAGE) {
		items = items_of(self->utcb);
		copy_message(caller->utcb, self->utcb, items);
		if (items > UNTYPED_MAX) {
			s = reply_items(self, caller, caller->utcb, 0, items);
			caller->utcb->items = items_header(items);
		}
	}
	if (s != SUCCESS)
		return reply_again(self, caller, s);
	if (caller->waits == WAITS_MESSAGE && sm)
		syscall_again(caller);
	else if (caller->waits == WAITS_MESSAGE)
		caller->regs.rdi = SUCCESS;
	caller->sleeps = 0;
	/* Nobody would wake a dead one: it goes on to its end. */
	if (sm && !caller->dead)
		(void)sm_down(sm, caller, false, 0);
	this_cpu()->resched |= caller->own_sc && caller->own_sc->moves;
	return caller->blocked && caller->sc == this_cpu()->sc ? ec_block(caller)
							       : preempt(ipc_return(caller));
}

struct ec *sys_reply(uint64_t id, struct ec *self)
{
	struct ec *caller;
	uint64_t items;

	if (unlikely(self->odd_reply || id >= CALL_ID(0, 0, 1)))
		return reply_slow(id, self);
	if (self->caller->waits == WAITS_STATE)
		return reply_state(self, leave_chain(self));
	items = items_of(self->utcb);
	if (unlikely(items > UNTYPED_MAX))
		return reply_slow(id, self);
	caller = leave_chain(self);
	caller->regs.rdi = SUCCESS;
	copy_message(caller->utcb, self->utcb, items);
	return ipc_return(caller);
}

struct ec *ipc_report(struct ec *ec)
{
	return ipc_event(ec, ec->event);
}

[[gnu::noinline]] static struct ec *event_slow(struct ec *ec, struct ec *handler)
{
	if (handler->cpu != ec->cpu || handler->dead || handler->sc == ec->sc)
		return ec_die(ec);
	ec_set_work(ec, ipc_report);
	return ec_is_vcpu(ec) ? vcpu_part(ec, help(ec, handler)) : help(ec, handler);
}

struct ec *ipc_event(struct ec *ec, uint32_t event)
{
	const struct mapping *m = pd_capability(ec->pd, ec->events + (uint64_t)event, OBJECT_PT);
	struct ec *handler;
	struct pt *pt;

	if (unlikely(!m || !(m->rights & PT_CALL)))
		return ec_die(ec);
	pt = container_of(m->object, struct pt, object);
	handler = pt->ec;
	ec->event = event;
	if (unlikely(handler->idle_on != ec->cpu))
		return event_slow(ec, handler);
	ec->waits = WAITS_STATE;
	join_chain(ec, handler);
	enter_portal(handler, pt);
	handler->utcb->items = UTCB_WORDS;
	if (ec_is_vcpu(ec)) {
		ec->resume = vcpu_ops->resume;
		vcpu_ops->save(ec, handler->utcb, pt->mtd);
	} else {
		ec->resume = resume_iret;
		state_save(ec, handler->utcb, pt->mtd);
	}
	return handler;
}
