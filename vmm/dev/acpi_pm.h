/*
 * ACPI fixed hardware: the power management function of Intel's 82371AB
 * (PIIX4) at 00:01.3, its registers at the base that its configuration space
 * says, and the SMI command ports 0xb2 and 0xb3. Soft-off ends the VM; sleep
 * states do not exist.
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../src/bus.h"
#include "../src/irq.h"
#include "../src/timer.h"
#include "pci.h"
#include "power.h"

enum {
	ACPI_PM_FUNCTION = 3, /* of the PIIX, device 1 */
	ACPI_PM_BASE = 0x600,
	ACPI_PM_SIZE = 0x40,
	ACPI_PM_HZ = 3579545,

	/* Registers, as offsets; FADT says the same. */
	ACPI_PM1_STS = 0x0,
	ACPI_PM1_EN = 0x2,
	ACPI_PM1_CNT = 0x4,
	ACPI_PM_TMR = 0x8,

	ACPI_SMI_CMD = 0xb2,
	ACPI_ENABLE = 0xf1,
	ACPI_DISABLE = 0xf0,

	ACPI_SCI = 9, /* the ISA interrupt */
};

struct acpi_pm {
	struct pci_function pci;
	struct bus *ports;
	uint16_t mapped; /* base on the bus; 0: not there */

	uint16_t status, enable, control; /* PM1 */
	uint64_t half;			  /* timer >> 23 when last looked at */
	uint8_t smi[2];			  /* as written */

	const struct clock *clock;
	struct timer timer; /* the next change of the timer's MSB */
	struct irq_line *sci;
	const struct power *power;
};

void acpi_pm_init(struct acpi_pm *pm, struct timer_queue *timers, struct irq_line *sci,
		  const struct power *power);
void acpi_pm_reset(struct acpi_pm *pm);
[[nodiscard]] enum bus_status acpi_pm_attach(struct acpi_pm *pm, struct bus *ports);

/* Press the power button: ask the guest to shut down. */
void acpi_pm_power_button(struct acpi_pm *pm);
