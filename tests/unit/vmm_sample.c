#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "vmm_fixture.h"
#include "vmm_sample.h"

#include "../../vmm/src/alu.h"
#include "../../vmm/src/emulate.h"

enum {
	ANYWHERE_ELSE_FAILS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
	FLAG = CODE_END + 256, /* a branch was taken */
	STACK = BUFFER + 0xc000,
};

extern void native_run(void);
extern char native_return[];
extern uint64_t native_reg[16], native_rflags;
extern void *native_code;

uint32_t sample_seed = 1;
uint8_t *const sample_native = (uint8_t *)BUFFER;
uint8_t sample_before[BUFFER_SIZE];

uint64_t sample_random64(void)
{
	return (uint64_t)random32(&sample_seed) << 32 | random32(&sample_seed);
}

static void put(struct sample *s, unsigned byte)
{
	s->byte[s->count++] = (uint8_t)byte;
}

static void put_number(struct sample *s, uint64_t value, unsigned bytes)
{
	memcpy(s->byte + s->count, &value, bytes);
	s->count += bytes;
}

enum { NONE = 16 };

/* The memory operand: base, perhaps a scaled index, perhaps a displacement. */
struct address {
	unsigned base, index, scale;
	int64_t displacement;
	unsigned bytes; /* of the displacement */
};

static struct address random_address(void)
{
	struct address a = {
		.base = random32(&sample_seed) % 16,
		.index = random32(&sample_seed) % 16,
		.scale = random32(&sample_seed) % 4,
		.bytes = (unsigned[]){0, 1, 4}[random32(&sample_seed) % 3],
	};

	if (a.index == REG_RSP || a.index == a.base || random32(&sample_seed) & 1)
		a.index = NONE;
	if (a.bytes == 0 && (a.base & 7) == REG_RBP)
		a.bytes = 1; /* means something else without */
	if (a.bytes != 0)
		a.displacement = (int8_t)random32(&sample_seed);
	return a;
}

/* Let it point into the buffer; with short, upper halves do not count. */
static void aim(struct sample *s, const struct address *a, bool is_short)
{
	uint64_t garbage = is_short ? sample_random64() << 32 : 0;
	uint64_t target = BUFFER + BUFFER_SIZE / 2 + random32(&sample_seed) % 512;

	s->operand = target;

	if (a->index != NONE) {
		s->reg[a->index] = random32(&sample_seed) % 256;
		target -= s->reg[a->index] << a->scale;
		s->reg[a->index] |= garbage;
	}
	target -= (uint64_t)a->displacement;
	s->reg[a->base] = is_short ? (target & 0xffffffff) | garbage : target;
}

static void put_modrm(struct sample *s, const struct address *a, unsigned field)
{
	unsigned mod = a->bytes == 0 ? 0 : a->bytes == 1 ? 1 : 2;
	bool has_sib = a->index != NONE || (a->base & 7) == REG_RSP;

	put(s, mod << 6 | (field & 7) << 3 | (has_sib ? 4 : a->base & 7));
	if (has_sib)
		put(s, a->scale << 6 | (a->base & 7) | (a->index == NONE ? 4u : a->index & 7) << 3);
	put_number(s, (uint64_t)a->displacement, a->bytes);
}

bool sample_is_string(unsigned code)
{
	return (code >= 0xa4 && code <= 0xa7) || (code >= 0xaa && code <= 0xaf);
}

static bool is_moffs(unsigned code)
{
	return code >= 0xa0 && code <= 0xa3;
}

bool sample_is_bit_string(unsigned code)
{
	return code == 0x0fa3 || code == 0x0fab || code == 0x0fb3 || code == 0x0fbb;
}

/* REX, if it is needed or the dice want it, and the opcode. */
static void put_opcode(struct sample *s, unsigned code, unsigned rex)
{
	if (rex != 0 || random32(&sample_seed) % 4 == 0)
		put(s, 0x40 | rex);
	if (code >> 8 == 0x0f) {
		put(s, 0x0f);
	} else if (code >> 8 == 0x38) {
		put(s, 0x0f);
		put(s, 0x38);
	}
	put(s, code & 0xff);
}

/* Prefixes before all others. */
static void put_prefixes(struct sample *s, bool is_short, bool lock)
{
	if (random32(&sample_seed) % 4 == 0)
		put(s, 0x66);
	if (is_short)
		put(s, 0x67);
	if (lock)
		put(s, 0xf0);
}

