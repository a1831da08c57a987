/*
 * What the instructions do that quick.c runs, and which function does it.
 * All that can go wrong is looked at first: a step that returns false has
 * changed nothing.
 */
#include "quick.h"

#include "alu.h"

enum {
	PAGE = 4096,
	SLOT = 8, /* of the stack */
	/* What POPF may change at CPL 0, less what we let it change. */
	RFLAGS_KEPT = RFLAGS_TF | RFLAGS_DF | 3 << 12 | 1 << 14 | RFLAGS_AC | 1 << 19 | 1 << 20 |
		      1 << 21,
};

/* Memory. */

static inline uint64_t address(const struct quick *q, const struct quick_op *o)
{
	return o->displacement + q->reg[o->base] + (q->reg[o->index] << o->scale) +
	       q->base[o->segment];
}

/* NULL: not here, or across two pages. */
static inline uint8_t *at(struct quick_page *tlb, uint64_t gva, unsigned bytes)
{
	const struct quick_page *p = quick_page(tlb, gva);
	uint64_t offset = gva % PAGE;

	return p->page == gva - offset && offset + bytes <= PAGE ? p->at + offset : NULL;
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
[[gnu::noinline]] static bool fill(struct quick *q, const struct quick_op *o, uint64_t gva,
				   struct quick_page *tlb)
{
	return quick_page(tlb, gva)->page != (gva & ~(uint64_t)(PAGE - 1)) &&
	       quick_fill(q, tlb, gva, tlb == q->write ? ACCESS_WRITE : 0) && o->step(q, o);
}

static inline bool to_read(struct quick *q, const struct quick_op *o, uint64_t gva)
{
	return fill(q, o, gva, q->read);
}

static inline bool to_write(struct quick *q, const struct quick_op *o, uint64_t gva)
{
	return fill(q, o, gva, q->write);
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

static uint64_t low(uint64_t value, unsigned bytes)
{
	return bytes < 8 ? value & ((1ull << 8 * bytes) - 1) : value;
}

static inline bool next(struct quick *q, const struct quick_op *o)
{
	q->rip = o->next;
	return true;
}

/* Arithmetic, by operands. */

static bool alu_reg_reg(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = o->alu(q->reg[o->dst], q->reg[o->src], &q->flags);
	return next(q, o);
}

static bool alu_reg_imm(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = o->alu(q->reg[o->dst], o->immediate, &q->flags);
	return next(q, o);
}

static bool alu_reg_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, o->bytes);

	if (from == NULL)
		return to_read(q, o, gva);
	q->reg[o->dst] = o->alu(q->reg[o->dst], get(from, o->bytes), &q->flags);
	return next(q, o);
}

static bool alu_mem(struct quick *q, const struct quick_op *o, uint64_t src)
{
	uint64_t gva = address(q, o);
	uint8_t *to = writable(q, gva, o->bytes);

	if (to == NULL)
		return to_write(q, o, gva);
	put(to, o->alu(get(to, o->bytes), src, &q->flags), o->bytes);
	return next(q, o);
}

static bool alu_mem_reg(struct quick *q, const struct quick_op *o)
{
	return alu_mem(q, o, q->reg[o->src]);
}

static bool alu_mem_imm(struct quick *q, const struct quick_op *o)
{
	return alu_mem(q, o, o->immediate);
}

/* CMP, TEST, BT. */
static bool look_mem(struct quick *q, const struct quick_op *o, uint64_t src)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, o->bytes);

	if (from == NULL)
		return to_read(q, o, gva);
	(void)o->alu(get(from, o->bytes), src, &q->flags);
	return next(q, o);
}

static bool look_mem_reg(struct quick *q, const struct quick_op *o)
{
	return look_mem(q, o, q->reg[o->src]);
}

static bool look_mem_imm(struct quick *q, const struct quick_op *o)
{
	return look_mem(q, o, o->immediate);
}

/* A bit string: the offset in the register reaches beyond the operand. */
static bool bt_mem_reg(struct quick *q, const struct quick_op *o)
{
	unsigned shift = 3u + (unsigned)__builtin_ctz(o->bytes);
	int64_t offset = (int64_t)alu_sign_extend(q->reg[o->src], o->bytes);
	uint64_t gva = address(q, o) + (uint64_t)(offset >> shift) * o->bytes;
	const uint8_t *from = readable(q, gva, o->bytes);

	if (from == NULL)
		return to_read(q, o, gva);
	(void)o->alu(get(from, o->bytes), (uint64_t)offset, &q->flags);
	return next(q, o);
}

/* TEST and CMP of AH, CH, DH or BH. */
static bool look_high_imm(struct quick *q, const struct quick_op *o)
{
	(void)o->alu(q->reg[o->dst - REG_RSP] >> 8, o->immediate, &q->flags);
	return next(q, o);
}

