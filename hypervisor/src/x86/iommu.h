/*
 * DMA remapping and interrupt remapping, whoever made the IOMMU. A device
 * reaches the memory that its PD holds with ITEM_DMA, at the same page numbers;
 * one that is no PD's reaches none. Where interrupts are remapped, a device can
 * send those that were assigned to it and no others.
 *
 * All units share their tables: it does not matter which of them a device's
 * requests pass, only that it is one that is on.
 */
#pragma once

#include "../ptab.h"

struct pd;

enum {
	MAX_IOMMUS = 32,
	IOMMU_SIZE = 16384,		/* of a unit's registers, at most */
	IOMMU_QUEUE = 256,		/* commands in a queue */
	DOMAINS = 256,			/* PDs with devices; number 0 is none */
	SOURCE_UNKNOWN = 1 << 16,	/* behind the device numbers */
};

typedef uint64_t iommu_command[2];

/* A unit: its registers, and the queue that it takes commands from. */
struct iommu_unit {
	uint64_t phys;			/* of the registers */
	volatile char *registers;
	volatile uint32_t *tail;	/* the queue's: a register */
	iommu_command *queue;		/* a page */
	uint32_t next;			/* entry of the queue */
	uint32_t flags;			/* the vendor's */
	uint64_t done;			/* atomic: written by the unit, when told by: */
	iommu_command wait;
	bool on;
};

/* What a vendor implements. */
struct iommu_ops {
	const char *name;
	struct ptab_format *format;
	/* Find units by ACPI, which sets the fields below. False: none. */
	bool (*find)(void);
	/* Block all devices, and with remap_interrupts all interrupts. */
	bool (*enable)(struct iommu_unit *u);
	/* A device gets a root table, or with 0 is blocked. */
	enum status (*attach)(uint16_t rid, uint64_t root, unsigned domain);
	/* Forget what is known of a domain's page tables. */
	void (*flush)(unsigned domain);
	/* As iommu_interrupt(). */
	enum status (*interrupt)(unsigned gsi, uint32_t source,
				 uint32_t apic_id, bool level,
				 uint64_t *address);
	/* Tell the faults there were since the last time, or some of them. */
	void (*faults)(struct iommu_unit *u);

	unsigned levels;		/* of page tables */
	unsigned domains;		/* numbers that there are */
	uint32_t max_apic_id;		/* of interrupts that are remapped */
	bool remap_interrupts;
	bool flush_new;			/* new mappings also need a flush */
};

extern struct iommu_ops *iommu;		/* the machine's, or NULL */
extern struct iommu_ops vtd, amdvi;

/* Boot CPU, before other CPUs and programs run. */
void iommu_init(void);

/*
 * The device whose configuration space is at that page frame becomes the PD's;
 * hint: of a virtual function, the physical one. BAD_DEVICE: there is none, or
 * no IOMMU knows it.
 */
[[nodiscard]] enum status iommu_assign(struct pd *pd, uint64_t frame,
				       uint16_t hint);
/* The PD ends: its devices are blocked. */
void iommu_release(struct pd *pd);
/* What was taken from the domain's page tables can no longer be reached. */
void iommu_flush(unsigned domain);

/* The device whose configuration space is at that page frame. */
bool iommu_device(uint64_t frame, uint32_t *rid);
/*
 * Let a device or IOAPIC, and no other, send a GSI's interrupt to a CPU: the
 * address of the message, whose data is the vector. BAD_CPU: nothing can be
 * sent there. OUT_OF_MEMORY.
 */
[[nodiscard]] enum status iommu_interrupt(unsigned gsi, uint32_t source,
					  uint32_t apic_id, bool level,
					  uint64_t *address);

/* For the vendors, and the tables' parsers. */

/* ACPI names a unit, perhaps again: NULL if it is one too many. */
struct iommu_unit *iommu_unit(uint64_t phys);
/* Devices pass a unit, or NULL: one that is off. Who is first counts. */
void iommu_cover(struct iommu_unit *u, unsigned first, unsigned last);
/* Have commands done by a unit. False: it does not answer. */
bool iommu_run(struct iommu_unit *u, const iommu_command *commands,
	       unsigned count);
/* The same by all units, which must. */
void iommu_run_all(const iommu_command *commands, unsigned count);
void iommu_fault(uint32_t rid, uint64_t address, const char *what,
		 unsigned reason);

/* iommu_tables.c. False: there is no such table. */
bool dmar_parse(void);
bool ivrs_parse(void);
bool mcfg_parse(uint64_t *frame, uint32_t *first, uint32_t *last);
/* Of the vendors, called by these: can the unit be used? */
bool vtd_unit(struct iommu_unit *u);
bool amdvi_unit(struct iommu_unit *u, uint8_t flags);
