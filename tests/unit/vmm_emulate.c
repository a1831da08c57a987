/*
 * The instruction emulator against the processor: every instruction that the
 * emulator knows, with random prefixes, operands, registers and flags, is run
 * by both, once with its memory operand in RAM and once in a device. Registers,
 * memory and defined flags must agree; the device must see each operand once,
 * whole. Needs an x86-64 processor of this century.
 *
 * Then what cannot be run here: other modes, segments, faults.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "vmm_fixture.h"

#include "../../vmm/src/alu.h"
#include "../../vmm/src/emulate.h"

enum {
	BUFFER = 0x200000,		/* operands' memory, in both */
	BUFFER_SIZE = 0x10000,
	CODE = 0x50000,			/* native: it ends at the next page */
	PAGE = 4096,
	RAM = 0x300000,			/* of the guest */
	RAM_SMALL = 0x100000,		/* without the buffer */
	ROUNDS = 3,

	ANYWHERE_ELSE_FAILS = MAP_PRIVATE | MAP_ANONYMOUS |
			      MAP_FIXED_NOREPLACE,
};

extern void native_run(void);
extern char native_return[];
extern uint64_t native_reg[16], native_rflags;
extern void *native_code;

static uint8_t *ram;			/* of the guest */
static uint8_t *const native = (uint8_t *)BUFFER;
static uint8_t device[BUFFER_SIZE];
static uint8_t before[BUFFER_SIZE];
static uint32_t seed = 1;

static struct {
	unsigned reads, writes;
	unsigned bytes;			/* of the last */
} seen;

static uint64_t random64(void)
{
	return (uint64_t)random32(&seed) << 32 | random32(&seed);
}

/* The device: its memory is at BUFFER, too. */

static uint64_t device_read(void *opaque, uint64_t gpa, unsigned bytes)
{
	uint64_t value = 0;

	(void)opaque;
	assert_true(gpa >= BUFFER && gpa + bytes <= BUFFER + BUFFER_SIZE);
	memcpy(&value, device + (gpa - BUFFER), bytes);
	seen.reads++;
	seen.bytes = bytes;
	return value;
}

static void device_write(void *opaque, uint64_t gpa, unsigned bytes,
			 uint64_t value)
{
	(void)opaque;
	assert_true(gpa >= BUFFER && gpa + bytes <= BUFFER + BUFFER_SIZE);
	assert_true(bytes == 8 || value >> 8 * bytes == 0);
	memcpy(device + (gpa - BUFFER), &value, bytes);
	seen.writes++;
	seen.bytes = bytes;
}

static const struct mmio mmio = {device_read, device_write, NULL};

static uint64_t *reg(struct utcb *u, unsigned n)
{
	return &u->word[6 + n];		/* 0x30 / 8: rax */
}

/* 64-bit mode; without CR0.PG linear addresses are physical. */
static void long_mode(struct utcb *u)
{
	memset(u, 0, sizeof(*u));
	u->cr0 = CR0_PE;
	u->efer = EFER_LMA | EFER_LME;
	u->cs.rights = SEGMENT_L | SEGMENT_P | SEGMENT_S | 0xb;
	u->rflags = 2;
}

/* An instruction under test, and the state in which it starts. */
struct sample {
	uint8_t byte[INSN_MAX + 8];
	unsigned count;			/* of bytes, random ones behind them */
	uint64_t reg[16];
	uint64_t rflags;
};

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
	unsigned bytes;			/* of the displacement */
};

static struct address random_address(void)
{
	struct address a = {
		.base = random32(&seed) % 16,
		.index = random32(&seed) % 16,
		.scale = random32(&seed) % 4,
		.bytes = (unsigned[]){0, 1, 4}[random32(&seed) % 3],
	};

	if (a.index == REG_RSP || a.index == a.base || random32(&seed) & 1) {
		a.index = NONE;
	}
	if (a.bytes == 0 && (a.base & 7) == REG_RBP) {
		a.bytes = 1;		/* means something else without */
	}
	if (a.bytes != 0) {
		a.displacement = (int8_t)random32(&seed);
	}
	return a;
}

