/*
 * Devices that do DMA, behind an IOMMU or not. A program of its own, for
 * machines that have them.
 */
#include "edu.h"

/* A device that is nobody's reaches nothing, wherever it is. */
static void blocked(void)
{
	struct edu *e = edu_start(0);

	need_iommu();
	ram[0] = pattern;
	edu_store(e, ram_phys);
	EQUAL(ram[0], pattern);
}

/* Without an IOMMU it reaches all. */
static void unconfined(void)
{
	struct edu *e = edu_start(0);
	unsigned long pd = make_empty_pd(QUOTA);

	if (hip->features & HIP_IOMMU)
		test_skip("there is an IOMMU");
	ram[0] = pattern;
	ram[1] = 0;
	edu_fetch(e, ram_phys);
	edu_store(e, ram_phys + 8);
	EQUAL(ram[1], pattern);
	give_device(pd, e);
	EQUAL(assign(pd, CONFIG_PAGE * PAGE_SIZE, 0), BAD_DEVICE);
}

/* What is delegated for DMA it reaches, at the PD's addresses, only that. */
static void assigned(void)
{
	struct edu *e = edu_start(0);
	unsigned long pd;

	need_iommu();
	pd = make_device_pd(e, 1);
	check_copies(e, 0);
	check_copies(e, PAGE_SIZE);
	/* Not where it is in truth, not behind it. */
	ram[0] = ram[2 * WORDS] = pattern;
	edu_store(e, ram_phys);
	EQUAL(ram[0], pattern);
	edu_store(e, DMA_ADDRESS + 2 * PAGE_SIZE);
	EQUAL(ram[2 * WORDS], pattern);
	/* What is not for DMA. */
	SETUP(give_ram(pd, ITEM_DELEGATE, RW, 0, DMA_PAGE + 16));
	edu_store(e, DMA_ADDRESS + 16 * PAGE_SIZE);
	EQUAL(ram[0], pattern);
	check_copies(e, 8);
}

/* Reading is no writing. What a device may not read it does not get. */
static void rights(void)
{
	struct edu *e = edu_start(0);
	unsigned long pd;

	need_iommu();
	pd = make_device_pd(e, 0);
	SETUP(give_ram(pd, DMA, MEM_R, 0, DMA_PAGE + 1));
	ram[0] = pattern;
	edu_fetch(e, DMA_ADDRESS + PAGE_SIZE);
	edu_store(e, DMA_ADDRESS + 8);
	EQUAL(ram[1], pattern);
	edu_store(e, DMA_ADDRESS + PAGE_SIZE + 16);
	CHECK(ram[2] != pattern);
	/* Into the buffer comes nothing. */
	ram[WORDS] = 0x5ec7e7;
	edu_fetch(e, DMA_ADDRESS + 2 * PAGE_SIZE);
	edu_store(e, DMA_ADDRESS);
	CHECK(ram[0] != 0x5ec7e7);
	/* The right to write goes. */
	EQUAL(syscall_3(CALL_ID(CALL_REVOKE, FLAG_REVOKE_SELF | FLAG_REVOKE_REMOTE, 0),
			CRD(CRD_MEM, MEM_W, 0, DMA_PAGE), pd),
	      SUCCESS);
	ram[0] = pattern;
	edu_store(e, DMA_ADDRESS);
	EQUAL(ram[0], pattern);
}

/* Large mappings, and small ones in their place. */
static void large(void)
{
	struct edu *e = edu_start(0);
	unsigned long pd;

	need_iommu();
	pd = make_device_pd(e, LARGE_ORDER);
	check_copies(e, 0);
	check_copies(e, (PAGE_SIZE << LARGE_ORDER) - 16);
	SETUP(revoke_remote(pd, CRD(CRD_MEM, RIGHTS_ALL, LARGE_ORDER, DMA_PAGE)));
	SETUP(give_ram(pd, DMA, RW, 0, DMA_PAGE));
	check_copies(e, 0);
	ram[WORDS] = pattern;
	edu_store(e, DMA_ADDRESS + PAGE_SIZE);
	EQUAL(ram[WORDS], pattern);
	SETUP(revoke_remote(pd, CRD(CRD_MEM, RIGHTS_ALL, 0, DMA_PAGE)));
	SETUP(give_ram(pd, DMA, RW, LARGE_ORDER, DMA_PAGE));
	check_copies(e, PAGE_SIZE);
}

