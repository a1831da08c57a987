/*
 * The format of threads' page tables. It is nested paging's as well, whose walk
 * is one of user mode, so that all is mapped for it.
 */
#include "kmem.h"

struct ptab_format ptab_host = {
	.table = PTE_P | PTE_W | PTE_U | PTE_A,
	.page = PTE_P | PTE_U | PTE_A | PTE_D,
	.large = PTE_PS,
	.w = PTE_W,
	.no_x = PTE_NX,
	.type = {[MEMORY_COMBINING] = PTE_PWT, [MEMORY_UNCACHED] = PTE_PWT | PTE_PCD},
	.present = PTE_P,
	.levels_large = 1,
};