/* Let it point into the buffer; with short, upper halves do not count. */
static void aim(struct sample *s, const struct address *a, bool is_short)
{
	uint64_t garbage = is_short ? random64() << 32 : 0;
	uint64_t target = BUFFER + BUFFER_SIZE / 2 + random32(&seed) % 512;

	if (a->index != NONE) {
		s->reg[a->index] = random32(&seed) % 256;
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
	if (has_sib) {
		put(s, a->scale << 6 | (a->base & 7) |
		       (a->index == NONE ? 4u : a->index & 7) << 3);
	}
	put_number(s, (uint64_t)a->displacement, a->bytes);
}

static bool is_string(unsigned code)
{
	return (code >= 0xa4 && code <= 0xa7) || (code >= 0xaa && code <= 0xaf);
}

static bool is_moffs(unsigned code)
{
	return code >= 0xa0 && code <= 0xa3;
}

static bool is_bit_string(unsigned code)
{
	return code == 0x0fa3 || code == 0x0fab || code == 0x0fb3 ||
	       code == 0x0fbb;
}

/* REX, if it is needed or the dice want it, and the opcode. */
static void put_opcode(struct sample *s, unsigned code, unsigned rex)
{
	if (rex != 0 || random32(&seed) % 4 == 0) {
		put(s, 0x40 | rex);
	}
	if (code >> 8 == 0x0f) {
		put(s, 0x0f);
	} else if (code >> 8 == 0x38) {
		put(s, 0x0f);
		put(s, 0x38);
	}
	put(s, code & 0xff);
}

/* One instruction with that opcode and ModRM.reg, or something like it. */
static void compose(struct sample *s, unsigned code, unsigned field, bool lock)
{
	struct address a = random_address();
	bool is_short = random32(&seed) % 4 == 0;
	unsigned rex = random32(&seed) % 4 == 0 ? 8 : 0;

	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < 16; i++) {
		s->reg[i] = random64();
	}
	s->rflags = random32(&seed) & RFLAGS_STATUS;
	if (random32(&seed) & 1) {
		field |= 8;
	}
	if (is_bit_string(code)) {
		while (field == a.base || field == a.index) {
			a = random_address();
		}
	}
	aim(s, &a, is_short);
	if (is_bit_string(code)) {
		s->reg[field] = (uint64_t)(int64_t)(int16_t)random32(&seed);
	}
	if (random32(&seed) % 4 == 0) {
		put(s, 0x66);
	}
	if (is_short) {
		put(s, 0x67);
	}
	if (lock) {
		put(s, 0xf0);
	}
	if (is_string(code)) {
		uint64_t garbage = is_short ? random64() << 32 : 0;
		unsigned rep = random32(&seed) % 3;

		s->rflags |= random32(&seed) & RFLAGS_DF;
		s->reg[REG_RSI] = (BUFFER + 0x4000 + random32(&seed) % 64) |
				  garbage;
		s->reg[REG_RDI] = (BUFFER + 0x8000 + random32(&seed) % 64) |
				  garbage;
		/* With 0, processors differ in what becomes of the garbage. */
		s->reg[REG_RCX] = is_short ? 1 + random32(&seed) % 9 :
					     random32(&seed) % 10;
		s->reg[REG_RCX] |= garbage;
		if (rep != 0) {
			put(s, rep == 1 ? 0xf2 : 0xf3);
		}
		put_opcode(s, code, rex);
	} else if (is_moffs(code)) {
		put_opcode(s, code, rex);
		put_number(s, BUFFER + random32(&seed) % BUFFER_SIZE / 16 * 8,
			   is_short ? 4 : 8);
	} else {
		rex |= (field & 8 ? 4 : 0) | (a.base & 8 ? 1 : 0) |
		       (a.index != NONE && (a.index & 8) ? 2 : 0);
		put_opcode(s, code, rex);
		put_modrm(s, &a, field);
	}
	put_number(s, random64(), 8);	/* immediates */
}

/* Both machines. */

static void fill_memory(void)
{
	for (unsigned i = 0; i < BUFFER_SIZE; i += 4) {
		uint32_t word = random32(&seed);

		/* Equal runs, for the comparing strings. */
		word = random32(&seed) % 4 ? 0 : word;
		memcpy(before + i, &word, 4);
	}
	memcpy(native, before, BUFFER_SIZE);
	memcpy(device, before, BUFFER_SIZE);
	memcpy(ram + BUFFER, before, BUFFER_SIZE);
}

static void show(const struct sample *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		fprintf(stderr, "%02x ", s->byte[i]);
	}
	fprintf(stderr, "\n");
}

static const struct sample *current;

static void died(int signal)
{
	fprintf(stderr, "the processor refuses it, signal %d: ", signal);
	show(current);
	exit(1);
}

/* Run the first length bytes. */
static void run_native(const struct sample *s, unsigned length)
{
	static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0};
	uint8_t *end = (uint8_t *)CODE + PAGE;
	uint64_t back = (uint64_t)native_return;

	current = s;
	memcpy(end - length, s->byte, length);
	memcpy(end, jump, sizeof(jump));
	memcpy(end + sizeof(jump), &back, sizeof(back));
	memcpy(native_reg, s->reg, sizeof(s->reg));
	native_rflags = s->rflags | 2;
	native_code = end - length;
	native_run();
}

