/*
 * The image's pages, given to a servant: which of them it sees where.
 */
#pragma once

#include "test.h"

enum { RW = MEM_R | MEM_W };

/* What fill_pages() puts into page n: this + n. */
static const uint64_t magic = 0x6d6963726f6e6f76;

void fill_pages(void);

static inline uint64_t page_crd(unsigned rights, unsigned order, unsigned long at)
{
	return CRD(CRD_MEM, rights, order, at / PAGE_SIZE);
}

/* The servant sees page `n` at an address. */
void sees(const struct frame *s, unsigned long at, unsigned n);
void faults(const struct frame *s, unsigned long at);
