/*
 * Interrupts as semaphores: those of the real-time clock and of the timer.
 */
#include "test.h"

enum {
	RTC_GSI = 8,
	RTC = 0x70,
	RTC_DATA = 0x71,
	RTC_A = 10,
	RTC_B = 11,
	RTC_C = 12,
	RTC_A_64HZ = 0x2a,
	RTC_B_PERIODIC = 0x40,
	RTC_B_24H = 2,

	PIT_GSI = 2, /* of a PC's ISA interrupt 0 */
	PIT = 0x40,
	PIT_COMMAND = 0x43,
	PIT_MODE2 = 0x34,
	PIT_MODE0 = 0x30,
	PIT_100HZ = 11932,

};

static void ports(unsigned base, unsigned order)
{
	SETUP(take(CRD(CRD_PIO, PIO_ACCESS, order, base), 0,
		   CRD(CRD_PIO, PIO_ACCESS, order, base)));
}

static void no_ports(unsigned base, unsigned order)
{
	SETUP(revoke_self(CRD(CRD_PIO, PIO_ACCESS, order, base)));
}

static void out(unsigned port, unsigned value)
{
	NEED(probe_out(port, value) == 0);
}

static unsigned rtc_read(unsigned index)
{
	uint64_t value;

	out(RTC, index);
	NEED(probe_in(RTC_DATA, &value) == 0);
	return (unsigned)value;
}

static void rtc_write(unsigned index, unsigned value)
{
	out(RTC, index);
	out(RTC_DATA, value);
}

void rtc_start(void)
{
	ports(RTC, 1);
	rtc_write(RTC_A, RTC_A_64HZ);
	rtc_write(RTC_B, RTC_B_PERIODIC | RTC_B_24H);
	rtc_read(RTC_C);
}

void rtc_stop(void)
{
	rtc_write(RTC_B, RTC_B_24H);
	rtc_read(RTC_C);
	no_ports(RTC, 1);
}

/* The clock ticks 64 times a second, on any CPU. */
static void clock(void)
{
	unsigned long sm = gsi_sm(RTC_GSI);

	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		EQUAL(assign_gsi(sm, cpu, 0), SUCCESS);
		rtc_start();
		for (unsigned i = 0; i < 8; i++) {
			EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
			rtc_read(RTC_C);
		}
		rtc_stop();
		/* What came last may have been counted. */
		quiesce();
		(void)!sm_down_all(sm, 1);
		EQUAL(sm_down(sm, in_us(50000)), TIMEOUT);
	}
}

/* It ups a signal: a down of its own semaphore never waits. */
static void with_signal(void)
{
	unsigned long sm = gsi_sm(RTC_GSI), other = make_sm(0), signal = sel();
	struct syscall s = {0, boot_cpu, signal, ~0ul};

	SETUP(create_signal(signal, SEL_ROOT_PD, 77, other));
	EQUAL(syscall_5(CALL_ID(CALL_ASSIGN_GSI, 0, sm), &s), SUCCESS);
	rtc_start();
	for (unsigned i = 0; i < 8; i++) {
		uint64_t end = in_us(LONG_US);

		EQUAL(sm_down(sm, 0), SUCCESS);
		s = (struct syscall){end >> 32, end & 0xffffffff, 0, 0};
		EQUAL(syscall_5(CALL_ID(CALL_SM_CTRL, SM_DOWN, other), &s), SUCCESS);
		EQUAL(s.rsi, 77);
		CHECK(s.rdx >= 1);
		rtc_read(RTC_C);
	}
	/* Its own semaphore again: what is no signal takes it away. */
	s = (struct syscall){0, boot_cpu, sm, 0};
	EQUAL(syscall_5(CALL_ID(CALL_ASSIGN_GSI, 0, sm), &s), SUCCESS);
	(void)!sm_down(other, 1);
	EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
	rtc_read(RTC_C);
	EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
	rtc_stop();
	EQUAL(sm_down(other, 1), TIMEOUT);
	(void)!sm_down_all(sm, in_us(1000));
}

/* Nobody needs to ask for an edge that ups a signal: NOVA's programs do not. */
static void signal_unasked(void)
{
	unsigned long sm = gsi_sm(RTC_GSI), other = make_sm(0), signal = sel();
	struct syscall s;

	SETUP(create_signal(signal, SEL_ROOT_PD, 77, other));
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		s = (struct syscall){0, cpu, signal, 0};
		EQUAL(syscall_5(CALL_ID(CALL_ASSIGN_GSI, 0, sm), &s), SUCCESS);
		rtc_start();
		for (unsigned i = 0; i < 4; i++) {
			EQUAL(sm_down(other, in_us(LONG_US)), SUCCESS);
			rtc_read(RTC_C);
		}
		/* Without a signal it waits to be asked. */
		s = (struct syscall){0, cpu, sm, 0};
		EQUAL(syscall_5(CALL_ID(CALL_ASSIGN_GSI, 0, sm), &s), SUCCESS);
		rtc_stop();
		quiesce();
		(void)!sm_down_all(sm, 1);
		(void)!sm_down_all(other, 1);
	}
}

