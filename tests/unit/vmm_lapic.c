/*
 * The local APIC: priorities against a naive model, the register tables of
 * both modes, mode changes, errors; and random accesses by MSR and memory.
 */
#include "vmm_apics.h"

static void test_reset_state(void **state)
{
	struct rig *rig = apics_start();
	struct lapic *lapic = &rig->cpu[1].lapic;

	(void)state;
	assert_int_equal(rdmsr(lapic, 0x1b), 0xfee00800);
	assert_int_equal(rdmsr(&rig->cpu[0].lapic, 0x1b), 0xfee00900);
	assert_int_equal(mmio(lapic, 0x20), 0x01000000);
	assert_int_equal(mmio(lapic, 0x30), 0x00050014);
	assert_int_equal(mmio(lapic, 0xe0), 0xffffffff);
	assert_int_equal(mmio(lapic, 0xf0), 0xff);
	for (uint64_t lvt = 0x320; lvt <= 0x370; lvt += 0x10)
		assert_int_equal(mmio(lapic, lvt), 0x10000);
	assert_int_equal(lapic_pending(lapic), -1);
	/* Disabled by software: nothing comes in, masks stay. */
	assert_false(apic_send(&rig->fabric, &(struct apic_message){
						     .destination = 1,
						     .vector = 0x40,
					     }));
	lapic_mmio_write(lapic, 0x350, 4, 0x40);
	assert_int_equal(mmio(lapic, 0x350), 0x10040);
}

/* What is pending and what is in service, as a list. */
struct model {
	bool irr[256], isr[256];
	unsigned tpr;
};

/* Something happens, to the local APIC and to the model. The vector it was about. */
static uint8_t any_step(struct lapic *lapic, struct model *m, uint32_t r)
{
	uint8_t vector = (uint8_t)(16 + (r >> 8) % 240);

	switch (r % 4) {
	case 0:
		self_ipi(lapic, vector);
		m->irr[vector] = true;
		break;
	case 1:
		m->tpr = r >> 16 & 0xff;
		if (r & 0x100) {
			lapic_cr8_write(lapic, (uint8_t)(m->tpr >> 4));
			m->tpr &= 0xf0;
		} else {
			wrmsr(lapic, 0x808, m->tpr);
		}
		break;
	case 2:
		wrmsr(lapic, 0x80b, 0);
		for (int v = 255; v >= 0; v--) {
			if (m->isr[v]) {
				m->isr[v] = false;
				break;
			}
		}
		break;
	default:
		if (lapic_pending(lapic) >= 0) {
			vector = (uint8_t)lapic_pending(lapic);
			lapic_accept(lapic, vector);
			assert_true(m->irr[vector]);
			m->irr[vector] = false;
			m->isr[vector] = true;
		}
		break;
	}
	return vector;
}

static void test_priorities(void **state)
{
	struct rig *rig = apics_start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;
	struct model m = {0};
	uint32_t seed = 17;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t vector = any_step(lapic, &m, random32(&seed));
		int top = 0, serving = 0, expected;
		unsigned ppr;

		for (int v = 0; v < 256; v++) {
			top = m.irr[v] ? v : top;
			serving = m.isr[v] ? v : serving;
		}
		ppr = m.tpr >> 4 >= (unsigned)serving >> 4 ? m.tpr : (unsigned)serving & 0xf0;
		expected = (unsigned)top >> 4 > ppr >> 4 ? top : -1;
		assert_int_equal(lapic_pending(lapic), expected);
		assert_int_equal(rdmsr(lapic, 0x80a), ppr);
		assert_int_equal(lapic_cr8_read(lapic), m.tpr >> 4);
		assert_int_equal(rdmsr(lapic, 0x820 + vector / 32u) >> vector % 32 & 1,
				 m.irr[vector]);
		assert_int_equal(rdmsr(lapic, 0x810 + vector / 32u) >> vector % 32 & 1,
				 m.isr[vector]);
	}
}

/* Kicked when something new can be delivered, and only then. */
static void test_kick(void **state)
{
	struct rig *rig = apics_start_x2apic();
	struct cpu *cpu = &rig->cpu[0];
	struct apic_message message = {.vector = 0x51};

	(void)state;
	apic_send(&rig->fabric, &message);
	assert_int_equal(cpu->kicks, 1);
	apic_send(&rig->fabric, &message);
	assert_int_equal(cpu->kicks, 1);
	lapic_accept(&cpu->lapic, 0x51);
	message.vector = 0x50;
	apic_send(&rig->fabric, &message);
	assert_int_equal(cpu->kicks, 1);
	message.vector = 0x60;
	apic_send(&rig->fabric, &message);
	assert_int_equal(cpu->kicks, 2);
	/* Accepting what is not there changes nothing. */
	lapic_accept(&cpu->lapic, 0x99);
	assert_int_equal(rdmsr(&cpu->lapic, 0x814), 0);
}

