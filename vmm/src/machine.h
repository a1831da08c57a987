/*
 * The machine that the guest sees: its memory, buses, interrupt lines and
 * devices, wired by one function. It is QEMU's "pc" as far as it goes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../dev/acpi_pm.h"
#include "../dev/board.h"
#include "../dev/debug.h"
#include "../dev/i440fx.h"
#include "../dev/i8042.h"
#include "../dev/ioapic.h"
#include "../dev/lapic.h"
#include "../dev/pci.h"
#include "../dev/pic.h"
#include "../dev/piix3.h"
#include "../dev/pit.h"
#include "../dev/power.h"
#include "../dev/rtc.h"
#include "../dev/uart.h"
#include "bus.h"
#include "gmem.h"
#include "irq.h"
#include "timer.h"

enum { MACHINE_ISA_LINES = 16 };

/* What the machine needs of the world. */
struct machine_config {
	void *ram;
	uint64_t ram_bytes;
	uint32_t tsc_khz;
	uint32_t vcpus;
	uint64_t wall_clock; /* seconds since 1970, now */
	struct power power;
	struct uart_wire serial; /* COM1 */
};

struct machine {
	struct gmem mem;
	struct bus ports, memory;
	struct clock clock;
	struct timer_queue timers;
	struct power power;
	uint64_t wall_clock; /* when the clock was 0 */

	/* The ISA interrupts, and the PIC's output. */
	struct irq_line isa[MACHINE_ISA_LINES];
	struct irq_line intr;

	struct lapics lapics;
	struct apic_fabric fabric;
	struct ioapic ioapic;
	struct pic pic;
	struct pit pit;
	struct rtc rtc;
	struct uart com1;
	struct i8042 i8042;
	struct board board;
	struct debug debug;
	struct pci pci;
	struct i440fx host_bridge;
	struct piix3 piix3;
	struct acpi_pm acpi_pm;
	uint64_t rsdp; /* guest-physical */
};

/* NULL, or what failed. */
[[nodiscard]] const char *machine_init(struct machine *machine,
				       const struct machine_config *config);
