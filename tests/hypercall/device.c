/*
 * Devices that do DMA and send interrupts: two of QEMU's "edu" devices (its
 * docs/specs/edu.txt) at slots 16 and 17 of bus 0, behind an IOMMU or not.
 *
 * A program of its own, for machines that have them.
 */
#include "test.h"

enum {
	EDU_SLOT = 16,
	EDU_ID = 0x11e81234,

	/* Configuration space */
	CONFIG_COMMAND = 4,
	COMMAND_MEMORY = 1 << 1,
	COMMAND_MASTER = 1 << 2,
	CONFIG_BAR0 = 0x10,
	CONFIG_CAPABILITIES = 0x34,
	CAPABILITY_MSI = 5,
	MSI_ENABLE = 1 << 16,

	/* Registers */
	EDU_RAISE = 0x60,
	EDU_ACK = 0x64,
	EDU_FROM = 0x80,
	EDU_TO = 0x88,
	EDU_COUNT = 0x90,
	EDU_COMMAND = 0x98,
	EDU_START = 1,
	EDU_TO_RAM = 2,
	EDU_BUFFER = 0x40000,

	PIN_GSI = 20,  /* of slot 16's pin A, the next slot's is 21 */
	MSI_GSI = 100, /* the first that tests use */
	RW = MEM_R | MEM_W,
	DMA = ITEM_DELEGATE | ITEM_DMA,
	LARGE_ORDER = 9,
};

/* Where a PC's firmware puts bus 0's configuration space. */
#define CONFIG_PHYS 0xb0000000ul
#define MSI_ADDRESS 0xfee00000ul
#define VTD_MESSAGE 0x10ul /* in the address of a message */

/* What PDs here have where. */
#define CONFIG_PAGE 0x1000ul
#define DMA_PAGE    0x40200ul
#define DMA_ADDRESS (DMA_PAGE * PAGE_SIZE)
#define WORDS	    (PAGE_SIZE / sizeof(uint64_t))

static const uint64_t pattern = 0x5ca1ab1edecade5a;

static struct edu {
	volatile uint32_t *config, *registers;
	unsigned msi; /* its capability, a word of config */
} edus[2];

/* Memory: where it is, and where we see it. */
static uint64_t ram_phys;
static volatile uint64_t *ram;

static unsigned long next = 0x3000000000;
static uint64_t value; /* a new one each time */
static unsigned long used;

/* For the whole program, other than free_pages(). */
static unsigned long map(uint64_t phys, unsigned order)
{
	unsigned long at = next;

	next += 1ul << 32;
	SETUP(take(CRD(CRD_MEM, RW, order, phys / PAGE_SIZE), 0,
		   CRD(CRD_MEM, RW, order, at / PAGE_SIZE)));
	return at;
}

static void find(struct edu *e, unsigned slot)
{
	unsigned at;

	e->config = (uint32_t *)map(CONFIG_PHYS + slot * 8 * PAGE_SIZE, 0);
	NEED(e->config[0] == EDU_ID);
	e->registers = (uint32_t *)map(e->config[CONFIG_BAR0 / 4] & ~0xfffu, 8);
	e->config[CONFIG_COMMAND / 4] = COMMAND_MEMORY | COMMAND_MASTER;
	at = e->config[CONFIG_CAPABILITIES / 4] & 0xff;
	while (at && (e->config[at / 4] & 0xff) != CAPABILITY_MSI)
		at = e->config[at / 4] >> 8 & 0xff;
	NEED(at);
	e->msi = at / 4;
}

/* Before each test; what tests made of it before does not count. */
static struct edu *start(unsigned n)
{
	if (!edus[n].config)
		find(&edus[n], EDU_SLOT + n);
	if (!ram) {
		ram_phys = free_ram(LARGE_ORDER);
		NEED(ram_phys);
		ram = (uint64_t *)map(ram_phys, LARGE_ORDER);
	}
	return &edus[n];
}

static unsigned long page_of(const volatile void *p)
{
	return (unsigned long)p / PAGE_SIZE;
}

/* It does it a tenth of a second later. */
static void dma(struct edu *e, uint64_t from, uint64_t to, unsigned command)
{
	volatile uint64_t *r = (volatile uint64_t *)e->registers;

	r[EDU_FROM / 8] = from;
	r[EDU_TO / 8] = to;
	r[EDU_COUNT / 8] = sizeof(pattern);
	r[EDU_COMMAND / 8] = command | EDU_START;
	WAIT(!(r[EDU_COMMAND / 8] & EDU_START));
}

/* From an address to its buffer, and back. */
static void fetch(struct edu *e, uint64_t address)
{
	dma(e, address, EDU_BUFFER, 0);
}

