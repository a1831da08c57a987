/*
 * Runs: their state, the pages and the decoded instructions that they use.
 * What the instructions do is in quick_data.c and quick_flow.c.
 *
 * An op counts for the run whose number it has; q->run is counted up to forget
 * them all, when code may have been written. In between it is not: a page with
 * code of this run is not given for writing, one that was written not for
 * code.
 */
#include "quick_step.h"

#include <string.h>

#include "emulate.h"

enum {
	NO_PAGE = 1,
	DR7_ENABLES = 0xff,
	SHADOWS = 3, /* of STI and MOV SS */
	TYPE = SEGMENT_L | SEGMENT_DB,
};

bool quick_can(const struct utcb *u)
{
	const uint64_t cr0 = (uint64_t)CR0_PE | CR0_PG;

	return (u->cr0 & cr0) == cr0 && (u->efer & EFER_LMA) && !(u->cr4 & CR4_LA57) &&
	       (u->cs.rights & TYPE) == SEGMENT_L && !(u->ss.rights & SEGMENT_DPL) &&
	       !(u->rflags & (RFLAGS_TF | RFLAGS_VM)) && !(u->dr7 & DR7_ENABLES) &&
	       !(u->interruptibility & SHADOWS) && u->activity == 0 && !(u->inject & INJECT_VALID);
}

bool quick_is_canonical(uint64_t gva)
{
	return (uint64_t)((int64_t)(gva << 16) >> 16) == gva;
}

static void clear(struct quick_page *tlb)
{
	for (unsigned i = 0; i < QUICK_TLB; i++)
		tlb[i].page = NO_PAGE;
}

void quick_load(struct quick *q, const struct utcb *u)
{
	memcpy(q->reg, &u->rax, 16 * sizeof(uint64_t));
	q->rip = u->rip;
	q->flags = u->rflags & RFLAGS_STATUS;
	q->rflags = u->rflags & ~(uint64_t)(RFLAGS_STATUS | RFLAGS_RF);
	q->run++; /* code may have been written */
}

void quick_save(const struct quick *q, struct utcb *u)
{
	memcpy(&u->rax, q->reg, 16 * sizeof(uint64_t));
	u->rip = q->rip;
	u->rflags = q->rflags | (q->flags & RFLAGS_STATUS);
}

void quick_begin(struct quick *q, const struct utcb *u, const struct gmem *mem,
		 unsigned address_bits, const struct quick_hooks *hooks)
{
	q->mem = mem;
	q->hooks = hooks;
	q->paging = (struct paging){u->cr0, u->cr3, u->cr4, u->efer, u->rflags, address_bits};
	q->base[1] = u->fs.base;
	q->base[2] = u->gs.base;
	clear(q->read);
	clear(q->write);
	clear(q->code);
	q->code_pages = 0;
	quick_load(q, u);
}

static bool is_written(const struct quick *q, const uint8_t *page)
{
	for (unsigned i = 0; i < QUICK_TLB; i++)
		if (q->write[i].page != NO_PAGE && q->write[i].at == page)
			return true;
	return false;
}

static bool is_code(const struct quick *q, const uint8_t *page)
{
	for (unsigned i = 0; i < q->code_pages; i++)
		if (q->code_page[i] == page)
			return true;
	return false;
}

/* When there are too many, what was compared in this run counts no more. */
static void note_code(struct quick *q, const uint8_t *page)
{
	if (is_code(q, page))
		return;
	if (q->code_pages == QUICK_CODE) {
		q->code_pages = 0;
		clear(q->code);
		q->run++;
	}
	q->code_page[q->code_pages++] = page;
}

/* The address's page; code and what is written are kept apart. */
uint8_t *quick_fill(struct quick *q, struct quick_page *tlb, uint64_t gva, unsigned access)
{
	uint64_t page = gva & ~(uint64_t)(QUICK_PAGE - 1);
	struct quick_page *p = quick_page(tlb, gva);
	struct translation to;
	uint8_t *at;

	if (!quick_is_canonical(gva) || !walk(q->mem, &q->paging, page, access | ACCESS_PROBE, &to))
		return NULL;
	at = gmem_at(q->mem, to.gpa, QUICK_PAGE);
	if (at == NULL || (tlb == q->write && is_code(q, at)) ||
	    (tlb == q->code && is_written(q, at)))
		return NULL;
	if (tlb == q->code)
		note_code(q, at);
	*p = (struct quick_page){page, at};
	return at;
}

bool quick_again(struct quick *q, const struct quick_op *o, uint64_t gva, struct quick_page *tlb)
{
	return quick_page(tlb, gva)->page != (gva & ~(uint64_t)(QUICK_PAGE - 1)) &&
	       quick_fill(q, tlb, gva, tlb == q->write ? ACCESS_WRITE : 0) && o->step(q, o);
}

static const uint8_t *code_at(struct quick *q, uint64_t gva)
{
	const struct quick_page *p = quick_page(q->code, gva);
	const uint8_t *at = p->page == (gva & ~(uint64_t)(QUICK_PAGE - 1))
				    ? p->at
				    : quick_fill(q, q->code, gva, ACCESS_FETCH);

	return at != NULL ? at + gva % QUICK_PAGE : NULL;
}

/* struct code */
static enum outcome fetch(void *opaque, unsigned offset, uint8_t *to, unsigned most, unsigned *got)
{
	struct quick *q = opaque;
	uint64_t gva = q->rip + offset;
	unsigned here = QUICK_PAGE - (unsigned)(gva % QUICK_PAGE);
	const uint8_t *at = code_at(q, gva);

	if (at == NULL)
		return OUTCOME_UNKNOWN;
	*got = here < most ? here : most;
	memcpy(to, at, *got);
	return OUTCOME_DONE;
}

/* Are the bytes at RIP still the ones that were decoded? */
static bool is_same(struct quick *q, const struct quick_op *op)
{
	for (unsigned done = 0; done < op->length;) {
		unsigned got;
		uint8_t byte[INSN_MAX];

		if (fetch(q, done, byte, op->length - done, &got) != OUTCOME_DONE ||
		    memcmp(byte, op->code + done, got) != 0)
			return false;
		done += got;
	}
	return op->length != 0;
}

static const struct quick_op *decode(struct quick *q, struct quick_op *op)
{
	const struct code code = {fetch, q};
	struct insn insn;
	enum outcome out = insn_decode(&insn, 8, &code);

	op->rip = q->rip;
	op->step = NULL;
	op->length = out == OUTCOME_DONE ? insn.length : 0;
	memcpy(op->code, insn.byte, sizeof(op->code));
	if (out == OUTCOME_DONE)
		quick_decode(op, &insn);
	return op;
}

const struct quick_op *quick_fetch(struct quick *q, struct quick_op *set)
{
	struct quick_op *op = &set[1];

	if (set->rip == q->rip || (op->rip != q->rip && set->run < op->run))
		op = set;
	if (op->rip != q->rip || !is_same(q, op))
		decode(q, op);
	op->run = q->run; /* last: fetching may have begun a new one */
	return op;
}

bool quick_run(struct quick *q)
{
	do {
		const struct quick_op *op = quick_find(q);

		if (op->step == NULL || !op->step(q, op))
			return false;
	} while (--q->left != 0);
	return true;
}