static bool xadd_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o), old;
	uint8_t *to = writable(q, gva, o->bytes);

	if (to == NULL)
		return to_write(q, o, gva);
	old = get(to, o->bytes);
	put(to, o->alu(old, q->reg[o->src], &q->flags), o->bytes);
	q->reg[o->src] = old;
	return next(q, o);
}

static bool cmpxchg_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o), old;
	uint8_t *to = writable(q, gva, o->bytes);

	if (to == NULL)
		return to_write(q, o, gva);
	old = get(to, o->bytes);
	(void)o->alu(q->reg[REG_RAX], old, &q->flags);
	if (q->flags & RFLAGS_ZF)
		put(to, q->reg[o->src], o->bytes);
	else
		q->reg[REG_RAX] = old;
	return next(q, o);
}

static bool imul3_reg(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = o->alu(q->reg[o->src], o->immediate, &q->flags);
	return next(q, o);
}

/* Moves. Masks are those of the result. */

static bool mov_reg_reg(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = low(q->reg[o->src], o->bytes);
	return next(q, o);
}

static bool mov_reg_imm(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = low(o->immediate, o->bytes);
	return next(q, o);
}

static bool mov_reg_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, o->bytes);

	if (from == NULL)
		return to_read(q, o, gva);
	q->reg[o->dst] = get(from, o->bytes);
	return next(q, o);
}

static bool mov_mem(struct quick *q, const struct quick_op *o, uint64_t src)
{
	uint64_t gva = address(q, o);
	uint8_t *to = writable(q, gva, o->bytes);

	if (to == NULL)
		return to_write(q, o, gva);
	put(to, src, o->bytes);
	return next(q, o);
}

static bool mov_mem_reg(struct quick *q, const struct quick_op *o)
{
	return mov_mem(q, o, q->reg[o->src]);
}

static bool mov_mem_imm(struct quick *q, const struct quick_op *o)
{
	return mov_mem(q, o, o->immediate);
}

static bool movsx_reg(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = alu_sign_extend(q->reg[o->src], o->bytes) & o->immediate;
	return next(q, o);
}

static bool movsx_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, o->bytes);

	if (from == NULL)
		return to_read(q, o, gva);
	q->reg[o->dst] = alu_sign_extend(get(from, o->bytes), o->bytes) & o->immediate;
	return next(q, o);
}

static bool xchg_reg(struct quick *q, const struct quick_op *o)
{
	uint64_t dst = q->reg[o->dst];

	q->reg[o->dst] = low(q->reg[o->src], o->bytes);
	q->reg[o->src] = low(dst, o->bytes);
	return next(q, o);
}

static bool lea(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = address(q, o) & o->immediate;
	return next(q, o);
}

/* Conditions. */

static inline bool is_met(const struct quick *q, const struct quick_op *o)
{
	bool met = (q->flags & o->flags) != 0;

	if (o->less)
		met |= !(q->flags & RFLAGS_SF) != !(q->flags & RFLAGS_OF);
	return met != o->negated;
}

static bool cmov_reg(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = low(q->reg[is_met(q, o) ? o->src : o->dst], o->bytes);
	return next(q, o);
}

static bool cmov_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, o->bytes);

	if (from == NULL)
		return to_read(q, o, gva);
	q->reg[o->dst] = is_met(q, o) ? get(from, o->bytes) : low(q->reg[o->dst], o->bytes);
	return next(q, o);
}

static bool setcc_reg(struct quick *q, const struct quick_op *o)
{
	q->reg[o->dst] = (q->reg[o->dst] & ~0xffull) | is_met(q, o);
	return next(q, o);
}

static bool setcc_mem(struct quick *q, const struct quick_op *o)
{
	return mov_mem(q, o, is_met(q, o));
}

static bool jcc(struct quick *q, const struct quick_op *o)
{
	q->rip = is_met(q, o) ? o->immediate : o->next;
	return true;
}

/* Branches and the stack. */

/* Push, and go to rip. */
static inline bool push(struct quick *q, const struct quick_op *o, uint64_t value, uint64_t rip)
{
	uint64_t gva = q->reg[REG_RSP] - SLOT;
	uint8_t *to = writable(q, gva, SLOT);

	if (to == NULL)
		return to_write(q, o, gva);
	put(to, value, SLOT);
	q->reg[REG_RSP] = gva;
	q->rip = rip;
	return true;
}

static bool push_reg(struct quick *q, const struct quick_op *o)
{
	return push(q, o, q->reg[o->dst], o->next);
}

static bool push_imm(struct quick *q, const struct quick_op *o)
{
	return push(q, o, o->immediate, o->next);
}

static bool push_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, SLOT);

	if (from == NULL)
		return to_read(q, o, gva);
	return push(q, o, get(from, SLOT), o->next);
}

