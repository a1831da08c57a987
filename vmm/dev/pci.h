/*
 * PCI configuration space by mechanism #1 (ports 0xcf8 and 0xcfc): one bus,
 * number 0. What is on it are functions: 256 bytes that the guest reads, with
 * a mask of what it may write.
 *
 * Port 0xcf9, the reset control register, lies within the address register's
 * ports and is therefore here.
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../src/bus.h"
#include "power.h"

enum {
	PCI_CONFIG_SIZE = 256,
	PCI_FUNCTIONS = 256, /* device << 3 | function */

	/* PCI Local Bus specification 3.0, 6.1. */
	PCI_VENDOR_ID = 0x00,
	PCI_DEVICE_ID = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_INTERFACE = 0x09,
	PCI_CLASS = 0x0a, /* two bytes: subclass, class */
	PCI_HEADER_TYPE = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_SUBSYSTEM_VENDOR = 0x2c,
	PCI_SUBSYSTEM = 0x2e,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,

	PCI_COMMAND_IO = 1 << 0,
	PCI_COMMAND_MEMORY = 1 << 1,
	PCI_COMMAND_MASTER = 1 << 2,
	PCI_HEADER_MULTI = 0x80,
};

/* Reset state of a register: a function is a table of these. */
struct pci_register {
	uint8_t offset;
	uint8_t bytes; /* 1, 2 or 4 */
	uint32_t value;
	uint32_t writable; /* bits that a write changes */
	uint32_t clear;	   /* bits that a written 1 clears */
};

struct pci_function {
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE];
	uint8_t clear[PCI_CONFIG_SIZE];

	/* After a write of bytes at offset that took effect; may be NULL. */
	void (*written)(void *device, unsigned offset, unsigned bytes);
	void *device;
};

struct pci {
	struct pci_function *function[PCI_FUNCTIONS];
	uint32_t address;      /* CONFIG_ADDRESS */
	uint8_t reset_control; /* port 0xcf9 */
	const struct power *power;
};

void pci_init(struct pci *pci, const struct power *power);
void pci_reset(struct pci *pci);
[[nodiscard]] enum bus_status pci_attach(struct pci *pci, struct bus *ports);

/* Set all of a function's configuration space by a table. */
void pci_function_reset(struct pci_function *function, const struct pci_register *registers,
			unsigned count);

/* Put a function on the bus; false: the place is taken. */
[[nodiscard]] bool pci_add(struct pci *pci, unsigned device, unsigned function,
			   struct pci_function *it);

/* Registers of 1, 2 or 4 bytes, for the device itself: no masks. */
uint32_t pci_config_get(const struct pci_function *function, unsigned offset, unsigned bytes);
void pci_config_set(struct pci_function *function, unsigned offset, unsigned bytes, uint32_t value);

/* Accesses as the guest makes them; bytes beyond the space are dropped. */
uint32_t pci_config_read(const struct pci_function *function, unsigned offset, unsigned bytes);
void pci_config_write(struct pci_function *function, unsigned offset, unsigned bytes,
		      uint32_t value);
