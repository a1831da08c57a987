/*
 * Protection domains.
 */
#include "pd.h"

#include "log.h"
#include "tlb.h"
#include "x86/insn.h"
#include "x86/iommu.h"
#include "x86/kmem.h"
#include "x86/vcpu.h"

enum { IO_ORDER = 1, GUEST_IO_ORDER = 2 };

struct pd pd_kernel;
struct pd *pd_root;

static void init(struct pd *pd, struct pd *owner, uint64_t quota)
{
	const struct ptab_format *formats[PTABS] = {
		[PTAB_HOST] = &ptab_host,
		[PTAB_GUEST] = vcpu_ops ? vcpu_ops->guest : NULL,
		[PTAB_DMA] = iommu.format,
	};

	__builtin_memset(pd, 0, sizeof(*pd));
	object_init(&pd->object, OBJECT_PD, owner);
	pd->quota.limit = quota;
	tree_init(&pd->mem, &space_format, MEM_LEVELS, 0);
	tree_init(&pd->pio, &space_format, PIO_LEVELS, 0);
	tree_init(&pd->obj, &space_format, OBJ_LEVELS, 0);
	for (unsigned i = 0; i < PTABS; i++)
		tree_init(&pd->tables[i], formats[i], PTAB_LEVELS, 1u << i);
	pd->clearing = CRD_MEM;
	slab_init(pd);
}

/* Object lookups test no root, so it is there from the start. */
static bool make_roots(struct pd *pd)
{
	uint64_t *host = page_alloc(pd, 0, true);

	pd->obj.root = pd->obj.low = page_alloc(pd, 0, true);
	pd->tables[PTAB_HOST].root = host;
	if (!pd->obj.root || !host)
		return false;
	kmem_share(host);
	pd->cr3 = pool_to_phys(host);
	return true;
}

void pd_init_kernel(void)
{
	init(&pd_kernel, NULL, ~0ul >> 1);
	if (!make_roots(&pd_kernel))
		panic("no memory for the kernel's PD");
}

enum status pd_create(struct pd **out, struct pd *owner, uint64_t quota)
{
	struct pd *pd;

	if (owner != &pd_kernel && !quota_pass(&owner->quota, quota))
		return NO_QUOTA;
	pd = slab_alloc(owner, OBJECT_PD);
	if (!pd) {
		quota_return(&owner->quota, quota);
		return OUT_OF_MEMORY;
	}
	init(pd, owner, quota);
	*out = pd;
	if (!make_roots(pd)) {
		object_put(&pd->object);
		return OUT_OF_MEMORY;
	}
	return SUCCESS;
}

/*
 * After a grace period without references. Its tables may still be loaded where
 * a guest has run ever since its last thread.
 */
void pd_destroy(struct object *o)
{
	struct pd *pd = container_of(o, struct pd, object);
	struct pd *owner = pd->object.owner;

	tlb_stale(pd, 0);
	tlb_shootdown();
	if (pd->tables[PTAB_DMA].root)
		iommu_release(pd);
	for (unsigned i = 0; i < TREES; i++)
		tree_free(&pd->trees[i]);
	if (pd->io_bitmap)
		page_free(pd, pd->io_bitmap, IO_ORDER);
	if (pd->guest_io)
		page_free(pd, pd->guest_io, GUEST_IO_ORDER);
	assert(pd->quota.used == 0);
	quota_return(&owner->quota, pd->quota.limit);
	slab_free(pd);
}

/* Bits of ports: 0 is allowed. */
static void set_bits(uint8_t *bitmap, uint64_t base, unsigned order, bool allow)
{
	uint8_t *byte = &bitmap[base / 8];
	uint8_t bits = (uint8_t)(((1u << (1u << order % 3)) - 1) << base % 8);

	if (order >= 3)
		__builtin_memset(byte, allow ? 0 : 0xff, 1ul << (order - 3));
	else if (allow)
		*byte &= (uint8_t)~bits;
	else
		*byte |= bits;
}

static bool make_bitmap(struct pd *pd, uint8_t **bitmap, unsigned order)
{
	if (!*bitmap) {
		uint8_t *b = page_alloc(pd, order, false);

		if (!b)
			return false;
		__builtin_memset(b, 0xff, PAGE_SIZE << order);
		__atomic_store_n(bitmap, b, __ATOMIC_RELEASE);
	}
	return true;
}

enum status pd_ports(struct pd *pd, uint64_t base, unsigned order, bool allow, bool guest)
{
	if (allow && (!make_bitmap(pd, &pd->io_bitmap, IO_ORDER) ||
		      (guest && !make_bitmap(pd, &pd->guest_io, GUEST_IO_ORDER))))
		return OUT_OF_MEMORY;
	if (pd->io_bitmap)
		set_bits(pd->io_bitmap, base, order, allow);
	if (guest && pd->guest_io) {
		set_bits(pd->guest_io, base, order, allow);
		/* Should it be new: vCPUs look for it at their next entry. */
		__atomic_add_fetch(&pd->guest_generation, 1, __ATOMIC_SEQ_CST);
	}
	return SUCCESS;
}

void pd_load(struct pd *pd)
{
	struct cpu *cpu = this_cpu();

	__atomic_store_n(&cpu->pd, pd, __ATOMIC_SEQ_CST);
	write_cr3(pd->cr3);
	tss_set_io(cpu, pd->io_bitmap);
}

bool pd_grant_io(struct cpu *cpu)
{
	const uint8_t *bitmap = cpu->pd->io_bitmap;

	return bitmap && tss_set_io(cpu, bitmap);
}
