/*
 * The local APIC: priorities against a naive model, the register tables of
 * both modes, mode changes, the three timers, IPIs with every way to name a
 * target, LINT pins, errors; and random accesses by MSR and memory.
 */

#include "vmm_fixture.h"

#include "../../vmm/dev/lapic.h"

enum { CPUS = 4 };

struct cpu {
	struct lapic lapic;
	unsigned kicks, inits, startups;
	uint8_t startup_vector;
};

struct rig {
	struct fixture f;
	struct lapics all;
	struct apic_fabric fabric;
	struct cpu cpu[CPUS];
	unsigned eois;
	uint8_t eoi_vector;
};

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

static struct rig *start(void)
{
	static struct rig rig;

	memset(&rig, 0, sizeof(rig));
	fixture_init(&rig.f);
	rig.fabric = (struct apic_fabric){ lapics_deliver, &rig.all };
	for (unsigned i = 0; i < CPUS; i++) {
		struct cpu *cpu = &rig.cpu[i];

		assert_true(lapic_init(&cpu->lapic, &(struct lapic_config){
			.id = i, .bsp = i == 0, .all = &rig.all,
			.timers = &rig.f.timers, .timer_hz = FIXTURE_HZ,
			.hooks = { kick, take_init, take_startup, cpu },
			.eoi = take_eoi, .ioapic = &rig,
		}));
	}
	return &rig;
}

static void wrmsr(struct lapic *lapic, uint32_t msr, uint64_t value)
{
	assert_true(lapic_msr_write(lapic, msr, value));
}

static uint64_t rdmsr(struct lapic *lapic, uint32_t msr)
{
	uint64_t value = 0;

	assert_true(lapic_msr_read(lapic, msr, &value));
	return value;
}

static uint32_t mmio(struct lapic *lapic, uint64_t offset)
{
	return (uint32_t)lapic_mmio_read(lapic, offset, 4);
}

/* All in x2APIC mode and enabled. */
static struct rig *start_x2apic(void)
{
	struct rig *rig = start();

	for (unsigned i = 0; i < CPUS; i++) {
		struct lapic *lapic = &rig->cpu[i].lapic;

		wrmsr(lapic, 0x1b, rdmsr(lapic, 0x1b) | 0xc00);
		wrmsr(lapic, 0x80f, 0x1ff);
	}
	return rig;
}

static struct rig *start_xapic(void)
{
	struct rig *rig = start();

	for (unsigned i = 0; i < CPUS; i++) {
		struct lapic *lapic = &rig->cpu[i].lapic;

		lapic_mmio_write(lapic, 0xf0, 4, 0x1ff);
		lapic_mmio_write(lapic, 0xd0, 4, 1u << (24 + i));
	}
	return rig;
}

static void self_ipi(struct lapic *lapic, uint8_t vector)
{
	wrmsr(lapic, 0x83f, vector);
}

static void test_reset_state(void **state)
{
	struct rig *rig = start();
	struct lapic *lapic = &rig->cpu[1].lapic;

	(void)state;
	assert_int_equal(rdmsr(lapic, 0x1b), 0xfee00800);
	assert_int_equal(rdmsr(&rig->cpu[0].lapic, 0x1b), 0xfee00900);
	assert_int_equal(mmio(lapic, 0x20), 0x01000000);
	assert_int_equal(mmio(lapic, 0x30), 0x00050014);
	assert_int_equal(mmio(lapic, 0xe0), 0xffffffff);
	assert_int_equal(mmio(lapic, 0xf0), 0xff);
	for (uint64_t lvt = 0x320; lvt <= 0x370; lvt += 0x10) {
		assert_int_equal(mmio(lapic, lvt), 0x10000);
	}
	assert_int_equal(lapic_pending(lapic), -1);
	/* Disabled by software: nothing comes in, masks stay. */
	assert_false(apic_send(&rig->fabric, &(struct apic_message){
		.destination = 1, .vector = 0x40,
	}));
	lapic_mmio_write(lapic, 0x350, 4, 0x40);
	assert_int_equal(mmio(lapic, 0x350), 0x10040);
}

