/*
 * From a decoded instruction to the step that does it, with its operands.
 */
#include "quick_step.h"

/* By operation: with a register operand, with one in memory. */
struct steps {
	quick_step *reg, *mem;
};

static const struct steps flow[QUICK_END - QUICK_NONE] = {
#define STEPS(operation) [QUICK_##operation - QUICK_NONE]
	STEPS(CALL) = {step_call, NULL},	 STEPS(CALL_RM) = {step_call_reg, step_call_mem},
	STEPS(JMP) = {step_jmp, NULL},		 STEPS(JMP_RM) = {step_jmp_reg, step_jmp_mem},
	STEPS(JCC) = {step_jcc, NULL},		 STEPS(RET) = {step_ret, NULL},
	STEPS(PUSH) = {step_push_reg, NULL},	 STEPS(PUSH_RM) = {step_push_reg, step_push_mem},
	STEPS(PUSH_IMM) = {step_push_imm, NULL}, STEPS(POP) = {step_pop_reg, NULL},
	STEPS(LEAVE) = {step_leave, NULL},	 STEPS(PUSHF) = {step_pushf, NULL},
	STEPS(POPF) = {step_popf, NULL},	 STEPS(CLI) = {step_cli, NULL},
	STEPS(STI) = {step_sti, NULL},		 STEPS(LEA) = {NULL, step_lea},
	STEPS(NOTHING) = {step_nothing, NULL},	 STEPS(IN) = {step_in, NULL},
	STEPS(OUT) = {step_out, NULL},		 STEPS(CPUID) = {step_cpuid, NULL},
#undef STEPS
};

static alu_function *alu(unsigned operation, unsigned bytes)
{
	return alu_table[operation][__builtin_ctz(bytes)];
}

static void set_address(struct quick_op *o, const struct insn *i)
{
	o->base = i->base == REG_NONE ? QUICK_ZERO : i->base;
	o->index = i->index == REG_NONE ? QUICK_ZERO : i->index;
	o->scale = i->scale;
	o->displacement = (uint64_t)i->displacement + (i->rip_relative ? o->next : 0);
	o->segment = i->segment == SEG_FS ? 1 : i->segment == SEG_GS ? 2 : 0;
}

/* The pairs of conditions, SDM 1 appendix B. */
static void set_condition(struct quick_op *o, const struct insn *i)
{
	static const uint16_t flags[8] = {
		RFLAGS_OF, RFLAGS_CF, RFLAGS_ZF, RFLAGS_CF | RFLAGS_ZF,
		RFLAGS_SF, RFLAGS_PF, 0,	 RFLAGS_ZF,
	};
	unsigned pair = i->code >> 1 & 7;

	o->flags = flags[pair];
	o->less = pair >= 6;
	o->negated = i->code & 1;
}

/* Moves, which need no flags: not to a part of a register. */
static quick_step *mov_step(struct quick_op *o, const struct insn *i, unsigned bytes)
{
	bool mem = i->mod != 3;

	switch (i->op->form) {
	case FORM_RM_REG:
		return mem ? step_mov_mem_reg : bytes >= 4 ? step_mov_reg_reg : NULL;
	case FORM_RM_IMM:
		return mem ? step_mov_mem_imm : bytes >= 4 ? step_mov_reg_imm : NULL;
	case FORM_REG_IMM:
		return bytes >= 4 ? step_mov_reg_imm : NULL;
	case FORM_REG_RM:
		if (i->op->flags & (OP_SRC8 | OP_SRC16))
			o->bytes = i->op->flags & OP_SRC8 ? 1 : 2;
		if (bytes < 4)
			return NULL;
		return mem ? step_mov_reg_mem : step_mov_reg_reg;
	default:
		return NULL;
	}
}

static quick_step *alu_step(struct quick_op *o, const struct insn *i)
{
	bool mem = i->mod != 3, writes = (i->op->flags & OP_WRITES) != 0;

	switch (i->op->form) {
	case FORM_RM_REG:
		if (mem && (i->op->flags & OP_BITS))
			return writes ? NULL : step_bt_mem_reg;
		return !mem ? step_alu_reg_reg : writes ? step_alu_mem_reg : step_look_mem_reg;
	case FORM_REG_RM:
		return mem ? step_alu_reg_mem : step_alu_reg_reg;
	case FORM_RM_ONE:
		o->immediate = 1;
		return mem ? step_alu_mem_imm : step_alu_reg_imm;
	case FORM_RM_CL:
		o->src = REG_RCX;
		return mem ? step_alu_mem_reg : step_alu_reg_reg;
	case FORM_RM:
	case FORM_RM_IMM:
	case FORM_RM_IMM8:
		return !mem ? step_alu_reg_imm : writes ? step_alu_mem_imm : step_look_mem_imm;
	case FORM_REG_IMM:
	case FORM_ACC_IMM:
		return step_alu_reg_imm;
	default:
		return NULL;
	}
}

