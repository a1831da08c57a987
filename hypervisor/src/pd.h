/*
 * Protection domains: what a program may touch. Three spaces of capabilities,
 * and the page tables made from the memory space.
 */
#pragma once

#include "mapping.h"

enum { TREES = CRD_OBJ + PTABS };

struct pd {
	struct object object;
	struct quota quota;
	union {
		struct {
			struct tree mem, pio, obj, tables[PTABS];
		};
		struct tree trees[TREES];
	};
	uint64_t cr3;		   /* of the host's */
	uint64_t guest_generation; /* atomic: guest tables lost entries */

	uint8_t *io_bitmap; /* 2 pages, 0 bit: allowed; or NULL */
	uint8_t *guest_io;  /* 4 pages, for vCPUs; or NULL */

	uint64_t lost;		      /* mappings, or rights of them: so often, so far */
	struct mapping made;	      /* what the objects that are made in it are derived from */
	struct revocation revocation; /* of all that it holds, at its end */
	uint8_t clearing;	      /* and the type where that is */

	struct lock slab_lock;
	struct list slabs[SLABS]; /* with room; by enum object_type */
};

/* The kernel's own: idle ECs, and what is nobody's. No user memory. */
extern struct pd pd_kernel;
/* The one that may take memory, ports and interrupts from the kernel. */
extern struct pd *pd_root;

void pd_init_kernel(void);
[[nodiscard]] enum status pd_create(struct pd **out, struct pd *owner, uint64_t quota);
void pd_destroy(struct object *o);

static inline struct tree *pd_space(struct pd *pd, enum crd_type type)
{
	return &pd->trees[type - CRD_MEM];
}

/* Access to ports, for threads and with MAPPING_GUEST for vCPUs. */
[[nodiscard]] enum status pd_ports(struct pd *pd, uint64_t base, unsigned order, bool allow,
				   bool guest);

/* Make this CPU use its page tables and ports. */
void pd_load(struct pd *pd);
/*
 * #GP: the PD got ports since it was loaded, or the TSS was cut short by a VM
 * exit. True: try again.
 */
bool pd_grant_io(struct cpu *cpu);

/* The capability of an object of a type at a selector, or NULL. */
static inline const struct mapping *pd_capability(const struct pd *pd, uint64_t selector,
						  enum object_type type)
{
	const struct mapping *m = space_object(&pd->obj, selector);

	return likely(m && m->object_type == type) ? m : NULL;
}

/* The object, if the capability has the rights, or NULL: each begins with `object`. */
static inline void *pd_object(const struct pd *pd, uint64_t selector, enum object_type type,
			      unsigned rights)
{
	const struct mapping *m = pd_capability(pd, selector, type);

	if (unlikely(!m || (m->rights & rights) != rights))
		return NULL;
	if (!m->object)
		__builtin_unreachable();
	return m->object;
}

/*
 * In its place, which is at `e` if that is known, and in the page tables with the
 * rights; or gone.
 */
[[gnu::always_inline]] static inline enum status mapping_settle(struct tree *space, uint64_t *e,
								struct mapping *m,
								enum crd_type type, unsigned rights)
{
	enum status s = SUCCESS;

	if (likely(e)) {
		__atomic_store_n(e, (uint64_t)m, __ATOMIC_RELEASE);
		table_count(e, 1, 0);
	} else {
		s = tree_set(space, m->pd, m->base, m->order, (uint64_t)m, 0);
	}
	if (unlikely(s != SUCCESS)) {
		slab_free(m);
		return s;
	}
	mapping_link(m->parent, m);
	if (type == CRD_OBJ) {
		m->object->caps++;
		return s;
	}
	s = likely(type == CRD_MEM && !(m->flags & MAPPING_OTHERS))
		    ? ptab_map(m->pd->tables, m, rights)
		    : mapping_apply(m, rights);
	if (unlikely(s != SUCCESS)) {
		mapping_leave(m);
		mapping_release(m);
	}
	return s;
}
