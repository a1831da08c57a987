/*
 * DMA remapping and interrupt remapping, whoever made the IOMMU. A device
 * reaches the memory that its PD holds with ITEM_DMA, at the same page numbers;
 * one that is no PD's reaches none. Where interrupts are remapped, a device can
 * send those that were assigned to it and no others.
 *
 * All units share their tables: it does not matter which of them a device's
 * requests pass, if all are on. What can be done is what all can do.
 */
#pragma once

#include "../tree.h"
#include "records.h"

struct acpi_table;

enum {
	MAX_IOMMUS = 32,
	IOMMU_QUEUE = 256,	  /* commands in a queue */
	IOMMU_TABLES = 64,	  /* that are made for devices, and nobody pays for */
	SOURCE_UNKNOWN = 1 << 16, /* behind the device numbers */
};

/* The machine's. */
extern struct iommu {
	const struct iommu_vendor *vendor; /* NULL: there is none */
	const struct ptab_format *format;
	unsigned levels;      /* of page tables */
	unsigned domains;     /* numbers that devices can have; 0 is none */
	uint32_t max_apic_id; /* of interrupts that are remapped */
	bool remap_interrupts;
	bool coherent;	/* units look into caches */
	bool flush_new; /* new mappings also need a flush */
	bool complete;	/* all units are on */
} iommu;

/* Boot CPU, before other CPUs and programs run. */
void iommu_init(void);
/* Units have lost their registers, but not what was assigned: again. */
void iommu_start(bool again);

/*
 * The device whose configuration space is at that page frame becomes the PD's.
 * BAD_DEVICE: there is none, or it may pass no unit that is on. OUT_OF_MEMORY.
 */
[[nodiscard]] enum status iommu_assign(struct pd *pd, uint64_t frame);
/* The PD ends: its devices are blocked. */
void iommu_release(struct pd *pd);
/* What was taken from its page tables for devices can no longer be reached. */
void iommu_flush(const struct pd *pd);

/* The device whose configuration space is at that page frame. */
bool iommu_device(uint64_t frame, uint32_t *rid);
/*
 * Let a device or IOAPIC, and no other, send a GSI's interrupt to a CPU: the
 * address of the message, whose data is the vector. BAD_CPU: nothing can be
 * sent there. OUT_OF_MEMORY.
 */
[[nodiscard]] enum status iommu_interrupt(unsigned gsi, uint32_t source, uint32_t apic_id,
					  bool level, uint64_t *address);

/* The rest is for the vendors. */

typedef uint64_t iommu_command[2];

/* A unit: its registers, and the queue that it takes commands from. */
struct iommu_unit {
	uint64_t phys; /* of the registers */
	volatile char *registers;
	volatile uint32_t *tail;	/* the queue's; NULL: the unit is off */
	iommu_command *queue;		/* two pages; the second is the vendor's */
	uint32_t next;			/* entry of the queue */
	unsigned flags;			/* the vendor's, of ACPI */
	uint32_t done[2] aligned_to(8); /* atomic: the first is written by the unit */
};

/* What units have in their caches; with each the numbers that name it. */
enum iommu_cached {
	CACHED_DEVICE,	  /* RID */
	CACHED_PAGES,	  /* domain */
	CACHED_INTERRUPT, /* RID */
	CACHED,
};

/* An entry that units read, and what it is to be. */
struct iommu_entry {
	volatile uint64_t *at;
	uint64_t low; /* but for the root of a device's page tables */
	uint64_t high;
	uint64_t message; /* bits of an interrupt's address */
};

struct iommu_vendor {
	const char *name;
	char signature[5]; /* of the ACPI table, which has */
	struct records records;
	unsigned tail; /* this register: where the queue ends */
	/* A command that writes something to `done`, whose address goes to this word. */
	iommu_command wait;
	unsigned wait_address;
	/* Commands that make units forget: the number times `unit` is added. */
	struct {
		iommu_command all;
		uint64_t unit;
	} forget[CACHED];
	uint64_t blocked; /* first word of an entry for a device that is nobody's */

	/* Can a unit of this table be used, and what can it do (iommu)? */
	bool (*check)(struct iommu_unit *u, const struct acpi_table *t);
	/* Block all devices, and if interrupts are remapped all of them. */
	bool (*enable)(struct iommu_unit *u);
	/* The entry of a device, of an interrupt; at NULL: no memory. */
	struct iommu_entry (*device)(uint16_t rid, unsigned domain);
	struct iommu_entry (*interrupt)(unsigned gsi, uint32_t source, uint32_t apic_id,
					bool level);
	/* Tell the faults there were since the last time, or some of them. */
	void (*faults)(struct iommu_unit *u);
};

extern const struct iommu_vendor vtd, amdvi;

/* ACPI names a unit, perhaps again; or something of it is a lie (not good). */
void iommu_found(uint64_t phys, bool good, unsigned flags);
/* It says that devices pass a unit. */
void iommu_cover(uint32_t first, uint32_t last);
/* A page for the vendor, for ever; NULL: no memory. */
void *iommu_table(void);
/* Until the bit is as it should be. False: it takes too long. */
bool iommu_wait(const volatile uint32_t *word, uint32_t bit, bool on);
/* Have a command done by a unit, or with NULL all before. False: it does not answer. */
bool iommu_run(struct iommu_unit *u, const uint64_t *command);
void iommu_fault(uint32_t rid, uint64_t address, bool write, unsigned reason);

#define REG32(unit, at) (*(volatile uint32_t *)((unit)->registers + (at)))
#define REG64(unit, at) (*(volatile uint64_t *)((unit)->registers + (at)))