static void store(struct edu *e, uint64_t address)
{
	dma(e, EDU_BUFFER, address, EDU_TO_RAM);
}

static void need_iommu(void)
{
	if (!(hip->features & HIP_IOMMU))
		test_skip("no IOMMU");
}

static enum status assign(unsigned long pd, uint64_t address, unsigned rid)
{
	return syscall_3(CALL_ID(CALL_ASSIGN_PCI, 0, pd), address, rid);
}

static enum status give_ram(unsigned long pd, uint64_t how, unsigned rights, unsigned order,
			    uint64_t at)
{
	return give_at(pd, CRD(CRD_MEM, rights, order, page_of(ram)), how,
		       CRD(CRD_MEM, RIGHTS_ALL, order, at));
}

/* It gets the device's configuration at CONFIG_PAGE. */
static void give_device(unsigned long pd, const struct edu *e)
{
	SETUP(give_at(pd, CRD(CRD_MEM, MEM_R, 0, page_of(e->config)), ITEM_DELEGATE,
		      CRD(CRD_MEM, MEM_R, 0, CONFIG_PAGE)));
}

/* A PD with the device, and 2^order pages of RAM for it at DMA_PAGE. */
static unsigned long make_device_pd(const struct edu *e, unsigned order)
{
	unsigned long pd = make_empty_pd(QUOTA);

	give_device(pd, e);
	EQUAL(assign(pd, CONFIG_PAGE * PAGE_SIZE, 0), SUCCESS);
	SETUP(give_ram(pd, DMA, RW, order, DMA_PAGE));
	return pd;
}

/* What the device reads at an offset of DMA_ADDRESS it can write behind. */
static void check_copies(struct edu *e, uint64_t offset)
{
	volatile uint64_t *at = ram + offset / sizeof(*ram);

	at[0] = ++value;
	at[1] = 0;
	fetch(e, DMA_ADDRESS + offset);
	store(e, DMA_ADDRESS + offset + 8);
	EQUAL(at[1], value);
}

/* A device that is nobody's reaches nothing, wherever it is. */
static void blocked(void)
{
	struct edu *e = start(0);

	need_iommu();
	ram[0] = pattern;
	store(e, ram_phys);
	EQUAL(ram[0], pattern);
}

/* Without an IOMMU it reaches all. */
static void unconfined(void)
{
	struct edu *e = start(0);
	unsigned long pd = make_empty_pd(QUOTA);

	if (hip->features & HIP_IOMMU)
		test_skip("there is an IOMMU");
	ram[0] = pattern;
	ram[1] = 0;
	fetch(e, ram_phys);
	store(e, ram_phys + 8);
	EQUAL(ram[1], pattern);
	give_device(pd, e);
	EQUAL(assign(pd, CONFIG_PAGE * PAGE_SIZE, 0), BAD_DEVICE);
}

/* What is delegated for DMA it reaches, at the PD's addresses, only that. */
static void assigned(void)
{
	struct edu *e = start(0);
	unsigned long pd;

	need_iommu();
	pd = make_device_pd(e, 1);
	check_copies(e, 0);
	check_copies(e, PAGE_SIZE);
	/* Not where it is in truth, not behind it. */
	ram[0] = ram[2 * WORDS] = pattern;
	store(e, ram_phys);
	EQUAL(ram[0], pattern);
	store(e, DMA_ADDRESS + 2 * PAGE_SIZE);
	EQUAL(ram[2 * WORDS], pattern);
	/* What is not for DMA. */
	SETUP(give_ram(pd, ITEM_DELEGATE, RW, 0, DMA_PAGE + 16));
	store(e, DMA_ADDRESS + 16 * PAGE_SIZE);
	EQUAL(ram[0], pattern);
	check_copies(e, 8);
}

/* Reading is no writing. What a device may not read it does not get. */
static void rights(void)
{
	struct edu *e = start(0);
	unsigned long pd;

	need_iommu();
	pd = make_device_pd(e, 0);
	SETUP(give_ram(pd, DMA, MEM_R, 0, DMA_PAGE + 1));
	ram[0] = pattern;
	fetch(e, DMA_ADDRESS + PAGE_SIZE);
	store(e, DMA_ADDRESS + 8);
	EQUAL(ram[1], pattern);
	store(e, DMA_ADDRESS + PAGE_SIZE + 16);
	CHECK(ram[2] != pattern);
	/* Into the buffer comes nothing. */
	ram[WORDS] = 0x5ec7e7;
	fetch(e, DMA_ADDRESS + 2 * PAGE_SIZE);
	store(e, DMA_ADDRESS);
	CHECK(ram[0] != 0x5ec7e7);
	/* The right to write goes. */
	EQUAL(syscall_3(CALL_ID(CALL_REVOKE, FLAG_REVOKE_SELF | FLAG_REVOKE_REMOTE, 0),
			CRD(CRD_MEM, MEM_W, 0, DMA_PAGE), pd),
	      SUCCESS);
	ram[0] = pattern;
	store(e, DMA_ADDRESS);
	EQUAL(ram[0], pattern);
}

