/*
 * ACPI specification 6.x, 4.8.3 (PM1 registers, PM timer), and Intel's 82371AB
 * data sheet for where they are.
 */

#include "acpi_pm.h"

#include <stddef.h>

enum {
	PMBA = 0x40,
	PMBA_BASE = 0xffc0,
	PMREGMISC = 0x80,
	PMREGMISC_PMIOSE = 1 << 0,

	TMR_STS = 1 << 0,
	PWRBTN_STS = 1 << 8,
	STATUS_BITS = 0x8731, /* cleared by writing 1 */
	ENABLE_BITS = 0x0721,

	SCI_EN = 1 << 0,
	SLP_TYP_SHIFT = 10,
	SLP_TYP_S5 = 0, /* DSDT's \_S5 says so */
	SLP_EN = 1 << 13,
	CONTROL_BITS = 0x1c03, /* kept */

	TIMER_BITS = 24,
};

static const struct pci_register registers[] = {
	{PCI_VENDOR_ID, 2, 0x8086, 0, 0},
	{PCI_DEVICE_ID, 2, 0x7113, 0, 0},
	{PCI_COMMAND, 2, 0, 0x0001, 0},
	{PCI_STATUS, 2, 0x0280, 0, 0x7800},
	{PCI_REVISION, 1, 0x03, 0, 0},
	{PCI_CLASS, 2, 0x0680, 0, 0},
	{PCI_SUBSYSTEM_VENDOR, 2, 0x1af4, 0, 0},
	{PCI_SUBSYSTEM, 2, 0x1100, 0, 0},
	{PCI_INTERRUPT_LINE, 1, ACPI_SCI, 0xff, 0},
	{PCI_INTERRUPT_PIN, 1, 1, 0, 0},
	/* As a firmware leaves it: FADT has the addresses. */
	{PMBA, 4, ACPI_PM_BASE | 1, PMBA_BASE, 0},
	{PMREGMISC, 1, PMREGMISC_PMIOSE, PMREGMISC_PMIOSE, 0},
};

static uint64_t timer_ticks(const struct acpi_pm *pm)
{
	return clock_scale(clock_now(pm->clock), pm->clock->hz, ACPI_PM_HZ);
}

/* TMR_STS is set whenever the timer's most significant bit changes. */
static void update(struct acpi_pm *pm)
{
	uint64_t half = timer_ticks(pm) >> (TIMER_BITS - 1);
	uint64_t next = TIMER_NEVER;

	if (half != pm->half) {
		pm->half = half;
		pm->status |= TMR_STS;
	}
	if ((pm->enable & TMR_STS) != 0 && (pm->status & TMR_STS) == 0)
		next = clock_scale_up((half + 1) << (TIMER_BITS - 1), ACPI_PM_HZ, pm->clock->hz);
	timer_arm(&pm->timer, next);
	irq_set(pm->sci, (pm->control & SCI_EN) != 0 && (pm->status & pm->enable) != 0);
}

static void expire(void *opaque)
{
	update(opaque);
}

void acpi_pm_power_button(struct acpi_pm *pm)
{
	pm->status |= PWRBTN_STS;
	update(pm);
}

static void write_control(struct acpi_pm *pm, uint16_t value)
{
	pm->control = value & CONTROL_BITS;
	if ((value & SLP_EN) != 0 && (value >> SLP_TYP_SHIFT & 7) == SLP_TYP_S5)
		power_off(pm->power);
}

/*
 * The registers as 16-bit words; accesses of other sizes come in pieces, or
 * are parts of one.
 */
static uint16_t read_word(struct acpi_pm *pm, uint64_t offset)
{
	uint32_t ticks = (uint32_t)timer_ticks(pm) & ((1u << TIMER_BITS) - 1);

	switch (offset) {
	case ACPI_PM1_STS:
		update(pm);
		return pm->status;
	case ACPI_PM1_EN:
		return pm->enable;
	case ACPI_PM1_CNT:
		return pm->control;
	case ACPI_PM_TMR:
		return (uint16_t)ticks;
	case ACPI_PM_TMR + 2:
		return (uint16_t)(ticks >> 16);
	default:
		return 0;
	}
}

static void write_word(struct acpi_pm *pm, uint64_t offset, uint16_t value)
{
	update(pm);
	switch (offset) {
	case ACPI_PM1_STS:
		pm->status &= (uint16_t) ~(value & STATUS_BITS);
		break;
	case ACPI_PM1_EN:
		pm->enable = value & ENABLE_BITS;
		break;
	case ACPI_PM1_CNT:
		write_control(pm, value);
		break;
	default:
		break; /* among them the timer */
	}
	update(pm);
}

