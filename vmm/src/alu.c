#include "alu.h"

static uint64_t mask(const struct emulation *e)
{
	return e->bytes < 8 ? (1ull << 8 * e->bytes) - 1 : ~0ull;
}

static uint64_t sign(const struct emulation *e)
{
	return 1ull << (8 * e->bytes - 1);
}

static uint64_t carry_in(const struct emulation *e)
{
	return e->utcb->rflags & RFLAGS_CF;
}

/* ZF, SF and PF of a result. */
static uint64_t zsp(const struct emulation *e, uint64_t result)
{
	uint64_t flags = 0;

	if ((result & mask(e)) == 0) {
		flags |= RFLAGS_ZF;
	}
	if (result & sign(e)) {
		flags |= RFLAGS_SF;
	}
	if (!__builtin_parity((unsigned)(result & 0xff))) {
		flags |= RFLAGS_PF;
	}
	return flags;
}

static uint64_t add(struct emulation *e, uint64_t a, uint64_t b, uint64_t carry,
		    uint64_t which)
{
	uint64_t r = (a + b + carry) & mask(e);
	uint64_t flags = zsp(e, r);

	if (r < a || (carry && r == a)) {
		flags |= RFLAGS_CF;
	}
	if ((a ^ r) & (b ^ r) & sign(e)) {
		flags |= RFLAGS_OF;
	}
	flags |= (a ^ b ^ r) & RFLAGS_AF;
	emulate_set_flags(e, which, flags);
	return r;
}

static uint64_t sub(struct emulation *e, uint64_t a, uint64_t b,
		    uint64_t borrow, uint64_t which)
{
	uint64_t r = (a - b - borrow) & mask(e);
	uint64_t flags = zsp(e, r);

	if (a < b || (borrow && a == b)) {
		flags |= RFLAGS_CF;
	}
	if ((a ^ b) & (a ^ r) & sign(e)) {
		flags |= RFLAGS_OF;
	}
	flags |= (a ^ b ^ r) & RFLAGS_AF;
	emulate_set_flags(e, which, flags);
	return r;
}

static uint64_t logic(struct emulation *e, uint64_t r)
{
	emulate_set_flags(e, RFLAGS_STATUS & ~(uint64_t)RFLAGS_AF, zsp(e, r));
	return r & mask(e);
}

enum outcome alu_add(struct emulation *e)
{
	e->dst = add(e, e->dst, e->src, 0, RFLAGS_STATUS);
	return OUTCOME_DONE;
}

enum outcome alu_adc(struct emulation *e)
{
	e->dst = add(e, e->dst, e->src, carry_in(e), RFLAGS_STATUS);
	return OUTCOME_DONE;
}

enum outcome alu_sub(struct emulation *e)
{
	e->dst = sub(e, e->dst, e->src, 0, RFLAGS_STATUS);
	return OUTCOME_DONE;
}

enum outcome alu_sbb(struct emulation *e)
{
	e->dst = sub(e, e->dst, e->src, carry_in(e), RFLAGS_STATUS);
	return OUTCOME_DONE;
}

void alu_compare(struct emulation *e, uint64_t dst, uint64_t src)
{
	sub(e, dst, src, 0, RFLAGS_STATUS);
}

enum outcome alu_cmp(struct emulation *e)
{
	alu_compare(e, e->dst, e->src);
	return OUTCOME_DONE;
}

enum outcome alu_or(struct emulation *e)
{
	e->dst = logic(e, e->dst | e->src);
	return OUTCOME_DONE;
}

enum outcome alu_and(struct emulation *e)
{
	e->dst = logic(e, e->dst & e->src);
	return OUTCOME_DONE;
}

enum outcome alu_xor(struct emulation *e)
{
	e->dst = logic(e, e->dst ^ e->src);
	return OUTCOME_DONE;
}

enum outcome alu_test(struct emulation *e)
{
	logic(e, e->dst & e->src);
	return OUTCOME_DONE;
}

enum outcome alu_inc(struct emulation *e)
{
	e->dst = add(e, e->dst, 1, 0, RFLAGS_STATUS & ~(uint64_t)RFLAGS_CF);
	return OUTCOME_DONE;
}

enum outcome alu_dec(struct emulation *e)
{
	e->dst = sub(e, e->dst, 1, 0, RFLAGS_STATUS & ~(uint64_t)RFLAGS_CF);
	return OUTCOME_DONE;
}

enum outcome alu_not(struct emulation *e)
{
	e->dst = ~e->dst & mask(e);
	return OUTCOME_DONE;
}

enum outcome alu_neg(struct emulation *e)
{
	e->dst = sub(e, 0, e->dst, 0, RFLAGS_STATUS);
	return OUTCOME_DONE;
}

/*
 * The shifts and rotates. Counts are masked to 5 or 6 bits; a count of 0
 * touches no flag. OF is defined for a count of 1 only; it is computed for all.
 */

/* ROL and RCL: one bit to the left, a step of the slow but plain way. */
static uint64_t rotate_left_once(uint64_t value, unsigned bits, uint64_t in,
				 uint64_t *out)
{
	*out = value >> (bits - 1) & 1;
	return value << 1 | in;
}

