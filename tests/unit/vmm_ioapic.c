/*
 * The I/O APIC: registers, edges, levels with Remote IRR and EOI, masks; and
 * random accesses against a naive model of a level-triggered device: nothing
 * is lost, nothing comes twice.
 */

#include "vmm_fixture.h"

#include "../../vmm/dev/ioapic.h"

struct rig {
	struct fixture f;
	struct ioapic ioapic;
	struct apic_fabric fabric;
	struct apic_message last;
	unsigned messages;
	bool deaf; /* nobody takes messages */
};

static bool deliver(void *opaque, const struct apic_message *message)
{
	struct rig *rig = opaque;

	rig->last = *message;
	rig->messages += !rig->deaf;
	return !rig->deaf;
}

static void start(struct rig *rig)
{
	*rig = (struct rig){.fabric = {deliver, rig}};
	fixture_init(&rig->f);
	ioapic_init(&rig->ioapic, 3, &rig->fabric);
	assert_int_equal(ioapic_attach(&rig->ioapic, &rig->f.memory), BUS_OK);
}

static uint32_t get(struct rig *rig, uint8_t index)
{
	bus_write(&rig->f.memory, 0xfec00000, 4, index);
	return (uint32_t)bus_read(&rig->f.memory, 0xfec00010, 4);
}

static void put(struct rig *rig, uint8_t index, uint32_t value)
{
	bus_write(&rig->f.memory, 0xfec00000, 4, index);
	bus_write(&rig->f.memory, 0xfec00010, 4, value);
}

static void test_registers(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	assert_int_equal(get(&rig, 0), 0x03000000);
	assert_int_equal(get(&rig, 1), 0x00170020);
	assert_int_equal(get(&rig, 2), 0x03000000);
	put(&rig, 0, 0xffffffff);
	assert_int_equal(get(&rig, 0), 0x0f000000);
	for (unsigned i = 0; i < 2 * IOAPIC_PINS; i++) {
		assert_int_equal(get(&rig, (uint8_t)(0x10 + i)), i % 2 ? 0 : 0x10000);
		put(&rig, (uint8_t)(0x10 + i), 0xffffffff);
		assert_int_equal(get(&rig, (uint8_t)(0x10 + i)), i % 2 ? 0xff000000 : 0x1afff);
	}
	assert_int_equal(get(&rig, 0x10 + 2 * IOAPIC_PINS), 0);
	assert_int_equal(get(&rig, 0xff), 0);
	put(&rig, 0x40, 0);
	assert_int_equal(bus_read(&rig.f.memory, 0xfec00000, 4), 0x40);
	assert_int_equal(bus_read(&rig.f.memory, 0xfec00000, 1), 0xff);
	assert_int_equal(bus_read(&rig.f.memory, 0xfec00020, 4), 0);
	ioapic_reset(&rig.ioapic);
	assert_int_equal(get(&rig, 0), 0x03000000);
	assert_int_equal(get(&rig, 0x10), 0x10000);
}

static void test_edge(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	put(&rig, 0x19, 0x05000000);
	ioapic_set(&rig.ioapic, 4, true); /* masked: lost */
	put(&rig, 0x18, 0x00000934);
	assert_int_equal(rig.messages, 0);
	ioapic_set(&rig.ioapic, 4, true); /* no edge */
	assert_int_equal(rig.messages, 0);
	ioapic_set(&rig.ioapic, 4, false);
	ioapic_set(&rig.ioapic, 4, true);
	assert_int_equal(rig.messages, 1);
	assert_int_equal(rig.last.destination, 5);
	assert_int_equal(rig.last.vector, 0x34);
	assert_int_equal(rig.last.mode, APIC_LOWEST);
	assert_true(rig.last.logical);
	assert_false(rig.last.level);
	/* No Remote IRR: an EOI of that vector does nothing. */
	assert_int_equal(get(&rig, 0x18), 0x934);
	ioapic_eoi(&rig.ioapic, 0x34);
	assert_int_equal(rig.messages, 1);
	ioapic_set(&rig.ioapic, 24, true);
	ioapic_set(&rig.ioapic, 77, true);
}

