/*
 * Emulated instructions that move data, on conditions or without.
 */
#include "alu.h"

/* MOVZX is a MOV whose source is narrower: loads are zero-extended. */
enum outcome move_movsx(struct emulation *e)
{
	unsigned flags = e->insn.op->flags;
	unsigned bytes = flags & OP_SRC8 ? 1 : flags & OP_SRC16 ? 2 : 4;

	/* 63 is ARPL outside of 64-bit mode. */
	if (e->insn.code == 0x63 && e->insn.code_bytes != 8)
		return OUTCOME_UNKNOWN;
	e->dst = alu_sign_extend(e->src, bytes);
	return OUTCOME_DONE;
}

enum outcome move_movbe(struct emulation *e)
{
	if (e->insn.rep != REP_NONE)
		return OUTCOME_UNKNOWN; /* F2: CRC32 */
	e->dst = __builtin_bswap64(e->src) >> (64 - 8 * e->bytes);
	return OUTCOME_DONE;
}

enum outcome move_movnti(struct emulation *e)
{
	if (e->insn.operand_prefix || e->insn.rep != REP_NONE)
		return OUTCOME_UNKNOWN;
	e->dst = e->src;
	return OUTCOME_DONE;
}

enum outcome move_xchg(struct emulation *e)
{
	emulate_set_reg(e, e->insn.reg, e->bytes, e->dst);
	e->dst = e->src;
	return OUTCOME_DONE;
}

enum outcome move_xadd(struct emulation *e)
{
	uint64_t old = e->dst;

	e->dst = alu_do(e, ALU_ADD, old, e->src);
	emulate_set_reg(e, e->insn.reg, e->bytes, old);
	return OUTCOME_DONE;
}

/* The destination is written in either case, as hardware does. */
enum outcome move_cmpxchg(struct emulation *e)
{
	uint64_t accumulator = emulate_reg(e, REG_RAX, e->bytes);

	(void)alu_do(e, ALU_CMP, accumulator, e->dst);
	if (accumulator == e->dst)
		e->dst = e->src;
	else
		emulate_set_reg(e, REG_RAX, e->bytes, e->dst);
	return OUTCOME_DONE;
}

/* Conditions as Jcc, SETcc, CMOVcc encode them: pairs, the odd one negated. */
static bool condition(const struct emulation *e)
{
	uint64_t f = e->utcb->rflags;
	bool less = !(f & RFLAGS_SF) != !(f & RFLAGS_OF);
	const bool is[] = {
		(f & RFLAGS_OF) != 0,
		(f & RFLAGS_CF) != 0,
		(f & RFLAGS_ZF) != 0,
		(f & (RFLAGS_CF | RFLAGS_ZF)) != 0,
		(f & RFLAGS_SF) != 0,
		(f & RFLAGS_PF) != 0,
		less,
		less || (f & RFLAGS_ZF),
	};

	return is[e->insn.code >> 1 & 7] != (e->insn.code & 1);
}

/* The source is read, and a 32-bit destination zero-extended, in any case. */
enum outcome move_cmov(struct emulation *e)
{
	if (condition(e))
		e->dst = e->src;
	return OUTCOME_DONE;
}

enum outcome move_setcc(struct emulation *e)
{
	e->dst = condition(e);
	return OUTCOME_DONE;
}

enum outcome move_nothing(struct emulation *)
{
	return OUTCOME_DONE;
}