/* When revoke returns, what the device used before is out of its reach. */
static void revoked(void)
{
	struct edu *e = edu_start(0);
	unsigned long pd;

	need_iommu();
	pd = make_device_pd(e, 0);
	for (unsigned i = 0; i < 3; i++) {
		check_copies(e, 0);
		if (i == 1)
			SETUP(revoke(CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(ram))));
		else
			SETUP(revoke_remote(pd, CRD(CRD_MEM, RIGHTS_ALL, 0, DMA_PAGE)));
		ram[0] = pattern;
		edu_store(e, DMA_ADDRESS);
		EQUAL(ram[0], pattern);
		SETUP(give_ram(pd, DMA, RW, 0, DMA_PAGE));
	}
	check_copies(e, 0);
}

/* From PD to PD; two devices of one PD; two with the same addresses. */
static void reassigned(void)
{
	struct edu *e = edu_start(0), *other = edu_start(1);
	unsigned long first, second;

	need_iommu();
	first = make_device_pd(e, 0);
	check_copies(e, 0);
	second = make_empty_pd(QUOTA);
	give_device(second, e);
	EQUAL(assign(second, CONFIG_PAGE * PAGE_SIZE, 0), SUCCESS);
	ram[0] = pattern;
	edu_store(e, DMA_ADDRESS);
	EQUAL(ram[0], pattern);
	/* Other memory, at the same address. */
	SETUP(give_at(second, CRD(CRD_MEM, RW, 0, page_number(ram) + 1), DMA,
		      CRD(CRD_MEM, RW, 0, DMA_PAGE)));
	SETUP(revoke_remote(first, CRD(CRD_MEM, RIGHTS_ALL, 0, CONFIG_PAGE)));
	give_device(first, other);
	EQUAL(assign(first, CONFIG_PAGE * PAGE_SIZE, 0), SUCCESS);
	ram[WORDS] = 0x1111;
	edu_fetch(e, DMA_ADDRESS);
	check_copies(other, 0);
	ram[0] = 0;
	edu_store(e, DMA_ADDRESS + 8);
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
	struct edu *e = edu_start(0);
	unsigned long pd, left = 0;

	need_iommu();
	for (unsigned i = 0; i < 4; i++) {
		pd = make_device_pd(e, 0);
		check_copies(e, 0);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, pd)));
		ram[0] = pattern;
		edu_store(e, DMA_ADDRESS);
		EQUAL(ram[0], pattern);
		edu_store(e, ram_phys);
		EQUAL(ram[0], pattern);
		if (i == 0)
			left = usage(SEL_ROOT_PD);
	}
	wait_usage(SEL_ROOT_PD, left);
}

static void status(void)
{
	unsigned long used = 0;
	struct edu *e = edu_start(0);
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

static const struct test device_tests[] = {
	{"device.blocked", blocked, 0},	      {"device.unconfined", unconfined, 0},
	{"device.assigned", assigned, 0},     {"device.rights", rights, 0},
	{"device.large", large, 0},	      {"device.revoked", revoked, 0},
	{"device.reassigned", reassigned, 0}, {"device.ended", ended, 0},
	{"device.status", status, 0},	      {0},
};

/* device_interrupt.c */
extern const struct test device_interrupt_tests[];

const unsigned often = 1;

const struct test *const topics[] = {device_tests, device_interrupt_tests, NULL};
