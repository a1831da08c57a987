/*
 * See edu.h.
 */
#include "edu.h"

enum {
	EDU_ID = 0x11e81234,

	/* Configuration space */
	CONFIG_COMMAND = 4,
	COMMAND_MEMORY = 1 << 1,
	COMMAND_MASTER = 1 << 2,
	CONFIG_BAR0 = 0x10,
	CONFIG_CAPABILITIES = 0x34,
	CAPABILITY_MSI = 5,

	/* Registers */
	EDU_FROM = 0x80,
	EDU_TO = 0x88,
	EDU_COUNT = 0x90,
	EDU_COMMAND = 0x98,
	EDU_START = 1,
	EDU_TO_RAM = 2,
	EDU_BUFFER = 0x40000,
};

/* Where a PC's firmware puts bus 0's configuration space. */
#define CONFIG_PHYS 0xb0000000ul

uint64_t ram_phys;
volatile uint64_t *ram;

static struct edu edus[2];

/* For the whole program, other than free_pages(). */
static unsigned long map(uint64_t phys, unsigned order)
{
	static unsigned long next = 0x3000000000;
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

struct edu *edu_start(unsigned n)
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

void edu_fetch(struct edu *e, uint64_t address)
{
	dma(e, address, EDU_BUFFER, 0);
}

void edu_store(struct edu *e, uint64_t address)
{
	dma(e, EDU_BUFFER, address, EDU_TO_RAM);
}

void need_iommu(void)
{
	if (!(hip->features & HIP_IOMMU))
		test_skip("no IOMMU");
}

enum status assign(unsigned long pd, uint64_t address, unsigned rid)
{
	return syscall_3(CALL_ID(CALL_ASSIGN_PCI, 0, pd), address, rid);
}

enum status give_ram(unsigned long pd, uint64_t how, unsigned rights, unsigned order, uint64_t at)
{
	return give_at(pd, CRD(CRD_MEM, rights, order, page_number(ram)), how,
		       CRD(CRD_MEM, RIGHTS_ALL, order, at));
}

void give_device(unsigned long pd, const struct edu *e)
{
	SETUP(give_at(pd, CRD(CRD_MEM, MEM_R, 0, page_number(e->config)), ITEM_DELEGATE,
		      CRD(CRD_MEM, MEM_R, 0, CONFIG_PAGE)));
}

unsigned long make_device_pd(const struct edu *e, unsigned order)
{
	unsigned long pd = make_empty_pd(QUOTA);

	give_device(pd, e);
	EQUAL(assign(pd, CONFIG_PAGE * PAGE_SIZE, 0), SUCCESS);
	SETUP(give_ram(pd, DMA, RW, order, DMA_PAGE));
	return pd;
}

void check_copies(struct edu *e, uint64_t offset)
{
	static uint64_t value; /* a new one each time */
	volatile uint64_t *at = ram + offset / sizeof(*ram);

	at[0] = ++value;
	at[1] = 0;
	edu_fetch(e, DMA_ADDRESS + offset);
	edu_store(e, DMA_ADDRESS + offset + 8);
	EQUAL(at[1], value);
}
