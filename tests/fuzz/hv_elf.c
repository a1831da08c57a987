/*
 * Root's image as the kernel reads it: headers out of the input, or a good
 * image with some of its bytes changed.
 */
#define main unit_main
#include "../unit/hv_elf.c"
#undef main

#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	enum { PATCHES = 24 };
	char *bytes = (char *)&image;
	unsigned opened = 0, segments = 0;

	input_set(data, length);
	make_good();
	if (input_take(1) & 1) {
		for (unsigned i = 0; i < PATCHES && !input_empty(); i++) {
			uint64_t at = input_below(sizeof(image.h) + sizeof(image.p));

			bytes[at] = (char)input_take(1);
		}
		if (input_take(1) & 1)
			size = input_below(SIZE + 1);
	} else {
		for (size_t i = 0; i < SIZE && !input_empty(); i++)
			bytes[i] = (char)input_take(1);
	}
	try_image(&opened, &segments);
	return 0;
}
