/*
 * The decoder takes byte after byte in the order of SDM 2A figure 2-1:
 * prefixes, opcode, ModRM, SIB, displacement, immediate. Whatever fails is
 * remembered, and all further bytes are 0, so that only the end looks.
 */
#include "insn.h"

#include <stddef.h>

enum {
	REX = 0x40,
	REX_B = 1,
	REX_X = 2,
	REX_R = 4,
	REX_W = 8,
};

/* One decoding; after a failure, bytes read as 0 and the failure is kept. */
struct decoder {
	struct insn *insn;
	const struct code *code;
	enum outcome failure; /* or OUTCOME_DONE */
};

static uint8_t next(struct decoder *d)
{
	struct insn *i = d->insn;
	unsigned got = 0;

	if (d->failure != OUTCOME_DONE)
		return 0;
	if (i->length == INSN_MAX) {
		d->failure = OUTCOME_AGAIN;
		return 0;
	}
	if (i->length == i->fetched) {
		d->failure = d->code->fetch(d->code->opaque, i->fetched, i->byte + i->fetched,
					    INSN_MAX - (unsigned)i->fetched, &got);
		if (d->failure != OUTCOME_DONE)
			return 0;
		i->fetched = (uint8_t)(i->fetched + got);
	}
	return i->byte[i->length++];
}

/* A little-endian number, sign-extended. */
static uint64_t next_number(struct decoder *d, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned n = 0; n < bytes; n++)
		value |= (uint64_t)next(d) << 8 * n;
	if (bytes > 0 && bytes < 8 && (value >> (8 * bytes - 1) & 1))
		value |= ~0ull << 8 * bytes;
	return value;
}

/* true: it was one, and is noted. */
static bool legacy_prefix(struct insn *i, uint8_t byte, bool *address)
{
	switch (byte) {
	case 0x26:
		i->segment = SEG_ES;
		return true;
	case 0x2e:
		i->segment = SEG_CS;
		return true;
	case 0x36:
		i->segment = SEG_SS;
		return true;
	case 0x3e:
		i->segment = SEG_DS;
		return true;
	case 0x64:
		i->segment = SEG_FS;
		return true;
	case 0x65:
		i->segment = SEG_GS;
		return true;
	case 0x66:
		i->operand_prefix = true;
		return true;
	case 0x67:
		*address = true;
		return true;
	case 0xf0:
		i->lock = true;
		return true;
	case 0xf2:
		i->rep = REP_NE;
		return true;
	case 0xf3:
		i->rep = REP_E;
		return true;
	default:
		return false;
	}
}

/* Gives the first byte that is no prefix. */
static uint8_t prefixes(struct decoder *d)
{
	struct insn *i = d->insn;
	bool address = false;
	uint8_t byte;

	for (;;) {
		byte = next(d);
		if (legacy_prefix(i, byte, &address))
			i->rex = 0; /* must be right before the opcode */
		else if (i->code_bytes == 8 && (byte & 0xf0) == REX)
			i->rex = byte;
		else
			break;
	}
	i->address_bytes = i->code_bytes;
	if (address)
		i->address_bytes = i->code_bytes == 4 ? 2 : 4;
	if (i->code_bytes == 8) {
		i->operand_bytes = i->operand_prefix ? 2 : 4;
		if (i->rex & REX_W)
			i->operand_bytes = 8;
	} else {
		i->operand_bytes = (i->code_bytes == 4) != i->operand_prefix ? 4 : 2;
	}
	/* In 64-bit mode the overrides other than FS and GS do nothing. */
	if (i->code_bytes == 8 && i->segment < SEG_FS)
		i->segment = SEGS;
	return byte;
}

static void modrm16(struct decoder *d)
{
	static const uint8_t base[] = {
		REG_RBX, REG_RBX, REG_RBP, REG_RBP, REG_RSI, REG_RDI, REG_RBP, REG_RBX,
	};
	static const uint8_t index[] = {
		REG_RSI, REG_RDI, REG_RSI, REG_RDI, REG_NONE, REG_NONE, REG_NONE, REG_NONE,
	};
	struct insn *i = d->insn;

	i->base = base[i->rm & 7];
	i->index = index[i->rm & 7];
	if (i->mod == 0 && (i->rm & 7) == 6) {
		i->base = REG_NONE;
		i->displacement = (int64_t)next_number(d, 2);
	} else if (i->mod != 0) {
		i->displacement = (int64_t)next_number(d, i->mod);
	}
}

