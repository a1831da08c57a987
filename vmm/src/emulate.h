/*
 * The instruction emulator: what the guest's processor did not do itself,
 * because an operand is a device's memory, or because it is string I/O.
 *
 * It works on the guest state in the UTCB, changes that, and says in mtd what is
 * to be written back. General registers, RIP, RFLAGS, CR0 3 4, EFER and the rights
 * of CS and SS must be there. A segment that matters is asked for by `need`: in
 * 64-bit mode FS and GS only. After FAULT, AGAIN and UNKNOWN, RIP is unchanged.
 *
 * An instruction has an effect once and as a whole, or faults without one;
 * string instructions do this for each iteration, and give up the processor
 * after EMULATE_ITERATIONS of them (OUTCOME_AGAIN).
 */
#pragma once

#include <abi/utcb.h>

#include "insn.h"
#include "linear.h"

enum { EMULATE_ITERATIONS = 1024 };

enum {
	RFLAGS_CF = 1 << 0,
	RFLAGS_PF = 1 << 2,
	RFLAGS_AF = 1 << 4,
	RFLAGS_ZF = 1 << 6,
	RFLAGS_SF = 1 << 7,
	RFLAGS_TF = 1 << 8,
	RFLAGS_IF = 1 << 9,
	RFLAGS_DF = 1 << 10,
	RFLAGS_OF = 1 << 11,
	RFLAGS_RF = 1 << 16,
	RFLAGS_VM = 1 << 17,
	RFLAGS_AC = 1 << 18,

	RFLAGS_STATUS = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF,
};

struct emulation {
	struct utcb *utcb;
	struct linear linear;
	const struct mmio *ports; /* for INS and OUTS; NULL: not these */
	/* Puts more of the state, MTD_ bits, into the UTCB. NULL: it is there. */
	void (*need)(void *opaque, uint64_t mtd);
	void *opaque;

	struct insn insn;
	uint64_t mtd; /* what was changed */

	/* The instruction under way. */
	unsigned bytes; /* of the destination */
	uint64_t dst, src;
	struct place place; /* of the operand in memory */
};

void emulate_init(struct emulation *e, struct utcb *utcb, const struct gmem *mem,
		  const struct mmio *mmio, const struct mmio *ports, unsigned address_bits);

/* After OUTCOME_FAULT, the exception is in e->linear.fault. */
[[nodiscard]] enum outcome emulate(struct emulation *e);

/* Only fetch and decode what is at RIP, into e->insn. */
[[nodiscard]] enum outcome emulate_decode(struct emulation *e);

/* 2, 4 or 8: the mode of the code segment. */
unsigned emulate_code_bytes(const struct utcb *utcb);

/* For the operations in alu.c, move.c and strings.c. */
uint64_t emulate_reg(const struct emulation *e, unsigned reg, unsigned bytes);
void emulate_set_reg(struct emulation *e, unsigned reg, unsigned bytes, uint64_t value);
void emulate_set_flags(struct emulation *e, uint64_t which, uint64_t value);
[[nodiscard]] enum outcome emulate_fault(struct emulation *e, uint8_t vector);

/* From segment and offset to a linear address, with the segment's checks. */
[[nodiscard]] enum outcome emulate_segment(struct emulation *e, unsigned seg, uint64_t offset,
					   unsigned bytes, unsigned access, uint64_t *gva);
