/*
 * Strings beyond ISO C; apart from string.c, so that host tests can have it.
 */
#include <lib/string.h>

size_t string_copy(char *to, const char *from, size_t size)
{
	size_t length = strlen(from);
	size_t n = length < size ? length : size - 1;

	memcpy(to, from, n);
	to[n] = 0;
	return length;
}
