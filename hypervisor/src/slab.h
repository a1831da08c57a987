/*
 * Objects of one size out of pages that a PD pays for. Every PD has its own
 * caches, so that what it uses is what it is charged.
 */
#pragma once

#include "types.h"

struct pd;

struct slab_cache {
	struct list partial; /* slabs with room */
	uint16_t size;	     /* of an object, bytes */
};

enum slab_kind {
	SLAB_MAPPING,
	SLAB_PD,
	SLAB_EC,
	SLAB_SC,
	SLAB_PT,
	SLAB_SM,
	SLABS,
};

void slab_init(struct pd *pd);
/* Uninitialised memory, or NULL when the quota is used up. */
void *slab_alloc(struct pd *pd, enum slab_kind kind);
/* Of any kind; the PD that paid is known from the slab. */
void slab_free(void *object);
