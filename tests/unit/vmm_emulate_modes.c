/*
 * The instruction emulator where it cannot be compared with the processor:
 * 16- and 32-bit code, segments, what faults and when, string I/O; and random
 * bytes in random states, which must neither crash nor get past a bound.
 */
#include <stdio.h>

#include "vmm_fixture.h"

#include "../../vmm/src/emulate.h"

enum {
	RAM = 0x400000,
	CODE = 0x1000,
	TABLES = 0x10000,  /* of pages, for those who want them */
	DEVICE = 0x500000, /* beyond RAM */
	FUZZ = 300000,
};

static uint8_t ram[RAM] __attribute__((aligned(4096)));
static struct gmem mem;
static struct utcb u;
static struct emulation e;
static uint32_t seed = 7;

/* Devices: what was asked of them last, and how often. */
static struct {
	unsigned reads, writes, bytes;
	uint64_t address, value;
} memory, port;

static uint64_t memory_read(void *opaque, uint64_t gpa, unsigned bytes)
{
	(void)opaque;
	memory.reads++;
	memory.bytes = bytes;
	memory.address = gpa;
	return 0x8877665544332211;
}

static void memory_write(void *opaque, uint64_t gpa, unsigned bytes, uint64_t value)
{
	(void)opaque;
	memory.writes++;
	memory.bytes = bytes;
	memory.address = gpa;
	memory.value = value;
}

static uint64_t port_read(void *opaque, uint64_t address, unsigned bytes)
{
	(void)opaque;
	port.reads++;
	port.bytes = bytes;
	port.address = address;
	return 0x5a + port.reads;
}

static void port_write(void *opaque, uint64_t address, unsigned bytes, uint64_t value)
{
	(void)opaque;
	port.writes++;
	port.bytes = bytes;
	port.address = address;
	port.value = value;
}

static const struct mmio mmio = {memory_read, memory_write, NULL};
static const struct mmio ports = {port_read, port_write, NULL};

static void flat(unsigned code_rights)
{
	const struct segment data = {0x10, 0xc93, 0xffffffff, 0};

	u.cs = (struct segment){8, (uint16_t)code_rights, 0xffffffff, 0};
	u.ds = u.es = u.ss = u.fs = u.gs = data;
}

static void start(void)
{
	memset(&u, 0, sizeof(u));
	memset(&memory, 0, sizeof(memory));
	memset(&port, 0, sizeof(port));
	gmem_init(&mem, ram, RAM);
	u.rip = CODE;
	u.rflags = 2;
	u.cr0 = CR0_PE;
}

static void protected_mode(void)
{
	start();
	flat(0xc9b);
}

static void long_mode(void)
{
	start();
	u.efer = EFER_LME | EFER_LMA;
	flat(0xa9b);
}

static void real_mode(void)
{
	const struct segment s = {0, 0x93, 0xffff, 0};

	start();
	u.cr0 = 0;
	u.cs = u.ds = u.es = u.ss = u.fs = u.gs = s;
}

/*
 * The segments, which the emulator has to ask for: until then the UTCB has
 * nonsense in their place, but for what it may use of CS and SS.
 */
static struct utcb full;
static uint64_t asked;

#define SEGMENTS(X)      \
	X(MTD_DS_ES, es) \
	X(MTD_CS_SS, cs) X(MTD_CS_SS, ss) X(MTD_DS_ES, ds) X(MTD_FS_GS, fs) X(MTD_FS_GS, gs)

static void hide_segments(void)
{
	full = u;
	asked = 0;
#define HIDE(bit, name) memset(&u.name, 0xa5, sizeof(u.name));
	SEGMENTS(HIDE)
	u.cs.rights = full.cs.rights;
	u.ss.rights = full.ss.rights;
}

static void give(void *opaque, uint64_t mtd)
{
	assert_ptr_equal(opaque, &full);
	asked |= mtd;
#define GIVE(bit, name)  \
	if (mtd & (bit)) \
		u.name = full.name;
	SEGMENTS(GIVE)
}

