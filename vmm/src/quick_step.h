/*
 * The steps: what instructions do, by their operands. All that can go wrong is
 * looked at first: a step that returns false has changed nothing.
 */
#pragma once

#include "alu.h"
#include "quick.h"

/* quick_data.c: arithmetic and moves. `look` changes no operand. */
quick_step step_alu_reg_reg, step_alu_reg_imm, step_alu_reg_mem, step_alu_mem_reg, step_alu_mem_imm,
	step_look_mem_reg, step_look_mem_imm, step_look_high_imm, step_bt_mem_reg, step_xadd_mem,
	step_cmpxchg_mem, step_imul3_reg, step_mov_reg_reg, step_mov_reg_imm, step_mov_reg_mem,
	step_mov_mem_reg, step_mov_mem_imm, step_movsx_reg, step_movsx_mem, step_xchg_reg, step_lea,
	step_cmov_reg, step_cmov_mem, step_setcc_reg, step_setcc_mem;

/* quick_flow.c: branches, the stack, interrupts, ports. */
quick_step step_push_reg, step_push_imm, step_push_mem, step_pop_reg, step_leave, step_jcc,
	step_jmp, step_jmp_reg, step_jmp_mem, step_call, step_call_reg, step_call_mem, step_ret,
	step_pushf, step_cli, step_popf, step_sti, step_in, step_out, step_cpuid, step_nothing;

static inline uint64_t address(const struct quick *q, const struct quick_op *o)
{
	return o->displacement + q->reg[o->base] + (q->reg[o->index] << o->scale) +
	       q->base[o->segment];
}

/* NULL: not here, or across two pages. */
static inline uint8_t *at(struct quick_page *tlb, uint64_t gva, unsigned bytes)
{
	const struct quick_page *p = quick_page(tlb, gva);
	uint64_t offset = gva % QUICK_PAGE;

	return p->page == gva - offset && offset + bytes <= QUICK_PAGE ? p->at + offset : NULL;
}

static inline const uint8_t *readable(struct quick *q, uint64_t gva, unsigned bytes)
{
	return at(q->read, gva, bytes);
}

static inline uint8_t *writable(struct quick *q, uint64_t gva, unsigned bytes)
{
	return at(q->write, gva, bytes);
}

/*
 * A step that did not find its memory begins again when that is there. Nothing
 * is to be kept meanwhile, so that the usual way has no registers to save.
 */
bool quick_again(struct quick *q, const struct quick_op *o, uint64_t gva, struct quick_page *tlb);

static inline bool to_read(struct quick *q, const struct quick_op *o, uint64_t gva)
{
	return quick_again(q, o, gva, q->read);
}

static inline bool to_write(struct quick *q, const struct quick_op *o, uint64_t gva)
{
	return quick_again(q, o, gva, q->write);
}

static inline uint64_t get(const uint8_t *from, unsigned bytes)
{
	uint64_t value = 0;

	if (bytes == 8)
		__builtin_memcpy(&value, from, 8);
	else if (bytes == 4)
		__builtin_memcpy(&value, from, 4);
	else if (bytes == 2)
		__builtin_memcpy(&value, from, 2);
	else
		value = *from;
	return value;
}

static inline void put(uint8_t *to, uint64_t value, unsigned bytes)
{
	if (bytes == 8)
		__builtin_memcpy(to, &value, 8);
	else if (bytes == 4)
		__builtin_memcpy(to, &value, 4);
	else if (bytes == 2)
		__builtin_memcpy(to, &value, 2);
	else
		*to = (uint8_t)value;
}

static inline uint64_t low(uint64_t value, unsigned bytes)
{
	return bytes < 8 ? value & ((1ull << 8 * bytes) - 1) : value;
}

static inline bool next(struct quick *q, const struct quick_op *o)
{
	q->rip = o->next;
	return true;
}

static inline bool is_met(const struct quick *q, const struct quick_op *o)
{
	bool met = (q->flags & o->flags) != 0;

	if (o->less)
		met |= !(q->flags & RFLAGS_SF) != !(q->flags & RFLAGS_OF);
	return met != o->negated;
}
