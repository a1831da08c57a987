/*
 * The format of threads' page tables. It is nested paging's as well, whose walk
 * is one of user mode, so that all is mapped for it.
 */
#include "../ptab.h"
#include "insn.h"
#include "ptab_format.h"

struct ptab_format ptab_host = {
	.table = PTE_P | PTE_W | PTE_U | PTE_A,
	.page = PTE_P | PTE_U | PTE_A | PTE_D,
	.large = PTE_PS,
	.r = 0,
	.w = PTE_W,
	.x = 0,
	.no_x = PTE_NX,
	.type =
		{
			[MEMORY_CACHED] = 0,
			[MEMORY_COMBINING] = PTE_PWT,
			[MEMORY_UNCACHED] = PTE_PWT | PTE_PCD,
		},
	.present = PTE_P,
	.levels_large = 1,
};

void ptab_host_init(void)
{
	if (cpuid(0x80000001, 0).edx & CPUID_1G_PAGES)
		ptab_host.levels_large = 2;
}
