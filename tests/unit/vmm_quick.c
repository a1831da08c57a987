/*
 * The interpreter of runs ahead: first against the processor, as the emulator
 * is (vmm_emulate.c), with branches and the stack; then that it leaves alone
 * what it must, with all state as it was; ports and interrupts.
 */
#include <stdlib.h>

#include "vmm_fixture.h"
#include "vmm_sample.h"

#include "../../vmm/src/emulate.h"
#include "../../vmm/src/quick.h"

enum {
	ROUNDS = 6,
	TABLES = 0x10000, /* PML4, PDPT, PD, two page tables */
	DATA = BUFFER + 0x1000,
	P = 1,
	RW = 2,
	US = 4,
	A = 0x20,
	D = 0x40,
	USUAL = P | RW | A | D,
	PORT = 0x3f8,
};

static uint8_t *ram;
static struct gmem mem;
static struct quick quick;
static struct utcb utcb;

static struct {
	uint64_t read, written;
	unsigned bytes, accesses;
	uint64_t rip;
	bool pending;
	unsigned left; /* granted after an access */
} world;

static uint64_t read_port(void *opaque, uint64_t port, unsigned bytes)
{
	(void)opaque;
	assert_int_equal(port, PORT);
	world.bytes = bytes;
	return world.read;
}

static void write_port(void *opaque, uint64_t port, unsigned bytes, uint64_t value)
{
	(void)opaque;
	assert_int_equal(port, PORT);
	world.bytes = bytes;
	world.written = value;
}

static void run_cpuid(void *opaque, uint64_t *reg)
{
	(void)opaque;
	reg[REG_RAX] = reg[REG_RBX] = reg[REG_RCX] = reg[REG_RDX] = 7;
}

static unsigned accessed(void *opaque, uint64_t rip)
{
	(void)opaque;
	world.accesses++;
	world.rip = rip;
	return world.left;
}

static bool pending(void *opaque)
{
	(void)opaque;
	return world.pending;
}

static const struct mmio ports = {read_port, write_port, NULL};
static const struct quick_hooks hooks = {&ports, run_cpuid, accessed, pending, NULL};

static uint64_t *table(unsigned n)
{
	return (uint64_t *)(void *)(ram + TABLES + n * PAGE);
}

/* The entry of the page with that address. */
static uint64_t *entry(uint64_t gva)
{
	return &table(3)[gva / PAGE];
}

static void map(uint64_t from, uint64_t bytes)
{
	for (uint64_t at = from; at < from + bytes; at += PAGE)
		*entry(at) = at + USUAL;
}

/* No more than the processor has in its place. */
static void map_all(void)
{
	table(0)[0] = TABLES + 1 * PAGE + USUAL + US;
	table(1)[0] = TABLES + 2 * PAGE + USUAL + US;
	table(2)[0] = TABLES + 3 * PAGE + USUAL + US;
	table(2)[1] = TABLES + 4 * PAGE + USUAL + US;
	map(CODE, 2 * PAGE);
	map(BUFFER, BUFFER_SIZE);
}

/* Where a run starts: 64-bit code at CPL 0. */
static void start(uint64_t rip)
{
	memset(&utcb, 0, sizeof(utcb));
	memset(&world, 0, sizeof(world));
	world.left = 1;
	utcb.cr0 = CR0_PE | CR0_PG | CR0_WP;
	utcb.cr3 = TABLES;
	utcb.cr4 = CR4_PAE | CR4_SMAP | CR4_SMEP;
	utcb.efer = EFER_LMA | EFER_LME;
	utcb.cs.rights = SEGMENT_L | SEGMENT_P | SEGMENT_S | 0xb;
	utcb.ss.rights = SEGMENT_P | SEGMENT_S | 3;
	utcb.rflags = RFLAGS_IF | 2;
	utcb.rip = rip;
	utcb.rsp = DATA + PAGE;
	utcb.dr7 = 0x400;
	utcb.gs.base = 0x100;
}

/* So many instructions from the state in the UTCB; how many were done. */
static unsigned run(unsigned most)
{
	unsigned done = 0;

	assert_true(quick_can(&utcb));
	quick_begin(&quick, &utcb, &mem, 40, &hooks);
	quick.left = 1;
	while (done < most && quick_run(&quick)) {
		quick.left = 1;
		done++;
	}
	quick_save(&quick, &utcb);
	return done;
}

/* Against the processor. */

