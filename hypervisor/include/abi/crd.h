/*
 * Capability range descriptors, rights, and the items of a message.
 *
 * A CRD names 2^order memory pages, I/O ports or object selectors, aligned to
 * their number: bits 1..0 type, 6..2 rights, 11..7 order, 63..12 base.
 */
#pragma once

enum crd_type { CRD_NULL = 0, CRD_MEM = 1, CRD_PIO = 2, CRD_OBJ = 3 };

#define CRD(type, rights, order, base)                               \
	((unsigned long)(base) << 12 | (unsigned long)(order) << 7 | \
	 (unsigned long)(rights) << 2 | (unsigned long)(type))

#define CRD_TYPE(crd)	((unsigned)((crd)&3))
#define CRD_RIGHTS(crd) ((unsigned)((crd) >> 2 & 31))
#define CRD_ORDER(crd)	((unsigned)((crd) >> 7 & 31))
#define CRD_BASE(crd)	((unsigned long)(crd) >> 12)

/* Rights, by the type of what the descriptor names. */
enum {
	RIGHTS_ALL = 31,

	MEM_R = 1,
	MEM_W = 2,
	MEM_X = 4,

	PIO_ACCESS = 1,

	PD_CREATE_PD = 1,
	PD_CREATE_EC = 2,
	PD_CREATE_SC = 4,
	PD_CREATE_PT = 8,
	PD_CREATE_SM = 16,

	EC_CONTROL = 1,
	EC_BIND_SC = 4,
	EC_BIND_PT = 8,

	SC_CONTROL = 1,

	PT_CONTROL = 1,
	PT_CALL = 2,
	PT_CALL_REMOTE = 16, /* from another CPU */

	SM_RIGHT_UP = 1,
	SM_RIGHT_DOWN = 2,
};

/*
 * Second word of a typed item: bits 1..0 kind, the flags below, and the
 * hotspot (a page, port or selector number) from bit 12 on.
 */
enum item_kind {
	ITEM_TRANSLATE = 0,
	ITEM_DELEGATE = 1,
	ITEM_TRANSLATE_OR_DELEGATE = 2,
	ITEM_KIND_MASK = 3,
};

enum {
	ITEM_DMA = 1 << 8,     /* usable by the PD's devices */
	ITEM_GUEST = 1 << 9,   /* visible to the PD's vCPUs */
	ITEM_WC = 1 << 10,     /* write-combining; only with ITEM_KERNEL */
	ITEM_KERNEL = 1 << 11, /* the source is the kernel; root PD only */
};

#define ITEM(kind, flags, hotspot) \
	((unsigned long)(hotspot) << 12 | (unsigned long)(flags) | (kind))

/* Quantum and priority of a scheduling context: quantum in microseconds. */
#define QPD(priority, quantum) ((unsigned long)(quantum) << 12 | (unsigned long)(priority))
#define QPD_PRIORITY(qpd)      ((unsigned)((qpd)&0xff))
#define QPD_QUANTUM(qpd)       ((unsigned long)(qpd) >> 12)

enum { PRIORITY_MIN = 1, PRIORITY_MAX = 127 };