/* Priorities: a list of what is pending and what is in service. */
static void test_priorities(void **state)
{
	struct rig *rig = start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;
	bool irr[256] = { 0 }, isr[256] = { 0 };
	uint32_t seed = 17;
	unsigned tpr = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		uint32_t r = random32(&seed);
		uint8_t vector = (uint8_t)(16 + (r >> 8) % 240);
		int top = 0, serving = 0, expected;
		unsigned ppr;

		switch (r % 4) {
		case 0:
			self_ipi(lapic, vector);
			irr[vector] = true;
			break;
		case 1:
			tpr = r >> 16 & 0xff;
			if (r & 0x100) {
				lapic_cr8_write(lapic, (uint8_t)(tpr >> 4));
				tpr &= 0xf0;
			} else {
				wrmsr(lapic, 0x808, tpr);
			}
			break;
		case 2:
			wrmsr(lapic, 0x80b, 0);
			for (int v = 255; v >= 0; v--) {
				if (isr[v]) {
					isr[v] = false;
					break;
				}
			}
			break;
		default:
			if (lapic_pending(lapic) >= 0) {
				vector = (uint8_t)lapic_pending(lapic);
				lapic_accept(lapic, vector);
				assert_true(irr[vector]);
				irr[vector] = false;
				isr[vector] = true;
			}
			break;
		}
		for (int v = 0; v < 256; v++) {
			top = irr[v] ? v : top;
			serving = isr[v] ? v : serving;
		}
		ppr = tpr >> 4 >= (unsigned)serving >> 4 ? tpr :
		      (unsigned)serving & 0xf0;
		expected = (unsigned)top >> 4 > ppr >> 4 ? top : -1;
		assert_int_equal(lapic_pending(lapic), expected);
		assert_int_equal(rdmsr(lapic, 0x80a), ppr);
		assert_int_equal(lapic_cr8_read(lapic), tpr >> 4);
		assert_int_equal(rdmsr(lapic, 0x820 + vector / 32u) >>
				 vector % 32 & 1, irr[vector]);
		assert_int_equal(rdmsr(lapic, 0x810 + vector / 32u) >>
				 vector % 32 & 1, isr[vector]);
	}
}