/* struct code */
static enum outcome give(void *opaque, unsigned offset, uint8_t *to, unsigned most, unsigned *got)
{
	const struct sample *s = opaque;

	*got = most < s->count - offset ? most : s->count - offset;
	memcpy(to, s->byte + offset, *got);
	return OUTCOME_DONE;
}

static uint64_t *registers(void)
{
	return &utcb.word[6]; /* 0x30 / 8: rax */
}

/* What the stack or a pointer should have in it. */
static const uint64_t *value_for(unsigned code)
{
	static const uint64_t taken = TAKEN;
	static uint64_t flags;

	flags = (random32(&sample_seed) & RFLAGS_STATUS) | RFLAGS_IF | 2;
	if (code == 0x9d)
		return &flags;
	return code == 0xff || code == 0xc3 ? &taken : NULL;
}

static bool try(struct sample *s, unsigned code)
{
	const struct code bytes = {give, s};
	struct native native;
	struct insn insn;

	if (insn_decode(&insn, 8, &bytes) != OUTCOME_DONE)
		return false;
	sample_fill(s, value_for(code));
	memcpy(ram + BUFFER, sample_before, BUFFER_SIZE);
	memcpy(ram + CODE_END - insn.length, s->byte, insn.length);
	start(CODE_END - insn.length);
	utcb.gs.base = 0;
	utcb.rflags = s->rflags | 2;
	memcpy(registers(), s->reg, sizeof(s->reg));
	if (run(1) == 0) {
		assert_memory_equal(registers(), s->reg, sizeof(s->reg));
		assert_memory_equal(ram + BUFFER, sample_before, BUFFER_SIZE);
		assert_int_equal(utcb.rflags, s->rflags | 2);
		assert_int_equal(utcb.rip, CODE_END - insn.length);
		return false;
	}
	native = sample_run(s, insn.length);
	sample_compare(s, &native, registers(), utcb.rflags, sample_undefined(&insn));
	if (utcb.rip != native.rip)
		sample_show(s);
	assert_int_equal(utcb.rip, native.rip);
	assert_memory_equal(ram + BUFFER, sample_native, BUFFER_SIZE);
	return true;
}

/* Not for a program on this host. */
static bool is_privileged(unsigned code)
{
	return (code >= 0x6c && code <= 0x6f) || (code >= 0xe4 && code <= 0xe7) ||
	       (code >= 0xec && code <= 0xef) || code == 0xfa || code == 0xfb || code == 0x0fa2;
}

static void test_against_processor(void **state)
{
	unsigned all = 0;

	(void)state;
	for (unsigned code = 0; code < 0x1000; code++) {
		const struct opcode *op = opcode_find((uint16_t)code);
		unsigned tried = 0;

		if (op == NULL || is_privileged(code))
			continue;
		for (unsigned n = 0; n < 64 * ROUNDS; n++) {
			struct sample s;

			sample_compose(&s, code, n & 7, (n >> 3 & 7) == 7);
			tried += try(&s, code);
		}
		if (op->run == NULL && op->group == NULL && code != 0x0f1e)
			assert_true(tried > 0);
		all += tried;
	}
	print_message("%u instructions\n", all);
	assert_true(all > 30000);
}

/* What is left alone. */

static void put_code(uint64_t at, const char *bytes, unsigned count)
{
	memcpy(ram + at, bytes, count);
}

/* One instruction at CODE that must not be done, and nothing else either. */
static void refuse(void)
{
	struct utcb before = utcb;
	static uint8_t memory[RAM];

	memcpy(memory, ram, RAM);
	assert_int_equal(run(1), 0);
	assert_memory_equal(&utcb, &before, sizeof(utcb));
	assert_memory_equal(ram, memory, RAM);
}

static const char store[] = "\x48\x89\x03"; /* mov %rax, (%rbx) */
static const char load[] = "\x48\x8b\x03";  /* mov (%rbx), %rax */

static void start_access(const char *code, uint64_t rbx)
{
	put_code(CODE, code, 3);
	start(CODE);
	utcb.rbx = rbx;
}

