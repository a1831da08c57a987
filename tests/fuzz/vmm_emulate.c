/*
 * The instruction emulator: code, registers, segments and mode out of the
 * input. It ends, reads no more than it may, and an instruction that is not
 * done has moved nothing.
 */
#define random32 input_random32
#define main	 unit_main
#include "../unit/vmm_emulate_modes.c"
#undef main

#include "input.h"

uint32_t input_random32(uint32_t *state)
{
	(void)state;
	return (uint32_t)input_take(4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t rip;
	char code[24];

	if (size < sizeof(code))
		return 0;
	/* The code comes first, so that it is what changes most. */
	memcpy(code, data, sizeof(code));
	input_set(data + sizeof(code), size - sizeof(code));
	random_state();
	rip = u.rip;
	if (run(code, sizeof(code)) == OUTCOME_DONE) {
		assert_true(e.insn.length >= 1 && e.insn.length <= INSN_MAX);
		assert_true((uint32_t)(u.rip - rip) == e.insn.length);
	} else {
		assert_true(u.rip == rip);
	}
	assert_true(memory.reads <= 2 * EMULATE_ITERATIONS * 8);
	return 0;
}
