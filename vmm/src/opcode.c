/*
 * The instructions that the emulator knows. Flags say what happens to the
 * destination: R reads it, W writes it.
 */
#include <stddef.h>

#include "alu.h"

enum { RW = OP_READS | OP_WRITES, R = OP_READS, W = OP_WRITES, B = OP_BYTE };

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* The eight operations of 00..3f and of group 1, four encodings of each. */
#define ARITHMETIC(first, operation, flags)                             \
	[(first) + 0] = {operation, NULL, FORM_RM_REG, (flags) | B},      \
	[(first) + 1] = {operation, NULL, FORM_RM_REG, (flags)},          \
	[(first) + 2] = {operation, NULL, FORM_REG_RM,                    \
			 ((flags) & ~OP_LOCK) | B},                       \
	[(first) + 3] = {operation, NULL, FORM_REG_RM, (flags) & ~OP_LOCK}

#define GROUP1(form, flags)                                       \
	{                                                         \
		{alu_add, NULL, form, RW | OP_LOCK | (flags)},    \
		{alu_or, NULL, form, RW | OP_LOCK | (flags)},     \
		{alu_adc, NULL, form, RW | OP_LOCK | (flags)},    \
		{alu_sbb, NULL, form, RW | OP_LOCK | (flags)},    \
		{alu_and, NULL, form, RW | OP_LOCK | (flags)},    \
		{alu_sub, NULL, form, RW | OP_LOCK | (flags)},    \
		{alu_xor, NULL, form, RW | OP_LOCK | (flags)},    \
		{alu_cmp, NULL, form, R | (flags)},               \
	}

static const struct opcode group1_80[8] = GROUP1(FORM_RM_IMM, B);
static const struct opcode group1_81[8] = GROUP1(FORM_RM_IMM, 0);
static const struct opcode group1_83[8] = GROUP1(FORM_RM_IMM8, 0);

#define SHIFT(form, flags) {alu_shift, NULL, form, RW | (flags)}
#define GROUP2(form, flags)                                              \
	{                                                                \
		SHIFT(form, flags), SHIFT(form, flags),                  \
		SHIFT(form, flags), SHIFT(form, flags),                  \
		SHIFT(form, flags), SHIFT(form, flags),                  \
		SHIFT(form, flags), SHIFT(form, flags),                  \
	}

static const struct opcode group2_c0[8] = GROUP2(FORM_RM_IMM8, B);
static const struct opcode group2_c1[8] = GROUP2(FORM_RM_IMM8, 0);
static const struct opcode group2_d0[8] = GROUP2(FORM_RM_ONE, B);
static const struct opcode group2_d1[8] = GROUP2(FORM_RM_ONE, 0);
static const struct opcode group2_d2[8] = GROUP2(FORM_RM_CL, B);
static const struct opcode group2_d3[8] = GROUP2(FORM_RM_CL, 0);

/* DIV and IDIV on a device's register are not worth it. */
#define GROUP3(flags)                                               \
	{                                                           \
		{alu_test, NULL, FORM_RM_IMM, R | (flags)},         \
		{alu_test, NULL, FORM_RM_IMM, R | (flags)},         \
		{alu_not, NULL, FORM_RM, RW | OP_LOCK | (flags)},   \
		{alu_neg, NULL, FORM_RM, RW | OP_LOCK | (flags)},   \
		{alu_mul, NULL, FORM_RM, R | (flags)},              \
		{alu_imul1, NULL, FORM_RM, R | (flags)},            \
	}

static const struct opcode group3_f6[8] = GROUP3(B);
static const struct opcode group3_f7[8] = GROUP3(0);

#define GROUP4(flags)                                             \
	{                                                         \
		{alu_inc, NULL, FORM_RM, RW | OP_LOCK | (flags)}, \
		{alu_dec, NULL, FORM_RM, RW | OP_LOCK | (flags)}, \
	}

static const struct opcode group4_fe[8] = GROUP4(B);
static const struct opcode group5_ff[8] = GROUP4(0);