/* Large mappings, and small ones in their place. */
static void large(void)
{
	struct edu *e = start(0);
	unsigned long pd;

	need_iommu();
	pd = make_device_pd(e, LARGE_ORDER);
	check_copies(e, 0);
	check_copies(e, (PAGE_SIZE << LARGE_ORDER) - 16);
	SETUP(revoke_remote(pd, CRD(CRD_MEM, RIGHTS_ALL, LARGE_ORDER, DMA_PAGE)));
	SETUP(give_ram(pd, DMA, RW, 0, DMA_PAGE));
	check_copies(e, 0);
	ram[WORDS] = pattern;
	store(e, DMA_ADDRESS + PAGE_SIZE);
	EQUAL(ram[WORDS], pattern);
	SETUP(revoke_remote(pd, CRD(CRD_MEM, RIGHTS_ALL, 0, DMA_PAGE)));
	SETUP(give_ram(pd, DMA, RW, LARGE_ORDER, DMA_PAGE));
	check_copies(e, PAGE_SIZE);
}

/* When revoke returns, what the device used before is out of its reach. */
static void revoked(void)
{
	struct edu *e = start(0);
	unsigned long pd;

	need_iommu();
	pd = make_device_pd(e, 0);
	for (unsigned i = 0; i < 3; i++) {
		check_copies(e, 0);
		if (i == 1)
			SETUP(revoke(CRD(CRD_MEM, RIGHTS_ALL, 0, page_of(ram))));
		else
			SETUP(revoke_remote(pd, CRD(CRD_MEM, RIGHTS_ALL, 0, DMA_PAGE)));
		ram[0] = pattern;
		store(e, DMA_ADDRESS);
		EQUAL(ram[0], pattern);
		SETUP(give_ram(pd, DMA, RW, 0, DMA_PAGE));
	}
	check_copies(e, 0);
}

/* From PD to PD; two devices of one PD; two with the same addresses. */
static void reassigned(void)
{
	struct edu *e = start(0), *other = start(1);
	unsigned long first, second;

	need_iommu();
	first = make_device_pd(e, 0);
	check_copies(e, 0);
	second = make_empty_pd(QUOTA);
	give_device(second, e);
	EQUAL(assign(second, CONFIG_PAGE * PAGE_SIZE, 0), SUCCESS);
	ram[0] = pattern;
	store(e, DMA_ADDRESS);
	EQUAL(ram[0], pattern);
	/* Other memory, at the same address. */
	SETUP(give_at(second, CRD(CRD_MEM, RW, 0, page_of(ram) + 1), DMA,
		      CRD(CRD_MEM, RW, 0, DMA_PAGE)));
	SETUP(revoke_remote(first, CRD(CRD_MEM, RIGHTS_ALL, 0, CONFIG_PAGE)));
	give_device(first, other);
	EQUAL(assign(first, CONFIG_PAGE * PAGE_SIZE, 0), SUCCESS);
	ram[WORDS] = value = 0x1111;
	fetch(e, DMA_ADDRESS);
	check_copies(other, 0);
	ram[0] = 0;
	store(e, DMA_ADDRESS + 8);
	EQUAL(ram[WORDS + 1], 0x1111);
	/* Both in one. */
	SETUP(revoke_remote(first, CRD(CRD_MEM, RIGHTS_ALL, 0, CONFIG_PAGE)));
	give_device(first, e);
	EQUAL(assign(first, CONFIG_PAGE * PAGE_SIZE, 0), SUCCESS);
	check_copies(e, 0);
	check_copies(other, 0);
}

/* With its PD a device's memory goes, and it is nobody's. */
static void ended(void)
{
	struct edu *e = start(0);
	unsigned long pd, left = 0;

	need_iommu();
	for (unsigned i = 0; i < 4; i++) {
		pd = make_device_pd(e, 0);
		check_copies(e, 0);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, pd)));
		ram[0] = pattern;
		store(e, DMA_ADDRESS);
		EQUAL(ram[0], pattern);
		store(e, ram_phys);
		EQUAL(ram[0], pattern);
		if (i == 0)
			left = usage(SEL_ROOT_PD);
	}
	wait_usage(SEL_ROOT_PD, left);
}

