/*
 * What ACPI says of IOMMUs. The first byte chooses whose; good tables that are changed by
 * the rest of the input (place and byte), or the input itself behind the head; and where
 * it is cut off.
 */
#define main unit_main
#include "../unit/hv_iommu.c"
#undef main

#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	enum { HEAD = 48, PATCHES = 24, MOST = 1000 };
	uint64_t kind;

	memset(registers[1], 0xff, sizeof(registers[1]));
	input_set(data, length);
	kind = input_take(1);
	if (kind & 1)
		good_dmar();
	else
		good_ivrs();
	if (kind & 2) {
		size = HEAD;
		while (!input_empty() && size < MOST)
			put(1, input_take(1));
	}
	for (unsigned i = 0; i < PATCHES && !input_empty(); i++) {
		uint64_t at = HEAD - 8 + input_below(size - HEAD + 8);

		bytes[at] = (uint8_t)input_take(1);
	}
	if (kind & 4)
		size = HEAD - 8 + (uint32_t)(kind >> 3) % (size - HEAD + 8);
	(void)find(kind & 1 ? &vtd : &amdvi);
	return 0;
}