static enum outcome run(const char *code, unsigned bytes)
{
	enum outcome out;

	memset(ram + CODE, 0x90, 32);
	memcpy(ram + CODE, code, bytes);
	hide_segments();
	emulate_init(&e, &u, &mem, &mmio, &ports, 40);
	e.need = give;
	e.opaque = &full;
	out = emulate(&e);
	memcpy(&u.es, &full.es, 6 * sizeof(u.es));
	return out;
}

#define RUN(code) run(code, sizeof(code) - 1)

static void assert_fault(enum outcome out, uint8_t vector)
{
	assert_int_equal(out, OUTCOME_FAULT);
	assert_int_equal(e.linear.fault.vector, vector);
	assert_int_equal(u.rip, CODE);
}

static void test_real_mode(void **state)
{
	(void)state;
	real_mode();
	u.ds.base = 0x50000;
	u.ss.base = 0x60000;
	u.rbx = 0xfff0;
	u.rsi = 0x20;
	ram[0x50010] = 0xab; /* BX + SI wraps at 64 KiB */
	assert_int_equal(RUN("\x8a\x00"), OUTCOME_DONE);
	assert_int_equal(u.rax, 0xab);
	assert_int_equal(u.rip, CODE + 2);
	u.rip = CODE;
	u.rbp = 4;
	memcpy(ram + 0x60006, "\x34\x12", 2);
	assert_int_equal(RUN("\x8b\x4e\x02"), OUTCOME_DONE); /* SS:[BP+2] */
	assert_int_equal(u.rcx, 0x1234);
	u.rip = CODE; /* 66 67: 32-bit operand and address */
	memcpy(ram + 0x50100, "\x78\x56\x34\x12", 4);
	u.rdx = 0x100;
	assert_int_equal(RUN("\x66\x67\x8b\x12"), OUTCOME_DONE);
	assert_int_equal(u.rdx, 0x12345678);
	u.rip = CODE; /* beyond the segment's limit */
	u.rbx = 0xffff;
	assert_fault(RUN("\x8b\x07"), VECTOR_GP);
	u.rbp = 0xffff;
	assert_fault(RUN("\x8b\x46\x00"), VECTOR_SS);
	assert_int_equal(RUN("\xa0\x34\x12"), OUTCOME_DONE); /* moffs16 */
}

static void test_protected_mode(void **state)
{
	(void)state;
	protected_mode();
	u.rbx = DEVICE;
	assert_int_equal(RUN("\x8b\x43\x10"), OUTCOME_DONE);
	assert_int_equal(memory.address, DEVICE + 0x10);
	assert_int_equal(memory.bytes, 4);
	assert_int_equal(u.rax, 0x44332211);
	u.rip = CODE; /* 40 is INC, not a REX prefix */
	assert_int_equal(RUN("\x40\x8b\x03"), OUTCOME_UNKNOWN);
	u.fs.base = DEVICE; /* the base is added, and wraps */
	u.rbx = 0xfffffff0;
	assert_int_equal(RUN("\x64\x88\x43\x20"), OUTCOME_DONE);
	assert_int_equal(memory.address, DEVICE + 0x10);
	u.rip = CODE;
	u.ds.limit = 0xfff;
	u.rbx = 0xffd;
	assert_fault(RUN("\x8b\x03"), VECTOR_GP);
	u.ds.limit = 0x1000;
	assert_int_equal(RUN("\x8b\x03"), OUTCOME_DONE);
	u.rip = CODE;
	u.ds.rights = 0xc91; /* read-only */
	assert_int_equal(RUN("\x8b\x03"), OUTCOME_DONE);
	u.rip = CODE;
	assert_fault(RUN("\x89\x03"), VECTOR_GP);
	u.ds.rights |= SEGMENT_UNUSABLE;
	assert_fault(RUN("\x8b\x03"), VECTOR_GP);
	u.ds = (struct segment){0x10, 0xc97, 0xfff, 0}; /* grows down */
	assert_fault(RUN("\x8b\x03"), VECTOR_GP);
	u.rbx = 0x1000;
	assert_int_equal(RUN("\x8b\x03"), OUTCOME_DONE);
	u.rip = CODE; /* code is not writable */
	assert_fault(RUN("\x2e\x89\x03"), VECTOR_GP);
}

