/*
 * The ways in which a guest ends its machine; devices are given them at init.
 * Each may be NULL. They are called in the middle of the guest's access: note
 * the wish, and act on it when the exit has been handled.
 */

#pragma once

#include <stdint.h>

struct power {
	void (*off)(void *opaque);
	void (*reset)(void *opaque);
	/* Debug exit: the guest ends the VM with a code of its own. */
	void (*exit)(void *opaque, uint32_t code);
	void *opaque;
};

static inline void power_off(const struct power *power)
{
	if (power->off != 0)
		power->off(power->opaque);
}

static inline void power_reset(const struct power *power)
{
	if (power->reset != 0)
		power->reset(power->opaque);
}
