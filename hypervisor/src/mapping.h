/*
 * The mapping database: who holds what, derived from whom.
 *
 * A mapping is a range of 2^order pages or ports, or one object, in one PD. It
 * is in the radix tree of its PD (tree.h) and in the tree of what was derived
 * from what. Base and frame are aligned to the order: so of two mappings of
 * the same frames, one has all frames of the other, and what is derived has no
 * frames that its parent has not.
 *
 * One that loses its last right is *gone*: it holds nothing, is in no space,
 * but stays in the tree as long as something is derived from it.
 *
 * All of this is changed under mdb_lock; lookups of objects go without, which
 * is why their mappings are freed after a grace period.
 */
#pragma once

#include <abi/crd.h>

#include "object.h"
#include "tree.h"

/*
 * These are no statuses of a call. It was interrupted, and goes on where it was when it is
 * made again.
 */
#define AGAIN ((enum status)16)
/* BAD_PARAMETER, unless memory that becomes free makes it SUCCESS. */
#define NO_QUOTA ((enum status)(16 | BAD_PARAMETER))
enum { STATUS_MASK = 15 }; /* what of these a program sees */

enum { ITEM_FLAGS = 7 };

enum {
	/* The page tables that it is in; the host's always. As in an item, shifted. */
	MAPPING_HOST = 1 << PTAB_HOST,
	MAPPING_DMA = ITEM_DMA >> ITEM_FLAGS,
	MAPPING_GUEST = ITEM_GUEST >> ITEM_FLAGS,
	MAPPING_TABLES = (1 << PTABS) - 1,
	MAPPING_OTHERS = MAPPING_DMA | MAPPING_GUEST,
	MAPPING_COMBINE = ITEM_WC >> ITEM_FLAGS, /* in a transfer: write-combining */
	MAPPING_FIXED = 1 << 4,			 /* the kernel's, in a user's space */
	MAPPING_TYPE = 3 << 5,			 /* enum memory_type */
	MAPPING_TYPE_SHIFT = 5,
	MAPPING_GONE = 1 << 7,	  /* see above */
	MAPPING_HELD = 1 << 8,	  /* gone, it has a reference to its PD */
	MAPPING_PIECE = 1 << 9,	  /* of its parent, which was split */
	MAPPING_ORPHAN = 1 << 10, /* gone, and in revoke.c's list */
};

static_assert(MAPPING_DMA == 1 << PTAB_DMA && MAPPING_GUEST == 1 << PTAB_GUEST);

struct mapping {
	union {
		struct {
			struct mapping *parent; /* derived from; roots have none */
			struct mapping *child;	/* first derived */
		};
		struct deferred deferred; /* once it is gone */
	};
	struct mapping *next, *prev; /* siblings; first's prev NULL */
	union {
		struct object *object;
		uint64_t frame; /* page frame of the base */
	};
	uint64_t base;	     /* page, port or selector */
	struct pd *pd;	     /* who holds it */
	uint8_t type;	     /* enum crd_type; CRD_NULL: cursor */
	uint8_t object_type; /* of *object */
	uint8_t rights;
	uint8_t order;
	uint32_t flags; /* MAPPING_ */
};

static_assert(sizeof(struct mapping) == 64);

/* revoke.c: a revocation, which may be interrupted. */
struct revocation {
	struct mapping cursor;	      /* in the tree where it goes on, if linked; CRD_NULL;
				   frame, order, rights: what is taken */
	struct mapping *top;	      /* of what is looked at */
	const struct mapping *spared; /* nothing is taken from this one */
	uint64_t own;		      /* the base of what is looked at */
	uint64_t key;		      /* in the range: what comes after that */
	struct dying dying;	      /* whose last capability it took */
	bool active;
	bool up; /* done with all below the cursor's parent */
};

extern struct lock mdb_lock;
/* The root of what the kernel gives of memory and ports. Objects' are pd->made. */
extern struct mapping mapping_kernel;

/* The first capability of a new object, at a selector that must be empty. */
[[nodiscard]] enum status mapping_create(struct pd *pd, uint64_t selector, struct object *object);

/* Of a transfer, between two looks for interrupts. */
enum { TRANSFER_STEPS = 512 };

/* One typed item, already cut to size: what is to go from where to where. */
struct transfer {
	struct pd *from, *to;
	uint64_t source, target; /* bases, aligned to the order */
	uint64_t done;		 /* so much of it was dealt with */
	uint64_t lost;		 /* by both + 1, when first something was translated; or 0 */
	int left;		 /* of TRANSFER_STEPS */
	uint32_t flags;		 /* MAPPING_ to be set */
	uint8_t order;
	uint8_t type;
	uint8_t rights; /* at most these */
	uint8_t got;	/* those that arrived, 0: nothing did */
	bool kernel;	/* the source is the kernel */
};

/*
 * Delegate as much of the range as the source has and the target has room for.
 * Or AGAIN: `done` and `got` say how far it came, at first 0.
 */
[[nodiscard]] enum status mapping_delegate(struct transfer *t);

/*
 * A page of the kernel's in a PD's address space, such as a UTCB: nobody can
 * delegate or revoke it. BAD_PARAMETER: there is something else.
 */
[[nodiscard]] enum status mapping_fix(struct pd *pd, uint64_t page, uint64_t frame, uint8_t rights,
				      struct mapping **out);
void mapping_unfix(struct mapping *m);

/* The page frame at a user's address, or 0. */
uint64_t mapping_frame(struct pd *pd, uint64_t address);
/* Its CRD, or 0. */
uint64_t mapping_lookup(struct pd *pd, uint64_t crd);

/*
 * Go up from the sender's mapping to one that the receiver holds: the CRD of
 * the part of it that was sent and is in the window, or 0.
 */
uint64_t mapping_translate(struct transfer *t, uint64_t crd, uint64_t window);

/* What two descriptors of a type have in common, or 0. */
uint64_t mapping_common(uint64_t a, uint64_t b);

/*
 * Remove rights from all that was derived from a range of a PD, and with
 * `self` from the range as well; or with `keep` all from the range alone.
 * False: interrupted, call it again with the same, or mapping_revoke_drop.
 */
[[nodiscard]] bool mapping_revoke(struct revocation *r, struct pd *pd, uint64_t crd, bool self,
				  bool keep);
void mapping_revoke_drop(struct revocation *r);

/* All that a PD holds, and all derived from it, goes. False: as above. */
[[nodiscard]] bool mapping_clear(struct pd *pd);

/* For revoke.c; mdb_lock is held. */
static inline void mapping_link(struct mapping *parent, struct mapping *m)
{
	m->parent = parent;
	m->child = NULL;
	m->prev = NULL;
	m->next = parent->child;
	if (m->next)
		m->next->prev = m;
	parent->child = m;
}

void mapping_unlink(struct mapping *m);
/* Which has the frame now, where `gone` was split; or NULL. */
const struct mapping *mapping_piece(const struct mapping *gone, uint64_t frame);
/* Make hardware agree with the mapping's rights, or with none at all. */
[[nodiscard]] enum status mapping_apply(const struct mapping *m, unsigned rights);
/* It has no rights any more; then, if nothing is derived from it: the end. */
void mapping_leave(struct mapping *m);
void mapping_release(struct mapping *m);

static inline uint64_t mapping_last(const struct mapping *m)
{
	return m->base + (1ul << m->order) - 1;
}