static void test_long_mode(void **state)
{
	(void)state;
	long_mode(); /* RIP-relative */
	assert_int_equal(RUN("\x48\x8b\x05\xf9\xff\x4f\x00"), OUTCOME_DONE);
	assert_int_equal(memory.address, 0x501000);
	assert_int_equal(u.rax, 0x8877665544332211);
	u.rip = CODE; /* with an immediate behind it */
	assert_int_equal(RUN("\xc7\x05\x00\x00\x50\x00\x78\x56\x34\x12"), OUTCOME_DONE);
	assert_int_equal(memory.address, CODE + 10 + 0x500000);
	assert_int_equal(memory.value, 0x12345678);
	u.rip = CODE; /* GS has a base, DS has none */
	u.gs.base = DEVICE;
	u.ds.base = 0x1234;
	u.rax = 8;
	assert_int_equal(RUN("\x65\xc6\x00\x7f"), OUTCOME_DONE);
	assert_int_equal(memory.address, DEVICE + 8);
	u.rip = CODE;
	assert_int_equal(RUN("\x3e\x65\x26\xc6\x00\x7f"), OUTCOME_DONE);
	u.rip = CODE; /* not canonical */
	u.rax = 0x0000800000000000;
	assert_fault(RUN("\x8b\x00"), VECTOR_GP);
	u.rbp = u.rax;
	assert_fault(RUN("\x8b\x45\x00"), VECTOR_SS);
	/* REX counts right before the opcode only; 15 bytes are the most. */
	u.rax = DEVICE;
	assert_int_equal(RUN("\x48\x66\x8b\x08"), OUTCOME_DONE);
	assert_int_equal(u.rcx, 0x2211);
	u.rip = CODE;
	assert_int_equal(RUN("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66"
			     "\x66\x8b\x08"),
			 OUTCOME_DONE);
	u.rip = CODE;
	assert_fault(RUN("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66"
			 "\x66\x8b\x08"),
		     VECTOR_GP);
	/* LOCK where it is not allowed; unknown ones. */
	assert_int_equal(RUN("\xf0\x8b\x08"), OUTCOME_UNKNOWN);
	assert_int_equal(RUN("\xf0\x01\xc8"), OUTCOME_UNKNOWN);
	assert_int_equal(RUN("\x0f\x0b"), OUTCOME_UNKNOWN);
}

/* Pages at 2 MiB and up: present, writable and user as the bits say. */
static void paging(uint64_t bits)
{
	uint64_t *table = (uint64_t *)(void *)(ram + TABLES);

	memset(table, 0, 3 * 4096);
	table[0] = (TABLES + 4096) | 7;
	table[512] = (TABLES + 2 * 4096) | 7;
	table[1024] = 0x83; /* code */
	table[1025] = 0x200000 | 0x80 | bits;
	table[1026] = 0x400000 | 0x80 | bits; /* the device: beyond RAM */
	u.cr0 |= CR0_PG | CR0_WP;
	u.cr3 = TABLES;
	u.cr4 = CR4_PAE;
}

