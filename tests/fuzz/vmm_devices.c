/*
 * The devices on the bus of ports, the I/O APIC and the local APICs: accesses
 * of any size anywhere, by port, memory and MSR, lines that change, time that
 * goes by, interrupts that are taken. What a device promises is in its own
 * unit test; here it is to stay within its bounds.
 */
#include "../unit/vmm_apics.h"

#include "../../vmm/dev/acpi_pm.h"
#include "../../vmm/dev/board.h"
#include "../../vmm/dev/debug.h"
#include "../../vmm/dev/i8042.h"
#include "../../vmm/dev/ioapic.h"
#include "../../vmm/dev/pci.h"
#include "../../vmm/dev/pic.h"
#include "../../vmm/dev/pit.h"
#include "../../vmm/dev/rtc.h"
#include "../../vmm/dev/uart.h"
#include "input.h"

enum { STEPS = 300, MSRS = 0x100 };

/* Where there is something. */
static const uint16_t bases[] = {
	0x20,  0xa0,  0x40,  0x60,  0x70,  0x80,  0x92, 0xcf8,
	0xcfc, 0x3f8, 0x4d0, 0x600, 0x604, 0x608, 0xe9, 0xf4,
};

struct pc {
	struct rig *rig;
	struct board board;
	struct debug debug;
	struct i8042 i8042;
	struct pci pci;
	struct pic pic;
	struct pit pit;
	struct rtc rtc;
	struct uart uart;
	struct acpi_pm pm;
	struct ioapic ioapic;
};

static size_t input_wire(void *opaque, uint8_t *bytes, size_t count)
{
	(void)opaque;
	if (!count || input_empty() || input_take(1) & 1)
		return 0;
	bytes[0] = (uint8_t)input_take(1);
	return 1;
}

static size_t output_wire(void *opaque, const uint8_t *bytes, size_t count)
{
	(void)opaque, (void)bytes;
	return input_take(1) & 1 ? 0 : count;
}

static void wire_up(struct pc *pc)
{
	static const struct uart_wire wire = {
		.write = output_wire,
		.read = input_wire,
	};
	struct fixture *f;

	memset(pc, 0, sizeof(*pc));
	pc->rig = apics_start_xapic();
	f = &pc->rig->f;
	board_init(&pc->board, &f->power);
	debug_init(&pc->debug, &f->power, NULL, NULL);
	i8042_init(&pc->i8042, &f->power);
	pci_init(&pc->pci, &f->power);
	pic_init(&pc->pic, NULL);
	pit_init(&pc->pit, &f->timers, NULL);
	rtc_init(&pc->rtc, &f->timers, NULL, 0);
	uart_init(&pc->uart, NULL, &wire);
	acpi_pm_init(&pc->pm, &f->timers, NULL, &f->power);
	ioapic_init(&pc->ioapic, CPUS, &pc->rig->fabric);
	assert_int_equal(board_attach(&pc->board, &f->ports), BUS_OK);
	assert_int_equal(debug_attach(&pc->debug, &f->ports), BUS_OK);
	assert_int_equal(i8042_attach(&pc->i8042, &f->ports), BUS_OK);
	assert_int_equal(pci_attach(&pc->pci, &f->ports), BUS_OK);
	assert_int_equal(pic_attach(&pc->pic, &f->ports), BUS_OK);
	assert_int_equal(pit_attach(&pc->pit, &f->ports), BUS_OK);
	assert_int_equal(rtc_attach(&pc->rtc, &f->ports), BUS_OK);
	assert_int_equal(uart_attach(&pc->uart, &f->ports, 0x3f8, "com1"), BUS_OK);
	assert_int_equal(acpi_pm_attach(&pc->pm, &f->ports), BUS_OK);
	assert_int_equal(ioapic_attach(&pc->ioapic, &f->memory), BUS_OK);
}

static void use_port(struct pc *pc)
{
	uint64_t how = input_take(1);
	unsigned bytes = 1u << (how >> 1 & 3) % 3;
	uint64_t at = bases[(how >> 3) % 16] + input_take(1) % 8;

	if (how & 1)
		bus_write(&pc->rig->f.ports, at, bytes, input_take(bytes));
	else
		(void)bus_read(&pc->rig->f.ports, at, bytes);
}

static void use_ioapic(struct pc *pc)
{
	uint64_t how = input_take(1);
	unsigned bytes = 1u << (how >> 1 & 3);
	uint64_t at = 0xfec00000 + (how >> 3) * 4 % 0x80;

	if (how & 1)
		bus_write(&pc->rig->f.memory, at, bytes, input_take(bytes));
	else
		(void)bus_read(&pc->rig->f.memory, at, bytes);
}

static void use_lapic(struct pc *pc)
{
	uint64_t how = input_take(1), value;
	struct lapic *lapic = &pc->rig->cpu[how >> 4 & 3].lapic;
	uint32_t msr = MSR_X2APIC_FIRST + (uint32_t)input_take(1) % MSRS;
	int vector;

	switch (how & 7) {
	case 0:
		(void)lapic_msr_write(lapic, msr, input_take(8));
		break;
	case 1:
		(void)lapic_msr_read(lapic, msr, &value);
		break;
	case 2:
		(void)lapic_msr_write(lapic, how & 8 ? MSR_APIC_BASE : MSR_TSC_DEADLINE,
				      input_take(8));
		break;
	case 3:
		lapic_mmio_write(lapic, (msr & 0xff) << 4 | (how >> 6), 4, (uint32_t)input_take(4));
		break;
	case 4:
		(void)lapic_mmio_read(lapic, (msr & 0xff) << 4, 4);
		break;
	case 5:
		lapic_cr8_write(lapic, (uint8_t)input_take(1) & 15);
		break;
	default:
		vector = lapic_pending(lapic);
		if (vector >= 0) {
			assert_true(vector < 256);
			lapic_accept(lapic, (uint8_t)vector);
		}
		break;
	}
}

static void use_line(struct pc *pc)
{
	uint64_t how = input_take(1);

	if (how & 0x40)
		ioapic_set(&pc->ioapic, how % IOAPIC_PINS, how & 0x80);
	else if (how & 0x20)
		pic_set(&pc->pic, how % 16, how & 0x80);
	else if (pic_pending(&pc->pic))
		(void)pic_acknowledge(&pc->pic);
	else
		uart_poll(&pc->uart);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pc pc;

	input_set(data, size);
	wire_up(&pc);
	for (unsigned i = 0; i < STEPS && !input_empty(); i++) {
		switch (input_take(1) % 8) {
		case 0 ... 2:
			use_port(&pc);
			break;
		case 3:
			use_ioapic(&pc);
			break;
		case 4 ... 5:
			use_lapic(&pc);
			break;
		case 6:
			use_line(&pc);
			break;
		default:
			fixture_advance(&pc.rig->f, input_take(3));
			break;
		}
	}
	return 0;
}
