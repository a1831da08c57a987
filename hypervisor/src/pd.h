/*
 * Protection domains: what a program may touch. Three spaces of capabilities,
 * and the page tables made from the memory space.
 */
#pragma once

#include "quota.h"
#include "space.h"

struct cpu;

struct pd {
	struct object object;
	struct quota quota;
	union {
		struct {
			struct space mem, pio, obj;
		};
		struct space spaces[CRD_OBJ];
	};
	struct ptab tables[PTABS];
	uint64_t cr3;		   /* of the host's */
	uint64_t guest_generation; /* atomic: guest tables lost entries */

	uint8_t *io_bitmap; /* 2 pages, 0 bit: allowed; or NULL */
	uint8_t *guest_io;  /* 4 pages, for vCPUs; or NULL */

	struct revocation revocation; /* of all that it holds, at its end */
	uint8_t clearing;	      /* and the type where that is */

	struct lock slab_lock;
	struct slab_cache slabs[SLABS];
};

/* The kernel's own: idle ECs, and what is nobody's. No user memory. */
extern struct pd pd_kernel;
/* The one that may take memory, ports and interrupts from the kernel. */
extern struct pd *pd_root;

void pd_init_kernel(void);
[[nodiscard]] enum status pd_create(struct pd **out, struct pd *owner, uint64_t quota);
/* With its last capability: all that it holds goes. False: call it again. */
[[nodiscard]] bool pd_unlink(struct pd *pd);
void pd_destroy(struct pd *pd);

static inline struct space *pd_space(struct pd *pd, enum crd_type type)
{
	return &pd->spaces[type - CRD_MEM];
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
