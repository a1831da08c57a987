/*
 * The instructions that the emulator and runs ahead (quick.c) know. Flags say
 * what happens to the destination: R reads it, W writes it.
 */
#include <stddef.h>

#include "alu.h"
#include "quick.h"

enum { RW = OP_READS | OP_WRITES, R = OP_READS, W = OP_WRITES, B = OP_BYTE };

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* By which function, on what, with which flags; or by alu_table.S. */
#define DO(function, form, flags)                \
	{                                        \
		function, NULL, form, (flags), 0 \
	}
#define ALU(operation, form, flags)                     \
	{                                               \
		alu_run, NULL, form, (flags), operation \
	}
/* Only in a run ahead: no operand is in a device. */
#define QUICK(operation, form, flags)                \
	{                                            \
		NULL, NULL, form, (flags), operation \
	}
#define GROUP(table)                          \
	{                                     \
		NULL, table, FORM_GROUP, 0, 0 \
	}

#define TWICE(...) __VA_ARGS__, __VA_ARGS__
#define EIGHT(...) TWICE(TWICE(__VA_ARGS__)), TWICE(TWICE(__VA_ARGS__))

/* The eight operations of 00..3f and of group 1, in all encodings. */
#define ARITHMETIC(first, operation, flags, lock)                                 \
	[(first) + 0] = ALU(operation, FORM_RM_REG, (flags) | (lock) | B),        \
		   [(first) + 1] = ALU(operation, FORM_RM_REG, (flags) | (lock)), \
		   [(first) + 2] = ALU(operation, FORM_REG_RM, (flags) | B),      \
		   [(first) + 3] = ALU(operation, FORM_REG_RM, flags),            \
		   [(first) + 4] = ALU(operation, FORM_ACC_IMM, (flags) | B),     \
		   [(first) + 5] = ALU(operation, FORM_ACC_IMM, flags)

#define GROUP1(form, flags)                                         \
	{                                                           \
		ALU(ALU_ADD, form, RW | OP_LOCK | (flags)),         \
			ALU(ALU_OR, form, RW | OP_LOCK | (flags)),  \
			ALU(ALU_ADC, form, RW | OP_LOCK | (flags)), \
			ALU(ALU_SBB, form, RW | OP_LOCK | (flags)), \
			ALU(ALU_AND, form, RW | OP_LOCK | (flags)), \
			ALU(ALU_SUB, form, RW | OP_LOCK | (flags)), \
			ALU(ALU_XOR, form, RW | OP_LOCK | (flags)), \
			ALU(ALU_CMP, form, R | (flags)),            \
	}

static const struct opcode group1_80[8] = GROUP1(FORM_RM_IMM, B);
static const struct opcode group1_81[8] = GROUP1(FORM_RM_IMM, 0);
static const struct opcode group1_83[8] = GROUP1(FORM_RM_IMM8, 0);

#define GROUP2(form, flags)                                                                 \
	{                                                                                   \
		ALU(ALU_ROL, form, RW | (flags)), ALU(ALU_ROR, form, RW | (flags)),         \
			ALU(ALU_RCL, form, RW | (flags)), ALU(ALU_RCR, form, RW | (flags)), \
			ALU(ALU_SHL, form, RW | (flags)), ALU(ALU_SHR, form, RW | (flags)), \
			ALU(ALU_SAL, form, RW | (flags)), ALU(ALU_SAR, form, RW | (flags)), \
	}

static const struct opcode group2_c0[8] = GROUP2(FORM_RM_IMM8, B);
static const struct opcode group2_c1[8] = GROUP2(FORM_RM_IMM8, 0);
static const struct opcode group2_d0[8] = GROUP2(FORM_RM_ONE, B);
static const struct opcode group2_d1[8] = GROUP2(FORM_RM_ONE, 0);
static const struct opcode group2_d2[8] = GROUP2(FORM_RM_CL, B);
static const struct opcode group2_d3[8] = GROUP2(FORM_RM_CL, 0);

