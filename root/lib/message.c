/*
 * Ranges of any size as naturally aligned pieces.
 */
#include <lib/message.h>

#include <lib/thread.h>

enum { ORDER_MAX = 30 };

/* The largest order that the positions' alignment and the count allow. */
static unsigned piece_order(unsigned long positions, unsigned long count)
{
	unsigned order = positions ? (unsigned)__builtin_ctzl(positions) : ORDER_MAX;
	unsigned fits = 63 - (unsigned)__builtin_clzl(count);

	order = order < fits ? order : fits;
	return order < ORDER_MAX ? order : ORDER_MAX;
}

enum status delegate_range(unsigned long from_pd, enum crd_type type, unsigned long what,
			   unsigned long count, unsigned rights, unsigned flags,
			   unsigned long to_pd, unsigned long to)
{
	struct utcb *u = thread_utcb();
	enum status status = SUCCESS;

	while (count && status == SUCCESS) {
		unsigned order = piece_order(what | to, count);
		unsigned long n = 1ul << order;

		message_clear(u);
		message_item(u, CRD(type, rights, order, what), ITEM(ITEM_DELEGATE, flags, to));
		status = delegate(from_pd, CRD(type, rights, order, to), to_pd);
		what += n;
		to += n;
		count -= n;
	}
	return status;
}

enum status revoke_range(enum crd_type type, unsigned long what, unsigned long count,
			 unsigned rights, bool self)
{
	enum status status = SUCCESS;

	while (count && status == SUCCESS) {
		unsigned order = piece_order(what, count);
		unsigned long crd = CRD(type, rights, order, what);

		status = self ? revoke_self(crd) : revoke(crd);
		what += 1ul << order;
		count -= 1ul << order;
	}
	return status;
}
