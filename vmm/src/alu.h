/*
 * What the emulated instructions do: each takes its operands from e->dst and
 * e->src, leaves the result in e->dst and the flags in RFLAGS. Arithmetic is in
 * alu_table.S, by operation and width.
 */
#pragma once

#include "emulate.h"

enum operation {
	/* As encoded: the instructions 00 to 3f, and group 1. */
	ALU_ADD,
	ALU_OR,
	ALU_ADC,
	ALU_SBB,
	ALU_AND,
	ALU_SUB,
	ALU_XOR,
	ALU_CMP,
	/* Group 2; 6 is another 4. */
	ALU_ROL,
	ALU_ROR,
	ALU_RCL,
	ALU_RCR,
	ALU_SHL,
	ALU_SHR,
	ALU_SAL,
	ALU_SAR,
	ALU_TEST,
	ALU_INC,
	ALU_DEC,
	ALU_NOT,
	ALU_NEG,
	ALU_IMUL,
	ALU_BT,
	ALU_BTS,
	ALU_BTR,
	ALU_BTC,
	ALU_MOV,
	ALU_OPERATIONS,
};

/*
 * The status flags of *flags are read and written, other bits must not have an
 * effect on us and have no meaning after. The result is all of the register.
 */
typedef uint64_t alu_function(uint64_t dst, uint64_t src, uint64_t *flags);

/* By log2 of the operands' bytes; NULL where there is no such form. */
extern alu_function *const alu_table[ALU_OPERATIONS][4];

/* e->dst and e->src by the instruction's operation. */
enum outcome alu_run(struct emulation *e);
enum outcome alu_mul(struct emulation *e);
enum outcome alu_imul1(struct emulation *e);
enum outcome alu_imul3(struct emulation *e);

/* Operands of e->bytes: the result; sets the flags. */
uint64_t alu_do(struct emulation *e, enum operation operation, uint64_t dst, uint64_t src);

enum outcome move_movsx(struct emulation *e);
enum outcome move_movbe(struct emulation *e);
enum outcome move_movnti(struct emulation *e);
enum outcome move_xchg(struct emulation *e);
enum outcome move_xadd(struct emulation *e);
enum outcome move_cmpxchg(struct emulation *e);
enum outcome move_cmov(struct emulation *e);
enum outcome move_setcc(struct emulation *e);
enum outcome move_nothing(struct emulation *e); /* PREFETCH */

enum outcome string_movs(struct emulation *e);
enum outcome string_cmps(struct emulation *e);
enum outcome string_stos(struct emulation *e);
enum outcome string_lods(struct emulation *e);
enum outcome string_scas(struct emulation *e);
enum outcome string_ins(struct emulation *e);
enum outcome string_outs(struct emulation *e);

/* Sign-extend what is bytes wide to 64 bits. */
static inline uint64_t alu_sign_extend(uint64_t value, unsigned bytes)
{
	unsigned unused = 64 - 8 * bytes;

	return (uint64_t)((int64_t)(value << unused) >> unused);
}