static void status(void)
{
	struct edu *e = start(0);
	unsigned long pd = make_empty_pd(QUOTA), poor = make_empty_pd(14);
	uint64_t config = CONFIG_PAGE * PAGE_SIZE;

	need_iommu();
	EQUAL(assign(sel(), config, 0), BAD_CAPABILITY);
	EQUAL(assign(SEL_ROOT_EC, config, 0), BAD_CAPABILITY);
	/* Nothing there; nothing that can be; no device's. */
	EQUAL(assign(pd, config, 0), BAD_DEVICE);
	EQUAL(assign(pd, ~0ul, 0), BAD_DEVICE);
	EQUAL(assign(pd, ~0ul, EDU_SLOT << 3), BAD_DEVICE);
	EQUAL(assign(pd, (uint64_t)e->config, EDU_SLOT << 3), BAD_DEVICE);
	SETUP(give_ram(pd, DMA, RW, 0, CONFIG_PAGE));
	EQUAL(assign(pd, config, EDU_SLOT << 3), BAD_DEVICE);
	/* No right is needed; the address may be within the page. */
	SETUP(revoke_remote(pd, CRD(CRD_MEM, RIGHTS_ALL, 0, CONFIG_PAGE)));
	give_device(pd, e);
	EQUAL(assign(with_rights(pd, PD_CREATE_SM), config + 0x123, 0), SUCCESS);
	/* The tables are the PD's to pay for. */
	give_device(poor, e);
	while (create_sm(SEL_MANY + used, poor, 0) == SUCCESS)
		used++;
	EQUAL(assign(poor, config, 0), OUT_OF_MEMORY);
}

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

static void use_pin(struct edu *e)
{
	acknowledge(e);
	e->config[e->msi] &= ~(unsigned)MSI_ENABLE;
}

/* A message for each GSI, to each CPU. */
static void message(void)
{
	struct edu *e = start(0);
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
	struct edu *e = start(0);
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

/* A device cannot send what another one may. */
static void message_of_other(void)
{
	struct edu *e = start(0), *other = start(1);
	unsigned long sm = gsi_sm(MSI_GSI);
	uint64_t address;
	uint32_t data;

	need_remapping(sm, e);
	EQUAL(assign_msi(sm, boot_cpu, (unsigned long)e->config, &address, &data), SUCCESS);
	send_messages(other, address, data);
	raise(other);
	acknowledge(other);
	EQUAL(sm_down(sm, in_us(50000)), TIMEOUT);
	send_messages(e, address, data);
	raise(e);
	acknowledge(e);
	EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
	/* It changes hands. */
	EQUAL(assign_msi(sm, boot_cpu, (unsigned long)other->config, &address, &data), SUCCESS);
	raise(e);
	acknowledge(e);
	EQUAL(sm_down(sm, in_us(50000)), TIMEOUT);
	send_messages(other, address, data);
	raise(other);
	acknowledge(other);
	EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
	use_pin(e);
	use_pin(other);
}

/* Nor by DMA to where messages go. */
static void message_by_dma(void)
{
	struct edu *e = start(0), *other = start(1);
	unsigned long sm = gsi_sm(MSI_GSI);
	uint64_t address;
	uint32_t data;

	need_remapping(sm, e);
	make_device_pd(other, 0);
	EQUAL(assign_msi(sm, boot_cpu, (unsigned long)e->config, &address, &data), SUCCESS);
	if (address & VTD_MESSAGE)
		test_skip("QEMU does not look at who it is that writes");
	ram[0] = data;
	fetch(other, DMA_ADDRESS);
	store(other, address);
	EQUAL(sm_down(sm, in_us(50000)), TIMEOUT);
}

/* A pin that stays up comes once for each time that it is asked for. */
static void pin(void)
{
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		struct edu *e = start(cpu % 2);
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
	struct edu *e = start(0);
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
	store(e, ram_phys);
	EQUAL(ram[0], pattern);
	check_copies(e, 0);
	raise(e);
	acknowledge(e);
	EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
	use_pin(e);
}

static const struct test device_tests[] = {
	{"device.blocked", blocked, 0},
	{"device.unconfined", unconfined, 0},
	{"device.assigned", assigned, 0},
	{"device.rights", rights, 0},
	{"device.large", large, 0},
	{"device.revoked", revoked, 0},
	{"device.reassigned", reassigned, 0},
	{"device.ended", ended, 0},
	{"device.status", status, 0},
	{"device.message", message, 0},
	{"device.message_status", message_status, 0},
	{"device.message_of_other", message_of_other, 0},
	{"device.message_by_dma", message_by_dma, 0},
	{"device.pin", pin, 0},
	{"device.slept", slept, 0},
	{0},
};

const struct test *const topics[] = {device_tests, NULL};
