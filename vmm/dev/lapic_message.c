/*
 * Messages to local APICs: who is meant (SDM 3A 11.6.2), who takes them, and
 * those that one sends by its ICR (11.6.1).
 */

#include "lapic.h"

#include <stddef.h>

#include "lapic_private.h"

enum {
	ICR_LOGICAL = 1 << 11,
	ICR_ASSERT = 1 << 14,
	ICR_LEVEL = 1 << 15,
};

static bool matches_xapic_logical(const struct lapic *lapic, uint32_t to)
{
	uint32_t own = lapic->ldr >> 24;

	if ((to & 0xff) == 0xff)
		return true;
	if (lapic->dfr == DFR_FLAT)
		return (to & own) != 0;
	return (to >> 4 & 0xf) == own >> 4 && (to & own & 0xf) != 0;
}

uint32_t lapic_x2apic_ldr(const struct lapic *lapic)
{
	uint32_t id = lapic->config.id;

	return id >> 4 << 16 | 1u << (id & 0xf);
}

static bool matches(const struct lapic *lapic, const struct apic_message *message)
{
	uint32_t to = message->destination;

	if (to == (message->x2apic ? UINT32_MAX : 0xff))
		return true;
	if (!message->logical)
		return to == lapic->config.id;
	if (lapic_is_x2apic(lapic)) {
		uint32_t own = lapic_x2apic_ldr(lapic);

		return to >> 16 == own >> 16 && (to & own & 0xffff) != 0;
	}
	return matches_xapic_logical(lapic, to);
}

/* false: this local APIC does not take it. */
static bool take(struct lapic *lapic, const struct apic_message *message)
{
	const struct lapic_hooks *hooks = &lapic->config.hooks;

	if (!lapic_is_enabled(lapic))
		return false;
	switch (message->mode) {
	case APIC_FIXED:
	case APIC_LOWEST:
		if (!lapic_is_software_enabled(lapic))
			return false;
		lapic_post(lapic, message->vector, message->level);
		return true;
	case APIC_NMI:
		lapic_post_nmi(lapic);
		return true;
	case APIC_INIT:
		lapic_take_init(lapic);
		return true;
	case APIC_STARTUP:
		if (hooks->startup != NULL)
			hooks->startup(hooks->opaque, message->vector);
		return true;
	default:
		return false; /* SMI, ExtINT and what is reserved */
	}
}

/* Of those addressed, the one with the lowest priority; taking turns. */
static bool deliver_lowest(struct lapics *all, const struct apic_message *message)
{
	struct lapic *best = NULL;
	unsigned turn = all->next;

	for (unsigned i = 0; i < all->count; i++) {
		unsigned at = (turn + i) % all->count;
		struct lapic *lapic = all->lapic[at];

		if (lapic_is_software_enabled(lapic) && matches(lapic, message) &&
		    (best == NULL || lapic_ppr(lapic) < lapic_ppr(best))) {
			best = lapic;
			all->next = (at + 1) % all->count;
		}
	}
	return best != NULL && take(best, message);
}

bool lapics_deliver(void *opaque, const struct apic_message *message)
{
	struct lapics *all = opaque;
	bool taken = false;

	if (message->mode == APIC_LOWEST)
		return deliver_lowest(all, message);
	for (unsigned i = 0; i < all->count; i++)
		if (matches(all->lapic[i], message))
			taken |= take(all->lapic[i], message);
	return taken;
}

static void send_shorthand(struct lapic *lapic, const struct apic_message *message,
			   unsigned shorthand)
{
	enum { SELF = 1, ALL = 2, OTHERS = 3 };
	struct lapics *all = lapic->config.all;

	for (unsigned i = 0; i < all->count; i++) {
		struct lapic *to = all->lapic[i];

		if (to == lapic ? shorthand != OTHERS : shorthand != SELF)
			take(to, message);
	}
}

/* ICR was written: send what it says. SDM 3A 11.6.1. */
void lapic_send(struct lapic *lapic)
{
	uint32_t icr = (uint32_t)lapic->icr;
	uint32_t high = (uint32_t)(lapic->icr >> 32);
	unsigned shorthand = icr >> 18 & 3;
	struct apic_message message = {
		.destination = lapic_is_x2apic(lapic) ? high : high >> 24,
		.vector = (uint8_t)icr,
		.mode = icr >> 8 & 7,
		.logical = (icr & ICR_LOGICAL) != 0,
		.x2apic = lapic_is_x2apic(lapic),
	};

	/* INIT level de-assert is for buses that are gone. */
	if (message.mode == APIC_INIT && (icr & ICR_LEVEL) != 0 && (icr & ICR_ASSERT) == 0)
		return;
	if (message.vector < VECTOR_FIRST &&
	    (message.mode == APIC_FIXED || message.mode == APIC_LOWEST)) {
		lapic_error(lapic, ESR_SEND_ILLEGAL);
		return;
	}
	if (shorthand != 0)
		send_shorthand(lapic, &message, shorthand);
	else
		lapics_deliver(lapic->config.all, &message);
}