static void test_page_faults(void **state)
{
	(void)state;
	long_mode();
	paging(0);
	u.rax = DEVICE;
	assert_fault(RUN("\x8b\x08"), VECTOR_PF);
	assert_int_equal(e.linear.fault.error, 0);
	assert_int_equal(e.linear.fault.address, DEVICE);
	paging(1); /* read-only */
	assert_int_equal(RUN("\x8b\x08"), OUTCOME_DONE);
	u.rip = CODE;
	/* What would write does not even read the device. */
	memory.reads = 0;
	assert_fault(RUN("\x01\x08"), VECTOR_PF);
	assert_int_equal(e.linear.fault.error, ACCESS_PRESENT | ACCESS_WRITE);
	assert_int_equal(memory.reads, 0);
	assert_int_equal(memory.writes, 0);
	u.ss.rights |= SEGMENT_DPL; /* user mode; code is not for it */
	assert_fault(RUN("\x8b\x08"), VECTOR_PF);
	assert_int_equal(e.linear.fault.address, CODE);
}

static void test_strings(void **state)
{
	(void)state;
	long_mode();
	paging(3);
	/* From RAM to the device, until the device's page ends. */
	u.rsi = 0x200000;
	u.rdi = 0x600000 - 8;
	u.rcx = 4;
	assert_fault(RUN("\xf3\xa5"), VECTOR_PF);
	assert_int_equal(e.linear.fault.address, 0x600000);
	assert_int_equal(memory.writes, 2);
	assert_int_equal(u.rcx, 2);
	assert_int_equal(u.rsi, 0x200008);
	assert_int_equal(u.rdi, 0x600000);
	assert_int_equal(e.mtd & MTD_GPR_BSD, MTD_GPR_BSD);
	assert_int_equal(e.mtd & MTD_GPR_ACDB, MTD_GPR_ACDB);
	/* Not forever at a time. */
	u.rdi = DEVICE;
	u.rcx = ~0ull;
	u.rflags |= RFLAGS_DF;
	memory.writes = 0;
	assert_int_equal(RUN("\xf3\xaa"), OUTCOME_AGAIN);
	assert_int_equal(memory.writes, EMULATE_ITERATIONS);
	assert_int_equal(u.rcx, ~0ull - EMULATE_ITERATIONS);
	assert_int_equal(u.rdi, DEVICE - EMULATE_ITERATIONS);
	assert_int_equal(u.rip, CODE);
	u.rcx = EMULATE_ITERATIONS;
	assert_int_equal(RUN("\xf3\xaa"), OUTCOME_DONE);
	assert_int_equal(u.rip, CODE + 2);
}

static void test_string_ports(void **state)
{
	(void)state;
	long_mode();
	u.rdx = 0xffff0170;
	u.rdi = 0x2000;
	u.rcx = 3;
	assert_int_equal(RUN("\xf3\x66\x6d"), OUTCOME_DONE);
	assert_int_equal(port.reads, 3);
	assert_int_equal(port.bytes, 2);
	assert_int_equal(port.address, 0x170);
	assert_memory_equal(ram + 0x2000, "\x5b\0\x5c\0\x5d\0", 6);
	assert_int_equal(u.rdi, 0x2006);
	u.rip = CODE;
	u.rsi = 0x2000;
	assert_int_equal(RUN("\x48\x6f"), OUTCOME_DONE); /* is 32-bit */
	assert_int_equal(port.bytes, 4);
	assert_int_equal(port.value, 0x5c005b);
	assert_int_equal(u.rsi, 0x2004);
	emulate_init(&e, &u, &mem, &mmio, NULL, 40);
	u.rip = CODE; /* not outside of a port's exit */
	assert_int_equal(emulate(&e), OUTCOME_UNKNOWN);
	/* A destination that is not there reads nothing from the port. */
	paging(0);
	port.reads = 0;
	u.rdi = DEVICE;
	assert_fault(RUN("\x6c"), VECTOR_PF);
	assert_int_equal(port.reads, 0);
}

