/*
 * Two of QEMU's "edu" devices (its docs/specs/edu.txt) at slots 16 and 17 of bus
 * 0, which do DMA and send interrupts; PDs that have them, and memory to reach.
 */
#pragma once

#include "test.h"

enum {
	EDU_SLOT = 16,
	RW = MEM_R | MEM_W,
	DMA = ITEM_DELEGATE | ITEM_DMA,
	LARGE_ORDER = 9, /* of ram */

	EDU_RAISE = 0x60, /* registers */
	EDU_ACK = 0x64,
};

/* What PDs here have where. */
#define CONFIG_PAGE 0x1000ul
#define DMA_PAGE    0x40200ul
#define DMA_ADDRESS (DMA_PAGE * PAGE_SIZE)
#define WORDS	    (PAGE_SIZE / sizeof(uint64_t))

static const uint64_t pattern = 0x5ca1ab1edecade5a;

struct edu {
	volatile uint32_t *config, *registers;
	unsigned msi; /* its capability, a word of config */
};

/* Memory: where it is, and where we see it. */
extern uint64_t ram_phys;
extern volatile uint64_t *ram;

/* Number n, before each test; what tests made of it before does not count. */
struct edu *edu_start(unsigned n);
/* From an address to its buffer, and back. */
void edu_fetch(struct edu *e, uint64_t address);
void edu_store(struct edu *e, uint64_t address);
void need_iommu(void);
enum status assign(unsigned long pd, uint64_t address, unsigned rid);
enum status give_ram(unsigned long pd, uint64_t how, unsigned rights, unsigned order, uint64_t at);

/* It gets the device's configuration at CONFIG_PAGE. */
void give_device(unsigned long pd, const struct edu *e);
/* A PD with the device, and 2^order pages of RAM for it at DMA_PAGE. */
unsigned long make_device_pd(const struct edu *e, unsigned order);
/* What the device reads at an offset of DMA_ADDRESS it can write behind. */
void check_copies(struct edu *e, uint64_t offset);
