/*
 * Messages: untyped words and typed items in a UTCB.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <lib/syscall.h>

static inline void message_clear(struct utcb *u)
{
	u->items = 0;
}

static inline unsigned message_untyped(const struct utcb *u)
{
	return (unsigned)(u->items & 0xffff);
}

static inline unsigned message_typed(const struct utcb *u)
{
	return (unsigned)(u->items >> 16 & 0xffff);
}

/* Send the first n words of u->word, and no items yet. */
static inline void message_words(struct utcb *u, unsigned n)
{
	u->items = n;
}

/* Add an item: what (a CRD), how (ITEM()). */
static inline void message_item(struct utcb *u, unsigned long what, unsigned long how)
{
	unsigned i = message_typed(u);

	u->word[utcb_item_word(i)] = what;
	u->word[utcb_item_word(i) + 1] = how;
	u->items += 1ul << 16;
}

/*
 * Delegate a range of any size and alignment, from one PD to another, in
 * pieces as large as both positions' alignment allows. `what` and `to` are
 * page, port or selector numbers; flags: ITEM_GUEST, ITEM_DMA, ITEM_KERNEL...
 * For ports both are equal. Uses the calling thread's UTCB. What is already
 * occupied at the receiver stays as it is (without an error).
 */
[[nodiscard]] enum status delegate_range(unsigned long from_pd, enum crd_type type,
					 unsigned long what, unsigned long count, unsigned rights,
					 unsigned flags, unsigned long to_pd, unsigned long to);

/* Revoke such a range, in naturally aligned pieces; self: see revoke_self. */
[[nodiscard]] enum status revoke_range(enum crd_type type, unsigned long what, unsigned long count,
				       unsigned rights, bool self);
