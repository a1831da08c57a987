/*
 * The page tables of a PD: for threads (host), for guests (EPT or nested
 * paging), for devices. One walk, whatever the format.
 */
#pragma once

#include "types.h"

struct pd;

enum ptab_kind {
	PTAB_HOST,
	PTAB_GUEST,
	PTAB_DMA,
	PTABS,
};

enum memory_type {
	MEMORY_CACHED,
	MEMORY_UNCACHED,
	MEMORY_COMBINING,
	MEMORY_TYPES,
};

/* How a format's entry spells what we ask of it. */
struct ptab_format {
	uint64_t table;		/* bits of an entry that points to a table */
	uint64_t table_level;	/* added so often as that one has levels */
	uint64_t page;		/* bits of every leaf */
	uint64_t large;		/* added in a leaf above the lowest level */
	uint64_t r, w, x, no_x;	/* rights */
	uint64_t type[MEMORY_TYPES];
	uint64_t present;	/* any of these: the entry is in use */
	unsigned levels_large;	/* large leaves up to this level: 1 2M, 2 1G */
};

extern struct ptab_format ptab_host, ptab_ept;

/* One set of tables; top-level page from the pool. */
struct ptab {
	uint64_t *root;			/* NULL until first used */
	const struct ptab_format *format; /* NULL: the machine has none */
};

/*
 * Map 2^order pages from page number `page` to page frame `frame`, or with
 * rights 0 unmap them. Addresses and order are aligned to each other's size on
 * the virtual side. Never fails with rights 0.
 */
[[nodiscard]] enum status ptab_map(struct ptab *t, struct pd *payer,
				   uint64_t page, uint64_t frame,
				   unsigned order, unsigned rights,
				   enum memory_type type);
/* The table at a level, counted from 1, of address 0; NULL: no memory. */
void *ptab_table(struct ptab *t, struct pd *payer, unsigned level);
void ptab_free(struct ptab *t, struct pd *payer);
