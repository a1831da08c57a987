/*
 * The cases of assign_gsi and assign_pci.
 */
#include "matrix.h"

enum { RTC_GSI = 8 };

/* assign_gsi */

CASE(assign_gsi, SUCCESS)
{
	EQUAL(assign_gsi(gsi_sm(RTC_GSI), boot_cpu, 0), SUCCESS);
	NO_RIGHT(gsi_sm(RTC_GSI), assign_gsi(o, boot_cpu, 0));
}

static void gsi_mode(unsigned flags)
{
	unsigned long sm = gsi_sm(RTC_GSI);

	EQUAL(assign_gsi(sm, boot_cpu, FLAG_GSI_MODE | flags), SUCCESS);
	SETUP(assign_gsi(sm, boot_cpu, 0));
}

CASE(assign_gsi, FLAG_GSI_MODE)
{
	gsi_mode(0);
}

CASE(assign_gsi, FLAG_GSI_LEVEL)
{
	gsi_mode(FLAG_GSI_LEVEL);
}

CASE(assign_gsi, FLAG_GSI_LOW)
{
	gsi_mode(FLAG_GSI_LOW | FLAG_GSI_LEVEL);
}

/* The interrupt comes after the first, and not before. */
CASE(assign_gsi, SM_DOWN)
{
	unsigned long sm = gsi_sm(RTC_GSI);

	EQUAL(assign_gsi(sm, boot_cpu, 0), SUCCESS);
	rtc_start();
	sleep_us(50000);
	EQUAL(sm_down(sm, NOW), TIMEOUT);
	/* The clock waits until what came meanwhile was seen. */
	rtc_start();
	EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
	rtc_stop();
	quiesce();
	(void)!sm_down_all(sm, NOW);
}

CASE(assign_gsi, BAD_CAPABILITY)
{
	unsigned long plain = make_sm(0);

	NO_CAPABILITY(plain, assign_gsi(o, boot_cpu, 0));
}

CASE(assign_gsi, BAD_CPU)
{
	EQUAL(assign_gsi(gsi_sm(RTC_GSI), cpus, 0), BAD_CPU);
	EQUAL(assign_gsi(gsi_sm(RTC_GSI), ~0u, 0), BAD_CPU);
	EQUAL(syscall_3(CALL_ID(CALL_ASSIGN_GSI, 0, gsi_sm(RTC_GSI)), 0, 1ul << 32 | boot_cpu),
	      BAD_CPU);
}

/* It takes more devices than a machine has here: those of tests/unit/hv_devices.c. */
CASE(assign_gsi, OUT_OF_MEMORY)
{
	test_skip("no device that sends messages");
}

CASE(assign_gsi, BAD_DEVICE)
{
	uint64_t address;
	uint32_t data;

	EQUAL(assign_gsi(gsi_sm(hip->gsis - 1), boot_cpu, 0), BAD_DEVICE);
	/* A line is no device's. */
	EQUAL(assign_msi(gsi_sm(RTC_GSI), boot_cpu, (unsigned long)page, &address, &data),
	      BAD_DEVICE);
}

/* assign_pci */

static enum status assign_pci(unsigned long pd)
{
	return syscall_3(CALL_ID(CALL_ASSIGN_PCI, 0, pd), 0, 0);
}

CASE(assign_pci, SUCCESS)
{
	/* device.c has devices. */
	test_skip("no device");
}

CASE(assign_pci, OUT_OF_MEMORY)
{
	test_skip("no device");
}

CASE(assign_pci, BAD_CAPABILITY)
{
	NO_CAPABILITY(SEL_ROOT_EC, assign_pci(o));
}

CASE(assign_pci, BAD_DEVICE)
{
	EQUAL(assign_pci(SEL_ROOT_PD), BAD_DEVICE);
}
