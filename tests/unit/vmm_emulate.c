/*
 * The instruction emulator against the processor: every instruction that the
 * emulator knows, with random prefixes, operands, registers and flags, is run
 * by both, once with its memory operand in RAM and once in a device. Registers,
 * memory and flags must agree; the device must see each operand once, whole.
 *
 * What cannot be run here (other modes, segments, faults) is in
 * vmm_emulate_modes.c.
 */
#include <stdlib.h>

#include "vmm_fixture.h"
#include "vmm_sample.h"

#include "../../vmm/src/alu.h"
#include "../../vmm/src/emulate.h"

enum {
	RAM_SMALL = 0x100000, /* without the buffer */
	ROUNDS = 3,
};

static uint8_t *ram; /* of the guest */
static uint8_t device[BUFFER_SIZE];

static struct {
	unsigned reads, writes;
	unsigned bytes; /* of the last */
} seen;

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

static void device_write(void *opaque, uint64_t gpa, unsigned bytes, uint64_t value)
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
	return &u->word[6 + n]; /* 0x30 / 8: rax */
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

static enum outcome run_emulated(struct emulation *e, struct utcb *u, const struct sample *s,
				 const struct gmem *mem)
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

static struct gmem all_ram, code_only;

static void try(const struct sample *s, unsigned *tried)
{
	struct utcb u;
	struct emulation e;
	struct native native;
	uint64_t undefined;

	sample_fill(s, NULL);
	memcpy(device, sample_before, BUFFER_SIZE);
	memcpy(ram + BUFFER, sample_before, BUFFER_SIZE);
	if (run_emulated(&e, &u, s, &all_ram) != OUTCOME_DONE)
		return;
	++*tried;
	assert_int_equal(u.rip, CODE + e.insn.length);
	native = sample_run(s, e.insn.length);
	undefined = sample_undefined(&e.insn);
	sample_compare(s, &native, reg(&u, 0), u.rflags, undefined);
	assert_memory_equal(ram + BUFFER, sample_native, BUFFER_SIZE);

	/* Again, the operand in a device. */
	assert_int_equal(run_emulated(&e, &u, s, &code_only), OUTCOME_DONE);
	sample_compare(s, &native, reg(&u, 0), u.rflags, undefined);
	assert_memory_equal(device, sample_native, BUFFER_SIZE);
	if (!sample_is_string(e.insn.code) && !sample_is_bit_string(e.insn.code)) {
		assert_in_range(seen.reads, 0, 1);
		assert_in_range(seen.writes, 0, 1);
	}
}

static void test_against_processor(void **state)
{
	unsigned tried = 0;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned code = 0; code < 0x3900; code++) {
			if (opcode_find((uint16_t)code) == NULL || (code >= 0x6c && code <= 0x6f))
				continue;
			for (unsigned n = 0; n < 64; n++) {
				struct sample s;

				sample_compose(&s, code, n & 7, n >> 3 == 7);
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

	ram = calloc(1, RAM);
	assert_non_null(ram);
	gmem_init(&all_ram, ram, RAM);
	gmem_init(&code_only, ram, RAM_SMALL);
	sample_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
