/*
 * What a capability names: the common head of all kernel objects.
 *
 * An object lives as long as something refers to it: each capability is one
 * reference, each pointer from another object is one. With the last capability
 * it stops working (object_unlinked: a PD is emptied, an EC dies); with the last
 * reference its memory goes back after a grace period.
 */
#pragma once

#include "rcu.h"
#include "slab.h"

struct object {
	uint8_t type;	  /* enum object_type; constant */
	uint8_t dying;	  /* its last capability is gone */
	uint32_t caps;	  /* capabilities; under the mdb lock */
	uint32_t refs;	  /* atomic: capabilities (1 in all) and pointers */
	struct pd *owner; /* pays for it; a reference */
	union {
		struct object *next;	  /* of dying ones */
		struct deferred deferred; /* once nothing refers to it */
	};
};

static inline void object_get(struct object *o)
{
	__atomic_add_fetch(&o->refs, 1, __ATOMIC_RELAXED);
}

static inline void object_init(struct object *o, enum object_type type, struct pd *owner)
{
	o->type = (uint8_t)type;
	o->dying = 0;
	o->caps = 0;
	o->refs = 1;
	o->owner = owner;
	if (owner)
		object_get((struct object *)owner); /* which it begins with */
}

/* The memory of a new one, of which only this is set; NULL: there is none. */
static inline void *object_alloc(struct pd *owner, enum object_type type)
{
	struct object *o = slab_alloc(owner, type);

	if (o)
		object_init(o, type, owner);
	return o;
}

void object_put(struct object *o);
/* Whose last capability is gone. */
struct dying {
	struct object *first, *last;
};

/* Its last capability is gone, by the revocation that goes on here. */
void object_unlinked(struct object *o);
/* Do what follows from that; no lock is held. False: interrupted, call again. */
[[nodiscard]] bool object_reap(void);
/* Nobody comes to do it for these, and for orphans: some CPU does, at times. */
void object_leave(struct dying *d);
/* The same for one that nobody can find. */
void object_abandon(struct object *o);
