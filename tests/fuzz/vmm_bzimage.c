/*
 * A Linux kernel's file: a good one with bytes of its header changed, or cut
 * off anywhere, or the input.
 */
#define main unit_main
#include "../unit/vmm_boot.c"
#undef main

#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { PATCHES = 24, HEADER = 0x1f1, HEADER_SIZE = 0x80 };
	size_t length = FILE_SIZE;
	struct bzimage b;
	uint8_t *copy;

	input_set(data, size);
	make(file);
	if (input_take(1) & 1)
		length = input_take(2) % (FILE_SIZE + 1);
	for (unsigned i = 0; i < PATCHES && !input_empty(); i++) {
		uint64_t at = HEADER + input_below(HEADER_SIZE);

		file[at] = (uint8_t)input_take(1);
	}
	/* Exactly as long as it says, for the sanitizer. */
	copy = malloc(length);
	memcpy(copy, file, length);
	if (!bzimage_parse(&b, copy, length))
		check(copy, length, &b);
	free(copy);
	return 0;
}