static void rotate(struct emulation *e, unsigned count, bool through_carry,
		   bool right)
{
	unsigned bits = 8 * e->bytes;
	unsigned period = through_carry ? bits + 1 : bits;
	uint64_t value = e->dst, carry = carry_in(e);
	unsigned left = count % period;

	if (right) {
		left = (period - left) % period;
	}
	for (unsigned n = 0; n < left; n++) {
		uint64_t out;
		uint64_t in = through_carry ? carry :
					      value >> (bits - 1) & 1;

		value = rotate_left_once(value, bits, in, &out) & mask(e);
		carry = out;
	}
	/* Without the carry in the loop, it is a copy of the last bit moved. */
	uint64_t top = value >> (bits - 1) & 1;

	if (!through_carry) {
		carry = right ? top : value & 1;
	}
	uint64_t overflow = right ? top ^ (value >> (bits - 2) & 1) :
				    top ^ carry;

	e->dst = value;
	emulate_set_flags(e, RFLAGS_CF | RFLAGS_OF,
			  carry | (overflow ? RFLAGS_OF : 0));
}

static void shift_left(struct emulation *e, unsigned count)
{
	unsigned bits = 8 * e->bytes;
	uint64_t carry = count <= bits ? e->dst >> (bits - count) & 1 : 0;
	uint64_t r = count < 64 ? e->dst << count & mask(e) : 0;
	uint64_t flags = zsp(e, r) | carry;

	if (((r & sign(e)) != 0) != carry) {
		flags |= RFLAGS_OF;
	}
	e->dst = r;
	emulate_set_flags(e, RFLAGS_STATUS & ~(uint64_t)RFLAGS_AF, flags);
}

static void shift_right(struct emulation *e, unsigned count, bool arithmetic)
{
	uint64_t value = arithmetic ? alu_sign_extend(e->dst, e->bytes) :
				      e->dst;
	uint64_t before = arithmetic ?
				  (uint64_t)((int64_t)value >> (count - 1)) :
				  value >> (count - 1);
	uint64_t r = (arithmetic ? (uint64_t)((int64_t)before >> 1) :
				   before >> 1) & mask(e);
	uint64_t flags = zsp(e, r) | (before & 1);

	if (!arithmetic && (e->dst & sign(e))) {
		flags |= RFLAGS_OF;
	}
	e->dst = r;
	emulate_set_flags(e, RFLAGS_STATUS & ~(uint64_t)RFLAGS_AF, flags);
}

enum outcome alu_shift(struct emulation *e)
{
	unsigned count = (unsigned)e->src & (e->bytes == 8 ? 63 : 31);

	if (count == 0) {
		return OUTCOME_DONE;
	}
	switch (e->insn.reg & 7) {
	case 0:
	case 1:
	case 2:
	case 3:
		rotate(e, count, (e->insn.reg & 2) != 0,
		       (e->insn.reg & 1) != 0);
		break;
	case 5:
		shift_right(e, count, false);
		break;
	case 7:
		shift_right(e, count, true);
		break;
	default:	/* 4, and 6, which does the same */
		shift_left(e, count);
	}
	return OUTCOME_DONE;
}

/* AX or DX:AX and wider, with CF = OF: does the upper half say something? */
static void set_product(struct emulation *e, unsigned __int128 product,
			bool upper)
{
	if (e->bytes == 1) {
		emulate_set_reg(e, REG_RAX, 2, (uint64_t)product);
	} else {
		emulate_set_reg(e, REG_RAX, e->bytes, (uint64_t)product);
		emulate_set_reg(e, REG_RDX, e->bytes,
				(uint64_t)(product >> 8 * e->bytes));
	}
	emulate_set_flags(e, RFLAGS_CF | RFLAGS_OF,
			  upper ? RFLAGS_CF | RFLAGS_OF : 0);
}

enum outcome alu_mul(struct emulation *e)
{
	unsigned __int128 product =
		(unsigned __int128)e->dst * emulate_reg(e, REG_RAX, e->bytes);

	set_product(e, product, product >> 8 * e->bytes != 0);
	return OUTCOME_DONE;
}

static __int128 signed_product(struct emulation *e, uint64_t a, uint64_t b,
			       bool *upper)
{
	__int128 product = (__int128)(int64_t)alu_sign_extend(a, e->bytes) *
			   (int64_t)alu_sign_extend(b, e->bytes);

	*upper = product !=
		 (int64_t)alu_sign_extend((uint64_t)product, e->bytes);
	return product;
}

enum outcome alu_imul1(struct emulation *e)
{
	bool upper;
	__int128 product = signed_product(
		e, e->dst, emulate_reg(e, REG_RAX, e->bytes), &upper);

	set_product(e, (unsigned __int128)product, upper);
	return OUTCOME_DONE;
}

static enum outcome imul(struct emulation *e, uint64_t a, uint64_t b)
{
	bool upper;

	e->dst = (uint64_t)signed_product(e, a, b, &upper) & mask(e);
	emulate_set_flags(e, RFLAGS_CF | RFLAGS_OF,
			  upper ? RFLAGS_CF | RFLAGS_OF : 0);
	return OUTCOME_DONE;
}

enum outcome alu_imul(struct emulation *e)
{
	return imul(e, e->dst, e->src);
}

enum outcome alu_imul3(struct emulation *e)
{
	return imul(e, e->src, e->insn.immediate);
}

/* The bit that BT and its kin mean, within the operand; CF gets its value. */
static uint64_t test_bit(struct emulation *e)
{
	uint64_t bit = 1ull << (e->src & (8 * e->bytes - 1));

	emulate_set_flags(e, RFLAGS_CF, e->dst & bit ? RFLAGS_CF : 0);
	return bit;
}

enum outcome alu_bt(struct emulation *e)
{
	test_bit(e);
	return OUTCOME_DONE;
}

enum outcome alu_bts(struct emulation *e)
{
	e->dst |= test_bit(e);
	return OUTCOME_DONE;
}

enum outcome alu_btr(struct emulation *e)
{
	e->dst &= ~test_bit(e);
	return OUTCOME_DONE;
}

enum outcome alu_btc(struct emulation *e)
{
	e->dst ^= test_bit(e);
	return OUTCOME_DONE;
}
