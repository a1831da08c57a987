/*
 * Selectors: a bit for each from SEL_FREE to SEL_END, set when in use.
 */
#include <lib/sel.h>

#include <stdbool.h>
#include <stdint.h>

#include <lib/layout.h>
#include <lib/lock.h>

enum { WORDS = (SEL_END - SEL_FREE) / 64 };

/* Locked by sel_lock. */
static uint64_t used[WORDS];
static unsigned first; /* no selector below this word is free */

struct lock sel_lock;

static bool is_used(unsigned i)
{
	return used[i / 64] >> i % 64 & 1;
}

static bool is_free(unsigned i, unsigned n)
{
	for (unsigned j = 0; j < n; j++)
		if (is_used(i + j))
			return false;
	return true;
}

static void mark(unsigned i, unsigned n, bool in_use)
{
	for (; n; n--, i++) {
		uint64_t bit = 1ul << i % 64;

		used[i / 64] = in_use ? used[i / 64] | bit : used[i / 64] & ~bit;
	}
}

unsigned long sel_alloc(unsigned order)
{
	unsigned n = 1u << order, i;
	unsigned long sel = 0;

	lock_acquire(&sel_lock);
	while (first < WORDS && used[first] == ~0ul)
		first++;
	for (i = (first * 64 + n - 1) & -n; i + n <= WORDS * 64; i += n) {
		if (is_free(i, n)) {
			mark(i, n, true);
			sel = SEL_FREE + i;
			break;
		}
	}
	lock_release(&sel_lock);
	return sel;
}

void sel_free(unsigned long sel, unsigned order)
{
	unsigned i = (unsigned)(sel - SEL_FREE);

	lock_acquire(&sel_lock);
	mark(i, 1u << order, false);
	first = i / 64 < first ? i / 64 : first;
	lock_release(&sel_lock);
}
