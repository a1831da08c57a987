/*
 * PCI Local Bus specification 3.0, 3.2.2.3.2 (configuration mechanism #1).
 */

#include "pci.h"

#include <stddef.h>

enum {
	CONFIG_ADDRESS = 0xcf8,
	CONFIG_DATA = 0xcfc,
	RESET_CONTROL = 1, /* 0xcf9 as an offset */

	RESET_CPU = 1 << 2, /* the rising edge resets */
	RESET_BITS = 0xe,
};

#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BITS   0x80fffffcu /* the others read as 0 */

uint32_t pci_config_get(const struct pci_function *function, unsigned offset, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes && i < 4; i++) {
		uint32_t byte = function->config[(offset + i) % PCI_CONFIG_SIZE];

		value |= byte << 8 * i;
	}
	return value;
}

void pci_config_set(struct pci_function *function, unsigned offset, unsigned bytes, uint32_t value)
{
	for (unsigned i = 0; i < bytes && i < 4; i++)
		function->config[(offset + i) % PCI_CONFIG_SIZE] = (uint8_t)(value >> 8 * i);
}

void pci_function_reset(struct pci_function *function, const struct pci_register *registers,
			unsigned count)
{
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
		function->config[i] = 0;
		function->writable[i] = 0;
		function->clear[i] = 0;
	}
	for (unsigned i = 0; i < count; i++) {
		const struct pci_register *reg = &registers[i];

		pci_config_set(function, reg->offset, reg->bytes, reg->value);
		for (unsigned j = 0; j < reg->bytes && j < 4; j++) {
			unsigned at = (reg->offset + j) % PCI_CONFIG_SIZE;

			function->writable[at] = (uint8_t)(reg->writable >> 8 * j);
			function->clear[at] = (uint8_t)(reg->clear >> 8 * j);
		}
	}
}

uint32_t pci_config_read(const struct pci_function *function, unsigned offset, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes && i < 4; i++) {
		uint32_t byte = offset + i < PCI_CONFIG_SIZE ? function->config[offset + i] : 0xff;

		value |= byte << 8 * i;
	}
	return value;
}

void pci_config_write(struct pci_function *function, unsigned offset, unsigned bytes,
		      uint32_t value)
{
	for (unsigned i = 0; i < bytes && i < 4; i++) {
		unsigned at = offset + i;
		uint8_t byte = (uint8_t)(value >> 8 * i);

		if (at >= PCI_CONFIG_SIZE)
			break;

		uint8_t mask = function->writable[at];
		uint8_t *config = &function->config[at];

		*config = (uint8_t)((*config & ~mask) | (byte & mask));
		*config &= (uint8_t) ~(byte & function->clear[at]);
	}
	if (function->written != NULL)
		function->written(function->device, offset, bytes);
}

bool pci_add(struct pci *pci, unsigned device, unsigned function, struct pci_function *it)
{
	unsigned at = device << 3 | function;

	if (device >= 32 || function >= 8 || pci->function[at] != NULL)
		return false;
	pci->function[at] = it;
	return true;
}

/* The function that CONFIG_ADDRESS names, or NULL. */
static struct pci_function *addressed(const struct pci *pci)
{
	if ((pci->address & ADDRESS_ENABLE) == 0 || (pci->address >> 16 & 0xff) != 0)
		return NULL;
	return pci->function[pci->address >> 8 & 0xff];
}

static void write_reset_control(struct pci *pci, uint8_t value)
{
	bool rises = (value & RESET_CPU) != 0 && (pci->reset_control & RESET_CPU) == 0;

	pci->reset_control = value & RESET_BITS;
	if (rises)
		power_reset(pci->power);
}

static uint64_t address_read(void *device, uint64_t offset, unsigned bytes)
{
	const struct pci *pci = device;

	if (bytes == 4)
		return pci->address;
	return offset == RESET_CONTROL ? pci->reset_control : 0xff;
}

/* Only an access to all of it is one to CONFIG_ADDRESS. */
static void address_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct pci *pci = device;

	if (bytes == 4)
		pci->address = (uint32_t)value & ADDRESS_BITS;
	else if (offset == RESET_CONTROL)
		write_reset_control(pci, (uint8_t)value);
}

static uint64_t data_read(void *device, uint64_t offset, unsigned bytes)
{
	const struct pci *pci = device;
	const struct pci_function *function = addressed(pci);

	if (function == NULL)
		return UINT64_MAX;
	return pci_config_read(function, (pci->address & 0xfc) + (unsigned)offset, bytes);
}

static void data_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct pci *pci = device;
	struct pci_function *function = addressed(pci);

	if (function != NULL) {
		pci_config_write(function, (pci->address & 0xfc) + (unsigned)offset, bytes,
				 (uint32_t)value);
	}
}

void pci_init(struct pci *pci, const struct power *power)
{
	*pci = (struct pci){.power = power};
}

void pci_reset(struct pci *pci)
{
	pci->address = 0;
	pci->reset_control = 0;
}

enum bus_status pci_attach(struct pci *pci, struct bus *ports)
{
	const struct bus_region address = {
		.base = CONFIG_ADDRESS,
		.size = 4,
		.read = address_read,
		.write = address_write,
		.device = pci,
		.name = "pci address",
		.widths = BUS_BYTE | BUS_DWORD,
	};
	const struct bus_region data = {
		.base = CONFIG_DATA,
		.size = 4,
		.read = data_read,
		.write = data_write,
		.device = pci,
		.name = "pci data",
		.widths = BUS_WORDS_ALL,
	};
	enum bus_status status = bus_add(ports, &address);

	return status == BUS_OK ? bus_add(ports, &data) : status;
}
