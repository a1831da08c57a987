/*
 * What the emulated instructions do: each takes its operands from e->dst and
 * e->src, leaves the result in e->dst and the flags in RFLAGS. Flags that the
 * manual leaves undefined stay as they were.
 */
#pragma once

#include "emulate.h"

enum outcome alu_add(struct emulation *e);
enum outcome alu_or(struct emulation *e);
enum outcome alu_adc(struct emulation *e);
enum outcome alu_sbb(struct emulation *e);
enum outcome alu_and(struct emulation *e);
enum outcome alu_sub(struct emulation *e);
enum outcome alu_xor(struct emulation *e);
enum outcome alu_cmp(struct emulation *e);
enum outcome alu_test(struct emulation *e);
enum outcome alu_inc(struct emulation *e);
enum outcome alu_dec(struct emulation *e);
enum outcome alu_not(struct emulation *e);
enum outcome alu_neg(struct emulation *e);
enum outcome alu_shift(struct emulation *e);	/* all eight, by ModRM.reg */
enum outcome alu_mul(struct emulation *e);
enum outcome alu_imul1(struct emulation *e);
enum outcome alu_imul(struct emulation *e);
enum outcome alu_imul3(struct emulation *e);
enum outcome alu_bt(struct emulation *e);
enum outcome alu_bts(struct emulation *e);
enum outcome alu_btr(struct emulation *e);
enum outcome alu_btc(struct emulation *e);

enum outcome move_mov(struct emulation *e);
enum outcome move_movsx(struct emulation *e);
enum outcome move_movbe(struct emulation *e);
enum outcome move_movnti(struct emulation *e);
enum outcome move_xchg(struct emulation *e);
enum outcome move_xadd(struct emulation *e);
enum outcome move_cmpxchg(struct emulation *e);
enum outcome move_cmov(struct emulation *e);
enum outcome move_setcc(struct emulation *e);
enum outcome move_nothing(struct emulation *e);	/* PREFETCH */

enum outcome string_movs(struct emulation *e);
enum outcome string_cmps(struct emulation *e);
enum outcome string_stos(struct emulation *e);
enum outcome string_lods(struct emulation *e);
enum outcome string_scas(struct emulation *e);
enum outcome string_ins(struct emulation *e);
enum outcome string_outs(struct emulation *e);

/* The flags of dst - src, as CMP sets them. */
void alu_compare(struct emulation *e, uint64_t dst, uint64_t src);

/* Sign-extend what is bytes wide to 64 bits. */
static inline uint64_t alu_sign_extend(uint64_t value, unsigned bytes)
{
	unsigned unused = 64 - 8 * bytes;

	return (uint64_t)((int64_t)(value << unused) >> unused);
}
