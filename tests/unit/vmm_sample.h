/*
 * Instructions under test: random ones of a given opcode, and the processor
 * that runs them. Needs an x86-64 processor of this century.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../../vmm/src/insn.h"

enum {
	BUFFER = 0x200000, /* operands' memory, in all machines */
	BUFFER_SIZE = 0x10000,
	CODE = 0x50000, /* native: it ends at the next page */
	PAGE = 4096,
	CODE_END = CODE + PAGE,
	TAKEN = CODE_END + 64, /* where branches go */
	RAM = 0x300000,	       /* of the guest */
};

/* An instruction under test, and the state in which it starts. */
struct sample {
	uint8_t byte[INSN_MAX + 8];
	unsigned count; /* of bytes, random ones behind them */
	uint64_t reg[16];
	uint64_t rflags;
	uint64_t operand; /* address of the one in memory, or 0 */
};

/* How it ended on the processor. */
struct native {
	uint64_t reg[16];
	uint64_t rflags;
	uint64_t rip;
};

extern uint32_t sample_seed;
extern uint8_t *const sample_native; /* BUFFER, the processor's */
extern uint8_t sample_before[BUFFER_SIZE];

void sample_init(void);

/* One instruction with that opcode and ModRM.reg, or something like it. */
void sample_compose(struct sample *s, unsigned code, unsigned field, bool lock);

/*
 * Random contents for sample_before and the processor's buffer; if there is
 * one, a value where the stack pointer and the operand point to.
 */
void sample_fill(const struct sample *s, const uint64_t *value);

/* Run the first length bytes so that they end at CODE_END. */
struct native sample_run(const struct sample *s, unsigned length);
void sample_show(const struct sample *s);

/* A state that the instruction has left is the processor's. */
void sample_compare(const struct sample *s, const struct native *native, const uint64_t reg[16],
		    uint64_t rflags, uint64_t undefined);

bool sample_is_string(unsigned code);
bool sample_is_bit_string(unsigned code);
uint64_t sample_random64(void);

/*
 * Flags are this processor's, also undefined ones, but for products that are computed in C
 * (or compared with those of another form), and for shifts, which we do by CL whatever their form.
 */
uint64_t sample_undefined(const struct insn *insn);