static void test_pages(void **state)
{
	uint64_t *e = entry(DATA);

	(void)state;
	start_access(load, DATA);
	assert_int_equal(run(1), 1);
	*e = DATA + P + RW; /* A is the processor's to set */
	start_access(load, DATA);
	refuse();
	*e = DATA + P + RW + A;
	start_access(load, DATA);
	assert_int_equal(run(1), 1);
	start_access(store, DATA); /* D as well */
	refuse();
	*e = DATA + P + A + D; /* read-only */
	start_access(store, DATA);
	refuse();
	*e = DATA + USUAL + US; /* SMAP */
	start_access(load, DATA);
	refuse();
	*e = 0;
	start_access(load, DATA);
	refuse();
	*e = (RAM + 0x100000) + USUAL; /* no RAM */
	start_access(load, DATA);
	refuse();
	*e = DATA + USUAL;
	start_access(load, DATA + PAGE - 4); /* two pages */
	refuse();
	start_access(load, 0x0000800000000000 + DATA); /* not canonical */
	refuse();
	*entry(CODE) = CODE + P + RW;
	start_access(load, DATA);
	refuse();
	*entry(CODE) = CODE + USUAL + US; /* SMEP */
	start_access(load, DATA);
	refuse();
	*entry(CODE) = CODE + USUAL;
}

/* Translations and code may change between runs, code within none. */
static void test_changes(void **state)
{
	(void)state;
	start_access(load, DATA);
	memset(ram + DATA, 0x11, 8);
	memset(ram + DATA + PAGE, 0x22, 8);
	assert_int_equal(run(1), 1);
	assert_int_equal(utcb.rax, 0x1111111111111111);
	*entry(DATA) = DATA + PAGE + USUAL;
	start_access(load, DATA);
	assert_int_equal(run(1), 1);
	assert_int_equal(utcb.rax, 0x2222222222222222);
	*entry(DATA) = DATA + USUAL;
	start_access(store, DATA); /* other code at the same address */
	utcb.rax = 5;
	assert_int_equal(run(1), 1);
	assert_int_equal(ram[DATA], 5);
	start_access(store, CODE + 64);
	refuse();
	/* Nor is what was written run: the jump is done, what follows not. */
	put_code(CODE, "\x48\x89\x03\xff\xe3\x90", 6);
	start(CODE);
	utcb.rbx = DATA;
	utcb.rax = 0x9090909090909090;
	assert_int_equal(run(9), 2);
	assert_int_equal(utcb.rip, DATA);
}

static void test_states(void **state)
{
	(void)state;
	start(CODE);
	assert_true(quick_can(&utcb));
	utcb.rflags |= RFLAGS_TF;
	assert_false(quick_can(&utcb));
	start(CODE);
	utcb.dr7 |= 2;
	assert_false(quick_can(&utcb));
	start(CODE);
	utcb.interruptibility = 1;
	assert_false(quick_can(&utcb));
	start(CODE);
	utcb.inject = INJECT_VALID | 0x30;
	assert_false(quick_can(&utcb));
	start(CODE);
	utcb.ss.rights |= SEGMENT_DPL;
	assert_false(quick_can(&utcb));
	start(CODE);
	utcb.cs.rights = SEGMENT_DB | SEGMENT_P | SEGMENT_S | 0xb;
	assert_false(quick_can(&utcb));
	start(CODE);
	utcb.cr0 &= ~(uint64_t)CR0_PG;
	assert_false(quick_can(&utcb));
	start(CODE);
	utcb.efer = 0;
	assert_false(quick_can(&utcb));
}

static void test_others(void **state)
{
	static const char *const code[] = {
		"\xf4",
		"\x0f\x0b",
		"\xcc",
		"\xcd\x30",
		"\x0f\x05",
		"\x48\xcf",
		"\x0f\x30",
		"\x0f\x32",
		"\x0f\x22\xd8",
		"\x0f\x01\x3b",
		"\x8e\xd0",
		"\x67\x8b\x03",
		"\xf0\x89\x03",
		"\x6c",
		"\x6e",
		"\x66\xe9\x00\x00",
		"\x66\x50",
		"\x49\x90",
		"\xf3\x0f\xb8\xc0",
		"\x0f\x01\xcb",
		"\x0f\xae\xf0",
		"\xd9\xc0",
		"\x0f\x10\xc0",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(code) / sizeof(*code); i++) {
		put_code(CODE, code[i], (unsigned)strlen(code[i]) + 1);
		start(CODE);
		utcb.rbx = DATA;
		utcb.rdx = PORT;
		refuse();
	}
}

/* The world. */

