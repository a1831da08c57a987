/* Intel 82441FX data sheet. */

#include "i440fx.h"

enum {
	PMCCFG = 0x50,
	PAM = 0x59, /* seven registers */
	SMRAM = 0x72,
};

static const struct pci_register registers[] = {
	{PCI_VENDOR_ID, 2, 0x8086, 0, 0},
	{PCI_DEVICE_ID, 2, 0x1237, 0, 0},
	{PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0x0100, 0},
	{PCI_STATUS, 2, 0x0200, 0, 0xf900},
	{PCI_REVISION, 1, 0x02, 0, 0},
	{PCI_CLASS, 2, 0x0600, 0, 0},
	{PCI_SUBSYSTEM_VENDOR, 2, 0x1af4, 0, 0},
	{PCI_SUBSYSTEM, 2, 0x1100, 0, 0},
	{PMCCFG, 2, 0, 0xffff, 0},
	{PAM, 4, 0, 0x33333330, 0},
	{PAM + 4, 2, 0, 0x3333, 0},
	{PAM + 6, 1, 0, 0x33, 0},
	{SMRAM, 1, 0x02, 0x7f, 0},
};

void i440fx_init(struct i440fx *bridge)
{
	*bridge = (struct i440fx){0};
	i440fx_reset(bridge);
}

void i440fx_reset(struct i440fx *bridge)
{
	pci_function_reset(&bridge->pci, registers, sizeof(registers) / sizeof(registers[0]));
}