static void compose_string(struct sample *s, unsigned code, unsigned rex, bool is_short)
{
	uint64_t garbage = is_short ? sample_random64() << 32 : 0;
	unsigned rep = random32(&sample_seed) % 3;

	s->rflags |= random32(&sample_seed) & RFLAGS_DF;
	s->reg[REG_RSI] = (BUFFER + 0x4000 + random32(&sample_seed) % 64) | garbage;
	s->reg[REG_RDI] = (BUFFER + 0x8000 + random32(&sample_seed) % 64) | garbage;
	/* With 0, processors differ in what becomes of the garbage. */
	s->reg[REG_RCX] = is_short ? 1 + random32(&sample_seed) % 9 : random32(&sample_seed) % 10;
	s->reg[REG_RCX] |= garbage;
	if (rep != 0)
		put(s, rep == 1 ? 0xf2 : 0xf3);
	put_opcode(s, code, rex);
}

static void compose_modrm(struct sample *s, struct address *a, unsigned code, unsigned field,
			  unsigned rex)
{
	rex |= (field & 8 ? 4u : 0) | (a->base & 8 ? 1u : 0) |
	       (a->index != NONE && (a->index & 8) ? 2u : 0);
	put_opcode(s, code, rex);
	put_modrm(s, a, field);
}

/* The same without memory: ModRM names two registers. */
static void compose_registers(struct sample *s, unsigned code, unsigned field, unsigned rex)
{
	unsigned rm = random32(&sample_seed) % 16;

	put_opcode(s, code, rex | (field & 8 ? 4u : 0) | (rm & 8 ? 1u : 0));
	put(s, 0xc0 | (field & 7) << 3 | (rm & 7));
	if (code == 0xff && (field & 7) >= 2 && (field & 7) <= 5)
		s->reg[rm] = TAKEN;
	s->operand = 0;
}

static bool is_relative(unsigned code)
{
	return (code >= 0x70 && code <= 0x7f) || code == 0xe8 || code == 0xe9 || code == 0xeb ||
	       (code >= 0x0f80 && code <= 0x0f8f);
}

static void compose_operands(struct sample *s, unsigned code, unsigned field, bool is_short,
			     unsigned rex)
{
	struct address a = random_address();

	if (sample_is_bit_string(code))
		while (field == a.base || field == a.index)
			a = random_address();
	aim(s, &a, is_short);
	if (sample_is_bit_string(code))
		s->reg[field] = (uint64_t)(int64_t)(int16_t)random32(&sample_seed);
	/* PREFETCH of a register is undefined on some processors. */
	if (code != 0x0f0d && random32(&sample_seed) % 4 == 0)
		compose_registers(s, code, field, rex);
	else
		compose_modrm(s, &a, code, field, rex);
}

void sample_compose(struct sample *s, unsigned code, unsigned field, bool lock)
{
	bool is_short = random32(&sample_seed) % 4 == 0;
	unsigned rex = random32(&sample_seed) % 4 == 0 ? 8 : 0;

	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < 16; i++)
		s->reg[i] = sample_random64();
	s->reg[REG_RSP] = STACK + random32(&sample_seed) % 64 * 8;
	s->reg[REG_RBP] = STACK + random32(&sample_seed) % 64 * 8;
	s->rflags = (random32(&sample_seed) & RFLAGS_STATUS) | RFLAGS_IF;
	if (random32(&sample_seed) & 1)
		field |= 8;
	put_prefixes(s, is_short, lock);
	if (sample_is_string(code)) {
		compose_string(s, code, rex, is_short);
	} else if (is_moffs(code)) {
		put_opcode(s, code, rex);
		put_number(s, BUFFER + random32(&sample_seed) % BUFFER_SIZE / 16 * 8,
			   is_short ? 4 : 8);
	} else if (is_relative(code)) {
		put_opcode(s, code, rex);
		put_number(s, TAKEN - CODE_END, 4);
	} else {
		compose_operands(s, code, field, is_short, rex);
	}
	put_number(s, sample_random64(), 8); /* immediates */
}

static void plant(uint64_t address, uint64_t value)
{
	if (address >= BUFFER && address <= BUFFER + BUFFER_SIZE - 8)
		memcpy(sample_before + (address - BUFFER), &value, 8);
}