static void sib(struct decoder *d)
{
	struct insn *i = d->insn;
	uint8_t byte = next(d);

	i->scale = byte >> 6;
	i->index = (uint8_t)((byte >> 3 & 7) | (i->rex & REX_X ? 8 : 0));
	i->base = (uint8_t)((byte & 7) | (i->rex & REX_B ? 8 : 0));
	if (i->index == REG_RSP)
		i->index = REG_NONE;
	if ((byte & 7) == REG_RBP && i->mod == 0) {
		i->base = REG_NONE;
		i->displacement = (int64_t)next_number(d, 4);
	}
}

static void modrm32(struct decoder *d)
{
	struct insn *i = d->insn;

	if ((i->rm & 7) == REG_RSP) {
		sib(d);
	} else if ((i->rm & 7) == REG_RBP && i->mod == 0) {
		i->rip_relative = i->code_bytes == 8;
		i->displacement = (int64_t)next_number(d, 4);
	} else {
		i->base = i->rm;
	}
	if (i->mod == 1)
		i->displacement = (int64_t)next_number(d, 1);
	else if (i->mod == 2)
		i->displacement = (int64_t)next_number(d, 4);
}

static void modrm(struct decoder *d)
{
	struct insn *i = d->insn;
	uint8_t byte = next(d);

	i->has_modrm = true;
	i->mod = byte >> 6;
	i->reg = (uint8_t)((byte >> 3 & 7) | (i->rex & REX_R ? 8 : 0));
	i->rm = (uint8_t)((byte & 7) | (i->rex & REX_B ? 8 : 0));
	if (i->mod == 3)
		return;
	if (i->address_bytes == 2)
		modrm16(d);
	else
		modrm32(d);
}

static unsigned immediate_bytes(const struct insn *i)
{
	unsigned bytes = i->op->flags & OP_BYTE ? 1 : i->operand_bytes;

	switch (i->op->form) {
	case FORM_RM_IMM:
	case FORM_REG_RM_IMM:
	case FORM_IMM:
	case FORM_ACC_IMM:
		return bytes == 8 ? 4 : bytes;
	case FORM_REG_IMM:
		return bytes;
	case FORM_RM_IMM8:
	case FORM_REG_RM_IMM8:
	case FORM_IMM8:
		return 1;
	default:
		return 0;
	}
}

static bool has_modrm(const struct opcode *op)
{
	switch (op->form) {
	case FORM_RM:
	case FORM_RM_REG:
	case FORM_REG_RM:
	case FORM_RM_IMM:
	case FORM_RM_IMM8:
	case FORM_RM_ONE:
	case FORM_RM_CL:
	case FORM_REG_RM_IMM:
	case FORM_REG_RM_IMM8:
	case FORM_GROUP:
		return true;
	default:
		return (op->flags & OP_MODRM) != 0;
	}
}

static uint16_t opcode(struct decoder *d, uint8_t first)
{
	if (first != 0x0f)
		return first;

	uint8_t second = next(d);

	if (second == 0x38)
		return (uint16_t)(0x3800 | next(d));
	return (uint16_t)(0x0f00 | second);
}

/* LOCK on what does not allow it is #UD. */
static bool lock_is_wrong(const struct insn *i)
{
	return i->lock && (!(i->op->flags & OP_LOCK) || i->mod == 3);
}

enum outcome insn_decode(struct insn *i, unsigned code_bytes, const struct code *code)
{
	struct decoder d = {i, code, OUTCOME_DONE};

	*i = (struct insn){
		.code_bytes = (uint8_t)code_bytes,
		.segment = SEGS,
		.base = REG_NONE,
		.index = REG_NONE,
	};
	i->code = opcode(&d, prefixes(&d));
	if (d.failure != OUTCOME_DONE)
		return d.failure;
	i->op = opcode_find(i->code);
	if (i->op == NULL)
		return OUTCOME_UNKNOWN;
	if (has_modrm(i->op)) {
		modrm(&d);
		if (i->op->form == FORM_GROUP)
			i->op = &i->op->group[i->reg & 7];
	}
	if (i->op->form == FORM_REG || i->op->form == FORM_REG_IMM)
		i->reg = (uint8_t)((i->code & 7) | (i->rex & REX_B ? 8 : 0));
	if (d.failure == OUTCOME_DONE && (!opcode_is_known(i->op) || lock_is_wrong(i) ||
					  (i->mod == 3 && (i->op->flags & OP_MEMORY))))
		return OUTCOME_UNKNOWN;
	if (i->code_bytes == 8 && (i->op->flags & OP_D64) && i->operand_bytes == 4)
		i->operand_bytes = 8;
	if (i->op->form == FORM_ACC_MOFFS || i->op->form == FORM_MOFFS_ACC)
		i->displacement = (int64_t)next_number(&d, i->address_bytes);
	else
		i->immediate = next_number(&d, immediate_bytes(i));
	return d.failure;
}