/* DIV and IDIV on a device's register are not worth it. */
#define GROUP3(flags)                                                                             \
	{                                                                                         \
		ALU(ALU_TEST, FORM_RM_IMM, R | (flags)), ALU(ALU_TEST, FORM_RM_IMM, R | (flags)), \
			ALU(ALU_NOT, FORM_RM, RW | OP_LOCK | (flags)),                            \
			ALU(ALU_NEG, FORM_RM, RW | OP_LOCK | (flags)),                            \
			DO(alu_mul, FORM_RM, R | (flags)), DO(alu_imul1, FORM_RM, R | (flags)),   \
	}

static const struct opcode group3_f6[8] = GROUP3(B);
static const struct opcode group3_f7[8] = GROUP3(0);

static const struct opcode group4_fe[8] = {
	ALU(ALU_INC, FORM_RM, RW | OP_LOCK | B),
	ALU(ALU_DEC, FORM_RM, RW | OP_LOCK | B),
};

static const struct opcode group5_ff[8] = {
	ALU(ALU_INC, FORM_RM, RW | OP_LOCK),
	ALU(ALU_DEC, FORM_RM, RW | OP_LOCK),
	QUICK(QUICK_CALL_RM, FORM_RM, R | OP_D64),
	[4] = QUICK(QUICK_JMP_RM, FORM_RM, R | OP_D64),
	[6] = QUICK(QUICK_PUSH_RM, FORM_RM, R | OP_D64),
};

static const struct opcode group8_ba[8] = {
	[4] = ALU(ALU_BT, FORM_RM_IMM8, R | OP_BITS),
	[5] = ALU(ALU_BTS, FORM_RM_IMM8, RW | OP_BITS | OP_LOCK),
	[6] = ALU(ALU_BTR, FORM_RM_IMM8, RW | OP_BITS | OP_LOCK),
	[7] = ALU(ALU_BTC, FORM_RM_IMM8, RW | OP_BITS | OP_LOCK),
};

static const struct opcode group11_c6[8] = {
	ALU(ALU_MOV, FORM_RM_IMM, W | B),
};
static const struct opcode group11_c7[8] = {
	ALU(ALU_MOV, FORM_RM_IMM, W),
};

