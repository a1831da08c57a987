/*
 * Typed items of messages.
 *
 * A range may consist of many mappings: then, after some, the status is AGAIN,
 * and the call that sends the items is to be made again. The sender keeps how
 * far it has come, and drops it if it is made to do something else.
 */
#pragma once

#include <abi/utcb.h>

#include "types.h"

struct progress;

/* Word 0 as the receiver gets it: counts cut to what fits. */
uint64_t items_header(uint64_t items);

/*
 * The items of the sender's UTCB: from what a PD holds to another.
 * With a call or a reply (`receiver`) translated and delegated into its
 * windows, and the receiver is told what arrived. Otherwise all delegated into
 * one window, aligned to its size. With ITEMS_ALL, what there is no memory for
 * does not arrive, and the others do.
 */
#define ITEMS_ALL (1ul << 32)
[[nodiscard]] enum status items_send(struct ec *sender, struct pd *from, struct pd *to,
				     struct utcb *receiver, uint64_t window, uint64_t items);
/* To a new PD, or one object to any: from the window's base on. */
[[nodiscard]] enum status items_hand_over(struct ec *sender, struct pd *to, uint64_t crd,
					  uint64_t window);
/* The PD that it was interrupted to make, or NULL. */
struct pd *items_made(const struct ec *sender);
void items_drop(struct ec *sender);
