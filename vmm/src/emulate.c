/*
 * Decode, locate, load, run, store: the five steps of an instruction, and how
 * operands are addressed. All that can fault is in the first three.
 */
#include "emulate.h"

#include <stddef.h>

enum {				  /* in the type of a descriptor */
       SEGMENT_WRITABLE = 1 << 1, /* of code: readable */
       SEGMENT_DOWN = 1 << 2,
       SEGMENT_CODE = 1 << 3,
};

_Static_assert(offsetof(struct utcb, r15) == offsetof(struct utcb, rax) + 15 * sizeof(uint64_t),
	       "general registers are in the order of their numbers");
_Static_assert(offsetof(struct utcb, gs) ==
		       offsetof(struct utcb, es) + SEG_GS * sizeof(struct segment),
	       "segment registers are in the order of their numbers");

static uint64_t *gpr(struct utcb *u, unsigned reg)
{
	return &u->word[(offsetof(struct utcb, rax) - offsetof(struct utcb, word)) / 8 + reg];
}

static const struct segment *segment(const struct emulation *e, unsigned seg)
{
	const struct utcb *u = e->utcb;
	const struct {
		const struct segment *segment;
		uint64_t mtd;
	} all[SEGS] = {
		{&u->es, MTD_DS_ES}, {&u->cs, MTD_CS_SS}, {&u->ss, MTD_CS_SS},
		{&u->ds, MTD_DS_ES}, {&u->fs, MTD_FS_GS}, {&u->gs, MTD_FS_GS},
	};

	if (e->need != NULL)
		e->need(e->opaque, all[seg].mtd);
	return all[seg].segment;
}

static uint64_t mask(unsigned bytes)
{
	return bytes < 8 ? (1ull << 8 * bytes) - 1 : ~0ull;
}

static bool is_real_mode(const struct utcb *u)
{
	return !(u->cr0 & CR0_PE) || (u->rflags & RFLAGS_VM);
}

static bool is_user(const struct utcb *u)
{
	if (!(u->cr0 & CR0_PE))
		return false;
	return (u->rflags & RFLAGS_VM) || (u->ss.rights & SEGMENT_DPL) == SEGMENT_DPL;
}

unsigned emulate_code_bytes(const struct utcb *u)
{
	if (is_real_mode(u)) {
		/* A segment loaded before may still have its D bit. */
		return !(u->rflags & RFLAGS_VM) && (u->cs.rights & SEGMENT_DB) ? 4 : 2;
	}
	if ((u->efer & EFER_LMA) && (u->cs.rights & SEGMENT_L))
		return 8;
	return u->cs.rights & SEGMENT_DB ? 4 : 2;
}

void emulate_init(struct emulation *e, struct utcb *u, const struct gmem *mem,
		  const struct mmio *mmio, const struct mmio *ports, unsigned address_bits)
{
	e->utcb = u;
	e->ports = ports;
	e->need = NULL;
	e->mtd = 0;
	e->linear = (struct linear){
		.mem = mem,
		.mmio = mmio,
		.paging = {u->cr0, u->cr3, u->cr4, u->efer, u->rflags, address_bits},
		.access = is_user(u) ? ACCESS_USER : 0,
	};
}

/* AH, CH, DH, BH: without REX, byte registers 4 to 7. */
static bool is_high_byte(const struct emulation *e, unsigned reg, unsigned bytes)
{
	return bytes == 1 && e->insn.rex == 0 && reg >= 4 && reg < 8;
}

uint64_t emulate_reg(const struct emulation *e, unsigned reg, unsigned bytes)
{
	if (is_high_byte(e, reg, bytes))
		return *gpr(e->utcb, reg - 4) >> 8 & 0xff;
	return *gpr(e->utcb, reg) & mask(bytes);
}

void emulate_set_reg(struct emulation *e, unsigned reg, unsigned bytes, uint64_t value)
{
	static const uint64_t mtd[8] = {
		MTD_GPR_ACDB, MTD_GPR_ACDB, MTD_GPR_ACDB, MTD_GPR_ACDB,
		MTD_RSP,      MTD_GPR_BSD,  MTD_GPR_BSD,  MTD_GPR_BSD,
	};
	uint64_t keep = bytes >= 4 ? 0 : ~mask(bytes);
	unsigned shift = 0;

	if (is_high_byte(e, reg, bytes)) {
		reg -= 4;
		shift = 8;
		keep = ~0xff00ull;
	}

	uint64_t *to = gpr(e->utcb, reg);

	*to = (*to & keep) | (value & mask(bytes)) << shift;
	e->mtd |= reg < 8 ? mtd[reg] : (uint64_t)MTD_GPR_R8_R15;
}

void emulate_set_flags(struct emulation *e, uint64_t which, uint64_t value)
{
	uint64_t rflags = (e->utcb->rflags & ~which) | (value & which);

	if (rflags != e->utcb->rflags) {
		e->utcb->rflags = rflags;
		e->mtd |= MTD_RFLAGS;
	}
}

enum outcome emulate_fault(struct emulation *e, uint8_t vector)
{
	bool has_error = vector == VECTOR_GP || vector == VECTOR_SS;

