/*
 * References, and the end of objects.
 */
#include "object.h"

#include "ec.h"
#include "log.h"
#include "pd.h"
#include "sc.h"
#include "sm.h"
#include "x86/irq.h"

/* What nobody comes to end but any CPU, at times. */
static struct {
	struct lock lock;
	struct dying dying;
	struct deferred deferred;
	bool waits; /* atomic: for that */
} rest;

/* In `refs`: its end waits for a grace period. */
#define REFS_QUEUED (1u << 31)

static void queue(struct object *o);

/*
 * Nothing referred to it before the grace period. But a CPU that had looked it
 * up until then may have taken a reference.
 */
static void destroy_later(struct deferred *d)
{
	static void (*const destroy[])(struct object *) = {
		[OBJECT_PD] = pd_destroy, [OBJECT_EC] = ec_destroy, [OBJECT_SC] = sc_destroy,
		[OBJECT_PT] = pt_destroy, [OBJECT_SM] = sm_destroy,
	};
	struct object *o = container_of(d, struct object, deferred);
	struct pd *owner = o->owner;

	if (!atomic_replace(&o->refs, REFS_QUEUED, 0)) {
		if (__atomic_sub_fetch(&o->refs, REFS_QUEUED, __ATOMIC_ACQ_REL) == 0)
			queue(o);
		return;
	}
	destroy[o->type](o);
	if (owner)
		object_put(&owner->object);
}

static void queue(struct object *o)
{
	if (atomic_replace(&o->refs, 0, REFS_QUEUED))
		rcu_defer(&o->deferred, destroy_later);
}

void object_put(struct object *o)
{
	uint32_t refs = __atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL);

	assert((refs & ~REFS_QUEUED) != ~REFS_QUEUED);
	if (refs == 0)
		queue(o);
}

static void put(struct dying *d, struct object *first, struct object *last)
{
	if (!d->first)
		d->last = last;
	last->next = d->first;
	d->first = first;
}

void object_unlinked(struct object *o)
{
	o->dying = 1;
	put(this_cpu()->dying, o, o);
}

/* Who revokes nothing does a little of what others have left. */
static void do_rest(struct deferred *)
{
	struct revocation r = {.active = true};

	__atomic_store_n(&rest.waits, false, __ATOMIC_RELEASE);
	lock(&rest.lock);
	r.dying = rest.dying;
	rest.dying.first = NULL;
	unlock(&rest.lock);
	if (!mapping_revoke(&r, &pd_kernel, CRD(CRD_OBJ, 0, 0, 0), false, false))
		object_leave(&r.dying);
}

void object_leave(struct dying *d)
{
	if (d->first) {
		guard(&rest.lock);
		put(&rest.dying, d->first, d->last);
		d->first = NULL;
	}
	if (!__atomic_exchange_n(&rest.waits, true, __ATOMIC_ACQUIRE))
		rcu_defer(&rest.deferred, do_rest);
}

void object_abandon(struct object *o)
{
	struct dying d = {o, o};

	o->dying = 1;
	object_leave(&d);
}

/* What its last capability's end means to a type. False: not all done. */
static bool end(struct object *o)
{
	static void (*const unlink[])(struct object *) = {
		[OBJECT_EC] = ec_unlink, [OBJECT_SC] = sc_unlink, [OBJECT_SM] = sm_unlink};

	if (o->type == OBJECT_PD)
		return mapping_clear(container_of(o, struct pd, object));
	if (o->type != OBJECT_PT)
		unlink[o->type](o);
	return true;
}

/* A PD's end may take long: then it is put back to go on with. */
bool object_reap(void)
{
	struct dying *d = this_cpu()->dying;

	for (unsigned n = 1; d->first; n++) {
		struct object *o = d->first;

		d->first = o->next;
		if (unlikely(!end(o))) {
			put(d, o, o);
			return false;
		}
		object_put(o);
		if (unlikely(n % AT_ONCE == 0 && irq_poll()))
			return !d->first;
	}
	return true;
}
