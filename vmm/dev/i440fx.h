/*
 * The host bridge, Intel 82441FX (440FX), at 00:00.0: nothing but its
 * configuration space. Memory is wired as the machine says, whatever is
 * written to the shadowing registers: the BIOS areas are RAM.
 */

#pragma once

#include "pci.h"

struct i440fx {
	struct pci_function pci;
};

void i440fx_init(struct i440fx *bridge);
void i440fx_reset(struct i440fx *bridge);