static void test_ports(void **state)
{
	(void)state;
	put_code(CODE, "\xec\x66\xed\xed\xee\x66\xef\xef", 8);
	start(CODE);
	utcb.rdx = PORT;
	utcb.rax = ~0ull;
	world.read = 0x12;
	assert_int_equal(run(1), 1);
	assert_int_equal(world.bytes, 1);
	assert_int_equal(utcb.rax, 0xffffffffffffff12);
	assert_int_equal(world.rip, CODE);
	world.read = 0x1234;
	assert_int_equal(run(1), 1);
	assert_int_equal(world.bytes, 2);
	assert_int_equal(utcb.rax, 0xffffffffffff1234);
	world.read = 0x12345678;
	assert_int_equal(run(1), 1);
	assert_int_equal(world.bytes, 4);
	assert_int_equal(utcb.rax, 0x12345678);
	assert_int_equal(run(1), 1);
	assert_int_equal(world.written, 0x78);
	assert_int_equal(run(1), 1);
	assert_int_equal(world.written, 0x5678);
	assert_int_equal(run(1), 1);
	assert_int_equal(world.written, 0x12345678);
	assert_int_equal(world.accesses, 6);
	put_code(CODE, "\x0f\xa2", 2);
	start(CODE);
	assert_int_equal(run(1), 1);
	assert_int_equal(utcb.rbx, 7);
}

/* The run ends when the hook says so, and not before. */
static void test_length(void **state)
{
	(void)state;
	put_code(CODE, "\x90\x90\xee\xeb\xfb", 5); /* a loop */
	start(CODE);
	utcb.rdx = PORT;
	world.left = 3;
	quick_begin(&quick, &utcb, &mem, 40, &hooks);
	quick.left = 100;
	assert_true(quick_run(&quick));
	assert_int_equal(world.accesses, 1);
	assert_int_equal(quick.rip, CODE + 1); /* 2 behind the access */
}

static void test_interrupts(void **state)
{
	(void)state;
	put_code(CODE, "\xfa\xfb\x90\x90", 4);
	start(CODE);
	assert_int_equal(run(1), 1);
	assert_int_equal(utcb.rflags, 2);
	assert_int_equal(run(1), 1); /* STI and its shadow */
	assert_int_equal(utcb.rip, CODE + 3);
	assert_int_equal(utcb.rflags, RFLAGS_IF | 2);
	utcb.rip = CODE; /* one is pending */
	world.pending = true;
	quick_begin(&quick, &utcb, &mem, 40, &hooks);
	quick.left = 100;
	assert_true(quick_run(&quick));
	assert_int_equal(quick.rip, CODE + 3);
	/* STI and HLT are the processor's, both. */
	put_code(CODE, "\xfb\xf4", 2);
	start(CODE);
	utcb.rflags = 2;
	refuse();
	/* POPF: IF and status flags only. */
	put_code(CODE, "\x9d\x90", 2);
	start(CODE);
	utcb.rflags = 2;
	utcb.rsp = DATA;
	memcpy(ram + DATA, &(uint64_t){RFLAGS_IF | RFLAGS_TF | 2}, 8);
	refuse();
	memcpy(ram + DATA, &(uint64_t){RFLAGS_AC | 2}, 8);
	refuse();
	memcpy(ram + DATA, &(uint64_t){RFLAGS_IF | RFLAGS_CF | 2}, 8);
	world.pending = true;
	quick_begin(&quick, &utcb, &mem, 40, &hooks);
	quick.left = 100;
	assert_true(quick_run(&quick));
	assert_int_equal(quick.rip, CODE + 1);
	quick_save(&quick, &utcb);
	assert_int_equal(utcb.rflags, RFLAGS_IF | RFLAGS_CF | 2);
}

static void test_segments(void **state)
{
	(void)state;
	put_code(CODE, "\x65\x48\x8b\x03", 4); /* mov %gs:(%rbx), %rax */
	start(CODE);
	utcb.rbx = DATA - 0x100;
	memset(ram + DATA, 0x33, 8);
	assert_int_equal(run(1), 1);
	assert_int_equal(utcb.rax, 0x3333333333333333);
	put_code(CODE, "\x48\x8b\x05\x10\x00\x00\x00", 7); /* 16(%rip) */
	memset(ram + CODE + 7 + 16, 0x44, 8);
	start(CODE);
	assert_int_equal(run(1), 1);
	assert_int_equal(utcb.rax, 0x4444444444444444);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_processor),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_segments),
	};

	ram = aligned_alloc(PAGE, RAM);
	assert_non_null(ram);
	memset(ram, 0, RAM);
	gmem_init(&mem, ram, RAM);
	map_all();
	sample_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