static uint64_t pm_read(void *device, uint64_t offset, unsigned bytes)
{
	struct acpi_pm *pm = device;
	uint16_t word = read_word(pm, offset & ~1ull);

	if (bytes == 4 && offset == ACPI_PM_TMR)
		return timer_ticks(pm) & ((1u << TIMER_BITS) - 1);
	if (bytes == 4)
		return word | (uint32_t)read_word(pm, offset + 2) << 16;
	return (uint64_t)word >> 8 * (offset & 1);
}

/* One byte of a word: the other keeps its value. */
static void write_byte(struct acpi_pm *pm, uint64_t offset, uint8_t value)
{
	unsigned shift = 8 * (offset & 1);
	uint64_t word = offset & ~1ull;
	uint16_t others = 0;

	if (word != ACPI_PM1_STS) /* where writing 0 keeps */
		others = read_word(pm, word) & (uint16_t) ~(0xff << shift);
	write_word(pm, word, (uint16_t)(others | value << shift));
}

static void pm_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct acpi_pm *pm = device;

	if (bytes == 1 || (offset & 1) != 0) {
		for (unsigned i = 0; i < bytes; i++)
			write_byte(pm, offset + i, (uint8_t)(value >> 8 * i));
		return;
	}
	for (unsigned i = 0; i < bytes; i += 2)
		write_word(pm, offset + i, (uint16_t)(value >> 8 * i));
}

static uint64_t smi_read(void *device, uint64_t offset, unsigned bytes)
{
	const struct acpi_pm *pm = device;

	(void)bytes;
	return pm->smi[offset & 1];
}

/* What a firmware's SMI handler would do. */
static void smi_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct acpi_pm *pm = device;

	(void)bytes;
	pm->smi[offset & 1] = (uint8_t)value;
	if (offset == 0 && value == ACPI_ENABLE)
		pm->control |= SCI_EN;
	else if (offset == 0 && value == ACPI_DISABLE)
		pm->control &= (uint16_t)~SCI_EN;
	update(pm);
}

/* Be where the configuration space says; where somebody else is: nowhere. */
static enum bus_status map(struct acpi_pm *pm)
{
	uint16_t base = (uint16_t)pci_config_get(&pm->pci, PMBA, 2) & PMBA_BASE;
	enum bus_status status = BUS_OK;

	if ((pm->pci.config[PMREGMISC] & PMREGMISC_PMIOSE) == 0)
		base = 0;
	if (pm->ports == NULL || base == pm->mapped)
		return BUS_OK;
	if (pm->mapped != 0) {
		bus_remove(pm->ports, pm->mapped);
		pm->mapped = 0;
	}
	if (base != 0) {
		status = bus_add(pm->ports, &(struct bus_region){
						    .base = base,
						    .size = ACPI_PM_SIZE,
						    .read = pm_read,
						    .write = pm_write,
						    .device = pm,
						    .name = "acpi pm",
						    .widths = BUS_WORDS_ALL,
					    });
		pm->mapped = status == BUS_OK ? base : 0;
	}
	return status;
}

static void config_written(void *device, unsigned offset, unsigned bytes)
{
	(void)offset;
	(void)bytes;
	(void)map(device);
}

void acpi_pm_init(struct acpi_pm *pm, struct timer_queue *timers, struct irq_line *sci,
		  const struct power *power)
{
	*pm = (struct acpi_pm){
		.clock = timers->clock,
		.sci = sci,
		.power = power,
		.pci = {.written = config_written, .device = pm},
	};
	timer_init(&pm->timer, timers, expire, pm);
	acpi_pm_reset(pm);
}

void acpi_pm_reset(struct acpi_pm *pm)
{
	pci_function_reset(&pm->pci, registers, sizeof(registers) / sizeof(registers[0]));
	(void)map(pm);
	pm->status = pm->enable = pm->control = 0;
	pm->smi[0] = pm->smi[1] = 0;
	pm->half = timer_ticks(pm) >> (TIMER_BITS - 1);
	update(pm);
}

enum bus_status acpi_pm_attach(struct acpi_pm *pm, struct bus *ports)
{
	enum bus_status status = bus_add(ports, &(struct bus_region){
							.base = ACPI_SMI_CMD,
							.size = 2,
							.read = smi_read,
							.write = smi_write,
							.device = pm,
							.name = "smi command",
							.widths = BUS_BYTE,
						});

	pm->ports = ports;
	return status == BUS_OK ? map(pm) : status;
}
