/*
 * See hv_firmware.h.
 */
#include "hv_firmware.h"

#include <string.h>

#include <sanitizer/asan_interface.h>

uint8_t *memory;
char boot_strings[PAGE_SIZE];

void *boot_memory(uint64_t phys, uint64_t size)
{
	if (phys == 0 || phys >= MEMORY || size > MEMORY - phys)
		return NULL;
	__asan_unpoison_memory_region(memory + phys, size);
	return memory + phys;
}

void clear(void)
{
	__asan_unpoison_memory_region(memory, MEMORY);
	memset(memory, 0, MEMORY);
	memset(&boot_info, 0, sizeof(boot_info));
}

void seal(void)
{
	__asan_poison_memory_region(memory, MEMORY);
}

uint32_t put(uint64_t at, unsigned size, uint64_t value)
{
	memcpy(memory + at, &value, size);
	return size;
}

void change(uint64_t at, uint64_t n)
{
	static const uint64_t numbers[] = {
		0,    1,      7,	  8,	       0xff, 0xffff, 0x7fffffff,
		~0ul, MEMORY, MEMORY - 4, MEMORY - 24, INFO, TABLES, 0x80000000,
	};
	static const unsigned sizes[] = {1, 2, 4, 8};

	for (uint64_t i = 1 + rnd(3); i; i--) {
		unsigned size = sizes[rnd(4)];
		uint64_t where = at + rnd(n) / size * size;

		put(where, size, rnd(2) ? numbers[rnd(ARRAY_SIZE(numbers))] : rnd(1ul << 32));
	}
}