static const struct opcode group8_ba[8] = {
	[4] = {alu_bt, NULL, FORM_RM_IMM8, R | OP_BITS},
	[5] = {alu_bts, NULL, FORM_RM_IMM8, RW | OP_BITS | OP_LOCK},
	[6] = {alu_btr, NULL, FORM_RM_IMM8, RW | OP_BITS | OP_LOCK},
	[7] = {alu_btc, NULL, FORM_RM_IMM8, RW | OP_BITS | OP_LOCK},
};

static const struct opcode group11_c6[8] = {
	{move_mov, NULL, FORM_RM_IMM, W | B},
};
static const struct opcode group11_c7[8] = {
	{move_mov, NULL, FORM_RM_IMM, W},
};

static const struct opcode one_byte[256] = {
	ARITHMETIC(0x00, alu_add, RW | OP_LOCK),
	ARITHMETIC(0x08, alu_or, RW | OP_LOCK),
	ARITHMETIC(0x10, alu_adc, RW | OP_LOCK),
	ARITHMETIC(0x18, alu_sbb, RW | OP_LOCK),
	ARITHMETIC(0x20, alu_and, RW | OP_LOCK),
	ARITHMETIC(0x28, alu_sub, RW | OP_LOCK),
	ARITHMETIC(0x30, alu_xor, RW | OP_LOCK),
	ARITHMETIC(0x38, alu_cmp, R),
	[0x63] = {move_movsx, NULL, FORM_REG_RM, W | OP_SRC32},
	[0x69] = {alu_imul3, NULL, FORM_REG_RM_IMM, W},
	[0x6b] = {alu_imul3, NULL, FORM_REG_RM_IMM8, W},
	[0x6c] = {string_ins, NULL, FORM_NONE, B},
	[0x6d] = {string_ins, NULL, FORM_NONE, 0},
	[0x6e] = {string_outs, NULL, FORM_NONE, B},
	[0x6f] = {string_outs, NULL, FORM_NONE, 0},
	[0x80] = {NULL, group1_80, FORM_GROUP, 0},
	[0x81] = {NULL, group1_81, FORM_GROUP, 0},
	[0x83] = {NULL, group1_83, FORM_GROUP, 0},
	[0x84] = {alu_test, NULL, FORM_RM_REG, R | B},
	[0x85] = {alu_test, NULL, FORM_RM_REG, R},
	[0x86] = {move_xchg, NULL, FORM_RM_REG, RW | OP_LOCK | B},
	[0x87] = {move_xchg, NULL, FORM_RM_REG, RW | OP_LOCK},
	[0x88] = {move_mov, NULL, FORM_RM_REG, W | B},
	[0x89] = {move_mov, NULL, FORM_RM_REG, W},
	[0x8a] = {move_mov, NULL, FORM_REG_RM, W | B},
	[0x8b] = {move_mov, NULL, FORM_REG_RM, W},
	[0xa0] = {move_mov, NULL, FORM_ACC_MOFFS, W | B},
	[0xa1] = {move_mov, NULL, FORM_ACC_MOFFS, W},
	[0xa2] = {move_mov, NULL, FORM_MOFFS_ACC, W | B},
	[0xa3] = {move_mov, NULL, FORM_MOFFS_ACC, W},
	[0xa4] = {string_movs, NULL, FORM_NONE, B},
	[0xa5] = {string_movs, NULL, FORM_NONE, 0},
	[0xa6] = {string_cmps, NULL, FORM_NONE, B},
	[0xa7] = {string_cmps, NULL, FORM_NONE, 0},
	[0xaa] = {string_stos, NULL, FORM_NONE, B},
	[0xab] = {string_stos, NULL, FORM_NONE, 0},
	[0xac] = {string_lods, NULL, FORM_NONE, B},
	[0xad] = {string_lods, NULL, FORM_NONE, 0},
	[0xae] = {string_scas, NULL, FORM_NONE, B},
	[0xaf] = {string_scas, NULL, FORM_NONE, 0},
	[0xc0] = {NULL, group2_c0, FORM_GROUP, 0},
	[0xc1] = {NULL, group2_c1, FORM_GROUP, 0},
	[0xc6] = {NULL, group11_c6, FORM_GROUP, 0},
	[0xc7] = {NULL, group11_c7, FORM_GROUP, 0},
	[0xd0] = {NULL, group2_d0, FORM_GROUP, 0},
	[0xd1] = {NULL, group2_d1, FORM_GROUP, 0},
	[0xd2] = {NULL, group2_d2, FORM_GROUP, 0},
	[0xd3] = {NULL, group2_d3, FORM_GROUP, 0},
	[0xf6] = {NULL, group3_f6, FORM_GROUP, 0},
	[0xf7] = {NULL, group3_f7, FORM_GROUP, 0},
	[0xfe] = {NULL, group4_fe, FORM_GROUP, 0},
	[0xff] = {NULL, group5_ff, FORM_GROUP, 0},
};

