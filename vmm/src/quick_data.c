/*
 * What instructions do with data: arithmetic and moves.
 */
#include "quick_step.h"

/* Arithmetic, by operands. */

bool step_alu_reg_reg(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = o->alu(q->reg[o->dst], q->reg[o->src], &q->flags);
	return next(q, o);
}

bool step_alu_reg_imm(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = o->alu(q->reg[o->dst], o->immediate, &q->flags);
	return next(q, o);
}

bool step_alu_reg_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, o->bytes);

	if (from == NULL)
		return to_read(q, o, gva);
	q->reg[o->dst] = o->alu(q->reg[o->dst], get(from, o->bytes), &q->flags);
	return next(q, o);
}

static inline bool alu_mem(struct quick *q, const struct quick_op *o, uint64_t src)
{
	uint64_t gva = address(q, o);
	uint8_t *to = writable(q, gva, o->bytes);

	if (to == NULL)
		return to_write(q, o, gva);
	put(to, o->alu(get(to, o->bytes), src, &q->flags), o->bytes);
	return next(q, o);
}

bool step_alu_mem_reg(struct quick *q, const struct quick_op *o)
{
	return alu_mem(q, o, q->reg[o->src]);
}

bool step_alu_mem_imm(struct quick *q, const struct quick_op *o)
{
	return alu_mem(q, o, o->immediate);
}

/* CMP, TEST, BT. */
static inline bool look_mem(struct quick *q, const struct quick_op *o, uint64_t src)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, o->bytes);

	if (from == NULL)
		return to_read(q, o, gva);
	(void)o->alu(get(from, o->bytes), src, &q->flags);
	return next(q, o);
}

bool step_look_mem_reg(struct quick *q, const struct quick_op *o)
{
	return look_mem(q, o, q->reg[o->src]);
}

bool step_look_mem_imm(struct quick *q, const struct quick_op *o)
{
	return look_mem(q, o, o->immediate);
}

/* A bit string: the offset in the register reaches beyond the operand. */
bool step_bt_mem_reg(struct quick *q, const struct quick_op *o)
{
	unsigned shift = 3u + (unsigned)__builtin_ctz(o->bytes);
	int64_t offset = (int64_t)alu_sign_extend(q->reg[o->src], o->bytes);
	uint64_t gva = address(q, o) + (uint64_t)(offset >> shift) * o->bytes;
	const uint8_t *from = readable(q, gva, o->bytes);

	if (from == NULL)
		return to_read(q, o, gva);
	(void)o->alu(get(from, o->bytes), (uint64_t)offset, &q->flags);
	return next(q, o);
}

/* TEST and CMP of AH, CH, DH or BH. */
bool step_look_high_imm(struct quick *q, const struct quick_op *o)
{
	(void)o->alu(q->reg[o->dst - REG_RSP] >> 8, o->immediate, &q->flags);
	return next(q, o);
}

bool step_xadd_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o), old;
	uint8_t *to = writable(q, gva, o->bytes);

	if (to == NULL)
		return to_write(q, o, gva);
	old = get(to, o->bytes);
	put(to, o->alu(old, q->reg[o->src], &q->flags), o->bytes);
	q->reg[o->src] = old;
	return next(q, o);
}

bool step_cmpxchg_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o), old;
	uint8_t *to = writable(q, gva, o->bytes);

	if (to == NULL)
		return to_write(q, o, gva);
	old = get(to, o->bytes);
	(void)o->alu(q->reg[REG_RAX], old, &q->flags);
	if (q->flags & RFLAGS_ZF)
		put(to, q->reg[o->src], o->bytes);
	else
		q->reg[REG_RAX] = old;
	return next(q, o);
}

bool step_imul3_reg(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = o->alu(q->reg[o->src], o->immediate, &q->flags);
	return next(q, o);
}

/* Moves. Masks are those of the result. */

bool step_mov_reg_reg(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = low(q->reg[o->src], o->bytes);
	return next(q, o);
}

bool step_mov_reg_imm(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = low(o->immediate, o->bytes);
	return next(q, o);
}

bool step_mov_reg_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, o->bytes);

	if (from == NULL)
		return to_read(q, o, gva);
	q->reg[o->dst] = get(from, o->bytes);
	return next(q, o);
}

static inline bool mov_mem(struct quick *q, const struct quick_op *o, uint64_t src)
{
	uint64_t gva = address(q, o);
	uint8_t *to = writable(q, gva, o->bytes);

	if (to == NULL)
		return to_write(q, o, gva);
	put(to, src, o->bytes);
	return next(q, o);
}

bool step_mov_mem_reg(struct quick *q, const struct quick_op *o)
{
	return mov_mem(q, o, q->reg[o->src]);
}

bool step_mov_mem_imm(struct quick *q, const struct quick_op *o)
{
	return mov_mem(q, o, o->immediate);
}

bool step_movsx_reg(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = alu_sign_extend(q->reg[o->src], o->bytes) & o->immediate;
	return next(q, o);
}

bool step_movsx_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, o->bytes);

	if (from == NULL)
		return to_read(q, o, gva);
	q->reg[o->dst] = alu_sign_extend(get(from, o->bytes), o->bytes) & o->immediate;
	return next(q, o);
}

bool step_xchg_reg(struct quick *q, const struct quick_op *o)
{
	uint64_t dst = q->reg[o->dst];

	q->reg[o->dst] = low(q->reg[o->src], o->bytes);
	q->reg[o->src] = low(dst, o->bytes);
	return next(q, o);
}

bool step_lea(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = address(q, o) & o->immediate;
	return next(q, o);
}

/* What depends on a condition. */

bool step_cmov_reg(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = low(q->reg[is_met(q, o) ? o->src : o->dst], o->bytes);
	return next(q, o);
}

bool step_cmov_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, o->bytes);

	if (from == NULL)
		return to_read(q, o, gva);
	q->reg[o->dst] = is_met(q, o) ? get(from, o->bytes) : low(q->reg[o->dst], o->bytes);
	return next(q, o);
}

bool step_setcc_reg(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = (q->reg[o->dst] & ~0xffull) | is_met(q, o);
	return next(q, o);
}

bool step_setcc_mem(struct quick *q, const struct quick_op *o)
{
	return mov_mem(q, o, is_met(q, o));
}