static const struct opcode one_byte[256] = {
	ARITHMETIC(0x00, ALU_ADD, RW, OP_LOCK),
	ARITHMETIC(0x08, ALU_OR, RW, OP_LOCK),
	ARITHMETIC(0x10, ALU_ADC, RW, OP_LOCK),
	ARITHMETIC(0x18, ALU_SBB, RW, OP_LOCK),
	ARITHMETIC(0x20, ALU_AND, RW, OP_LOCK),
	ARITHMETIC(0x28, ALU_SUB, RW, OP_LOCK),
	ARITHMETIC(0x30, ALU_XOR, RW, OP_LOCK),
	ARITHMETIC(0x38, ALU_CMP, R, 0),
	[0x50] = EIGHT(QUICK(QUICK_PUSH, FORM_REG, OP_D64)),
	[0x58] = EIGHT(QUICK(QUICK_POP, FORM_REG, OP_D64)),
	[0x63] = DO(move_movsx, FORM_REG_RM, W | OP_SRC32),
	[0x68] = QUICK(QUICK_PUSH_IMM, FORM_IMM, OP_D64),
	[0x69] = DO(alu_imul3, FORM_REG_RM_IMM, W),
	[0x6a] = QUICK(QUICK_PUSH_IMM, FORM_IMM8, OP_D64),
	[0x6b] = DO(alu_imul3, FORM_REG_RM_IMM8, W),
	[0x6c] = DO(string_ins, FORM_NONE, B),
	[0x6d] = DO(string_ins, FORM_NONE, 0),
	[0x6e] = DO(string_outs, FORM_NONE, B),
	[0x6f] = DO(string_outs, FORM_NONE, 0),
	[0x70] = EIGHT(QUICK(QUICK_JCC, FORM_IMM8, 0)),
	[0x78] = EIGHT(QUICK(QUICK_JCC, FORM_IMM8, 0)),
	[0x80] = GROUP(group1_80),
	[0x81] = GROUP(group1_81),
	[0x83] = GROUP(group1_83),
	[0x84] = ALU(ALU_TEST, FORM_RM_REG, R | B),
	[0x85] = ALU(ALU_TEST, FORM_RM_REG, R),
	[0x86] = DO(move_xchg, FORM_RM_REG, RW | OP_LOCK | B),
	[0x87] = DO(move_xchg, FORM_RM_REG, RW | OP_LOCK),
	[0x88] = ALU(ALU_MOV, FORM_RM_REG, W | B),
	[0x89] = ALU(ALU_MOV, FORM_RM_REG, W),
	[0x8a] = ALU(ALU_MOV, FORM_REG_RM, W | B),
	[0x8b] = ALU(ALU_MOV, FORM_REG_RM, W),
	[0x8d] = QUICK(QUICK_LEA, FORM_REG_RM, OP_MEMORY),
	[0x90] = QUICK(QUICK_NOTHING, FORM_NONE, 0),
	[0x9c] = QUICK(QUICK_PUSHF, FORM_NONE, OP_D64),
	[0x9d] = QUICK(QUICK_POPF, FORM_NONE, OP_D64),
	[0xa0] = ALU(ALU_MOV, FORM_ACC_MOFFS, W | B),
	[0xa1] = ALU(ALU_MOV, FORM_ACC_MOFFS, W),
	[0xa2] = ALU(ALU_MOV, FORM_MOFFS_ACC, W | B),
	[0xa3] = ALU(ALU_MOV, FORM_MOFFS_ACC, W),
	[0xa4] = DO(string_movs, FORM_NONE, B),
	[0xa5] = DO(string_movs, FORM_NONE, 0),
	[0xa6] = DO(string_cmps, FORM_NONE, B),
	[0xa7] = DO(string_cmps, FORM_NONE, 0),
	[0xa8] = ALU(ALU_TEST, FORM_ACC_IMM, R | B),
	[0xa9] = ALU(ALU_TEST, FORM_ACC_IMM, R),
	[0xaa] = DO(string_stos, FORM_NONE, B),
	[0xab] = DO(string_stos, FORM_NONE, 0),
	[0xac] = DO(string_lods, FORM_NONE, B),
	[0xad] = DO(string_lods, FORM_NONE, 0),
	[0xae] = DO(string_scas, FORM_NONE, B),
	[0xaf] = DO(string_scas, FORM_NONE, 0),
	[0xb0] = EIGHT(ALU(ALU_MOV, FORM_REG_IMM, W | B)),
	[0xb8] = EIGHT(ALU(ALU_MOV, FORM_REG_IMM, W)),
	[0xc0] = GROUP(group2_c0),
	[0xc1] = GROUP(group2_c1),
	[0xc3] = QUICK(QUICK_RET, FORM_NONE, OP_D64),
	[0xc6] = GROUP(group11_c6),
	[0xc7] = GROUP(group11_c7),
	[0xc9] = QUICK(QUICK_LEAVE, FORM_NONE, OP_D64),
	[0xd0] = GROUP(group2_d0),
	[0xd1] = GROUP(group2_d1),
	[0xd2] = GROUP(group2_d2),
	[0xd3] = GROUP(group2_d3),
	[0xe4] = QUICK(QUICK_IN, FORM_IMM8, B),
	[0xe5] = QUICK(QUICK_IN, FORM_IMM8, 0),
	[0xe6] = QUICK(QUICK_OUT, FORM_IMM8, B),
	[0xe7] = QUICK(QUICK_OUT, FORM_IMM8, 0),
	[0xe8] = QUICK(QUICK_CALL, FORM_IMM, OP_D64),
	[0xe9] = QUICK(QUICK_JMP, FORM_IMM, OP_D64),
	[0xeb] = QUICK(QUICK_JMP, FORM_IMM8, OP_D64),
	[0xec] = QUICK(QUICK_IN, FORM_NONE, B),
	[0xed] = QUICK(QUICK_IN, FORM_NONE, 0),
	[0xee] = QUICK(QUICK_OUT, FORM_NONE, B),
	[0xef] = QUICK(QUICK_OUT, FORM_NONE, 0),
	[0xf6] = GROUP(group3_f6),
	[0xf7] = GROUP(group3_f7),
	[0xfa] = QUICK(QUICK_CLI, FORM_NONE, 0),
	[0xfb] = QUICK(QUICK_STI, FORM_NONE, 0),
	[0xfe] = GROUP(group4_fe),
	[0xff] = GROUP(group5_ff),
};

