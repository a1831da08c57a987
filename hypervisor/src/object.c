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

enum { AT_ONCE = 64 }; /* objects that end between two looks for interrupts */

static struct {
	struct lock lock;
	struct object *first;
	struct deferred rest; /* of it, and of what was revoked */
	bool waits;	      /* atomic: for that */
} dying;

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
	uint32_t refs = REFS_QUEUED;

	if (!__atomic_compare_exchange_n(&o->refs, &refs, 0, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED)) {
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
	uint32_t none = 0;

	if (__atomic_compare_exchange_n(&o->refs, &none, REFS_QUEUED, false, __ATOMIC_ACQ_REL,
					__ATOMIC_RELAXED))
		rcu_defer(&o->deferred, destroy_later);
}

void object_put(struct object *o)
{
	uint32_t refs = __atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL);

	assert((refs & ~REFS_QUEUED) != ~REFS_QUEUED);
	if (refs == 0)
		queue(o);
}

void object_unlinked(struct object *o)
{
	o->dying = 1;
	lock(&dying.lock);
	o->next = dying.first;
	dying.first = o;
	unlock(&dying.lock);
}

/* Who revokes nothing does a little of what others have left. */
static void do_rest(struct deferred *)
{
	struct revocation none = {0};

	__atomic_store_n(&dying.waits, false, __ATOMIC_RELEASE);
	if (!mapping_revoke(&none, &pd_kernel, CRD(CRD_OBJ, 0, 0, 0), false, false))
		object_rest();
}

void object_rest(void)
{
	if (!__atomic_exchange_n(&dying.waits, true, __ATOMIC_ACQUIRE))
		rcu_defer(&dying.rest, do_rest);
}

void object_abandon(struct object *o)
{
	object_unlinked(o);
	object_rest();
}

static struct object *next_dying(void)
{
	lock(&dying.lock);
	struct object *o = dying.first;

	if (o)
		dying.first = o->next;
	unlock(&dying.lock);
	return o;
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

/*
 * A PD's end may take long: it is put back to go on with. That is done by who
 * calls this, or should that one be killed first, by any CPU.
 */
bool object_reap(void)
{
	struct object *o;

	if (likely(!__atomic_load_n(&dying.first, __ATOMIC_RELAXED)))
		return true;
	for (unsigned n = 1; (o = next_dying()); n++) {
		bool done = end(o);

		if (likely(done))
			object_put(o);
		else
			object_unlinked(o);
		if (unlikely(!done || (n % AT_ONCE == 0 && irq_poll()))) {
			object_rest();
			return false;
		}
	}
	return true;
}