#define CMOV {move_cmov, NULL, FORM_REG_RM, RW}
#define SETCC {move_setcc, NULL, FORM_RM, W | B}

static const struct opcode two_byte[256] = {
	[0x0d] = {move_nothing, NULL, FORM_NONE, OP_MODRM},
	[0x18] = {move_nothing, NULL, FORM_NONE, OP_MODRM},
	[0x1f] = {move_nothing, NULL, FORM_NONE, OP_MODRM},
	[0x40] = CMOV, CMOV, CMOV, CMOV, CMOV, CMOV, CMOV, CMOV,
	[0x48] = CMOV, CMOV, CMOV, CMOV, CMOV, CMOV, CMOV, CMOV,
	[0x90] = SETCC, SETCC, SETCC, SETCC, SETCC, SETCC, SETCC, SETCC,
	[0x98] = SETCC, SETCC, SETCC, SETCC, SETCC, SETCC, SETCC, SETCC,
	[0xa3] = {alu_bt, NULL, FORM_RM_REG, R | OP_BITS},
	[0xab] = {alu_bts, NULL, FORM_RM_REG, RW | OP_BITS | OP_LOCK},
	[0xaf] = {alu_imul, NULL, FORM_REG_RM, RW},
	[0xb0] = {move_cmpxchg, NULL, FORM_RM_REG, RW | OP_LOCK | B},
	[0xb1] = {move_cmpxchg, NULL, FORM_RM_REG, RW | OP_LOCK},
	[0xb3] = {alu_btr, NULL, FORM_RM_REG, RW | OP_BITS | OP_LOCK},
	[0xb6] = {move_mov, NULL, FORM_REG_RM, W | OP_SRC8},
	[0xb7] = {move_mov, NULL, FORM_REG_RM, W | OP_SRC16},
	[0xba] = {NULL, group8_ba, FORM_GROUP, 0},
	[0xbb] = {alu_btc, NULL, FORM_RM_REG, RW | OP_BITS | OP_LOCK},
	[0xbe] = {move_movsx, NULL, FORM_REG_RM, W | OP_SRC8},
	[0xbf] = {move_movsx, NULL, FORM_REG_RM, W | OP_SRC16},
	[0xc0] = {move_xadd, NULL, FORM_RM_REG, RW | OP_LOCK | B},
	[0xc1] = {move_xadd, NULL, FORM_RM_REG, RW | OP_LOCK},
	[0xc3] = {move_movnti, NULL, FORM_RM_REG, W | OP_MEMORY},
};

static const struct opcode movbe_load = {
	move_movbe, NULL, FORM_REG_RM, W | OP_MEMORY,
};
static const struct opcode movbe_store = {
	move_movbe, NULL, FORM_RM_REG, W | OP_MEMORY,
};

const struct opcode *opcode_find(uint16_t code)
{
	const struct opcode *op = NULL;

	if (code == 0x38f0) {
		return &movbe_load;
	}
	if (code == 0x38f1) {
		return &movbe_store;
	}
	if (code < COUNT(one_byte)) {
		op = &one_byte[code];
	} else if (code >> 8 == 0x0f) {
		op = &two_byte[code & 0xff];
	}
	return op != NULL && (op->run != NULL || op->group != NULL) ? op : NULL;
}
