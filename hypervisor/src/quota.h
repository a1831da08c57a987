/*
 * What kernel memory a PD may use, in pages. Both numbers are atomic.
 */
#pragma once

#include "types.h"

struct quota {
	uint64_t limit, used;
	uint32_t keep; /* so much stays, unused; constant */
};

[[nodiscard]] static inline bool quota_take(struct quota *q, uint64_t pages)
{
	uint64_t used = __atomic_add_fetch(&q->used, pages, __ATOMIC_RELAXED);

	if (likely(used <= __atomic_load_n(&q->limit, __ATOMIC_RELAXED)))
		return true;
	__atomic_sub_fetch(&q->used, pages, __ATOMIC_RELAXED);
	return false;
}

static inline void quota_give(struct quota *q, uint64_t pages)
{
	__atomic_sub_fetch(&q->used, pages, __ATOMIC_RELAXED);
}

/* Take pages off the limit, for another PD. */
[[nodiscard]] static inline bool quota_pass(struct quota *q, uint64_t pages)
{
	uint64_t limit = __atomic_load_n(&q->limit, __ATOMIC_RELAXED);

	if (!pages)
		return true;
	/* Any number may come from a program: nothing here may wrap. */
	if (pages > limit || !quota_take(q, pages + q->keep))
		return false;
	__atomic_sub_fetch(&q->limit, pages, __ATOMIC_RELAXED);
	quota_give(q, pages + q->keep);
	return true;
}

static inline void quota_return(struct quota *q, uint64_t pages)
{
	__atomic_add_fetch(&q->limit, pages, __ATOMIC_RELAXED);
}
