/*
 * Capabilities and mappings of several PDs, against the naive model: each
 * number that the unit test takes at random comes from the input.
 */
#define PAGES 1024
#define rnd   input_rnd
#define main  unit_main
#include "../unit/hv_mapping.c"
#undef main

#include "input.h"

enum { MOST = 400 };

uint64_t input_rnd(uint64_t n)
{
	return input_below(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input_set(data, size);
	fixture_reseed(1);
	without_memory = rnd(2);
	start(without_memory ? 100 + rnd(300) : PAGES / 4 * 3);
	for (unsigned n = 0; n < MOST && !input_empty(); n++) {
		poll_period = rnd(2) ? 0 : 3;
		step();
		for (unsigned i = 0; i < MODEL_PDS; i++)
			if (model_pds[i] && !without_memory)
				check_spaces(model_pds[i]);
		if (n % 16 == 0)
			check_some();
	}
	finish();
	return 0;
}