static void test_eoi_broadcast(void **state)
{
	struct rig *rig = apics_start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;

	(void)state;
	wrmsr(lapic, 0x80b, 0); /* of nothing */
	apic_send(&rig->fabric, &(struct apic_message){
					.vector = 0x77,
					.level = true,
				});
	assert_int_equal(rdmsr(lapic, 0x81b), 1u << 23);
	lapic_accept(lapic, 0x77);
	assert_int_equal(rig->eois, 0);
	wrmsr(lapic, 0x80b, 0);
	assert_int_equal(rig->eois, 1);
	assert_int_equal(rig->eoi_vector, 0x77);
	/* The same vector by an edge: no broadcast. */
	self_ipi(lapic, 0x77);
	assert_int_equal(rdmsr(lapic, 0x81b), 0);
	lapic_accept(lapic, 0x77);
	wrmsr(lapic, 0x80b, 0);
	assert_int_equal(rig->eois, 1);
}

/* Which MSRs exist, and which bits #GP: SDM 3A table 11-6. */
static void test_x2apic_registers(void **state)
{
	static const uint16_t readable[] = {
		0x802, 0x803, 0x808, 0x80a, 0x80d, 0x80f, 0x828, 0x830, 0x832,
		0x833, 0x834, 0x835, 0x836, 0x837, 0x838, 0x839, 0x83e,
	};
	static const uint16_t writable[] = {
		0x808, 0x80b, 0x80f, 0x828, 0x830, 0x832, 0x833,
		0x834, 0x835, 0x836, 0x837, 0x838, 0x83e, 0x83f,
	};
	struct rig *rig = apics_start_x2apic();
	struct lapic *lapic = &rig->cpu[2].lapic;

	(void)state;
	for (uint32_t msr = 0x800; msr < 0x900; msr++) {
		bool r = msr >= 0x810 && msr < 0x828, w = false;
		uint64_t value;

		for (unsigned i = 0; i < 17; i++)
			r |= readable[i] == msr;
		for (unsigned i = 0; i < 14; i++)
			w |= writable[i] == msr;
		assert_true(lapic_has_msr(msr));
		assert_int_equal(lapic_msr_read(lapic, msr, &value), r);
		value = msr == 0x83f ? 0x20 : 0;
		assert_int_equal(lapic_msr_write(lapic, msr, value), w);
		assert_false(msr != 0x830 && lapic_msr_write(lapic, msr, 1ull << 32));
	}
	assert_int_equal(rdmsr(lapic, 0x802), 2);
	assert_int_equal(rdmsr(lapic, 0x80d), 4);
	assert_false(lapic_msr_write(lapic, 0x80b, 1));
	assert_false(lapic_msr_write(lapic, 0x808, 0x100));
	assert_false(lapic_msr_write(lapic, 0x80f, 0x1ff | 1 << 12));
	assert_false(lapic_msr_write(lapic, 0x828, 1));
	assert_false(lapic_msr_write(lapic, 0x830, 1 << 12));
	assert_false(lapic_msr_write(lapic, 0x832, 1 << 11));
	/* Read-only is not reserved: they stay 0. */
	wrmsr(lapic, 0x835, 0x15000);
	assert_int_equal(rdmsr(lapic, 0x835), 0x10000);
	assert_false(lapic_msr_write(lapic, 0x83e, 4));
	assert_false(lapic_has_msr(0x7ff));
	assert_false(lapic_has_msr(0x900));
	assert_false(lapic_mapped(lapic, 0xfee00000));
}

static void test_modes(void **state)
{
	struct rig *rig = apics_start();
	struct lapic *lapic = &rig->cpu[0].lapic;
	uint64_t value;

	(void)state;
	assert_true(lapic_mapped(lapic, 0xfee00ff0));
	assert_false(lapic_mapped(lapic, 0xfee01000));
	assert_false(lapic_mapped(lapic, 0xfedfffff));
	assert_false(lapic_msr_read(lapic, 0x802, &value));
	assert_false(lapic_msr_write(lapic, 0x80b, 0));
	/* Reserved bits; x2APIC without enable. */
	assert_false(lapic_msr_write(lapic, 0x1b, 0xfee00901));
	assert_false(lapic_msr_write(lapic, 0x1b, 0xfee00b00));
	assert_false(lapic_msr_write(lapic, 0x1b, 1ull << 60));
	assert_false(lapic_msr_write(lapic, 0x1b, 0xfee00500));
	/* Elsewhere. */
	wrmsr(lapic, 0x1b, 0xfed00900);
	assert_true(lapic_mapped(lapic, 0xfed00000));
	assert_false(lapic_mapped(lapic, 0xfee00000));
	/* To x2APIC; not back; off; not directly to x2APIC. */
	wrmsr(lapic, 0x1b, 0xfee00d00);
	assert_false(lapic_msr_write(lapic, 0x1b, 0xfee00900));
	wrmsr(lapic, 0x80f, 0x1ff);
	self_ipi(lapic, 0x40);
	wrmsr(lapic, 0x1b, 0xfee00100);
	assert_int_equal(lapic_pending(lapic), -1);
	assert_false(lapic_mapped(lapic, 0xfee00000));
	assert_false(lapic_msr_write(lapic, 0x1b, 0xfee00d00));
	wrmsr(lapic, 0x1b, 0xfee00900);
	assert_int_equal(mmio(lapic, 0xf0), 0xff);
	assert_int_equal(lapic_base(lapic), 0xfee00900);
}