/* Those with functions of their own. */
static quick_step *other_step(struct quick_op *o, const struct insn *i)
{
	enum outcome (*run)(struct emulation *) = i->op->run;
	bool mem = i->mod != 3;

	if (run == move_setcc)
		return mem ? step_setcc_mem : step_setcc_reg;
	if (run == move_nothing)
		return step_nothing;
	if (o->bytes < 4)
		return NULL;
	if (run == move_cmov)
		return mem ? step_cmov_mem : step_cmov_reg;
	if (run == alu_imul3) {
		o->alu = alu(ALU_IMUL, o->bytes);
		return mem ? NULL : step_imul3_reg;
	}
	if (run == move_xchg)
		return mem ? NULL : step_xchg_reg;
	if (run == move_xadd) {
		o->alu = alu(ALU_ADD, o->bytes);
		return mem ? step_xadd_mem : NULL;
	}
	if (run == move_cmpxchg) {
		o->alu = alu(ALU_CMP, o->bytes);
		return mem ? step_cmpxchg_mem : NULL;
	}
	if (run == move_movsx) {
		o->immediate = o->bytes == 4 ? 0xffffffff : ~0ull;
		o->bytes = i->op->flags & OP_SRC8 ? 1 : i->op->flags & OP_SRC16 ? 2 : 4;
		return mem ? step_movsx_mem : step_movsx_reg;
	}
	return NULL;
}

/* AH, CH, DH, BH are not for us. */
static bool has_high_byte(const struct quick_op *o, const struct insn *i)
{
	bool source = i->op->flags & OP_SRC8;

	if (i->rex != 0 || (o->bytes != 1 && !source))
		return false;
	return (o->bytes == 1 && o->dst >= REG_RSP && o->dst <= REG_RDI) ||
	       (o->src >= REG_RSP && o->src <= REG_RDI);
}

static quick_step *flow_step(struct quick_op *o, const struct insn *i)
{
	const struct steps *s = &flow[i->op->operation - QUICK_NONE];
	bool port = i->op->operation == QUICK_IN || i->op->operation == QUICK_OUT;

	if (i->op->operation == QUICK_ENDBR)
		return i->rep == REP_E && i->byte[i->length - 1] == 0xfa ? step_nothing : NULL;
	if (i->op->operation == QUICK_NOTHING)
		return i->rex == 0 ? step_nothing : NULL; /* else XCHG R8, RAX */
	if (port) {
		o->bytes = o->bytes == 8 ? 4 : o->bytes;
		o->src = i->op->form == FORM_IMM8 ? QUICK_ZERO : REG_RDX;
		o->alu = alu(ALU_MOV, o->bytes);
		return s->reg;
	}
	if (i->operand_prefix)
		return NULL;
	if (i->op->operation == QUICK_LEA) {
		o->immediate = o->bytes == 4 ? 0xffffffff : ~0ull;
		o->segment = 0;
	}
	if (s->reg == step_call || s->reg == step_jmp || s->reg == step_jcc) {
		o->immediate += o->next;
		if (!quick_is_canonical(o->immediate))
			return NULL;
	}
	return i->has_modrm && i->mod != 3 ? s->mem : s->reg;
}

static void set_registers(struct quick_op *o, const struct insn *i)
{
	switch (i->op->form) {
	case FORM_REG_RM:
	case FORM_REG_RM_IMM:
	case FORM_REG_RM_IMM8:
		o->dst = i->reg;
		o->src = i->mod == 3 ? i->rm : (uint8_t)QUICK_ZERO;
		break;
	case FORM_REG:
	case FORM_REG_IMM:
		o->dst = i->reg;
		o->src = QUICK_ZERO;
		break;
	case FORM_ACC_IMM:
		o->dst = REG_RAX;
		o->src = QUICK_ZERO;
		break;
	default:
		o->dst = i->mod == 3 ? i->rm : (uint8_t)QUICK_ZERO;
		o->src = i->op->form == FORM_RM_REG ? i->reg : (uint8_t)QUICK_ZERO;
	}
}

void quick_decode(struct quick_op *o, const struct insn *i)
{
	unsigned operation = i->op->operation;
	bool again = i->rep != REP_NONE;

	o->step = NULL;
	o->next = o->rip + i->length;
	o->immediate = i->immediate;
	o->bytes = i->op->flags & OP_BYTE ? 1 : i->operand_bytes;
	set_address(o, i);
	set_registers(o, i);
	set_condition(o, i);
	if (i->address_bytes != 8 || (again && i->op->run != NULL))
		return;
	if (has_high_byte(o, i)) {
		if (i->op->form == FORM_RM_IMM && !(i->op->flags & OP_WRITES)) {
			o->alu = alu(operation, 1);
			o->step = step_look_high_imm;
		}
		return;
	}
	if (i->op->run == NULL) {
		again &= operation != QUICK_NOTHING && operation != QUICK_RET &&
			 operation != QUICK_ENDBR;
		o->step = again ? NULL : flow_step(o, i);
		return;
	}
	if (i->op->run == alu_run) {
		o->alu = alu(operation, o->bytes);
		if (operation == ALU_MOV)
			o->step = mov_step(o, i, o->bytes);
		if (o->step == NULL && !(i->op->flags & (OP_SRC8 | OP_SRC16)))
			o->step = alu_step(o, i);
	} else {
		o->step = other_step(o, i);
	}
}
