/*
 * The only place that knows which device is connected to what. Order: buses
 * and clock, interrupt controllers and lines, devices, their places on the
 * buses.
 */
#include "machine.h"

#include <string.h>

#include <lib/log.h>
#include <lib/time.h>

#include "../dev/acpi_tables.h"
#include "../dev/platform.h"

enum {
	IOAPIC_ID = 0xf,
	PIC_SLAVE = 2, /* ISA 2 is no line */

	ISA_PIT = 0,
	ISA_COM1 = 4,
	ISA_RTC = 8,
	ISA_SCI = ACPI_SCI,

	COM1 = 0x3f8,
	PM_DEVICE = PIIX3_DEVICE,
};

static uint64_t now(void *source)
{
	(void)source;
	return time_tsc();
}

/* opaque: the name of the bus. */
static void report_miss(void *opaque, const struct bus_miss *miss)
{
	static struct log_rate rate = LOG_RATE(32, NS_PER_S);

	if (log_allowed(&rate)) {
		log_info("%s: nothing at 0x%llx (%s, %u bytes)", (const char *)opaque,
			 (unsigned long long)miss->address, miss->write ? "write" : "read",
			 miss->bytes);
	}
}

static void print_debug(void *opaque, const char *line)
{
	static struct log_rate rate = LOG_RATE(100, NS_PER_S / 10);

	(void)opaque;
	if (log_allowed(&rate))
		log_info("debug: %s", line);
}

/*
 * Each ISA line goes to the PIC and to the IOAPIC's input of the same number,
 * but for the PIT's, which is at input 2 there: MADT says so.
 */
static void wire_lines(struct machine *m)
{
	for (unsigned i = 0; i < MACHINE_ISA_LINES; i++) {
		m->isa[i] = (struct irq_line){.to = {
						      {i == PIC_SLAVE ? NULL : pic_set, &m->pic, i},
						      {i == PIC_SLAVE ? NULL : ioapic_set,
						       &m->ioapic, i == ISA_PIT ? PIC_SLAVE : i},
					      }};
	}
}

/* The boot processor's LINT0; its local APIC comes with its vCPU. */
static void intr_set(void *machine, unsigned pin, bool level)
{
	struct machine *m = machine;

	(void)pin;
	if (m->lapics.count > 0)
		lapic_lint_set(m->lapics.lapic[0], 0, level);
}

static void init_interrupts(struct machine *m)
{
	m->fabric = (struct apic_fabric){lapics_deliver, &m->lapics};
	m->intr = (struct irq_line){.to = {{intr_set, m, 0}}};
	wire_lines(m);
	pic_init(&m->pic, &m->intr);
	ioapic_init(&m->ioapic, IOAPIC_ID, &m->fabric);
}

static void init_devices(struct machine *m, const struct machine_config *c)
{
	pit_init(&m->pit, &m->timers, &m->isa[ISA_PIT]);
	rtc_init(&m->rtc, &m->timers, &m->isa[ISA_RTC], (int64_t)c->wall_clock);
	uart_init(&m->com1, &m->isa[ISA_COM1], &c->serial);
	i8042_init(&m->i8042, &m->power);
	board_init(&m->board, &m->power);
	debug_init(&m->debug, &m->power, print_debug, NULL);
	pci_init(&m->pci, &m->power);
	i440fx_init(&m->host_bridge);
	piix3_init(&m->piix3, m->isa);
	acpi_pm_init(&m->acpi_pm, &m->timers, &m->isa[ISA_SCI], &m->power);
}

/* Everything that answers at ports and in memory. NULL, or who could not. */
static const char *attach_devices(struct machine *m)
{
	struct bus *ports = &m->ports;
	const struct {
		const char *name;
		enum bus_status status;
	} all[] = {
		{"ioapic", ioapic_attach(&m->ioapic, &m->memory)},
		{"pic", pic_attach(&m->pic, ports)},
		{"pit", pit_attach(&m->pit, ports)},
		{"rtc", rtc_attach(&m->rtc, ports)},
		{"com1", uart_attach(&m->com1, ports, COM1, "com1")},
		{"i8042", i8042_attach(&m->i8042, ports)},
		{"board", board_attach(&m->board, ports)},
		{"debug", debug_attach(&m->debug, ports)},
		{"pci", pci_attach(&m->pci, ports)},
		{"acpi pm", acpi_pm_attach(&m->acpi_pm, ports)},
	};

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i].status != BUS_OK)
			return all[i].name;
	return NULL;
}

static bool add_functions(struct machine *m)
{
	return pci_add(&m->pci, 0, 0, &m->host_bridge.pci) &&
	       pci_add(&m->pci, PIIX3_DEVICE, 0, &m->piix3.pci) &&
	       pci_add(&m->pci, PM_DEVICE, ACPI_PM_FUNCTION, &m->acpi_pm.pci);
}

static bool build_tables(struct machine *m, const struct machine_config *c)
{
	uint8_t *area = gmem_at(&m->mem, PLATFORM_ACPI_BASE, PLATFORM_ACPI_SIZE);
	struct acpi_config config = {
		.cpus = c->vcpus,
		.ioapic_id = m->ioapic.id,
		.dsdt = acpi_dsdt,
		.dsdt_size = (size_t)(acpi_dsdt_end - acpi_dsdt),
	};

	m->rsdp = PLATFORM_ACPI_BASE;
	return area != NULL &&
	       acpi_tables_build(&config, area, PLATFORM_ACPI_SIZE, PLATFORM_ACPI_BASE) != 0;
}

const char *machine_init(struct machine *m, const struct machine_config *c)
{
	static char ports[] = "ports", memory[] = "memory";
	const char *wrong;

	memset(m, 0, sizeof(*m));
	gmem_init(&m->mem, c->ram, c->ram_bytes);
	m->power = c->power;
	m->clock = (struct clock){now, NULL, (uint64_t)c->tsc_khz * 1000};
	m->wall_clock = c->wall_clock - clock_now(&m->clock) / m->clock.hz;
	timer_queue_init(&m->timers, &m->clock, NULL, NULL);
	bus_init(&m->ports, 0xffff, report_miss, ports);
	bus_init(&m->memory, UINT64_MAX, report_miss, memory);
	init_interrupts(m);
	init_devices(m, c);
	wrong = attach_devices(m);
	if (wrong == NULL && !add_functions(m))
		wrong = "pci functions";
	if (wrong == NULL && !build_tables(m, c))
		wrong = "acpi tables";
	return wrong;
}