static void test_mmio(void **state)
{
	struct rig *rig = apics_start_xapic();
	struct lapic *lapic = &rig->cpu[0].lapic;

	(void)state;
	lapic_mmio_write(lapic, 0x80, 4, 0xffffff35);
	assert_int_equal(mmio(lapic, 0x80), 0x35);
	lapic_mmio_write(lapic, 0x80, 1, 0); /* parts are not written */
	lapic_mmio_write(lapic, 0x84, 4, 0);
	assert_int_equal(mmio(lapic, 0x80), 0x35);
	assert_int_equal(mmio(lapic, 0x84), 0);
	assert_int_equal((uint8_t)lapic_mmio_read(lapic, 0x31, 1), 0);
	assert_int_equal((uint8_t)lapic_mmio_read(lapic, 0x32, 1), 5);
	lapic_mmio_write(lapic, 0xe0, 4, 0);
	assert_int_equal(mmio(lapic, 0xe0), 0x0fffffff);
	/* Registers that are not there are an error, told when ESR is. */
	assert_int_equal(mmio(lapic, 0x000), 0);
	assert_int_equal(mmio(lapic, 0x3f0), 0);
	assert_int_equal(mmio(lapic, 0xff0), 0);
	assert_int_equal(mmio(lapic, 0x280), 0);
	lapic_mmio_write(lapic, 0x280, 4, 0);
	assert_int_equal(mmio(lapic, 0x280), 0x80);
	lapic_mmio_write(lapic, 0x280, 4, 0);
	assert_int_equal(mmio(lapic, 0x280), 0);
}

static void test_errors(void **state)
{
	struct rig *rig = apics_start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;

	(void)state;
	wrmsr(lapic, 0x837, 0xfe);
	self_ipi(lapic, 5); /* received illegal vector */
	assert_int_equal(lapic_pending(lapic), 0xfe);
	wrmsr(lapic, 0x830, 0x40003); /* send illegal vector */
	wrmsr(lapic, 0x828, 0);
	assert_int_equal(rdmsr(lapic, 0x828), 0x60);
	/* The error's own vector is illegal: that ends by itself. */
	wrmsr(lapic, 0x837, 0x01);
	self_ipi(lapic, 5);
	wrmsr(lapic, 0x828, 0);
	assert_int_equal(rdmsr(lapic, 0x828), 0x40);
}

static void test_random(void **state)
{
	struct rig *rig = apics_start_xapic();
	uint32_t seed = 23;

	(void)state;
	for (unsigned i = 0; i < 400000; i++) {
		struct lapic *lapic = &rig->cpu[random32(&seed) % CPUS].lapic;
		uint32_t r = random32(&seed);
		uint64_t value = random32(&seed) & (r & 1 ? 0xff : UINT32_MAX);
		uint64_t read;
		int vector;

		switch (r >> 1 & 7) {
		case 0:
			(void)lapic_msr_write(lapic, 0x800 + (r >> 8 & 0x3f), value);
			break;
		case 1:
			(void)lapic_msr_read(lapic, 0x800 + (r >> 8 & 0xff), &read);
			break;
		case 2:
			lapic_mmio_write(lapic, r >> 4 & 0xff0, 4, value);
			break;
		case 3:
			lapic_mmio_read(lapic, r >> 4 & 0xfff, 1);
			break;
		case 4:
			if (r % 64 == 8)
				(void)lapic_msr_write(lapic, 0x1b, 0xfee00000 | (r >> 8 & 0xd00));
			(void)lapic_msr_write(lapic, 0x6e0, value * value);
			break;
		case 5:
			lapic_lint_set(lapic, r >> 8 & 3, r >> 10 & 1);
			break;
		default:
			vector = lapic_pending(lapic);
			if (vector >= 0)
				lapic_accept(lapic, (uint8_t)vector);
			break;
		}
		if (timer_queue_next(&rig->f.timers) != TIMER_NEVER) {
			rig->f.now += r >> 20;
			timer_queue_run(&rig->f.timers);
		}
		vector = lapic_pending(lapic);
		assert_true(vector == -1 || (vector >= 16 && vector < 256));
	}
}

static void test_full(void **state)
{
	static struct lapic many[LAPICS_MAX + 1];
	static struct lapics all;
	struct fixture f;

	(void)state;
	fixture_init(&f);
	for (unsigned i = 0; i <= LAPICS_MAX; i++) {
		assert_int_equal(lapic_init(&many[i],
					    &(struct lapic_config){
						    .id = i,
						    .all = &all,
						    .timers = &f.timers,
						    .timer_hz = FIXTURE_HZ,
					    }),
				 i < LAPICS_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_state),
		cmocka_unit_test(test_priorities),
		cmocka_unit_test(test_kick),
		cmocka_unit_test(test_eoi_broadcast),
		cmocka_unit_test(test_x2apic_registers),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_mmio),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("vmm lapic", tests, NULL, NULL);
}
