/*
 * DMA remapping and interrupt remapping, whoever made the IOMMU. A device
 * reaches the memory that its PD holds with ITEM_DMA, at the same page numbers;
 * one that is no PD's reaches none. Where interrupts are remapped, a device can
 * send those that were assigned to it and no others.
 *
 * All units share their tables: it does not matter which of them a device's
 * requests pass, if all are on.
 */
#pragma once

#include "../ptab.h"

struct pd;

enum {
	MAX_IOMMUS = 32,
	IOMMU_QUEUE = 256,	  /* commands in a queue */
	IOMMU_DOMAINS = 256,	  /* numbers that devices have; 0 is none */
	SOURCE_UNKNOWN = 1 << 16, /* behind the device numbers */
};

typedef uint64_t iommu_command[2];

/* A unit: its registers, and the queue that it takes commands from. */
struct iommu_unit {
	uint64_t phys; /* of the registers */
	volatile char *registers;
	volatile uint32_t *tail; /* the queue's; NULL: not usable */
	iommu_command *queue;	 /* two pages; the second is the vendor's */
	uint32_t next;		 /* entry of the queue */
	uint32_t flags;		 /* the vendor's */
	uint64_t done;		 /* atomic: written by the unit, told by: */
	iommu_command wait;
	bool on;
};

/* What a vendor implements. */
struct iommu_ops {
	const char *name;
	struct ptab_format *format;
	/* Find units by ACPI, and what all can do, see below. False: none. */
	bool (*find)(void);
	/* Block all devices, and with remap_interrupts all interrupts. */
	bool (*enable)(struct iommu_unit *u);
	/* A device gets a root table, or with 0 is blocked. */
	enum status (*attach)(uint16_t rid, uint64_t root, unsigned domain);
	/* Forget what is known of a domain's page tables. */
	void (*flush)(unsigned domain);
	/* As iommu_interrupt(). */
	enum status (*interrupt)(unsigned gsi, uint32_t source, uint32_t apic_id, bool level,
				 uint64_t *address);
	/* Tell the faults there were since the last time, or some of them. */
	void (*faults)(struct iommu_unit *u);

	unsigned levels;      /* of page tables */
	unsigned domains;     /* numbers that there are */
	uint32_t max_apic_id; /* of interrupts that are remapped */
	bool remap_interrupts;
	bool flush_new; /* new mappings also need a flush */
	bool complete;	/* all units are on */
};

extern struct iommu_ops *iommu; /* the machine's, or NULL */
extern struct iommu_ops vtd, amdvi;

/* Boot CPU, before other CPUs and programs run; the HIP is there. */
void iommu_init(void);
/* Units have lost their registers, but not what was assigned. */
void iommu_resume(void);

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

/* For the vendors. */

/* ACPI names a unit, perhaps again. NULL: it cannot be. */
struct iommu_unit *iommu_unit(uint64_t phys);
/* It says that devices pass a unit. */
void iommu_cover(uint32_t first, uint32_t last);
/* Have commands done by a unit. False: it does not answer. */
bool iommu_run(struct iommu_unit *u, const iommu_command *commands, unsigned count);
/* The same by all units, which must. */
void iommu_run_all(const iommu_command *commands, unsigned count);
void iommu_fault(uint32_t rid, uint64_t address, bool write, unsigned reason);

static inline volatile uint32_t *reg32(const struct iommu_unit *u, unsigned at)
{
	return (volatile uint32_t *)(u->registers + at);
}

static inline volatile uint64_t *reg64(const struct iommu_unit *u, unsigned at)
{
	return (volatile uint64_t *)(u->registers + at);
}
