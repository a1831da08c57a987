/*
 * Page table entries of threads: SDM 3A 4.5.
 */
#pragma once

#include "../types.h"

enum {
	PTE_P = 1 << 0,
	PTE_W = 1 << 1,
	PTE_U = 1 << 2,
	PTE_PWT = 1 << 3, /* with the kernel's PAT: write-combining */
	PTE_PCD = 1 << 4, /* with PTE_PWT: uncached */
	PTE_A = 1 << 5,
	PTE_D = 1 << 6,
	PTE_PS = 1 << 7,
	PTE_G = 1 << 8,
};

#define PTE_NX (1ul << 63)
