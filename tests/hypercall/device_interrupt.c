/*
 * The interrupts of devices: messages, pins.
 */
#include "edu.h"

enum {
	MSI_ENABLE = 1 << 16,
	PIN_GSI = 20,  /* of slot 16's pin A, the next slot's is 21 */
	MSI_GSI = 100, /* the first that tests use */
};

#define MSI_ADDRESS 0xfee00000ul
#define VTD_MESSAGE 0x10ul /* in the address of a message */

extern const struct test device_interrupt_tests[];

/* A message that is remapped does not name the CPU: it says so, or has none. */
static void need_remapping(unsigned long sm, const struct edu *e)
{
	uint64_t address;
	uint32_t data;

	SETUP(assign_msi(sm, cpus - 1, (unsigned long)e->config, &address, &data));
	if (!(address & VTD_MESSAGE) && (cpus == 1 || address != MSI_ADDRESS))
		test_skip("interrupts are not remapped, or there is one CPU");
}

static void send_messages(struct edu *e, uint64_t address, uint32_t data)
{
	e->config[e->msi + 1] = (uint32_t)address;
	e->config[e->msi + 2] = (uint32_t)(address >> 32);
	e->config[e->msi + 3] = data;
	e->config[e->msi] |= MSI_ENABLE;
}

static void raise(struct edu *e)
{
	e->registers[EDU_RAISE / 4] = 1;
}

static void acknowledge(struct edu *e)
{
	e->registers[EDU_ACK / 4] = 1;
}

/* Its semaphore, after an interrupt of the device. */
static enum status interrupted(struct edu *e, unsigned long sm, uint64_t us)
{
	raise(e);
	acknowledge(e);
	return sm_down(sm, in_us(us));
}

static void use_pin(struct edu *e)
{
	acknowledge(e);
	e->config[e->msi] &= ~(unsigned)MSI_ENABLE;
}

/* A message for each GSI, to each CPU. */
static void message(void)
{
	struct edu *e = edu_start(0);
	uint64_t address;
	uint32_t data;

	for (unsigned gsi = MSI_GSI; gsi < hip->gsis; gsi += 30) {
		unsigned long sm = gsi_sm(gsi);

		for (unsigned cpu = 0; cpu < cpus; cpu++) {
			EQUAL(assign_msi(sm, cpu, (unsigned long)e->config, &address, &data),
			      SUCCESS);
			EQUAL(address & ~0xffffful, MSI_ADDRESS);
			CHECK(data);
			/* Who is not remapped must be told the CPU. */
			if (!(hip->features & HIP_IOMMU))
				EQUAL(address >> 12 & 0xff, cpu);
			send_messages(e, address, data);
			for (unsigned i = 0; i < 3; i++) {
				raise(e);
				acknowledge(e);
				EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
			}
			EQUAL(sm_down(sm, in_us(1000)), TIMEOUT);
		}
	}
	use_pin(e);
}

static void message_status(void)
{
	struct edu *e = edu_start(0);
	unsigned long sm = gsi_sm(MSI_GSI), config = (unsigned long)e->config;
	uint64_t address;
	uint32_t data;

	EQUAL(assign_msi(sm, cpus, config, &address, &data), BAD_CPU);
	/* No device; nothing mapped there; a pin's is no message. */
	EQUAL(assign_msi(sm, boot_cpu, 0, &address, &data), BAD_DEVICE);
	EQUAL(assign_msi(gsi_sm(PIN_GSI), boot_cpu, config, &address, &data), BAD_DEVICE);
	EQUAL(assign_msi(sm, boot_cpu, (unsigned long)ram, &address, &data), BAD_DEVICE);
	EQUAL(assign_msi(sm, boot_cpu, free_pages(0), &address, &data), BAD_DEVICE);
	EQUAL(assign_msi(sm, boot_cpu, config + 0x10, &address, &data), SUCCESS);
	EQUAL(assign_msi(gsi_sm(PIN_GSI), boot_cpu, 0, &address, &data), SUCCESS);
	EQUAL(address, 0);
	EQUAL(data, 0);
}

/*
 * A message ups a signal. To take that away no device needs to be named, whether one was or not;
 * the device goes on sending.
 */
static void message_signal(void)
{
	struct edu *e = edu_start(0);
	unsigned long sm = gsi_sm(MSI_GSI), other = make_sm(0), signal = sel();
	struct syscall s = {0, boot_cpu, sm, 0};

	EQUAL(syscall_5(CALL_ID(CALL_ASSIGN_GSI, 0, sm), &s), SUCCESS);
	SETUP(create_signal(signal, SEL_ROOT_PD, 77, other));
	s = (struct syscall){(unsigned long)e->config, boot_cpu, signal, 0};
	EQUAL(syscall_5(CALL_ID(CALL_ASSIGN_GSI, 0, sm), &s), SUCCESS);
	send_messages(e, s.rsi, (uint32_t)s.rdx);
	EQUAL(interrupted(e, other, LONG_US), SUCCESS);
	/* A signal can only be given to a device's. */
	s = (struct syscall){0, boot_cpu, signal, 0};
	EQUAL(syscall_5(CALL_ID(CALL_ASSIGN_GSI, 0, sm), &s), BAD_DEVICE);
	s = (struct syscall){0, boot_cpu, sm, 0};
	EQUAL(syscall_5(CALL_ID(CALL_ASSIGN_GSI, 0, sm), &s), SUCCESS);
	EQUAL(s.rsi, 0);
	EQUAL(interrupted(e, sm, LONG_US), SUCCESS);
	EQUAL(sm_down(other, 1), TIMEOUT);
	use_pin(e);
}

