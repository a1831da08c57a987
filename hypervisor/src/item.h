/*
 * Typed items of messages.
 */
#pragma once

#include <abi/utcb.h>

#include "types.h"

struct pd;

/* Word 0 as the receiver gets it: counts cut to what fits. */
uint64_t items_header(uint64_t items);

/* With a call: translated and delegated into the receiver's windows. */
[[nodiscard]] enum status items_transfer(struct pd *from,
					 const struct utcb *sender,
					 struct pd *to, struct utcb *receiver,
					 uint64_t items);
/* With a reply: what there is no memory for does not arrive. */
void items_reply(struct pd *from, const struct utcb *sender, struct pd *to,
		 struct utcb *receiver, uint64_t items);
/* With the reply to an event: memory around the fault address. */
void items_map(struct pd *from, const struct utcb *sender, struct pd *to,
	       uint64_t fault_address, uint64_t items);
/* misc/delegate: the items of a UTCB, into one window. */
[[nodiscard]] enum status items_delegate(struct pd *from,
					 const struct utcb *items,
					 struct pd *to, uint64_t window,
					 bool root);