	e->linear.fault = (struct exception){vector, has_error, 0, 0};
	return OUTCOME_FAULT;
}

static bool is_canonical(const struct utcb *u, uint64_t gva)
{
	unsigned unused = u->cr4 & CR4_LA57 ? 7 : 16;

	return (uint64_t)((int64_t)(gva << unused) >> unused) == gva;
}

static bool allows(const struct segment *s, unsigned access)
{
	if (s->rights & SEGMENT_UNUSABLE || !(s->rights & SEGMENT_P))
		return false;
	if (s->rights & SEGMENT_CODE) {
		/* Code is readable if the bit says so, never writable. */
		return (access & ACCESS_FETCH) ||
		       (!(access & ACCESS_WRITE) && (s->rights & SEGMENT_WRITABLE));
	}
	return !(access & ACCESS_WRITE) || (s->rights & SEGMENT_WRITABLE);
}

static bool is_within(const struct segment *s, uint64_t offset, unsigned bytes)
{
	uint64_t last = offset + bytes - 1;

	if (!(s->rights & SEGMENT_CODE) && (s->rights & SEGMENT_DOWN))
		return offset > s->limit && last <= (s->rights & SEGMENT_DB ? 0xffffffff : 0xffff);
	return last <= s->limit;
}

enum outcome emulate_segment(struct emulation *e, unsigned seg, uint64_t offset, unsigned bytes,
			     unsigned access, uint64_t *gva)
{
	const struct utcb *u = e->utcb;
	uint8_t vector = seg == SEG_SS ? VECTOR_SS : VECTOR_GP;

	if (e->insn.code_bytes == 8) {
		*gva = seg >= SEG_FS ? segment(e, seg)->base + offset : offset;
		if (!is_canonical(u, *gva) || !is_canonical(u, *gva + bytes - 1))
			return emulate_fault(e, vector);
		return OUTCOME_DONE;
	}

	const struct segment *s = segment(e, seg);

	if (!is_within(s, offset, bytes) || (!is_real_mode(u) && !allows(s, access)))
		return emulate_fault(e, vector);
	*gva = (s->base + offset) & 0xffffffff;
	return OUTCOME_DONE;
}

/* struct code: bytes from RIP on, no further than the segment goes. */
static enum outcome fetch(void *opaque, unsigned offset, uint8_t *to, unsigned most, unsigned *got)
{
	struct emulation *e = opaque;
	const struct utcb *u = e->utcb;
	uint64_t rip = u->rip + offset, gva;

	if (e->insn.code_bytes != 8) {
		uint32_t limit = segment(e, SEG_CS)->limit;

		rip &= 0xffffffff;
		if (rip > limit)
			return emulate_fault(e, VECTOR_GP);
		if (most > limit - rip)
			most = (unsigned)(limit - rip) + 1;
	}

	enum outcome out = emulate_segment(e, SEG_CS, rip, 1, ACCESS_FETCH, &gva);

	return out == OUTCOME_DONE ? linear_fetch(&e->linear, gva, to, most, got) : out;
}

enum outcome emulate_decode(struct emulation *e)
{
	struct code code = {fetch, e};
	enum outcome out = insn_decode(&e->insn, emulate_code_bytes(e->utcb), &code);

	return out == OUTCOME_AGAIN ? emulate_fault(e, VECTOR_GP) : out;
}

/* Bit offsets in a register reach beyond the operand, in both directions. */
static uint64_t bit_displacement(const struct emulation *e)
{
	unsigned bits = 8 * e->bytes;
	unsigned unused = 64 - bits;
	int64_t offset = (int64_t)(emulate_reg(e, e->insn.reg, e->bytes) << unused) >> unused;

	return (uint64_t)(offset >> __builtin_ctz(bits)) * e->bytes;
}

static uint64_t effective_address(const struct emulation *e)
{
	const struct insn *i = &e->insn;
	uint64_t address = (uint64_t)i->displacement;

	if (i->rip_relative)
		address += e->utcb->rip + i->length;
	if (i->base != REG_NONE)
		address += *gpr(e->utcb, i->base);
	if (i->index != REG_NONE)
		address += *gpr(e->utcb, i->index) << i->scale;
	if ((i->op->flags & OP_BITS) && i->op->form == FORM_RM_REG)
		address += bit_displacement(e);
	return address & mask(i->address_bytes);
}

static unsigned operand_segment(const struct insn *i)
{
	if (i->segment != SEGS)
		return i->segment;
	return i->base == REG_RBP || i->base == REG_RSP ? SEG_SS : SEG_DS;
}

static enum outcome locate(struct emulation *e, unsigned bytes, unsigned access)
{
	uint64_t gva;
	enum outcome out = emulate_segment(e, operand_segment(&e->insn), effective_address(e),
					   bytes, access, &gva);

	return out == OUTCOME_DONE ? linear_locate(&e->linear, gva, bytes, access, &e->place) : out;
}

