/*
 * Emulated arithmetic: alu_table.S does it; multiplications with results of
 * twice the width are here.
 */
#include "alu.h"

uint64_t alu_do(struct emulation *e, enum operation operation, uint64_t dst, uint64_t src)
{
	uint64_t flags = e->utcb->rflags & RFLAGS_STATUS;
	uint64_t r = alu_table[operation][__builtin_ctz(e->bytes)](dst, src, &flags);

	emulate_set_flags(e, RFLAGS_STATUS, flags);
	return r;
}

enum outcome alu_run(struct emulation *e)
{
	e->dst = alu_do(e, e->insn.op->operation, e->dst, e->src);
	return OUTCOME_DONE;
}

enum outcome alu_imul3(struct emulation *e)
{
	e->dst = alu_do(e, ALU_IMUL, e->src, e->insn.immediate);
	return OUTCOME_DONE;
}

/* AX or DX:AX and wider, with CF = OF: does the upper half say something? */
static void set_product(struct emulation *e, unsigned __int128 product, bool upper)
{
	if (e->bytes == 1) {
		emulate_set_reg(e, REG_RAX, 2, (uint64_t)product);
	} else {
		emulate_set_reg(e, REG_RAX, e->bytes, (uint64_t)product);
		emulate_set_reg(e, REG_RDX, e->bytes, (uint64_t)(product >> 8 * e->bytes));
	}
	emulate_set_flags(e, RFLAGS_CF | RFLAGS_OF, upper ? RFLAGS_CF | RFLAGS_OF : 0);
}

enum outcome alu_mul(struct emulation *e)
{
	unsigned __int128 product = (unsigned __int128)e->dst * emulate_reg(e, REG_RAX, e->bytes);

	set_product(e, product, product >> 8 * e->bytes != 0);
	return OUTCOME_DONE;
}

enum outcome alu_imul1(struct emulation *e)
{
	uint64_t a = emulate_reg(e, REG_RAX, e->bytes);
	__int128 product = (__int128)(int64_t)alu_sign_extend(a, e->bytes) *
			   (int64_t)alu_sign_extend(e->dst, e->bytes);
	int64_t low = (int64_t)alu_sign_extend((uint64_t)product, e->bytes);

	set_product(e, (unsigned __int128)product, product != low);
	return OUTCOME_DONE;
}