static bool pop_reg(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = q->reg[REG_RSP];
	const uint8_t *from = readable(q, gva, SLOT);

	if (from == NULL)
		return to_read(q, o, gva);
	q->reg[REG_RSP] += SLOT;
	q->reg[o->dst] = get(from, SLOT);
	return next(q, o);
}

static bool leave(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = q->reg[REG_RBP];
	const uint8_t *from = readable(q, gva, SLOT);

	if (from == NULL)
		return to_read(q, o, gva);
	q->reg[REG_RSP] = gva + SLOT;
	q->reg[REG_RBP] = get(from, SLOT);
	return next(q, o);
}

static bool jmp(struct quick *q, const struct quick_op *o)
{
	q->rip = o->immediate;
	return true;
}

static inline bool jump_to(struct quick *q, uint64_t target)
{
	if (!quick_is_canonical(target))
		return false;
	q->rip = target;
	return true;
}

static bool jmp_reg(struct quick *q, const struct quick_op *o)
{
	return jump_to(q, q->reg[o->dst]);
}

static bool jmp_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, SLOT);

	if (from == NULL)
		return to_read(q, o, gva);
	return jump_to(q, get(from, SLOT));
}

static bool call(struct quick *q, const struct quick_op *o)
{
	return push(q, o, o->next, o->immediate);
}

static bool call_reg(struct quick *q, const struct quick_op *o)
{
	uint64_t target = q->reg[o->dst];

	return quick_is_canonical(target) && push(q, o, o->next, target);
}

static bool call_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o), target;
	const uint8_t *from = readable(q, gva, SLOT);

	if (from == NULL)
		return to_read(q, o, gva);
	target = get(from, SLOT);
	return quick_is_canonical(target) && push(q, o, o->next, target);
}

static bool ret(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = q->reg[REG_RSP];
	const uint8_t *from = readable(q, gva, SLOT);

	if (from == NULL)
		return to_read(q, o, gva);
	if (!jump_to(q, get(from, SLOT)))
		return false;
	q->reg[REG_RSP] += SLOT;
	return true;
}

/* Interrupts. */

static bool pushf(struct quick *q, const struct quick_op *o)
{
	uint64_t flags = q->rflags | (q->flags & RFLAGS_STATUS);

	return push(q, o, flags, o->next);
}

static bool cli(struct quick *q, const struct quick_op *o)
{
	q->rflags &= ~(uint64_t)RFLAGS_IF;
	return next(q, o);
}

/* Interrupts are on, as they were not: if there is one, the run ends. */
static void switched_on(struct quick *q)
{
	if (q->hooks->pending(q->hooks->opaque))
		q->left = 1;
}

static bool popf(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = q->reg[REG_RSP];
	const uint8_t *from = readable(q, gva, SLOT);
	uint64_t value, before = q->rflags;

	if (from == NULL)
		return to_read(q, o, gva);
	value = get(from, SLOT);
	if ((value ^ before) & RFLAGS_KEPT)
		return false;
	q->reg[REG_RSP] += SLOT;
	q->flags = value & RFLAGS_STATUS;
	q->rflags = (before & ~(uint64_t)RFLAGS_IF) | (value & RFLAGS_IF);
	if (q->rflags & ~before & RFLAGS_IF)
		switched_on(q);
	return next(q, o);
}

/*
 * Interrupts are held off behind STI for another instruction, so that it is
 * part of this step: a run never ends between them.
 */
static bool sti(struct quick *q, const struct quick_op *o)
{
	const struct quick_op *second;

	if (q->rflags & RFLAGS_IF)
		return next(q, o);
	q->rflags |= RFLAGS_IF;
	q->rip = o->next;
	second = quick_find(q);
	if (second->step == NULL || !second->step(q, second)) {
		q->rflags &= ~(uint64_t)RFLAGS_IF;
		q->rip = o->rip;
		return false;
	}
	switched_on(q);
	return true;
}

/* The world. */

static uint16_t port(const struct quick *q, const struct quick_op *o)
{
	return (uint16_t)(o->src == QUICK_ZERO ? o->immediate & 0xff : q->reg[o->src]);
}

static bool in(struct quick *q, const struct quick_op *o)
{
	const struct quick_hooks *h = q->hooks;
	uint64_t value = h->ports->read(h->ports->opaque, port(q, o), o->bytes);

	q->reg[REG_RAX] = o->alu(q->reg[REG_RAX], value, &q->flags);
	q->left = h->accessed(h->opaque, o->rip);
	return next(q, o);
}

static bool out(struct quick *q, const struct quick_op *o)
{
	const struct quick_hooks *h = q->hooks;

	h->ports->write(h->ports->opaque, port(q, o), o->bytes, low(q->reg[REG_RAX], o->bytes));
	q->left = h->accessed(h->opaque, o->rip);
	return next(q, o);
}