static const struct opcode two_byte[256] = {
	[0x0d] = DO(move_nothing, FORM_NONE, OP_MODRM),
	[0x18] = DO(move_nothing, FORM_NONE, OP_MODRM),
	[0x1e] = QUICK(QUICK_ENDBR, FORM_NONE, OP_MODRM),
	[0x1f] = DO(move_nothing, FORM_NONE, OP_MODRM),
	[0x40] = EIGHT(DO(move_cmov, FORM_REG_RM, RW)),
	[0x48] = EIGHT(DO(move_cmov, FORM_REG_RM, RW)),
	[0x80] = EIGHT(QUICK(QUICK_JCC, FORM_IMM, OP_D64)),
	[0x88] = EIGHT(QUICK(QUICK_JCC, FORM_IMM, OP_D64)),
	[0x90] = EIGHT(DO(move_setcc, FORM_RM, W | B)),
	[0x98] = EIGHT(DO(move_setcc, FORM_RM, W | B)),
	[0xa2] = QUICK(QUICK_CPUID, FORM_NONE, 0),
	[0xa3] = ALU(ALU_BT, FORM_RM_REG, R | OP_BITS),
	[0xab] = ALU(ALU_BTS, FORM_RM_REG, RW | OP_BITS | OP_LOCK),
	[0xaf] = ALU(ALU_IMUL, FORM_REG_RM, RW),
	[0xb0] = DO(move_cmpxchg, FORM_RM_REG, RW | OP_LOCK | B | OP_MEMORY),
	[0xb1] = DO(move_cmpxchg, FORM_RM_REG, RW | OP_LOCK | OP_MEMORY),
	[0xb3] = ALU(ALU_BTR, FORM_RM_REG, RW | OP_BITS | OP_LOCK),
	[0xb6] = ALU(ALU_MOV, FORM_REG_RM, W | OP_SRC8),
	[0xb7] = ALU(ALU_MOV, FORM_REG_RM, W | OP_SRC16),
	[0xba] = GROUP(group8_ba),
	[0xbb] = ALU(ALU_BTC, FORM_RM_REG, RW | OP_BITS | OP_LOCK),
	[0xbe] = DO(move_movsx, FORM_REG_RM, W | OP_SRC8),
	[0xbf] = DO(move_movsx, FORM_REG_RM, W | OP_SRC16),
	[0xc0] = DO(move_xadd, FORM_RM_REG, RW | OP_LOCK | B),
	[0xc1] = DO(move_xadd, FORM_RM_REG, RW | OP_LOCK),
	[0xc3] = DO(move_movnti, FORM_RM_REG, W | OP_MEMORY),
};

static const struct opcode movbe_load = DO(move_movbe, FORM_REG_RM, W | OP_MEMORY);
static const struct opcode movbe_store = DO(move_movbe, FORM_RM_REG, W | OP_MEMORY);

bool opcode_is_known(const struct opcode *op)
{
	return op->run != NULL || op->operation != 0;
}

const struct opcode *opcode_find(uint16_t code)
{
	const struct opcode *op = NULL;

	if (code == 0x38f0)
		return &movbe_load;
	if (code == 0x38f1)
		return &movbe_store;
	if (code < COUNT(one_byte))
		op = &one_byte[code];
	else if (code >> 8 == 0x0f)
		op = &two_byte[code & 0xff];
	return op != NULL && (op->group != NULL || opcode_is_known(op)) ? op : NULL;
}