static void test_level(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	ioapic_set(&rig.ioapic, 9, true);
	put(&rig, 0x22, 0x00008041); /* unmasked while asserted */
	assert_int_equal(rig.messages, 1);
	assert_true(rig.last.level);
	assert_int_equal(get(&rig, 0x22), 0x0000c041);
	ioapic_set(&rig.ioapic, 9, false);
	ioapic_set(&rig.ioapic, 9, true); /* waits for the EOI */
	assert_int_equal(rig.messages, 1);
	ioapic_eoi(&rig.ioapic, 0x40); /* another's */
	assert_int_equal(rig.messages, 1);
	ioapic_eoi(&rig.ioapic, 0x41);
	assert_int_equal(rig.messages, 2);
	ioapic_set(&rig.ioapic, 9, false);
	bus_write(&rig.f.memory, 0xfec00040, 4, 0x41); /* EOI register */
	assert_int_equal(rig.messages, 2);
	assert_int_equal(get(&rig, 0x22), 0x00008041);
}

/* Masked with the EOI outstanding, as drivers do; and the way to clear it. */
static void test_level_masked(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	put(&rig, 0x22, 0x8041);
	ioapic_set(&rig.ioapic, 9, true);
	assert_int_equal(rig.messages, 1);
	put(&rig, 0x22, 0x18041);
	assert_int_equal(get(&rig, 0x22), 0x1c041);
	ioapic_eoi(&rig.ioapic, 0x41);
	assert_int_equal(get(&rig, 0x22), 0x18041);
	assert_int_equal(rig.messages, 1);
	put(&rig, 0x22, 0x8041);
	assert_int_equal(rig.messages, 2);
	/* Remote IRR is read-only, but edge mode clears it. */
	put(&rig, 0x22, 0x18041);
	assert_int_equal(get(&rig, 0x22), 0x1c041);
	put(&rig, 0x22, 0x10041);
	put(&rig, 0x22, 0x18041);
	assert_int_equal(get(&rig, 0x22), 0x18041);
}

/* A level message that nobody takes is sent again when somebody may. */
static void test_deaf(void **state)
{
	struct rig rig;

	(void)state;
	start(&rig);
	rig.deaf = true;
	put(&rig, 0x22, 0x8041);
	ioapic_set(&rig.ioapic, 9, true);
	assert_int_equal(get(&rig, 0x22), 0x8041);
	rig.deaf = false;
	put(&rig, 0x23, 0x01000000);
	assert_int_equal(rig.messages, 1);
	assert_int_equal(rig.last.destination, 1);
	assert_int_equal(get(&rig, 0x22), 0xc041);
}

static void test_random(void **state)
{
	bool line = false, busy = false, masked = true;
	uint32_t seed = 41;
	unsigned expected = 0;
	struct rig rig;

	(void)state;
	start(&rig);
	put(&rig, 0x22, 0x18041);
	for (unsigned i = 0; i < 100000; i++) {
		switch (random32(&seed) % 4) {
		case 0:
			line = random32(&seed) & 1;
			ioapic_set(&rig.ioapic, 9, line);
			break;
		case 1:
			masked = random32(&seed) & 1;
			put(&rig, 0x22, 0x8041u | (uint32_t)masked << 16);
			break;
		case 2:
			ioapic_eoi(&rig.ioapic, 0x41);
			busy = false;
			break;
		default:
			/* Anything on the other pins. */
			put(&rig, (uint8_t)(0x24 + random32(&seed) % 200),
			    (random32(&seed) & ~0xffu) | 0x90);
			ioapic_set(&rig.ioapic, 10 + random32(&seed) % 20, random32(&seed) & 1);
			rig.messages = expected;
			break;
		}
		if (line && !busy && !masked) {
			expected++;
			busy = true;
		}
		assert_int_equal(rig.messages, expected);
		assert_int_equal(get(&rig, 0x22) >> 14 & 1, busy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers), cmocka_unit_test(test_edge),
		cmocka_unit_test(test_level),	  cmocka_unit_test(test_level_masked),
		cmocka_unit_test(test_deaf),	  cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("vmm ioapic", tests, NULL, NULL);
}