/* A device cannot send what another one may. */
static void message_of_other(void)
{
	struct edu *e = edu_start(0), *other = edu_start(1);
	unsigned long sm = gsi_sm(MSI_GSI);
	uint64_t address;
	uint32_t data;

	need_remapping(sm, e);
	EQUAL(assign_msi(sm, boot_cpu, (unsigned long)e->config, &address, &data), SUCCESS);
	send_messages(other, address, data);
	EQUAL(interrupted(other, sm, 50000), TIMEOUT);
	send_messages(e, address, data);
	EQUAL(interrupted(e, sm, LONG_US), SUCCESS);
	/* It changes hands. */
	EQUAL(assign_msi(sm, boot_cpu, (unsigned long)other->config, &address, &data), SUCCESS);
	EQUAL(interrupted(e, sm, 50000), TIMEOUT);
	send_messages(other, address, data);
	EQUAL(interrupted(other, sm, LONG_US), SUCCESS);
	use_pin(e);
	use_pin(other);
}

/* Nor by DMA to where messages go. */
static void message_by_dma(void)
{
	struct edu *e = edu_start(0), *other = edu_start(1);
	unsigned long sm = gsi_sm(MSI_GSI);
	uint64_t address;
	uint32_t data;

	need_remapping(sm, e);
	make_device_pd(other, 0);
	EQUAL(assign_msi(sm, boot_cpu, (unsigned long)e->config, &address, &data), SUCCESS);
	if (address & VTD_MESSAGE)
		test_skip("QEMU does not look at who it is that writes");
	ram[0] = data;
	edu_fetch(other, DMA_ADDRESS);
	edu_store(other, address);
	EQUAL(sm_down(sm, in_us(50000)), TIMEOUT);
}

/* Whatever vector a device sends that is no GSI's, nothing else stops coming. */
static void message_of_any(void)
{
	struct edu *e = edu_start(0);
	unsigned long sm = gsi_sm(MSI_GSI);
	uint64_t address;
	uint32_t data;

	EQUAL(assign_msi(sm, boot_cpu, (unsigned long)e->config, &address, &data), SUCCESS);
	for (unsigned vector = data + hip->gsis - MSI_GSI; vector < 0x100; vector++) {
		send_messages(e, MSI_ADDRESS | (uint64_t)boot_cpu << 12, vector);
		raise(e);
		acknowledge(e);
		EQUAL(sm_down(SEL_FOREVER, in_us(1)), TIMEOUT);
	}
	send_messages(e, address, data);
	EQUAL(interrupted(e, sm, LONG_US), SUCCESS);
	use_pin(e);
}

/* A pin that stays up comes once for each time that it is asked for. */
static void pin(void)
{
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		struct edu *e = edu_start(cpu % 2);
		unsigned long sm = gsi_sm(PIN_GSI + cpu % 2);

		use_pin(e);
		EQUAL(assign_gsi(sm, cpu, FLAG_GSI_MODE | FLAG_GSI_LEVEL | FLAG_GSI_LOW), SUCCESS);
		raise(e);
		/* Masked until the first time. */
		sleep_us(20000);
		EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
		sleep_us(20000);
		/* Once more, as it is still up. */
		EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
		sleep_us(20000);
		acknowledge(e);
		EQUAL(sm_down(sm, in_us(20000)), TIMEOUT);
		raise(e);
		EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
		acknowledge(e);
		(void)!sm_down(sm, in_us(20000));
	}
}

/* After sleep all is as before: what it may reach, and its messages. */
static void slept(void)
{
	struct edu *e = edu_start(0);
	unsigned long sm = gsi_sm(MSI_GSI);
	uint64_t address;
	uint32_t data;

	need_iommu();
	make_device_pd(e, 0);
	EQUAL(assign_msi(sm, boot_cpu, (unsigned long)e->config, &address, &data), SUCCESS);
	send_messages(e, address, data);
	check_copies(e, 0);
	suspend_twice();
	ram[0] = pattern;
	edu_store(e, ram_phys);
	EQUAL(ram[0], pattern);
	check_copies(e, 0);
	EQUAL(interrupted(e, sm, LONG_US), SUCCESS);
	use_pin(e);
}

const struct test device_interrupt_tests[] = {
	{"device.message", message, 0},
	{"device.message_status", message_status, 0},
	{"device.message_signal", message_signal, 0},
	{"device.message_of_other", message_of_other, 0},
	{"device.message_by_dma", message_by_dma, 0},
	{"device.message_of_any", message_of_any, 0},
	{"device.pin", pin, 0},
	{"device.slept", slept, 0},
	{0},
};