static unsigned source_bytes(const struct emulation *e)
{
	unsigned flags = e->insn.op->flags;

	if (flags & OP_SRC8)
		return 1;
	if (flags & OP_SRC16)
		return 2;
	return flags & OP_SRC32 ? 4 : e->bytes;
}

/* r/m as the source: the destination is a register. */
static enum outcome load_source(struct emulation *e)
{
	const struct insn *i = &e->insn;
	unsigned bytes = source_bytes(e);

	e->dst = emulate_reg(e, i->reg, e->bytes);
	if (i->mod == 3) {
		e->src = emulate_reg(e, i->rm, bytes);
		return OUTCOME_DONE;
	}

	enum outcome out = locate(e, bytes, 0);

	if (out == OUTCOME_DONE)
		e->src = place_read(&e->linear, &e->place);
	return out;
}

/* r/m as the destination. */
static enum outcome load_destination(struct emulation *e)
{
	const struct insn *i = &e->insn;
	unsigned flags = i->op->flags;

	if (i->mod == 3) {
		e->dst = emulate_reg(e, i->rm, e->bytes);
		return OUTCOME_DONE;
	}

	enum outcome out = locate(e, e->bytes, flags & OP_WRITES ? ACCESS_WRITE : 0);

	if (out == OUTCOME_DONE && (flags & OP_READS))
		e->dst = place_read(&e->linear, &e->place);
	return out;
}

/* Absolute address, no ModRM: a memory operand and the accumulator. */
static enum outcome load_moffs(struct emulation *e, bool store)
{
	uint64_t gva;
	unsigned seg = e->insn.segment != SEGS ? e->insn.segment : SEG_DS;
	uint64_t offset = (uint64_t)e->insn.displacement & mask(e->insn.address_bytes);
	unsigned access = store ? ACCESS_WRITE : 0;
	enum outcome out = emulate_segment(e, seg, offset, e->bytes, access, &gva);

	if (out != OUTCOME_DONE)
		return out;
	out = linear_locate(&e->linear, gva, e->bytes, access, &e->place);
	if (out == OUTCOME_DONE) {
		e->src = store ? emulate_reg(e, REG_RAX, e->bytes)
			       : place_read(&e->linear, &e->place);
	}
	return out;
}

static enum outcome load(struct emulation *e)
{
	const struct insn *i = &e->insn;

	switch (i->op->form) {
	case FORM_REG_RM:
	case FORM_REG_RM_IMM:
	case FORM_REG_RM_IMM8:
		return load_source(e);
	case FORM_RM_REG:
		e->src = emulate_reg(e, i->reg, e->bytes);
		return load_destination(e);
	case FORM_ACC_IMM:
		e->dst = emulate_reg(e, REG_RAX, e->bytes);
		[[fallthrough]];
	case FORM_REG_IMM:
		e->src = i->immediate & mask(e->bytes);
		return OUTCOME_DONE;
	case FORM_RM_IMM:
	case FORM_RM_IMM8:
		e->src = i->immediate & mask(e->bytes);
		return load_destination(e);
	case FORM_RM_ONE:
		e->src = 1;
		return load_destination(e);
	case FORM_RM_CL:
		e->src = emulate_reg(e, REG_RCX, 4) & 0xff;
		return load_destination(e);
	case FORM_RM:
		return load_destination(e);
	case FORM_ACC_MOFFS:
		return load_moffs(e, false);
	case FORM_MOFFS_ACC:
		return load_moffs(e, true);
	default:
		return OUTCOME_DONE;
	}
}

static void store(struct emulation *e)
{
	const struct insn *i = &e->insn;

	if (!(i->op->flags & OP_WRITES))
		return;
	switch (i->op->form) {
	case FORM_REG_RM:
	case FORM_REG_RM_IMM:
	case FORM_REG_RM_IMM8:
	case FORM_REG_IMM:
		emulate_set_reg(e, i->reg, e->bytes, e->dst);
		break;
	case FORM_ACC_IMM:
	case FORM_ACC_MOFFS:
		emulate_set_reg(e, REG_RAX, e->bytes, e->dst);
		break;
	case FORM_MOFFS_ACC:
		place_write(&e->linear, &e->place, e->dst);
		break;
	default:
		if (i->mod == 3)
			emulate_set_reg(e, i->rm, e->bytes, e->dst);
		else
			place_write(&e->linear, &e->place, e->dst);
	}
}

enum outcome emulate(struct emulation *e)
{
	enum outcome out = emulate_decode(e);

	if (out != OUTCOME_DONE)
		return out;
	if (e->insn.op->run == NULL)
		return OUTCOME_UNKNOWN;
	e->bytes = e->insn.op->flags & OP_BYTE ? 1 : e->insn.operand_bytes;
	out = load(e);
	if (out == OUTCOME_DONE)
		out = e->insn.op->run(e);
	if (out != OUTCOME_DONE)
		return out;
	store(e);
	e->utcb->rip += e->insn.length;
	if (e->insn.code_bytes != 8)
		e->utcb->rip &= mask(4);
	e->mtd |= MTD_RIP_LEN;
	emulate_set_flags(e, RFLAGS_RF, 0);
	return OUTCOME_DONE;
}
