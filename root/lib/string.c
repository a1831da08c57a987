/*
 * Strings and memory. Copying and filling are the processor's string
 * instructions, eight bytes at a time: a loop in C would be recognised by the
 * compiler and become a call of itself.
 */
#include <lib/string.h>

#include <stdbool.h>
#include <stdint.h>

static void copy_up(void *to, const void *from, size_t n)
{
	size_t words = n / 8, rest = n % 8;

	__asm__ volatile("rep movsq\n\t"
			 "mov %[rest], %[words]\n\t"
			 "rep movsb"
			 : "+D"(to), "+S"(from), [words] "+c"(words)
			 : [rest] "r"(rest)
			 : "memory");
}

static void copy_down(void *to, const void *from, size_t n)
{
	uint8_t *to_last = (uint8_t *)to + n - 1;
	const uint8_t *from_last = (const uint8_t *)from + n - 1;

	__asm__ volatile("std\n\trep movsb\n\tcld"
			 : "+D"(to_last), "+S"(from_last), "+c"(n)
			 :
			 : "memory");
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	copy_up(to, from, n);
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	if ((uintptr_t)to - (uintptr_t)from < n)
		copy_down(to, from, n);
	else
		copy_up(to, from, n);
	return to;
}

void *memset(void *to, int value, size_t n)
{
	void *at = to;
	uint64_t word = (uint8_t)value * 0x0101010101010101ul;
	size_t words = n / 8, rest = n % 8;

	__asm__ volatile("rep stosq\n\t"
			 "mov %[rest], %[words]\n\t"
			 "rep stosb"
			 : "+D"(at), [words] "+c"(words)
			 : [rest] "r"(rest), "a"(word)
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

/* What ISO C gives away: a pointer to what may be constant. */
static char *unconst(const char *s)
{
	return (char *)(uintptr_t)s;
}

void *memchr(const void *s, int c, size_t n)
{
	const char *at = s;

	for (; n; n--, at++)
		if (*at == (char)c)
			return unconst(at);
	return NULL;
}

size_t strnlen(const char *s, size_t n)
{
	size_t length = 0;

	while (length < n && s[length])
		length++;
	return length;
}

size_t strlen(const char *s)
{
	return strnlen(s, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++)
		if (*a != *b || !*a)
			return (uint8_t)*a - (uint8_t)*b;
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return unconst(s);
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	char *last = NULL;

	for (;; s++) {
		if (*s == (char)c)
			last = unconst(s);
		if (!*s)
			return last;
	}
}

char *strstr(const char *s, const char *what)
{
	size_t n = strlen(what);

	for (;; s++) {
		if (strncmp(s, what, n) == 0)
			return unconst(s);
		if (!*s)
			return NULL;
	}
}

static unsigned digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A') + 10;
	return 64;
}

unsigned long strtoul(const char *restrict s, char **restrict end, int base)
{
	const char *at = s;
	unsigned long value = 0;
	bool negative = false, any = false;

	while (*at == ' ' || (*at >= '\t' && *at <= '\r'))
		at++;
	if (*at == '+' || *at == '-')
		negative = *at++ == '-';
	if ((base == 0 || base == 16) && at[0] == '0' && (at[1] == 'x' || at[1] == 'X') &&
	    digit(at[2]) < 16) {
		at += 2;
		base = 16;
	} else if (base == 0) {
		base = *at == '0' ? 8 : 10;
	}
	for (; digit(*at) < (unsigned)base; at++, any = true) {
		if (__builtin_mul_overflow(value, (unsigned long)base, &value) ||
		    __builtin_add_overflow(value, digit(*at), &value)) {
			value = ~0ul;
			negative = false;
		}
	}
	if (end)
		*end = unconst(any ? at : s);
	return negative ? -value : value;
}
