/*
 * What instructions do with more than data: branches and the stack, interrupts,
 * the world.
 */
#include "quick_step.h"

enum {
	SLOT = 8, /* of the stack */
	/* What POPF may change at CPL 0, less what we let it change. */
	RFLAGS_KEPT = RFLAGS_TF | RFLAGS_DF | 3 << 12 | 1 << 14 | RFLAGS_AC | 1 << 19 | 1 << 20 |
		      1 << 21,
};

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

bool step_push_reg(struct quick *q, const struct quick_op *o)
{
	return push(q, o, q->reg[o->dst], o->next);
}

bool step_push_imm(struct quick *q, const struct quick_op *o)
{
	return push(q, o, o->immediate, o->next);
}

bool step_push_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, SLOT);

	if (from == NULL)
		return to_read(q, o, gva);
	return push(q, o, get(from, SLOT), o->next);
}

bool step_pop_reg(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = q->reg[REG_RSP];
	const uint8_t *from = readable(q, gva, SLOT);

	if (from == NULL)
		return to_read(q, o, gva);
	q->reg[REG_RSP] += SLOT;
	q->reg[o->dst] = get(from, SLOT);
	return next(q, o);
}

bool step_leave(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = q->reg[REG_RBP];
	const uint8_t *from = readable(q, gva, SLOT);

	if (from == NULL)
		return to_read(q, o, gva);
	q->reg[REG_RSP] = gva + SLOT;
	q->reg[REG_RBP] = get(from, SLOT);
	return next(q, o);
}

bool step_jcc(struct quick *q, const struct quick_op *o)
{
	q->rip = is_met(q, o) ? o->immediate : o->next;
	return true;
}

bool step_jmp(struct quick *q, const struct quick_op *o)
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

bool step_jmp_reg(struct quick *q, const struct quick_op *o)
{
	return jump_to(q, q->reg[o->dst]);
}

bool step_jmp_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o);
	const uint8_t *from = readable(q, gva, SLOT);

	if (from == NULL)
		return to_read(q, o, gva);
	return jump_to(q, get(from, SLOT));
}

bool step_call(struct quick *q, const struct quick_op *o)
{
	return push(q, o, o->next, o->immediate);
}

bool step_call_reg(struct quick *q, const struct quick_op *o)
{
	uint64_t target = q->reg[o->dst];

	return quick_is_canonical(target) && push(q, o, o->next, target);
}

bool step_call_mem(struct quick *q, const struct quick_op *o)
{
	uint64_t gva = address(q, o), target;
	const uint8_t *from = readable(q, gva, SLOT);

	if (from == NULL)
		return to_read(q, o, gva);
	target = get(from, SLOT);
	return quick_is_canonical(target) && push(q, o, o->next, target);
}

bool step_ret(struct quick *q, const struct quick_op *o)
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

bool step_pushf(struct quick *q, const struct quick_op *o)
{
	uint64_t flags = q->rflags | (q->flags & RFLAGS_STATUS);

	return push(q, o, flags, o->next);
}

bool step_cli(struct quick *q, const struct quick_op *o)
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

bool step_popf(struct quick *q, const struct quick_op *o)
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
bool step_sti(struct quick *q, const struct quick_op *o)
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

bool step_in(struct quick *q, const struct quick_op *o)
{
	const struct quick_hooks *h = q->hooks;
	uint64_t value = h->ports->read(h->ports->opaque, port(q, o), o->bytes);

	q->reg[REG_RAX] = o->alu(q->reg[REG_RAX], value, &q->flags);
	q->left = h->accessed(h->opaque, o->rip);
	return next(q, o);
}

bool step_out(struct quick *q, const struct quick_op *o)
{
	const struct quick_hooks *h = q->hooks;

	h->ports->write(h->ports->opaque, port(q, o), o->bytes, low(q->reg[REG_RAX], o->bytes));
	q->left = h->accessed(h->opaque, o->rip);
	return next(q, o);
}

bool step_cpuid(struct quick *q, const struct quick_op *o)
{
	q->hooks->cpuid(q->hooks->opaque, q->reg);
	q->left = q->hooks->accessed(q->hooks->opaque, o->rip);
	return next(q, o);
}

bool step_nothing(struct quick *q, const struct quick_op *o)
{
	return next(q, o);
}
