/*
 * What the compiler may call on its own. Eight bytes at a time: a REP counts as
 * one instruction for each.
 */
#include "types.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	void *d = to;
	size_t words = n / 8, bytes = n % 8;

	__asm__ volatile("rep movsq; mov %3, %%rcx; rep movsb"
			 : "+D"(d), "+S"(from), "+c"(words)
			 : "r"(bytes)
			 : "memory");
	return to;
}

void *memset(void *to, int value, size_t n)
{
	void *d = to;
	size_t words = n / 8, bytes = n % 8;
	uint64_t pattern = (uint8_t)value * 0x0101010101010101ul;

	__asm__ volatile("rep stosq; mov %3, %%rcx; rep stosb"
			 : "+D"(d), "+c"(words)
			 : "a"(pattern), "r"(bytes)
			 : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}