/* A signal that goes takes nothing with it, and its owner's memory comes back. */
static void signal_gone(void)
{
	unsigned long sm = gsi_sm(RTC_GSI), other = make_sm(0), limit, now, used;

	SETUP(pd_quota(SEL_ROOT_PD, &limit, &used));
	for (unsigned i = 0; i < 2; i++) {
		unsigned long pd = make_empty_pd(20), signal = sel();
		struct syscall s = {0, boot_cpu, signal, 0};

		SETUP(create_signal(signal, pd, 77, other));
		EQUAL(syscall_5(CALL_ID(CALL_ASSIGN_GSI, 0, sm), &s), SUCCESS);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, signal)));
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, pd)));
		WAIT(pd_quota(SEL_ROOT_PD, &now, &used) == SUCCESS && now == limit);
	}
	rtc_start();
	for (unsigned i = 0; i < 3; i++) {
		EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
		rtc_read(RTC_C);
	}
	rtc_stop();
	(void)!sm_down_all(sm, in_us(1000));
	EQUAL(sm_down(other, 1), TIMEOUT);
}

/* The same with the trigger mode said: edge, high. */
static void clock_mode(void)
{
	unsigned long sm = gsi_sm(RTC_GSI);

	EQUAL(assign_gsi(sm, boot_cpu, FLAG_GSI_MODE), SUCCESS);
	rtc_start();
	for (unsigned i = 0; i < 3; i++) {
		EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
		rtc_read(RTC_C);
	}
	rtc_stop();
}

/* The timer, at 100 Hz. */
static void timer(void)
{
	unsigned long sm = gsi_sm(PIT_GSI);
	uint64_t start;

	EQUAL(assign_gsi(sm, boot_cpu, 0), SUCCESS);
	ports(PIT, 2);
	start = rdtsc();
	out(PIT_COMMAND, PIT_MODE2);
	out(PIT, PIT_100HZ & 0xff);
	out(PIT, PIT_100HZ >> 8);
	/* Ticks that are late may come in a burst, but none comes early. */
	for (unsigned i = 0; i < 20; i++)
		EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
	CHECK(rdtsc() - start > tsc_of_us(100000));
	/* One shot that nobody waits for. */
	out(PIT_COMMAND, PIT_MODE0);
	no_ports(PIT, 2);
	(void)!sm_down_all(sm, in_us(20000));
}

static void capability(void)
{
	unsigned long sm = gsi_sm(RTC_GSI), plain = make_sm(0);
	unsigned long none = gsi_sm(hip->gsis - 1);

	EQUAL(assign_gsi(sel(), boot_cpu, 0), BAD_CAPABILITY);
	EQUAL(assign_gsi(plain, boot_cpu, 0), BAD_CAPABILITY);
	EQUAL(assign_gsi(SEL_ROOT_PD, boot_cpu, 0), BAD_CAPABILITY);
	EQUAL(assign_gsi(hip->selectors, boot_cpu, 0), BAD_CAPABILITY);
	EQUAL(assign_gsi(sm, cpus, 0), BAD_CPU);
	EQUAL(assign_gsi(sm, ~0u, 0), BAD_CPU);
	EQUAL(assign_gsi(none, boot_cpu, 0), BAD_DEVICE);
	/* To have no signal a message need not be a device's. */
	struct syscall detach = {0, boot_cpu, none, 0}, other = {0, boot_cpu, sm, 0};

	EQUAL(syscall_5(CALL_ID(CALL_ASSIGN_GSI, 0, none), &detach), SUCCESS);
	EQUAL(syscall_5(CALL_ID(CALL_ASSIGN_GSI, 0, none), &other), BAD_DEVICE);
	EQUAL(assign_gsi(with_rights(sm, SM_RIGHT_UP), boot_cpu, 0), SUCCESS);
	/* As a semaphore it has rights like any. */
	EQUAL(sm_down(with_rights(sm, SM_RIGHT_UP), 1), BAD_CAPABILITY);
	EQUAL(sm_up(sm), SUCCESS);
	EQUAL(sm_down(sm, 1), SUCCESS);
	/* There are no more than the HIP says. */
	unsigned long s = sel();

	SETUP(take(CRD(CRD_OBJ, RIGHTS_ALL, 0, KERNEL_SEL_GSI + hip->gsis), 0,
		   CRD(CRD_OBJ, RIGHTS_ALL, 0, s)));
	EQUAL(look(CRD(CRD_OBJ, 0, 0, s)), 0);
}

/* Devices for the IOMMU: there is none yet. */
static void assign_pci(void)
{
	EQUAL(syscall_3(CALL_ID(CALL_ASSIGN_PCI, 0, SEL_ROOT_PD), 0, 0), BAD_DEVICE);
	EQUAL(syscall_3(CALL_ID(CALL_ASSIGN_PCI, 0, sel()), 0, 0), BAD_CAPABILITY);
}

const struct test gsi_tests[] = {
	{"gsi.clock", clock, 0},
	{"gsi.clock_mode", clock_mode, 0},
	{"gsi.timer", timer, 0},
	{"gsi.with_signal", with_signal, 0},
	{"gsi.signal_unasked", signal_unasked, 0},
	{"gsi.signal_gone", signal_gone, 0},
	{"gsi.capability", capability, 0},
	{"gsi.assign_pci", assign_pci, 0},
	{0},
};
