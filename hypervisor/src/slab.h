/*
 * Objects of one size out of pages that a PD pays for. Every PD has its own
 * slabs, so that what it uses is what it is charged.
 */
#pragma once

#include "types.h"

/* What there are slabs of. */
enum object_type {
	SLAB_MAPPING,
	OBJECT_PD,
	OBJECT_EC,
	OBJECT_SC,
	OBJECT_PT,
	OBJECT_SM,
	SLABS,
	OBJECT_NONE = SLABS, /* of a capability without rights, which no call is to find */
};

void slab_init(struct pd *pd);
/* Uninitialised memory, or NULL when the quota is used up. */
void *slab_alloc(struct pd *pd, enum object_type kind);
/* Of any; the PD that paid is known from the slab. */
void slab_free(void *object);