void sample_fill(const struct sample *s, const uint64_t *value)
{
	for (unsigned i = 0; i < BUFFER_SIZE; i += 4) {
		uint32_t word = random32(&sample_seed);

		/* Equal runs, for the comparing strings. */
		word = random32(&sample_seed) % 4 ? 0 : word;
		memcpy(sample_before + i, &word, 4);
	}
	if (value != NULL) {
		plant(s->reg[REG_RSP], *value);
		plant(s->operand, *value);
	}
	memcpy(sample_native, sample_before, BUFFER_SIZE);
}

void sample_show(const struct sample *s)
{
	for (unsigned i = 0; i < s->count; i++)
		fprintf(stderr, "%02x ", s->byte[i]);
	fprintf(stderr, "\n");
}

static const struct sample *current;

static void died(int signal)
{
	fprintf(stderr, "the processor refuses it, signal %d: ", signal);
	sample_show(current);
	exit(1);
}

/* Code behind the instruction: where it goes on, and where branches go. */
static void put_ends(void)
{
	static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0};
	static const uint8_t mark[] = {0xc6, 0x04, 0x25}; /* MOV [], 1 */
	const uint32_t flag = FLAG;
	uint64_t back = (uint64_t)native_return;
	uint8_t *at = (uint8_t *)CODE_END;

	memcpy(at, jump, sizeof(jump));
	memcpy(at + sizeof(jump), &back, sizeof(back));
	at = (uint8_t *)TAKEN;
	memcpy(at, mark, sizeof(mark));
	memcpy(at + 3, &flag, 4);
	at[7] = 1;
	memcpy(at + 8, jump, sizeof(jump));
	memcpy(at + 8 + sizeof(jump), &back, sizeof(back));
}

struct native sample_run(const struct sample *s, unsigned length)
{
	uint8_t *end = (uint8_t *)CODE_END;
	volatile uint8_t *taken = (uint8_t *)FLAG;
	struct native native;

	current = s;
	memcpy(end - length, s->byte, length);
	memcpy(native_reg, s->reg, sizeof(s->reg));
	native_rflags = s->rflags | 2;
	native_code = end - length;
	*taken = 0;
	native_run();
	native.rflags = native_rflags;
	native.rip = *taken ? TAKEN : CODE_END;
	memcpy(native.reg, native_reg, sizeof(native.reg));
	return native;
}

void sample_compare(const struct sample *s, const struct native *native, const uint64_t reg[16],
		    uint64_t rflags, uint64_t undefined)
{
	uint64_t flags = (RFLAGS_STATUS | RFLAGS_DF) & ~undefined;

	if (memcmp(reg, native->reg, sizeof(native->reg)) != 0 ||
	    ((rflags ^ native->rflags) & flags) != 0) {
		sample_show(s);
		for (unsigned n = 0; n < 16; n++) {
			fprintf(stderr, "%u: %lx native %lx, was %lx\n", n, (unsigned long)reg[n],
				(unsigned long)native->reg[n], (unsigned long)s->reg[n]);
		}
		fprintf(stderr, "flags %lx native %lx, was %lx\n", (unsigned long)rflags,
			(unsigned long)native->rflags, (unsigned long)s->rflags);
		fail();
	}
}

uint64_t sample_undefined(const struct insn *i)
{
	unsigned bits = i->op->flags & OP_BYTE ? 8 : 8u * i->operand_bytes;
	unsigned count = (unsigned)i->immediate & (bits == 64 ? 63 : 31);
	bool rotates = (i->reg & 7) < 4;

	if (i->op->run == alu_mul || i->op->run == alu_imul1 || i->op->run == alu_imul3 ||
	    (i->op->run == alu_run && i->op->operation == ALU_IMUL))
		return RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF;
	if ((i->code != 0xc0 && i->code != 0xc1) || count <= 1)
		return 0;
	return RFLAGS_OF | (rotates ? 0 : RFLAGS_AF) | (!rotates && count >= bits ? RFLAGS_CF : 0);
}

void sample_init(void)
{
	void *n = mmap(sample_native, BUFFER_SIZE, PROT_READ | PROT_WRITE, ANYWHERE_ELSE_FAILS, -1,
		       0);
	void *c = mmap((void *)CODE, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		       ANYWHERE_ELSE_FAILS, -1, 0);

	assert_ptr_equal(n, sample_native);
	assert_ptr_equal(c, (void *)CODE);
	put_ends();
	signal(SIGILL, died);
	signal(SIGSEGV, died);
	signal(SIGTRAP, died);
}
