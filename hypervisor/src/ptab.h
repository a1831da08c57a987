/*
 * The page tables of a PD: for threads (host), for guests (EPT or nested
 * paging), for devices. One walk, whatever the format.
 */
#pragma once

#include "table.h"

struct mapping;
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
	uint64_t r, w, x, no_x; /* rights */
	uint64_t type[MEMORY_TYPES];
	uint64_t present;      /* any of these: the entry is in use */
	unsigned levels_large; /* large leaves up to this level: 1 2M, 2 1G */
};

extern struct ptab_format ptab_host, ptab_ept;

/* One set of tables; top-level page from the pool. */
struct ptab {
	uint64_t *root;			  /* NULL until first used */
	const struct ptab_format *format; /* NULL: the machine has none */
	struct table_near near;
};

/*
 * Map the pages of a mapping, or with rights 0 unmap them. Its order is at most
 * ptab_order_max(). Never fails with rights 0, nor where the pages are mapped.
 */
[[nodiscard]] enum status ptab_map(struct ptab *t, const struct mapping *m, unsigned rights);
/*
 * The table at a level, counted from 1, of address 0, which stays from now on;
 * NULL: no memory.
 */
uint64_t *ptab_table(struct ptab *t, struct pd *payer, unsigned level);
/* When nothing is mapped any more, and empty tables have gone: what stayed. */
void ptab_free(struct ptab *t, struct pd *payer);

/*
 * The pages of a block that is mapped are to be mapped in the way of smaller
 * ones, as its part of 2^order pages at `page` needs it. It takes one free page
 * for each level that this is lower.
 */
unsigned ptab_split_levels(const struct ptab *t, unsigned from, unsigned to);
void ptab_split(struct ptab *t, struct pd *payer, uint64_t page, unsigned from, unsigned to,
		void **pages);

/* So large that changing it does not take long, in tables of these kinds. */
unsigned ptab_order_max(const struct pd *pd, unsigned kinds);
