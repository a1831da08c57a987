#include "vmm_apics.h"

static void kick(void *opaque)
{
	((struct cpu *)opaque)->kicks++;
}

static void take_init(void *opaque)
{
	((struct cpu *)opaque)->inits++;
}

static void take_startup(void *opaque, uint8_t vector)
{
	struct cpu *cpu = opaque;

	cpu->startups++;
	cpu->startup_vector = vector;
}

static void take_eoi(void *opaque, uint8_t vector)
{
	struct rig *rig = opaque;

	rig->eois++;
	rig->eoi_vector = vector;
}

struct rig *apics_start(void)
{
	static struct rig rig;

	memset(&rig, 0, sizeof(rig));
	fixture_init(&rig.f);
	rig.fabric = (struct apic_fabric){lapics_deliver, &rig.all};
	for (unsigned i = 0; i < CPUS; i++) {
		struct cpu *cpu = &rig.cpu[i];

		assert_true(lapic_init(&cpu->lapic,
				       &(struct lapic_config){
					       .id = i,
					       .bsp = i == 0,
					       .all = &rig.all,
					       .timers = &rig.f.timers,
					       .timer_hz = FIXTURE_HZ,
					       .hooks = {kick, take_init, take_startup, cpu},
					       .eoi = take_eoi,
					       .ioapic = &rig,
				       }));
	}
	return &rig;
}

void wrmsr(struct lapic *lapic, uint32_t msr, uint64_t value)
{
	assert_true(lapic_msr_write(lapic, msr, value));
}

uint64_t rdmsr(struct lapic *lapic, uint32_t msr)
{
	uint64_t value = 0;

	assert_true(lapic_msr_read(lapic, msr, &value));
	return value;
}

uint32_t mmio(struct lapic *lapic, uint64_t offset)
{
	return (uint32_t)lapic_mmio_read(lapic, offset, 4);
}

struct rig *apics_start_x2apic(void)
{
	struct rig *rig = apics_start();

	for (unsigned i = 0; i < CPUS; i++) {
		struct lapic *lapic = &rig->cpu[i].lapic;

		wrmsr(lapic, 0x1b, rdmsr(lapic, 0x1b) | 0xc00);
		wrmsr(lapic, 0x80f, 0x1ff);
	}
	return rig;
}

struct rig *apics_start_xapic(void)
{
	struct rig *rig = apics_start();

	for (unsigned i = 0; i < CPUS; i++) {
		struct lapic *lapic = &rig->cpu[i].lapic;

		lapic_mmio_write(lapic, 0xf0, 4, 0x1ff);
		lapic_mmio_write(lapic, 0xd0, 4, 1u << (24 + i));
	}
	return rig;
}

void self_ipi(struct lapic *lapic, uint8_t vector)
{
	wrmsr(lapic, 0x83f, vector);
}
