/*
 * A naive mapping database: a list of who holds what, and from whose. And the
 * comparison of the kernel's spaces, page tables and I/O bitmaps with it.
 */
#pragma once

#include "hv_fixture.h"

enum { MODEL_MAX = 6000, MODEL_PDS = 6 };

struct record {
	bool live;
	struct pd *pd;
	uint8_t type, rights, order;
	uint32_t flags;	      /* MAPPING_GUEST, type of memory */
	int origin;	      /* while it is cut: index + 1 */
	uint64_t base, frame; /* frame: or object's address */
	int parent;	      /* index, -1: none */
	const struct pd *end; /* without parent: with whom it ends as well, or NULL */
};

extern struct record model[MODEL_MAX];
extern int model_end;			/* none is live from here on */
extern struct pd *model_pds[MODEL_PDS]; /* NULL: none there */

void model_reset(void);
/* Without a check whether there is room for it. */
int model_add(const struct record *r);
/* Its children become its parent's. */
void model_drop(int i);
/* What has the number, or -1. */
int model_find(const struct pd *pd, uint8_t type, uint64_t base);
unsigned model_caps(const struct object *o);

void model_delegate(const struct transfer *t, uint8_t *rights);
void model_revoke(struct pd *pd, uint64_t crd, bool self, bool keep);
/* All of a PD's, and what was derived from it. */
void model_clear(struct pd *pd);
uint64_t model_translate(struct pd *from, uint64_t crd, struct pd *to, uint64_t window);

/* The spaces hold what the model says, derived as it says. */
void check_spaces(struct pd *pd);
/* Page tables and I/O bitmaps are what the spaces say. */
void check_tables(struct pd *pd);
