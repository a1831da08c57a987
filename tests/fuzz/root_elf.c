/*
 * A program as root reads it: a good one with some bytes changed, or the input.
 */
#define main unit_main
#include "../unit/root_elf.c"
#undef main

#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { PATCHES = 24 };
	struct file *f = malloc(sizeof(*f));
	struct elf elf;

	input_set(data, size);
	make(f);
	if (input_take(1) & 1) {
		for (unsigned i = 0; i < PATCHES && !input_empty(); i++) {
			uint64_t at = input_below(sizeof(f->header) + sizeof(f->segment));

			((uint8_t *)f)[at] = (uint8_t)input_take(1);
		}
	} else {
		for (size_t i = 0; i < sizeof(*f) && !input_empty(); i++)
			((uint8_t *)f)[i] = (uint8_t)input_take(1);
	}
	if (!parse(f, &elf))
		check_segments(&elf);
	free(f);
	return 0;
}
