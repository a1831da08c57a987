/*
 * Emulated string instructions: MOVS, CMPS, STOS, LODS, SCAS, INS, OUTS.
 *
 * RCX, RSI and RDI are updated after each iteration, so that a fault or the end
 * of our patience in the middle leaves a state from which the instruction goes
 * on, as on hardware.
 */
#include "alu.h"

enum {
	USES_SI = 1 << 0, /* reads DS:RSI */
	USES_DI = 1 << 1, /* uses ES:RDI */
	WRITES_DI = 1 << 2,
	COMPARES = 1 << 3, /* REPE and REPNE look at ZF */
};

struct string {
	unsigned flags;
	/* One iteration; what it uses of the places is located. */
	void (*run)(struct emulation *e, const struct place *si, const struct place *di);
};

static void advance(struct emulation *e, unsigned reg)
{
	unsigned width = e->insn.address_bytes;
	uint64_t value = emulate_reg(e, reg, width);

	if (e->utcb->rflags & RFLAGS_DF)
		value -= e->bytes;
	else
		value += e->bytes;
	emulate_set_reg(e, reg, width, value);
}

static enum outcome locate(struct emulation *e, unsigned seg, unsigned reg, unsigned access,
			   struct place *place)
{
	uint64_t gva;
	uint64_t offset = emulate_reg(e, reg, e->insn.address_bytes);
	enum outcome out = emulate_segment(e, seg, offset, e->bytes, access, &gva);

	return out == OUTCOME_DONE ? linear_locate(&e->linear, gva, e->bytes, access, place) : out;
}

static enum outcome iterate(struct emulation *e, const struct string *s)
{
	struct place si, di;
	enum outcome out = OUTCOME_DONE;

	if (s->flags & USES_SI) {
		out = locate(e, e->insn.segment != SEGS ? e->insn.segment : SEG_DS, REG_RSI, 0,
			     &si);
	}
	if (out == OUTCOME_DONE && (s->flags & USES_DI))
		out = locate(e, SEG_ES, REG_RDI, s->flags & WRITES_DI ? ACCESS_WRITE : 0, &di);
	if (out != OUTCOME_DONE)
		return out;
	s->run(e, &si, &di);
	if (s->flags & USES_SI)
		advance(e, REG_RSI);
	if (s->flags & USES_DI)
		advance(e, REG_RDI);
	return OUTCOME_DONE;
}

/* After an iteration: does REPE or REPNE end here? */
static bool is_decided(const struct emulation *e, const struct string *s)
{
	bool equal = (e->utcb->rflags & RFLAGS_ZF) != 0;

	return (s->flags & COMPARES) && equal != (e->insn.rep == REP_E);
}

static enum outcome repeat(struct emulation *e, const struct string *s)
{
	unsigned width = e->insn.address_bytes;

	if (e->insn.rep == REP_NONE)
		return iterate(e, s);
	for (unsigned n = 0; n < EMULATE_ITERATIONS; n++) {
		uint64_t count = emulate_reg(e, REG_RCX, width);

		if (count == 0)
			return OUTCOME_DONE;

		enum outcome out = iterate(e, s);

		if (out != OUTCOME_DONE)
			return out;
		emulate_set_reg(e, REG_RCX, width, count - 1);
		if (is_decided(e, s))
			return OUTCOME_DONE;
	}
	return emulate_reg(e, REG_RCX, width) == 0 ? OUTCOME_DONE : OUTCOME_AGAIN;
}

static void movs(struct emulation *e, const struct place *si, const struct place *di)
{
	place_write(&e->linear, di, place_read(&e->linear, si));
}

static void cmps(struct emulation *e, const struct place *si, const struct place *di)
{
	uint64_t source = place_read(&e->linear, si);

	(void)alu_do(e, ALU_CMP, source, place_read(&e->linear, di));
}

static void stos(struct emulation *e, const struct place *, const struct place *di)
{
	place_write(&e->linear, di, emulate_reg(e, REG_RAX, e->bytes));
}

static void lods(struct emulation *e, const struct place *si, const struct place *)
{
	emulate_set_reg(e, REG_RAX, e->bytes, place_read(&e->linear, si));
}

static void scas(struct emulation *e, const struct place *, const struct place *di)
{
	(void)alu_do(e, ALU_CMP, emulate_reg(e, REG_RAX, e->bytes), place_read(&e->linear, di));
}

static void ins(struct emulation *e, const struct place *, const struct place *di)
{
	uint64_t port = emulate_reg(e, REG_RDX, 2);

	place_write(&e->linear, di, e->ports->read(e->ports->opaque, port, e->bytes));
}

static void outs(struct emulation *e, const struct place *si, const struct place *)
{
	uint64_t port = emulate_reg(e, REG_RDX, 2);

	e->ports->write(e->ports->opaque, port, e->bytes, place_read(&e->linear, si));
}

enum outcome string_movs(struct emulation *e)
{
	static const struct string s = {USES_SI | USES_DI | WRITES_DI, movs};

	return repeat(e, &s);
}

enum outcome string_cmps(struct emulation *e)
{
	static const struct string s = {USES_SI | USES_DI | COMPARES, cmps};

	return repeat(e, &s);
}

enum outcome string_stos(struct emulation *e)
{
	static const struct string s = {USES_DI | WRITES_DI, stos};

	return repeat(e, &s);
}

enum outcome string_lods(struct emulation *e)
{
	static const struct string s = {USES_SI, lods};

	return repeat(e, &s);
}

enum outcome string_scas(struct emulation *e)
{
	static const struct string s = {USES_DI | COMPARES, scas};

	return repeat(e, &s);
}

/* INS and OUTS have no 64-bit form, and are for port exits only. */
static enum outcome port_string(struct emulation *e, const struct string *s)
{
	if (e->ports == NULL)
		return OUTCOME_UNKNOWN;
	if (e->bytes == 8)
		e->bytes = 4;
	return repeat(e, s);
}

enum outcome string_ins(struct emulation *e)
{
	static const struct string s = {USES_DI | WRITES_DI, ins};

	return port_string(e, &s);
}

enum outcome string_outs(struct emulation *e)
{
	static const struct string s = {USES_SI, outs};

	return port_string(e, &s);
}
