/*
 * Portals as objects.
 */
#include "pt.h"

#include "ec.h"
#include "pd.h"

enum status pt_create(struct pt **out, struct pd *owner, struct ec *ec, uint64_t mtd, uint64_t ip)
{
	struct pt *pt = slab_alloc(owner, SLAB_PT);

	if (!pt)
		return OUT_OF_MEMORY;
	object_init(&pt->object, OBJECT_PT, owner);
	object_get(&ec->object);
	pt->ec = ec;
	pt->id = 0;
	pt->ip = ip;
	pt->mtd = mtd;
	*out = pt;
	return SUCCESS;
}

void pt_destroy(struct pt *pt)
{
	object_put(&pt->ec->object);
	slab_free(pt);
}
