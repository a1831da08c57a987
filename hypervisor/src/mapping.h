/*
 * The mapping database: who holds what, derived from whom.
 *
 * A mapping is a range of 2^order pages or ports, or one object, in one PD. It
 * is in the radix tree of its PD (space.h) and in the tree of what was derived
 * from what. All of this is changed under mdb_lock; lookups of objects go
 * without, which is why mappings are freed after a grace period.
 */
#pragma once

#include <abi/crd.h>

#include "lock.h"
#include "object.h"
#include "ptab.h"
#include "rcu.h"

struct pd;
struct utcb;

enum {
	/* The page tables that it is in; the host's always. */
	MAPPING_HOST = 1 << PTAB_HOST,
	MAPPING_GUEST = 1 << PTAB_GUEST,
	MAPPING_DMA = 1 << PTAB_DMA,
	MAPPING_TABLES = (1 << PTABS) - 1,
	MAPPING_FIXED = 1 << PTABS,	/* the kernel's, in a user's space */
	MAPPING_COMBINE = 1 << 4,	/* in a transfer: write-combining */
	MAPPING_TYPE_SHIFT = 5,		/* enum memory_type */

	/* Not inherited by what is derived. */
	MAPPING_OWN = MAPPING_TABLES | MAPPING_FIXED,
};

struct mapping {
	union {
		struct {
			struct mapping *parent;	/* derived from; NULL: root */
			struct mapping *child;	/* first derived */
		};
		struct deferred deferred;	/* once it is gone */
	};
	struct mapping *next, *prev;		/* siblings; first's prev NULL */
	union {
		struct object *object;
		uint64_t frame;			/* page frame of the base */
	};
	uint64_t base;				/* page, port or selector */
	struct pd *pd;				/* who holds it */
	uint8_t type;				/* enum crd_type; CRD_NULL: gone */
	uint8_t object_type;			/* of *object */
	uint8_t rights;
	uint8_t order;
	uint32_t flags;				/* MAPPING_ */
};

static_assert(sizeof(struct mapping) == 64);

extern struct lock mdb_lock;

/* The first capability of a new object, at a selector that must be empty. */
[[nodiscard]] enum status mapping_create(struct pd *pd, uint64_t selector,
					 struct object *object);

/* One typed item, already cut to size: what is to go from where to where. */
struct transfer {
	struct pd *from, *to;
	uint64_t source, target;	/* bases, aligned to the order */
	unsigned order;
	uint8_t type;
	uint8_t rights;			/* at most these */
	uint32_t flags;			/* MAPPING_ to be set */
	bool kernel;			/* the source is the kernel */
};

/*
 * Delegate as much of the range as the source has and the target has room
 * for. What arrived at all is told by *rights (0: nothing).
 */
[[nodiscard]] enum status mapping_delegate(const struct transfer *t,
					   uint8_t *rights);

/*
 * A page of the kernel's in a PD's address space, such as a UTCB: nobody can
 * delegate or revoke it. BAD_PARAMETER: there is something else.
 */
[[nodiscard]] enum status mapping_fix(struct pd *pd, uint64_t page,
				      uint64_t frame, uint8_t rights,
				      struct mapping **out);
void mapping_unfix(struct mapping *m);

/* The mapping that has `base`; NULL: none. mdb_lock is held. */
struct mapping *mapping_find(struct pd *pd, enum crd_type type, uint64_t base);
/* The page frame at a user's address, or 0. */
uint64_t mapping_frame(struct pd *pd, uint64_t address);
/* Its CRD, or 0. */
uint64_t mapping_lookup(struct pd *pd, uint64_t crd);

/*
 * Go up from the sender's mapping to one that `to` holds, inside the window:
 * its CRD, or 0.
 */
uint64_t mapping_translate(struct pd *from, uint64_t crd, struct pd *to,
			   uint64_t window);

/*
 * Remove rights from all that was derived from a range of a PD, and with
 * `self` from the range as well. False: interrupted, call it again.
 */
[[nodiscard]] bool mapping_revoke(struct pd *pd, uint64_t crd, bool self,
				  bool keep);

/* All that a PD holds, and all derived from it, goes. False: as above. */
[[nodiscard]] bool mapping_clear(struct pd *pd);