static bool cpuid(struct quick *q, const struct quick_op *o)
{
	q->hooks->cpuid(q->hooks->opaque, q->reg);
	q->left = q->hooks->accessed(q->hooks->opaque, o->rip);
	return next(q, o);
}

static bool nothing(struct quick *q, const struct quick_op *o)
{
	return next(q, o);
}

/* From struct insn to all this. */

/* By operation: with a register operand, with one in memory. */
struct steps {
	quick_step *reg, *mem;
};

static const struct steps flow[QUICK_END - QUICK_NONE] = {
#define STEPS(operation) [QUICK_##operation - QUICK_NONE]
	STEPS(CALL) = {call, NULL},	    STEPS(CALL_RM) = {call_reg, call_mem},
	STEPS(JMP) = {jmp, NULL},	    STEPS(JMP_RM) = {jmp_reg, jmp_mem},
	STEPS(JCC) = {jcc, NULL},	    STEPS(RET) = {ret, NULL},
	STEPS(PUSH) = {push_reg, NULL},	    STEPS(PUSH_RM) = {push_reg, push_mem},
	STEPS(PUSH_IMM) = {push_imm, NULL}, STEPS(POP) = {pop_reg, NULL},
	STEPS(LEAVE) = {leave, NULL},	    STEPS(PUSHF) = {pushf, NULL},
	STEPS(POPF) = {popf, NULL},	    STEPS(CLI) = {cli, NULL},
	STEPS(STI) = {sti, NULL},	    STEPS(LEA) = {NULL, lea},
	STEPS(NOTHING) = {nothing, NULL},   STEPS(IN) = {in, NULL},
	STEPS(OUT) = {out, NULL},	    STEPS(CPUID) = {cpuid, NULL},
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
		return mem ? mov_mem_reg : bytes >= 4 ? mov_reg_reg : NULL;
	case FORM_RM_IMM:
		return mem ? mov_mem_imm : bytes >= 4 ? mov_reg_imm : NULL;
	case FORM_REG_IMM:
		return bytes >= 4 ? mov_reg_imm : NULL;
	case FORM_REG_RM:
		if (i->op->flags & (OP_SRC8 | OP_SRC16))
			o->bytes = i->op->flags & OP_SRC8 ? 1 : 2;
		if (bytes < 4)
			return NULL;
		return mem ? mov_reg_mem : mov_reg_reg;
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
			return writes ? NULL : bt_mem_reg;
		return !mem ? alu_reg_reg : writes ? alu_mem_reg : look_mem_reg;
	case FORM_REG_RM:
		return mem ? alu_reg_mem : alu_reg_reg;
	case FORM_RM_ONE:
		o->immediate = 1;
		return mem ? alu_mem_imm : alu_reg_imm;
	case FORM_RM_CL:
		o->src = REG_RCX;
		return mem ? alu_mem_reg : alu_reg_reg;
	case FORM_RM:
	case FORM_RM_IMM:
	case FORM_RM_IMM8:
		return !mem ? alu_reg_imm : writes ? alu_mem_imm : look_mem_imm;
	case FORM_REG_IMM:
	case FORM_ACC_IMM:
		return alu_reg_imm;
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
		return mem ? setcc_mem : setcc_reg;
	if (run == move_nothing)
		return nothing;
	if (o->bytes < 4)
		return NULL;
	if (run == move_cmov)
		return mem ? cmov_mem : cmov_reg;
	if (run == alu_imul3) {
		o->alu = alu(ALU_IMUL, o->bytes);
		return mem ? NULL : imul3_reg;
	}
	if (run == move_xchg)
		return mem ? NULL : xchg_reg;
	if (run == move_xadd) {
		o->alu = alu(ALU_ADD, o->bytes);
		return mem ? xadd_mem : NULL;
	}
	if (run == move_cmpxchg) {
		o->alu = alu(ALU_CMP, o->bytes);
		return mem ? cmpxchg_mem : NULL;
	}
	if (run == move_movsx) {
		o->immediate = o->bytes == 4 ? 0xffffffff : ~0ull;
		o->bytes = i->op->flags & OP_SRC8 ? 1 : i->op->flags & OP_SRC16 ? 2 : 4;
		return mem ? movsx_mem : movsx_reg;
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
		return i->rep == REP_E && i->byte[i->length - 1] == 0xfa ? nothing : NULL;
	if (i->op->operation == QUICK_NOTHING)
		return i->rex == 0 ? nothing : NULL; /* else XCHG R8, RAX */
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
	if (s->reg == call || s->reg == jmp || s->reg == jcc) {
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
			o->step = look_high_imm;
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