static enum outcome run_emulated(struct emulation *e, struct utcb *u,
				 const struct sample *s, const struct gmem *mem)
{
	long_mode(u);
	memcpy(reg(u, 0), s->reg, sizeof(s->reg));
	u->rflags |= s->rflags;
	u->rip = CODE;
	memcpy(ram + CODE, s->byte, sizeof(s->byte));
	memset(&seen, 0, sizeof(seen));
	emulate_init(e, u, mem, &mmio, NULL, 48);
	return emulate(e);
}

/* Flags that the manual leaves undefined after this. */
static uint64_t undefined_flags(const struct insn *i, const struct sample *s)
{
	unsigned bits = i->op->flags & OP_BYTE ? 8 : 8u * i->operand_bytes;
	unsigned group = i->reg & 7, count = 1;

	switch (i->code) {
	case 0xc0: case 0xc1:
		count = (unsigned)i->immediate & (bits == 64 ? 63 : 31);
		break;
	case 0xd2: case 0xd3:
		count = (unsigned)s->reg[REG_RCX] &
			(bits == 64 ? 63 : 31);
		break;
	case 0xd0: case 0xd1:
		break;
	case 0xf6: case 0xf7:
		if (group >= 4) {
			return RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF;
		}
		return group < 2 ? RFLAGS_AF : 0;
	case 0x69: case 0x6b: case 0x0faf:
		return RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF;
	case 0x0fba: case 0x0fa3: case 0x0fab: case 0x0fb3: case 0x0fbb:
		return RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF;
	default:
		return RFLAGS_AF;	/* of the logical ones; else tested */
	}
	if (count == 0) {
		return 0;
	}
	return (group >= 4 ? RFLAGS_AF : 0) | (count != 1 ? RFLAGS_OF : 0) |
	       (group >= 4 && count >= bits ? RFLAGS_CF : 0);
}

static void compare(const struct sample *s, struct utcb *u,
		    const struct insn *i)
{
	uint64_t flags = (RFLAGS_STATUS | RFLAGS_DF) & ~undefined_flags(i, s);

	if (memcmp(reg(u, 0), native_reg, sizeof(native_reg)) != 0 ||
	    ((u->rflags ^ native_rflags) & flags) != 0) {
		show(s);
		for (unsigned n = 0; n < 16; n++) {
			fprintf(stderr, "%u: %lx native %lx, was %lx\n", n,
				(unsigned long)*reg(u, n),
				(unsigned long)native_reg[n],
				(unsigned long)s->reg[n]);
		}
		fprintf(stderr, "flags %lx native %lx, was %lx\n",
			(unsigned long)u->rflags, (unsigned long)native_rflags,
			(unsigned long)s->rflags);
		fail();
	}
}

static struct gmem all_ram, code_only;

static void try(const struct sample *s, unsigned *tried)
{
	struct utcb u;
	struct emulation e;

	fill_memory();
	if (run_emulated(&e, &u, s, &all_ram) != OUTCOME_DONE) {
		return;
	}
	++*tried;
	assert_int_equal(u.rip, CODE + e.insn.length);
	run_native(s, e.insn.length);
	compare(s, &u, &e.insn);
	assert_memory_equal(ram + BUFFER, native, BUFFER_SIZE);

	/* Again, the operand in a device. */
	assert_int_equal(run_emulated(&e, &u, s, &code_only), OUTCOME_DONE);
	compare(s, &u, &e.insn);
	assert_memory_equal(device, native, BUFFER_SIZE);
	if (!is_string(e.insn.code) && !is_bit_string(e.insn.code)) {
		assert_in_range(seen.reads, 0, 1);
		assert_in_range(seen.writes, 0, 1);
	}
}

static void make_memory(void)
{
	void *n = mmap(native, BUFFER_SIZE, PROT_READ | PROT_WRITE,
		       ANYWHERE_ELSE_FAILS, -1, 0);
	void *c = mmap((void *)CODE, 2 * PAGE,
		       PROT_READ | PROT_WRITE | PROT_EXEC,
		       ANYWHERE_ELSE_FAILS, -1, 0);

	assert_ptr_equal(n, native);
	assert_ptr_equal(c, (void *)CODE);
	ram = malloc(RAM);
	assert_non_null(ram);
	memset(ram, 0, RAM);
	gmem_init(&all_ram, ram, RAM);
	gmem_init(&code_only, ram, RAM_SMALL);
}

static void test_against_processor(void **state)
{
	unsigned tried = 0;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned code = 0; code < 0x3900; code++) {
			if (opcode_find((uint16_t)code) == NULL ||
			    (code >= 0x6c && code <= 0x6f)) {
				continue;
			}
			for (unsigned n = 0; n < 64; n++) {
				struct sample s;

				compose(&s, code, n & 7, n >> 3 == 7);
				try(&s, &tried);
			}
		}
	}
	print_message("%u instructions\n", tried);
	assert_true(tried > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_processor),
	};

	make_memory();
	signal(SIGILL, died);
	signal(SIGSEGV, died);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