/* No more than matters: elsewhere each costs an exit to who runs the hypervisor. */
static void test_asked(void **state)
{
	(void)state;
	long_mode();
	u.rdi = DEVICE;
	assert_int_equal(RUN("\x8b\x07"), OUTCOME_DONE); /* mov (%rdi), %eax */
	assert_int_equal(asked, 0);
	u.rip = CODE;
	u.rsi = DEVICE;
	u.rdi = 0x2000;
	assert_int_equal(RUN("\xa5"), OUTCOME_DONE); /* movsl */
	assert_int_equal(asked, 0);
	u.rip = CODE;
	assert_int_equal(RUN("\x6c"), OUTCOME_DONE); /* insb */
	assert_int_equal(asked, 0);
	u.rip = CODE;
	u.gs.base = DEVICE;
	u.rdi = 8;
	assert_int_equal(RUN("\x65\x8b\x07"), OUTCOME_DONE); /* by GS */
	assert_int_equal(asked, MTD_FS_GS);
	assert_int_equal(memory.address, DEVICE + 8);

	protected_mode();
	u.rdi = DEVICE;
	assert_int_equal(RUN("\x8b\x07"), OUTCOME_DONE);
	assert_int_equal(asked, MTD_CS_SS | MTD_DS_ES);
	/* Without long mode the L bit of CS is nothing. */
	u.rip = CODE;
	u.cs.rights |= SEGMENT_L;
	u.efer = EFER_LME;
	u.ds.base = 0x1000;
	u.rdi = DEVICE;
	assert_int_equal(RUN("\x8b\x07"), OUTCOME_DONE);
	assert_int_equal(memory.address, DEVICE + 0x1000);
	assert_int_equal(asked, MTD_CS_SS | MTD_DS_ES);
}

static uint64_t random64(void)
{
	return (uint64_t)random32(&seed) << 32 | random32(&seed);
}

/* Often something that makes sense, else anything. */
static uint64_t random_register(void)
{
	switch (random32(&seed) % 4) {
	case 0:
		return random32(&seed) % (2 * RAM);
	case 1:
		return ~0ull - random32(&seed) % 64;
	case 2:
		return random32(&seed) % 64;
	default:
		return random64();
	}
}

static void random_segment(struct segment *s)
{
	if (random32(&seed) % 4 == 0) {
		s->rights = (uint16_t)random32(&seed);
		s->limit = random32(&seed);
		s->base = random_register();
	}
}

static void random_state(void)
{
	void (*const modes[])(void) = {real_mode, protected_mode, long_mode};

	modes[random32(&seed) % 3]();
	if (random32(&seed) & 1) {
		paging(random32(&seed) & 7);
		u.cr4 = random64();
		u.cr0 ^= random32(&seed) & random32(&seed) & random32(&seed);
	}
	for (unsigned i = 0; i < 16; i++)
		u.word[6 + i] = random_register();
	u.rflags = random32(&seed) & ~(uint32_t)RFLAGS_VM;
	random_segment(&u.ds);
	random_segment(&u.es);
	random_segment(&u.fs);
	if (random32(&seed) % 8 == 0) {
		random_segment(&u.cs);
		u.rip = random_register();
	}
}

static void test_random(void **state)
{
	unsigned done = 0;

	(void)state;
	for (unsigned i = 0; i < FUZZ; i++) {
		char code[24];
		uint64_t rip;

		random_state();
		for (unsigned n = 0; n < sizeof(code); n++)
			code[n] = (char)random32(&seed);
		rip = u.rip;
		if (run(code, sizeof(code)) == OUTCOME_DONE) {
			uint64_t length = u.rip - rip;

			done++;
			assert_true(e.insn.length >= 1 && e.insn.length <= INSN_MAX);
			assert_true((uint32_t)length == e.insn.length);
		} else {
			assert_true(u.rip == rip);
		}
		assert_true(memory.reads <= 2 * EMULATE_ITERATIONS * 8);
	}
	print_message("%u of %u were instructions\n", done, FUZZ);
	assert_true(done > FUZZ / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_mode), cmocka_unit_test(test_protected_mode),
		cmocka_unit_test(test_long_mode), cmocka_unit_test(test_page_faults),
		cmocka_unit_test(test_strings),	  cmocka_unit_test(test_string_ports),
		cmocka_unit_test(test_asked),	  cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