/* Kicked when something new can be delivered, and only then. */
static void test_kick(void **state)
{
	struct rig *rig = start_x2apic();
	struct cpu *cpu = &rig->cpu[0];
	struct apic_message message = { .vector = 0x51 };

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
	struct rig *rig = start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;

	(void)state;
	wrmsr(lapic, 0x80b, 0);			/* of nothing */
	apic_send(&rig->fabric, &(struct apic_message){
		.vector = 0x77, .level = true,
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
		0x808, 0x80b, 0x80f, 0x828, 0x830, 0x832, 0x833, 0x834, 0x835,
		0x836, 0x837, 0x838, 0x83e, 0x83f,
	};
	struct rig *rig = start_x2apic();
	struct lapic *lapic = &rig->cpu[2].lapic;

	(void)state;
	for (uint32_t msr = 0x800; msr < 0x900; msr++) {
		bool r = msr >= 0x810 && msr < 0x828, w = false;
		uint64_t value;

		for (unsigned i = 0; i < 17; i++) {
			r |= readable[i] == msr;
		}
		for (unsigned i = 0; i < 14; i++) {
			w |= writable[i] == msr;
		}
		assert_true(lapic_has_msr(msr));
		assert_int_equal(lapic_msr_read(lapic, msr, &value), r);
		value = msr == 0x83f ? 0x20 : 0;
		assert_int_equal(lapic_msr_write(lapic, msr, value), w);
		assert_false(msr != 0x830 &&
			     lapic_msr_write(lapic, msr, 1ull << 32));
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
	struct rig *rig = start();
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
	struct rig *rig = start_xapic();
	struct lapic *lapic = &rig->cpu[0].lapic;

	(void)state;
	lapic_mmio_write(lapic, 0x80, 4, 0xffffff35);
	assert_int_equal(mmio(lapic, 0x80), 0x35);
	lapic_mmio_write(lapic, 0x80, 1, 0);	/* parts are not written */
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
	struct rig *rig = start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;

	(void)state;
	wrmsr(lapic, 0x837, 0xfe);
	self_ipi(lapic, 5);			/* received illegal vector */
	assert_int_equal(lapic_pending(lapic), 0xfe);
	wrmsr(lapic, 0x830, 0x40003);		/* send illegal vector */
	wrmsr(lapic, 0x828, 0);
	assert_int_equal(rdmsr(lapic, 0x828), 0x60);
	/* The error's own vector is illegal: that ends by itself. */
	wrmsr(lapic, 0x837, 0x01);
	self_ipi(lapic, 5);
	wrmsr(lapic, 0x828, 0);
	assert_int_equal(rdmsr(lapic, 0x828), 0x40);
}

static void expect_vectors(struct rig *rig, unsigned mask, uint8_t vector)
{
	for (unsigned i = 0; i < CPUS; i++) {
		struct lapic *lapic = &rig->cpu[i].lapic;

		assert_int_equal(lapic_pending(lapic),
				 mask & 1u << i ? vector : -1);
		if (mask & 1u << i) {
			lapic_accept(lapic, vector);
			if (lapic_mapped(lapic, 0xfee00000)) {
				lapic_mmio_write(lapic, 0xb0, 4, 0);
			} else {
				wrmsr(lapic, 0x80b, 0);
			}
		}
	}
}

static void xapic_send(struct lapic *from, uint8_t to, uint32_t icr)
{
	lapic_mmio_write(from, 0x310, 4, (uint32_t)to << 24);
	lapic_mmio_write(from, 0x300, 4, icr);
	assert_int_equal(mmio(from, 0x300), icr);
	assert_int_equal(mmio(from, 0x310), (uint32_t)to << 24);
}

static void test_xapic_ipi(void **state)
{
	struct rig *rig = start_xapic();
	struct lapic *from = &rig->cpu[1].lapic;

	(void)state;
	xapic_send(from, 2, 0x00041);
	expect_vectors(rig, 1 << 2, 0x41);
	xapic_send(from, 0xff, 0x00041);
	expect_vectors(rig, 0xf, 0x41);
	xapic_send(from, 9, 0x00041);
	expect_vectors(rig, 0, 0x41);
	xapic_send(from, 0x0c, 0x00841);	/* logical, flat */
	expect_vectors(rig, 0xc, 0x41);
	xapic_send(from, 0, 0x40041);
	expect_vectors(rig, 1 << 1, 0x41);
	xapic_send(from, 0, 0x80041);
	expect_vectors(rig, 0xf, 0x41);
	xapic_send(from, 0, 0xc0041);
	expect_vectors(rig, 0xd, 0x41);
	/* Logical, cluster: two clusters of two. */
	for (unsigned i = 0; i < CPUS; i++) {
		struct lapic *lapic = &rig->cpu[i].lapic;

		lapic_mmio_write(lapic, 0xe0, 4, 0x0fffffff);
		lapic_mmio_write(lapic, 0xd0, 4,
				 (i / 2 << 4 | 1u << i % 2) << 24);
	}
	xapic_send(from, 0x13, 0x00841);
	expect_vectors(rig, 0xc, 0x41);
	xapic_send(from, 0x02, 0x00841);
	expect_vectors(rig, 0x2, 0x41);
	xapic_send(from, 0xff, 0x00841);
	expect_vectors(rig, 0xf, 0x41);
}

static void test_x2apic_ipi(void **state)
{
	struct rig *rig = start_x2apic();
	struct lapic *from = &rig->cpu[1].lapic;

	(void)state;
	wrmsr(from, 0x830, 2ull << 32 | 0x41);
	expect_vectors(rig, 1 << 2, 0x41);
	wrmsr(from, 0x830, 0xffull << 32 | 0x41);	/* only CPU 255 */
	expect_vectors(rig, 0, 0x41);
	wrmsr(from, 0x830, 0xffffffffull << 32 | 0x41);
	expect_vectors(rig, 0xf, 0x41);
	wrmsr(from, 0x830, 0x0009ull << 32 | 0x841);
	expect_vectors(rig, 0x9, 0x41);
	wrmsr(from, 0x830, 0x10009ull << 32 | 0x841);
	expect_vectors(rig, 0, 0x41);
	wrmsr(from, 0x830, 0xc0041);
	expect_vectors(rig, 0xd, 0x41);
	/* An 8-bit message: from the IOAPIC or MSI. */
	assert_true(msi_send(&rig->fabric, 0xfee03000, 0x41));
	expect_vectors(rig, 1 << 3, 0x41);
	assert_true(msi_send(&rig->fabric, 0xfeeff000, 0x41));
	expect_vectors(rig, 0xf, 0x41);
	assert_false(msi_send(&rig->fabric, 0xfee55000, 0x41));
}

/* Lowest priority: the one that is least busy, else in turns. */
static void test_lowest(void **state)
{
	struct rig *rig = start_x2apic();
	struct apic_message message = {
		.destination = 0xf, .logical = true, .vector = 0x41,
		.mode = APIC_LOWEST,
	};
	unsigned got[CPUS] = { 0 };

	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		assert_true(apic_send(&rig->fabric, &message));
		for (unsigned i = 0; i < CPUS; i++) {
			struct lapic *lapic = &rig->cpu[i].lapic;

			if (lapic_pending(lapic) >= 0) {
				got[i]++;
				lapic_accept(lapic, 0x41);
				wrmsr(lapic, 0x80b, 0);
			}
		}
	}
	for (unsigned i = 0; i < CPUS; i++) {
		assert_int_equal(got[i], 2);
		wrmsr(&rig->cpu[i].lapic, 0x808, i == 2 ? 0x10 : 0x20);
	}
	assert_true(apic_send(&rig->fabric, &message));
	expect_vectors(rig, 1 << 2, 0x41);
}

static void test_init_sipi_nmi(void **state)
{
	struct rig *rig = start_x2apic();
	struct lapic *bsp = &rig->cpu[0].lapic;
	struct cpu *ap = &rig->cpu[3];

	(void)state;
	self_ipi(&ap->lapic, 0x99);
	wrmsr(bsp, 0x830, 3ull << 32 | 0xc500);
	assert_int_equal(ap->inits, 1);
	assert_int_equal(lapic_pending(&ap->lapic), -1);
	assert_int_equal(rdmsr(&ap->lapic, 0x80f), 0xff);
	assert_int_equal(rdmsr(&ap->lapic, 0x802), 3);
	wrmsr(bsp, 0x830, 3ull << 32 | 0x8500);	/* de-assert: nothing */
	assert_int_equal(ap->inits, 1);
	wrmsr(bsp, 0x830, 3ull << 32 | 0x4608);
	assert_int_equal(ap->startups, 1);
	assert_int_equal(ap->startup_vector, 0x08);

	/* NMI does not ask whether software has enabled it. */
	wrmsr(bsp, 0x830, 3ull << 32 | 0x4400);
	assert_true(lapic_nmi_pending(&ap->lapic));
	assert_true(lapic_nmi_take(&ap->lapic));
	assert_false(lapic_nmi_take(&ap->lapic));
	/* SMI and what is reserved are nobody's. */
	wrmsr(bsp, 0x830, 3ull << 32 | 0x4200);
	wrmsr(bsp, 0x830, 3ull << 32 | 0x4300);
	wrmsr(bsp, 0x830, 3ull << 32 | 0x4741);
	assert_int_equal(lapic_pending(&ap->lapic), -1);
	wrmsr(bsp, 0x830, 0xc4500);		/* INIT to all others */
	assert_int_equal(ap->inits, 2);
	assert_int_equal(rig->cpu[0].inits, 0);
}

static void test_lint(void **state)
{
	struct rig *rig = start_x2apic();
	struct cpu *cpu = &rig->cpu[0];
	struct lapic *lapic = &cpu->lapic;

	(void)state;
	/* Masked: not let through; unmasked while high: it is. */
	lapic_lint_set(lapic, 0, true);
	assert_false(lapic_extint(lapic));
	wrmsr(lapic, 0x835, 0x700);
	assert_true(lapic_extint(lapic));
	lapic_lint_set(lapic, 0, false);
	assert_false(lapic_extint(lapic));
	assert_int_equal(cpu->kicks, 0);
	lapic_lint_set(lapic, 0, true);
	assert_int_equal(cpu->kicks, 1);
	/* TPR does not hold it. */
	wrmsr(lapic, 0x808, 0xff);
	assert_true(lapic_extint(lapic));
	wrmsr(lapic, 0x808, 0);
	/* Fixed: a vector for an edge. */
	lapic_lint_set(lapic, 0, false);
	wrmsr(lapic, 0x835, 0x42);
	lapic_lint_set(lapic, 0, true);
	assert_int_equal(lapic_pending(lapic), 0x42);
	assert_false(lapic_extint(lapic));
	/* LINT1 as NMI. */
	lapic_lint_set(lapic, 1, true);
	assert_false(lapic_nmi_take(lapic));
	lapic_lint_set(lapic, 1, false);
	wrmsr(lapic, 0x836, 0x400);
	lapic_lint_set(lapic, 1, true);
	assert_true(lapic_nmi_take(lapic));
	lapic_lint_set(lapic, 7, true);
	/* Disabled altogether, the pin is INTR; or as a firmware leaves it. */
	wrmsr(lapic, 0x1b, 0xfee00100);
	assert_true(lapic_extint(lapic));
	wrmsr(lapic, 0x1b, 0xfee00900);
	assert_false(lapic_extint(lapic));
	lapic_virtual_wire(lapic);
	assert_true(lapic_extint(lapic));
	assert_int_equal(mmio(lapic, 0xf0), 0x1ff);
}

static void test_one_shot(void **state)
{
	static const uint8_t divides[] = { 0, 1, 2, 3, 8, 9, 10, 11 };
	struct rig *rig = start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;

	(void)state;
	wrmsr(lapic, 0x832, 0x40);
	for (unsigned i = 0; i < 8; i++) {
		uint64_t divisor = i == 7 ? 1 : 2ull << i;

		wrmsr(lapic, 0x83e, divides[i]);
		wrmsr(lapic, 0x838, 1000);
		fixture_advance(&rig->f, 300 * divisor);
		assert_int_equal(rdmsr(lapic, 0x839), 700);
		fixture_advance(&rig->f, 700 * divisor - 1);
		assert_int_equal(lapic_pending(lapic), -1);
		assert_int_equal(rdmsr(lapic, 0x839), 1);
		fixture_advance(&rig->f, 1);
		assert_int_equal(lapic_pending(lapic), 0x40);
		assert_int_equal(rdmsr(lapic, 0x839), 0);
		lapic_accept(lapic, 0x40);
		wrmsr(lapic, 0x80b, 0);
		fixture_advance(&rig->f, 5000 * divisor);
		assert_int_equal(lapic_pending(lapic), -1);
	}
	/* Divided anew in the middle: what is left takes longer. */
	wrmsr(lapic, 0x838, 1000);
	fixture_advance(&rig->f, 400);
	wrmsr(lapic, 0x83e, 0);
	assert_int_equal(rdmsr(lapic, 0x839), 600);
	fixture_advance(&rig->f, 1199);
	assert_int_equal(lapic_pending(lapic), -1);
	fixture_advance(&rig->f, 1);
	assert_int_equal(lapic_pending(lapic), 0x40);
	/* 0 stops. */
	wrmsr(lapic, 0x838, 1000);
	wrmsr(lapic, 0x838, 0);
	assert_int_equal(timer_queue_next(&rig->f.timers), TIMER_NEVER);
}

static void test_periodic(void **state)
{
	struct rig *rig = start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;
	unsigned count = 0;

	(void)state;
	wrmsr(lapic, 0x83e, 11);
	wrmsr(lapic, 0x832, 0x20040);
	wrmsr(lapic, 0x838, MS);
	for (unsigned i = 0; i < 100; i++) {
		fixture_advance(&rig->f, MS / 4);
		assert_int_equal(rdmsr(lapic, 0x839),
				 MS - (i + 1) % 4 * (MS / 4));
		if (lapic_pending(lapic) == 0x40) {
			assert_int_equal(i % 4, 3);
			lapic_accept(lapic, 0x40);
			wrmsr(lapic, 0x80b, 0);
			count++;
		}
	}
	assert_int_equal(count, 25);
	/* Masked it goes on, without interrupts. */
	wrmsr(lapic, 0x832, 0x30040);
	fixture_advance(&rig->f, 10 * MS);
	assert_int_equal(lapic_pending(lapic), -1);
	/* Who was away for long gets one, and the phase is kept. */
	wrmsr(lapic, 0x832, 0x20040);
	rig->f.now += 10 * MS + MS / 2;
	timer_queue_run(&rig->f.timers);
	assert_int_equal(lapic_pending(lapic), 0x40);
	assert_int_equal(timer_queue_next(&rig->f.timers) - rig->f.now, MS / 2);
	/* No more than 20,000 a second. */
	wrmsr(lapic, 0x838, 1);
	assert_int_equal(timer_queue_next(&rig->f.timers) - rig->f.now,
			 SECOND / 20000);
}

static void test_deadline(void **state)
{
	struct rig *rig = start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;

	(void)state;
	wrmsr(lapic, 0x6e0, rig->f.now + 100);	/* not in this mode */
	assert_int_equal(rdmsr(lapic, 0x6e0), 0);
	wrmsr(lapic, 0x838, 1000);
	wrmsr(lapic, 0x832, 0x40040);
	assert_int_equal(timer_queue_next(&rig->f.timers), TIMER_NEVER);
	wrmsr(lapic, 0x838, 1000);		/* nor this in that */
	assert_int_equal(rdmsr(lapic, 0x838), 0);

	wrmsr(lapic, 0x6e0, rig->f.now + 100);
	assert_int_equal(rdmsr(lapic, 0x6e0), rig->f.now + 100);
	fixture_advance(&rig->f, 99);
	assert_int_equal(lapic_pending(lapic), -1);
	fixture_advance(&rig->f, 1);
	assert_int_equal(lapic_pending(lapic), 0x40);
	assert_int_equal(rdmsr(lapic, 0x6e0), 0);
	lapic_accept(lapic, 0x40);
	wrmsr(lapic, 0x80b, 0);
	/* In the past: at once. */
	wrmsr(lapic, 0x6e0, rig->f.now);
	assert_int_equal(lapic_pending(lapic), 0x40);
	assert_int_equal(rdmsr(lapic, 0x6e0), 0);
	lapic_accept(lapic, 0x40);
	wrmsr(lapic, 0x80b, 0);
	/* Never; disarmed; masked. */
	wrmsr(lapic, 0x6e0, UINT64_MAX);
	fixture_advance(&rig->f, 1000 * SECOND);
	assert_int_equal(lapic_pending(lapic), -1);
	wrmsr(lapic, 0x6e0, rig->f.now + 100);
	wrmsr(lapic, 0x6e0, 0);
	assert_int_equal(timer_queue_next(&rig->f.timers), TIMER_NEVER);
	wrmsr(lapic, 0x832, 0x50040);
	wrmsr(lapic, 0x6e0, rig->f.now + 100);
	fixture_advance(&rig->f, 200);
	assert_int_equal(lapic_pending(lapic), -1);
	assert_int_equal(rdmsr(lapic, 0x6e0), 0);
}

/* A guest that has set its TSC back: the deadline is in its own time. */
static void test_deadline_offset(void **state)
{
	struct rig *rig = start_x2apic();
	struct lapic *lapic = &rig->cpu[0].lapic;

	(void)state;
	wrmsr(lapic, 0x832, 0x40040);
	lapic_set_tsc_offset(lapic, 0 - rig->f.now);	/* TSC is 0 now */
	wrmsr(lapic, 0x6e0, 500);
	assert_int_equal(timer_queue_next(&rig->f.timers), rig->f.now + 500);
	lapic_set_tsc_offset(lapic, 300 - rig->f.now);
	assert_int_equal(timer_queue_next(&rig->f.timers), rig->f.now + 200);
	lapic_set_tsc_offset(lapic, 500 - rig->f.now);
	assert_int_equal(lapic_pending(lapic), 0x40);
}

static void test_random(void **state)
{
	struct rig *rig = start_xapic();
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
			(void)lapic_msr_write(lapic, 0x800 + (r >> 8 & 0x3f),
					      value);
			break;
		case 1:
			(void)lapic_msr_read(lapic, 0x800 + (r >> 8 & 0xff),
					     &read);
			break;
		case 2:
			lapic_mmio_write(lapic, r >> 4 & 0xff0, 4, value);
			break;
		case 3:
			lapic_mmio_read(lapic, r >> 4 & 0xfff, 1);
			break;
		case 4:
			if (r % 64 == 8) {
				(void)lapic_msr_write(lapic, 0x1b, 0xfee00000 |
						      (r >> 8 & 0xd00));
			}
			(void)lapic_msr_write(lapic, 0x6e0, value * value);
			break;
		case 5:
			lapic_lint_set(lapic, r >> 8 & 3, r >> 10 & 1);
			break;
		default:
			vector = lapic_pending(lapic);
			if (vector >= 0) {
				lapic_accept(lapic, (uint8_t)vector);
			}
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
		assert_int_equal(lapic_init(&many[i], &(struct lapic_config){
			.id = i, .all = &all, .timers = &f.timers,
			.timer_hz = FIXTURE_HZ,
		}), i < LAPICS_MAX);
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
		cmocka_unit_test(test_xapic_ipi),
		cmocka_unit_test(test_x2apic_ipi),
		cmocka_unit_test(test_lowest),
		cmocka_unit_test(test_init_sipi_nmi),
		cmocka_unit_test(test_lint),
		cmocka_unit_test(test_one_shot),
		cmocka_unit_test(test_periodic),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_deadline_offset),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("vmm lapic", tests, NULL, NULL);
}
