/*
 * A fast interpreter for 64-bit kernel code in RAM: it runs a guest on after an
 * exit, as far as it pays (ahead.c), at a few dozen instructions for each of
 * the guest's.
 *
 * It does exactly what the processor would do, or nothing: an instruction that
 * it does not know, that would fault, has to set an accessed or dirty bit,
 * touches anything but RAM or ports, or changes what it relies on, is left for
 * somebody else, with the state as it was before it. It relies on: long mode
 * with paging and 64-bit code at CPL 0, no breakpoints, no single steps, one
 * vCPU; and that nothing but what the guest itself does to devices makes an
 * interrupt pending.
 *
 * Instructions are decoded once and kept by address; before the first use in a
 * run the bytes there are compared. Translations are kept for one run, as in a
 * TLB, and pages with code of this run are not written.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <abi/utcb.h>

#include "gmem.h"
#include "insn.h"
#include "linear.h"
#include "walk.h"

/* What emulate() does not do: branches, the stack, ports. */
enum quick_operation {
	QUICK_NONE = 0x40, /* behind enum operation */
	QUICK_CALL,
	QUICK_CALL_RM,
	QUICK_JMP,
	QUICK_JMP_RM,
	QUICK_JCC,
	QUICK_RET,
	QUICK_PUSH,
	QUICK_PUSH_RM,
	QUICK_PUSH_IMM,
	QUICK_POP,
	QUICK_LEAVE,
	QUICK_PUSHF,
	QUICK_POPF,
	QUICK_CLI,
	QUICK_STI,
	QUICK_LEA,
	QUICK_NOTHING,
	QUICK_ENDBR,
	QUICK_IN,
	QUICK_OUT,
	QUICK_CPUID,
	QUICK_END,
};

enum {
	QUICK_PAGE = 4096,
	QUICK_SETS = 1024, /* powers of two */
	QUICK_WAYS = 2,
	QUICK_TLB = 32,
	QUICK_CODE = 64,
	QUICK_ZERO = 16, /* a register that is 0 */
	QUICK_REGS,
};

struct quick;
struct quick_op;

/* Do one instruction, RIP as well. false: it was not done. */
typedef bool quick_step(struct quick *q, const struct quick_op *op);

/* A decoded instruction. */
struct quick_op {
	uint64_t rip;
	uint64_t run;	  /* in which its bytes were compared */
	quick_step *step; /* NULL: for somebody else */
	uint64_t (*alu)(uint64_t dst, uint64_t src, uint64_t *flags);
	uint64_t next;			     /* RIP behind it */
	uint64_t immediate;		     /* or a branch's target, or a result's mask */
	uint64_t displacement;		     /* with RIP, where that counts */
	uint8_t base, index, scale, segment; /* of the memory operand */
	uint8_t dst, src;		     /* registers */
	uint8_t bytes;			     /* of the operand, in memory if it is there */
	uint8_t length;
	/* A condition: one of these flags, or SF != OF if it is `less`. */
	uint16_t flags;
	bool less, negated;
	uint8_t code[INSN_MAX];
};

struct quick_page {
	uint64_t page; /* guest-virtual; 1: none */
	uint8_t *at;
};

/* What instructions have to do with the world. */
struct quick_hooks {
	const struct mmio *ports;
	void (*cpuid)(void *opaque, uint64_t *reg);
	/*
	 * After an access to a port by the instruction at rip: so many
	 * instructions may follow, less 1.
	 */
	unsigned (*accessed)(void *opaque, uint64_t rip);
	/* Is there an interrupt, now that they are switched on? */
	bool (*pending)(void *opaque);
	void *opaque;
};

struct quick {
	uint64_t reg[QUICK_REGS];
	uint64_t rip;
	uint64_t flags;	  /* status flags; the rest means nothing */
	uint64_t rflags;  /* the others */
	uint64_t base[3]; /* of no segment, FS, GS */
	unsigned left;	  /* instructions until the run ends, from 1 */

	const struct gmem *mem;
	struct paging paging;
	const struct quick_hooks *hooks;
	uint64_t run;
	struct quick_page read[QUICK_TLB], write[QUICK_TLB], code[QUICK_TLB];
	const uint8_t *code_page[QUICK_CODE]; /* all of this run */
	unsigned code_pages;
	struct quick_op op[QUICK_SETS][QUICK_WAYS];
};

/* Is the state one that a run can begin in? Needs MTD_EMULATION. */
bool quick_can(const struct utcb *u);

void quick_begin(struct quick *q, const struct utcb *u, const struct gmem *mem,
		 unsigned address_bits, const struct quick_hooks *hooks);

/* Go on with the state in the UTCB, which somebody else may have changed. */
void quick_load(struct quick *q, const struct utcb *u);
void quick_save(const struct quick *q, struct utcb *u);

/* Until `left` is used up (true), or an instruction is left to others. */
bool quick_run(struct quick *q);

/* The entry for an address: kernels have few regions, at round addresses. */
static inline struct quick_page *quick_page(struct quick_page *tlb, uint64_t gva)
{
	return &tlb[(gva >> 12 ^ gva >> 17 ^ gva >> 22) % QUICK_TLB];
}

/* For the steps. NULL: not there, or not for us. */
uint8_t *quick_fill(struct quick *q, struct quick_page *tlb, uint64_t gva, unsigned access);
const struct quick_op *quick_fetch(struct quick *q, struct quick_op *set);
bool quick_is_canonical(uint64_t gva);

/* The instruction at RIP; its step is NULL if it is not for us. */
static inline const struct quick_op *quick_find(struct quick *q)
{
	/* Spread by the golden ratio. */
	struct quick_op *set = q->op[(q->rip * 0x9e3779b97f4a7c15 >> 32) % QUICK_SETS];

	if (set[0].rip == q->rip && set[0].run == q->run)
		return &set[0];
	if (set[1].rip == q->rip && set[1].run == q->run)
		return &set[1];
	return quick_fetch(q, set);
}

/* quick_decode.c: what an instruction of these bytes at op->rip does. */
void quick_decode(struct quick_op *op, const struct insn *insn);
