/*
 * The instruction decoder: bytes to a struct insn. SDM 2 chapters 2 and
 * appendix A. What the instructions do is in emulate.c; which there are, and
 * the shape of their operands, is in the tables of opcode.c.
 *
 * Pure: bytes come from a callback, nothing else is touched.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "linear.h"

enum { INSN_MAX = 15 }; /* longer than that is #GP */

/* Numbers of the segment registers, as instructions encode them. */
enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEGS };

enum { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI };

enum { REG_NONE = 0xff };

enum rep { REP_NONE, REP_E, REP_NE }; /* F3: REP, REPE; F2: REPNE */

/* Where an instruction's operands are. */
enum form {
	FORM_NONE,	 /* none, or its own business */
	FORM_RM,	 /* destination r/m */
	FORM_RM_REG,	 /* destination r/m, source reg */
	FORM_REG_RM,	 /* destination reg, source r/m */
	FORM_RM_IMM,	 /* immediate of the operand's size, at most 4 bytes */
	FORM_RM_IMM8,	 /* immediate of one byte, sign-extended */
	FORM_RM_ONE,	 /* shifts by 1 */
	FORM_RM_CL,	 /* and by CL */
	FORM_REG_RM_IMM, /* three-operand IMUL */
	FORM_REG_RM_IMM8,
	FORM_ACC_MOFFS, /* AL/AX/EAX/RAX and an absolute address */
	FORM_MOFFS_ACC,
	FORM_IMM8,    /* nothing but an immediate byte, sign-extended */
	FORM_IMM,     /* or of the operand's size, at most 4 bytes */
	FORM_ACC_IMM, /* AL/AX/EAX/RAX and such an immediate */
	FORM_REG,     /* register in the opcode's low bits */
	FORM_REG_IMM, /* and an immediate of the operand's size, all of it */
	FORM_GROUP,   /* see ModRM's reg field */
};

enum {
	OP_BYTE = 1 << 0,    /* operands are bytes */
	OP_READS = 1 << 1,   /* the destination's old value is used */
	OP_WRITES = 1 << 2,  /* the destination is written */
	OP_LOCK = 1 << 3,    /* LOCK is allowed on memory */
	OP_D64 = 1 << 4,     /* 64 bits by default in 64-bit mode */
	OP_SRC8 = 1 << 5,    /* the source is a byte */
	OP_SRC16 = 1 << 6,   /* the source is a word */
	OP_SRC32 = 1 << 7,   /* the source is a doubleword */
	OP_MODRM = 1 << 8,   /* has ModRM though its form does not say so */
	OP_BITS = 1 << 9,    /* the source is a bit offset: BT and its kin */
	OP_MEMORY = 1 << 10, /* r/m must be memory */
};

struct emulation;

struct opcode {
	/* NULL: unknown, or by its operation known to runs ahead only. */
	enum outcome (*run)(struct emulation *e);
	const struct opcode *group; /* eight, by ModRM's reg */
	uint8_t form;		    /* enum form */
	uint16_t flags;
	uint8_t operation; /* enum operation, or enum quick_operation */
};

struct insn {
	uint8_t byte[INSN_MAX];
	uint8_t fetched; /* of byte[] */
	uint8_t length;	 /* decoded so far, in the end: of all */

	uint8_t code_bytes;    /* 2, 4 or 8: mode of the code segment */
	uint8_t operand_bytes; /* of what is not OP_BYTE: 2, 4 or 8 */
	uint8_t address_bytes; /* 2, 4 or 8 */
	uint8_t rex;	       /* 0: none */
	uint8_t rep;	       /* enum rep */
	bool lock;
	bool operand_prefix; /* 66 */
	uint8_t segment;     /* enum seg of the override, or SEGS */

	uint16_t code; /* opcode; 0x0fXX, 0x38XX for 0F 38 XX */
	const struct opcode *op;

	bool has_modrm;
	uint8_t mod, reg, rm; /* reg and rm with their REX bits */
	uint8_t base, index;  /* registers, or REG_NONE */
	uint8_t scale;	      /* log2 */
	bool rip_relative;
	int64_t displacement; /* or the absolute address of a moffs */
	uint64_t immediate;   /* sign-extended to 64 bits */
};

/*
 * Gives up to `most` bytes of code from `offset` bytes after the instruction's
 * first; at least one, and says how many in *got.
 */
struct code {
	enum outcome (*fetch)(void *opaque, unsigned offset, uint8_t *to, unsigned most,
			      unsigned *got);
	void *opaque;
};

/*
 * DONE: insn->op is known. UNKNOWN: not in the tables;
 * AGAIN: too long, which is #GP. Else what fetch gave.
 */
[[nodiscard]] enum outcome insn_decode(struct insn *insn, unsigned code_bytes,
				       const struct code *code);

/* opcode.c: NULL for one that is not known. */
const struct opcode *opcode_find(uint16_t code);
bool opcode_is_known(const struct opcode *op);
